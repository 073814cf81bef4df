//! The skill contract, the native skills, blueprints and rendering.

pub mod blueprint;
pub mod contract;
pub mod logs;
pub mod native;
pub mod perform;
pub mod product;
pub mod render;
pub mod yaml;
