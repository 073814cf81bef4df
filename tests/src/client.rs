//! A client of the public contract: what a stock gRPC client can do, with a key in its headers.

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
            tenants: v1::tenant_service_client::TenantServiceClient::new(service()),
            telemetry: v1::telemetry_service_client::TelemetryServiceClient::new(service()),
            dead_letters: v1::dead_letter_service_client::DeadLetterServiceClient::new(service()),
        })
    }
}
