//! The platforms.
