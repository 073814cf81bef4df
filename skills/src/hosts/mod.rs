//! Where the code of skills runs that are not native: each host is a way to call what somebody registered.

#[cfg(test)]
mod conformance;
pub mod instructions;
pub mod mcp;
pub mod worker;
