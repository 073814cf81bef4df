//! What may happen to approvals.

pub mod approval;
