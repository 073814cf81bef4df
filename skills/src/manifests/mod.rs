//! Skills as people write them down: manifest files in YAML, folders of instructions (`SKILL.md`), and declarations
//! of MCP servers, whose tools are skills.
//!
//! Each form has one JSON Schema, which editors are given and readers go by; what does not fit it is told with
//! its place.
//!
//! Never here: I/O, and whether anybody can do what is written down.

mod file;
mod folder;
mod server;
mod shape;

pub use file::read;
pub use folder::read_instructions;
pub use server::{is_server, read_server};
pub use shape::mistakes;

use serde_json::{Value, json};

/// JSON Schema (2020-12) of a file that is registered, for editors and checks: a skill's manifest, or the
/// declaration of an MCP server when it says that it is one.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mesh:v1:registered",
        "title": "Agent Mesh skill manifest, or MCP server",
        "if": { "required": ["kind"] },
        "then": nested(server::schema(), "then"),
        "else": nested(file::schema(), "else"),
    })
}

/// A schema within another: its references start where it stands.
fn nested(mut schema: Value, at: &str) -> Value {
    fn turn(value: &mut Value, at: &str) {
        match value {
            Value::Object(map) => map.iter_mut().for_each(|(key, value)| match value {
                Value::String(text) if key == "$ref" => *text = text.replacen("#/", &format!("#/{at}/"), 1),
                other => turn(other, at),
            }),
            Value::Array(items) => items.iter_mut().for_each(|item| turn(item, at)),
            _ => {}
        }
    }
    turn(&mut schema, at);
    if let Some(map) = schema.as_object_mut() {
        // Both would begin a document of its own, in which the references mean something else.
        map.retain(|key, _| key != "$schema" && key != "$id");
    }
    schema
}

#[cfg(test)]
mod tests;
