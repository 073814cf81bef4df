//! A manifest file: one skill, in YAML or JSON.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::shape;
use crate::{
    contract::{
        Accepts, Ceiling, Effect, Example, FailureClass, FailureCode, FileScope, Gives, Manifest, Permission, Rate,
        RegistryError, Resources, Returns, check_manifest,
    },
    yaml::{self, Mistake, Node, parse_duration},
};

/// JSON Schema (2020-12) of a manifest file.
pub(super) fn schema() -> Value {
    serde_json::from_str(include_str!("schema.json")).unwrap_or_default()
}

/// What a file says; it has passed the schema.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    name: String,
    version: String,
    description: String,
    category: Option<String>,
    effect: Effect,
    timeout: Option<String>,
    #[serde(default = "anything")]
    input: Value,
    #[serde(default = "anything")]
    output: Value,
    #[serde(default)]
    failure_classes: Vec<FailureClass>,
    #[serde(default)]
    failures: Vec<FailureCode>,
    #[serde(default)]
    permissions: Vec<Permission>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    files: Vec<FileScope>,
    #[serde(default)]
    ceiling: Ceiling,
    #[serde(default)]
    accepts: Accepts,
    returns: Option<Returns>,
    #[serde(default)]
    resources: Takes,
    #[serde(default)]
    examples: Vec<Shown>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Takes {
    memory_max: Option<u64>,
    concurrent_max: Option<u32>,
    rate: Option<Often>,
}

#[derive(Deserialize)]
struct Often {
    calls: u32,
    per: String,
    burst: Option<u32>,
}

#[derive(Deserialize)]
struct Shown {
    title: String,
    input: Value,
    output: Option<Value>,
    failure: Option<FailureClass>,
    #[serde(default = "yes")]
    alone: bool,
}

fn anything() -> Value {
    Value::Bool(true)
}

fn yes() -> bool {
    true
}

/// Reads a manifest file.
///
/// # Errors
/// Every mistake with its place: what is no YAML, what does not fit [`schema`], and what cannot be registered.
pub fn read(source: &str, file: &str) -> Result<Manifest, Vec<Mistake>> {
    let named = |mistake: Mistake| mistake.in_file(file);
    let node = yaml::parse(source).map_err(|mistake| vec![named(mistake)])?;
    let mistakes = shape::mistakes(&node, &schema());
    if !mistakes.is_empty() {
        return Err(mistakes.into_iter().map(named).collect());
    }
    let written = Written::deserialize(node.to_json())
        .map_err(|error| vec![named(Mistake::new(node.span, format!("this is no manifest: {error}")))])?;
    let manifest = manifest(written, &node).map_err(|mistake| vec![named(mistake)])?;
    check_manifest(&manifest).map_err(|error| vec![named(refused(&error, &node))])?;
    Ok(manifest)
}

/// The mistake of what cannot be registered, at the key that says it.
pub(super) fn refused(error: &RegistryError, node: &Node) -> Mistake {
    let at = match error {
        RegistryError::Twice(_) | RegistryError::Name(_) => "name",
        RegistryError::Version { .. } => "version",
        RegistryError::Schema { part, .. } => part,
        RegistryError::Contradiction { field, .. } => field,
    };
    Mistake::new(node.nearest(&format!("/{at}")).span, error.to_string())
}

fn manifest(written: Written, node: &Node) -> Result<Manifest, Mistake> {
    let plain = Manifest::new(&written.name, &written.description);
    let timeout = match written.timeout {
        None => plain.timeout,
        Some(text) => call_time(&text, node, "/timeout")?,
    };
    let said = Manifest {
        version: written.version,
        category: written.category.filter(|category| *category != plain.category()),
        effect: written.effect,
        timeout,
        input: written.input,
        output: written.output,
        failures: written.failure_classes,
        permissions: written.permissions,
        hosts: written.hosts,
        files: written.files,
        ceiling: written.ceiling,
        accepts: written.accepts,
        returns: written.returns,
        resources: resources(written.resources, node)?,
        examples: written.examples.into_iter().map(shown).collect(),
        ..plain
    };
    let codes = written.failures.into_iter();
    Ok(codes.fold(said, |said, failure| said.fails_with(&failure.code, failure.class, &failure.description)))
}

fn resources(takes: Takes, node: &Node) -> Result<Resources, Mistake> {
    let rate = takes.rate.map(|Often { calls, per, burst }| {
        let at = node.nearest("/resources/rate/per").span;
        let time = parse_duration(&per).filter(|time| time.as_millis() > 0);
        let wrong = || Mistake::new(at, format!("`{per}` is no time of a rate")).with_help("write as in 1s, 1m or 1h");
        Ok(Rate { calls, per: time.ok_or_else(wrong)?, burst })
    });
    Ok(Resources { memory_max: takes.memory_max, concurrent_max: takes.concurrent_max, rate: rate.transpose()? })
}

/// How long a call may take.
///
/// # Errors
/// When the text says no such time; `at` is where it stands.
pub(super) fn call_time(text: &str, node: &Node, at: &str) -> Result<Duration, Mistake> {
    parse_duration(text).filter(|time| !time.is_zero()).ok_or_else(|| {
        let message = format!("`{text}` is no time that a call can take");
        Mistake::new(node.nearest(at).span, message).with_help("write a duration as in 30s, 5m or 1h30m")
    })
}

fn shown(shown: Shown) -> Example {
    let gives = match (shown.failure, shown.output) {
        (Some(class), _) => Gives::Failure(class),
        (None, output) => Gives::Output(output.unwrap_or_default()),
    };
    Example { title: shown.title, input: shown.input, gives, alone: shown.alone }
}
