//! The JSON Schema of definitions, made from the message's descriptor: for editors and checks.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::descriptor;

/// JSON Schema (2020-12) of `mesh.v1.WorkflowDefinition`, with the contract's comments.
pub fn schema() -> Value {
    let Some(root) = descriptor() else { return Value::Null };
    let mut definitions = Map::new();
    let reference = message(&root, &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mesh:v1:workflow-definition",
        "title": "Agent Mesh workflow definition",
        "$ref": reference.get("$ref").cloned().unwrap_or_default(),
        "$defs": definitions,
    })
}

fn message(descriptor: &MessageDescriptor, definitions: &mut Map<String, Value>) -> Value {
    match descriptor.full_name() {
        "google.protobuf.Struct" => return json!({ "type": "object" }),
        "google.protobuf.Value" => return json!({}),
        "google.protobuf.Duration" => {
            return json!({
                "type": "string",
                "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$",
                "examples": ["30s", "5m", "1h30m"],
            });
        }
        _ => {}
    }
    let name = descriptor.name().to_owned();
    if !definitions.contains_key(&name) {
        // Put first, so that a message which holds itself ends here.
        definitions.insert(name.clone(), Value::Null);
        let object = object(descriptor, definitions);
        definitions.insert(name.clone(), object);
    }
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn object(descriptor: &MessageDescriptor, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in descriptor.fields() {
        let mut property = field_schema(&field, definitions);
        if let (Some(comment), Some(property)) = (comment(descriptor, field.path()), property.as_object_mut()) {
            property.insert("description".to_owned(), Value::String(comment));
        }
        properties.insert(field.json_name().to_owned(), property);
    }
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    let exclusive: Vec<Value> = descriptor.oneofs().map(|oneof| at_most_one(&oneof)).collect();
    if let Some(object) = object.as_object_mut() {
        if !exclusive.is_empty() {
            object.insert("allOf".to_owned(), Value::Array(exclusive));
        }
        if let Some(comment) = comment(descriptor, descriptor.path()) {
            object.insert("description".to_owned(), Value::String(comment));
        }
    }
    object
}

/// None or exactly one of the fields of a `oneof`.
fn at_most_one(oneof: &prost_reflect::OneofDescriptor) -> Value {
    let names: Vec<String> = oneof.fields().map(|field| field.json_name().to_owned()).collect();
    let mut choices: Vec<Value> = names.iter().map(|name| json!({ "required": [name] })).collect();
    let none: Vec<Value> = choices.clone();
    choices.push(json!({ "not": { "anyOf": none } }));
    json!({ "oneOf": choices })
}

fn field_schema(field: &FieldDescriptor, definitions: &mut Map<String, Value>) -> Value {
    if field.is_map() {
        let value = match field.kind() {
            Kind::Message(entry) => kind_schema(&entry.map_entry_value_field().kind(), definitions),
            _ => json!({}),
        };
        return json!({ "type": "object", "additionalProperties": value });
    }
    let single = kind_schema(&field.kind(), definitions);
    if !field.is_list() {
        return single;
    }
    let list = json!({ "type": "array", "items": single });
    match field.kind() {
        Kind::String => json!({ "anyOf": [list, { "type": "string" }] }),
        _ => list,
    }
}

fn kind_schema(kind: &Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::String => json!({ "type": ["string", "number", "boolean"] }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Uint32 => json!({ "type": "integer", "minimum": 0 }),
        Kind::Double => json!({ "type": "number" }),
        Kind::Message(descriptor) => {
            let long = message(descriptor, definitions);
            match descriptor.full_name() {
                "mesh.v1.SignalStep" | "mesh.v1.TimerStep" | "mesh.v1.WorkflowStep" | "mesh.v1.ApprovalStep" => {
                    json!({ "anyOf": [long, { "type": "string" }] })
                }
                _ => long,
            }
        }
        _ => json!({}),
    }
}

/// The comment that stands before this element in the contract.
fn comment(descriptor: &MessageDescriptor, path: &[i32]) -> Option<String> {
    let file = descriptor.parent_file();
    let proto = file.file_descriptor_proto();
    let location = proto.source_code_info.as_ref()?.location.iter().find(|location| location.path == path)?;
    let text: Vec<&str> = location.leading_comments.as_deref()?.lines().map(str::trim).collect();
    let text = text.join(" ").trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_takes_what_the_parser_takes() {
        let schema = schema();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let good = json!({
            "name": "a", "timeout": "5m",
            "steps": [
                {"id": "x", "skill": "text.echo", "with": {"a": 1}, "retry": {"maxAttempts": 2}},
                {"id": "y", "needs": "x", "signal": "paid"},
                {"id": "z", "needs": ["x", "y"], "timer": {"duration": "30s"}},
            ],
        });
        assert!(validator.is_valid(&good), "{:?}", validator.iter_errors(&good).next());
        for bad in [
            json!({"name": "a", "stepz": []}),
            json!({"steps": [{"id": "x", "skill": "a", "signal": "b"}]}),
            json!({"timeout": "soon"}),
            json!({"steps": {"id": "x"}}),
        ] {
            assert!(!validator.is_valid(&bad), "{bad}");
        }
        assert!(schema["$defs"]["Step"]["properties"]["needs"]["description"].is_string());
    }
}
