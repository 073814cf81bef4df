//! The gRPC gateway: the services of `mesh/v1` on the kernel's path and the read models.

pub mod lists;
