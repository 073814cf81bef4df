//! A client for each service of the contract, over one connection.

use mesh_proto::v1::{
    agent_service_client::AgentServiceClient, approval_service_client::ApprovalServiceClient,
    blueprint_service_client::BlueprintServiceClient, dead_letter_service_client::DeadLetterServiceClient,
    knowledge_service_client::KnowledgeServiceClient, lineage_service_client::LineageServiceClient,
    skill_service_client::SkillServiceClient, telemetry_service_client::TelemetryServiceClient,
    tenant_service_client::TenantServiceClient, workflow_service_client::WorkflowServiceClient,
};

use super::connect::{ANSWER_BYTES_MAX, Link};

pub(crate) fn workflows(link: Link) -> WorkflowServiceClient<Link> {
    WorkflowServiceClient::new(link)
        .max_decoding_message_size(ANSWER_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn agents(link: Link) -> AgentServiceClient<Link> {
    AgentServiceClient::new(link)
        .max_decoding_message_size(ANSWER_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn approvals(link: Link) -> ApprovalServiceClient<Link> {
    ApprovalServiceClient::new(link).max_decoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn blueprints(link: Link) -> BlueprintServiceClient<Link> {
    BlueprintServiceClient::new(link)
        .max_decoding_message_size(ANSWER_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn skills(link: Link) -> SkillServiceClient<Link> {
    SkillServiceClient::new(link)
        .max_decoding_message_size(ANSWER_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn knowledge(link: Link) -> KnowledgeServiceClient<Link> {
    KnowledgeServiceClient::new(link)
        .max_decoding_message_size(ANSWER_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn lineage(link: Link) -> LineageServiceClient<Link> {
    LineageServiceClient::new(link).max_decoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn tenants(link: Link) -> TenantServiceClient<Link> {
    TenantServiceClient::new(link).max_decoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn telemetry(link: Link) -> TelemetryServiceClient<Link> {
    TelemetryServiceClient::new(link).max_decoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn dead_letters(link: Link) -> DeadLetterServiceClient<Link> {
    DeadLetterServiceClient::new(link).max_decoding_message_size(ANSWER_BYTES_MAX)
}
