//! The skills that this node has.

use std::sync::Arc;

use anyhow::Result;
use mesh_kernel::ports::Clock;
use mesh_platforms::runtime_cloud::WorkloadsPort;
use mesh_skills::{
    contract::{Contexts, Rate, Registry},
    hosts::mcp::{McpServers, Settings},
    native::{self, Needs, Workshop},
    pools::{self, Breaking, Pools},
};

use crate::config::Config;

/// Every native skill, and the workshop that those which make products share.
///
/// # Errors
/// When two skills share a name, or a schema of theirs is none.
pub fn native_skills(
    config: &Config,
    workloads: Arc<WorkloadsPort>,
    contexts: Arc<dyn Contexts>,
) -> Result<(Registry, Arc<Workshop>)> {
    let workshop = Workshop::new(Needs {
        // Absolute, for it reaches programs that run in other folders.
        data: std::path::absolute(&config.data)?,
        seeds: config.builds.seed_dir.clone(),
        build_time_max: config.builds.time_max,
        build_memory_max: config.builds.memory_bytes_max,
        workloads,
    });
    let mut skills = native::with_workshop(&workshop);
    skills.extend(native::of_knowledge(&contexts));
    Ok((Registry::new(skills)?, workshop))
}

/// How often tenants may call skills, and when a skill is not called for a while.
pub fn pools(config: &Config, clock: Arc<dyn Clock>) -> Pools {
    let set = &config.skills;
    let rate = |calls: u64| u32::try_from(calls).ok().filter(|calls| *calls > 0).map(Rate::per_minute);
    let settings = pools::Settings {
        tenant: rate(set.tenant_calls_per_minute),
        host: rate(set.host_calls_per_minute),
        breaking: Breaking {
            failures: u32::try_from(set.breaker_failures).unwrap_or(u32::MAX),
            wait: set.breaker_wait,
            wait_max: set.breaker_wait_max,
        },
    };
    Pools::new(clock, settings)
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
