//! The others' side: bare ractor, kameo, and a channel between two tasks, with the same payload.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use mesh_kernel::{envelope::Envelope, task};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};

use crate::{
    load::{Tally, pool},
    ours::address,
};

/// A sender of an unbounded mailbox lets the receiver have a turn this often; else one measures the
/// allocator.
const YIELD_EVERY: u64 = 64;

/// The bound of those that have one; ours has the same.
pub(crate) const BOUND: usize = 1_024;

/// The messages that one sender sends.
pub(crate) fn messages(each: u64) -> Result<impl Iterator<Item = Arc<Envelope>>> {
    let pool = pool(&address("receiver")?)?;
    Ok((0..each).map(move |number| pool.get(number as usize % pool.len()).cloned()).map_while(|message| message))
}

pub(crate) struct Receiver;

pub(crate) enum Got {
    Told(Arc<Envelope>),
    Asked(Arc<Envelope>, RpcReplyPort<u64>),
}

impl Actor for Receiver {
    type Msg = Got;
    type State = Arc<Tally>;
    type Arguments = Arc<Tally>;

    async fn pre_start(&self, _: ActorRef<Got>, tally: Arc<Tally>) -> Result<Arc<Tally>, ActorProcessingErr> {
        Ok(tally)
    }

    async fn handle(&self, _: ActorRef<Got>, got: Got, tally: &mut Arc<Tally>) -> Result<(), ActorProcessingErr> {
        tally.one();
        match got {
            Got::Told(message) => drop(message),
            Got::Asked(message, reply) => {
                drop(message);
                reply.send(0)?;
            }
        }
        Ok(())
    }
}

struct Sender;

impl Actor for Sender {
    type Msg = u64;
    type State = ActorRef<Got>;
    type Arguments = ActorRef<Got>;

    async fn pre_start(&self, _: ActorRef<u64>, to: ActorRef<Got>) -> Result<ActorRef<Got>, ActorProcessingErr> {
        Ok(to)
    }

    async fn handle(&self, _: ActorRef<u64>, each: u64, to: &mut ActorRef<Got>) -> Result<(), ActorProcessingErr> {
        for (number, message) in (1..).zip(messages(each)?) {
            to.send_message(Got::Told(message))?;
            if number % YIELD_EVERY == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

/// Bare ractor: no bound, no counters, no lanes, and nothing survives a crash.
pub(crate) struct Ractor {
    pub(crate) receiver: ActorRef<Got>,
    senders: Vec<ActorRef<u64>>,
    tally: Arc<Tally>,
}

impl Ractor {
    pub(crate) async fn set(senders: u64) -> Result<Self> {
        let tally = Arc::<Tally>::default();
        let (receiver, _) = Receiver::spawn(None, Receiver, tally.clone()).await?;
        let mut started = Vec::new();
        for _ in 0..senders {
            started.push(Sender::spawn(None, Sender, receiver.clone()).await?.0);
        }
        Ok(Self { receiver, senders: started, tally })
    }

    pub(crate) async fn tell(&self, each: u64) -> Result<()> {
        self.tally.expect(each * self.senders.len() as u64);
        for sender in &self.senders {
            sender.send_message(each)?;
        }
        self.tally.reached().await;
        Ok(())
    }

    pub(crate) async fn ask(receiver: &ActorRef<Got>, message: Arc<Envelope>) -> Result<()> {
        match receiver.call(|reply| Got::Asked(message, reply), None).await? {
            CallResult::Success(_) => Ok(()),
            CallResult::Timeout | CallResult::SenderError => Err(anyhow!("no answer")),
        }
    }

    pub(crate) fn strike(&self) {
        self.senders.iter().for_each(|sender| sender.stop(None));
        self.receiver.stop(None);
    }
}

/// A bounded channel between two tasks: the floor, without an actor.
pub(crate) async fn channel(senders: u64, each: u64) -> Result<()> {
    let tally = Arc::<Tally>::default();
    tally.expect(each * senders);
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Arc<Envelope>>(BOUND);
    let counting = tally.clone();
    task::spawn("receiver", async move {
        while let Some(message) = receiver.recv().await {
            drop(message);
            counting.one();
        }
    });
    for _ in 0..senders {
        let (sender, messages) = (sender.clone(), messages(each)?);
        task::spawn("sender", async move {
            for message in messages {
                if sender.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
    tally.reached().await;
    Ok(())
}

#[cfg(feature = "kameo")]
pub(crate) mod kameo_side {
    use kameo::{
        actor::{ActorRef, Spawn},
        error::Infallible,
        mailbox,
        message::{Context, Message},
    };

    use super::{Arc, BOUND, Envelope, Result, Tally, messages};

    pub(crate) struct Receiver(Arc<Tally>);

    impl kameo::Actor for Receiver {
        type Args = Arc<Tally>;
        type Error = Infallible;

        async fn on_start(tally: Arc<Tally>, _: ActorRef<Self>) -> Result<Self, Infallible> {
            Ok(Self(tally))
        }
    }

    impl Message<Arc<Envelope>> for Receiver {
        type Reply = ();

        async fn handle(&mut self, message: Arc<Envelope>, _: &mut Context<Self, ()>) {
            drop(message);
            self.0.one();
        }
    }

    struct Sender(ActorRef<Receiver>);

    impl kameo::Actor for Sender {
        type Args = ActorRef<Receiver>;
        type Error = Infallible;

        async fn on_start(to: ActorRef<Receiver>, _: ActorRef<Self>) -> Result<Self, Infallible> {
            Ok(Self(to))
        }
    }

    impl Message<u64> for Sender {
        type Reply = ();

        async fn handle(&mut self, each: u64, _: &mut Context<Self, ()>) {
            for message in messages(each).into_iter().flatten() {
                if self.0.tell(message).send().await.is_err() {
                    return;
                }
            }
        }
    }

    /// kameo, with a mailbox of the same bound in messages.
    pub(crate) async fn tell(senders: u64, each: u64) -> Result<()> {
        let tally = Arc::<Tally>::default();
        tally.expect(each * senders);
        let receiver = Receiver::spawn_with_mailbox(tally.clone(), mailbox::bounded(BOUND));
        for _ in 0..senders {
            let sender = Sender::spawn(receiver.clone());
            sender.tell(each).send().await?;
        }
        tally.reached().await;
        Ok(())
    }
}
