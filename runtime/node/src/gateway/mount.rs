//! Mounting: every service that the gateway has, each of ours behind the same door.

use mesh_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        agent_service_server::AgentServiceServer, approval_service_server::ApprovalServiceServer,
        blueprint_service_server::BlueprintServiceServer, dead_letter_service_server::DeadLetterServiceServer,
        knowledge_service_server::KnowledgeServiceServer, lineage_service_server::LineageServiceServer,
        skill_service_server::SkillServiceServer, telemetry_service_server::TelemetryServiceServer,
        tenant_service_server::TenantServiceServer, worker_service_server::WorkerServiceServer,
        workflow_service_server::WorkflowServiceServer,
    },
};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::service::{Routes, interceptor::InterceptedService};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server::Builder;

use super::{
    GatewayState, agents::AgentsService, approvals::Approvals, auth::Authenticate, blueprints::Blueprints,
    dead_letters::Letters, knowledge::Knowing, lineage::Lineage, skills::Skills, telemetry::Telemetry,
    tenants::Tenants, unreadable, workers::Workers, workflows::Workflows,
};

/// Bytes of one request or answer: a run may be given 8 MB, which protobuf makes somewhat more of.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Why the services could not be mounted: the contract compiled into the binary is broken.
#[derive(Debug, thiserror::Error)]
#[error("the contract cannot be served by reflection: {0}")]
pub struct MountError(#[from] tonic_reflection::server::Error);

/// Every service, and the reporter through which the node says that it drains.
///
/// Ours authenticate each request before anything else; health and reflection (v1 and v1alpha) are
/// open to whoever reaches the port.
///
/// # Errors
/// [`MountError`] when the descriptors do not fit together.
pub async fn routes(state: GatewayState) -> Result<(Routes, HealthReporter), MountError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut routes = Routes::builder();
    routes.add_service(health).add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);

    let door = Authenticate::new(state.mesh.clone());
    /// One of ours: wide enough for large bodies, and behind the door.
    macro_rules! mount {
        ($($server:ident($service:ident)),* $(,)?) => {$(
            let service = $server::new($service(state.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX);
            routes.add_service(InterceptedService::new(service, door.clone()));
            reporter.set_serving::<$server<$service>>().await;
        )*};
    }
    mount!(
        WorkflowServiceServer(Workflows),
        ApprovalServiceServer(Approvals),
        BlueprintServiceServer(Blueprints),
        SkillServiceServer(Skills),
        WorkerServiceServer(Workers),
        AgentServiceServer(AgentsService),
        KnowledgeServiceServer(Knowing),
        LineageServiceServer(Lineage),
        TenantServiceServer(Tenants),
        TelemetryServiceServer(Telemetry),
        DeadLetterServiceServer(Letters),
    );
    reporter.set_service_status("", ServingStatus::Serving).await;
    let routes = routes.routes().into_axum_router().layer(axum::middleware::map_response(unreadable::blamed));
    Ok((Routes::from(routes), reporter))
}

fn reflection() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// One method of the contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Method {
    /// Its path, such as `/mesh.v1.WorkflowService/SubmitRun`.
    pub path: String,
    /// The full name of what it takes.
    pub input: String,
    /// The full name of what it answers.
    pub output: String,
    /// It answers with a stream.
    pub streams: bool,
}

/// Every method that reflection tells of, but for health's and reflection's own.
///
/// Tests take their methods from here, so that one without a case is found.
pub fn methods() -> Vec<Method> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    let mut methods = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                methods.push(Method {
                    path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    input: method.input_type().trim_start_matches('.').to_owned(),
                    output: method.output_type().trim_start_matches('.').to_owned(),
                    streams: method.server_streaming(),
                });
            }
        }
    }
    methods.sort();
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_tells_every_service_and_every_error_detail() {
        reflection().build_v1().unwrap();
        reflection().build_v1alpha().unwrap();
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let named = |name: &str| set.file.iter().any(|file| file.name() == name);
        for file in ["google/rpc/error_details.proto", "google/rpc/status.proto", "mesh/v1/run.proto"] {
            assert!(named(file), "{file}");
        }
    }

    #[test]
    fn each_method_has_a_request_and_a_response_of_its_own() {
        let methods = methods();
        assert!(methods.iter().any(|method| method.path == "/mesh.v1.WorkflowService/SubmitRun"));
        for method in &methods {
            let name = method.path.rsplit('/').next().unwrap();
            assert_eq!(method.input, format!("mesh.v1.{name}Request"), "{}", method.path);
            assert_eq!(method.output, format!("mesh.v1.{name}Response"), "{}", method.path);
        }
    }
}
