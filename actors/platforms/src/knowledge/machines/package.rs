//! A context package: built once, and never changed.

use std::convert::Infallible;

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, ErrorKind, Kind, Refuse, Timestamp},
};
use serde::{Deserialize, Serialize};

use crate::knowledge::messages::{Package, PackageCommand as Command, PackageEvent as Event};

/// Decides for context packages.
#[derive(Debug, Clone, Copy, Default)]
pub struct PackageMachine;

/// What is true of a package.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    package: Option<Box<Package>>,
    created_at: Option<Timestamp>,
    trace_id: String,
}

/// A package refuses nothing: what is said again is answered alike.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Never(#[from] Infallible);

impl Refuse for Never {
    fn code(&self) -> &'static str {
        match self.0 {}
    }

    fn kind(&self) -> ErrorKind {
        match self.0 {}
    }
}

impl Decider for PackageMachine {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Error = Never;

    const KIND: Kind = Kind { platform: "knowledge", name: "package" };

    fn initial(&self, _address: &Address) -> State {
        State::default()
    }

    fn decide(&self, state: &State, command: Command, _cause: &Cause) -> Result<Vec<Event>, Never> {
        let Command::BuildContext(package) = command;
        Ok(state.package.is_none().then_some(Event::ContextPackageBuilt(package)).into_iter().collect())
    }

    fn evolve(&self, state: &mut State, event: Event, recorded: &Recorded<'_>) {
        let Event::ContextPackageBuilt(package) = event;
        *state =
            State { package: Some(package), created_at: Some(recorded.at), trace_id: recorded.trace_id.to_string() };
    }

    fn is_done(&self, state: &State) -> bool {
        state.package.is_some()
    }

    fn size_hint(&self, state: &State) -> usize {
        512 + state.package.as_ref().map_or(0, |package| package.intent.len() + package.sources.len() * 256)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mesh_kernel::ports::Digest;

    use super::*;
    use crate::table::{Table, check};

    #[test]
    fn a_package_is_built_once_and_never_changed() {
        let package = |intent: &str| {
            Command::BuildContext(Box::new(Package {
                intent: intent.to_owned(),
                collections: vec!["docs".to_owned()],
                token_budget: 100,
                tokens_used: 0,
                tokenizer: "cl100k".to_owned(),
                model: "m".to_owned(),
                sources: Vec::new(),
                left_out: BTreeMap::new(),
                ttl_seconds: 1_800,
                body: Digest::of(b"x"),
            }))
        };
        let mut table = Table::new(PackageMachine, "acme/knowledge/package/ctx-1");
        check("first", table.send(package("one")), Ok(&["ContextPackageBuilt"]));
        check("again", table.send(package("two")), Ok(&[]));
        assert_eq!(table.view()["package"]["intent"], "one");
    }
}
