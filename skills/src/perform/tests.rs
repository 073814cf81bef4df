//! The performer around skills that behave and skills that do not.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use mesh_kernel::{
    envelope::{Classification, IdempotencyKey, TenantId, TenantScope},
    ports::{ContentError, Digest},
};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::contract::{Accepts, Ceiling, Effect, FailureClass, Permission, Returns, Skill, testing};

/// Bodies in memory, each tenant's own.
#[derive(Default)]
struct Memory(Mutex<HashMap<(TenantId, Digest), Bytes>>);

impl ContentStore for Memory {
    fn put<'a>(&'a self, scope: &'a TenantScope, body: Bytes) -> BoxFuture<'a, Result<Digest, ContentError>> {
        let digest = Digest::of(&body);
        self.0.lock().insert((scope.tenant().clone(), digest), body);
        Box::pin(async move { Ok(digest) })
    }

    fn get<'a>(&'a self, scope: &'a TenantScope, digest: Digest) -> BoxFuture<'a, Result<Bytes, ContentError>> {
        let found = self.0.lock().get(&(scope.tenant().clone(), digest)).cloned();
        Box::pin(async move { found.ok_or(ContentError::NotFound(digest)) })
    }

    fn remove<'a>(&'a self, scope: &'a TenantScope, digest: Digest) -> BoxFuture<'a, Result<(), ContentError>> {
        self.0.lock().remove(&(scope.tenant().clone(), digest));
        Box::pin(async { Ok(()) })
    }

    fn erase<'a>(&'a self, scope: &'a TenantScope) -> BoxFuture<'a, Result<(), ContentError>> {
        self.0.lock().retain(|(tenant, _), _| tenant != scope.tenant());
        Box::pin(async { Ok(()) })
    }
}

/// Does what its input says.
struct Obedient(Manifest);

impl Skill for Obedient {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            call.log.note("called");
            match call.input["do"].as_str().unwrap_or_default() {
                "wait" => {
                    call.cancelled.cancelled().await;
                    Err(Failure::external("x", "interrupted"))
                }
                "large" => Ok(json!({"value": "x".repeat(8 << 20), "small": 1})),
                "huge" => Ok(json!({"value": "x".repeat(OUTPUT_BYTES_MAX)})),
                _ => Ok(json!({"value": call.input["value"]})),
            }
        })
    }
}

struct Bench {
    effects: SkillEffects,
    content: Arc<Memory>,
    logs: Arc<LogStore>,
    _folder: tempfile::TempDir,
}

fn bench() -> Bench {
    bench_of(|manifest| manifest)
}

fn bench_of(say: fn(Manifest) -> Manifest) -> Bench {
    let manifest = Manifest::new("test.obedient", "does what its input says")
        .takes(json!({"type": "object", "properties": {"do": {"type": "string"}}}))
        .gives(json!({"type": "object", "required": ["value"]}))
        .within(Duration::from_secs(30));
    let folder = tempfile::tempdir().unwrap();
    let logs = LogStore::open(folder.path(), Arc::new(testing::Still)).unwrap();
    let registry = Registry::new([Arc::new(Obedient(say(manifest))) as Arc<dyn Skill>]).unwrap();
    let content = Arc::new(Memory::default());
    let effects = SkillEffects::new(registry, content.clone(), logs.clone());
    Bench { effects, content, logs, _folder: folder }
}

fn effect(input: Value) -> EffectCall {
    let request = SkillCall {
        skill: "test.obedient".into(),
        version: None,
        input,
        run: "run-1".into(),
        step: "s".into(),
        item: None,
        attempt: 2,
        idempotency_key: None,
        echo: json!({"seen": 7}),
        waits: false,
        taint: Vec::new(),
    };
    EffectCall {
        scope: testing::scope("acme"),
        request: EffectRequest {
            key: IdempotencyKey::parse("run-1.s.2").unwrap(),
            handler: HANDLER,
            attempt: 2,
            input: serde_json::to_vec(&request).unwrap().into(),
            timeout: None,
        },
        cause: testing::cause("acme", "run-1"),
        asked_before: true,
        cancelled: CancellationToken::new(),
    }
}

fn read(outcome: Option<Outcome>) -> SkillOutcome {
    serde_json::from_slice(&outcome.unwrap().bytes).unwrap()
}

async fn perform(bench: &Bench, input: Value) -> SkillOutcome {
    read(bench.effects.perform(effect(input)).await)
}

fn failure(outcome: SkillOutcome) -> Failure {
    match outcome.result {
        SkillResult::Failed { failure } => failure,
        SkillResult::Ok { output } => panic!("it succeeded with {output}"),
    }
}

#[tokio::test]
async fn an_outcome_carries_key_attempt_echo_and_log() {
    let bench = bench();
    let outcome = perform(&bench, json!({"value": 5})).await;
    assert_eq!(outcome.result, SkillResult::Ok { output: json!({"value": 5}) });
    assert_eq!((outcome.key.as_str(), outcome.attempt), ("run-1.s.2", 2));
    assert_eq!((outcome.echo, outcome.log.lines), (json!({"seen": 7}), 1));
    let id = LogId { run: "run-1".into(), step: "s".into(), item: None, attempt: 2 };
    let page = bench.logs.read(&testing::scope("acme"), &id, 0, 1000).unwrap();
    assert_eq!(page.lines[0].text, "called");
}

#[tokio::test]
async fn what_cannot_be_brought_in_or_kept_is_told() {
    let bench = bench();
    for (what, class, code) in [
        (json!({"do": "huge"}), FailureClass::Resource, "skill.output-too-large"),
        (json!({"x": {"$ref": "sha256:zz", "bytes": 1}}), FailureClass::Validation, "content.reference"),
    ] {
        let failure = failure(perform(&bench, what.clone()).await);
        assert_eq!((failure.class, failure.code.as_str()), (class, code), "{what}: {failure}");
    }
}

#[tokio::test]
async fn what_is_too_narrow_or_tainted_is_not_given_to_a_skill_that_does_not_take_it() {
    let narrow = || {
        let mut effect = effect(json!({"value": 1}));
        let cause = Arc::make_mut(&mut effect.cause);
        cause.headers.classification = Classification::Confidential;
        effect
    };
    let tainted = || {
        let mut effect = effect(json!({"value": 1}));
        Arc::make_mut(&mut effect.cause).headers.taint = vec!["web".into()];
        effect
    };
    let confidential = bench_of(|manifest| Manifest { ceiling: Ceiling::Confidential, ..manifest });
    assert_eq!(failure(read(bench().effects.perform(narrow()).await)).code, "skill.ceiling");
    assert!(matches!(read(confidential.effects.perform(narrow()).await).result, SkillResult::Ok { .. }));
    let careful = bench_of(|manifest| manifest.effect(Effect::Idempotent));
    let careless = bench_of(|manifest| Manifest { accepts: Accepts::Tainted, ..manifest.effect(Effect::Idempotent) });
    let told = failure(read(careful.effects.perform(tainted()).await));
    assert!(told.code == "skill.tainted" && told.message.contains("web"), "{told}");
    for takes_it in [careless, bench()] {
        assert!(matches!(read(takes_it.effects.perform(tainted()).await).result, SkillResult::Ok { .. }));
    }
    // The same when whoever decided on the call says so.
    let mut decided = effect(json!({"value": 1}));
    let mut call: SkillCall = serde_json::from_slice(&decided.request.input).unwrap();
    call.taint = vec!["skill:web.fetch".into()];
    decided.request.input = serde_json::to_vec(&call).unwrap().into();
    assert_eq!(failure(read(careful.effects.perform(decided).await)).code, "skill.tainted");
}

#[tokio::test]
async fn a_skill_that_talks_to_servers_anywhere_gives_what_is_tainted_unless_it_says_otherwise() {
    fn network(manifest: Manifest) -> Manifest {
        Manifest { permissions: vec![Permission::Network], ..manifest }
    }
    fn says(returns: Returns, manifest: Manifest) -> Manifest {
        Manifest { returns: Some(returns), ..manifest }
    }
    for (bench, tainted) in [
        (bench(), false),
        (bench_of(network), true),
        (bench_of(|manifest| says(Returns::Tainted, manifest)), true),
        (bench_of(|manifest| says(Returns::Trusted, network(manifest))), false),
    ] {
        assert_eq!(perform(&bench, json!({"value": 1})).await.tainted, tainted);
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_skill_that_bears_one_call_the_next_waits_for_its_turn_and_another_tenants_does_not() {
    let bench = Arc::new(bench_of(|manifest| manifest.at_most(1)));
    let (first, other) =
        (effect(json!({"do": "wait"})), EffectCall { scope: testing::scope("other"), ..effect(json!({"value": 2})) });
    let ends = first.cancelled.clone();
    let performs = bench.clone();
    let first = mesh_kernel::task::spawn("first", async move { performs.effects.perform(first).await });
    tokio::task::yield_now().await;
    assert!(matches!(read(bench.effects.perform(other).await).result, SkillResult::Ok { .. }));
    let mut late = effect(json!({"value": 3}));
    late.request.timeout = Some(Duration::from_secs(5));
    let told = failure(read(bench.effects.perform(late).await));
    assert_eq!((told.class, told.code.as_str()), (FailureClass::Timeout, "skill.turn"));
    let performs = bench.clone();
    let next =
        mesh_kernel::task::spawn("next", async move { performs.effects.perform(effect(json!({"value": 4}))).await });
    tokio::task::yield_now().await;
    ends.cancel();
    assert!(first.await.unwrap().is_none());
    assert_eq!(read(next.await.unwrap()).result, SkillResult::Ok { output: json!({"value": 4}) });
}

#[tokio::test]
async fn the_log_of_an_attempt_that_is_asked_for_again_says_so() {
    let bench = bench();
    for asked_before in [false, true] {
        let effect = EffectCall { asked_before, ..effect(json!({"value": 1})) };
        assert!(bench.effects.perform(effect).await.is_some());
    }
    let id = LogId { run: "run-1".into(), step: "s".into(), item: None, attempt: 2 };
    let lines = bench.logs.read(&testing::scope("acme"), &id, 0, 1000).unwrap().lines;
    let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
    assert!(matches!(texts[..], ["called", again, "called"] if again.contains("asked for again")), "{texts:?}");
}

#[tokio::test]
async fn eight_megabytes_go_out_by_reference_and_come_in_again() {
    let bench = bench();
    let outcome = bench.effects.perform(effect(json!({"do": "large"}))).await;
    assert!(outcome.as_ref().unwrap().bytes.len() < 1024);
    let SkillResult::Ok { output } = read(outcome).result else { panic!("it failed") };
    assert_eq!(output["small"], 1, "small fields stay where guards can see them");
    assert!(output["value"]["bytes"].as_u64().unwrap() > 8 << 20);

    let back = perform(&bench, json!({"value": {"inner": [output["value"]]}})).await;
    let SkillResult::Ok { output: again } = back.result else { panic!("it failed") };
    assert!(again["value"]["$ref"].is_string(), "the body came in and went out again");
    assert_eq!(bench.content.0.lock().len(), 2);

    // The same reference means nothing in another tenant.
    let mut other = effect(json!({"value": output["value"]}));
    other.scope = testing::scope("other");
    assert_eq!(failure(read(bench.effects.perform(other).await)).code, "content.missing");
}

#[tokio::test]
async fn a_performer_that_fails_itself_still_tells_the_entity() {
    let bench = bench();
    let outcome = read(bench.effects.failed(&effect(json!({})).request, "worker gone"));
    assert_eq!(outcome.echo, json!({"seen": 7}));
    assert!(failure(outcome).message.contains("worker gone"));
    let mut broken = effect(json!({}));
    broken.request.input = Bytes::from_static(b"not json");
    assert_eq!(failure(read(bench.effects.perform(broken).await)).code, "skill.request");
}
