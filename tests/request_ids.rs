//! A request id stands for one request: the same body gets the first answer, another body is refused,
//! by every method that takes one. The methods come from the contract; one without a case fails.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use mesh_proto::{FILE_DESCRIPTOR_SET, rpc, v1};
use mesh_tests::{Client, Node, NodeOptions, object};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{Code, Status};

const WAITS: &str = r"
name: waits
steps:
  - id: ship
    approval: { title: 'Ship it?' }
";

const FAILS: &str = r"
name: fails
steps:
  - id: say
    skill: text.echo
    with: { text: '${ input.nothing.at.all }' }
";

/// The stable code in a status.
fn reason(status: &Status) -> Result<String> {
    let details = rpc::Status::decode(status.details())?.details;
    let info = details.iter().find(|any| any.type_url.ends_with("ErrorInfo")).context("no ErrorInfo")?;
    Ok(rpc::ErrorInfo::decode(info.value.as_slice())?.reason)
}

/// The methods whose request has a `request_id`.
fn with_request_id() -> Result<BTreeSet<String>> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)?;
    let messages = set.file.iter().flat_map(|file| &file.message_type);
    let with: BTreeSet<&str> = messages
        .filter(|message| message.field.iter().any(|field| field.name() == "request_id"))
        .map(prost_types::DescriptorProto::name)
        .collect();
    let services = set.file.iter().filter(|file| file.package() == "mesh.v1").flat_map(|file| &file.service);
    let methods = services.flat_map(|service| &service.method);
    Ok(methods
        .filter(|method| with.contains(method.input_type().rsplit('.').next().unwrap_or_default()))
        .map(|method| method.name().to_owned())
        .collect())
}

/// Sends a request, the same again, and another one under its id; `told` is what must not differ
/// between the first answer and the second.
macro_rules! once {
    ($done:expr, $client:expr, $method:ident, $request:expr, $other:expr, $told:expr) => {{
        let method = stringify!($method);
        let request = $request;
        let first = $client.$method(request.clone()).await.with_context(|| format!("{method}, first"))?.into_inner();
        let second = $client.$method(request.clone()).await.with_context(|| format!("{method}, again"))?.into_inner();
        let told = $told;
        assert_eq!(told(&first), told(&second), "{method} answered the repeat otherwise");
        let mut other = request;
        let change: fn(&mut _) = $other;
        change(&mut other);
        let refused = $client.$method(other).await.err().context(method)?;
        assert_eq!(
            (refused.code(), reason(&refused)?.as_str()),
            (Code::AlreadyExists, "KER-0081"),
            "{method}: {refused}"
        );
        $done.insert(method.split('_').map(capital).collect::<String>());
        first
    }};
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

async fn submitted(client: &mut Client, definition: &str, id: &str) -> Result<String> {
    client.submit(definition, id, &serde_json::json!({})).await
}

fn source(text: &str) -> Option<v1::publish_definition_request::Body> {
    let source = v1::DefinitionSource { text: text.to_owned(), file_name: "test.yaml".to_owned() };
    Some(v1::publish_definition_request::Body::Source(source))
}

async fn workflows(done: &mut BTreeSet<String>, client: &mut Client) -> Result<()> {
    let id = || "one".to_owned();
    let publish = v1::PublishDefinitionRequest { body: source(WAITS), request_id: id(), ..Default::default() };
    let change = |other: &mut v1::PublishDefinitionRequest| other.body = source(&WAITS.replace("Ship it", "Really"));
    let told = |answer: &v1::PublishDefinitionResponse| {
        (answer.unchanged, answer.definition.as_ref().map(|definition| definition.version))
    };
    once!(done, client.workflows, publish_definition, publish, change, told);
    client.publish(FAILS).await?;

    let submit = v1::SubmitRunRequest {
        definition: "waits".to_owned(),
        request_id: id(),
        // In no order of their own: the digest must not depend on it.
        labels: ["a", "b", "c", "d"].map(|name| (name.to_owned(), "x".to_owned())).into(),
        ..Default::default()
    };
    let change = |other: &mut v1::SubmitRunRequest| other.input = Some(object(&serde_json::json!({ "a": 1 })));
    let told = |answer: &v1::SubmitRunResponse| (answer.position, answer.run.as_ref().map(|run| run.run_id.clone()));
    let first = once!(done, client.workflows, submit_run, submit, change, told);
    let run_id = first.run.context("no run")?.run_id;

    let signal =
        v1::SignalRunRequest { run_id: run_id.clone(), name: "go".to_owned(), request_id: id(), ..Default::default() };
    let change = |other: &mut v1::SignalRunRequest| other.name = "stop".to_owned();
    once!(done, client.workflows, signal_run, signal, change, |answer: &v1::SignalRunResponse| answer.position);

    let pause = v1::PauseRunRequest { run_id: run_id.clone(), request_id: id(), ..Default::default() };
    let change = |other: &mut v1::PauseRunRequest| other.reason = "lunch".to_owned();
    once!(done, client.workflows, pause_run, pause, change, |answer: &v1::PauseRunResponse| answer.position);

    let resume = v1::ResumeRunRequest { run_id: run_id.clone(), request_id: id(), ..Default::default() };
    let change = |other: &mut v1::ResumeRunRequest| other.etag = "\"v1\"".to_owned();
    once!(done, client.workflows, resume_run, resume, change, |answer: &v1::ResumeRunResponse| answer.position);

    let cancel = v1::CancelRunRequest { run_id, request_id: id(), ..Default::default() };
    let change = |other: &mut v1::CancelRunRequest| other.reason = "enough".to_owned();
    once!(done, client.workflows, cancel_run, cancel, change, |answer: &v1::CancelRunResponse| answer.position);

    let failed = submitted(client, "fails", "two").await?;
    client.wait_for_end(&failed, Duration::from_secs(10)).await?;
    let retry = v1::RetryRunRequest { run_id: failed, request_id: id(), ..Default::default() };
    let change = |other: &mut v1::RetryRunRequest| other.from_step = "say".to_owned();
    once!(done, client.workflows, retry_run, retry, change, |answer: &v1::RetryRunResponse| answer.position);
    Ok(())
}

async fn approvals(done: &mut BTreeSet<String>, client: &mut Client, approver: &mut Client) -> Result<()> {
    let run_id = submitted(client, "waits", "three").await?;
    let began = std::time::Instant::now();
    let approval = loop {
        let request = v1::ListApprovalsRequest { filter: "state = PENDING".to_owned(), ..Default::default() };
        let listed = client.approvals.list_approvals(request).await?.into_inner().approvals;
        // The list may still have the one of the run that was cancelled.
        if let Some(approval) = listed.into_iter().find(|approval| approval.run_id == run_id) {
            break approval;
        }
        ensure!(began.elapsed() < Duration::from_secs(10), "no approval");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let decide = v1::DecideApprovalRequest {
        approval_id: approval.approval_id,
        decision: v1::ApprovalDecision::Approve.into(),
        digest: approval.digest,
        request_id: "one".to_owned(),
        ..Default::default()
    };
    let change = |other: &mut v1::DecideApprovalRequest| other.comment = "because".to_owned();
    let told = |answer: &v1::DecideApprovalResponse| (answer.position, answer.approval.clone());
    once!(done, approver.approvals, decide_approval, decide, change, told);
    Ok(())
}

async fn blueprints(done: &mut BTreeSet<String>, client: &mut Client) -> Result<()> {
    let text = include_str!("../config/blueprints/helpdesk.yaml").to_owned();
    let source = Some(v1::BlueprintSource { text, file_name: String::new() });
    let apply = v1::ApplyBlueprintRequest { source, request_id: "one".to_owned(), ..Default::default() };
    let change = |other: &mut v1::ApplyBlueprintRequest| {
        if let Some(source) = &mut other.source {
            source.text.push_str("\n# the same blueprint in another text\n");
        }
    };
    let told = |answer: &v1::ApplyBlueprintResponse| (answer.position, answer.outcome);
    let applied = once!(done, client.blueprints, apply_blueprint, apply, change, told);
    // The product is not the point.
    let run_id = applied.run.context("no run")?.run_id;
    for _ in 0..500 {
        let request = v1::CancelRunRequest { run_id: run_id.clone(), ..Default::default() };
        match client.workflows.cancel_run(request).await {
            Err(status) if status.code() == Code::NotFound => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => break,
        }
    }
    Ok(())
}

async fn skills(done: &mut BTreeSet<String>, client: &mut Client) -> Result<()> {
    let skill = v1::Skill {
        name: "acme.shout".to_owned(),
        version: "1.0.0".to_owned(),
        effect: v1::SkillEffect::Pure.into(),
        ..Default::default()
    };
    let register =
        v1::RegisterSkillsRequest { skills: vec![skill], request_id: "one".to_owned(), ..Default::default() };
    let change =
        |other: &mut v1::RegisterSkillsRequest| other.skills.iter_mut().for_each(|it| it.version = "2.0.0".into());
    let told = |answer: &v1::RegisterSkillsResponse| (answer.position, answer.registered.clone());
    once!(done, client.skills, register_skills, register, change, told);

    let deprecate = v1::DeprecateSkillRequest {
        name: "acme.shout".to_owned(),
        version: "1.0.0".to_owned(),
        reason: "old".to_owned(),
        request_id: "one".to_owned(),
    };
    let change = |other: &mut v1::DeprecateSkillRequest| other.reason = "older".to_owned();
    once!(done, client.skills, deprecate_skill, deprecate, change, |answer: &v1::DeprecateSkillResponse| answer
        .skill
        .clone());

    let withdraw = v1::WithdrawSkillRequest {
        name: "acme.shout".to_owned(),
        version: "1.0.0".to_owned(),
        reason: "wrong".to_owned(),
        request_id: "one".to_owned(),
    };
    let change = |other: &mut v1::WithdrawSkillRequest| other.reason = "worse".to_owned();
    let told = |answer: &v1::WithdrawSkillResponse| answer.skill.clone();
    once!(done, client.skills, withdraw_skill, withdraw, change, told);

    let invoke = v1::InvokeSkillRequest {
        name: "text.echo".to_owned(),
        input: Some(object(&serde_json::json!({ "text": "a" }))),
        request_id: "invoked".to_owned(),
        ..Default::default()
    };
    let change = |other: &mut v1::InvokeSkillRequest| other.input = Some(object(&serde_json::json!({ "text": "b" })));
    let told = |answer: &v1::InvokeSkillResponse| (answer.position, answer.run.as_ref().map(|run| run.run_id.clone()));
    once!(done, client.skills, invoke_skill, invoke, change, told);
    Ok(())
}

async fn knowledge(done: &mut BTreeSet<String>, client: &mut Client) -> Result<()> {
    let document = |path: &str| v1::NewDocument {
        path: path.to_owned(),
        body: "The harbour master keeps the log.".into(),
        ..Default::default()
    };
    let ingest = v1::IngestDocumentsRequest {
        collection: "docs".to_owned(),
        source: Some(v1::KnowledgeSource { name: "notes".to_owned(), ..Default::default() }),
        documents: vec![document("a.md")],
        request_id: "one".to_owned(),
        ..Default::default()
    };
    let change = |other: &mut v1::IngestDocumentsRequest| {
        other.documents.iter_mut().for_each(|document| document.path = "b.md".to_owned());
    };
    let told = |answer: &v1::IngestDocumentsResponse| (answer.position, answer.taken);
    once!(done, client.knowledge, ingest_documents, ingest, change, told);
    client.indexed("docs").await?;

    let build = v1::BuildContextRequest {
        intent: "who keeps the log".to_owned(),
        collections: vec!["docs".to_owned()],
        request_id: "one".to_owned(),
        ..Default::default()
    };
    let change = |other: &mut v1::BuildContextRequest| other.token_budget = 500;
    let told = |answer: &v1::BuildContextResponse| (answer.position, answer.package.clone());
    once!(done, client.knowledge, build_context, build, change, told);

    let forget = v1::ForgetDocumentsRequest {
        collection: "docs".to_owned(),
        source: "notes".to_owned(),
        paths: vec!["a.md".to_owned()],
        request_id: "two".to_owned(),
    };
    let change = |other: &mut v1::ForgetDocumentsRequest| other.paths.clear();
    once!(done, client.knowledge, forget_documents, forget, change, |answer: &v1::ForgetDocumentsResponse| answer
        .position);
    Ok(())
}

async fn agents(done: &mut BTreeSet<String>, client: &mut Client) -> Result<()> {
    let agent = |what: &str| format!("name: clerk\ninstructions: {what}\n");
    let publish = v1::PublishAgentRequest { source: agent("sort"), request_id: "one".to_owned(), ..Default::default() };
    let change = |other: &mut v1::PublishAgentRequest| other.source.push_str("# the same agent in another text\n");
    let told = |answer: &v1::PublishAgentResponse| (answer.position, answer.version);
    once!(done, client.agents, publish_agent, publish, change, told);
    let again = v1::PublishAgentRequest { source: agent("sort letters"), ..Default::default() };
    client.agents.publish_agent(again).await?;

    let activate = v1::ActivateAgentRequest { name: "clerk".to_owned(), version: 1, request_id: "one".to_owned() };
    let change = |other: &mut v1::ActivateAgentRequest| other.version = 2;
    let told = |answer: &v1::ActivateAgentResponse| answer.agent.as_ref().map(|agent| agent.active_version);
    once!(done, client.agents, activate_agent, activate, change, told);

    let run = v1::RunAgentRequest {
        name: "clerk".to_owned(),
        goal: "sort".to_owned(),
        request_id: "an-agent".to_owned(),
        ..Default::default()
    };
    let change = |other: &mut v1::RunAgentRequest| other.goal = "sort again".to_owned();
    let told = |answer: &v1::RunAgentResponse| (answer.position, answer.run.as_ref().map(|run| run.run_id.clone()));
    let given = once!(done, client.agents, run_agent, run, change, told);

    // Nobody answers at the node's endpoint, so the task waits for its next attempt meanwhile.
    let run_id = given.run.context("no run")?.run_id;
    let mut task_id = String::new();
    for _ in 0..500 {
        task_id = client.run(&run_id).await?.steps.first().context("no step")?.task_id.clone();
        let known = client.agents.get_task(v1::GetTaskRequest { task_id: task_id.clone() }).await;
        if known.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fn pause(reason: &str) -> Option<v1::steer_task_request::Action> {
        Some(v1::steer_task_request::Action::Pause(v1::steer_task_request::Pause { reason: reason.to_owned() }))
    }
    let steer = v1::SteerTaskRequest { task_id, action: pause("lunch"), request_id: "one".to_owned() };
    let change = |other: &mut v1::SteerTaskRequest| other.action = pause("dinner");
    once!(done, client.agents, steer_task, steer, change, |answer: &v1::SteerTaskResponse| answer.position);

    let (level, request_id) = ("tenant".to_owned(), "one".to_owned());
    let budget = v1::SetBudgetRequest { level, tokens: Some(10_000_000), request_id, ..Default::default() };
    let change = |other: &mut v1::SetBudgetRequest| other.tokens = Some(20_000_000);
    once!(done, client.agents, set_budget, budget, change, |answer: &v1::SetBudgetResponse| answer.position);
    Ok(())
}

async fn tenants(done: &mut BTreeSet<String>, client: &mut Client) -> Result<()> {
    let id = || "one".to_owned();
    let create = v1::CreateTenantRequest { tenant_id: "acme".to_owned(), request_id: id(), ..Default::default() };
    let change = |other: &mut v1::CreateTenantRequest| other.title = "Acme".to_owned();
    once!(done, client.tenants, create_tenant, create, change, |answer: &v1::CreateTenantResponse| answer.position);

    let key = v1::CreateApiKeyRequest {
        tenant_id: "acme".to_owned(),
        name: "ci".to_owned(),
        roles: vec!["developer".to_owned()],
        request_id: id(),
    };
    let made = client.tenants.create_api_key(key.clone()).await?.into_inner();
    ensure!(!made.secret.is_empty(), "no secret");
    // The secret is told once: a repeat says so, and another body is refused as everywhere.
    let repeat = client.tenants.create_api_key(key.clone()).await.err().context("the secret is told once")?;
    assert_eq!((repeat.code(), reason(&repeat)?.as_str()), (Code::AlreadyExists, "GTW-0010"));
    let other = v1::CreateApiKeyRequest { roles: vec!["admin".to_owned()], ..key };
    let refused = client.tenants.create_api_key(other).await.err().context("another body")?;
    assert_eq!((refused.code(), reason(&refused)?.as_str()), (Code::AlreadyExists, "KER-0081"));
    done.insert("CreateApiKey".to_owned());

    let key_id = made.key.context("no key")?.key_id;
    let revoke = v1::RevokeApiKeyRequest { tenant_id: "acme".to_owned(), key_id, request_id: id() };
    let change = |other: &mut v1::RevokeApiKeyRequest| other.key_id = "ci".to_owned();
    let told = |answer: &v1::RevokeApiKeyResponse| (answer.position, answer.key.clone());
    once!(done, client.tenants, revoke_api_key, revoke, change, told);

    let disable = v1::DisableTenantRequest { tenant_id: "acme".to_owned(), request_id: id(), ..Default::default() };
    let change = |other: &mut v1::DisableTenantRequest| other.reason = "unpaid".to_owned();
    once!(done, client.tenants, disable_tenant, disable, change, |answer: &v1::DisableTenantResponse| answer.position);

    let enable = v1::EnableTenantRequest { tenant_id: "acme".to_owned(), request_id: id(), ..Default::default() };
    let change = |other: &mut v1::EnableTenantRequest| other.etag = "\"v1\"".to_owned();
    once!(done, client.tenants, enable_tenant, enable, change, |answer: &v1::EnableTenantResponse| answer.position);

    // What is deleted takes its request ids along: the repeat is answered the same, or not found once it is gone.
    let delete = v1::DeleteTenantRequest { tenant_id: "acme".to_owned(), request_id: id(), ..Default::default() };
    let first = client.tenants.delete_tenant(delete.clone()).await?.into_inner();
    match client.tenants.delete_tenant(delete).await {
        Ok(second) => assert_eq!(second.into_inner().position, first.position),
        Err(gone) => assert_eq!(gone.code(), Code::NotFound, "{gone}"),
    }
    done.insert("DeleteTenant".to_owned());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_id_is_the_same_request_for_every_method_that_takes_one() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    // Port 9 is where nobody listens.
    options.settings.push(("OPENAI_BASE_URL".to_owned(), "http://127.0.0.1:9/v1".to_owned()));
    options.settings.push(("OPENAI_MODEL".to_owned(), "none".to_owned()));
    let node = Node::start(&options)?;
    let mut client = node.client().await?;
    let mut approver = client.keyed(&node.grpc, "approver", &["approver"]).await?;
    let mut done = BTreeSet::new();
    workflows(&mut done, &mut client).await?;
    approvals(&mut done, &mut client, &mut approver).await?;
    blueprints(&mut done, &mut client).await?;
    skills(&mut done, &mut client).await?;
    agents(&mut done, &mut client).await?;
    knowledge(&mut done, &mut client).await?;
    tenants(&mut done, &mut client).await?;
    assert_eq!(done, with_request_id()?, "a method without a case, or a case without a method");
    Ok(())
}
