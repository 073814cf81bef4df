//! From what the kernel, the entities and the lists say to what the contract says.

pub(super) mod envelope;
pub(super) mod json;
pub(super) mod mcp;
pub(super) mod mistake;
pub(super) mod product;
pub(super) mod run;
pub(super) mod run_row;
pub(super) mod skill;
pub(super) mod task;
pub(super) mod time;
pub(super) mod view;
