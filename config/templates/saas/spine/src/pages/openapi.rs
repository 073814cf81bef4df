//! The API's description, made from the routes and entities that are served.

use serde_json::{Map, Value, json};

use crate::Error;
use crate::entity::{Choice, Entity, Field, Kind};
use crate::web::{Access, Method, Reply, Request, Route};

/// `GET /openapi.json`.
pub(super) fn openapi(request: &Request) -> Result<Reply, Error> {
    let product = request.product();
    let mut paths: Map<String, Value> = Map::new();
    for route in request.app.routes() {
        let served = route.path.starts_with("/api/") || route.path.ends_with('z');
        if !served {
            continue;
        }
        let entry = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(route.method.name().to_lowercase(), operation(product.entities, route));
        }
    }
    let schemas: Map<String, Value> =
        product.entities.iter().map(|entity| (entity.name.to_owned(), schema(entity))).collect();
    Ok(Reply::json(&json!({
        "openapi": "3.1.0",
        "info": {"title": product.title, "description": product.description, "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    })))
}

fn operation(entities: &[&'static Entity], route: &Route) -> Value {
    let parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": {"default": {"description": "the answer, or an `error`"}},
    });
    let Some(object) = operation.as_object_mut() else {
        return operation;
    };
    if route.access == Access::Member {
        object.insert("security".to_owned(), json!([{"bearer": []}]));
    }
    let part = route.path.split('/').nth(2).unwrap_or_default();
    let entity = entities.iter().find(|entity| entity.path == part);
    let writes = match route.method {
        Method::Post => !route.path.contains("{id}"),
        Method::Patch => true,
        Method::Get | Method::Delete => false,
    };
    if let Some(entity) = entity.filter(|_| writes) {
        let reference = json!({"$ref": format!("#/components/schemas/{}", entity.name)});
        object.insert(
            "requestBody".to_owned(),
            json!({"required": true, "content": {"application/json": {"schema": reference}}}),
        );
    }
    operation
}

fn schema(entity: &Entity) -> Value {
    let required = entity.fields.iter().filter(|field| field.required);
    let required: Vec<_> = required.map(|field| field.name).collect();
    let properties: Map<String, Value> =
        entity.fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    json!({
        "type": "object",
        "description": entity.description,
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(field: &Field) -> Value {
    let names = |choices: &[Choice]| choices.iter().map(|choice| choice.name).collect::<Vec<_>>();
    let mut property = match field.kind {
        Kind::String | Kind::Text => {
            let mut text = json!({"type": "string"});
            bounds(&mut text, field, "minLength", "maxLength");
            text
        }
        Kind::Integer => {
            let mut number = json!({"type": "integer"});
            bounds(&mut number, field, "minimum", "maximum");
            number
        }
        Kind::Decimal => json!({"type": "string", "pattern": r"^-?\d+(\.\d{1,2})?$"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::DateTime => json!({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$"}),
        Kind::Enum(choices) => json!({"type": "string", "enum": names(choices)}),
        Kind::Reference(entity) => json!({"type": "string", "description": format!("id of a {entity}")}),
        Kind::Member => json!({"type": "string", "description": "id of a person"}),
    };
    if let Some(object) = property.as_object_mut() {
        object.insert("title".to_owned(), json!(field.title));
    }
    property
}

fn bounds(property: &mut Value, field: &Field, least: &str, most: &str) {
    let Some(object) = property.as_object_mut() else {
        return;
    };
    if let Some(min) = field.min {
        object.insert(least.to_owned(), json!(min));
    }
    if let Some(max) = field.max {
        object.insert(most.to_owned(), json!(max));
    }
}
