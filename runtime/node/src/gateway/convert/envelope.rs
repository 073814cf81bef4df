//! Envelopes as the contract's message.

use mesh_kernel::envelope::{Envelope, encode};
use mesh_proto::v1;
use prost::Message;

/// The envelope's message: what the wire form says, and so nothing that the journal does not hold.
pub(in crate::gateway) fn message(envelope: &Envelope) -> v1::Envelope {
    v1::Envelope::decode(encode(envelope)).unwrap_or_default()
}
