//! What may happen to workloads.

pub mod workload;
