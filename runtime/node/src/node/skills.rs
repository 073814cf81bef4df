//! The skills that this node has.

use std::sync::Arc;

use anyhow::Result;
use mesh_platforms::runtime_cloud::WorkloadsPort;
use mesh_skills::{
    contract::Registry,
    hosts::mcp::{McpServers, Settings},
    native::{self, Needs, Workshop},
};

use crate::config::Config;

/// Every native skill, and the workshop that those which make products share.
///
/// # Errors
/// When two skills share a name, or a schema of theirs is none.
pub fn native_skills(config: &Config, workloads: Arc<WorkloadsPort>) -> Result<(Registry, Arc<Workshop>)> {
    let workshop = Workshop::new(Needs {
        // Absolute, for it reaches programs that run in other folders.
        data: std::path::absolute(&config.data)?,
        seeds: config.builds.seed_dir.clone(),
        build_time_max: config.builds.time_max,
        build_memory_max: config.builds.memory_bytes_max,
        workloads,
    });
    Ok((Registry::new(native::with_workshop(&workshop))?, workshop))
}

/// The MCP servers that tenants may register.
pub fn mcp_servers(config: &Config) -> McpServers {
    McpServers::new(Settings {
        commands: config.mcp.commands.clone(),
        hosts: config.mcp.hosts.clone(),
        memory_max: config.mcp.memory_bytes_max,
        idle: config.mcp.idle_max,
        variable: |name| std::env::var(name).ok(),
    })
}
