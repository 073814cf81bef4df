//! The public contract of Agent Mesh: `mesh/v1/*.proto` and its generated types.
//!
//! Nothing here knows an actor, a journal or a listener. The `.proto` files are the documentation;
//! the generated Rust is what `tonic-prost-build` makes of them.

/// The types and services of package `mesh.v1`.
#[expect(
    missing_docs,
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "generated code; the .proto files carry the documentation"
)]
pub mod v1 {
    tonic::include_proto!("mesh.v1");
}

/// The encoded `FileDescriptorSet` of the whole contract, for reflection and for JSON Schema.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mesh_v1.bin"));
