//! Floor 1: ids, addresses, tenant scope, the envelope and its wire forms.
//!
//! An envelope is shared in memory (`Arc`), the same protobuf bytes on the wire and in the journal,
//! and JSON for people. Its payload is bytes until the entity decodes it.

mod address;
pub mod hex;
mod ids;
mod json;
mod message;
mod principal;
mod refusal;
mod scope;
mod time;
mod wire;
mod writer;

pub use address::{Address, AddressError, Kind, Shard};
pub use ids::{CorrelationId, EventId, IdError, IdempotencyKey, ModuleId, ProjectId, TenantId, TraceId};
pub use json::{cloud_event, json, payload_json};
pub use message::{Classification, Envelope, Headers, Payload};
pub use principal::{Principal, Role};
pub use refusal::{ErrorKind, FieldViolation, Refusal, Refuse, Retry};
pub use scope::TenantScope;
pub use time::Timestamp;
pub use wire::{WireError, decode, encode, peek_type};
