//! Blueprints: what a product is, in a file that people write.
//!
//! [`parse`] reads one and tells every mistake at once; [`digest`] names it by its content;
//! [`compare`] says whether a product may grow from one into another. Nothing here renders, builds
//! or runs anything.

mod check;
mod compare;
mod digest;
mod model;
mod names;
mod read;
mod smoke;

pub use compare::{Change, Refusal, compare};
pub use digest::digest;
pub use model::{
    Author, Blueprint, Choice, Condition, Edition, Entity, Field, FieldKind, Given, Moment, Op, Operand, Permissions,
    Role, Row, Rule, Sample, SampleRows, SampleTenant, States, Tenancy, Transition,
};
pub use smoke::{SmokeRequest, smoke_requests};

use crate::yaml::{self, Mistake};

/// The `apiVersion` of blueprints.
pub const API_VERSION: &str = "mesh/v1";
/// The `kind` of blueprints.
pub const KIND: &str = "Blueprint";

/// Most rules of a blueprint that an agent writes: each is a step of the product's run.
pub const WRITTEN_MAX: usize = 20;

/// Reads a blueprint (YAML or JSON).
///
/// **Errors**: every mistake that can be found, sorted by place: what is not YAML, unknown and
/// missing keys, wrong kinds of values, names that mean nothing or something else, states that
/// cannot be reached, samples and examples that do not fit.
///
/// **Cost** grows with the length of the text.
pub fn parse(source: &str, file_name: &str) -> Result<Blueprint, Vec<Mistake>> {
    let root = yaml::parse(source).map_err(|mistake| vec![mistake.in_file(file_name)])?;
    let (blueprint, mut mistakes) = read::blueprint(&root);
    mistakes.extend(check::blueprint(&blueprint, &root));
    if mistakes.is_empty() {
        return Ok(blueprint);
    }
    mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    mistakes.dedup();
    Err(mistakes.into_iter().map(|mistake| mistake.in_file(file_name)).collect())
}

#[cfg(test)]
mod tests;
