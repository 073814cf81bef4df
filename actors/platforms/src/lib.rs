//! The platforms: rooms of deciders, reactions and effects.
//!
//! Each room has the same files, so whoever has read one has read all: `mod.rs` says what the room
//! is for, `messages.rs` what it is told and announces, `machines/` what may happen (pure),
//! `reactions.rs` what it does because of others' events, `effects.rs` what it does in the outside
//! world, `config.rs` what can be set, `error.rs` what it refuses.
//!
//! INVARIANT: no room names another one. They meet in events, read by type name and JSON.

pub mod agent_mesh;
pub mod control_plane;
mod delivery;
pub mod devops;
pub mod governance;
pub mod knowledge;
pub mod product;
pub mod runtime_cloud;
pub mod templates;

#[cfg(test)]
mod table;

use std::sync::Arc;

use mesh_kernel::{entity::Kinds, follow::Reactor};

/// Adds every kind of entity that the rooms own.
pub fn kinds(kinds: Kinds) -> Kinds {
    kinds
        .with(control_plane::machines::tenant::TenantMachine)
        .with(control_plane::machines::blueprint::BlueprintMachine)
        .with(governance::machines::approval::ApprovalMachine::default())
        .with(governance::machines::audit::AuditMachine)
        .with(devops::machines::repository::RepositoryMachine)
        .with(runtime_cloud::machines::workload::WorkloadMachine::default())
        .with(product::machines::product::ProductMachine)
        .with(knowledge::machines::collection::CollectionMachine::default())
        .with(knowledge::machines::package::PackageMachine)
}

/// The reactors of the rooms, each with the platform under which it runs.
pub fn reactors() -> Vec<(&'static str, Arc<dyn Reactor>)> {
    let mut reactors: Vec<(&'static str, Arc<dyn Reactor>)> = vec![
        ("agent-mesh", Arc::new(agent_mesh::reactions::Reactions)),
        ("governance", Arc::new(governance::reactions::Reactions)),
        ("devops", Arc::new(devops::reactions::Reactions)),
        ("runtime-cloud", Arc::new(runtime_cloud::reactions::Reactions)),
        ("product", Arc::new(product::reactions::Reactions)),
    ];
    match control_plane::reactions::Reactions::shipped() {
        Ok(control_plane) => reactors.push(("control-plane", Arc::new(control_plane))),
        // The text is a part of the binary and a test reads it, so this says that the test was not run.
        Err(mistakes) => tracing::error!(?mistakes, "the shipped definition cannot be read: no products are made"),
    }
    reactors
}

/// The five planes and the tokens of their platforms, as the tree of supervisors shows them.
///
/// A platform without entities yet stands in the tree all the same: it is part of the map.
pub fn planes() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        ("experience", &["studio"]),
        ("control", &["control-plane"]),
        ("work", &["agent-mesh", "knowledge", "templates", "marketplace"]),
        ("delivery-runtime", &["devops", "runtime-cloud", "product"]),
        ("cross-cutting", &["observability", "governance", "integration"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_that_reacts_is_wired_under_its_own_platform() {
        let platforms: Vec<&str> = planes().iter().flat_map(|(_, names)| *names).copied().collect();
        let reactors = reactors();
        assert_eq!(reactors.len(), 6);
        for (platform, reactor) in reactors {
            assert!(platforms.contains(&platform), "{platform} is on no plane");
            assert_eq!(reactor.name(), platform);
        }
    }

    #[test]
    fn every_kind_belongs_to_a_platform_of_the_map() {
        let platforms: Vec<&str> = planes().iter().flat_map(|(_, names)| *names).copied().collect();
        assert_eq!((planes().len(), platforms.len()), (5, 12));
        for kind in kinds(Kinds::default()).all() {
            assert!(platforms.contains(&kind.platform), "{kind} is on no plane");
        }
    }
}
