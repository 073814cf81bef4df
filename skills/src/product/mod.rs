//! What it takes to make a product on this machine: where its files lie, git, cargo, the dependency
//! seed, and the running process. The native skills are thin callers of these.
//!
//! Never here: schemas of skills, or any knowledge of what a blueprint means.

pub mod cargo;
pub mod git;
pub mod http;
pub mod layout;
pub mod process;
pub mod runner;
pub mod seed;
pub mod toolchain;
pub mod tree;
