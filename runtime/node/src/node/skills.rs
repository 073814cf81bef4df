//! The skills that this node has.

use std::sync::Arc;

use anyhow::Result;
use mesh_platforms::runtime_cloud::WorkloadsPort;
use mesh_skills::{contract::Registry, native};

use crate::config::Config;

/// Every native skill, with what each needs.
///
/// # Errors
/// When two skills share a name, or a schema of theirs is none.
pub fn native_skills(config: &Config, workloads: Arc<WorkloadsPort>) -> Result<Registry> {
    Ok(Registry::new(native::skills(native::Needs {
        data: config.data.clone(),
        seeds: config.builds.seed_dir.clone(),
        build_time_max: config.builds.time_max,
        build_memory_max: config.builds.memory_bytes_max,
        workloads,
    }))?)
}
