//! Instructions: what a skill gives that is read and not called.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A text for whoever does the work, and what its author says beside it. Whoever reads it decides what to
/// believe: it has the standing of any text that a tenant has registered, and grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instructions {
    /// The instructions, as Markdown.
    pub text: String,
    /// Under which license.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// What they need around them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<String>,
    /// Tools that their author counts on, in the words of the author's own agent. They allow nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<String>,
    /// What else their author says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
