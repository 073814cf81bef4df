//! Where the code of skills runs that are not native: each host is a way to call what somebody registered.

pub mod instructions;
pub mod worker;
