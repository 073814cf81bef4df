//! What is asked of a new run, by callers and by published definitions on behalf of other runs.
//!
//! Journal and wire format: fields are only ever added, with a default.

use std::{collections::BTreeMap, sync::Arc};

use mesh_kernel::{envelope::Address, ports::Digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which version of which definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DefinitionRef {
    /// The definition's name.
    pub name: String,
    /// Its published version; 0 when it was never published.
    #[serde(default)]
    pub version: u32,
    /// The digest of its canonical JSON.
    pub digest: Digest,
}

/// The run that asked for this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// Its address.
    pub run: Address,
    /// The step that waits.
    pub step: Arc<str>,
    /// The item that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// How many runs stand above this one.
    pub depth: u32,
}

/// What is asked of a new run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmitRun {
    /// Which definition.
    pub definition: DefinitionRef,
    /// The definition's canonical JSON; the run keeps it.
    pub workflow: Value,
    /// The input; large parts of it as `{"$ref", "bytes"}`.
    #[serde(default)]
    pub input: Value,
    /// The caller's own id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The digest of what the caller sent, when that is not what stands here: a caller who asked
    /// for the latest version gets the same run even when there is a later one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Digest>,
    /// The project that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Names to values, for lists.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The run that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}
