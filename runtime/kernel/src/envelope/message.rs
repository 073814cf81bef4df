//! The envelope itself.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Address, CorrelationId, EventId, IdempotencyKey, ModuleId, Principal, ProjectId, TenantId, Timestamp, TraceId,
};

/// How far content may travel. Ordered: a higher one is narrower.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Classification {
    /// Anyone may see it.
    Public,
    /// Anyone in the tenant may see it.
    Internal,
    /// Named roles may see it; what is unknown is this.
    #[default]
    Confidential,
    /// Named persons may see it.
    Restricted,
}

/// What the envelope carries: a type, a schema version, and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The event's or command's type: `RunSubmitted`, `SubmitRun`.
    pub name: Arc<str>,
    /// `cs-schema-version`: raised by a breaking change.
    pub schema_version: u32,
    /// JSON unless `content_type` of the headers says otherwise.
    pub bytes: Bytes,
}

/// The one message: a command, an event or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The unique instance.
    pub event_id: EventId,
    /// NounVerbPastTense for events, VerbNoun for commands.
    pub event_type: Arc<str>,
    /// The isolation boundary.
    pub tenant_id: TenantId,
    /// The product being made.
    pub project_id: Option<ProjectId>,
    /// One deployable or library in it.
    pub module_id: Option<ModuleId>,
    /// Minted once, when intent enters.
    pub trace_id: TraceId,
    /// The run, or the command's id when there is none.
    pub correlation_id: CorrelationId,
    /// The direct cause.
    pub causation_id: EventId,
    /// When the fact came to be.
    pub occurred_at: Timestamp,
    /// Bytes; decoded at the entity and not before.
    pub payload: Bytes,
    /// Everything beside the canonical fields.
    pub headers: Headers,
}

/// What travels beside the ten canonical fields, and not in the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// Raised by a breaking change of the payload.
    pub schema_version: u32,
    /// Who sent it, when an entity did.
    pub actor: Option<Address>,
    /// Where it goes; for an event, the entity that it happened to.
    pub subject: Address,
    /// Who was authenticated, and on whose behalf.
    pub principal: Principal,
    /// How far the content may travel.
    pub classification: Classification,
    /// Where untrusted content came in.
    pub taint: Vec<String>,
    /// W3C trace context of the request that carried it.
    pub traceparent: Option<String>,
    /// The same key is never done twice.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The version that the sender saw.
    pub expected_version: Option<u64>,
    /// After this instant the sender no longer waits.
    pub deadline: Option<Timestamp>,
    /// Media type of the payload; empty means `application/json`.
    pub content_type: String,
    /// How `admit` let it in: the policy and its decision.
    pub admitted_by: String,
    /// Headers of later versions travel here unchanged.
    pub extensions: BTreeMap<String, String>,
}

impl Headers {
    /// The extension with the digest of the request that a command was made of: the same idempotency
    /// key with another one is refused.
    pub const REQUEST: &'static str = "request-digest";

    /// The digest of the request, when the sender said one.
    pub fn request(&self) -> Option<&str> {
        self.extensions.get(Self::REQUEST).map(String::as_str)
    }

    /// Headers for a message to `subject` from `principal`, everything else at its default.
    pub fn new(subject: Address, principal: Principal) -> Self {
        Self {
            schema_version: 1,
            actor: None,
            subject,
            principal,
            classification: Classification::Internal,
            taint: Vec::new(),
            traceparent: None,
            idempotency_key: None,
            expected_version: None,
            deadline: None,
            content_type: String::new(),
            admitted_by: String::new(),
            extensions: BTreeMap::new(),
        }
    }
}

impl Envelope {
    /// The bytes that a queue is charged for holding it.
    ///
    /// **Units**: bytes; payload and the larger headers, plus a flat 400 for the rest.
    pub fn charge(&self) -> usize {
        400 + self.payload.len() + self.headers.extensions.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>()
    }
}
