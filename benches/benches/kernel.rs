//! A message through the mailbox, beside bare ractor and a bounded tokio channel in the same run.
//!
//! All three carry an `Arc` of the same envelope to a receiver that only counts. The mailbox does
//! what the others do not: bounds in bytes, lanes, deadlines, histograms, a guard against loss.
//! `cargo bench -p mesh-benches --bench kernel`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mesh_kernel::{
    BoxFuture,
    actor::{
        ActorConfig, Answered, Behaviour, Crash, DeadLetter, DeadLetterSink, Directory, Item, Lane, SlotHandle,
        Spawner, Tree,
    },
    envelope::{Address, Envelope, EventId, Headers, Principal, Timestamp, TraceId},
    ports::{Clock, Position},
    task,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::runtime::{Builder, Runtime};

/// Messages of one measurement.
const MESSAGES: u64 = 20_000;

struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::default().plus(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct NoDead;

impl DeadLetterSink for NoDead {
    fn put(&self, dead: DeadLetter) {
        unreachable!("{dead:?} is a dead letter");
    }
}

/// Counts what it gets.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU64>);

impl Count {
    fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    async fn reaches(&self, number: u64) {
        while self.0.load(Ordering::Relaxed) < number {
            tokio::task::yield_now().await;
        }
    }
}

impl Behaviour for Count {
    fn start(&mut self) -> BoxFuture<'_, Result<(), Crash>> {
        Box::pin(async { Ok(()) })
    }

    fn handle<'a>(&'a mut self, item: &'a mut Item) -> BoxFuture<'a, Result<(), Crash>> {
        self.one();
        if item.reply.is_some() {
            item.answer(Ok(Answered {
                version: 0,
                position: Position::default(),
                events: Vec::new(),
                view: Default::default(),
                repeated: false,
            }));
        }
        Box::pin(async { Ok(()) })
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

impl Spawner for Count {
    fn behaviour(&self, _: &Address, _: &SlotHandle) -> Box<dyn Behaviour> {
        Box::new(self.clone())
    }
}

struct Bare;

impl Actor for Bare {
    type Msg = Arc<Envelope>;
    type State = Count;
    type Arguments = Count;

    async fn pre_start(&self, _: ActorRef<Arc<Envelope>>, count: Count) -> Result<Count, ActorProcessingErr> {
        Ok(count)
    }

    async fn handle(
        &self,
        _: ActorRef<Arc<Envelope>>,
        envelope: Arc<Envelope>,
        count: &mut Count,
    ) -> Result<(), ActorProcessingErr> {
        drop(envelope);
        count.one();
        Ok(())
    }
}

fn envelope(id: &str) -> Arc<Envelope> {
    let subject: Address = format!("acme/control-plane/run/{id}").parse().unwrap_or_else(|_| unreachable!());
    let event_id = EventId::parse("evt-1").unwrap_or_else(|_| unreachable!());
    Arc::new(Envelope {
        event_type: Arc::from("DoNothing"),
        tenant_id: subject.tenant().clone(),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse("trace-1").unwrap_or_else(|_| unreachable!()),
        correlation_id: (&event_id).into(),
        causation_id: event_id.clone(),
        event_id,
        occurred_at: Timestamp::default(),
        payload: vec![b'x'; 300].into(),
        headers: Headers::new(subject, Principal::system("bench")),
    })
}

/// Sleeping entities are put away between two measurements, not while one runs.
const IDLE_AFTER: Duration = Duration::from_millis(400);

async fn directory(count: &Count) -> Arc<Directory> {
    let clock: Arc<dyn Clock> = Arc::new(Wall(Instant::now()));
    let tree = Tree::start(&[("control", &["control-plane"])], clock.clone()).await;
    let tree = tree.unwrap_or_else(|error| unreachable!("{error}"));
    let config = ActorConfig { idle_after: IDLE_AFTER, ..ActorConfig::default() };
    Directory::new(config, tree, Arc::new(count.clone()), clock, Arc::new(NoDead))
}

fn runtimes() -> [(&'static str, Runtime); 2] {
    let built = |builder: &mut Builder| builder.enable_all().build().unwrap_or_else(|error| unreachable!("{error}"));
    [
        ("1 thread", built(&mut Builder::new_current_thread())),
        ("2 threads", built(Builder::new_multi_thread().worker_threads(2))),
    ]
}

fn until() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(60)
}

async fn tell_mailbox() -> Duration {
    let count = Count::default();
    let (directory, message) = (directory(&count).await, envelope("run-1"));
    let began = Instant::now();
    let sender = task::spawn("bench", async move {
        for _ in 0..MESSAGES {
            let item = Item::new(message.clone(), None);
            if let Err(undelivered) = directory.deliver(item, Lane::Work, until()).await {
                unreachable!("{undelivered}");
            }
        }
        directory
    });
    count.reaches(MESSAGES).await;
    let took = began.elapsed();
    drop(sender.await);
    took
}

async fn tell_bare() -> Duration {
    let (count, message) = (Count::default(), envelope("run-1"));
    let spawned = Bare::spawn(None, Bare, count.clone()).await;
    let Ok((actor, handle)) = spawned else { unreachable!("an actor starts") };
    let began = Instant::now();
    let sender = task::spawn("bench", async move {
        for n in 0..MESSAGES {
            if actor.send_message(message.clone()).is_err() {
                unreachable!("the actor lives");
            }
            // Its mailbox has no bound: without this one measures the allocator.
            if n % 64 == 63 {
                tokio::task::yield_now().await;
            }
        }
        actor
    });
    count.reaches(MESSAGES).await;
    let took = began.elapsed();
    if let Ok(actor) = sender.await {
        actor.stop(None);
    }
    drop(handle.await);
    took
}

async fn tell_channel() -> Duration {
    let (count, message) = (Count::default(), envelope("run-1"));
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Arc<Envelope>>(1024);
    let counted = count.clone();
    let receiving = task::spawn("bench", async move {
        while receiver.recv().await.is_some() {
            counted.one();
        }
    });
    let began = Instant::now();
    task::spawn("bench", async move {
        for _ in 0..MESSAGES {
            if sender.send(message.clone()).await.is_err() {
                unreachable!("the receiver lives");
            }
        }
    });
    count.reaches(MESSAGES).await;
    let took = began.elapsed();
    drop(receiving.await);
    took
}

/// Runs one measurement as often as criterion wants it, and charges a message its part.
fn each(runtime: &Runtime, times: u64, mut run: impl FnMut(&Runtime) -> Duration) -> Duration {
    (0..times).map(|_| run(runtime)).sum()
}

fn tell(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tell");
    group.sample_size(10).throughput(Throughput::Elements(MESSAGES));
    for (threads, runtime) in runtimes() {
        group.bench_function(BenchmarkId::new("mailbox", threads), |bench| {
            bench.iter_custom(|times| each(&runtime, times, |runtime| runtime.block_on(tell_mailbox())));
        });
        group.bench_function(BenchmarkId::new("bare ractor", threads), |bench| {
            bench.iter_custom(|times| each(&runtime, times, |runtime| runtime.block_on(tell_bare())));
        });
        group.bench_function(BenchmarkId::new("tokio mpsc 1024", threads), |bench| {
            bench.iter_custom(|times| each(&runtime, times, |runtime| runtime.block_on(tell_channel())));
        });
    }
    group.finish();
}

async fn asked(directory: &Directory, message: Arc<Envelope>) {
    let (reply, answer) = tokio::sync::oneshot::channel();
    let item = Item::new(message, Some(reply));
    if let Err(undelivered) = directory.deliver(item, Lane::Work, until()).await {
        unreachable!("{undelivered}");
    }
    drop(answer.await);
}

/// An ask of an entity that is awake and idle, and of one that sleeps (without its journal read).
fn ask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ask");
    group.sample_size(10);
    for (threads, runtime) in runtimes() {
        let count = Count::default();
        let directory = runtime.block_on(directory(&count));
        let awake = envelope("run-1");
        group.bench_function(BenchmarkId::new("awake", threads), |bench| {
            bench.iter_custom(|times| {
                runtime.block_on(async {
                    let began = Instant::now();
                    for _ in 0..times {
                        asked(&directory, awake.clone()).await;
                    }
                    began.elapsed()
                })
            });
        });
        let next = AtomicU64::new(0);
        group.bench_function(BenchmarkId::new("asleep", threads), |bench| {
            bench.iter_custom(|times| {
                let asleep = |_| envelope(&format!("new-{}", next.fetch_add(1, Ordering::Relaxed)));
                let messages: Vec<_> = (0..times.min(5_000)).map(asleep).collect();
                let part = messages.len() as u64;
                let took = runtime.block_on(async {
                    let began = Instant::now();
                    for message in messages {
                        asked(&directory, message).await;
                    }
                    let took = began.elapsed();
                    tokio::time::sleep(IDLE_AFTER).await;
                    directory.sweep();
                    took
                });
                took.mul_f64(times as f64 / part as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, tell, ask);
criterion_main!(benches);
