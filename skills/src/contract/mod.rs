//! The skill contract: what every capability says of itself, how it is called, how it fails.
//!
//! A skill is native Rust, or stands with another host (a worker, an MCP server) behind the same trait. Whoever calls
//! one goes through [`crate::perform`], which checks schemas, times it, catches its panics and keeps its log.
//!
//! Never here: how a run retries or what a step means; that is the workflow's business.

mod blame;
mod check;
mod contexts;
mod exchange;
mod failure;
mod instructions;
mod manifest;
mod mcp;
mod rate;
mod reach;
mod registry;
mod skill;
#[cfg(test)]
pub(crate) mod testing;
mod typed;
mod workloads;

pub use blame::Blame;
pub use contexts::{ContextAsk, ContextGiven, ContextPiece, Contexts};
pub use exchange::{HANDLER, OUTCOME_COMMAND, SkillCall, SkillOutcome, SkillResult};
pub use failure::{DETAILS_BYTES_MAX, Failure, FailureClass, MESSAGE_BYTES_MAX, NoFailureClass};
pub use instructions::Instructions;
pub use manifest::{Effect, Example, Gives, Manifest, Permission, holds};
pub use mcp::{McpDeclaration, McpServer, McpTerms, McpTool, McpTransport};
pub use rate::Rate;
pub use reach::{Accepts, Ceiling, FailureCode, FileScope, Resources, Returns};
pub use registry::{Registered, Registry, RegistryError, check_manifest, unknown};
pub use skill::{Call, Skill};
pub use typed::{given, taken, typed};
pub use workloads::{ANY_PORT, WorkloadSpec, WorkloadState, WorkloadStatus, Workloads};

pub use crate::logs::LogRef;
