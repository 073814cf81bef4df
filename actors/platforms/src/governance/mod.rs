//! Governance: who may say yes, to exactly what, and until when.
//!
//! **For**: work that must not go on without people. An approval is bound to the digest of what is
//! approved: whoever decides says which digest they saw, and another digest voids every vote.
//!
//! **Owns** `governance/approval` and `governance/audit`. A quorum of distinct people with the right role decides, never one
//! who asked for it or made it; one rejection is enough. When nobody decides in time it escalates,
//! and when nobody decides after that it expires, which the asker takes as a no.
//!
//! A command that a policy holds back waits in an approval as well: once it is granted it is asked to be
//! sent, through an effect, until what came of it is recorded. The audit keeps what callers were denied.
//!
//! **Never** does it do what was approved, and it never decides by itself that something may happen:
//! silence is a no.

pub mod config;
mod error;
pub mod machines;
pub mod messages;
pub mod reactions;

pub use config::Config;
pub use error::Error;
