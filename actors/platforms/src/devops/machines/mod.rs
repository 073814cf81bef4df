//! What may happen to repositories.

pub mod repository;
