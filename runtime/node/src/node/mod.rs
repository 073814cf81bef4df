//! The composition root: everything that exists, put together in one place.

pub mod clock;
pub mod policy;
