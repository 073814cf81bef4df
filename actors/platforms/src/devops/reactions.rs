//! What a repository learns from others' events: what a run committed, built and tested.

use mesh_kernel::{
    entity::{Decider, encode_tagged},
    envelope::{Address, Envelope},
    follow::{Reaction, Reactor},
};
use serde::Deserialize;

use super::{
    machines::repository::RepositoryMachine,
    messages::{Build, Commit, RepositoryCommand, Tests},
};
use crate::delivery::{Delivered, delivered};

/// The reactions of DevOps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reactions;

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
        record(event).unwrap_or_default()
    }
}

/// A run that delivered has committed, built and tested; told in that order, to one repository.
fn record(event: &Envelope) -> Option<Vec<Reaction>> {
    let Delivered::<Outputs> { run, product, outputs } = delivered(event)?;
    let to = Address::new(&event.tenant_id, RepositoryMachine::KIND, &product).ok()?;
    let commit = outputs.commit;
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
