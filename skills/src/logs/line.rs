//! One line of a log.

use mesh_kernel::envelope::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineKind {
    /// The skill itself says something.
    Note,
    /// Standard output of a process that the skill started.
    Out,
    /// Standard error of such a process.
    Err,
    /// How far it is; the next one of these replaces it in a live view.
    Progress,
    /// Why it failed.
    Failure,
}

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// This many are done,
    pub done: u64,
    /// of this many.
    pub total: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// Where it came from.
    pub kind: LineKind,
    /// What it says, without a line end.
    pub text: String,
    /// How far, in lines of kind [`LineKind::Progress`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl LogLine {
    /// As JSON, with the line end.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// A line of a file; one that a crash tore becomes a note that says so.
    pub(super) fn decode(line: &[u8]) -> Self {
        serde_json::from_slice(line).unwrap_or_else(|_| Self {
            at: Timestamp::default(),
            kind: LineKind::Note,
            text: format!("(a line of {} bytes was torn by a crash)", line.len()),
            progress: None,
        })
    }
}
