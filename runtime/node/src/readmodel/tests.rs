//! The read models from the outside: events in, pages out.

use std::{path::Path, sync::Arc, time::Duration};

use mesh_kernel::{
    envelope::{
        Address, CorrelationId, Envelope, EventId, Headers, Principal, Role, TenantId, TenantScope, Timestamp, TraceId,
    },
    follow::{Projection, Seen},
    ports::{Authenticator, Credential, Cursor, Digest, Position},
};
use mesh_proto::v1::{ApprovalState, RunState, TaskState, TenantState};
use serde_json::{Value, json};

use super::{Index, Keys, ReadModel, login, open};
use crate::gateway::lists::{ApprovalFilter, Lists, PageRequest, RunFilter, Span, TaskFilter, TenantFilter};

fn scope(tenant: &str) -> TenantScope {
    TenantScope::unproven(TenantId::parse(tenant).unwrap())
}

fn page(size: usize) -> PageRequest {
    PageRequest { size, after: None }
}

/// Feeds events as the journal would: one position and one second each.
struct Feeder {
    index: Index,
    read: ReadModel,
    position: u64,
}

impl Feeder {
    fn on(path: &Path) -> Self {
        let (index, read) = open(path).unwrap();
        let position = read.position().0;
        Self { index, read, position }
    }

    /// One event as JSON, in a batch of its own.
    fn event(&mut self, subject: &str, name: &str, payload: Value) {
        self.position += 1;
        let seen = seen(subject, name, &payload, self.position);
        let cursor = Cursor(self.position.to_le_bytes().to_vec().into());
        self.index.apply(&[seen], &cursor, Position(self.position)).unwrap();
    }

    fn submit(&mut self, tenant: &str, run: &str, definition: &str, steps: usize) {
        let steps: Vec<Value> = (0..steps).map(|n| json!({ "id": format!("s{n}") })).collect();
        let payload = json!({
            "definition": { "name": definition, "version": 2, "digest": Digest::of(definition.as_bytes()) },
            "workflow": { "steps": steps },
            "project": "proj-1",
            "submittedBy": "key:ci",
        });
        self.event(&format!("{tenant}/control-plane/run/{run}"), "RunSubmitted", payload);
    }

    fn run(&mut self, tenant: &str, run: &str, name: &str, payload: Value) {
        self.event(&format!("{tenant}/control-plane/run/{run}"), name, payload);
    }
}

fn seen(subject: &str, name: &str, payload: &Value, position: u64) -> Seen {
    let subject: Address = subject.parse().unwrap();
    let event_id = EventId::parse(&format!("evt-{position}")).unwrap();
    let principal = Principal { name: "key:ci".into(), roles: vec![Role::Admin], on_behalf_of: None };
    let envelope = Envelope {
        event_id: event_id.clone(),
        event_type: name.into(),
        tenant_id: subject.tenant().clone(),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse("trace-1").unwrap(),
        correlation_id: CorrelationId::from(&event_id),
        causation_id: event_id,
        occurred_at: Timestamp::from_unix_nanos(i64::try_from(position).unwrap() * 1_000_000_000),
        payload: serde_json::to_vec(payload).unwrap().into(),
        headers: Headers::new(subject, principal),
    };
    Seen { envelope: Arc::new(envelope), version: position, position: Position(position) }
}

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("readmodel.sqlite");
    (folder, path)
}

async fn run_ids(read: &ReadModel, tenant: &str, filter: RunFilter) -> Vec<String> {
    let page = read.runs(&scope(tenant), filter, page(500)).await.unwrap();
    page.rows.into_iter().map(|row| row.run_id).collect()
}

fn failure(message: &str) -> Value {
    json!({ "class": "external", "code": "HTTP-0001", "message": message })
}

#[tokio::test]
async fn a_run_is_listed_as_its_events_say() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    feed.submit("acme", "run-1", "deploy", 3);
    feed.run("acme", "run-1", "RunStarted", json!({}));
    feed.run("acme", "run-1", "StepRequested", json!({ "step": "s0", "attempt": 1, "input": {} }));
    let row = feed.read.runs(&scope("acme"), RunFilter::default(), page(9)).await.unwrap().rows.remove(0);
    assert_eq!((row.state, row.definition_version, row.progress.total), (RunState::Running, 2, 3));
    assert_eq!((row.progress.running, row.progress.done), (1, 0));
    assert_eq!(row.submitted_by, "key:ci");
    assert_eq!(row.created_at, Timestamp::from_unix_nanos(1_000_000_000));

    feed.run("acme", "run-1", "StepSucceeded", json!({ "step": "s0", "attempt": 1 }));
    feed.run("acme", "run-1", "SignalAwaited", json!({ "step": "s1", "attempt": 1, "name": "go" }));
    let row = feed.read.runs(&scope("acme"), RunFilter::default(), page(9)).await.unwrap().rows.remove(0);
    assert_eq!(row.state, RunState::Waiting);
    assert_eq!((row.progress.done, row.progress.waiting, row.progress.running), (1, 1, 0));

    feed.run("acme", "run-1", "StepFailed", json!({ "step": "s1", "attempt": 1, "failure": failure("gone") }));
    feed.run("acme", "run-1", "RunFailed", json!({ "step": "s1", "failure": failure("gone") }));
    let row = feed.read.runs(&scope("acme"), RunFilter::default(), page(9)).await.unwrap().rows.remove(0);
    assert_eq!((row.state, row.version), (RunState::Failed, 7));
    assert_eq!((row.progress.failed, row.progress.waiting), (1, 0));
    let told = row.failure.unwrap();
    assert_eq!((told.step_id.as_str(), told.class.as_str(), told.message.as_str()), ("s1", "external", "gone"));
    assert!(row.ended_at.is_some());

    feed.run("acme", "run-1", "RunRetried", json!({ "by": "key:ci", "reset": ["s1", "s2"] }));
    let row = feed.read.runs(&scope("acme"), RunFilter::default(), page(9)).await.unwrap().rows.remove(0);
    assert_eq!((row.state, row.ended_at, row.failure), (RunState::Running, None, None));
    assert_eq!((row.progress.done, row.progress.failed), (1, 0));
}

#[tokio::test]
async fn a_task_is_listed_as_its_events_say_and_in_its_tenant_alone() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    let parent = json!({ "run": "acme/control-plane/run/run-1", "step": "ask" });
    let assigned = json!({ "agent": "clerk", "parent": parent, "submittedBy": "key:ci", "input": {} });
    feed.event("acme/agent-mesh/task/task-1", "AgentTaskAssigned", assigned);
    let mut states = Vec::new();
    for (name, payload) in [
        ("TaskClaimed", json!({})),
        ("ContextLoaded", json!({ "version": 3, "digest": "x", "agent": {} })),
        ("CheckRequested", json!({ "check": 0, "number": 1, "input": {} })),
        ("TaskPaused", json!({ "by": "ann" })),
        ("CorrectionAttempted", json!({ "number": 1, "message": "no" })),
        ("TaskResumed", json!({ "by": "ann" })),
        ("AgentTaskEscalated", json!({ "because": "turns", "message": "m" })),
        ("TaskRedirected", json!({ "by": "ann", "note": "n" })),
        ("BudgetExhausted", json!({ "spent": {}, "missing": "all" })),
        ("TaskResumed", json!({ "by": "ann" })),
        ("AgentTaskCompleted", json!({ "output": {}, "spent": { "inputTokens": 7, "cost": 9 } })),
    ] {
        feed.event("acme/agent-mesh/task/task-1", name, payload);
        let row = feed.read.tasks(&scope("acme"), TaskFilter::default(), page(9)).await.unwrap().rows.remove(0);
        states.push(row.state);
    }
    use TaskState::{Completed, ContextLoading, Correcting, Escalated, Executing, Paused, Validating};
    assert_eq!(
        states,
        [
            ContextLoading,
            Executing,
            Validating,
            Paused,
            Paused,
            Correcting,
            Escalated,
            Executing,
            Paused,
            Executing,
            Completed
        ]
    );
    let row = feed.read.tasks(&scope("acme"), TaskFilter::default(), page(9)).await.unwrap().rows.remove(0);
    assert_eq!((row.agent.as_str(), row.version, row.corrections), ("clerk", 3, 1));
    assert_eq!((row.run_id.as_str(), row.step_id.as_str(), row.spent.input_tokens), ("run-1", "ask", 7));
    assert!(feed.read.tasks(&scope("beta"), TaskFilter::default(), page(9)).await.unwrap().rows.is_empty());
    let other = TaskFilter { run_id: Some("run-2".to_owned()), ..TaskFilter::default() };
    assert!(feed.read.tasks(&scope("acme"), other, page(9)).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn runs_are_found_by_state_definition_project_and_time() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    feed.submit("acme", "run-1", "deploy", 1); // at 1 s
    feed.submit("acme", "run-2", "report", 1); // at 2 s
    feed.run("acme", "run-1", "RunStarted", json!({}));
    feed.run("acme", "run-1", "SignalAwaited", json!({ "step": "s0", "attempt": 1, "name": "go" }));
    feed.run("acme", "run-2", "RunStarted", json!({}));
    feed.run("acme", "run-2", "RunFailed", json!({ "failure": failure("x") })); // at 6 s
    let of = |states: &[RunState]| RunFilter { states: states.to_vec(), ..RunFilter::default() };
    let at = |seconds: i64| Some(Timestamp::from_unix_nanos(seconds * 1_000_000_000));
    let by_name = |name: &str| RunFilter { definition: Some(name.to_owned()), ..RunFilter::default() };
    let by_project = |id: &str| RunFilter { project_id: Some(id.to_owned()), ..RunFilter::default() };
    let created = |from, before| RunFilter { created: Span { from, before }, ..RunFilter::default() };
    let ended = |from, before| RunFilter { ended: Span { from, before }, ..RunFilter::default() };
    for (filter, expected) in [
        (of(&[]), vec!["run-2", "run-1"]),
        (of(&[RunState::Failed]), vec!["run-2"]),
        (of(&[RunState::Waiting]), vec!["run-1"]),
        (of(&[RunState::Running]), vec!["run-1"]),
        (of(&[RunState::Waiting, RunState::Failed]), vec!["run-2", "run-1"]),
        (of(&[RunState::Succeeded]), vec![]),
        (by_name("report"), vec!["run-2"]),
        (by_project("proj-1"), vec!["run-2", "run-1"]),
        (by_project("proj-2"), vec![]),
        (created(at(2), None), vec!["run-2"]),
        (created(None, at(2)), vec!["run-1"]),
        (ended(at(6), at(7)), vec!["run-2"]),
        (ended(at(7), None), vec![]),
    ] {
        assert_eq!(run_ids(&feed.read, "acme", filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap_or_a_double() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    for n in 0..25 {
        feed.submit("acme", &format!("run-{n:02}"), "deploy", 1);
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let request = PageRequest { size: 10, after };
        let page = feed.read.runs(&scope("acme"), RunFilter::default(), request).await.unwrap();
        assert!(page.rows.len() <= 10);
        found.extend(page.rows.into_iter().map(|row| row.run_id));
        after = page.next;
        if after.is_none() {
            break;
        }
        feed.submit("acme", &format!("run-new-{}", found.len()), "deploy", 1);
    }
    let expected: Vec<String> = (0..25).rev().map(|n| format!("run-{n:02}")).collect();
    assert_eq!(found, expected);
    for bad in ["", "x", "12", "x:run-1"] {
        let request = PageRequest { size: 10, after: Some(bad.to_owned()) };
        let refusal = feed.read.runs(&scope("acme"), RunFilter::default(), request).await.unwrap_err();
        assert_eq!(refusal.code, "LST-0001", "{bad}");
    }
}

#[tokio::test]
async fn no_list_shows_another_tenants_rows() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    everything_of(&mut feed, "acme");
    for (tenant, count) in [("acme", 1), ("beta", 0)] {
        let (read, scope) = (&feed.read, scope(tenant));
        assert_eq!(read.runs(&scope, RunFilter::default(), page(9)).await.unwrap().rows.len(), count);
        assert_eq!(read.approvals(&scope, ApprovalFilter::default(), page(9)).await.unwrap().rows.len(), count);
        assert_eq!(read.definitions(&scope, None, page(9)).await.unwrap().rows.len(), count);
        assert_eq!(read.definitions(&scope, Some("deploy".into()), page(9)).await.unwrap().rows.len(), count);
        assert_eq!(read.blueprints(&scope, None, page(9)).await.unwrap().rows.len(), count);
        assert_eq!(read.products(&scope, None, page(9)).await.unwrap().rows.len(), count);
        assert_eq!(read.keys(&scope, true, page(9)).await.unwrap().rows.len(), count);
        let tenants = read.tenants(Some(&scope), TenantFilter::default(), page(9)).await.unwrap();
        assert_eq!(tenants.rows.len(), count);
    }
    assert_eq!(feed.read.tenants(None, TenantFilter::default(), page(9)).await.unwrap().rows.len(), 1);
}

/// One row in every list.
fn everything_of(feed: &mut Feeder, tenant: &str) {
    feed.submit(tenant, "run-1", "deploy", 1);
    feed.event(&format!("{tenant}/governance/approval/appr-1"), "ApprovalOpened", opened(tenant));
    let published =
        json!({ "version": 1, "digest": Digest::of(b"d"), "definition": { "title": "Deploy" }, "by": "key:ci" });
    feed.event(&format!("{tenant}/control-plane/definition/deploy"), "DefinitionPublished", published);
    let applied = json!({
        "version": 1, "name": "shop", "digest": Digest::of(b"b"), "source": "name: shop\ntitle: The Shop\n", "change": "new"
    });
    feed.event(&format!("{tenant}/control-plane/blueprint/shop"), "BlueprintApplied", applied);
    feed.event(&format!("{tenant}/product/product/shop"), "ProductDelivered", delivery());
    feed.event(&format!("{tenant}/control-plane/tenant/{tenant}"), "TenantCreated", json!({ "name": "Acme Inc." }));
    feed.event(&format!("{tenant}/control-plane/tenant/{tenant}"), "KeyIssued", key("ci", b"secret"));
}

fn opened(tenant: &str) -> Value {
    json!({
        "request": {
            "run": format!("{tenant}/control-plane/run/run-1"), "step": "ask", "title": "Ship it?",
            "digest": "sha256:1", "quorum": 2, "roles": ["approver", "admin"],
        },
        "requestedBy": "key:ci",
        "round": 1,
    })
}

fn delivery() -> Value {
    json!({
        "run": "run-1", "url": "http://127.0.0.1:9", "repository": "/r", "commit": "abc",
        "blueprintDigest": "sha256:1", "tests": { "passed": 12, "failed": 0 },
    })
}

fn key(name: &str, secret: &[u8]) -> Value {
    let hash = Digest::of(secret);
    json!({ "key": format!("key-{name}"), "name": name, "hash": hash, "roles": ["admin", "operator"] })
}

#[tokio::test]
async fn an_approval_is_listed_until_and_after_it_is_decided() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    let subject = "acme/governance/approval/appr-1";
    feed.event(subject, "ApprovalOpened", opened("acme"));
    feed.event(subject, "ApprovalEscalated", json!({ "roles": ["admin"] }));
    let pending = ApprovalFilter { states: vec![ApprovalState::Pending], ..ApprovalFilter::default() };
    let row = feed.read.approvals(&scope("acme"), pending.clone(), page(9)).await.unwrap().rows.remove(0);
    assert_eq!((row.title.as_str(), row.run_id.as_str(), row.quorum), ("Ship it?", "run-1", 2));
    assert_eq!((row.roles, row.escalated), (vec!["admin".to_owned()], true));
    let granted = json!({
        "run": "acme/control-plane/run/run-1", "step": "ask", "digest": "sha256:1", "by": ["key:a"], "comment": "",
    });
    feed.event(subject, "ApprovalGranted", granted);
    assert!(feed.read.approvals(&scope("acme"), pending, page(9)).await.unwrap().rows.is_empty());
    let of_run = ApprovalFilter { run_id: Some("run-1".into()), ..ApprovalFilter::default() };
    let row = feed.read.approvals(&scope("acme"), of_run, page(9)).await.unwrap().rows.remove(0);
    assert_eq!(row.state, ApprovalState::Granted);
    assert!(row.ended_at.is_some());
}

#[tokio::test]
async fn a_blueprint_is_listed_with_its_product() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    everything_of(&mut feed, "acme");
    feed.event(
        "acme/control-plane/blueprint/shop",
        "ProductRunRecorded",
        json!({ "run": "run-1", "state": "succeeded", "at": "1970-01-01T00:00:09Z" }),
    );
    let started =
        json!({ "incarnation": 1, "process": { "pid": 7, "started": 1, "boot": "b" }, "url": "http://127.0.0.1:10" });
    feed.event("acme/runtime-cloud/workload/shop", "ProcessStarted", started);
    let row = feed.read.blueprints(&scope("acme"), Some("shop".into()), page(1)).await.unwrap().rows.remove(0);
    assert_eq!((row.title.as_str(), row.version, row.run_id.as_deref()), ("The Shop", 1, Some("run-1")));
    let product = row.product.unwrap();
    assert_eq!((product.url.as_str(), product.state.as_str()), ("http://127.0.0.1:10", "running"));
    assert_eq!((product.tests_passed, product.commit.as_str()), (12, "abc"));
}

#[tokio::test]
async fn a_workload_alone_is_no_product() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    feed.event("acme/runtime-cloud/workload/shop", "WorkloadStopRequested", json!({ "reason": "" }));
    assert!(feed.read.products(&scope("acme"), None, page(9)).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn keys_are_accepted_from_the_moment_their_position_is_reached_and_after_a_restart() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    let subject = "acme/control-plane/tenant/acme";
    feed.event(subject, "TenantCreated", json!({ "name": "Acme" }));
    feed.event(subject, "KeyIssued", key("ci", b"one"));
    feed.event(subject, "KeyIssued", key("old", b"two"));
    let revoked = json!({ "key": "key-old", "name": "old", "hash": Digest::of(b"two") });
    feed.event(subject, "KeyRevoked", revoked);
    let accepted = |read: &ReadModel, secret: &str| {
        let (logins, _) = login::tests::logins(Duration::from_secs(1), Duration::from_secs(1));
        let keys = Keys::new(read.ring(), Arc::new(logins));
        keys.authenticate(&Credential::ApiKey(secret.to_owned()))
    };
    assert_eq!(accepted(&feed.read, "one").unwrap().principal.roles, vec![Role::Admin, Role::Operator]);
    assert!(accepted(&feed.read, "two").is_err());
    drop(feed);

    let mut feed = Feeder::on(&path);
    assert!(accepted(&feed.read, "one").is_ok());
    assert!(accepted(&feed.read, "two").is_err());
    let names = |page: crate::gateway::lists::Page<crate::gateway::lists::KeyRow>| -> Vec<String> {
        page.rows.into_iter().map(|row| row.name).collect()
    };
    assert_eq!(names(feed.read.keys(&scope("acme"), false, page(9)).await.unwrap()), ["ci"]);
    assert_eq!(names(feed.read.keys(&scope("acme"), true, page(9)).await.unwrap()), ["ci", "old"]);

    feed.event(subject, "TenantDisabled", json!({ "reason": "unpaid" }));
    assert!(accepted(&feed.read, "one").is_err());
    let of = |state| TenantFilter { states: vec![state] };
    assert_eq!(feed.read.tenants(None, of(TenantState::Disabled), page(9)).await.unwrap().rows.len(), 1);
    drop(feed);
    let feed = Feeder::on(&path);
    assert!(accepted(&feed.read, "one").is_err());
}

#[tokio::test]
async fn the_cursor_survives_with_the_rows_and_a_reset_forgets_both() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    everything_of(&mut feed, "acme");
    let (cursor, position) = (feed.index.cursor(), feed.read.position());
    drop(feed);
    let mut feed = Feeder::on(&path);
    assert_eq!((feed.index.cursor(), feed.read.position()), (cursor, position));
    feed.index.reset();
    assert_eq!((feed.index.cursor(), feed.read.position()), (None, Position(0)));
    assert!(run_ids(&feed.read, "acme", RunFilter::default()).await.is_empty());
    assert!(feed.read.keys(&scope("acme"), true, page(9)).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_damaged_file_or_another_form_is_made_anew() {
    for damage in [damage_header as fn(&Path), damage_middle, change_form] {
        let (_folder, path) = folder();
        let mut feed = Feeder::on(&path);
        for n in 0..200 {
            feed.submit("acme", &format!("run-{n}"), "deploy", 1);
        }
        drop(feed);
        damage(&path);
        // Only another life of the machine can have done it.
        std::fs::write(path.with_extension("sqlite-life"), "an earlier one").unwrap();
        let mut feed = Feeder::on(&path);
        assert_eq!(feed.index.cursor(), None);
        feed.submit("acme", "run-1", "deploy", 1);
        assert_eq!(run_ids(&feed.read, "acme", RunFilter::default()).await, ["run-1"]);
    }
}

fn damage_header(path: &Path) {
    std::fs::write(path, b"not a database at all, but long enough to be read as one").unwrap();
}

fn damage_middle(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    for byte in bytes.iter_mut().skip(4096).take(64) {
        *byte ^= 0xff;
    }
    std::fs::write(path, bytes).unwrap();
}

fn change_form(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
}

#[tokio::test]
async fn one_can_wait_for_a_position() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    let read = feed.read.clone();
    let late = read.wait_for(Position(1), Duration::from_millis(5)).await.unwrap_err();
    assert_eq!(late.code, "LST-0004");
    let waiting =
        mesh_kernel::task::spawn("test", async move { read.wait_for(Position(1), Duration::from_secs(10)).await });
    feed.submit("acme", "run-1", "deploy", 1);
    assert_eq!(waiting.await.unwrap().unwrap(), Position(1));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_no_list() {
    let (_folder, path) = folder();
    let mut feed = Feeder::on(&path);
    feed.run("acme", "run-0", "RunSubmitted", json!({ "nothing": "of it" }));
    feed.run("acme", "run-0", "RunNeverHeardOf", json!({}));
    feed.submit("acme", "run-1", "deploy", 1);
    assert_eq!(run_ids(&feed.read, "acme", RunFilter::default()).await, ["run-1"]);
    assert_eq!(feed.read.position(), Position(3));
}
