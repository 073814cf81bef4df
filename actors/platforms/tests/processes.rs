//! Workloads with real processes: one is started, watched, stopped, adopted, and never doubled.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use mesh_kernel::{
    entity::{EffectRequest, decode_tagged},
    envelope::{
        CorrelationId, Envelope, EventId, Headers, IdempotencyKey, Principal, TenantId, TenantScope, Timestamp, TraceId,
    },
    ports::{EffectCall, Effects},
};
use mesh_platforms::runtime_cloud::{
    OnShutdown, ProcessEffects,
    machines::workload::{HANDLER, Work},
    messages::{ExitKind, WorkloadCommand},
};
use mesh_skills::{contract::WorkloadSpec, product::process::ProcessId};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A product that says that it is ready and then does nothing, well.
const READY: &str = "#!/bin/sh\necho '{\"url\":\"http://127.0.0.1:4000\"}'\nexec sleep 600\n";
/// A product that ends at once.
const BROKEN: &str = "#!/bin/sh\necho 'no such table' >&2\nexit 3\n";

/// Watchdog of the tests: nothing here takes this long.
const AT_MOST: Duration = Duration::from_secs(30);

fn launch(folder: &Path, script: &str, commit: &str) -> WorkloadSpec {
    let program = folder.join(format!("app-{commit}"));
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    WorkloadSpec {
        name: "booking".into(),
        program,
        args: Vec::new(),
        folder: folder.to_owned(),
        env: BTreeMap::new(),
        state: folder.join("state"),
        commit: commit.into(),
        ready_within: Duration::from_secs(10),
        memory_max: None,
    }
}

fn call(work: &Work, cancelled: &CancellationToken) -> EffectCall {
    let incarnation = match work {
        Work::Start { incarnation, .. } | Work::Watch { incarnation, .. } | Work::Stop { incarnation, .. } => {
            *incarnation
        }
    };
    let subject = "acme/runtime-cloud/workload/booking".parse().unwrap();
    let event_id = EventId::parse("evt-1").unwrap();
    EffectCall {
        scope: TenantScope::unproven(TenantId::parse("acme").unwrap()),
        request: EffectRequest {
            key: IdempotencyKey::parse("booking.1.start").unwrap(),
            handler: HANDLER,
            attempt: incarnation,
            input: serde_json::to_vec(work).unwrap().into(),
            timeout: None,
        },
        asked_before: false,
        cause: Arc::new(Envelope {
            event_id: event_id.clone(),
            event_type: "WorkloadRequested".into(),
            tenant_id: TenantId::parse("acme").unwrap(),
            project_id: None,
            module_id: None,
            trace_id: TraceId::parse("trace-1").unwrap(),
            correlation_id: CorrelationId::from(&event_id),
            causation_id: event_id,
            occurred_at: Timestamp::from_unix_nanos(0),
            payload: bytes::Bytes::from_static(b"{}"),
            headers: Headers::new(subject, Principal::system("test")),
        }),
        cancelled: cancelled.clone(),
    }
}

async fn perform(effects: ProcessEffects, work: &Work, cancelled: &CancellationToken) -> Option<WorkloadCommand> {
    let performed = tokio::time::timeout(AT_MOST, effects.perform(call(work, cancelled))).await;
    let outcome = performed.expect("the performer hangs")?;
    Some(decode_tagged(&outcome.name, &outcome.bytes).unwrap())
}

/// A node that never stops.
async fn outcome(work: &Work) -> WorkloadCommand {
    perform(ProcessEffects::default(), work, &CancellationToken::new()).await.unwrap()
}

async fn start(launch: &WorkloadSpec) -> (ProcessId, bool) {
    match outcome(&Work::Start { incarnation: 1, launch: launch.clone(), port: None }).await {
        WorkloadCommand::RecordProcessStart { incarnation: 1, process, url, adopted } => {
            assert_eq!(url, "http://127.0.0.1:4000");
            (process, adopted)
        }
        other => panic!("{other:?}"),
    }
}

async fn stop(launch: &WorkloadSpec) {
    let stopped = outcome(&Work::Stop { incarnation: 1, folder: launch.state.clone() }).await;
    assert!(matches!(stopped, WorkloadCommand::RecordProcessStop { incarnation: 1 }), "{stopped:?}");
}

fn watch(launch: &WorkloadSpec, process: &ProcessId) -> Work {
    Work::Watch { incarnation: 1, process: process.clone(), folder: launch.state.clone() }
}

async fn ended(launch: &WorkloadSpec, process: &ProcessId) -> ExitKind {
    match outcome(&watch(launch, process)).await {
        WorkloadCommand::RecordProcessExit { exit, .. } => exit.how,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_start_that_is_asked_again_takes_over_what_the_first_one_began() {
    let folder = TempDir::new().unwrap();
    let launch = launch(folder.path(), READY, "c1");
    let (first, adopted) = start(&launch).await;
    assert!(!adopted);
    let (second, adopted) = start(&launch).await;
    assert!(adopted);
    assert_eq!(first, second, "there are two");
    stop(&launch).await;
    assert!(!first.is_alive());
    stop(&launch).await;
}

#[tokio::test]
async fn another_version_replaces_the_process_and_never_runs_beside_it() {
    let folder = TempDir::new().unwrap();
    let one = launch(folder.path(), READY, "c1");
    let two = launch(folder.path(), READY, "c2");
    let (first, _) = start(&one).await;
    let (second, adopted) = start(&two).await;
    assert!(!adopted && !first.is_alive() && second.is_alive());
    stop(&two).await;
}

#[tokio::test]
async fn a_product_that_ends_at_once_says_why() {
    let folder = TempDir::new().unwrap();
    let launch = launch(folder.path(), BROKEN, "c1");
    match outcome(&Work::Start { incarnation: 1, launch, port: None }).await {
        WorkloadCommand::RecordProcessExit { exit, .. } => {
            assert_eq!(exit.how, ExitKind::NotStarted);
            assert!(exit.message.contains("no such table"), "{}", exit.message);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_end_is_seen_while_watching_and_found_afterwards() {
    let folder = TempDir::new().unwrap();
    let launch = launch(folder.path(), READY, "c1");
    let (process, _) = start(&launch).await;
    let (seen, ()) = tokio::join!(ended(&launch, &process), async {
        // Whoever kills it is no part of the node.
        let pid = process.pid.to_string();
        let killed = tokio::process::Command::new("kill").args(["-9", &pid]).status().await.unwrap();
        assert!(killed.success());
    });
    // It may have died before the watch began; both are ends, told apart for the restart's sake.
    assert!(matches!(seen, ExitKind::Exited | ExitKind::Lost));
    assert_eq!(ended(&launch, &process).await, ExitKind::Lost);
}

#[tokio::test]
async fn what_becomes_of_a_product_when_the_node_stops_is_as_was_said() {
    for (on_shutdown, lives) in [(OnShutdown::Leave, true), (OnShutdown::Stop, false)] {
        let folder = TempDir::new().unwrap();
        let launch = launch(folder.path(), READY, "c1");
        let (process, _) = start(&launch).await;
        let stopping = CancellationToken::new();
        stopping.cancel();
        let told = perform(ProcessEffects::new(on_shutdown), &watch(&launch, &process), &stopping).await;
        assert!(told.is_none(), "a node that stops tells nothing: {told:?}");
        assert_eq!(process.is_alive(), lives, "{on_shutdown:?}");
        stop(&launch).await;
    }
}
