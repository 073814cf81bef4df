//! Whole runs in one process: ten steps, each a native skill that answers at once, on a real disk with
//! the flush on. No gRPC and no read models: what the kernel, the run's machine and the journal cost.
//!
//! `cargo bench -p mesh-benches --bench workflow -- [seconds] [in flight …]`. It prints steps per second, the
//! process's CPU time per step, and the p50 of a run's time over its ten steps.

#![expect(clippy::expect_used, reason = "a bench that cannot go on says why and ends")]

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mesh_journal::{EmbeddedJournal, FolderStore, Options};
use mesh_kernel::{
    BoxFuture,
    actor::{ActorConfig, DeadLetter, DeadLetterSink, Tree},
    entity::{Kinds, encode_tagged},
    envelope::{Address, ErrorKind, Principal, Refusal, Role, TenantId, Timestamp, peek_type},
    path::{Caller, Command, Mesh, Parts, Settings},
    ports::{Authenticator, Clock, Credential, Decision, Identity, Ids, NoApprovals, Policy, Request},
    tenant::{Quota, Quotas},
    work::Workers,
};
use mesh_skills::{
    contract::{Call, Failure, Manifest, Registry, Skill},
    logs::LogStore,
    perform::SkillEffects,
};
use mesh_workflows::{
    definition::{Known, parse, to_json},
    run::{Command as RunCommand, DefinitionRef, KIND, RunDecider, SubmitRun},
};
use serde_json::{Value, json};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STEPS: usize = 10;

/// Answers at once with what it got.
struct AtOnce(Manifest);

impl Skill for AtOnce {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move { Ok(call.input) })
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
    let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    let skill = AtOnce(Manifest::new("bench.echo", "answers at once").takes(schema.clone()).gives(schema));
    let registry = Registry::new([Arc::new(skill) as Arc<dyn Skill>]).expect("the skills");
    let content = Arc::new(FolderStore::open(&folder.join("content"), 0));
    let logs = LogStore::open(folder.join("logs"), clock.clone()).expect("the logs");
    let mesh = Mesh::new(Parts {
        journal: EmbeddedJournal::open(&folder.join("journal"), Options::default()).expect("the journal"),
        kinds: Kinds::default().with(RunDecider::default()),
        clock: clock.clone(),
        ids: Arc::new(Numbered::default()),
        policy: Arc::new(Open),
        approvals: Arc::new(NoApprovals),
        authenticator: Arc::new(Open),
        quotas: Quotas::new(Quota { burst: 1e12, per_second: 1e12, ..Quota::default() }, clock),
        workers: Workers::new(vec![Arc::new(SkillEffects::new(registry, content, logs))]),
        dead_letters: Arc::new(Open),
        tree,
        actors: ActorConfig::default(),
        settings: Settings::default(),
    });
    let caller = mesh.accept(&Credential::ApiKey("any".into()), None).expect("the caller");
    (mesh, caller)
}

fn definition() -> (Value, DefinitionRef) {
    let mut text = String::from("name: ten\nsteps:\n");
    for step in 0..STEPS {
        text.push_str(&format!("  - id: s{step}\n    skill: bench.echo\n    with: {{text: \"hello\"}}\n"));
        if step > 0 {
            text.push_str(&format!("    needs: [s{}]\n", step - 1));
        }
    }
    let known = Known::default();
    let definition = parse(&text, None, &known).expect("the definition");
    let reference = DefinitionRef { name: "ten".into(), version: 1, digest: definition.digest };
    (to_json(&definition.message), reference)
}

async fn submit(mesh: &Mesh, caller: &Caller, ten: &(Value, DefinitionRef), id: &str) {
    let submit = RunCommand::SubmitRun(Box::new(SubmitRun {
        definition: ten.1.clone(),
        workflow: (&ten.0).into(),
        input: json!({}),
        request_id: None,
        body: None,
        project: None,
        labels: BTreeMap::new(),
        parent: None,
        submitted_by: None,
    }));
    let address = Address::new(caller.tenant(), KIND, id).expect("an address");
    let mut command = Command::new(address, encode_tagged(&submit, 1).expect("a payload"));
    command.what = None;
    mesh.send(caller, command).await.expect("an answer");
}

/// CPU seconds of this process, user and system.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

async fn level(in_flight: usize, time: Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mesh, caller) = kernel(folder.path()).await;
    let ten = definition();
    let mut feed = mesh.journal().follow(None, None).expect("a feed");
    let (mut begun, mut ended) = (HashMap::new(), Vec::new());
    let (start, used, mut next) = (Instant::now(), cpu(), 0_usize);
    loop {
        let mut fresh = Vec::new();
        while start.elapsed() < time && begun.len() < in_flight {
            let id = format!("run-{next}");
            next += 1;
            begun.insert(id.clone(), Instant::now());
            fresh.push(id);
        }
        if begun.is_empty() {
            break;
        }
        futures_util::future::join_all(fresh.iter().map(|id| submit(&mesh, &caller, &ten, id))).await;
        let followed = feed.next().await.expect("records");
        for record in followed.records {
            if peek_type(record.event.bytes()) == Some("RunSucceeded")
                && let Some(at) = begun.remove(record.address.id())
            {
                ended.push(at.elapsed());
            }
        }
    }
    let (took, used) = (start.elapsed().as_secs_f64(), cpu() - used);
    ended.sort();
    let steps = (ended.len() * STEPS) as f64;
    let p50 = ended.get(ended.len() / 2).copied().unwrap_or_default() / STEPS as u32;
    println!(
        "{in_flight:>5} in flight: {:>8.0} steps/s, {:>6.1} us CPU a step, step p50 {p50:?}, {} runs",
        steps / took,
        used * 1e6 / steps,
        ended.len()
    );
    mesh.journal().close().await;
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let seconds = numbers.first().copied().unwrap_or(4);
    let levels = numbers.get(1..).filter(|levels| !levels.is_empty()).unwrap_or(&[1, 32, 256]);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for in_flight in levels {
        runtime.block_on(level(*in_flight, Duration::from_secs(seconds as u64)));
    }
}
