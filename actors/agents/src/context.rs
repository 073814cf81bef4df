//! What a task needs to know before it begins: its agent's definition, and the skills that this may call.
//!
//! A task asks for it as for any effect, and gets one answer: nothing is looked up twice, and what is published
//! afterwards changes nothing for it.

use std::sync::Arc;

use mesh_kernel::{
    BoxFuture,
    entity::EffectRequest,
    envelope::{IdempotencyKey, Payload},
    ports::{Digest, EffectCall, Effects, Outcome},
};
use mesh_skills::{
    contract::{Failure, Manifest},
    models::Price,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::definition::{Agent, tool_name};

/// The handler name under which tasks ask for their context.
pub const HANDLER: &str = "agent-context";

/// The command by which it comes back.
pub const OUTCOME_COMMAND: &str = "RecordContext";

/// What a task asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContextRequest {
    /// The agent.
    pub agent: String,
    /// Its version; the active one for 0.
    #[serde(default)]
    pub version: u32,
}

/// A skill as a model is told of it, frozen when the task began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Its name for a model.
    pub name: String,
    /// The skill.
    pub skill: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of its input.
    pub input: Value,
    /// Nothing that was written outside may set off its effects.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub careful: bool,
    /// The version of the agent that does it; then there is no skill, and [`Tool::skill`] is the agent's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<u32>,
}

impl Tool {
    /// A skill as a model is told of it.
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            name: tool_name(&manifest.name),
            skill: manifest.name.clone(),
            version: manifest.version.clone(),
            description: manifest.description.clone(),
            input: manifest.input.clone(),
            careful: manifest.is_careful(),
            agent: None,
        }
    }

    /// An agent as a model of another one is told of it. What it may set off is its own guard's business.
    pub fn of_agent(version: u32, agent: &Agent) -> Self {
        let what = if agent.description.is_empty() { &agent.title } else { &agent.description };
        let mut required = vec!["goal"];
        required.extend(agent.input.as_ref().map(|_| "input"));
        let input = agent.input.clone().unwrap_or_else(|| json!({ "type": "object" }));
        let goal = json!({ "type": "string", "description": "What it should reach, in words." });
        Self {
            name: agent.name.clone(),
            skill: agent.name.clone(),
            version: version.to_string(),
            description: format!("Gives a part of the task to the agent `{}`. {what}", agent.name).trim().to_owned(),
            input: json!({
                "type": "object", "required": required, "properties": { "goal": goal, "input": input },
            }),
            careful: false,
            agent: Some(version),
        }
    }
}

/// Everything that a task needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// The agent's version.
    pub version: u32,
    /// The digest of its definition.
    pub digest: Digest,
    /// Its definition.
    pub agent: Arc<Agent>,
    /// What it may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Arc<Tool>>,
    /// The dearest prices of the models that may answer: what a call may cost is reserved by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Price>,
}

/// What came of it; the content of the command [`OUTCOME_COMMAND`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextOutcome {
    /// The request's key.
    pub key: IdempotencyKey,
    /// The context or the failure.
    pub result: ContextResult,
}

/// The context or the failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ContextResult {
    /// It is all there.
    Loaded(Context),
    /// It is not.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// Where definitions and manifests are found.
pub trait Sources: Send + Sync + 'static {
    /// What this task's agent is, and what it may call.
    ///
    /// # Errors
    /// A validation failure when the tenant has no such agent or skill; another when nobody can tell now.
    fn load<'a>(
        &'a self,
        effect: &'a EffectCall,
        request: &'a ContextRequest,
    ) -> BoxFuture<'a, Result<Context, Failure>>;
}

/// Performs the effects of handler [`HANDLER`].
pub struct ContextEffects(Arc<dyn Sources>);

impl ContextEffects {
    /// A performer that looks there.
    pub fn new(sources: Arc<dyn Sources>) -> Self {
        Self(sources)
    }

    async fn load(&self, call: &EffectCall) -> Result<Context, Failure> {
        let request: ContextRequest = serde_json::from_slice(&call.request.input)
            .map_err(|error| Failure::internal("context.request", format!("the request cannot be read: {error}")))?;
        self.0.load(call, &request).await
    }
}

impl Effects for ContextEffects {
    fn handlers(&self) -> Vec<&'static str> {
        vec![HANDLER]
    }

    fn perform(&self, call: EffectCall) -> BoxFuture<'_, Option<Outcome>> {
        Box::pin(async move {
            let result = match self.load(&call).await {
                Ok(context) => ContextResult::Loaded(context),
                Err(failure) => ContextResult::Failed { failure },
            };
            Some(outcome(&call.request, result))
        })
    }

    fn failed(&self, request: &EffectRequest, reason: &str) -> Option<Outcome> {
        let failure = Failure::internal("context.performer", format!("the context could not be loaded: {reason}"));
        Some(outcome(request, ContextResult::Failed { failure }))
    }
}

fn outcome(request: &EffectRequest, result: ContextResult) -> Outcome {
    let outcome = ContextOutcome { key: request.key.clone(), result };
    Payload {
        name: OUTCOME_COMMAND.into(),
        schema_version: 1,
        bytes: serde_json::to_vec(&outcome).unwrap_or_default().into(),
    }
}
