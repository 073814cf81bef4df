//! What is asked of a new run, by callers and by published definitions on behalf of other runs.
//!
//! Journal and wire format: fields are only ever added, with a default.

use std::{collections::BTreeMap, sync::Arc};

use mesh_kernel::{envelope::Address, ports::Digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

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
    /// What from outside went into what it hands down, such as `skill:web.fetch`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taint: Vec<String>,
}

/// A definition's JSON, kept as text: a run carries it from its first event on and hardly ever looks
/// into it, so neither a command nor a replay builds its tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkflowJson(Arc<RawValue>);

impl WorkflowJson {
    /// The tree.
    ///
    /// **Cost**: reads the text; compiled definitions are kept by their digest, so a replay asks for it once.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }

    /// How many steps it has; 0 when it is no definition.
    pub fn steps_len(&self) -> usize {
        #[derive(Deserialize)]
        struct Steps {
            steps: Vec<serde::de::IgnoredAny>,
        }
        serde_json::from_str(self.0.get()).map_or(0, |it: Steps| it.steps.len())
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl From<&Value> for WorkflowJson {
    fn from(value: &Value) -> Self {
        Self(serde_json::value::to_raw_value(value).unwrap_or_default().into())
    }
}

impl PartialEq for WorkflowJson {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

/// What is asked of a new run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmitRun {
    /// Which definition.
    pub definition: DefinitionRef,
    /// The definition's canonical JSON; the run keeps it.
    pub workflow: WorkflowJson,
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
    /// Who is answerable for it: said by the decision that records it, whatever the command says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<String>,
}
