//! What may happen to tenants and to blueprints.

pub mod blueprint;
pub mod tenant;
