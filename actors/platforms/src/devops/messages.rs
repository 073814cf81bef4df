//! What a repository is told, and what it announces.

use serde::{Deserialize, Serialize};

/// A commit that a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// Its id in git.
    pub commit: String,
    /// The run that made it.
    pub run: String,
    /// Where the repository lies: a path that `git clone` takes.
    pub repository: String,
    /// Digest of the blueprint that it was rendered from.
    #[serde(default)]
    pub blueprint_digest: String,
}

/// How a commit's build ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// The commit.
    pub commit: String,
    /// The run that built it.
    pub run: String,
    /// Whether it built.
    pub succeeded: bool,
}

/// How a commit's tests ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tests {
    /// The commit.
    pub commit: String,
    /// The run that tested it.
    pub run: String,
    /// How many passed.
    pub passed: u32,
    /// How many failed.
    pub failed: u32,
}

/// What a repository is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum RepositoryCommand {
    /// A run made a commit, or found that it had made it.
    RecordCommit(Commit),
    /// A run built a commit.
    RecordBuild(Build),
    /// A run tested a commit.
    RecordTests(Tests),
}

/// What a repository announces.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum RepositoryEvent {
    /// There is a new commit.
    CommitRecorded(Commit),
    /// A commit was built.
    BuildRecorded(Build),
    /// A commit was tested.
    TestsRecorded(Tests),
}
