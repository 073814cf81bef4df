//! What the journal's events make of a tenant's lineage, and what becomes of it.

use std::{fs, sync::Arc};

use mesh_kernel::{
    envelope::{CorrelationId, Envelope, EventId, Headers, Principal, TenantId, TenantScope, Timestamp, TraceId},
    follow::{Projection as _, Seen},
    ports::{Cursor, Position},
};
use serde_json::{Value, json};

use crate::lineage::{
    EdgeKinds, Toward,
    export::{self, Form},
    find, mapping,
    names::NotFound,
    projection::{LineageProjection, Lineages, OPEN_MAX},
    sweep::{Follow, closure},
};

const RUN: &str = "run-0aa1";

fn scope(tenant: &str) -> TenantScope {
    TenantScope::unproven(TenantId::parse(tenant).expect("a slug"))
}

fn seen(tenant: &str, at: u64, subject: &str, name: &str, payload: &Value) -> Seen {
    let id = EventId::parse("evt-1").expect("an id");
    let envelope = Envelope {
        event_id: id.clone(),
        event_type: name.into(),
        tenant_id: TenantId::parse(tenant).expect("a slug"),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse("trace-1").expect("an id"),
        correlation_id: CorrelationId::parse("c").expect("an id"),
        causation_id: id,
        occurred_at: Timestamp::from_unix_nanos(i64::try_from(at).expect("small") * 1_000_000_000),
        payload: serde_json::to_vec(payload).expect("JSON").into(),
        headers: Headers::new(subject.parse().expect("an address"), Principal::system("test")),
    };
    Seen { envelope: Arc::new(envelope), version: at, position: Position(at) }
}

/// A run of two steps, the second of which gives an agent a task and a commit.
fn told(tenant: &str) -> Vec<Seen> {
    let run = format!("control-plane/run/{RUN}");
    let task = "agent-mesh/agent-task/task-7";
    let parent = json!({ "run": format!("{tenant}/{run}"), "step": "write" });
    let submitted = json!({
        "definition": { "name": "fix", "version": 3, "digest": "sha256:00" },
        // The text names the second step first.
        "workflow": { "name": "fix", "steps": [
            { "id": "write", "needs": ["read"], "agent": { "agent": "coder" } }, { "id": "read", "skill": "git.read" } ] },
    });
    let answer = json!({ "turn": 1, "attempt": 1, "by": { "endpoint": "local", "model": "tiny" }, "cost": 70, "tookMs": 40,
        "answer": { "usage": { "inputTokens": 100, "outputTokens": 20 } } });
    let commit = "0123456789abcdef0123456789abcdef01234567";
    [
        (run.as_str(), "RunSubmitted", submitted),
        (&run, "StepRequested", json!({ "step": "read", "attempt": 1, "input": {} })),
        (&run, "StepSucceeded", json!({ "step": "read", "attempt": 1, "output": { "text": "x" } })),
        (task, "AgentTaskAssigned", json!({ "agent": "coder", "goal": "mend it", "parent": parent })),
        (task, "ContextLoaded", json!({ "agent": { "name": "coder" }, "version": 2, "tools": [] })),
        (task, "ModelCallRequested", json!({ "turn": 1, "attempt": 1, "digest": "sha256:01" })),
        (task, "ModelCallAnswered", answer),
        (task, "ToolCallRequested", json!({ "turn": 1, "call": 0, "skill": "fs.write", "input": {} })),
        (task, "ToolCallSucceeded", json!({ "turn": 1, "call": 0, "output": {} })),
        (task, "ModelCallRequested", json!({ "turn": 2, "attempt": 1, "digest": "sha256:02" })),
        (task, "ModelCallAnswered", json!({ "turn": 2, "attempt": 1, "by": { "endpoint": "local", "model": "tiny" } })),
        (task, "AgentTaskCompleted", json!({ "output": {} })),
        (&run, "StepSucceeded", json!({ "step": "write", "attempt": 1, "output": { "commit": commit } })),
        (&run, "RunSucceeded", json!({ "outputs": {} })),
        (
            "runtime-cloud/workload/shop",
            "WorkloadRequested",
            json!({ "generation": 1, "spec": { "run": RUN, "launch": { "name": "shop", "commit": commit } } }),
        ),
        ("runtime-cloud/workload/shop", "ProcessStarted", json!({ "incarnation": 1, "url": "http://127.0.0.1:1" })),
    ]
    .into_iter()
    .zip(1..)
    .map(|((subject, name, payload), at)| seen(tenant, at, &format!("{tenant}/{subject}"), name, &payload))
    .collect()
}

fn cursor(at: usize) -> Cursor {
    Cursor(vec![u8::try_from(at).expect("small")].into())
}

#[test]
fn why_of_a_running_process_leads_to_who_submitted_the_run_and_to_every_call_between() {
    let folder = tempfile::tempdir().expect("a folder");
    let lineages = Lineages::open(folder.path(), OPEN_MAX).expect("opened");
    let mut projection = LineageProjection::new(lineages.clone()).expect("begun");
    projection.apply(&told("acme"), &cursor(1), Position(16)).expect("taken");
    let store = lineages.of(&scope("acme")).expect("open");
    let (view, names) = (store.view(), store.names());
    let node = names.find("started/shop/1", view.len()).expect("the signal");
    let reached = closure(&view, &[node], Follow::all(Toward::Older));
    let all: Vec<&str> = reached.oldest_first(None).map(|node| names.name(node)).collect();
    for name in [
        "principal/",
        "run/run-0aa1",
        "workflow/fix@3",
        "step/run-0aa1/read",
        "call/run-0aa1/read/1",
        "result/step/run-0aa1/read",
        "task/task-7",
        "context/task-7",
        "agent/coder@2",
        "prompt/task-7/1/1",
        "answer/task-7/1",
        "model/local/tiny",
        "tool/task-7/1/0",
        "skill/fs.write",
        "result/tool/task-7/1/0",
        "answer/task-7/2",
        "result/task/task-7",
        "result/step/run-0aa1/write",
        "commit/0123456789",
        "deployment/shop/1",
    ] {
        assert!(all.iter().any(|each| each.starts_with(name)), "`{name}` is not among {all:#?}");
    }
    let spent = names.spent_by(&reached);
    assert_eq!((spent.tokens, spent.cost, spent.took_ms), (120, 70, 40));
    let run = names.find(RUN, view.len()).expect("by its id");
    let chain: Vec<&str> =
        find::chain(&view, node, EdgeKinds::ALL, 100).into_iter().map(|node| names.name(node)).collect();
    for name in ["deployment/shop/1", "commit/", "result/step/run-0aa1/write", "result/task/task-7", "answer/task-7/2"]
    {
        assert!(chain.iter().any(|each| each.starts_with(name)), "`{name}` is not in the chain {chain:#?}");
    }
    assert!(chain.last().is_some_and(|last| last.starts_with("principal/")), "{chain:#?}");
    let path = find::path(&view, node, run, EdgeKinds::ALL).expect("a way");
    assert_eq!(path.last().map(|(_, node)| *node), Some(run));
    let used = names.find("model/local/tiny", view.len()).expect("the model");
    let touched = closure(&view, &[used], Follow::all(Toward::Newer));
    assert!(touched.has(node), "everything that a model had part in, to the running process");
}

#[test]
fn no_tenant_sees_a_name_of_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let lineages = Lineages::open(folder.path(), 1).expect("opened");
    let mut projection = LineageProjection::new(lineages.clone()).expect("begun");
    let mixed: Vec<Seen> = told("acme").into_iter().zip(told("zeta")).flat_map(|(one, two)| [one, two]).collect();
    projection.apply(&mixed, &cursor(1), Position(32)).expect("taken, with one store open at a time");
    let other = seen(
        "zeta",
        40,
        "zeta/control-plane/run/run-zz99",
        "RunSubmitted",
        &json!({ "definition": { "name": "secret" } }),
    );
    projection.apply(&[other], &cursor(2), Position(40)).expect("taken");
    let (acme, zeta) = (lineages.of(&scope("acme")).expect("open"), lineages.of(&scope("zeta")).expect("open"));
    assert!(zeta.names().find("run-zz99", u32::MAX).is_ok());
    assert_eq!(acme.names().find("run-zz", u32::MAX), Err(NotFound::None("run-zz".into())));
    let all: Vec<String> = (0..acme.view().len()).map(|node| acme.names().name(node).to_owned()).collect();
    assert!(all.iter().all(|name| !name.contains("secret") && !name.contains("zz99")));
    assert_eq!(lineages.of(&scope("nobody")).expect("empty").view().len(), 0);
}

#[test]
fn lineage_goes_on_at_its_cursor_is_made_anew_when_damaged_and_goes_with_its_tenant() {
    let folder = tempfile::tempdir().expect("a folder");
    let batch = told("acme");
    let sums = {
        let lineages = Lineages::open(folder.path(), OPEN_MAX).expect("opened");
        let mut projection = LineageProjection::new(lineages.clone()).expect("begun");
        for (at, seen) in batch.iter().enumerate() {
            projection.apply(std::slice::from_ref(seen), &cursor(at), seen.position).expect("taken");
        }
        projection
            .apply(&[seen("acme", 17, "acme/a/b/c", "Nothing", &json!({}))], &cursor(99), Position(17))
            .expect("taken");
        lineages.of(&scope("acme")).expect("open").sums()
    };
    let lineages = Lineages::open(folder.path(), OPEN_MAX).expect("opened");
    let projection = LineageProjection::new(lineages.clone()).expect("goes on");
    assert_eq!((projection.cursor(), lineages.position()), (Some(cursor(99)), Position(17)));
    assert_eq!(lineages.of(&scope("acme")).expect("open").sums(), sums);
    drop((projection, lineages));
    fs::write(folder.path().join("acme").join("graph"), "nonsense").expect("damaged");
    let lineages = Lineages::open(folder.path(), OPEN_MAX).expect("opened");
    let mut projection = LineageProjection::new(lineages.clone()).expect("begins anew");
    assert_eq!(projection.cursor(), None);
    projection.apply(&batch, &cursor(1), Position(16)).expect("taken");
    let anew = lineages.of(&scope("acme")).expect("open").sums();
    // Positions differ by what one batch is known at; everything else is the same.
    assert_eq!(anew, sums);
    lineages.erase(&scope("acme")).expect("removed");
    projection.apply(&batch, &cursor(2), Position(16)).expect("passed over");
    assert!(!folder.path().join("acme").exists());
}

#[test]
fn every_type_in_the_table_is_there_once() {
    let mut types = mapping::interests().to_vec();
    let count = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), count);
}

#[test]
fn an_export_tells_every_node_and_every_edge_and_reads_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let lineages = Lineages::open(folder.path(), OPEN_MAX).expect("opened");
    let mut projection = LineageProjection::new(lineages.clone()).expect("begun");
    let mut told = told("acme");
    let quoted = json!({ "turn": 3, "call": 0, "skill": "a\"b<c>\\d\ne", "input": {} });
    told.push(seen("acme", 17, "acme/agent-mesh/agent-task/task-7", "ToolCallRequested", &quoted));
    projection.apply(&told, &cursor(1), Position(17)).expect("taken");
    let store = lineages.of(&scope("acme")).expect("open");
    let (view, names) = (store.view(), store.names());
    let start = names.find("principal/", view.len()).expect("who submitted");
    let reached = closure(&view, &[start], Follow::all(Toward::Newer));
    let edges: usize = reached
        .oldest_first(None)
        .map(|node| view.edges_of(node, Toward::Older).iter().filter(|(_, to)| reached.has(*to)).count())
        .sum();
    let form = |form| export::export(&view, &names, &reached, form, usize::MAX);

    let (prov, left_out) = form(Form::Prov);
    let prov: Value = serde_json::from_str(&prov).expect("JSON");
    let count = |wanted: fn(&str) -> bool| -> usize {
        prov.as_object()
            .expect("an object")
            .iter()
            .filter(|(key, _)| wanted(key))
            .filter_map(|(_, value)| Some(value.as_object()?.len()))
            .sum()
    };
    let is_element = |key: &str| matches!(key, "entity" | "activity" | "agent");
    assert_eq!((count(is_element), left_out), (reached.len(), 0));
    assert_eq!(count(|key| !matches!(key, "entity" | "activity" | "agent" | "prefix")), edges);
    assert!(prov.pointer("/entity/mesh:result~1run~1run-0aa1").is_some(), "{prov:#}");

    let (events, _) = form(Form::OpenLineage);
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let starts = events.iter().filter(|event| event.get("eventType") == Some(&json!("START")));
    let told: usize =
        starts.filter_map(|event| event.pointer("/run/facets/mesh_lineage/edges")?.as_array()).map(Vec::len).sum();
    assert_eq!(told, edges, "no edge is lost, and none told twice");
    for event in &events {
        assert_eq!(event.pointer("/run/runId").and_then(Value::as_str).map(str::len), Some(36));
        assert!(event.get("eventTime").and_then(Value::as_str).is_some_and(|time| time.ends_with('Z')));
    }

    let (dot, _) = form(Form::Dot);
    assert!(dot.starts_with("digraph {") && dot.trim_end().ends_with('}'), "{dot}");
    assert_eq!(dot.matches(" -> ").count(), edges);
    assert!(dot.contains(r#"a\"b<c>\\d\ne"#), "{dot}");
    let (mermaid, _) = form(Form::Mermaid);
    assert_eq!(mermaid.matches(" -->|").count(), edges);
    assert_eq!(mermaid.lines().count(), 1 + reached.len() + edges, "{mermaid}");
    let (_, left_out) = export::export(&view, &names, &reached, Form::Dot, 5);
    assert_eq!(left_out, reached.len() as u64 - 5);
}
