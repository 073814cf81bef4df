//! What the tests of the actor floor share: a directory whose entities do what their messages say.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Once, OnceLock, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mesh_kernel::{
    BoxFuture,
    actor::{
        ActorConfig, Answer, Answered, Behaviour, Crash, DeadLetter, DeadLetterSink, Directory, Intensity, Item, Lane,
        SlotHandle, Spawner, Tree,
    },
    envelope::{Address, Envelope, EventId, Headers, Principal, Refusal, Timestamp, TraceId},
    ports::{Clock, Position},
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The machine's own clock.
pub struct WallClock(Instant);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::default().plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        // One second ahead, so that a deadline can lie in the past.
        self.0.elapsed() + Duration::from_secs(1)
    }
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(WallClock(Instant::now()))
}

/// What the entities did, seen from outside.
#[derive(Default)]
pub struct Log {
    /// Messages that were handled to the end, per address, in order: `sender seq`.
    pub done: Mutex<HashMap<String, Vec<(u64, u64)>>>,
    /// Behaviours that exist now, and the most that ever did, per address.
    living: Mutex<HashMap<String, (i64, i64)>>,
    /// How often each message was begun.
    begun: Mutex<HashMap<String, u32>>,
    pub starts: AtomicU64,
    pub parks: AtomicU64,
    /// Handlers that were told to block their thread, and whether they may go on.
    pub spins: AtomicU64,
    pub released: AtomicBool,
    /// Starts that fail before one succeeds.
    pub failing_starts: AtomicI64,
    pub dead: Mutex<Vec<DeadLetter>>,
    pub size: AtomicU64,
    /// Where those look who send something themselves.
    pub directory: OnceLock<Weak<Directory>>,
    /// What they were refused.
    pub refused: Mutex<Vec<Refusal>>,
}

impl Log {
    pub fn done(&self, address: &str) -> Vec<(u64, u64)> {
        self.done.lock().get(address).cloned().unwrap_or_default()
    }

    pub fn most_at_once(&self) -> i64 {
        self.living.lock().values().map(|(_, most)| *most).max().unwrap_or(0)
    }

    pub fn living(&self) -> i64 {
        self.living.lock().values().map(|(now, _)| *now).sum()
    }

    fn born(&self, address: &str) {
        let mut living = self.living.lock();
        let entry = living.entry(address.to_owned()).or_default();
        entry.0 += 1;
        entry.1 = entry.1.max(entry.0);
    }

    fn died(&self, address: &str) {
        if let Some(entry) = self.living.lock().get_mut(address) {
            entry.0 -= 1;
        }
    }
}

impl DeadLetterSink for Log {
    fn put(&self, dead: DeadLetter) {
        self.dead.lock().push(dead);
    }
}

/// Does what its messages say: `verb sender seq`.
struct Puppet {
    address: String,
    slot: SlotHandle,
    log: Arc<Log>,
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.log.died(&self.address);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Told(pub String);

impl Puppet {
    /// Blocks its thread until it is released, or a minute has passed.
    fn spin(&self) {
        let began = Instant::now();
        self.log.spins.fetch_add(1, Ordering::Relaxed);
        while !self.log.released.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What it is told, and for which time.
    fn begin(&self, item: &Item) -> (String, u64, u64, u32) {
        let text = String::from_utf8_lossy(&item.envelope.payload).into_owned();
        let times = {
            let mut begun = self.log.begun.lock();
            let entry = begun.entry(item.envelope.event_id.to_string()).or_default();
            *entry += 1;
            *entry
        };
        let mut words = text.split(' ');
        let verb = words.next().unwrap_or_default().to_owned();
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        (verb, number(), number(), times)
    }

    fn done(&self, item: &mut Item, sender: u64, seq: u64, times: u32) {
        self.log.done.lock().entry(self.address.clone()).or_default().push((sender, seq));
        item.answer(Ok(answered(times.into())));
    }

    /// Asks the first of these addresses, which shall ask the next one, and so on.
    async fn ask_along(&self, mut way: std::str::SplitN<'_, char>) -> Answer {
        let Some(to) = way.next() else { return Ok(answered(1)) };
        let rest = way.next().map_or_else(|| "ok 1 1".to_owned(), |rest| format!("ask 1 1 {rest}"));
        let (item, answer) = ask(to, &rest);
        let directory = self.log.directory.get().and_then(Weak::upgrade).expect("a stage");
        let asked = directory.deliver(item, Lane::Work, soon()).await;
        asked.map_err(|undelivered| undelivered.refusal)?;
        answer.await.expect("an answer, whatever happens")
    }

    /// Tells another one, and waits for room for a while.
    async fn push_to(&self, to: &str) {
        let directory = self.log.directory.get().and_then(Weak::upgrade).expect("a stage");
        let until = tokio::time::Instant::now() + Duration::from_millis(50);
        if let Err(undelivered) = directory.deliver(tell(to, "ok 2 1"), Lane::Work, until).await {
            self.log.refused.lock().push(undelivered.refusal);
        }
    }

    async fn act(&mut self, item: &mut Item) -> Result<(), Crash> {
        let text = String::from_utf8_lossy(&item.envelope.payload).into_owned();
        let (verb, sender, seq, times) = self.begin(item);
        let verb = verb.as_str();
        match verb {
            "panic" => panic!("told to"),
            "fail" => return Err(Crash::Failed(Box::new(Told(format!("failed {times}"))))),
            "fail-once" if times == 1 => return Err(Crash::Failed(Box::new(Told("once".to_owned())))),
            "retry-thrice" if times <= 3 => {
                return Err(Crash::Retry(Box::new(Told("the journal is away".to_owned()))));
            }
            "undecodable" => {
                return Err(Crash::Quarantine { version: 7, reason: Box::new(Told("no such variant".to_owned())) });
            }
            "hang" => std::future::pending::<()>().await,
            "hang-once" if times == 1 => std::future::pending::<()>().await,
            "spin" => self.spin(),
            "nap" => tokio::time::sleep(Duration::from_millis(seq)).await,
            "yield" => tokio::task::yield_now().await,
            "silent" => return Ok(()),
            "ask" => {
                let way = text.splitn(4, ' ').nth(3).unwrap_or_default();
                let answer = self.ask_along(way.splitn(2, ' ')).await;
                item.answer(answer);
            }
            "push" => self.push_to(text.splitn(4, ' ').nth(3).unwrap_or_default()).await,
            "publish" => self.slot.publish(Arc::new(seq)),
            _ => {}
        }
        self.done(item, sender, seq, times);
        Ok(())
    }
}

pub fn answered(version: u64) -> Answered {
    Answered {
        version,
        position: Position::default(),
        events: Vec::new(),
        view: serde_json::Value::Null,
        repeated: false,
    }
}

impl Behaviour for Puppet {
    fn start(&mut self) -> BoxFuture<'_, Result<(), Crash>> {
        Box::pin(async move {
            self.log.starts.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if self.address.contains("/slow-") {
                std::future::pending::<()>().await;
            }
            if self.log.failing_starts.fetch_sub(1, Ordering::Relaxed) > 0 {
                return Err(Crash::Failed(Box::new(Told("cannot load".to_owned()))));
            }
            Ok(())
        })
    }

    /// Every second message that needs no waiting is handled at once, so that each test has both ways.
    fn handle_at_once(&mut self, item: &mut Item) -> Option<Result<(), Crash>> {
        let text = String::from_utf8_lossy(&item.envelope.payload);
        let verb = text.split(' ').next().unwrap_or_default();
        let even = text.split(' ').nth(2).and_then(|word| word.parse::<u64>().ok()).is_some_and(|seq| seq % 2 == 0);
        if !even || !["ok", "panic", "fail", "fail-once"].contains(&verb) {
            return None;
        }
        let (verb, sender, seq, times) = self.begin(item);
        match verb.as_str() {
            "panic" => panic!("told to"),
            "fail" => return Some(Err(Crash::Failed(Box::new(Told(format!("failed {times}")))))),
            "fail-once" if times == 1 => return Some(Err(Crash::Failed(Box::new(Told("once".to_owned()))))),
            _ => {}
        }
        self.done(item, sender, seq, times);
        Some(Ok(()))
    }

    fn handle<'a>(&'a mut self, item: &'a mut Item) -> BoxFuture<'a, Result<(), Crash>> {
        Box::pin(self.act(item))
    }

    fn may_park(&self) -> bool {
        true
    }

    fn park(&mut self) -> BoxFuture<'_, ()> {
        self.log.parks.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {})
    }

    fn size(&self) -> usize {
        self.log.size.load(Ordering::Relaxed) as usize
    }
}

struct Puppeteer(Arc<Log>);

impl Spawner for Puppeteer {
    fn behaviour(&self, address: &Address, slot: &SlotHandle) -> Box<dyn Behaviour> {
        self.0.born(address.as_str());
        Box::new(Puppet { address: address.to_string(), slot: slot.clone(), log: self.0.clone() })
    }
}

/// A directory under test.
pub struct Stage {
    pub directory: Arc<Directory>,
    pub tree: Arc<Tree>,
    pub log: Arc<Log>,
}

pub const TREE: &[(&str, &[&str])] = &[("control", &["control-plane", "governance"]), ("product", &["product"])];

/// A configuration that never quarantines and never puts to sleep by itself.
pub fn patient() -> ActorConfig {
    let mut config = ActorConfig { idle_after: Duration::from_secs(3600), ..ActorConfig::default() };
    config.entity_restart.intensity = Intensity { most: u32::MAX - 1, within: Duration::from_millis(1) };
    config.entity_restart.backoff.base = Duration::from_millis(1);
    config.entity_restart.backoff.cap = Duration::from_millis(5);
    config
}

pub async fn stage(config: ActorConfig) -> Stage {
    silence_told_panics();
    let clock = clock();
    let log = Arc::new(Log::default());
    let tree = Tree::start(TREE, clock.clone()).await.unwrap();
    let spawner = Arc::new(Puppeteer(log.clone()));
    let directory = Directory::new(config, tree.clone(), spawner, clock, log.clone());
    let _ = log.directory.set(Arc::downgrade(&directory));
    Stage { directory, tree, log }
}

/// A panic that a test asked for says nothing; any other is shown as usual.
fn silence_told_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"told to") {
                usual(info);
            }
        }));
    });
}

static IDS: AtomicU64 = AtomicU64::new(1);

pub fn envelope(address: &str, text: &str) -> Envelope {
    let number = IDS.fetch_add(1, Ordering::Relaxed);
    let subject: Address = address.parse().unwrap();
    let event_id = EventId::parse(&format!("evt-{number}")).unwrap();
    Envelope {
        event_type: Arc::from(text.split(' ').next().unwrap()),
        tenant_id: subject.tenant().clone(),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse("trace-1").unwrap(),
        correlation_id: (&event_id).into(),
        causation_id: event_id.clone(),
        event_id,
        occurred_at: Timestamp::default(),
        payload: text.as_bytes().to_vec().into(),
        headers: Headers::new(subject, Principal::system("test")),
    }
}

pub fn tell(address: &str, text: &str) -> Item {
    Item::new(Arc::new(envelope(address, text)), None)
}

pub fn ask(address: &str, text: &str) -> (Item, oneshot::Receiver<Answer>) {
    let (reply, answer) = oneshot::channel();
    (Item::new(Arc::new(envelope(address, text)), Some(reply)), answer)
}

impl Stage {
    /// Sends a message and waits for its answer.
    pub async fn call(&self, address: &str, text: &str) -> Answer {
        let (item, answer) = ask(address, text);
        if let Err(undelivered) = self.directory.deliver(item, Lane::Work, soon()).await {
            return Err(undelivered.refusal);
        }
        watched(answer).await.expect("an answer, whatever happens")
    }
}

/// A deadline that a working program never reaches.
pub fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(60)
}

/// Waits as long as a watchdog of a test may.
pub async fn watched<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

/// Looks again and again until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let watchdog = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < watchdog, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A seeded generator, so that a failing run can be repeated.
pub struct Dice(pub u64);

impl Dice {
    /// The seed of this run: `MESH_SEED`, or a fresh one; printed, and so shown when a test fails.
    pub fn seeded() -> Self {
        let given = std::env::var("MESH_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            use std::hash::{BuildHasher as _, Hasher as _};
            std::hash::RandomState::new().build_hasher().finish()
        });
        println!("MESH_SEED={seed}");
        Self(seed)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
