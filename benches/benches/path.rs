//! One envelope through the eight steps, on a real disk with the flush on.
//!
//! Beside it, in the same run, what it cannot beat: the bare flush of as many bytes. `cargo bench -p
//! mesh-benches --bench path`.

#![expect(clippy::expect_used, reason = "a bench that cannot go on says why and ends")]

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mesh_journal::{EmbeddedJournal, Options};
use mesh_kernel::{
    actor::{ActorConfig, DeadLetter, DeadLetterSink, Tree},
    entity::{Cause, Decider, Kinds, Recorded, encode_tagged},
    envelope::{Address, ErrorKind, Kind, Principal, Refusal, Refuse, Role, TenantId, Timestamp},
    path::{Caller, Command, Mesh, Parts, Settings},
    ports::{Authenticator, Clock, Credential, Decision, Identity, Ids, NoApprovals, Policy, Request},
    tenant::{Quota, Quotas},
    work::Workers,
};
use serde::{Deserialize, Serialize};

const COUNTER: Kind = Kind { platform: "control-plane", name: "counter" };

#[derive(Deserialize, Serialize)]
enum Ask {
    AddCount { by: i64, note: String },
}

#[derive(Deserialize, Serialize)]
enum Fact {
    CountAdded { by: i64, note: String },
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl Refuse for Never {
    fn code(&self) -> &'static str {
        "NEVER"
    }
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

struct Counter;

impl Decider for Counter {
    type State = i64;
    type Command = Ask;
    type Event = Fact;
    type Error = Never;
    const KIND: Kind = COUNTER;

    fn initial(&self, _: &Address) -> i64 {
        0
    }

    fn decide(&self, _: &i64, command: Ask, _: &Cause) -> Result<Vec<Fact>, Never> {
        let Ask::AddCount { by, note } = command;
        Ok(vec![Fact::CountAdded { by, note }])
    }

    fn evolve(&self, state: &mut i64, event: Fact, _: &Recorded<'_>) {
        let Fact::CountAdded { by, .. } = event;
        *state += by;
    }
}

struct Machine(Instant);

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(1_700_000_000_000_000_000 + self.0.elapsed().as_nanos() as i64)
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[derive(Default)]
struct Numbered(AtomicU64);

impl Ids for Numbered {
    fn random(&self) -> [u8; 10] {
        let mut ten = [0; 10];
        ten[..8].copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        ten
    }
}

struct Open;

impl Authenticator for Open {
    fn authenticate(&self, _: &Credential) -> Result<Identity, Refusal> {
        let tenant = TenantId::parse("bench").map_err(|e| Refusal::new("B", ErrorKind::Internal, e.to_string()))?;
        let principal = Principal { name: "key:bench".into(), roles: vec![Role::Admin], on_behalf_of: None };
        Ok(Identity { tenant, principal })
    }
}

impl Policy for Open {
    fn decide(&self, _: &Request<'_>) -> Decision {
        Decision::Allow { policy: "bench".into() }
    }
}

impl DeadLetterSink for Open {
    fn put(&self, dead: DeadLetter) {
        eprintln!("dead letter: {:?}", dead.errors);
    }
}

async fn kernel(folder: &std::path::Path) -> (Mesh, Caller) {
    let clock: Arc<dyn Clock> = Arc::new(Machine(Instant::now()));
    let tree = Tree::start(&[("control", &["control-plane"])], clock.clone()).await.expect("the tree");
    let mesh = Mesh::new(Parts {
        journal: EmbeddedJournal::open(folder, Options::default()).expect("the journal"),
        kinds: Kinds::default().with(Counter),
        clock: clock.clone(),
        ids: Arc::new(Numbered::default()),
        policy: Arc::new(Open),
        approvals: Arc::new(NoApprovals),
        authenticator: Arc::new(Open),
        quotas: Quotas::new(Quota { burst: 1e12, per_second: 1e12, ..Quota::default() }, clock),
        workers: Workers::new(Vec::new()),
        dead_letters: Arc::new(Open),
        tree,
        actors: ActorConfig::default(),
        settings: Settings::default(),
    });
    let caller = mesh.accept(&Credential::ApiKey("any".into()), None).expect("the caller");
    (mesh, caller)
}

async fn send(mesh: &Mesh, caller: &Caller, id: usize) {
    let address = Address::new(caller.tenant(), COUNTER, &format!("c{id}")).expect("an address");
    let ask = Ask::AddCount { by: 1, note: "x".repeat(100) };
    let mut command = Command::new(address, encode_tagged(&ask, 1).expect("a payload"));
    command.what = None;
    black_box(mesh.send(caller, command).await.expect("an answer"));
}

fn through_the_path(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("path");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    for in_flight in [1_usize, 32, 256] {
        let folder = tempfile::tempdir().expect("a folder");
        let (mesh, caller) = runtime.block_on(kernel(folder.path()));
        group.throughput(Throughput::Elements(in_flight as u64));
        group.bench_function(BenchmarkId::new("eight steps", in_flight), |b| {
            b.to_async(&runtime).iter(|| async {
                futures_util::future::join_all((0..in_flight).map(|id| send(&mesh, &caller, id))).await
            });
        });
        runtime.block_on(mesh.journal().close());
    }
    group.finish();
}

fn bare_flush(c: &mut Criterion) {
    use std::os::unix::fs::FileExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let file = std::fs::File::create(folder.path().join("bare")).expect("a file");
    file.write_all_at(&vec![0; 4 << 20], 0).expect("zeros");
    file.sync_all().expect("a flush");
    let mut group = c.benchmark_group("limit");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    let mut at = 0;
    group.bench_function("bare flush of 512 bytes", |b| {
        b.iter(|| {
            file.write_all_at(&[1; 512], at % (4 << 20)).expect("a write");
            file.sync_data().expect("a flush");
            at += 512;
        });
    });
    group.finish();
}

criterion_group!(benches, through_the_path, bare_flush);
criterion_main!(benches);
