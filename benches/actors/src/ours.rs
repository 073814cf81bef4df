//! The kernel's side: a directory of entities that tell, count, panic and answer.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use mesh_kernel::{
    BoxFuture,
    actor::{
        ActorConfig, Answered, Behaviour, Crash, DeadLetter, DeadLetterSink, Directory, Handle, Item, Lane, SlotHandle,
        Spawner, Tree,
    },
    envelope::{Address, Envelope, Timestamp},
    ports::{Clock, Position},
};
use tokio::sync::mpsc::Sender;
use tracing::Instrument as _;

use crate::load::{Tally, envelope, pool, span};

struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::default().plus(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct Dead(Arc<Tally>);

impl DeadLetterSink for Dead {
    fn put(&self, _: DeadLetter) {
        self.0.one();
    }
}

/// What the entities of one stage share.
pub(crate) struct Shared {
    pub(crate) tally: Arc<Tally>,
    pub(crate) dead: Arc<Tally>,
    directory: OnceLock<Weak<Directory>>,
    /// Messages that each teller sends.
    each: u64,
    /// When an entity panicked, and when its next incarnation handled its first message.
    restarts: Sender<Instant>,
}

/// A directory whose entities do what their messages are called.
pub(crate) struct Stage {
    pub(crate) directory: Arc<Directory>,
    pub(crate) shared: Arc<Shared>,
    tree: Arc<Tree>,
}

struct Entity {
    shared: Arc<Shared>,
    fresh: bool,
}

impl Entity {
    /// Tells the receiver as often as it is meant to: actor to actor.
    async fn tell_all(shared: Arc<Shared>) -> Result<(), Crash> {
        let to = receiver().map_err(|error| Crash::Failed(error.into()))?;
        let pool = pool(&to).map_err(|error| Crash::Failed(error.into()))?;
        let Some(directory) = shared.directory.get().and_then(Weak::upgrade) else { return Ok(()) };
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        let mut receiver = directory.to(&to).map_err(|error| Crash::Failed(error.into()))?;
        for (_, message) in (0..shared.each).zip(pool.iter().cycle()) {
            let told = receiver.tell(Item::new(message.clone(), None), Lane::Work, until);
            let span = span("deliver", message);
            // A span that is not sampled is not carried along.
            let told = if span.is_none() { told.await } else { told.instrument(span).await };
            told.map_err(|undelivered| Crash::Failed(undelivered))?;
        }
        Ok(())
    }
}

impl Behaviour for Entity {
    fn start(&mut self) -> BoxFuture<'_, Result<(), Crash>> {
        Box::pin(async { Ok(()) })
    }

    fn handle_at_once(&mut self, item: &mut Item) -> Option<Result<(), Crash>> {
        let _span = span("decide", &item.envelope).entered();
        match &*item.envelope.event_type {
            "TellAll" => return None,
            "Panic" if item.attempts == 0 => {
                let _ = self.shared.restarts.try_send(Instant::now());
                std::panic::resume_unwind(Box::new("told to"));
            }
            _ => {}
        }
        if std::mem::take(&mut self.fresh) {
            let _ = self.shared.restarts.try_send(Instant::now());
        }
        self.shared.tally.one();
        if item.reply.is_some() {
            item.answer(Ok(answered()));
        }
        Some(Ok(()))
    }

    fn handle<'a>(&'a mut self, _: &'a mut Item) -> BoxFuture<'a, Result<(), Crash>> {
        Box::pin(Self::tell_all(self.shared.clone()))
    }

    fn may_park(&self) -> bool {
        true
    }

    fn park(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn size(&self) -> usize {
        64
    }
}

fn answered() -> Answered {
    let view = serde_json::Value::Null;
    Answered { version: 0, position: Position::default(), events: Vec::new(), view, repeated: false }
}

struct Entities(Arc<Shared>);

impl Spawner for Entities {
    fn behaviour(&self, _: &Address, slot: &SlotHandle) -> Box<dyn Behaviour> {
        // The first incarnation of an address has nothing to tell of a restart.
        Box::new(Entity { shared: self.0.clone(), fresh: slot.incarnation() > 1 })
    }
}

pub(crate) fn address(id: &str) -> Result<Address> {
    Ok(format!("acme/control-plane/run/{id}").parse()?)
}

fn receiver() -> Result<Address> {
    address("receiver")
}

impl Stage {
    /// A directory as a node has it, but that entities fall asleep only when they are asked to.
    pub(crate) async fn set(each: u64, restarts: Sender<Instant>) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(Wall(Instant::now()));
        let tree = Tree::start(&[("control", &["control-plane"])], clock.clone()).await?;
        let (tally, dead) = (Arc::<Tally>::default(), Arc::<Tally>::default());
        let shared = Arc::new(Shared { tally, dead: dead.clone(), directory: OnceLock::new(), each, restarts });
        let config = ActorConfig { idle_after: Duration::ZERO, memory_bytes: 2 << 30, ..ActorConfig::default() };
        // With no idle time at all, `sweep` puts everybody to sleep; by itself it comes once in a while.
        let config = ActorConfig { idle_after: config.idle_after.max(Duration::from_secs(3_600)), ..config };
        let directory =
            Directory::new(config, tree.clone(), Arc::new(Entities(shared.clone())), clock, Arc::new(Dead(dead)));
        let _ = shared.directory.set(Arc::downgrade(&directory));
        Ok(Self { directory, shared, tree })
    }

    /// Has so many entities tell one receiver, and waits until it has got all.
    pub(crate) async fn tell(&self, senders: u64) -> Result<()> {
        self.shared.tally.expect(self.shared.each * senders);
        for sender in 0..senders {
            let to = address(&format!("sender-{sender}"))?;
            self.deliver(envelope(&to, "TellAll", 0)?).await?;
        }
        self.shared.tally.reached().await;
        Ok(())
    }

    pub(crate) async fn deliver(&self, message: Arc<Envelope>) -> Result<()> {
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        let told = self.directory.deliver(Item::new(message, None), Lane::Work, until).await;
        told.map_err(|undelivered| anyhow!("{undelivered}"))
    }

    pub(crate) async fn ask(&self, message: Arc<Envelope>) -> Result<()> {
        let mut to = self.directory.to(&message.headers.subject)?;
        Self::ask_there(&mut to, message, tokio::time::Instant::now() + Duration::from_secs(60)).await
    }

    /// Without looking the address up.
    pub(crate) async fn ask_there(to: &mut Handle, message: Arc<Envelope>, until: tokio::time::Instant) -> Result<()> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let span = span("deliver", &message);
        let asked = to.tell(Item::new(message, Some(reply)), Lane::Work, until);
        let asked = if span.is_none() { asked.await } else { asked.instrument(span).await };
        asked.map_err(|undelivered| anyhow!("{undelivered}"))?;
        answer.await?.map(drop).map_err(|refusal| anyhow!("{refusal}"))
    }

    /// Entities that have a slot: awake, or with messages.
    pub(crate) fn slots(&self) -> usize {
        self.directory.tree().iter().filter(|line| line.tenant.is_some()).count()
    }

    /// Puts everybody to sleep and stops.
    pub(crate) async fn strike(self) {
        self.directory.drain(Duration::from_secs(10)).await;
        self.tree.stop(Duration::from_secs(10)).await;
    }
}
