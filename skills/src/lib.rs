//! The skill contract, its hosts, the native skills, what tenants register, models, blueprints and rendering.

pub mod blueprint;
pub mod catalogue;
pub mod contract;
pub mod differ;
pub mod hosts;
pub mod logs;
pub mod manifests;
pub mod models;
pub mod native;
pub mod perform;
pub mod pools;
pub mod product;
pub mod render;
pub mod rule;
pub mod yaml;
