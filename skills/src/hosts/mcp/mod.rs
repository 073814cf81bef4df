//! MCP servers: their tools as skills, spoken to over standard input and output or over streamable HTTP.
//!
//! A tool is pinned when it is registered: by the server's identity and by everything that the server says of it.
//! Before each call what the server lists now is compared with the pin; a tool that has changed is refused until
//! somebody has registered it again. There is one connection for each tenant and server, made on first use and
//! closed when nobody has used it for a while; no two tenants ever share one.
//!
//! Never here: what a tenant has registered ([`crate::catalogue`]), and who may register.
//!
//! INVARIANT: a program is started, and a host is spoken to, only when the operator has named it ([`Settings`]).

mod declare;
mod greet;
mod host;
mod http;
mod link;
mod listing;
mod order;
mod output;
mod process;
mod reach;
mod skill;

pub use host::McpServers;
pub use reach::Settings;
pub use skill::McpSkill;

#[cfg(test)]
pub(super) mod tests;
