//! The public contract of Agent Mesh: `mesh/v1/*.proto` and its generated types.
//!
//! Nothing here knows an actor, a journal or a listener. The `.proto` files are the documentation;
//! the generated Rust is what `tonic-prost-build` makes of them.

pub mod json;

/// Generated code in the nesting of its packages, which its paths to each other need.
#[expect(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code; the .proto files carry the documentation"
)]
mod generated {
    pub(crate) mod google {
        pub mod rpc {
            tonic::include_proto!("google.rpc");
        }
    }
    pub(crate) mod opentelemetry {
        pub mod proto {
            pub mod common {
                pub mod v1 {
                    tonic::include_proto!("opentelemetry.proto.common.v1");
                }
            }
            pub mod resource {
                pub mod v1 {
                    tonic::include_proto!("opentelemetry.proto.resource.v1");
                }
            }
            pub mod trace {
                pub mod v1 {
                    tonic::include_proto!("opentelemetry.proto.trace.v1");
                }
            }
            pub mod collector {
                pub mod trace {
                    pub mod v1 {
                        tonic::include_proto!("opentelemetry.proto.collector.trace.v1");
                    }
                }
            }
        }
    }
    pub(crate) mod mesh {
        pub mod v1 {
            tonic::include_proto!("mesh.v1");
        }
    }
}

/// The error model and details that statuses carry.
pub use generated::google::rpc;
/// The types and services of package `mesh.v1`.
pub use generated::mesh::v1;
/// OTLP: the form in which traces are told to a collector. Not a part of our contract.
pub use generated::opentelemetry::proto as otlp;

/// The encoded `FileDescriptorSet` of the whole contract, for reflection and for JSON Schema.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mesh_v1.bin"));
