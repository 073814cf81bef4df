//! What the Control Plane does because of others' events: it submits the runs that blueprints ask
//! for, and tells blueprints how their runs stand.

mod rules;

use std::collections::BTreeMap;

use mesh_kernel::{
    entity::{Decider, encode_tagged},
    envelope::{Address, Envelope, Payload},
    follow::{Reaction, Reactor},
};
use mesh_skills::yaml::Mistake;
use mesh_workflows::definition::{self, Definition, Known, digest_of, to_json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    machines::blueprint::BlueprintMachine,
    messages::{BlueprintCommand, RunState, Source},
};
use crate::delivery::{PROJECT_PREFIX, RUN};

/// The definition that makes products, as it is shipped.
const PRODUCT: &str = include_str!("../../../../../config/workflows/product.yaml");

/// Reads the definition that makes products.
///
/// # Errors
/// Its mistakes, of which a test shows that there are none.
pub fn product_definition() -> Result<Definition, Vec<Mistake>> {
    definition::parse(PRODUCT, Some("product.yaml"), &Known::default())
}

/// The reactions of the Control Plane.
pub struct Reactions {
    /// The name of the definition that makes products, and the definition.
    name: String,
    workflow: Value,
}

impl Reactions {
    /// Reactions that make products by the shipped definition.
    ///
    /// # Errors
    /// The mistakes of that definition.
    pub fn shipped() -> Result<Self, Vec<Mistake>> {
        product_definition().map(|product| Self::new(&product))
    }

    /// Reactions that make products by this definition.
    pub fn new(product: &Definition) -> Self {
        Self { name: product.message.name.clone(), workflow: to_json(&product.message) }
    }

    fn submit(&self, event: &Envelope) -> Option<Reaction> {
        let asked: RunRequested = serde_json::from_slice(&event.payload).ok()?;
        let blueprint = json!({
            "name": asked.name,
            "version": asked.version,
            "digest": asked.digest,
            "source": asked.source,
        });
        let labels =
            BTreeMap::from([("blueprint", asked.name.clone()), ("blueprintVersion", asked.version.to_string())]);
        // The same request stays the same when a later binary brings another definition along.
        let body = digest_of(&json!([asked.request_id, asked.digest]));
        let workflow = rules::written_in(&self.workflow, &asked.sentences);
        let command = json!({
            "definition": { "name": self.name, "version": 0, "digest": digest_of(&workflow) },
            "workflow": workflow,
            "input": { "blueprint": blueprint },
            "requestId": asked.request_id,
            "body": body,
            "project": format!("{PROJECT_PREFIX}{}", asked.name),
            "labels": labels,
        });
        let to = Address::new(&event.tenant_id, RUN, &asked.run).ok()?;
        Some(reaction(to, "SubmitRun", &command, "submit"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunRequested {
    name: String,
    version: u32,
    digest: Value,
    source: Source,
    run: String,
    request_id: String,
    #[serde(default)]
    sentences: Vec<String>,
}

#[derive(Deserialize)]
struct RetryRequested {
    run: String,
}

#[derive(Deserialize)]
struct RunEnded {
    #[serde(default)]
    project: Option<String>,
}

impl Reactor for Reactions {
    fn name(&self) -> &'static str {
        "control-plane"
    }

    fn interests(&self) -> &'static [&'static str] {
        &["ProductRunRequested", "ProductRunRetryRequested", "RunSucceeded", "RunFailed", "RunCancelled"]
    }

    fn react(&self, event: &Envelope) -> Vec<Reaction> {
        let subject = &event.headers.subject;
        let reaction = if subject.is(BlueprintMachine::KIND) {
            match event.event_type.as_ref() {
                "ProductRunRequested" => self.submit(event),
                "ProductRunRetryRequested" => retry(event),
                _ => None,
            }
        } else if subject.is(RUN) {
            match event.event_type.as_ref() {
                "RunSucceeded" => record(event, RunState::Succeeded),
                "RunFailed" => record(event, RunState::Failed),
                "RunCancelled" => record(event, RunState::Cancelled),
                _ => None,
            }
        } else {
            None
        };
        reaction.into_iter().collect()
    }
}

fn retry(event: &Envelope) -> Option<Reaction> {
    let asked: RetryRequested = serde_json::from_slice(&event.payload).ok()?;
    let to = Address::new(&event.tenant_id, RUN, &asked.run).ok()?;
    Some(reaction(to, "RetryRun", &json!({}), "retry"))
}

/// Tells the blueprint of the run's project; one that does not know the run passes over it.
fn record(event: &Envelope, state: RunState) -> Option<Reaction> {
    let ended: RunEnded = serde_json::from_slice(&event.payload).ok()?;
    let project = ended.project?;
    let name = project.strip_prefix(PROJECT_PREFIX)?;
    let to = Address::new(&event.tenant_id, BlueprintMachine::KIND, name).ok()?;
    let run = event.headers.subject.id().to_owned();
    let command = encode_tagged(&BlueprintCommand::RecordRun { run, state }, 1).ok()?;
    Some(Reaction { to, command, handler: "record" })
}

fn reaction(to: Address, name: &str, content: &impl Serialize, handler: &'static str) -> Reaction {
    let bytes = serde_json::to_vec(content).unwrap_or_default().into();
    let command = Payload { name: name.into(), schema_version: 1, bytes };
    Reaction { to, command, handler }
}
