//! Workflow definitions: from text to a checked message, and from that to a plan.
//!
//! A definition is read into the protobuf message `mesh.v1.WorkflowDefinition`, whether it is
//! written in YAML or in JSON. Mistakes of form (unknown keys, wrong types) are found against the
//! message's own descriptor, mistakes of meaning by [`crate::plan`]; both are told together, each
//! with its file, line and column.
//!
//! Never here: runs, I/O.

mod canonical;
mod duration;
mod form;
mod json;
mod read;
mod schema;

pub use canonical::{canonical, digest, digest_of};
pub(crate) use duration::of_proto;
pub use duration::{parse_duration, show_duration};
pub use json::{from_json, struct_to_json, to_json, value_to_json};
pub use read::{Definition, Known, parse, validate};
pub use schema::schema;

use prost_reflect::{DescriptorPool, MessageDescriptor};
use std::sync::OnceLock;

/// The descriptor of `mesh.v1.WorkflowDefinition`, or none when the contract does not hold it.
pub(crate) fn descriptor() -> Option<MessageDescriptor> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(mesh_proto::FILE_DESCRIPTOR_SET).ok())
        .as_ref()?
        .get_message_by_name("mesh.v1.WorkflowDefinition")
}
