//! Protobuf written straight from an envelope: the generated message would copy every text first.
//!
//! INVARIANT: byte for byte what the generated message encodes to; fields in the order of their
//! numbers, and none that has its default.

use mesh_proto::v1;

use super::{Address, Classification, Envelope, Headers, IdempotencyKey, ModuleId, Principal, ProjectId, Timestamp};

/// Fields of one message.
#[derive(Default)]
struct Writer(Vec<u8>);

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3 | VARINT);
            self.varint(value);
        }
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        if !value.is_empty() {
            self.message(field, value);
        }
    }

    fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    fn optional<T>(&mut self, field: u64, value: Option<&T>, text: fn(&T) -> &str) {
        self.text(field, value.map(text).unwrap_or_default());
    }

    /// A field that stands there even when it is empty.
    fn message(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | LENGTH);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }
}

/// The protobuf bytes of an envelope.
pub(super) fn envelope(envelope: &Envelope) -> Vec<u8> {
    let headers = headers(&envelope.headers);
    let mut to = Writer(Vec::with_capacity(envelope.payload.len() + headers.len() + 320));
    to.text(1, envelope.event_id.as_str());
    to.text(2, &envelope.event_type);
    to.text(3, envelope.tenant_id.as_str());
    to.optional(4, envelope.project_id.as_ref(), ProjectId::as_str);
    to.optional(5, envelope.module_id.as_ref(), ModuleId::as_str);
    to.text(6, envelope.trace_id.as_str());
    to.text(7, envelope.correlation_id.as_str());
    to.text(8, envelope.causation_id.as_str());
    to.message(9, &instant(envelope.occurred_at));
    to.bytes(10, &envelope.payload);
    to.message(11, &headers);
    to.0
}

fn headers(headers: &Headers) -> Vec<u8> {
    let mut to = Writer(Vec::with_capacity(384));
    to.number(1, headers.schema_version.into());
    to.optional(2, headers.actor.as_ref(), Address::as_str);
    to.text(3, headers.subject.as_str());
    to.message(4, &principal(&headers.principal));
    to.number(5, classification_to_proto(headers.classification) as u64);
    headers.taint.iter().for_each(|taint| to.message(6, taint.as_bytes()));
    to.text(7, headers.traceparent.as_deref().unwrap_or_default());
    to.optional(8, headers.idempotency_key.as_ref(), IdempotencyKey::as_str);
    if let Some(version) = headers.expected_version {
        to.varint(9 << 3 | VARINT);
        to.varint(version);
    }
    if let Some(deadline) = headers.deadline {
        to.message(10, &instant(deadline));
    }
    to.text(12, &headers.content_type);
    for (name, value) in &headers.extensions {
        let mut entry = Writer::default();
        entry.text(1, name);
        entry.text(2, value);
        to.message(13, &entry.0);
    }
    to.text(14, &headers.admitted_by);
    to.0
}

fn principal(principal: &Principal) -> Vec<u8> {
    let mut to = Writer(Vec::with_capacity(96));
    to.text(1, &principal.name);
    principal.roles.iter().for_each(|role| to.message(2, role.as_str().as_bytes()));
    to.text(3, principal.on_behalf_of.as_deref().unwrap_or_default());
    to.0
}

fn instant(at: Timestamp) -> Vec<u8> {
    let at = prost_types::Timestamp::from(at);
    let mut to = Writer(Vec::with_capacity(16));
    // A negative number is written as the 64 bits that it has in two's complement.
    to.number(1, at.seconds as u64);
    to.number(2, i64::from(at.nanos) as u64);
    to.0
}

pub(super) fn classification_to_proto(classification: Classification) -> v1::Classification {
    match classification {
        Classification::Public => v1::Classification::Public,
        Classification::Internal => v1::Classification::Internal,
        Classification::Confidential => v1::Classification::Confidential,
        Classification::Restricted => v1::Classification::Restricted,
    }
}
