//! An MCP server, as somebody registers it.

use mesh_kernel::envelope::Refusal;
use mesh_proto::v1::{self, mcp_server::Transport};
use mesh_skills::contract::{McpDeclaration, McpServer, McpTerms, McpTransport};

use super::{
    skill::{accepts, ceiling, effect, permissions},
    time::of_message,
};
use crate::gateway::status::refused_field;

/// Longest of what is said of the way to a server. **Units**: bytes.
const REACH_BYTES_MAX: usize = 16 * 1024;

/// What somebody registers; `at` names the field that holds it.
///
/// # Errors
/// Names the field that says what cannot be.
pub(in crate::gateway) fn declaration(server: v1::McpServer, at: &str) -> Result<McpDeclaration, Refusal> {
    let transport = match server.transport {
        Some(Transport::Stdio(v1::McpStdio { command, args, env })) => {
            McpTransport::Stdio { command, args, env: env.into_iter().collect() }
        }
        Some(Transport::Http(v1::McpHttp { url, headers })) => {
            McpTransport::Http { url, headers: headers.into_iter().collect() }
        }
        None => return Err(refused_field(&format!("{at}.transport"), "say `stdio` or `http`: how it is reached")),
    };
    if serde_json::to_string(&transport).is_ok_and(|text| text.len() > REACH_BYTES_MAX) {
        let what = format!("at most {REACH_BYTES_MAX} bytes are taken");
        return Err(refused_field(&format!("{at}.transport"), what));
    }
    let defaults = terms(server.defaults.unwrap_or_default(), &format!("{at}.defaults"))?;
    let tool = |(name, said)| {
        let said = terms(said, &format!("{at}.tools[{name}]"))?;
        Ok((name, said))
    };
    Ok(McpDeclaration {
        server: McpServer { name: server.name, transport },
        version: server.version,
        defaults,
        tools: server.tools.into_iter().map(tool).collect::<Result<_, Refusal>>()?,
        pin: Some(server.pin).filter(|pin| !pin.is_empty()),
    })
}

fn terms(said: v1::McpTerms, at: &str) -> Result<McpTerms, Refusal> {
    let timeout = said.timeout.map(|timeout| {
        let given = of_message(timeout).filter(|given| !given.is_zero());
        let what = || format!("`{}s` is no time that a call can take", timeout.seconds);
        given.ok_or_else(|| refused_field(&format!("{at}.timeout"), what()))
    });
    let needed = permissions(&said.permissions, &format!("{at}.permissions"))?;
    Ok(McpTerms {
        effect: effect(said.effect()),
        timeout: timeout.transpose()?,
        permissions: Some(needed).filter(|needed| !needed.is_empty()),
        ceiling: ceiling(said.ceiling()),
        accepts: accepts(said.accepts()),
        called: Some(said.called).filter(|name| !name.is_empty()),
        category: Some(said.category).filter(|name| !name.is_empty()),
    })
}
