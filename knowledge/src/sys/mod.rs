//! The one room of this crate that needs `unsafe`: sums by the processor's wide registers, and mapped files.

pub(crate) mod map;
pub(crate) mod sums;
