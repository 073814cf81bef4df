//! What may happen to approvals, and what the audit keeps.

pub mod approval;
pub mod audit;
