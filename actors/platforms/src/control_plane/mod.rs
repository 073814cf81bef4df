//! Control Plane: tenants and blueprints; it decides *what* shall be made.
//!
//! **For**: a tenant has a name, a state and the keys that prove who calls; a blueprint has numbered
//! versions, each named by the digest of its content, and knows the latest run that makes it.
//!
//! **Owns** `control-plane/tenant` (the tenant's slug is its id, in its own tenant) and
//! `control-plane/blueprint` (the blueprint's name is its id). Definitions and runs are Control Plane
//! entities too; they live in the crate of workflows.
//!
//! **Never** does it build, render or start anything: it asks for a run and hears how it ended. A
//! key's secret never reaches it, only its hash.

mod error;
pub mod machines;
pub mod messages;
pub mod reactions;

pub use error::{BlueprintError, TenantError};
pub use messages::{BlueprintCommand, KeyId, TenantCommand};

use mesh_kernel::{entity::Decider, envelope::Kind};

/// The kind of a tenant's address.
pub const TENANT: Kind = machines::tenant::TenantMachine::KIND;
/// The kind of a blueprint's address.
pub const BLUEPRINT: Kind = machines::blueprint::BlueprintMachine::KIND;
