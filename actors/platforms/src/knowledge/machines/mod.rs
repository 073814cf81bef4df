//! What may happen to collections and context packages.

pub mod collection;
pub mod package;
