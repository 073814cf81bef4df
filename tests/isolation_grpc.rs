//! Nobody sees another tenant: every method that reflection tells of is called with tenant B's key
//! and tenant A's ids. A method without a case fails.

use std::{collections::BTreeSet, future::Future, path::Path, pin::Pin, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, stream};
use mesh_proto::v1;
use mesh_tests::{Client, Doomed, Node, NodeOptions, object};
use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::{
    Code, Request, Status, Streaming,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// Stands in everything that tenant A has.
const MARK: &str = "alphasecret";

const DEFINITION: &str = r"
name: alphasecret-definition
steps:
  - id: say
    skill: text.echo
    with: { text: '${ input.text }' }
  - id: ship
    needs: [say]
    approval: { title: 'alphasecret approval' }
";

/// Bytes in, bytes out: methods are called as reflection names them.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(buffer);
        let mut item = vec![0; length];
        bytes::Buf::copy_to_slice(buffer, &mut item);
        Ok(Some(item))
    }
}

/// The messages of an answer: up to the one that says "caught up", which live streams do not outlive.
async fn call(channel: &Channel, key: Option<&str>, path: &str, body: Vec<u8>) -> Result<Vec<Vec<u8>>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(body);
    if let Some(key) = key {
        let value = format!("Bearer {key}").parse().map_err(|_| Status::internal("the key is no header"))?;
        request.metadata_mut().insert("authorization", value);
    }
    let path = path.parse().map_err(|_| Status::internal("the path is none"))?;
    let mut stream = grpc.server_streaming(request, path, Raw).await?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        let over = is_caught_up(&message);
        messages.push(message);
        if over {
            break;
        }
    }
    Ok(messages)
}

fn is_caught_up(message: &[u8]) -> bool {
    use v1::{tail_response::Item as Tailed, watch_runs_response::Item as Watched};
    let watched = v1::WatchRunsResponse::decode(message).ok().and_then(|message| message.item);
    let tailed = v1::TailResponse::decode(message).ok().and_then(|message| message.item);
    matches!(watched, Some(Watched::CaughtUp(_))) || matches!(tailed, Some(Tailed::CaughtUp(_)))
}

/// The methods of `mesh.v1`, as the node's own reflection tells them.
async fn reflected(channel: &Channel) -> Result<BTreeSet<String>> {
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut ask = async |message: MessageRequest| -> Result<MessageResponse> {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        let mut answers = client.server_reflection_info(stream::iter([request])).await?.into_inner();
        answers.message().await?.and_then(|answer| answer.message_response).context("no answer")
    };
    let MessageResponse::ListServicesResponse(services) = ask(MessageRequest::ListServices(String::new())).await?
    else {
        anyhow::bail!("no services")
    };
    let mut methods = BTreeSet::new();
    for service in services.service.iter().filter(|service| service.name.starts_with("mesh.v1.")) {
        let MessageResponse::FileDescriptorResponse(files) =
            ask(MessageRequest::FileContainingSymbol(service.name.clone())).await?
        else {
            anyhow::bail!("no file for {}", service.name)
        };
        for file in files.file_descriptor_proto {
            let file = FileDescriptorProto::decode(file.as_slice())?;
            for found in file.service.iter().filter(|found| service.name.ends_with(found.name())) {
                methods.extend(found.method.iter().map(|method| format!("/{}/{}", service.name, method.name())));
            }
        }
    }
    Ok(methods)
}

/// What tenant A has.
struct Alpha {
    run_id: String,
    approval_id: String,
    approval_digest: String,
    /// A command of A's that waits for an approval.
    held: v1::Approval,
    key_id: String,
    content: String,
    blueprint: String,
    dead_letter: String,
    /// A task of an agent of A's.
    task_id: String,
    /// A context package of A's.
    context_id: String,
    /// A call that a worker of A's has.
    call_id: String,
    _worker: Streaming<v1::WorkResponse>,
}

/// A worker of A's that has a call and never ends it.
async fn worker(client: &mut Client) -> Result<(String, Streaming<v1::WorkResponse>)> {
    use v1::{work_request::Message as Said, work_response::Message as Told};
    let skill = "alphasecret.shout";
    client
        .skills
        .register_skills(v1::RegisterSkillsRequest { skills: vec![shout(skill)], ..Default::default() })
        .await?;
    let hello = v1::WorkerHello {
        worker_id: "alphasecret-worker".to_owned(),
        skills: vec![v1::SkillVersion { name: skill.to_owned(), version: "1.0.0".to_owned() }],
        concurrency: 1,
        ..Default::default()
    };
    let said = stream::iter([v1::WorkRequest { message: Some(Said::Hello(hello)) }]).chain(stream::pending());
    let mut told = client.workers.work(said).await?.into_inner();
    let invoke = v1::InvokeSkillRequest {
        name: skill.to_owned(),
        input: Some(object(&serde_json::json!({}))),
        ..Default::default()
    };
    client.skills.invoke_skill(invoke).await?;
    while let Some(message) = watched(told.message()).await?? {
        if let Some(Told::Call(call)) = message.message {
            return Ok((call.call_id, told));
        }
    }
    anyhow::bail!("the worker was given no call")
}

/// An agent of this name that calls nothing.
fn clerk(name: &str) -> v1::PublishAgentRequest {
    let source = format!("name: {name}\ninstructions: you are {name}\n");
    v1::PublishAgentRequest { source, ..Default::default() }
}

/// A task of an agent of A's: no model is configured, so it fails at once.
async fn task(client: &mut Client) -> Result<String> {
    client.agents.publish_agent(clerk("alphasecret-clerk")).await?;
    let request = v1::RunAgentRequest { name: "alphasecret-clerk".to_owned(), ..Default::default() };
    let run_id = client.agents.run_agent(request).await?.into_inner().run.context("no run")?.run_id;
    let run = client.wait_for_end(&run_id, Duration::from_secs(30)).await?;
    Ok(run.steps.first().context("no step")?.task_id.clone())
}

/// Documents of A's, and a context package made of them.
async fn knowledge(client: &mut Client) -> Result<String> {
    client.knowledge.ingest_documents(documents("alphasecret-docs", MARK)).await?;
    client.indexed("alphasecret-docs").await?;
    let request = v1::BuildContextRequest {
        intent: format!("what is {MARK}"),
        collections: vec!["alphasecret-docs".to_owned()],
        ..Default::default()
    };
    let package = client.knowledge.build_context(request).await?.into_inner().package.context("no package")?;
    ensure!(package.text.contains(MARK), "nothing is in the package: {package:#?}");
    Ok(package.id)
}

/// A source of one document that says this word.
fn documents(collection: &str, word: &str) -> v1::IngestDocumentsRequest {
    v1::IngestDocumentsRequest {
        collection: collection.to_owned(),
        source: Some(v1::KnowledgeSource { name: format!("{word}-source"), ..Default::default() }),
        documents: vec![v1::NewDocument {
            path: format!("{word}.md"),
            body: format!("# {word}\n\nThe harbour master keeps {word} in the log.\n").into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A tenant and the secret of its one key.
async fn tenant(operator: &mut Client, name: &str, key: &str) -> Result<String> {
    let request =
        v1::CreateTenantRequest { tenant_id: name.to_owned(), title: format!("{key} title"), ..Default::default() };
    operator.tenants.create_tenant(request).await?;
    let request = v1::CreateApiKeyRequest {
        tenant_id: name.to_owned(),
        name: key.to_owned(),
        roles: ["admin", "developer", "approver"].map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let made = operator.tenants.create_api_key(request).await?.into_inner();
    let request =
        v1::ListApiKeysRequest { tenant_id: name.to_owned(), min_position: made.position, ..Default::default() };
    operator.tenants.list_api_keys(request).await?;
    Ok(made.secret)
}

/// Tenant A with something of everything.
async fn furnish(node: &Node, data: &Path, client: &mut Client) -> Result<Alpha> {
    client.publish(DEFINITION).await?;
    let text = MARK.repeat(10_000);
    let run_id = client.submit("alphasecret-definition", MARK, &serde_json::json!({ "text": text })).await?;
    let began = std::time::Instant::now();
    let (run, approval) = loop {
        let run = client.run(&run_id).await?;
        let request = v1::ListApprovalsRequest::default();
        let listed = client.approvals.list_approvals(request).await?.into_inner().approvals;
        if let Some(approval) = listed.into_iter().next() {
            break (run, approval);
        }
        ensure!(began.elapsed() < Duration::from_secs(30), "no approval: {run:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let key = client.issue("alphasecret-approver", &["approver"]).await?;
    let mut approver = Client::connect(&node.grpc, &key).await?;
    let doomed = Doomed::provoke(data, "alpha", client, &mut approver, "alphasecret-doomed").await?;
    let input = run.input.context("no input")?;
    let content = mesh_tests::json(input.fields.get("text"));
    let keys = client.tenants.list_api_keys(v1::ListApiKeysRequest::default()).await?.into_inner().keys;
    let (call_id, told) = worker(client).await?;
    Ok(Alpha {
        task_id: task(client).await?,
        context_id: knowledge(client).await?,
        call_id,
        _worker: told,
        run_id,
        approval_id: approval.approval_id,
        approval_digest: approval.digest,
        held: held(client, &run.run_id).await?,
        key_id: keys.first().context("no key")?.key_id.clone(),
        content: content.get("$ref").and_then(|digest| digest.as_str()).context("the text is not large")?.to_owned(),
        blueprint: blueprint(client).await?,
        dead_letter: doomed.letters.first().context("no dead letter")?.dead_letter_id.clone(),
    })
}

/// A signal of A's that waits for an approval, under the default policy of this test.
async fn held(client: &mut Client, run_id: &str) -> Result<v1::Approval> {
    let signal = v1::SignalRunRequest {
        run_id: run_id.to_owned(),
        name: MARK.to_owned(),
        request_id: MARK.to_owned(),
        ..Default::default()
    };
    let waits = client.workflows.signal_run(signal).await.err().context("it needs an approval")?;
    ensure!(waits.code() == Code::FailedPrecondition, "{waits}");
    // The refusal does not say where the journal stood, and lists come after it.
    for _ in 0..500 {
        let request = v1::ListApprovalsRequest::default();
        let approvals = client.approvals.list_approvals(request).await?.into_inner().approvals;
        if let Some(held) = approvals.into_iter().find(|approval| approval.title.starts_with("SignalRun")) {
            return Ok(held);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("the signal waits nowhere")
}

/// Applies a blueprint and cancels its run at once: the product is not the point.
async fn blueprint(client: &mut Client) -> Result<String> {
    let text = include_str!("../config/blueprints/helpdesk.yaml").to_owned();
    let source = Some(v1::BlueprintSource { text: text.clone(), file_name: String::new() });
    let request = v1::ApplyBlueprintRequest { source, ..Default::default() };
    let applied = client.blueprints.apply_blueprint(request).await?.into_inner();
    let run_id = applied.run.context("no run")?.run_id;
    for _ in 0..200 {
        let request = v1::CancelRunRequest { run_id: run_id.clone(), ..Default::default() };
        match client.workflows.cancel_run(request).await {
            Err(status) if status.code() == Code::NotFound => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => break,
        }
    }
    Ok(text)
}

type Answer = Result<Vec<Vec<u8>>, Status>;

/// One call with B's key: the path, the request, and what must hold of the answer.
struct Case {
    path: &'static str,
    body: Vec<u8>,
    holds: fn(&Answer) -> bool,
    /// It is refused for whose it is, and not for its form: A gets an answer.
    for_a: bool,
}

fn not_found(answer: &Answer) -> bool {
    matches!(answer, Err(status) if status.code() == Code::NotFound)
}

fn denied(answer: &Answer) -> bool {
    matches!(answer, Err(status) if status.code() == Code::PermissionDenied)
}

fn refused(answer: &Answer) -> bool {
    matches!(answer, Err(status) if status.code() == Code::InvalidArgument)
}

fn echo(text: serde_json::Value) -> v1::InvokeSkillRequest {
    v1::InvokeSkillRequest {
        name: "text.echo".to_owned(),
        input: Some(object(&serde_json::json!({ "text": text }))),
        ..Default::default()
    }
}

/// A skill of this name that anything can be given.
fn shout(name: &str) -> v1::Skill {
    v1::Skill {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        effect: v1::SkillEffect::Pure.into(),
        ..Default::default()
    }
}

/// A worker that says it is A's, and still has A's call.
fn hello(skill: &str, alpha: &Alpha) -> v1::WorkRequest {
    let hello = v1::WorkerHello {
        worker_id: "alphasecret-worker".to_owned(),
        skills: vec![v1::SkillVersion { name: skill.to_owned(), version: "1.0.0".to_owned() }],
        concurrency: 9,
        held_call_ids: vec![alpha.call_id.clone()],
        ..Default::default()
    };
    v1::WorkRequest { message: Some(v1::work_request::Message::Hello(hello)) }
}

fn unregistered(answer: &Answer) -> bool {
    matches!(answer, Err(status) if status.code() == Code::FailedPrecondition)
}

/// It is welcome, and A's call is none of its own.
fn is_told_of_nothing(answer: &Answer) -> bool {
    use v1::work_response::Message;
    let Ok(messages) = answer else { return false };
    let told: Vec<_> = messages.iter().map(|message| v1::WorkResponse::decode(message.as_slice())).collect();
    let stale = |message: &Message| matches!(message, Message::Acknowledged(ack) if ack.stale);
    let told: Option<Vec<Message>> = told.into_iter().map(|told| told.ok()?.message).collect();
    told.is_some_and(|told| matches!(told.as_slice(), [Message::Welcome(_), ack] if stale(ack)))
}

/// It answers, and everything that it says is B's own.
fn own_alone(answer: &Answer) -> bool {
    answer.is_ok()
}

fn case<M: Message>(path: &'static str, body: M, holds: fn(&Answer) -> bool) -> Case {
    Case { path, body: body.encode_to_vec(), holds, for_a: is_read(path) }
}

/// A's run is no node of B's lineage.
fn lineage_case<M: Message>(alpha: &Alpha, method: &str, request: impl Fn(String) -> M) -> Case {
    let path: &'static str = match method {
        "GetNode" => "/mesh.v1.LineageService/GetNode",
        "Why" => "/mesh.v1.LineageService/Why",
        "Impact" => "/mesh.v1.LineageService/Impact",
        "Path" => "/mesh.v1.LineageService/Path",
        "CommonCause" => "/mesh.v1.LineageService/CommonCause",
        "Diff" => "/mesh.v1.LineageService/Diff",
        _ => "/mesh.v1.LineageService/Export",
    };
    case(path, request(alpha.run_id.clone()), not_found)
}

fn workflow_cases(alpha: &Alpha) -> Vec<Case> {
    let run_id = || alpha.run_id.clone();
    let definition = || "alphasecret-definition".to_owned();
    let beginning = v1::WatchStart::Beginning.into();
    let watch = |target| v1::WatchRunsRequest { target: Some(target), start: beginning, ..Default::default() };
    let source = || v1::DefinitionSource { text: "name: own\nsteps: []\n".to_owned(), file_name: String::new() };
    vec![
        case(
            "/mesh.v1.WorkflowService/PublishDefinition",
            v1::PublishDefinitionRequest {
                body: Some(v1::publish_definition_request::Body::Source(v1::DefinitionSource {
                    text: "name: own\nsteps: [{ id: a, skill: text.echo, with: { text: b } }]\n".to_owned(),
                    file_name: String::new(),
                })),
                ..Default::default()
            },
            own_alone,
        ),
        case(
            "/mesh.v1.WorkflowService/ValidateDefinition",
            v1::ValidateDefinitionRequest { body: Some(v1::validate_definition_request::Body::Source(source())) },
            own_alone,
        ),
        case("/mesh.v1.WorkflowService/ListDefinitions", v1::ListDefinitionsRequest::default(), own_alone),
        case(
            "/mesh.v1.WorkflowService/GetDefinition",
            v1::GetDefinitionRequest { name: definition(), version: 0 },
            not_found,
        ),
        case(
            "/mesh.v1.WorkflowService/SubmitRun",
            v1::SubmitRunRequest {
                definition: definition(),
                request_id: MARK.to_owned(),
                input: Some(object(&serde_json::json!({ "text": "b" }))),
                ..Default::default()
            },
            not_found,
        ),
        case("/mesh.v1.WorkflowService/GetRun", v1::GetRunRequest { run_id: run_id() }, not_found),
        case("/mesh.v1.WorkflowService/ListRuns", v1::ListRunsRequest::default(), own_alone),
        case("/mesh.v1.WorkflowService/WatchRuns", watch(v1::watch_runs_request::Target::RunId(run_id())), not_found),
        case(
            "/mesh.v1.WorkflowService/WatchRuns",
            watch(v1::watch_runs_request::Target::Filter(String::new())),
            own_alone,
        ),
        case(
            "/mesh.v1.WorkflowService/SignalRun",
            v1::SignalRunRequest { run_id: run_id(), name: "go".to_owned(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.WorkflowService/PauseRun",
            v1::PauseRunRequest { run_id: run_id(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.WorkflowService/ResumeRun",
            v1::ResumeRunRequest { run_id: run_id(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.WorkflowService/CancelRun",
            v1::CancelRunRequest { run_id: run_id(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.WorkflowService/RetryRun",
            v1::RetryRunRequest { run_id: run_id(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.WorkflowService/GetRunHistory",
            v1::GetRunHistoryRequest { run_id: run_id(), include_timeline: true, ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.WorkflowService/GetRunLogs",
            v1::GetRunLogsRequest { run_id: run_id(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.WorkflowService/WatchRunLogs",
            v1::WatchRunLogsRequest { run_id: run_id(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.WorkflowService/ReadContent",
            v1::ReadContentRequest { digest: alpha.content.clone() },
            not_found,
        ),
    ]
}

fn other_cases(alpha: &Alpha) -> Vec<Case> {
    let tenant_id = || "alpha".to_owned();
    let source = || Some(v1::BlueprintSource { text: alpha.blueprint.clone(), file_name: String::new() });
    let from_the_beginning = v1::JournalTail { start: v1::WatchStart::Beginning.into(), ..Default::default() };
    vec![
        case("/mesh.v1.ApprovalService/ListApprovals", v1::ListApprovalsRequest::default(), own_alone),
        case(
            "/mesh.v1.ApprovalService/GetApproval",
            v1::GetApprovalRequest { approval_id: alpha.approval_id.clone() },
            not_found,
        ),
        case(
            "/mesh.v1.ApprovalService/DecideApproval",
            v1::DecideApprovalRequest {
                approval_id: alpha.approval_id.clone(),
                decision: v1::ApprovalDecision::Approve.into(),
                digest: alpha.approval_digest.clone(),
                ..Default::default()
            },
            not_found,
        ),
        case(
            "/mesh.v1.ApprovalService/GetApproval",
            v1::GetApprovalRequest { approval_id: alpha.held.approval_id.clone() },
            not_found,
        ),
        case(
            "/mesh.v1.ApprovalService/DecideApproval",
            v1::DecideApprovalRequest {
                approval_id: alpha.held.approval_id.clone(),
                decision: v1::ApprovalDecision::Approve.into(),
                digest: alpha.held.digest.clone(),
                ..Default::default()
            },
            not_found,
        ),
        // Where the command lies that waits.
        case(
            "/mesh.v1.WorkflowService/ReadContent",
            v1::ReadContentRequest { digest: alpha.held.digest.clone() },
            not_found,
        ),
        case(
            "/mesh.v1.BlueprintService/ValidateBlueprint",
            v1::ValidateBlueprintRequest { source: source() },
            own_alone,
        ),
        case("/mesh.v1.BlueprintService/PlanBlueprint", v1::PlanBlueprintRequest { source: source() }, plans_a_first),
        case(
            "/mesh.v1.BlueprintService/ApplyBlueprint",
            v1::ApplyBlueprintRequest { source: source(), validate_only: true, ..Default::default() },
            own_alone,
        ),
        case(
            "/mesh.v1.BlueprintService/GetBlueprint",
            v1::GetBlueprintRequest { name: "helpdesk".to_owned() },
            not_found,
        ),
        case("/mesh.v1.BlueprintService/ListBlueprints", v1::ListBlueprintsRequest::default(), lists_no_blueprint),
        case(
            "/mesh.v1.TenantService/CreateTenant",
            v1::CreateTenantRequest { tenant_id: "gamma".to_owned(), ..Default::default() },
            denied,
        ),
        case("/mesh.v1.TenantService/ListTenants", v1::ListTenantsRequest::default(), own_alone),
        case("/mesh.v1.SkillService/ListSkills", v1::ListSkillsRequest::default(), own_alone),
        case("/mesh.v1.SkillService/GetSkill", v1::GetSkillRequest { name: "text.echo".to_owned() }, own_alone),
        case("/mesh.v1.SkillService/GetSkill", v1::GetSkillRequest { name: "alphasecret.shout".to_owned() }, not_found),
        case(
            "/mesh.v1.SkillService/RegisterSkills",
            v1::RegisterSkillsRequest { skills: vec![shout("beta.shout")], ..Default::default() },
            own_alone,
        ),
        case(
            "/mesh.v1.SkillService/DeprecateSkill",
            v1::DeprecateSkillRequest {
                name: "alphasecret.shout".to_owned(),
                version: "1.0.0".to_owned(),
                ..Default::default()
            },
            not_found,
        ),
        lineage_case(alpha, "GetNode", |node| v1::GetNodeRequest { node }),
        lineage_case(alpha, "Why", |node| v1::WhyRequest { node, ..Default::default() }),
        lineage_case(alpha, "Impact", |node| v1::ImpactRequest { node, ..Default::default() }),
        lineage_case(alpha, "Path", |from| v1::PathRequest { to: from.clone(), from, ..Default::default() }),
        lineage_case(alpha, "CommonCause", |node| v1::CommonCauseRequest {
            nodes: vec![node.clone(), node],
            ..Default::default()
        }),
        lineage_case(alpha, "Diff", |one| v1::DiffRequest { two: one.clone(), one, ..Default::default() }),
        lineage_case(alpha, "Export", |node| v1::ExportRequest {
            node,
            format: "prov".to_owned(),
            ..Default::default()
        }),
        // What both have a node of tells of one's own alone.
        case(
            "/mesh.v1.LineageService/Impact",
            v1::ImpactRequest { node: "policy/".to_owned(), ..Default::default() },
            |answer| not_found(answer) || own_alone(answer) || refused(answer),
        ),
        case("/mesh.v1.AgentService/ListAgents", v1::ListAgentsRequest::default(), own_alone),
        case(
            "/mesh.v1.AgentService/GetAgent",
            v1::GetAgentRequest { name: "alphasecret-clerk".to_owned(), version: 0 },
            not_found,
        ),
        case("/mesh.v1.AgentService/PublishAgent", clerk("beta-clerk"), own_alone),
        case(
            "/mesh.v1.AgentService/ActivateAgent",
            v1::ActivateAgentRequest { name: "alphasecret-clerk".to_owned(), version: 1, ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.AgentService/RunAgent",
            v1::RunAgentRequest { name: "alphasecret-clerk".to_owned(), ..Default::default() },
            not_found,
        ),
        case("/mesh.v1.AgentService/GetTask", v1::GetTaskRequest { task_id: alpha.task_id.clone() }, not_found),
        case(
            "/mesh.v1.AgentService/SteerTask",
            v1::SteerTaskRequest {
                task_id: alpha.task_id.clone(),
                action: Some(v1::steer_task_request::Action::Cancel(Default::default())),
                ..Default::default()
            },
            not_found,
        ),
        case("/mesh.v1.AgentService/ListTasks", v1::ListTasksRequest::default(), own_alone),
        case("/mesh.v1.AgentService/ListBudgets", v1::ListBudgetsRequest::default(), own_alone),
        case(
            "/mesh.v1.AgentService/SetBudget",
            v1::SetBudgetRequest { level: "tenant".to_owned(), tokens: Some(1_000), ..Default::default() },
            own_alone,
        ),
        case(
            "/mesh.v1.SkillService/WithdrawSkill",
            v1::WithdrawSkillRequest {
                name: "alphasecret.shout".to_owned(),
                version: "1.0.0".to_owned(),
                ..Default::default()
            },
            not_found,
        ),
        case("/mesh.v1.WorkerService/Work", hello("alphasecret.shout", alpha), unregistered),
        case("/mesh.v1.WorkerService/Work", hello("beta.shout", alpha), is_told_of_nothing),
        // A's bodies are none of B's.
        case("/mesh.v1.SkillService/InvokeSkill", echo(serde_json::json!("b")), own_alone),
        case(
            "/mesh.v1.SkillService/InvokeSkill",
            echo(serde_json::json!({ "$ref": alpha.content, "bytes": 110_002 })),
            refused,
        ),
        case("/mesh.v1.TenantService/GetTenant", v1::GetTenantRequest { tenant_id: tenant_id() }, not_found),
        case(
            "/mesh.v1.TenantService/DisableTenant",
            v1::DisableTenantRequest { tenant_id: tenant_id(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.TenantService/EnableTenant",
            v1::EnableTenantRequest { tenant_id: tenant_id(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.TenantService/DeleteTenant",
            v1::DeleteTenantRequest { tenant_id: tenant_id(), ..Default::default() },
            not_found,
        ),
        // Its own neither: that is an operator's business.
        case(
            "/mesh.v1.TenantService/DeleteTenant",
            v1::DeleteTenantRequest { tenant_id: "beta".to_owned(), ..Default::default() },
            denied,
        ),
        case(
            "/mesh.v1.TenantService/CreateApiKey",
            v1::CreateApiKeyRequest {
                tenant_id: tenant_id(),
                name: "mine".to_owned(),
                roles: vec!["admin".to_owned()],
                ..Default::default()
            },
            not_found,
        ),
        case(
            "/mesh.v1.TenantService/ListApiKeys",
            v1::ListApiKeysRequest { tenant_id: tenant_id(), ..Default::default() },
            not_found,
        ),
        case("/mesh.v1.TenantService/ListApiKeys", v1::ListApiKeysRequest::default(), own_alone),
        case(
            "/mesh.v1.TenantService/RevokeApiKey",
            v1::RevokeApiKeyRequest { key_id: alpha.key_id.clone(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.TelemetryService/Tail",
            v1::TailRequest { source: Some(v1::tail_request::Source::Journal(from_the_beginning)) },
            own_alone,
        ),
        case("/mesh.v1.TelemetryService/GetActorTree", v1::GetActorTreeRequest::default(), own_alone),
        case(
            "/mesh.v1.TelemetryService/GetActorTree",
            v1::GetActorTreeRequest { view: v1::ActorTreeView::Tenant.into(), supervisors_only: false },
            own_alone,
        ),
        case("/mesh.v1.DeadLetterService/ListDeadLetters", v1::ListDeadLettersRequest::default(), own_alone),
        Case {
            for_a: false,
            ..case(
                "/mesh.v1.DeadLetterService/ListDeadLetters",
                v1::ListDeadLettersRequest { all_tenants: true, ..Default::default() },
                denied,
            )
        },
        case(
            "/mesh.v1.DeadLetterService/GetDeadLetter",
            v1::GetDeadLetterRequest { dead_letter_id: alpha.dead_letter.clone() },
            not_found,
        ),
        case(
            "/mesh.v1.DeadLetterService/ReplayDeadLetter",
            v1::ReplayDeadLetterRequest { dead_letter_id: alpha.dead_letter.clone() },
            not_found,
        ),
    ]
}

fn knowledge_cases(alpha: &Alpha) -> Vec<Case> {
    let collection = || "alphasecret-docs".to_owned();
    let source = || "alphasecret-source".to_owned();
    let sought = || "the harbour master's log".to_owned();
    vec![
        case("/mesh.v1.KnowledgeService/IngestDocuments", documents("beta-docs", "beta"), own_alone),
        // To B the same documents are new: nobody learns what another tenant has.
        case("/mesh.v1.KnowledgeService/PlanIngest", planned("beta-docs"), wants_all),
        case("/mesh.v1.KnowledgeService/ListCollections", v1::ListCollectionsRequest::default(), own_alone),
        case(
            "/mesh.v1.KnowledgeService/GetCollection",
            v1::GetCollectionRequest { collection: collection() },
            not_found,
        ),
        case(
            "/mesh.v1.KnowledgeService/ListDocuments",
            v1::ListDocumentsRequest { collection: collection(), source: source(), ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.KnowledgeService/SearchKnowledge",
            v1::SearchKnowledgeRequest { query: sought(), collections: vec![collection()], ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.KnowledgeService/SearchKnowledge",
            v1::SearchKnowledgeRequest {
                query: sought(),
                collections: vec!["beta-docs".to_owned()],
                ..Default::default()
            },
            own_alone,
        ),
        case(
            "/mesh.v1.KnowledgeService/BuildContext",
            v1::BuildContextRequest { intent: sought(), collections: vec![collection()], ..Default::default() },
            not_found,
        ),
        case(
            "/mesh.v1.KnowledgeService/BuildContext",
            v1::BuildContextRequest {
                intent: sought(),
                collections: vec!["beta-docs".to_owned()],
                ..Default::default()
            },
            own_alone,
        ),
        case(
            "/mesh.v1.KnowledgeService/GetContext",
            v1::GetContextRequest { context_id: alpha.context_id.clone() },
            not_found,
        ),
        case(
            "/mesh.v1.KnowledgeService/ForgetDocuments",
            v1::ForgetDocumentsRequest { collection: collection(), source: source(), ..Default::default() },
            not_found,
        ),
    ]
}

/// The digests of A's own document, of which B guesses that A has it.
fn planned(collection: &str) -> v1::PlanIngestRequest {
    let guessed = documents(collection, MARK).documents;
    let digest = |document: v1::NewDocument| v1::DocumentDigest {
        path: "guessed.md".to_owned(),
        digest: mesh_kernel::ports::Digest::of(&document.body).to_string(),
    };
    v1::PlanIngestRequest {
        collection: collection.to_owned(),
        source: "beta-source".to_owned(),
        documents: guessed.into_iter().map(digest).collect(),
    }
}

fn wants_all(answer: &Answer) -> bool {
    first::<v1::PlanIngestResponse>(answer).is_some_and(|plan| plan.wanted == ["guessed.md"] && plan.unchanged == 0)
}

/// To B, A's blueprint would be the first of its name.
fn plans_a_first(answer: &Answer) -> bool {
    let planned = first::<v1::PlanBlueprintResponse>(answer);
    planned.is_some_and(|plan| plan.change() == v1::BlueprintChange::Create && plan.current_digest.is_empty())
}

fn lists_no_blueprint(answer: &Answer) -> bool {
    let listed = first::<v1::ListBlueprintsResponse>(answer);
    listed.is_some_and(|list| list.blueprints.is_empty())
}

fn first<M: Message + Default>(answer: &Answer) -> Option<M> {
    M::decode(answer.as_ref().ok()?.first()?.as_slice()).ok()
}

fn says(answer: &Answer, word: &str) -> bool {
    let within = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    match answer {
        Ok(messages) => messages.iter().any(|message| within(message)),
        // What the caller itself named comes back in "there is no …", and says nothing.
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_method_shows_or_moves_what_is_another_tenants() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    let settings = [
        ("MESH_ACTORS_SLEEP_AFTER", "1s"),
        ("MESH_POLICY_REQUIRE_APPROVAL", "SignalRun"),
        ("MESH_POLICY_DENIALS_EVERY", "1s"),
    ];
    options.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let node = Node::start(&options)?;
    let channel = Endpoint::new(node.grpc.clone())?.connect().await?;
    let mut operator = node.client().await?;
    let a = tenant(&mut operator, "alpha", "alphasecret-key").await?;
    let b = tenant(&mut operator, "beta", "beta-key").await?;
    let mut client = Client::connect(&node.grpc, &a).await?;
    let alpha = furnish(&node, data.path(), &mut client).await?;
    denial_kept(&mut client).await?;
    let before = client.run(&alpha.run_id).await?;

    let cases: Vec<_> =
        workflow_cases(&alpha).into_iter().chain(other_cases(&alpha)).chain(knowledge_cases(&alpha)).collect();
    let cased: BTreeSet<String> = cases.iter().map(|case| case.path.to_owned()).collect();
    assert_eq!(reflected(&channel).await?, cased, "a method without a case, or a case without a method");

    for case in &cases {
        let answer = watched(call(&channel, Some(&b), case.path, case.body.clone())).await?;
        assert!((case.holds)(&answer), "{}: {answer:?}", case.path);
        let held = &alpha.held.approval_id;
        let calls = if is_work(case.path) { MARK } else { &alpha.call_id };
        for word in [MARK, &alpha.run_id, &alpha.approval_id, held, &alpha.key_id, &alpha.dead_letter, "alpha/", calls]
        {
            assert!(!says(&answer, word), "{} tells `{word}`", case.path);
        }
        if case.for_a {
            let own = watched(call(&channel, Some(&a), case.path, case.body.clone())).await?;
            assert!(own.is_ok(), "{}: A's own: {own:?}", case.path);
        }
    }
    let after = client.run(&alpha.run_id).await?;
    assert_eq!((before.version, before.state), (after.version, after.state), "B has moved A's run");
    Ok(())
}

/// Waits until a denial of A's stands in A's own journal.
async fn denial_kept(client: &mut Client) -> Result<()> {
    let create = v1::CreateTenantRequest { tenant_id: "gamma".to_owned(), ..Default::default() };
    let denied = client.tenants.create_tenant(create).await.err().context("A is no operator")?;
    ensure!(denied.code() == Code::PermissionDenied, "{denied}");
    let journal = v1::JournalTail {
        start: v1::WatchStart::Beginning.into(),
        event_types: vec!["DenialsRecorded".to_owned()],
        ..Default::default()
    };
    let request = v1::TailRequest { source: Some(v1::tail_request::Source::Journal(journal)) };
    let mut tail = client.telemetry.tail(request).await?.into_inner();
    while let Some(message) = watched(tail.message()).await?? {
        if matches!(message.item, Some(v1::tail_response::Item::Event(_))) {
            return Ok(());
        }
    }
    anyhow::bail!("the denial was never kept")
}

/// What the worker itself named comes back there.
fn is_work(path: &str) -> bool {
    path.ends_with("/Work")
}

/// A read that ends by itself, of something that A has.
fn is_read(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["Get", "List", "Read"].iter().any(|verb| name.starts_with(verb))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_method_answers_without_a_key() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path()))?;
    let channel = Endpoint::new(node.grpc.clone())?.connect().await?;
    for path in reflected(&channel).await? {
        for key in [None, Some("wrong")] {
            let answer = watched(call(&channel, key, &path, Vec::new())).await?;
            let code = answer.as_ref().err().map(Status::code);
            assert_eq!(code, Some(Code::Unauthenticated), "{path} with {key:?}: {answer:?}");
        }
    }
    Ok(())
}

/// A watchdog: a call that hangs fails the test instead of hanging it.
async fn watched<T>(call: impl Future<Output = T>) -> Result<T> {
    let call: Pin<Box<dyn Future<Output = T>>> = Box::pin(call);
    tokio::time::timeout(Duration::from_secs(30), call).await.context("a call hangs")
}
