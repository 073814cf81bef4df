//! Who was turned away asks again: one task, there only while someone is away.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Outbox, Workers,
    line::{CallUp, Line},
};

/// Looks at least this often: who was told to ask again may have ended instead, and then nothing
/// else says that its room is free.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Workers {
    /// Tells those who were turned away to ask again as room comes free, until nobody is away.
    pub(super) async fn call_up(self) {
        let Some(outbox) = self.0.outbox.get().cloned() else {
            self.0.calling.store(false, Ordering::Release);
            return;
        };
        loop {
            for line in &self.0.lines {
                call_up_of(&self, line, &outbox).await;
            }
            if !self.owes() {
                self.0.calling.store(false, Ordering::Release);
                // Someone may have been turned away just before the flag was down.
                if !self.owes() || self.0.calling.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                _ = tokio::time::timeout(LOOK_EVERY, self.0.room.notified()) => {}
            }
        }
    }

    fn owes(&self) -> bool {
        self.0.lines.iter().any(|line| line.lock().owes())
    }
}

async fn call_up_of(workers: &Workers, line: &Mutex<Line>, outbox: &Arc<dyn Outbox>) {
    let found = line.lock().call_up(Instant::now());
    match found {
        CallUp::Nobody => {}
        CallUp::Who(who) => who.iter().for_each(|address| outbox.ask_again(address)),
        CallUp::AskTheJournal => ask_the_journal(workers, line, outbox).await,
    }
}

/// Remembers whom the journal knows to wait for work and who has none in flight.
async fn ask_the_journal(workers: &Workers, line: &Mutex<Line>, outbox: &Arc<dyn Outbox>) {
    let Some(waits) = outbox.who_waits().await else {
        line.lock().forget();
        return;
    };
    let busy: HashSet<_> = workers.busy();
    {
        let mut line = line.lock();
        waits.iter().filter(|address| !busy.contains(*address)).for_each(|address| line.turn_away(address));
    }
    workers.0.room.notify_one();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        BoxFuture,
        entity::EffectRequest,
        envelope::Address,
        envelope::{Envelope, EventId, Headers, IdempotencyKey, Payload, Principal, Refusal, Timestamp, TraceId},
        fair::Bounds,
        ports::{Concurrency, EffectCall, Effects, Outcome},
        work::EffectTask,
    };

    const BOUNDS: Bounds = Bounds { items: 64, bytes: 1 << 20 };

    /// Performs at once, and writes down for whom.
    #[derive(Default)]
    struct Performer(Mutex<Vec<String>>);

    impl Effects for Performer {
        fn handlers(&self) -> Vec<&'static str> {
            vec!["work"]
        }

        fn concurrency(&self) -> Concurrency {
            Concurrency { total: 8, per_tenant: 6, ..Concurrency::default() }
        }

        fn perform(&self, call: EffectCall) -> BoxFuture<'_, Option<Outcome>> {
            Box::pin(async move {
                self.0.lock().push(call.request.key.to_string());
                tokio::task::yield_now().await;
                Some(Payload { name: "Done".into(), schema_version: 1, bytes: call.request.input })
            })
        }

        fn failed(&self, _: &EffectRequest, reason: &str) -> Option<Outcome> {
            unreachable!("{reason}");
        }
    }

    /// Entities that want effects until these are done, and ask when they are told to.
    struct World {
        workers: Workers,
        cause: Arc<Envelope>,
        wanted: Mutex<BTreeMap<Address, Vec<EffectRequest>>>,
        asked_again: Mutex<usize>,
        journal_read: Mutex<usize>,
        most: Mutex<(usize, usize, usize)>,
    }

    impl World {
        fn ask(&self, address: &Address) {
            let wanted = self.wanted.lock().get(address).cloned().unwrap_or_default();
            self.workers.ask(address, &self.cause, wanted, false);
            let load = self.workers.0.lines[0].lock().load();
            let mut most = self.most.lock();
            *most = (most.0.max(load.0), most.1.max(load.1), most.2.max(load.2));
        }
    }

    impl Outbox for World {
        fn tell<'a>(&'a self, task: &'a EffectTask, _: Outcome) -> BoxFuture<'a, Result<(), Refusal>> {
            if let Some(wanted) = self.wanted.lock().get_mut(&task.address) {
                wanted.retain(|request| request.key != task.request.key);
            }
            Box::pin(async { Ok(()) })
        }

        fn ask_again(&self, address: &Address) {
            *self.asked_again.lock() += 1;
            self.ask(address);
        }

        fn who_waits(&self) -> BoxFuture<'_, Option<Vec<Address>>> {
            *self.journal_read.lock() += 1;
            let open =
                self.wanted.lock().iter().filter(|(_, wanted)| !wanted.is_empty()).map(|(a, _)| a.clone()).collect();
            // The first look fails: whoever is not remembered must not be forgotten for that.
            let first = *self.journal_read.lock() == 1;
            Box::pin(async move { (!first).then_some(open) })
        }
    }

    fn request(key: &str) -> EffectRequest {
        EffectRequest {
            key: IdempotencyKey::parse(key).unwrap(),
            handler: "work",
            attempt: 1,
            input: bytes::Bytes::from_static(b"in"),
            timeout: None,
        }
    }

    fn cause() -> Arc<Envelope> {
        let subject: Address = "acme/control-plane/run/run-1".parse().unwrap();
        let event_id = EventId::parse("evt-1").unwrap();
        Arc::new(Envelope {
            event_type: "Asked".into(),
            tenant_id: subject.tenant().clone(),
            project_id: None,
            module_id: None,
            trace_id: TraceId::parse("trace-1").unwrap(),
            correlation_id: (&event_id).into(),
            causation_id: event_id.clone(),
            event_id,
            occurred_at: Timestamp::default(),
            payload: bytes::Bytes::new(),
            headers: Headers::new(subject, Principal::system("test")),
        })
    }

    fn world(wanted: BTreeMap<Address, Vec<EffectRequest>>) -> (Arc<World>, Arc<Performer>) {
        let performer = Arc::new(Performer::default());
        let world = Arc::new(World {
            workers: Workers::bounded(vec![performer.clone()], BOUNDS),
            cause: cause(),
            wanted: Mutex::new(wanted),
            asked_again: Mutex::default(),
            journal_read: Mutex::default(),
            most: Mutex::default(),
        });
        world.workers.connect(world.clone());
        (world, performer)
    }

    async fn all_done(world: &World, performer: &Performer, number: usize) {
        let watchdog = Instant::now() + Duration::from_secs(120);
        while world.wanted.lock().values().any(|wanted| !wanted.is_empty()) {
            assert!(Instant::now() < watchdog, "{} of {number} were done", performer.0.lock().len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_hundred_thousand_wanted_effects_take_bounded_room_and_are_all_done_once() {
        let entities = 100_000;
        let wanted = (0..entities)
            .map(|n| (format!("t{}/p/k/{n}", n % 4).parse().unwrap(), vec![request(&format!("k{n}"))]))
            .collect();
        let (world, performer) = world(wanted);
        let all: Vec<Address> = world.wanted.lock().keys().cloned().collect();
        for address in &all {
            world.ask(address);
        }
        all_done(&world, &performer, entities).await;
        let mut done = performer.0.lock().clone();
        assert_eq!(done.len(), entities, "something was done twice");
        done.sort();
        done.dedup();
        assert_eq!(done.len(), entities);
        let (waiting, bytes, away) = *world.most.lock();
        assert!(waiting <= BOUNDS.items && bytes <= BOUNDS.bytes && away <= super::super::line::AWAY_MAX);
        assert!(*world.journal_read.lock() >= 2, "more were turned away than are remembered");
        // Nobody asks for nothing again and again.
        let again = *world.asked_again.lock();
        assert!(again <= entities * 2, "{again} times somebody was told to ask again");
    }

    #[tokio::test]
    async fn while_one_tenant_wants_ten_thousand_effects_another_has_its_turn() {
        let flood = (0..100).map(|n| {
            let wanted = (0..100).map(|k| request(&format!("flood-{n}-{k}"))).collect();
            (format!("flood/p/k/{n}").parse().unwrap(), wanted)
        });
        let (world, performer) = world(flood.collect());
        let all: Vec<Address> = world.wanted.lock().keys().cloned().collect();
        for address in &all {
            world.ask(address);
        }
        tokio::task::yield_now().await;
        let before = performer.0.lock().len();
        let quiet: Address = "quiet/p/k/1".parse().unwrap();
        world.wanted.lock().insert(quiet.clone(), vec![request("quiet")]);
        world.ask(&quiet);
        all_done(&world, &performer, 10_001).await;
        let place = performer.0.lock().iter().position(|key| key == "quiet").unwrap();
        assert!(place <= before + 32, "{before} were done before it asked, and it was served at {place}");
        assert_eq!(performer.0.lock().len(), 10_001);
        let again = *world.asked_again.lock();
        assert!(again <= 1_500, "{again} times somebody was told to ask again");
    }

    #[tokio::test]
    async fn what_was_cancelled_and_is_wanted_again_is_done() {
        let address: Address = "acme/p/k/1".parse().unwrap();
        let (world, performer) = world([(address.clone(), vec![request("once")])].into());
        world.ask(&address);
        world.workers.cancel(&address, &IdempotencyKey::parse("once").unwrap());
        world.ask(&address);
        all_done(&world, &performer, 1).await;
        assert_eq!(performer.0.lock().len(), 1);
    }
}
