//! What is known of a blueprint and of its product.

use mesh_kernel::{
    entity::Decider,
    envelope::{ErrorKind, Kind, Refusal, Timestamp},
    path::{Caller, Viewed},
    ports::Digest,
};
use mesh_platforms::{
    control_plane::{
        machines::blueprint::BlueprintMachine,
        messages::{RunState, Source},
    },
    product::machines::product::ProductMachine,
    runtime_cloud::machines::workload::WorkloadMachine,
};
use mesh_proto::v1;
use serde::Deserialize;

use crate::gateway::{
    GatewayState, address,
    convert::{self, view},
    keys::etag,
};

/// The usual view of a blueprint.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BlueprintView {
    pub(super) latest: Option<Version>,
}

/// One version of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub(super) number: u32,
    pub(super) digest: Digest,
    pub(super) applied_at: Timestamp,
    pub(super) applied_by: String,
    pub(super) run: Option<Run>,
}

/// The run that makes it.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) state: RunState,
}

/// The view with its texts.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SourceView {
    pub(super) latest: Option<Text>,
    pub(super) released: Option<Text>,
}

/// The text of a version.
#[derive(Debug, Deserialize)]
pub(super) struct Text {
    pub(super) digest: Digest,
    pub(super) source: Option<Source>,
}

/// A view of an entity, `None` when it has no events yet.
pub(super) async fn look(
    state: &GatewayState,
    caller: &Caller,
    kind: Kind,
    name: &str,
    action: &str,
    what: &str,
) -> Result<Option<Viewed>, Refusal> {
    let address = address(caller.tenant(), kind, "blueprint", name)?;
    match state.mesh.query(caller, &address, action, what).await {
        Ok(viewed) => Ok(Some(viewed)),
        Err(refusal) if refusal.kind == ErrorKind::NotFound => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// A blueprint with its text and its product.
///
/// # Errors
/// `NotFound` when the tenant has none of this name.
pub(super) async fn blueprint(state: &GatewayState, caller: &Caller, name: &str) -> Result<v1::Blueprint, Refusal> {
    let at = address(caller.tenant(), BlueprintMachine::KIND, "blueprint", name)?;
    let viewed = state.mesh.query(caller, &at, "GetBlueprint", "").await?;
    let texts = state.mesh.query(caller, &at, "GetBlueprint", "source").await?;
    let texts: SourceView = view::read(&texts.view)?;
    let source = match texts.latest.and_then(|latest| latest.source) {
        Some(source) => Some(text(state, caller, source).await?),
        None => None,
    };
    let mut blueprint = shown(name, &view::read(&viewed.view)?, viewed.version);
    if let Some(parsed) = source.as_deref().and_then(|text| mesh_skills::blueprint::parse(text, name).ok()) {
        blueprint.title = parsed.title;
    }
    blueprint.source = source.map(|text| v1::BlueprintSource { text, file_name: format!("{name}.yaml") });
    blueprint.product = product(state, caller, name).await?;
    Ok(blueprint)
}

/// A blueprint as its view shows it, without its text and product.
pub(super) fn shown(name: &str, view: &BlueprintView, version: u64) -> v1::Blueprint {
    let latest = view.latest.as_ref();
    v1::Blueprint {
        name: name.to_owned(),
        version: latest.map(|latest| latest.number).unwrap_or_default(),
        digest: latest.map(|latest| latest.digest.to_string()).unwrap_or_default(),
        title: String::new(),
        apply_time: latest.map(|latest| latest.applied_at.into()),
        applied_by: latest.map(|latest| latest.applied_by.clone()).unwrap_or_default(),
        run_id: latest.and_then(|latest| latest.run.as_ref()).map(|run| run.id.clone()).unwrap_or_default(),
        source: None,
        product: None,
        etag: etag(version),
    }
}

/// The product of a blueprint, when there is one.
pub(super) async fn product(state: &GatewayState, caller: &Caller, name: &str) -> Result<Option<v1::Product>, Refusal> {
    let Some(product) = look(state, caller, ProductMachine::KIND, name, "GetBlueprint", "").await? else {
        return Ok(None);
    };
    let workload = look(state, caller, WorkloadMachine::KIND, name, "GetBlueprint", "").await?;
    let workload = workload.map(|viewed| viewed.view);
    Ok(Some(convert::product::message(name, &product.view, workload.as_ref())))
}

/// The text, wherever it lies.
pub(super) async fn text(state: &GatewayState, caller: &Caller, source: Source) -> Result<String, Refusal> {
    let digest = match source {
        Source::Inline(text) => return Ok(text),
        Source::Stored { body, .. } => body,
    };
    let broken =
        |reason: String| Refusal::new("GTW-0031", ErrorKind::Internal, format!("the blueprint's text: {reason}"));
    let bytes = state.content.get(caller.scope(), digest).await.map_err(|error| broken(error.to_string()))?;
    // Bodies are JSON values, and this one is a string.
    serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))
}
