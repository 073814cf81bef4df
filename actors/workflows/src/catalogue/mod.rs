//! Published definitions: one entity for each name, which holds all versions of it.
//!
//! A version is immutable and numbered from 1. Publishing the same content again is answered with
//! the version that has it. Sub-workflows begin here too: whoever asks for a child names a
//! definition, and only this entity knows its versions.
//!
//! Never here: runs.

use std::{collections::BTreeMap, sync::Arc};

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, ErrorKind, FieldViolation, Kind, Refuse, Timestamp},
    ports::Digest,
};
use mesh_skills::contract::{Failure, FailureClass};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    plan::{Fault, Plans},
    submission::{DefinitionRef, Parent, SubmitRun, WorkflowJson},
};

/// The kind of a definition's address; the id is the definition's name.
pub const KIND: Kind = Kind { platform: "control-plane", name: "definition" };

/// Largest definition, as canonical JSON: every run keeps it. **Units**: bytes.
const DEFINITION_BYTES_MAX: usize = 512 * 1024;
/// Most versions of one definition.
const VERSIONS_MAX: usize = 10_000;

/// A child that a run asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Launch {
    /// The child's id.
    pub run: String,
    /// Which version; the latest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The child's input.
    pub input: Arc<Value>,
    /// The run that asks.
    pub parent: Parent,
}

/// What a definition can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Command {
    /// Publish this version.
    PublishDefinition {
        /// The definition's canonical JSON.
        definition: Value,
        /// Its digest.
        digest: Digest,
        /// The text that it was written in, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// Begin a child of a run.
    LaunchRun(Launch),
}

/// What happened to a definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Event {
    /// There is a new version.
    DefinitionPublished {
        /// Its number.
        version: u32,
        /// Its digest.
        digest: Digest,
        /// The definition's canonical JSON.
        definition: Value,
        /// The text that it was written in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// Who published it.
        by: String,
    },
    /// A child begins.
    RunLaunched {
        /// The child's id.
        launch: String,
        /// What it is asked.
        submit: Box<SubmitRun>,
    },
    /// A child cannot begin.
    LaunchRefused {
        /// The child's id.
        run: String,
        /// The run that asked.
        parent: Parent,
        /// Why.
        failure: Failure,
    },
}

/// One published version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Its digest.
    pub digest: Digest,
    /// The definition's canonical JSON.
    pub definition: Value,
    /// The text that it was written in.
    pub source: Option<String>,
    /// When it was published.
    pub published_at: Timestamp,
    /// Who published it.
    pub by: String,
}

/// All versions of a definition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Definitions {
    /// Version 1 first.
    pub versions: Vec<Arc<Version>>,
    /// The version of each digest.
    pub by_digest: BTreeMap<Digest, u32>,
}

/// What is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The definition has faults.
    #[error("the definition cannot be published: {}", faults.iter().map(|f| f.message.as_str()).collect::<Vec<_>>().join("; "))]
    Faults {
        /// What is wrong.
        faults: Vec<Fault>,
    },
    /// Another definition's name.
    #[error("the definition is called `{name}`, not `{id}`")]
    OtherName {
        /// What it is called.
        name: String,
        /// The entity's id.
        id: String,
    },
    /// No more versions.
    #[error("there are {VERSIONS_MAX} versions already; publish it under another name")]
    Full,
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Faults { .. } => "DEF-0001",
            Self::OtherName { .. } => "DEF-0002",
            Self::Full => "DEF-0003",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Faults { .. } | Self::OtherName { .. } => ErrorKind::InvalidArgument,
            Self::Full => ErrorKind::ResourceExhausted,
        }
    }

    fn fields(&self) -> Vec<FieldViolation> {
        let Self::Faults { faults } = self else { return Vec::new() };
        faults
            .iter()
            .map(|fault| FieldViolation { field: fault.field_path(), description: fault.message.clone() })
            .collect()
    }
}

/// Decides for all definitions.
#[derive(Debug, Clone, Default)]
pub struct DefinitionDecider {
    plans: Plans,
}

impl DefinitionDecider {
    /// A decider that shares its compiled definitions with others.
    pub fn new(plans: Plans) -> Self {
        Self { plans }
    }

    fn publish(
        &self,
        state: &Definitions,
        definition: Value,
        digest: Digest,
        source: Option<String>,
        cause: &Cause,
    ) -> Result<Vec<Event>, Error> {
        if state.by_digest.contains_key(&digest) {
            return Ok(Vec::new());
        }
        if state.versions.len() >= VERSIONS_MAX {
            return Err(Error::Full);
        }
        let bytes = definition.to_string().len();
        if bytes > DEFINITION_BYTES_MAX {
            let message = format!("it has {bytes} bytes; at most {DEFINITION_BYTES_MAX} are taken");
            let fault = Fault::new("", message).help("use for-each steps or sub-workflows");
            return Err(Error::Faults { faults: vec![fault] });
        }
        let plan =
            self.plans.get(digest, &WorkflowJson::from(&definition)).map_err(|faults| Error::Faults { faults })?;
        if *plan.name != *cause.address.id() {
            let (name, id) = (plan.name.to_string(), cause.address.id().to_owned());
            return Err(Error::OtherName { name, id });
        }
        let version = state.versions.len() as u32 + 1;
        let by = cause.principal.answerable().to_owned();
        Ok(vec![Event::DefinitionPublished { version, digest, definition, source, by }])
    }
}

/// A child begins with the version that it names, or with the latest one.
fn launch(state: &Definitions, launch: Launch, cause: &Cause) -> Vec<Event> {
    let latest = state.versions.len() as u32;
    let number = launch.version.unwrap_or(latest);
    let version = number.checked_sub(1).and_then(|at| state.versions.get(at as usize));
    let Some(version) = version else {
        let id = cause.address.id();
        let message = match (latest, launch.version) {
            (0, _) => format!("there is no definition `{id}`: publish it"),
            (_, Some(asked)) => format!("definition `{id}` has no version {asked}; the latest is {latest}"),
            (_, None) => format!("definition `{id}` has no version"),
        };
        let failure = Failure::new(FailureClass::Validation, "workflow.unknown", message);
        return vec![Event::LaunchRefused { run: launch.run, parent: launch.parent, failure }];
    };
    let submit = SubmitRun {
        definition: DefinitionRef { name: cause.address.id().to_owned(), version: number, digest: version.digest },
        workflow: WorkflowJson::from(&version.definition),
        input: launch.input.as_ref().clone(),
        request_id: None,
        body: None,
        project: None,
        labels: BTreeMap::new(),
        parent: Some(launch.parent),
        submitted_by: None,
    };
    vec![Event::RunLaunched { launch: launch.run, submit: Box::new(submit) }]
}

impl Decider for DefinitionDecider {
    type State = Definitions;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = KIND;

    fn initial(&self, _address: &Address) -> Definitions {
        Definitions::default()
    }

    fn decide(&self, state: &Definitions, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        match command {
            Command::PublishDefinition { definition, digest, source } => {
                self.publish(state, definition, digest, source, cause)
            }
            Command::LaunchRun(asked) => Ok(launch(state, asked, cause)),
        }
    }

    fn evolve(&self, state: &mut Definitions, event: Event, recorded: &Recorded<'_>) {
        if let Event::DefinitionPublished { version, digest, definition, source, by } = event {
            let published_at = recorded.at;
            state.versions.push(Arc::new(Version { digest, definition, source, published_at, by }));
            state.by_digest.insert(digest, version);
        }
    }

    /// `what` is empty for the list of versions; `latest`, `version:3` or `digest:sha256:…` for one
    /// version with its definition and source.
    fn view(&self, state: &Definitions, what: &str) -> Value {
        let latest = state.versions.len() as u32;
        let number = match what.split_once(':') {
            Some(("version", number)) => number.parse().ok(),
            Some(("digest", digest)) => digest.parse().ok().and_then(|d: Digest| state.by_digest.get(&d).copied()),
            _ if what == "latest" => Some(latest),
            _ => {
                let versions: Vec<Value> =
                    (1_u32..).zip(&state.versions).map(|(number, version)| brief(number, version)).collect();
                return json!({ "latest": latest, "versions": versions });
            }
        };
        let found = number.and_then(|number: u32| Some((number, state.versions.get(number.checked_sub(1)? as usize)?)));
        let Some((number, version)) = found else { return Value::Null };
        let mut view = brief(number, version);
        if let Some(fields) = view.as_object_mut() {
            fields.insert("definition".to_owned(), version.definition.clone());
            fields.insert("source".to_owned(), json!(version.source));
        }
        view
    }

    fn size_hint(&self, state: &Definitions) -> usize {
        1024 + state.versions.len() * 8192
    }
}

fn brief(number: u32, version: &Version) -> Value {
    json!({
        "version": number,
        "digest": version.digest,
        "publishedAt": version.published_at,
        "by": version.by,
        "title": version.definition.get("title"),
        "label": version.definition.get("label"),
    })
}
