//! The form of definitions: the protobuf message, its YAML and JSON, its schema and its digest.
//!
//! A definition is read into the protobuf message `mesh.v1.WorkflowDefinition`, whether it is
//! written in YAML or in JSON. Mistakes of form (unknown keys, wrong types) are found against the
//! message's own descriptor, so the contract alone says what a definition can hold.
//!
//! Never here: what a definition means.

mod canonical;
mod duration;
mod json;
mod read;
mod schema;
mod walk;

pub use canonical::{canonical, digest, digest_of};
pub(crate) use duration::of_proto;
pub use json::{from_json, to_json};
pub use mesh_proto::json::{struct_to_json, to_struct, to_value, value_to_json};
pub use mesh_skills::yaml::{parse_duration, show_duration};
pub(crate) use read::{in_file, read};
pub use schema::schema;

use prost_reflect::{DescriptorPool, MessageDescriptor};
use std::sync::OnceLock;

/// The descriptor of `mesh.v1.WorkflowDefinition`, or none when the contract does not hold it.
fn descriptor() -> Option<MessageDescriptor> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(mesh_proto::FILE_DESCRIPTOR_SET).ok())
        .as_ref()?
        .get_message_by_name("mesh.v1.WorkflowDefinition")
}
