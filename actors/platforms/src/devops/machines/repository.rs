//! The repository: commits, and what was found out about each.

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, Kind, Timestamp},
};
use serde::{Deserialize, Serialize};

use crate::devops::{
    Error,
    messages::{Build, Commit, RepositoryCommand as Command, RepositoryEvent as Event, Tests},
};

/// Commits that the state remembers; git and the journal keep all.
const COMMITS_MAX: usize = 100;

/// Decides for repositories.
#[derive(Debug, Clone, Copy, Default)]
pub struct RepositoryMachine;

/// What is true of a repository.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    product: String,
    /// Where it lies.
    repository: String,
    /// Oldest first; the last one is the head.
    commits: Vec<Known>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    #[serde(flatten)]
    commit: Commit,
    at: Timestamp,
    build: Option<Build>,
    tests: Option<Tests>,
}

impl Decider for RepositoryMachine {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = Kind { platform: "devops", name: "repository" };

    fn initial(&self, address: &Address) -> State {
        State { product: address.id().to_owned(), ..State::default() }
    }

    fn decide(&self, state: &State, command: Command, _cause: &Cause) -> Result<Vec<Event>, Error> {
        match command {
            Command::RecordCommit(commit) => record_commit(state, commit),
            Command::RecordBuild(build) => {
                let known = find(state, &build.commit)?;
                let new = known.build.as_ref() != Some(&build);
                Ok(new.then_some(Event::BuildRecorded(build)).into_iter().collect())
            }
            Command::RecordTests(tests) => {
                let known = find(state, &tests.commit)?;
                let new = known.tests.as_ref() != Some(&tests);
                Ok(new.then_some(Event::TestsRecorded(tests)).into_iter().collect())
            }
        }
    }

    fn evolve(&self, state: &mut State, event: Event, recorded: &Recorded<'_>) {
        match event {
            Event::CommitRecorded(commit) => {
                state.repository.clone_from(&commit.repository);
                let known = Known { commit, at: recorded.at, build: None, tests: None };
                state.commits.push(known);
                let surplus = state.commits.len().saturating_sub(COMMITS_MAX);
                state.commits.drain(..surplus);
            }
            Event::BuildRecorded(build) => {
                if let Some(known) = find_mut(state, &build.commit) {
                    known.build = Some(build);
                }
            }
            Event::TestsRecorded(tests) => {
                if let Some(known) = find_mut(state, &tests.commit) {
                    known.tests = Some(tests);
                }
            }
        }
    }

    fn size_hint(&self, state: &State) -> usize {
        512 + state.commits.len() * 512
    }
}

/// A commit that is the head already was found by a retry and is not recorded again.
fn record_commit(state: &State, commit: Commit) -> Result<Vec<Event>, Error> {
    let hex = commit.commit.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex || !(7..=64).contains(&commit.commit.len()) {
        return Err(Error::NoCommit { text: commit.commit.chars().take(80).collect() });
    }
    let head = state.commits.last().map(|known| known.commit.commit.as_str());
    if head == Some(commit.commit.as_str()) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::CommitRecorded(commit)])
}

fn find<'a>(state: &'a State, commit: &str) -> Result<&'a Known, Error> {
    let known = state.commits.iter().rev().find(|known| known.commit.commit == commit);
    known.ok_or_else(|| Error::UnknownCommit {
        commit: commit.chars().take(80).collect(),
        repository: state.product.clone(),
    })
}

fn find_mut<'a>(state: &'a mut State, commit: &str) -> Option<&'a mut Known> {
    state.commits.iter_mut().rev().find(|known| known.commit.commit == commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Row, Table, check};

    const ONE: &str = "1111111aaaaaaa";
    const TWO: &str = "2222222bbbbbbb";

    fn commit(commit: &str) -> Command {
        Command::RecordCommit(Commit {
            commit: commit.into(),
            run: "run-1".into(),
            repository: "products/helpdesk/repository".into(),
            blueprint_digest: "sha256:00".into(),
        })
    }

    fn build(commit: &str, succeeded: bool) -> Command {
        Command::RecordBuild(Build { commit: commit.into(), run: "run-1".into(), succeeded })
    }

    fn tests(commit: &str, failed: u32) -> Command {
        let run = "run-1".into();
        Command::RecordTests(Tests { commit: commit.into(), run, passed: 20, failed })
    }

    fn table() -> Table<RepositoryMachine> {
        Table::new(RepositoryMachine, "acme/devops/repository/helpdesk")
    }

    #[test]
    fn an_empty_repository_knows_no_commit() {
        let rows: [Row<Command>; 4] = [
            ("commit", commit(ONE), Ok(&["CommitRecorded"])),
            ("no commit", commit("main; rm -rf"), Err("DEV-0001")),
            ("build", build(ONE, true), Err("DEV-0002")),
            ("tests", tests(ONE, 0), Err("DEV-0002")),
        ];
        for (what, command, expected) in rows {
            check(what, table().send(command), expected);
        }
    }

    #[test]
    fn a_fact_is_recorded_once_and_a_changed_one_again() {
        let mut table = table();
        let rows: [Row<Command>; 9] = [
            ("commit", commit(ONE), Ok(&["CommitRecorded"])),
            ("found again", commit(ONE), Ok(&[])),
            ("failed build", build(ONE, false), Ok(&["BuildRecorded"])),
            ("mended build", build(ONE, true), Ok(&["BuildRecorded"])),
            ("the same", build(ONE, true), Ok(&[])),
            ("tests", tests(ONE, 1), Ok(&["TestsRecorded"])),
            ("the same", tests(ONE, 1), Ok(&[])),
            ("next commit", commit(TWO), Ok(&["CommitRecorded"])),
            ("back again", commit(ONE), Ok(&["CommitRecorded"])),
        ];
        for (what, command, expected) in rows {
            check(what, table.send(command), expected);
        }
        assert_eq!(table.view()["repository"], "products/helpdesk/repository");
    }

    #[test]
    fn the_state_remembers_the_newest_commits_only() {
        let mut table = table();
        for n in 0..=COMMITS_MAX {
            table.send(commit(&format!("{n:07x}"))).unwrap();
        }
        assert_eq!(table.view()["commits"].as_array().unwrap().len(), COMMITS_MAX);
        check("forgotten", table.send(build("0000000", true)), Err("DEV-0002"));
    }
}
