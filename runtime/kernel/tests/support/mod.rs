//! A kernel around a counter: the smallest entity that decides, wants effects and refuses.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its own part")]

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mesh_journal::{EmbeddedJournal, Options};
use mesh_kernel::{
    BoxFuture,
    actor::{ActorConfig, Bounds, DeadLetter, DeadLetterSink, Tree},
    entity::{Cause, Decider, EffectRequest, Kinds, Recorded, Wants, encode_tagged},
    envelope::{
        Address, ErrorKind, IdempotencyKey, Kind, Payload, Principal, Refusal, Refuse, Role, TenantId, Timestamp,
    },
    path::{Caller, Command, Mesh, Parts, Settings},
    ports::{
        Approvals, Authenticator, Clock, Concurrency, Credential, Decision, EffectCall, Effects, Identity, Ids,
        Journal, NoApprovals, Outcome, Policy, Request,
    },
    tenant::{Quota, Quotas},
    work::Workers,
};
use serde::{Deserialize, Serialize};

pub const COUNTER: Kind = Kind { platform: "control-plane", name: "counter" };

#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    AddCount { by: i64 },
    StartWork { name: String },
    RecordWork { name: String },
    BreakDown {},
    WriteNonsense {},
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Fact {
    CountAdded { by: i64 },
    WorkStarted { name: String },
    WorkRecorded { name: String },
    NonsenseWritten {},
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Count {
    pub count: i64,
    pub open: Vec<String>,
    pub done: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not open")]
pub struct NotOpen(String);

impl Refuse for NotOpen {
    fn code(&self) -> &'static str {
        "CNT-0001"
    }
    fn kind(&self) -> ErrorKind {
        ErrorKind::FailedPrecondition
    }
}

pub struct Counter;

impl Decider for Counter {
    type State = Count;
    type Command = Ask;
    type Event = Fact;
    type Error = NotOpen;
    const KIND: Kind = COUNTER;

    fn initial(&self, _address: &Address) -> Count {
        Count::default()
    }

    fn decide(&self, state: &Count, command: Ask, _cause: &Cause) -> Result<Vec<Fact>, NotOpen> {
        Ok(match command {
            Ask::AddCount { by: 0 } => vec![],
            Ask::AddCount { by } => vec![Fact::CountAdded { by }],
            Ask::StartWork { name } => vec![Fact::WorkStarted { name }],
            Ask::RecordWork { name } if state.open.contains(&name) => vec![Fact::WorkRecorded { name }],
            Ask::RecordWork { name } => return Err(NotOpen(name)),
            Ask::BreakDown {} => panic!("asked to break down"),
            Ask::WriteNonsense {} => vec![Fact::NonsenseWritten {}],
        })
    }

    fn evolve(&self, state: &mut Count, event: Fact, _recorded: &Recorded<'_>) {
        match event {
            Fact::CountAdded { by } => state.count += by,
            Fact::WorkStarted { name } => state.open.push(name),
            Fact::WorkRecorded { name } => {
                state.open.retain(|open| *open != name);
                state.done.push(name);
            }
            Fact::NonsenseWritten {} => {}
        }
    }

    fn wants(&self, state: &Count) -> Wants {
        let effect = |name: &String| EffectRequest {
            key: IdempotencyKey::parse(&format!("work.{name}")).unwrap(),
            handler: "work",
            attempt: 1,
            input: bytes::Bytes::from(name.clone()),
            timeout: None,
        };
        Wants { effects: state.open.iter().map(effect).collect(), timers: Vec::new() }
    }

    fn upcast(&self, name: &str, _: u32, payload: &[u8]) -> Result<Fact, mesh_kernel::entity::CodecError> {
        match name {
            "NonsenseWritten" => Err(mesh_kernel::entity::CodecError::Unknown(name.to_owned())),
            _ => mesh_kernel::entity::decode_tagged(name, payload),
        }
    }
}

/// A clock that stands until it is moved.
pub struct Hand(pub AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.0.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed) as u64)
    }
}

/// Ids that are never drawn twice, not even by the kernel of a later start.
#[derive(Default)]
pub struct Numbered;

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Ids for Numbered {
    fn random(&self) -> [u8; 10] {
        let mut ten = [0; 10];
        ten[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        ten
    }
}

/// Takes `tenant:role` as a key.
pub struct ByName;

impl Authenticator for ByName {
    fn authenticate(&self, credential: &Credential) -> Result<Identity, Refusal> {
        let Credential::ApiKey(key) = credential else {
            return Err(Refusal::new("T", ErrorKind::Unauthenticated, "no session here"));
        };
        let (tenant, role) = key.split_once(':').unwrap_or((key, "admin"));
        Ok(Identity {
            tenant: TenantId::parse(tenant)
                .map_err(|e| Refusal::new("T", ErrorKind::Unauthenticated, e.to_string()))?,
            principal: Principal {
                name: format!("key:{role}"),
                roles: role.parse::<Role>().into_iter().collect(),
                on_behalf_of: None,
            },
        })
    }
}

pub struct Everything;

impl Policy for Everything {
    fn decide(&self, request: &Request<'_>) -> Decision {
        if request.principal.has(Role::Viewer) && !request.action.starts_with("Get") {
            return Decision::Deny { reason: "a viewer only reads".to_owned() };
        }
        if request.action == "StartWork" && request.principal.has(Role::Developer) {
            return Decision::RequiresApproval { policy: "four-eyes".to_owned() };
        }
        Decision::Allow { policy: "test".to_owned() }
    }
}

#[derive(Default)]
pub struct Morgue(pub Mutex<Vec<DeadLetter>>);

impl DeadLetterSink for Morgue {
    fn put(&self, dead: DeadLetter) {
        self.0.lock().unwrap().push(dead);
    }
}

/// Performs `work`: counts, and answers only while it is allowed to.
#[derive(Default)]
pub struct Worker {
    pub performed: Mutex<Vec<String>>,
    pub answers: AtomicUsize,
    /// While this is set, work is done and its outcome is never told.
    pub mute: std::sync::atomic::AtomicBool,
}

impl Effects for Worker {
    fn handlers(&self) -> Vec<&'static str> {
        vec!["work"]
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency { total: 16, per_tenant: 12, ..Concurrency::default() }
    }

    fn perform(&self, call: EffectCall) -> BoxFuture<'_, Option<Outcome>> {
        Box::pin(async move {
            let name = String::from_utf8(call.request.input.to_vec()).unwrap();
            self.performed.lock().unwrap().push(name.clone());
            if self.mute.load(Ordering::SeqCst) {
                call.cancelled.cancelled().await;
                return None;
            }
            Some(encode_tagged(&Ask::RecordWork { name }, 1).unwrap())
        })
    }

    fn failed(&self, _request: &EffectRequest, _reason: &str) -> Option<Outcome> {
        None
    }
}

/// Room for the effects that wait for a worker, when a test says nothing.
const WAITING: Bounds = Bounds { items: 4096, bytes: 32 << 20 };

/// A kernel on a folder.
pub struct Kernel {
    pub mesh: Mesh,
    pub tree: Arc<Tree>,
    pub journal: Arc<EmbeddedJournal>,
    pub morgue: Arc<Morgue>,
    pub worker: Arc<Worker>,
    pub hand: Arc<Hand>,
}

impl Kernel {
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, Settings { sample_one_in: 1, ..Settings::default() }).await
    }

    pub async fn start_with(folder: &Path, settings: Settings) -> Self {
        Self::start_bounded(folder, settings, WAITING).await
    }

    /// With these bounds for the effects that wait for a worker.
    pub async fn start_bounded(folder: &Path, settings: Settings, waiting: Bounds) -> Self {
        Self::start_whole(folder, settings, waiting, Arc::new(NoApprovals)).await
    }

    /// With somebody to ask for what needs an approval.
    pub async fn start_asking(folder: &Path, settings: Settings, approvals: Arc<dyn Approvals>) -> Self {
        Self::start_whole(folder, settings, WAITING, approvals).await
    }

    async fn start_whole(folder: &Path, settings: Settings, waiting: Bounds, approvals: Arc<dyn Approvals>) -> Self {
        Self::start_on(open(folder), settings, waiting, approvals, Quota::default()).await
    }

    /// With this quota for each tenant.
    pub async fn start_metered(folder: &Path, quota: Quota) -> Self {
        Self::start_on(open(folder), Settings::default(), WAITING, Arc::new(NoApprovals), quota).await
    }

    /// A second kernel on the same journal, as if another node believed that the shard is its own.
    pub async fn beside(&self) -> Self {
        let journal = self.journal.clone();
        Self::start_on(journal, Settings::default(), WAITING, Arc::new(NoApprovals), Quota::default()).await
    }

    async fn start_on(
        journal: Arc<EmbeddedJournal>,
        settings: Settings,
        waiting: Bounds,
        approvals: Arc<dyn Approvals>,
        quota: Quota,
    ) -> Self {
        let hand = Arc::new(Hand(AtomicI64::new(1_700_000_000_000_000_000)));
        let (morgue, worker) = (Arc::new(Morgue::default()), Arc::new(Worker::default()));
        let clock: Arc<dyn Clock> = hand.clone();
        let tree = support_tree(clock.clone()).await;
        let mesh = Mesh::new(Parts {
            journal: journal.clone(),
            kinds: Kinds::default().with(Counter),
            clock: clock.clone(),
            ids: Arc::new(Numbered),
            policy: Arc::new(Everything),
            approvals,
            authenticator: Arc::new(ByName),
            quotas: Quotas::new(quota, clock),
            workers: Workers::bounded(vec![worker.clone()], waiting),
            dead_letters: morgue.clone(),
            tree: tree.clone(),
            actors: ActorConfig::default(),
            settings,
        });
        Self { mesh, tree, journal, morgue, worker, hand }
    }

    pub fn caller(&self, key: &str) -> Caller {
        self.mesh.accept(&Credential::ApiKey(key.to_owned()), None).unwrap()
    }

    /// Stops as a crash would: nothing is drained, only the files are let go.
    pub async fn crash(self) {
        self.mesh.workers().stop(Duration::ZERO).await;
        self.journal.close().await;
    }
}

fn open(folder: &Path) -> Arc<EmbeddedJournal> {
    EmbeddedJournal::open(folder, Options { segment_bytes: 16 << 20, ..Options::default() }).unwrap()
}

async fn support_tree(clock: Arc<dyn Clock>) -> Arc<Tree> {
    Tree::start(&[("control", &["control-plane"])], clock).await.unwrap()
}

pub fn address(tenant: &str, id: &str) -> Address {
    Address::new(&TenantId::parse(tenant).unwrap(), COUNTER, id).unwrap()
}

pub fn ask(tenant: &str, id: &str, ask: &Ask) -> Command {
    Command::new(address(tenant, id), encode_tagged(ask, 1).unwrap())
}

pub fn keyed(mut command: Command, key: &str) -> Command {
    command.key = Some(IdempotencyKey::parse(key).unwrap());
    command
}

pub fn payload(ask: &Ask) -> Payload {
    encode_tagged(ask, 1).unwrap()
}

/// Waits until something holds; a watchdog, not a measure.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come to hold");
}
