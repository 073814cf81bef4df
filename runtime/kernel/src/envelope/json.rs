//! The JSON form, for people and for webhooks.

use serde_json::{Map, Value, json};

use super::Envelope;

/// The payload as JSON: parsed when it is JSON, else its length in words.
pub fn payload_json(envelope: &Envelope) -> Value {
    if envelope.payload.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&envelope.payload)
        .unwrap_or_else(|_| json!({ "bytes": envelope.payload.len(), "contentType": envelope.headers.content_type }))
}

/// The envelope as JSON: the ten canonical fields, spelled so, and `headers` beside them.
pub fn json(envelope: &Envelope) -> Value {
    let headers = &envelope.headers;
    let mut beside = Map::new();
    beside.insert("cs-schema-version".to_owned(), json!(headers.schema_version));
    beside.insert("subject".to_owned(), json!(headers.subject.as_str()));
    beside.insert("principal".to_owned(), json!(headers.principal));
    beside.insert("classification".to_owned(), json!(headers.classification));
    if let Some(actor) = &headers.actor {
        beside.insert("actor".to_owned(), json!(actor.as_str()));
    }
    if !headers.taint.is_empty() {
        beside.insert("taint".to_owned(), json!(headers.taint));
    }
    if let Some(traceparent) = &headers.traceparent {
        beside.insert("traceparent".to_owned(), json!(traceparent));
    }
    if let Some(key) = &headers.idempotency_key {
        beside.insert("idempotencyKey".to_owned(), json!(key.as_str()));
    }
    if let Some(version) = headers.expected_version {
        beside.insert("expectedVersion".to_owned(), json!(version));
    }
    if let Some(deadline) = headers.deadline {
        beside.insert("deadline".to_owned(), json!(deadline.to_string()));
    }
    if !headers.admitted_by.is_empty() {
        beside.insert("admittedBy".to_owned(), json!(headers.admitted_by));
    }
    for (name, value) in &headers.extensions {
        beside.entry(name.clone()).or_insert_with(|| json!(value));
    }
    json!({
        "eventId": envelope.event_id.as_str(),
        "eventType": envelope.event_type.as_ref(),
        "tenantId": envelope.tenant_id.as_str(),
        "projectId": envelope.project_id.as_ref().map(super::ProjectId::as_str),
        "moduleId": envelope.module_id.as_ref().map(super::ModuleId::as_str),
        "traceId": envelope.trace_id.as_str(),
        "correlationId": envelope.correlation_id.as_str(),
        "causationId": envelope.causation_id.as_str(),
        "occurredAt": envelope.occurred_at.to_string(),
        "payload": payload_json(envelope),
        "headers": beside,
    })
}

/// The envelope as a CloudEvent 1.0 in structured JSON, as webhooks and exports speak it.
///
/// **Source**: CloudEvents 1.0, JSON event format.
pub fn cloud_event(envelope: &Envelope) -> Value {
    let mut event = json!({
        "specversion": "1.0",
        "id": envelope.event_id.as_str(),
        "type": envelope.event_type.as_ref(),
        "source": format!("/{}", envelope.headers.subject),
        "subject": envelope.headers.subject.as_str(),
        "time": envelope.occurred_at.to_string(),
        "datacontenttype": "application/json",
        "data": payload_json(envelope),
        "tenantid": envelope.tenant_id.as_str(),
        "traceid": envelope.trace_id.as_str(),
        "correlationid": envelope.correlation_id.as_str(),
        "causationid": envelope.causation_id.as_str(),
        "csschemaversion": envelope.headers.schema_version,
    });
    if let (Some(map), Some(traceparent)) = (event.as_object_mut(), &envelope.headers.traceparent) {
        map.insert("traceparent".to_owned(), json!(traceparent));
    }
    event
}
