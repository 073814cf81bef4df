//! The names of the OpenTelemetry conventions for generative AI, all of one version.
//!
//! They are in development and change from version to version: whoever moves to another one changes this file, and
//! nothing else names them. Content (what was said, given and answered) has no name here: it is never told.
//!
//! **Source**: `open-telemetry/semantic-conventions` 1.41.0, `docs/gen-ai`.

/// The version, as collectors are told it.
pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.0";

/// What is done: one of the operations below.
pub(super) const OPERATION_NAME: &str = "gen_ai.operation.name";
/// Asks a model for the next turn.
pub(super) const CHAT: &str = "chat";
/// Asks a model for vectors.
pub(super) const EMBEDDINGS: &str = "embeddings";
/// Calls a tool.
pub(super) const EXECUTE_TOOL: &str = "execute_tool";
/// Has an agent do a task.
pub(super) const INVOKE_AGENT: &str = "invoke_agent";
/// Has a workflow run in which agents work.
pub(super) const INVOKE_WORKFLOW: &str = "invoke_workflow";

/// Whose interface is spoken; it need not be theirs who answer.
pub(super) const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The interface that all our endpoints speak.
pub(super) const OPENAI: &str = "openai";

/// The model that was asked for.
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
/// How long its answer may be. **Units**: tokens.
pub(super) const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// How freely it answers.
pub(super) const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
/// The provider's name for the answer.
pub(super) const RESPONSE_ID: &str = "gen_ai.response.id";
/// The model that answered, in the provider's words.
pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Why it stopped: a list.
pub(super) const RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Tokens of what was asked, cached ones included.
pub(super) const USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens of what was answered.
pub(super) const USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Of the input: what the provider had in its cache.
pub(super) const USAGE_CACHE_READ_INPUT_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";

/// The agent.
pub(super) const AGENT_NAME: &str = "gen_ai.agent.name";
/// Its version.
pub(super) const AGENT_VERSION: &str = "gen_ai.agent.version";
/// The conversation: a task's id.
pub(super) const CONVERSATION_ID: &str = "gen_ai.conversation.id";
/// The workflow.
pub(super) const WORKFLOW_NAME: &str = "gen_ai.workflow.name";
/// The tool, as the model knows it.
pub(super) const TOOL_NAME: &str = "gen_ai.tool.name";
/// The provider's name for the call.
pub(super) const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
/// Who runs a tool.
pub(super) const TOOL_TYPE: &str = "gen_ai.tool.type";
/// The caller of the model runs it.
pub(super) const FUNCTION: &str = "function";

/// Why it failed, as one of few words.
pub(super) const ERROR_TYPE: &str = "error.type";

/// Of which tokens a usage is.
pub(super) const TOKEN_TYPE: &str = "gen_ai.token.type";
/// What was asked.
pub(super) const INPUT: &str = "input";
/// What was answered.
pub(super) const OUTPUT: &str = "output";

/// `gen_ai.client.token.usage`, a histogram of `{token}`, as Prometheus spells it.
pub(super) const TOKEN_USAGE_FAMILY: &str = "gen_ai_client_token_usage";
/// `gen_ai.client.operation.duration`, a histogram of seconds, as Prometheus spells it.
pub(super) const OPERATION_DURATION_FAMILY: &str = "gen_ai_client_operation_duration_seconds";

/// An attribute's name as Prometheus spells it.
pub(super) fn label(attribute: &str) -> String {
    attribute.replace('.', "_")
}
