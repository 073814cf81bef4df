//! What holds of every host: the same calls, asked for as runs ask, with the same outcomes.
//!
//! A host joins with one line in [`HOSTS`], or in [`SERVERS`] when what does the work is another process, for which no
//! time can be skipped. Cases are told through the performer, so what they show is what an entity is told, whoever
//! does the work.

use std::{sync::Arc, time::Duration};

use mesh_kernel::{
    BoxFuture,
    entity::EffectRequest,
    envelope::{IdempotencyKey, TenantScope},
    ports::{ContentError, ContentStore, Digest, Effects as _, effects::EffectCall},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    mcp,
    worker::{Said, Session, Told, WorkerSkill, Workers},
};
use crate::{
    contract::{
        Call, Failure, FailureClass, HANDLER, Manifest, Registry, Skill, SkillCall, SkillOutcome, SkillResult, testing,
    },
    logs::{LogId, LogStore},
    perform::SkillEffects,
};

/// A skill, and the folder of what does it.
type Begun = (Arc<dyn Skill>, Option<tempfile::TempDir>);

/// A host, as a test begins it.
struct Host {
    name: &'static str,
    /// Begins a skill of this manifest that does what [`obey`] does, for the tenants of [`TENANTS`].
    begin: fn(Manifest) -> BoxFuture<'static, Begun>,
    /// What is told when what does the work is gone: never a failure of the skill's own.
    gone: (FailureClass, &'static str),
    /// What is told of a failure that says all that [`down`] says.
    failed: fn() -> Failure,
    /// Whether an outcome is heard that comes when nobody wants it any more.
    hears_late: bool,
    /// How long a call may take.
    within: Duration,
}

const HOSTS: [Host; 3] = [
    Host {
        name: "native",
        begin: |manifest| here(native(manifest)),
        gone: (FailureClass::Internal, "skill.panic"),
        ..WORKER
    },
    // One that does not answer at once although it says so is bounded like any other.
    Host {
        name: "native, at once",
        begin: |manifest| here(hasty(manifest)),
        gone: (FailureClass::Internal, "skill.panic"),
        ..WORKER
    },
    WORKER,
];

const WORKER: Host = Host {
    name: "worker",
    begin: |manifest| here(worker(manifest)),
    gone: (FailureClass::External, "worker.lost"),
    failed: down,
    hears_late: true,
    within: Duration::from_secs(30),
};

/// Hosts of which the work is done by a process of its own.
const SERVERS: [Host; 1] = [Host {
    name: "mcp",
    begin: |manifest| Box::pin(server(manifest)),
    gone: (FailureClass::External, "mcp.lost"),
    // The protocol knows no more than a text.
    failed: || Failure::external("mcp.tool", "it is down"),
    // It says that nobody answers what was cancelled.
    hears_late: false,
    within: Duration::from_millis(700),
}];

fn here(skill: Arc<dyn Skill>) -> BoxFuture<'static, Begun> {
    Box::pin(std::future::ready((skill, None)))
}

async fn server(manifest: Manifest) -> Begun {
    let folder = tempfile::tempdir().unwrap();
    let (area, tool) = manifest.name.split_once('.').unwrap();
    mesh_mcp_server::write(folder.path(), "fixture", &[mesh_mcp_server::obedient(tool, &manifest.description)])
        .unwrap();
    let skill = mcp::tests::skill(folder.path(), area, manifest.timeout).await;
    (skill, Some(folder))
}

const TENANTS: [&str; 2] = ["acme", "other"];

/// What a call's code sees of it, in whichever host.
struct Seen {
    input: Value,
    /// Tenant, key, run, step, trace and trace context.
    about: Value,
    cancelled: CancellationToken,
}

/// Does what its input says; none when it takes down what does the work.
async fn obey(seen: Seen, progress: impl Fn(&str)) -> Option<Result<Value, Failure>> {
    progress("called");
    Some(match seen.input["do"].as_str().unwrap_or_default() {
        "crash" => return None,
        "hang" => std::future::pending().await,
        "wait" => {
            seen.cancelled.cancelled().await;
            Err(Failure::external("x", "interrupted"))
        }
        "finish late" => {
            seen.cancelled.cancelled().await;
            Ok(json!({ "value": "late" }))
        }
        "lie" => Ok(json!("no object")),
        "fail" => Err(down()),
        _ => Ok(json!({ "value": seen.about })),
    })
}

/// A failure with everything in it.
fn down() -> Failure {
    Failure::external("test.down", "it is down").after(Duration::from_secs(2)).with(json!({ "n": 1 }))
}

struct Native(Manifest);

impl Skill for Native {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        let about = json!([
            call.tenant().as_str(),
            call.key.as_str(),
            call.run,
            call.step,
            call.attempt,
            call.cause.trace_id.as_str(),
            call.cause.headers.traceparent,
        ]);
        let seen = Seen { input: call.input.clone(), about, cancelled: call.cancelled.clone() };
        Box::pin(async move {
            let done = obey(seen, |text| call.log.note(text)).await;
            done.unwrap_or_else(|| panic!("it takes down what does the work"))
        })
    }
}

fn native(manifest: Manifest) -> Arc<dyn Skill> {
    Arc::new(Native(manifest))
}

fn hasty(manifest: Manifest) -> Arc<dyn Skill> {
    Arc::new(Native(manifest.at_once()))
}

fn worker(manifest: Manifest) -> Arc<dyn Skill> {
    let workers = Workers::new(Duration::from_secs(5));
    for tenant in TENANTS {
        let has = [(manifest.name.clone(), manifest.version.clone())].into();
        let tenant = testing::scope(tenant).tenant().clone();
        let (session, mut told) = workers.welcome(&tenant, "w", has, 9, &[]);
        mesh_kernel::task::spawn("worker", async move {
            let session = Arc::new(session);
            let mut running = std::collections::HashMap::new();
            let gone = CancellationToken::new();
            while let Some(Some(told)) = gone.run_until_cancelled(told.recv()).await {
                match told {
                    Told::Call(asked) => {
                        let cancelled = CancellationToken::new();
                        running.insert(asked.id.clone(), cancelled.clone());
                        let about = json!([
                            asked.tenant.as_str(),
                            asked.key,
                            asked.run,
                            asked.step,
                            asked.attempt,
                            asked.trace,
                            asked.traceparent,
                        ]);
                        let seen = Seen { input: asked.input.clone(), about, cancelled };
                        // Not kept by what hangs: a session that is dropped is a connection that is lost.
                        let done = works(Arc::downgrade(&session), asked.id.clone(), seen, gone.clone());
                        mesh_kernel::task::spawn("call", done);
                    }
                    Told::Cancel { id } => running.remove(&id).into_iter().for_each(|call| call.cancel()),
                    Told::Ack { .. } => {}
                }
            }
        });
    }
    Arc::new(WorkerSkill::new(Arc::new(manifest), workers))
}

async fn works(session: std::sync::Weak<Session>, id: String, seen: Seen, gone: CancellationToken) {
    let says = |said: Said| {
        if let Some(session) = session.upgrade() {
            session.hear(said);
        }
    };
    match obey(seen, |text| says(Said::Progress { id: id.clone(), text: text.to_owned() })).await {
        Some(result) => says(Said::Outcome { id: id.clone(), result }),
        None => gone.cancel(),
    }
}

/// Nothing large goes in or out here.
struct NoBodies;

impl ContentStore for NoBodies {
    fn put<'a>(&'a self, _: &'a TenantScope, body: bytes::Bytes) -> BoxFuture<'a, Result<Digest, ContentError>> {
        Box::pin(async move { Ok(Digest::of(&body)) })
    }

    fn get<'a>(&'a self, _: &'a TenantScope, digest: Digest) -> BoxFuture<'a, Result<bytes::Bytes, ContentError>> {
        Box::pin(async move { Err(ContentError::NotFound(digest)) })
    }

    fn remove<'a>(&'a self, _: &'a TenantScope, _: Digest) -> BoxFuture<'a, Result<(), ContentError>> {
        Box::pin(async { Ok(()) })
    }

    fn erase<'a>(&'a self, _: &'a TenantScope) -> BoxFuture<'a, Result<(), ContentError>> {
        Box::pin(async { Ok(()) })
    }
}

struct Bench {
    effects: SkillEffects,
    logs: Arc<LogStore>,
    _folders: (tempfile::TempDir, Option<tempfile::TempDir>),
}

impl Bench {
    async fn of(host: &Host) -> Self {
        let manifest = Manifest::new("test.obedient", "does what its input says")
            .takes(json!({ "type": "object", "properties": { "do": { "type": "string" } } }))
            .gives(json!({ "type": "object", "required": ["value"] }))
            .within(host.within);
        let folder = tempfile::tempdir().unwrap();
        let logs = LogStore::open(folder.path(), Arc::new(testing::Still)).unwrap();
        let (skill, served) = (host.begin)(manifest).await;
        let registry = Registry::new([skill]).unwrap();
        let effects = SkillEffects::new(registry, Arc::new(NoBodies), logs.clone());
        Self { effects, logs, _folders: (folder, served) }
    }

    async fn told(&self, call: EffectCall) -> Option<SkillResult> {
        let outcome = self.effects.perform(call).await?;
        Some(serde_json::from_slice::<SkillOutcome>(&outcome.bytes).unwrap().result)
    }

    async fn failure(&self, call: EffectCall) -> Failure {
        match self.told(call).await {
            Some(SkillResult::Failed { failure }) => failure,
            other => panic!("it did not fail: {other:?}"),
        }
    }
}

/// A second attempt of step `s` of run `run-1`.
fn asks(tenant: &str, what: impl Into<Value>) -> EffectCall {
    let request = SkillCall {
        skill: "test.obedient".into(),
        version: None,
        input: json!({ "do": what.into() }),
        run: "run-1".into(),
        step: "s".into(),
        item: None,
        attempt: 2,
        idempotency_key: Some(IdempotencyKey::parse("run-1.s").unwrap()),
        echo: Value::Null,
        waits: false,
        taint: Vec::new(),
    };
    let mut cause = testing::cause(tenant, "run-1");
    Arc::make_mut(&mut cause).headers.traceparent = Some("00-trace".into());
    EffectCall {
        scope: testing::scope(tenant),
        request: EffectRequest {
            key: IdempotencyKey::parse("run-1.s.2").unwrap(),
            handler: HANDLER,
            attempt: 2,
            input: serde_json::to_vec(&request).unwrap().into(),
            timeout: None,
        },
        cause,
        asked_before: true,
        cancelled: CancellationToken::new(),
    }
}

/// One case, for the hosts here with time skipped, and for servers as it passes.
macro_rules! holds {
    ($($name:ident),* $(,)?) => {
        mod here {
            $(#[tokio::test(start_paused = true)]
            async fn $name() {
                for host in &super::HOSTS {
                    super::$name(host).await;
                }
            })*
        }
        mod elsewhere {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                for host in &super::SERVERS {
                    super::$name(host).await;
                }
            })*
        }
    };
}

holds!(
    a_call_is_told_whose_it_is_and_what_it_belongs_to,
    what_does_not_fit_the_schemas_goes_neither_in_nor_out,
    a_failure_of_the_skill_is_told_as_it_says_it_and_one_of_its_host_is_told_apart,
    whoever_takes_too_long_is_told_to_end_and_what_was_done_meanwhile_counts,
    a_cancelled_call_has_nothing_to_tell_unless_it_was_done,
    what_a_call_says_on_its_way_stands_in_the_steps_log,
);

async fn a_call_is_told_whose_it_is_and_what_it_belongs_to(host: &Host) {
    let bench = Bench::of(host).await;
    for tenant in TENANTS {
        let value = json!([tenant, "run-1.s", "run-1", "s", 2, "trace-run-1", "00-trace"]);
        let told = bench.told(asks(tenant, "tell")).await;
        assert_eq!(told, Some(SkillResult::Ok { output: json!({ "value": value }) }), "{}", host.name);
    }
}

async fn what_does_not_fit_the_schemas_goes_neither_in_nor_out(host: &Host) {
    let bench = Bench::of(host).await;
    let given = bench.failure(asks("acme", 5)).await;
    assert_eq!((given.class, given.code.as_str()), (FailureClass::Validation, "skill.input"), "{}", host.name);
    let gave = bench.failure(asks("acme", "lie")).await;
    assert_eq!((gave.class, gave.code.as_str()), (FailureClass::Internal, "skill.output"), "{}", host.name);
}

async fn a_failure_of_the_skill_is_told_as_it_says_it_and_one_of_its_host_is_told_apart(host: &Host) {
    let bench = Bench::of(host).await;
    assert_eq!(bench.failure(asks("acme", "fail")).await, (host.failed)(), "{}", host.name);
    let gone = Bench::of(host).await.failure(asks("acme", "crash")).await;
    assert_eq!((gone.class, gone.code.as_str()), host.gone, "{}: {gone}", host.name);
}

async fn whoever_takes_too_long_is_told_to_end_and_what_was_done_meanwhile_counts(host: &Host) {
    let bench = Bench::of(host).await;
    for what in ["hang", "wait"] {
        let late = bench.failure(asks("acme", what)).await;
        assert_eq!((late.class, late.code.as_str()), (FailureClass::Timeout, "skill.timeout"), "{}", host.name);
    }
    if host.hears_late {
        let told = bench.told(asks("acme", "finish late")).await;
        assert_eq!(told, Some(SkillResult::Ok { output: json!({ "value": "late" }) }), "{}", host.name);
    }
}

async fn a_cancelled_call_has_nothing_to_tell_unless_it_was_done(host: &Host) {
    let bench = Bench::of(host).await;
    for (what, is_told) in [("hang", false), ("wait", false), ("finish late", true)] {
        if is_told && !host.hears_late {
            continue;
        }
        let call = asks("acme", what);
        let cancelled = call.cancelled.clone();
        let cancels = async {
            tokio::time::sleep(host.within / 3).await;
            cancelled.cancel();
        };
        let (told, ()) = tokio::join!(bench.told(call), cancels);
        assert_eq!(told.is_some(), is_told, "{}: {what}", host.name);
    }
}

async fn what_a_call_says_on_its_way_stands_in_the_steps_log(host: &Host) {
    let bench = Bench::of(host).await;
    bench.told(asks("acme", "tell")).await;
    let id = LogId { run: "run-1".into(), step: "s".into(), item: None, attempt: 2 };
    let page = bench.logs.read(&testing::scope("acme"), &id, 0, 1000).unwrap();
    let texts: Vec<_> = page.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["called"], "{}", host.name);
}
