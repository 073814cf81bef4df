//! A blueprint's text: what is wrong with it, and what it says.

use mesh_kernel::{
    envelope::{ErrorKind, Refusal},
    ports::Digest,
};
use mesh_proto::v1;
use mesh_skills::blueprint::{self, Blueprint};

use crate::gateway::{convert::mistake, status::refused_field};

/// The name of a text that came without one.
const NAMELESS: &str = "blueprint.yaml";

/// A blueprint without mistakes.
pub(super) struct Checked {
    pub(super) blueprint: Blueprint,
    pub(super) digest: Digest,
    pub(super) text: String,
}

/// Reads and checks a text.
///
/// # Errors
/// Every mistake, each as a violation of `source`.
pub(super) fn check(source: Option<v1::BlueprintSource>) -> Result<Checked, Refusal> {
    let source = source.ok_or_else(|| refused_field("source", "the blueprint's text is expected"))?;
    let blueprint = blueprint::parse(&source.text, file_name(&source))
        .map_err(|mistakes| mistake::refused("CTL-0033", "source", "the blueprint", &mistakes))?;
    let digest = blueprint::digest(&blueprint)
        .parse()
        .map_err(|error| Refusal::new("GTW-0030", ErrorKind::Internal, format!("the blueprint's digest: {error}")))?;
    Ok(Checked { blueprint, digest, text: source.text })
}

/// Every mistake, and nothing changed.
pub(super) fn validate(request: v1::ValidateBlueprintRequest) -> v1::ValidateBlueprintResponse {
    let source = request.source.unwrap_or_default();
    match blueprint::parse(&source.text, file_name(&source)) {
        Ok(blueprint) => v1::ValidateBlueprintResponse {
            valid: true,
            mistakes: Vec::new(),
            digest: blueprint::digest(&blueprint),
            name: blueprint.name,
        },
        Err(mistakes) => v1::ValidateBlueprintResponse {
            valid: false,
            mistakes: mistakes.iter().map(mistake::message).collect(),
            ..Default::default()
        },
    }
}

fn file_name(source: &v1::BlueprintSource) -> &str {
    if source.file_name.is_empty() { NAMELESS } else { &source.file_name }
}
