//! A folder of Agent Skills: `SKILL.md` is front matter and instructions for whoever does the work.
//!
//! Nothing in such a folder can be called by us: scripts beside it are written for an agent's own shell. So it
//! becomes a skill that gives its text, with what the front matter says beside it; an agent reads it, and
//! whatever it does then it does through skills of its own grant. A skill that pretended to do what the text
//! describes would succeed without doing anything.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{file::refused, shape};
use crate::{
    contract::{Instructions, Manifest, check_manifest},
    yaml::{self, Mistake, Node, Span},
};

/// The area of skills that give instructions: `pdf-forms` becomes `instructions.pdf-forms`.
const AREA: &str = "instructions";

/// The line with which front matter begins and ends.
const FENCE: &str = "---";

/// Where in the front matter the version is told.
const VERSION: &str = "/metadata/version";

/// Reads the `SKILL.md` of a folder of this name.
///
/// The version is the `version` of its `metadata`, `1` and `1.0` being `1.0.0`, which it also is when there is none.
///
/// # Errors
/// Every mistake with its place: no front matter, what does not fit its form, a name that is not the folder's,
/// a version that is none, no instructions.
pub fn read_instructions(source: &str, file: &str, folder: &str) -> Result<Manifest, Vec<Mistake>> {
    read(source, folder).map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.in_file(file)).collect())
}

fn read(source: &str, folder: &str) -> Result<Manifest, Vec<Mistake>> {
    let (front, body, body_line) = split(source).map_err(|mistake| vec![mistake])?;
    let below = |mut mistake: Mistake| {
        // The fence is the first line.
        mistake.line += 1;
        mistake
    };
    let node = yaml::parse(front).map_err(|mistake| vec![below(mistake)])?;
    let mistakes = shape::mistakes(&node, &form());
    if !mistakes.is_empty() {
        return Err(mistakes.into_iter().map(below).collect());
    }
    let wrong = |pointer: &str, message: String| vec![below(Mistake::new(node.nearest(pointer).span, message))];
    let name = text(&node, "/name").unwrap_or_default();
    if name != folder {
        return Err(wrong(
            "/name",
            format!("its name is `{name}`, and its folder is `{folder}`: they must be the same"),
        ));
    }
    if body.is_empty() {
        let span = Span { line: body_line, column: 1 };
        return Err(vec![Mistake::new(span, "there are no instructions below the front matter")]);
    }
    let told = text(&node, VERSION);
    let version = version(told.as_deref()).ok_or_else(|| {
        let told = told.clone().unwrap_or_default();
        wrong(VERSION, format!("`{told}` is no semantic version: write it as in `1.0.0`"))
    })?;
    let manifest = Manifest {
        version,
        ..Manifest::new(&format!("{AREA}.{name}"), &text(&node, "/description").unwrap_or_default())
            .instructs(instructions(&node, body))
    };
    check_manifest(&manifest).map_err(|error| vec![below(refused(&error, &node))])?;
    Ok(manifest)
}

fn form() -> Value {
    serde_json::from_str(include_str!("front.schema.json")).unwrap_or_default()
}

/// Front matter, what stands below it, and the line in which that begins.
fn split(source: &str) -> Result<(&str, &str, u32), Mistake> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let none = || {
        Mistake::new(Span { line: 1, column: 1 }, "there is no front matter")
            .with_help("begin with `---`, `name:` and `description:`, and end it with `---`")
    };
    let mut lines = source.split_inclusive('\n');
    let first = lines.next().filter(|line| line.trim_end() == FENCE).ok_or_else(none)?;
    let mut at = first.len();
    for (n, line) in (2..).zip(lines) {
        if line.trim_end() == FENCE {
            let front = source.get(first.len()..at).unwrap_or_default();
            let body = source.get(at + line.len()..).unwrap_or_default();
            return Ok((front, body.trim(), n + 1));
        }
        at += line.len();
    }
    Err(Mistake::new(Span { line: 1, column: 1 }, "the front matter does not end").with_help("end it with `---`"))
}

/// A plain value as a text.
fn text(node: &Node, pointer: &str) -> Option<String> {
    match node.at(pointer)?.to_json() {
        Value::String(text) => Some(text),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        plain => Some(plain.to_string()),
    }
}

fn version(told: Option<&str>) -> Option<String> {
    let told = told.unwrap_or("1");
    [told.to_owned(), format!("{told}.0"), format!("{told}.0.0")]
        .into_iter()
        .find(|version| semver::Version::parse(version).is_ok())
}

fn instructions(node: &Node, body: &str) -> Instructions {
    let metadata = node.get("metadata").and_then(Node::as_map).unwrap_or_default();
    let metadata: BTreeMap<String, String> =
        metadata.iter().filter_map(|(key, value)| Some((key.name.clone(), text(value, "")?))).collect();
    let tools = node.get("allowed-tools").and_then(Node::as_seq).into_iter().flatten();
    let tools: Vec<&str> = tools.filter_map(Node::as_str).collect();
    let listed = (!tools.is_empty()).then(|| tools.join(" "));
    Instructions {
        text: body.to_owned(),
        license: text(node, "/license"),
        compatibility: text(node, "/compatibility"),
        allowed_tools: text(node, "/allowed-tools").or(listed),
        metadata,
    }
}
