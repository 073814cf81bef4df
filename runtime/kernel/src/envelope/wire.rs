//! The wire form: protobuf bytes, the same on the network and in the journal.

use bytes::Bytes;
use mesh_proto::v1;
use prost::Message;

use super::{
    Address, AddressError, Classification, CorrelationId, Envelope, EventId, Headers, IdError, IdempotencyKey,
    ModuleId, Principal, ProjectId, TenantId, Timestamp, TraceId, writer,
};

/// Why bytes are no envelope.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WireError {
    /// Not protobuf, or not this message.
    #[error("the bytes are no protobuf envelope")]
    Protobuf(#[from] prost::DecodeError),
    /// An id is not of its kind.
    #[error("field `{field}`")]
    Id {
        /// The field's name as in the contract.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: IdError,
    },
    /// An address does not parse.
    #[error("field `{field}`")]
    Address {
        /// The field's name as in the contract.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: AddressError,
    },
    /// A field that every envelope has is missing.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
}

/// Encodes an envelope to its protobuf bytes.
pub fn encode(envelope: &Envelope) -> Bytes {
    Bytes::from(writer::envelope(envelope))
}

/// Decodes an envelope from its protobuf bytes.
///
/// # Errors
/// [`WireError`] names the field that is wrong.
pub fn decode(bytes: &[u8]) -> Result<Envelope, WireError> {
    from_proto(v1::Envelope::decode(bytes)?)
}

/// The event type of an encoded envelope, without decoding the rest.
///
/// Followers pass over what does not concern them by it. `None` when the type does not stand where
/// [`encode`] puts it; then the envelope must be decoded to know.
pub fn peek_type(bytes: &[u8]) -> Option<&str> {
    // Field 1 (the id, tag 0x0a) and field 2 (the type, tag 0x12), both length-delimited and short.
    let (tag, rest) = bytes.split_first()?;
    let (len, rest) = rest.split_first().filter(|_| *tag == 0x0a)?;
    let rest = rest.get(usize::from(*len).min(127)..).filter(|_| *len < 128)?;
    let (tag, rest) = rest.split_first()?;
    let (len, rest) = rest.split_first().filter(|_| *tag == 0x12)?;
    let name = rest.get(..usize::from(*len)).filter(|_| *len < 128)?;
    std::str::from_utf8(name).ok()
}

fn from_proto(message: v1::Envelope) -> Result<Envelope, WireError> {
    let headers = message.headers.ok_or(WireError::Missing("headers"))?;
    Ok(Envelope {
        event_id: id("eventId", EventId::parse(&message.event_id))?,
        event_type: message.event_type.into(),
        tenant_id: id("tenantId", TenantId::parse(&message.tenant_id))?,
        project_id: optional("projectId", &message.project_id, ProjectId::parse)?,
        module_id: optional("moduleId", &message.module_id, ModuleId::parse)?,
        trace_id: id("traceId", TraceId::parse(&message.trace_id))?,
        correlation_id: id("correlationId", CorrelationId::parse(&message.correlation_id))?,
        causation_id: id("causationId", EventId::parse(&message.causation_id))?,
        occurred_at: message.occurred_at.ok_or(WireError::Missing("occurredAt"))?.into(),
        payload: message.payload,
        headers: headers_from_proto(headers)?,
    })
}

fn headers_from_proto(headers: v1::Headers) -> Result<Headers, WireError> {
    let classification = headers.classification();
    let principal = headers.principal.ok_or(WireError::Missing("headers.principal"))?;
    Ok(Headers {
        schema_version: headers.schema_version,
        actor: match headers.actor.as_str() {
            "" => None,
            actor => Some(address("headers.actor", actor)?),
        },
        subject: address("headers.subject", &headers.subject)?,
        principal: Principal {
            name: principal.name,
            roles: principal.roles.iter().filter_map(|role| role.parse().ok()).collect(),
            on_behalf_of: Some(principal.on_behalf_of).filter(|name| !name.is_empty()),
        },
        classification: classification_from_proto(classification),
        taint: headers.taint,
        traceparent: Some(headers.traceparent).filter(|text| !text.is_empty()),
        idempotency_key: optional("headers.idempotencyKey", &headers.idempotency_key, IdempotencyKey::parse)?,
        expected_version: headers.expected_version,
        deadline: headers.deadline.map(Timestamp::from),
        content_type: headers.content_type,
        admitted_by: headers.admitted_by,
        extensions: headers.extensions,
    })
}

fn classification_from_proto(classification: v1::Classification) -> Classification {
    match classification {
        v1::Classification::Public => Classification::Public,
        v1::Classification::Internal => Classification::Internal,
        v1::Classification::Restricted => Classification::Restricted,
        v1::Classification::Unspecified | v1::Classification::Confidential => Classification::Confidential,
    }
}

fn id<T>(field: &'static str, parsed: Result<T, IdError>) -> Result<T, WireError> {
    parsed.map_err(|source| WireError::Id { field, source })
}

fn optional<T>(
    field: &'static str,
    value: &str,
    parse: fn(&str) -> Result<T, IdError>,
) -> Result<Option<T>, WireError> {
    if value.is_empty() {
        return Ok(None);
    }
    id(field, parse(value)).map(Some)
}

fn address(field: &'static str, value: &str) -> Result<Address, WireError> {
    value.parse().map_err(|source| WireError::Address { field, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Role;

    /// The generated message for an envelope.
    fn to_proto(envelope: &Envelope) -> v1::Envelope {
        v1::Envelope {
            event_id: envelope.event_id.as_str().to_owned(),
            event_type: envelope.event_type.as_ref().to_owned(),
            tenant_id: envelope.tenant_id.as_str().to_owned(),
            project_id: text(envelope.project_id.as_ref().map(ProjectId::as_str)),
            module_id: text(envelope.module_id.as_ref().map(ModuleId::as_str)),
            trace_id: envelope.trace_id.as_str().to_owned(),
            correlation_id: envelope.correlation_id.as_str().to_owned(),
            causation_id: envelope.causation_id.as_str().to_owned(),
            occurred_at: Some(envelope.occurred_at.into()),
            payload: envelope.payload.clone(),
            headers: Some(headers_to_proto(&envelope.headers)),
        }
    }

    fn headers_to_proto(headers: &Headers) -> v1::Headers {
        v1::Headers {
            schema_version: headers.schema_version,
            actor: text(headers.actor.as_ref().map(Address::as_str)),
            subject: headers.subject.as_str().to_owned(),
            principal: Some(v1::Principal {
                name: headers.principal.name.clone(),
                roles: headers.principal.roles.iter().map(|r| r.as_str().to_owned()).collect(),
                on_behalf_of: headers.principal.on_behalf_of.clone().unwrap_or_default(),
            }),
            classification: writer::classification_to_proto(headers.classification).into(),
            taint: headers.taint.clone(),
            traceparent: headers.traceparent.clone().unwrap_or_default(),
            idempotency_key: text(headers.idempotency_key.as_ref().map(IdempotencyKey::as_str)),
            expected_version: headers.expected_version,
            deadline: headers.deadline.map(Into::into),
            payload_type: String::new(),
            content_type: headers.content_type.clone(),
            extensions: headers.extensions.clone(),
            admitted_by: headers.admitted_by.clone(),
        }
    }

    fn text(value: Option<&str>) -> String {
        value.unwrap_or_default().to_owned()
    }

    fn least() -> Envelope {
        let subject: Address = "acme/control-plane/run/run-1".parse().unwrap();
        let event_id = EventId::parse("evt-1").unwrap();
        Envelope {
            event_type: "RunPaused".into(),
            tenant_id: subject.tenant().clone(),
            project_id: None,
            module_id: None,
            trace_id: TraceId::parse("trace-1").unwrap(),
            correlation_id: (&event_id).into(),
            causation_id: event_id.clone(),
            event_id,
            occurred_at: Timestamp::default(),
            payload: Bytes::new(),
            headers: Headers::new(subject, Principal::system("test")),
        }
    }

    fn fullest() -> Envelope {
        let mut envelope = least();
        envelope.project_id = Some(ProjectId::parse("proj-1").unwrap());
        envelope.module_id = Some(ModuleId::parse("module-1").unwrap());
        envelope.occurred_at = Timestamp::from_unix_nanos(1_763_856_000_123_456_789);
        envelope.payload = Bytes::from(vec![b'{'; 70_000]);
        let headers = &mut envelope.headers;
        headers.schema_version = 300;
        headers.actor = Some("acme/governance/approval/a-1".parse().unwrap());
        headers.principal.roles = vec![Role::Admin, Role::System];
        headers.principal.on_behalf_of = Some("key:alice".into());
        headers.classification = Classification::Restricted;
        headers.taint = vec!["web".into(), String::new()];
        headers.traceparent = Some("00-1-2-01".into());
        headers.idempotency_key = Some(IdempotencyKey::parse("k-1").unwrap());
        headers.expected_version = Some(0);
        headers.deadline = Some(Timestamp::from_unix_nanos(-1));
        headers.content_type = "text/plain".into();
        headers.admitted_by = "role".into();
        headers.extensions = [("a".into(), "b".into()), ("c".into(), String::new())].into();
        envelope
    }

    #[test]
    fn what_is_written_is_what_the_generated_message_says() {
        for envelope in [least(), fullest()] {
            let bytes = encode(&envelope);
            assert_eq!(bytes, to_proto(&envelope).encode_to_vec());
            assert_eq!(peek_type(&bytes), Some("RunPaused"));
            assert_eq!(decode(&bytes).unwrap(), envelope);
        }
    }
}
