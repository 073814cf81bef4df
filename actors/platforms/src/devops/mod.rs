//! DevOps & GitOps: what was committed, built and tested, and by which run.
//!
//! **For**: the record of a product's repository, so that "what is in this commit, and did it build
//! and pass?" is answered from facts.
//!
//! **Owns** `devops/repository` (the product's name is its id): its commits, builds and test results.
//! The objects themselves are git's; this holds their names.
//!
//! **Never** does it run git, cargo or a test: skills do, and their outcomes arrive here as facts
//! about a run.

mod error;
pub mod machines;
pub mod messages;
pub mod reactions;

pub use error::Error;
