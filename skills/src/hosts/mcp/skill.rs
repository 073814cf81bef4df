//! A registered skill that is a tool of an MCP server.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use serde_json::Value;

use super::McpServers;
use crate::contract::{Call, Failure, Manifest, McpTool, Skill};

/// A skill that is done by the server whose tool it is.
pub struct McpSkill {
    manifest: Arc<Manifest>,
    tool: Box<McpTool>,
    servers: McpServers,
}

impl McpSkill {
    /// The skill of this manifest; none when it is no tool of a server.
    pub fn new(manifest: Arc<Manifest>, servers: McpServers) -> Option<Self> {
        let tool = manifest.mcp.clone()?;
        Some(Self { manifest, tool, servers })
    }
}

impl Skill for McpSkill {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let ready = async {
                let link = self.servers.link(call.tenant(), &self.tool.server).await?;
                let listing = link.listing().await?;
                listing.check(&self.manifest.name, &self.tool)?;
                if listing.pin != self.tool.list_pin {
                    call.log.note("the server lists other tools than when this one was registered");
                }
                Ok(link)
            };
            let link = call.unless_cancelled(ready).await?;
            link.call(&self.tool, call).await
        })
    }
}
