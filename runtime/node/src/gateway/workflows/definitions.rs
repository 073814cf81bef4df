//! Publishing, checking and reading definitions.

use mesh_kernel::{
    envelope::{Address, ErrorKind, Refusal, Timestamp},
    path::Caller,
    ports::Digest,
};
use mesh_proto::v1::{self, publish_definition_request, validate_definition_request};
use mesh_workflows::{
    catalogue::{self, Command},
    definition::{Definition, Known, from_json, parse, to_json, validate as check},
    plan::Fault,
};
use serde::Deserialize;
use serde_json::Value;

use crate::gateway::{
    GatewayState, Terms, address,
    convert::{mistake, view},
    filter,
    keys::etag,
    lists::DefinitionRow,
    page::Binding,
    status::refused_field,
};

/// The name of a text that came without one.
const NAMELESS: &str = "definition.yaml";

/// One published version, as its entity shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Published {
    pub(super) version: u32,
    pub(super) digest: Digest,
    published_at: Timestamp,
    by: String,
    title: Option<String>,
    #[serde(default)]
    pub(super) definition: Value,
    /// Version of the entity's last event.
    #[serde(skip)]
    pub(super) entity_version: u64,
}

impl Published {
    /// The version with this number, or the latest with 0.
    ///
    /// # Errors
    /// `NotFound` when the caller's tenant has no definition of this name.
    pub(super) async fn find(
        state: &GatewayState,
        caller: &Caller,
        name: &str,
        version: u32,
        action: &str,
    ) -> Result<Option<Self>, Refusal> {
        let address = definition_address(caller, name)?;
        let what = if version == 0 { "latest".to_owned() } else { format!("version:{version}") };
        let viewed = state.mesh.query(caller, &address, action, &what).await?;
        if viewed.view.is_null() {
            return Ok(None);
        }
        let mut found: Self = view::read(&viewed.view)?;
        found.entity_version = viewed.version;
        Ok(Some(found))
    }

    fn message(self, name: &str, latest: u32) -> v1::PublishedDefinition {
        v1::PublishedDefinition {
            name: name.to_owned(),
            version: self.version,
            digest: self.digest.to_string(),
            publish_time: Some(self.published_at.into()),
            published_by: self.by,
            title: self.title.unwrap_or_default(),
            definition: from_json(&self.definition).ok(),
            etag: etag(self.entity_version),
            latest_version: latest,
        }
    }
}

/// Where the definition of this name lives.
pub(super) fn definition_address(caller: &Caller, name: &str) -> Result<Address, Refusal> {
    address(caller.tenant(), catalogue::KIND, "definition", name)
}

/// The list of versions, as the entity shows it.
#[derive(Debug, Deserialize)]
struct Versions {
    latest: u32,
    versions: Vec<Published>,
}

/// Publishes a definition.
///
/// # Errors
/// Every mistake of it.
pub(super) async fn publish(
    state: &GatewayState,
    caller: &Caller,
    request: v1::PublishDefinitionRequest,
) -> Result<v1::PublishDefinitionResponse, Refusal> {
    use publish_definition_request::Body;
    let terms = Terms::of("PublishDefinition", &request, &request.request_id, &request.etag)?;
    let caller = &state.mesh.charge(caller)?;
    let known = known(state, caller).await?;
    let (checked, source) = match request.body {
        Some(Body::Source(source)) => (read(&source, &known)?, Some(source.text)),
        Some(Body::Definition(message)) => (check(&message, &known).map_err(|faults| faulty(&faults))?, None),
        None => return Err(nothing_given()),
    };
    let name = checked.message.name.clone();
    if request.validate_only {
        let definition = v1::PublishedDefinition {
            title: checked.message.title.clone(),
            digest: checked.digest.to_string(),
            definition: Some(checked.message),
            name,
            ..Default::default()
        };
        return Ok(v1::PublishDefinitionResponse { definition: Some(definition), unchanged: false });
    }
    let to = address(caller.tenant(), catalogue::KIND, "definition", &name)?;
    let command = Command::PublishDefinition { definition: to_json(&checked.message), digest: checked.digest, source };
    let reply = state.tell(caller, to, &command, terms).await?;
    let versions: Versions = view::read(&reply.view)?;
    let published = versions.versions.into_iter().find(|version| version.digest == checked.digest);
    let mut definition = published
        .map(|published| Published { entity_version: reply.version, ..published }.message(&name, versions.latest))
        .unwrap_or_default();
    definition.definition = Some(checked.message);
    Ok(v1::PublishDefinitionResponse { definition: Some(definition), unchanged: reply.events.is_empty() })
}

/// Every mistake of a definition, and nothing published.
///
/// # Errors
/// When the request holds none.
pub(super) async fn validate(
    state: &GatewayState,
    caller: &Caller,
    request: v1::ValidateDefinitionRequest,
) -> Result<v1::ValidateDefinitionResponse, Refusal> {
    use validate_definition_request::Body;
    let caller = &state.mesh.charge(caller)?;
    state.mesh.admit_read(caller, "ValidateDefinition")?;
    let known = known(state, caller).await?;
    let (name, checked) = match request.body {
        Some(Body::Source(source)) => {
            let parsed = parse(&source.text, Some(file_name(&source)), &known);
            (String::new(), parsed.map_err(|mistakes| mistakes.iter().map(mistake::message).collect()))
        }
        Some(Body::Definition(message)) => {
            let checked = check(&message, &known);
            (message.name, checked.map_err(|faults| faults.iter().map(of_fault).collect::<Vec<_>>()))
        }
        None => return Err(nothing_given()),
    };
    Ok(match checked {
        Ok(checked) => v1::ValidateDefinitionResponse {
            valid: true,
            mistakes: Vec::new(),
            digest: checked.digest.to_string(),
            name: checked.message.name,
        },
        Err(mistakes) => v1::ValidateDefinitionResponse { valid: false, mistakes, name, digest: String::new() },
    })
}

/// The latest version of each definition.
///
/// # Errors
/// A filter or token that cannot be read.
pub(super) async fn list(
    state: &GatewayState,
    caller: &Caller,
    request: v1::ListDefinitionsRequest,
) -> Result<v1::ListDefinitionsResponse, Refusal> {
    state.mesh.admit_read(caller, "ListDefinitions")?;
    let name = filter::name(&request.filter)?;
    let binding = Binding::new(caller.scope(), "definitions", &request.filter);
    let page = binding.request(request.page_size, &request.page_token)?;
    state.reach(request.min_position).await?;
    let page = state.lists.definitions(caller.scope(), name, page).await?;
    Ok(v1::ListDefinitionsResponse {
        definitions: page.rows.into_iter().map(of_row).collect(),
        next_page_token: binding.seal(page.next.as_deref()),
        position: page.position.0,
    })
}

/// One version of a definition.
///
/// # Errors
/// `NotFound` when the caller's tenant has none.
pub(super) async fn get(
    state: &GatewayState,
    caller: &Caller,
    request: v1::GetDefinitionRequest,
) -> Result<v1::GetDefinitionResponse, Refusal> {
    let name = &request.name;
    let found = Published::find(state, caller, name, request.version, "GetDefinition").await?;
    let found = found.ok_or_else(|| no_version(name, request.version))?;
    let latest = match request.version {
        0 => found.version,
        _ => Published::find(state, caller, name, 0, "GetDefinition")
            .await?
            .map(|latest| latest.version)
            .unwrap_or_default(),
    };
    Ok(v1::GetDefinitionResponse { definition: Some(found.message(name, latest)) })
}

/// The definition is there, and this version of it is not.
pub(super) fn no_version(name: &str, version: u32) -> Refusal {
    let message = format!("definition `{name}` has no version {version}: `GetDefinition` shows the latest");
    Refusal::new("GTW-0041", ErrorKind::NotFound, message)
}

fn read(source: &v1::DefinitionSource, known: &Known) -> Result<Definition, Refusal> {
    parse(&source.text, Some(file_name(source)), known)
        .map_err(|mistakes| mistake::refused("DEF-0001", "source", "the definition", &mistakes))
}

fn file_name(source: &v1::DefinitionSource) -> &str {
    if source.file_name.is_empty() { NAMELESS } else { &source.file_name }
}

/// The skills and agents that there are, so that a definition which calls another is refused.
async fn known(state: &GatewayState, caller: &Caller) -> Result<Known, Refusal> {
    let manifests = state.skills.manifests(caller).await?;
    let skills = manifests.into_iter().map(|(name, manifest)| (name, manifest.input.clone())).collect();
    Ok(Known { skills: Some(skills), agents: Some(state.agents.versions(caller).await?) })
}

/// Every fault of a definition in one refusal.
pub(in crate::gateway) fn faulty(faults: &[Fault]) -> Refusal {
    let first = faults.first().map(|fault| fault.message.as_str()).unwrap_or_default();
    let message = match faults.len() {
        1 => format!("the definition has a mistake: {first}"),
        count => format!("the definition has {count} mistakes, the first: {first}"),
    };
    faults.iter().fold(Refusal::new("DEF-0001", ErrorKind::InvalidArgument, message), |refusal, fault| {
        refusal.at(fault.field_path(), told(fault))
    })
}

/// A fault has no place in a text: its field's path stands before what is wrong.
fn of_fault(fault: &Fault) -> v1::Mistake {
    v1::Mistake {
        message: format!("`{}`: {}", fault.field_path(), fault.message),
        help: fault.help.clone().unwrap_or_default(),
        ..Default::default()
    }
}

fn told(fault: &Fault) -> String {
    match &fault.help {
        Some(help) => format!("{} ({help})", fault.message),
        None => fault.message.clone(),
    }
}

fn nothing_given() -> Refusal {
    refused_field("body", "`source` or `definition` is expected")
}

fn of_row(row: DefinitionRow) -> v1::PublishedDefinition {
    v1::PublishedDefinition {
        name: row.name,
        version: row.version,
        digest: row.digest,
        publish_time: Some(row.published_at.into()),
        published_by: row.published_by,
        title: row.title,
        definition: None,
        etag: etag(row.entity_version),
        latest_version: row.version,
    }
}
