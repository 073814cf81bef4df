//! What a repository learns from others' events: what a run committed, built and tested.

use mesh_kernel::{
    entity::{Decider, encode_tagged},
    envelope::{Address, Envelope, Kind},
    follow::{Reaction, Reactor},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    machines::repository::RepositoryMachine,
    messages::{Build, Commit, RepositoryCommand, Tests},
};

const RUN: Kind = Kind { platform: "control-plane", name: "run" };
/// The built-in definition whose runs deliver products.
const DEFINITION: &str = "product";
const PROJECT_PREFIX: &str = "proj-";

/// The reactions of DevOps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reactions;

#[derive(Deserialize)]
struct Succeeded {
    outputs: Value,
    definition: Option<Definition>,
    project: Option<String>,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outputs {
    repository: String,
    commit: String,
    #[serde(default)]
    blueprint_digest: String,
    #[serde(default)]
    tests: Counts,
}

#[derive(Default, Deserialize)]
struct Counts {
    passed: u32,
    failed: u32,
}

impl Reactor for Reactions {
    fn name(&self) -> &'static str {
        "devops"
    }

    fn interests(&self) -> &'static [&'static str] {
        &["RunSucceeded"]
    }

    fn react(&self, event: &Envelope) -> Vec<Reaction> {
        match event.event_type.as_ref() {
            "RunSucceeded" if event.headers.subject.is(RUN) => delivered(event).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

/// A run that delivered has committed, built and tested; told in that order, to one repository.
fn delivered(event: &Envelope) -> Option<Vec<Reaction>> {
    let ended: Succeeded = serde_json::from_slice(&event.payload).ok()?;
    if ended.definition?.name != DEFINITION {
        return None;
    }
    let project = ended.project?;
    let product = project.strip_prefix(PROJECT_PREFIX)?;
    let to = Address::new(&event.tenant_id, RepositoryMachine::KIND, product).ok()?;
    let outputs: Outputs = serde_json::from_value(ended.outputs).ok()?;
    let (run, commit) = (event.headers.subject.id().to_owned(), outputs.commit);
    let committed = Commit {
        commit: commit.clone(),
        run: run.clone(),
        repository: outputs.repository,
        blueprint_digest: outputs.blueprint_digest,
    };
    let built = Build { commit: commit.clone(), run: run.clone(), succeeded: true };
    let tested = Tests { commit, run, passed: outputs.tests.passed, failed: outputs.tests.failed };
    let facts = [
        (RepositoryCommand::RecordCommit(committed), "commit"),
        (RepositoryCommand::RecordBuild(built), "build"),
        (RepositoryCommand::RecordTests(tested), "tests"),
    ];
    let reaction = |(fact, handler)| {
        let command = encode_tagged(&fact, 1).ok()?;
        Some(Reaction { to: to.clone(), command, handler })
    };
    facts.into_iter().map(reaction).collect()
}
