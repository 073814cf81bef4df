//! A client of the public contract: what a stock gRPC client can do, with a key in its headers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mesh_proto::v1;
use tonic::{
    Request,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// Puts the key into each request.
#[derive(Clone)]
pub struct WithKey(MetadataValue<tonic::metadata::Ascii>);

impl Interceptor for WithKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

type Service = InterceptedService<Channel, WithKey>;

/// Every service of the contract, with one key.
#[derive(Clone)]
pub struct Client {
    /// Definitions and runs.
    pub workflows: v1::workflow_service_client::WorkflowServiceClient<Service>,
    /// Approvals.
    pub approvals: v1::approval_service_client::ApprovalServiceClient<Service>,
    /// Blueprints.
    pub blueprints: v1::blueprint_service_client::BlueprintServiceClient<Service>,
    /// Skills.
    pub skills: v1::skill_service_client::SkillServiceClient<Service>,
    /// Agents.
    pub agents: v1::agent_service_client::AgentServiceClient<Service>,
    /// Knowledge.
    pub knowledge: v1::knowledge_service_client::KnowledgeServiceClient<Service>,
    /// Workers.
    pub workers: v1::worker_service_client::WorkerServiceClient<Service>,
    /// What came from what.
    pub lineage: v1::lineage_service_client::LineageServiceClient<Service>,
    /// Tenants and keys.
    pub tenants: v1::tenant_service_client::TenantServiceClient<Service>,
    /// Tail and tree.
    pub telemetry: v1::telemetry_service_client::TelemetryServiceClient<Service>,
    /// Dead letters.
    pub dead_letters: v1::dead_letter_service_client::DeadLetterServiceClient<Service>,
}

impl Client {
    /// Connects to `http://…` with a key.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(url: &str, key: &str) -> Result<Self> {
        let channel = Endpoint::new(url.to_owned())?.connect().await.with_context(|| format!("connecting to {url}"))?;
        let with = WithKey(format!("Bearer {key}").parse()?);
        let service = || InterceptedService::new(channel.clone(), with.clone());
        Ok(Self {
            workflows: v1::workflow_service_client::WorkflowServiceClient::new(service()),
            approvals: v1::approval_service_client::ApprovalServiceClient::new(service()),
            blueprints: v1::blueprint_service_client::BlueprintServiceClient::new(service()),
            skills: v1::skill_service_client::SkillServiceClient::new(service()),
            agents: v1::agent_service_client::AgentServiceClient::new(service()),
            knowledge: v1::knowledge_service_client::KnowledgeServiceClient::new(service()),
            workers: v1::worker_service_client::WorkerServiceClient::new(service()),
            lineage: v1::lineage_service_client::LineageServiceClient::new(service()),
            tenants: v1::tenant_service_client::TenantServiceClient::new(service()),
            telemetry: v1::telemetry_service_client::TelemetryServiceClient::new(service()),
            dead_letters: v1::dead_letter_service_client::DeadLetterServiceClient::new(service()),
        })
    }
}

impl Client {
    /// Waits until everything that a collection was sent can be found; its figures then.
    ///
    /// # Errors
    /// When that takes longer than a minute.
    pub async fn indexed(&mut self, collection: &str) -> Result<v1::Collection> {
        let mut last = v1::Collection::default();
        for _ in 0..1_200 {
            let request = v1::GetCollectionRequest { collection: collection.to_owned() };
            last = self.knowledge.get_collection(request).await?.into_inner().collection.context("no collection")?;
            if last.pending == 0 {
                return Ok(last);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("it is never indexed: {last:#?}")
    }

    /// A client whose key has these roles in the same tenant.
    ///
    /// # Errors
    /// The service's status.
    pub async fn keyed(&mut self, url: &str, name: &str, roles: &[&str]) -> Result<Self> {
        let request = v1::CreateApiKeyRequest {
            name: name.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..Default::default()
        };
        let made = self.tenants.create_api_key(request).await?.into_inner();
        // The key is known where lists are: wait until they have come so far.
        let request = v1::ListApiKeysRequest { min_position: made.position, ..Default::default() };
        self.tenants.list_api_keys(request).await?;
        Self::connect(url, &made.secret).await
    }

    /// Publishes a definition from its YAML text.
    ///
    /// # Errors
    /// The service's status.
    pub async fn publish(&mut self, yaml: &str) -> Result<()> {
        let source = v1::DefinitionSource { text: yaml.to_owned(), file_name: "test.yaml".to_owned() };
        let body = Some(v1::publish_definition_request::Body::Source(source));
        self.workflows.publish_definition(v1::PublishDefinitionRequest { body, ..Default::default() }).await?;
        Ok(())
    }

    /// Submits a run and answers its id.
    ///
    /// # Errors
    /// The service's status.
    pub async fn submit(&mut self, definition: &str, request_id: &str, input: &serde_json::Value) -> Result<String> {
        let request = v1::SubmitRunRequest {
            definition: definition.to_owned(),
            request_id: request_id.to_owned(),
            input: Some(object(input)),
            ..Default::default()
        };
        Ok(self.workflows.submit_run(request).await?.into_inner().run.context("no run in the answer")?.run_id)
    }

    /// A run as it stands.
    ///
    /// # Errors
    /// The service's status.
    pub async fn run(&mut self, run_id: &str) -> Result<v1::Run> {
        let request = v1::GetRunRequest { run_id: run_id.to_owned() };
        self.workflows.get_run(request).await?.into_inner().run.context("no run in the answer")
    }

    /// Waits until a run has ended; a watchdog, not a measure.
    ///
    /// # Errors
    /// When it has not ended in time; says what it waits for.
    pub async fn wait_for_end(&mut self, run_id: &str, at_most: Duration) -> Result<v1::Run> {
        let began = Instant::now();
        loop {
            let run = self.run(run_id).await?;
            let ended = [v1::RunState::Succeeded, v1::RunState::Failed, v1::RunState::Cancelled];
            if ended.contains(&run.state()) {
                return Ok(run);
            }
            anyhow::ensure!(began.elapsed() < at_most, "`{run_id}` did not end: {run:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until an entity is asleep: nothing of it is in memory any more.
    ///
    /// # Errors
    /// When it stays awake.
    pub async fn wait_for_sleep(&mut self, address: &str, at_most: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let request = v1::GetActorTreeRequest::default();
            let root = self.telemetry.get_actor_tree(request).await?.into_inner().root.context("no tree")?;
            if !is_awake(&root, address) {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < at_most, "`{address}` does not fall asleep");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A body of the content store, whole.
    ///
    /// # Errors
    /// The service's status; when fewer bytes come than it says.
    pub async fn content(&mut self, digest: &str) -> Result<Vec<u8>> {
        let request = v1::ReadContentRequest { digest: digest.to_owned() };
        let mut stream = self.workflows.read_content(request).await?.into_inner();
        let (mut body, mut total) = (Vec::new(), 0);
        while let Some(part) = stream.message().await? {
            body.extend_from_slice(&part.chunk);
            total = part.total_bytes;
        }
        anyhow::ensure!(body.len() as u64 == total, "{} bytes of {total}", body.len());
        Ok(body)
    }

    /// The whole history of a run.
    ///
    /// # Errors
    /// The service's status.
    pub async fn history(&mut self, run_id: &str) -> Result<Vec<v1::RunEvent>> {
        let (mut events, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::GetRunHistoryRequest { run_id: run_id.to_owned(), page_token, ..Default::default() };
            let page = self.workflows.get_run_history(request).await?.into_inner();
            events.extend(page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(events);
            }
        }
    }
}

fn is_awake(node: &v1::ActorNode, address: &str) -> bool {
    let here = node.name == address && !matches!(node.state.as_str(), "asleep" | "retired");
    here || node.children.iter().any(|child| is_awake(child, address))
}

/// A JSON object as a protobuf `Struct`; anything else is an empty one.
pub fn object(value: &serde_json::Value) -> prost_types::Struct {
    mesh_proto::json::to_struct(value).unwrap_or_default()
}

/// A protobuf `Value` as JSON.
pub fn json(value: Option<&prost_types::Value>) -> serde_json::Value {
    value.map(mesh_proto::json::value_to_json).unwrap_or_default()
}

/// JSON as a protobuf `Value`.
pub fn value(value: &serde_json::Value) -> prost_types::Value {
    mesh_proto::json::to_value(value)
}
