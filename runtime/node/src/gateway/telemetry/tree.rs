//! The actor tree: from the kernel's lines to a tree, as one tenant or an operator may see it.

use std::collections::BTreeMap;

use mesh_kernel::{
    envelope::TenantId,
    telemetry::{ActorInfo, ActorKind},
};
use mesh_proto::v1::{ActorNode, ActorTreeView, SkillWorker};
use mesh_skills::hosts::worker::WorkerSeen;

use crate::gateway::convert::time;

/// Levels of supervisors at most; a line whose parents go deeper is not shown.
const DEPTH_MAX: usize = 16;

/// Builds the tree. Entities of other tenants are counted and not named, unless `sees_all`.
pub(super) fn build(
    lines: &[ActorInfo],
    tenant: &TenantId,
    sees_all: bool,
    view: ActorTreeView,
    supervisors_only: bool,
) -> ActorNode {
    let shown = |line: &ActorInfo| sees_all || line.tenant.as_ref().is_none_or(|of| of == tenant);
    match view {
        ActorTreeView::Tenant => by_tenant(lines, shown, supervisors_only),
        ActorTreeView::Unspecified | ActorTreeView::Supervision => {
            let mut children: BTreeMap<Option<&str>, Vec<&ActorInfo>> = BTreeMap::new();
            for line in lines {
                children.entry(line.parent.as_deref()).or_default().push(line);
            }
            let nested = Nested { children, shown, supervisors_only };
            nested.roots()
        }
    }
}

struct Nested<'a, F> {
    children: BTreeMap<Option<&'a str>, Vec<&'a ActorInfo>>,
    shown: F,
    supervisors_only: bool,
}

impl<F: Fn(&ActorInfo) -> bool> Nested<'_, F> {
    fn roots(&self) -> ActorNode {
        let roots = self.children.get(&None).map(Vec::as_slice).unwrap_or_default();
        match roots {
            [root] => self.node(root, 0),
            roots => {
                let children: Vec<_> = roots.iter().map(|root| self.node(root, 1)).collect();
                ActorNode {
                    name: "node".to_owned(),
                    kind: "node".to_owned(),
                    state: "live".to_owned(),
                    awake: children.iter().map(|child| child.awake).sum(),
                    children,
                    ..Default::default()
                }
            }
        }
    }

    fn node(&self, line: &ActorInfo, depth: usize) -> ActorNode {
        let mut node = leaf(line);
        let below = self.children.get(&Some(line.name.as_str())).map(Vec::as_slice).unwrap_or_default();
        for child in below.iter().filter(|_| depth < DEPTH_MAX) {
            let entity = child.kind == ActorKind::Entity;
            if entity {
                node.awake += 1;
            }
            if entity && (self.supervisors_only || !(self.shown)(child)) {
                continue;
            }
            let child = self.node(child, depth + 1);
            if !entity {
                node.awake += child.awake;
            }
            node.children.push(child);
        }
        node
    }
}

fn by_tenant(lines: &[ActorInfo], shown: impl Fn(&ActorInfo) -> bool, supervisors_only: bool) -> ActorNode {
    let mut tenants: BTreeMap<&TenantId, ActorNode> = BTreeMap::new();
    let mut root = lines.iter().find(|line| line.parent.is_none()).map(leaf).unwrap_or_default();
    for line in lines.iter().filter(|line| line.kind == ActorKind::Entity) {
        root.awake += 1;
        let Some(tenant) = line.tenant.as_ref().filter(|_| shown(line)) else { continue };
        let node = tenants.entry(tenant).or_insert_with(|| ActorNode {
            name: tenant.as_str().to_owned(),
            kind: "tenant".to_owned(),
            ..Default::default()
        });
        let entity = leaf(line);
        node.awake += 1;
        node.mailbox_depth += entity.mailbox_depth;
        node.mailbox_bytes += entity.mailbox_bytes;
        node.handled += entity.handled;
        node.failed += entity.failed;
        if !supervisors_only {
            node.children.push(entity);
        }
    }
    root.children = tenants.into_values().collect();
    root
}

fn leaf(line: &ActorInfo) -> ActorNode {
    ActorNode {
        name: line.name.clone(),
        kind: kind(line.kind).to_owned(),
        state: line.state.as_str().to_owned(),
        incarnation: line.incarnation,
        restarts: line.restarts,
        mailbox_depth: line.depth as u64,
        mailbox_bytes: line.bytes as u64,
        oldest_age: line.oldest_age.and_then(time::duration),
        handled: line.handled,
        failed: line.failed,
        handle_p50: time::duration(line.handle_p50),
        handle_p99: time::duration(line.handle_p99),
        last_error: line.last_error.as_deref().unwrap_or_default().to_owned(),
        awake: 0,
        children: Vec::new(),
        worker: None,
    }
}

/// The workers that are connected, under one node; none when there are none.
pub(super) fn workers(seen: &[WorkerSeen], supervisors_only: bool) -> Option<ActorNode> {
    let shown = seen.iter().filter(|_| !supervisors_only);
    (!seen.is_empty()).then(|| ActorNode {
        name: "workers".to_owned(),
        kind: "workers".to_owned(),
        state: "live".to_owned(),
        awake: seen.len() as u64,
        children: shown.map(worker).collect(),
        ..Default::default()
    })
}

fn worker(seen: &WorkerSeen) -> ActorNode {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    ActorNode {
        name: format!("{}/{}", seen.tenant, seen.worker),
        kind: "worker".to_owned(),
        state: if seen.is_draining { "draining" } else { "live" }.to_owned(),
        worker: Some(SkillWorker {
            tenant: seen.tenant.to_string(),
            skills: seen.skills.iter().map(|(name, version)| format!("{name}@{version}")).collect(),
            leased: count(seen.leased),
            concurrency: count(seen.most),
            heard: time::duration(seen.heard),
            connected: time::duration(seen.connected),
        }),
        ..Default::default()
    }
}

fn kind(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::Node => "node",
        ActorKind::Plane => "plane",
        ActorKind::Platform => "platform",
        ActorKind::Shard => "shard",
        ActorKind::Service => "service",
        ActorKind::Entity => "entity",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_kernel::telemetry::ActorState;

    use super::*;

    fn line(name: &str, kind: ActorKind, parent: Option<&str>, tenant: Option<&str>) -> ActorInfo {
        ActorInfo {
            name: name.into(),
            kind,
            parent: parent.map(str::to_owned),
            tenant: tenant.map(|tenant| TenantId::parse(tenant).unwrap()),
            state: ActorState::Live,
            incarnation: 1,
            restarts: 0,
            depth: 2,
            bytes: 0,
            oldest_age: None,
            handled: 3,
            failed: 0,
            handle_p50: Duration::ZERO,
            handle_p99: Duration::ZERO,
            last_error: None,
        }
    }

    fn lines() -> Vec<ActorInfo> {
        vec![
            line("node", ActorKind::Node, None, None),
            line("control", ActorKind::Plane, Some("node"), None),
            line("control/control-plane", ActorKind::Platform, Some("control"), None),
            line("acme/control-plane/run/a", ActorKind::Entity, Some("control/control-plane"), Some("acme")),
            line("zeta/control-plane/run/b", ActorKind::Entity, Some("control/control-plane"), Some("zeta")),
        ]
    }

    fn names(node: &ActorNode, into: &mut Vec<String>) {
        into.push(node.name.clone());
        node.children.iter().for_each(|child| names(child, into));
    }

    fn seen(sees_all: bool, view: ActorTreeView, supervisors_only: bool) -> (Vec<String>, u64) {
        let root = build(&lines(), &TenantId::parse("acme").unwrap(), sees_all, view, supervisors_only);
        let mut all = Vec::new();
        names(&root, &mut all);
        (all, root.awake)
    }

    #[test]
    fn a_tenant_sees_the_supervisors_and_its_own_entities_and_counts_the_others() {
        let (names, awake) = seen(false, ActorTreeView::Supervision, false);
        assert!(names.contains(&"acme/control-plane/run/a".to_owned()));
        assert!(!names.contains(&"zeta/control-plane/run/b".to_owned()), "{names:?}");
        assert_eq!((names.len(), awake), (4, 2));
        assert_eq!(seen(true, ActorTreeView::Supervision, false).0.len(), 5);
        assert_eq!(seen(true, ActorTreeView::Supervision, true).0.len(), 3);
    }

    #[test]
    fn by_tenant_another_tenant_is_not_even_named() {
        let (names, awake) = seen(false, ActorTreeView::Tenant, false);
        assert_eq!(names, ["node", "acme", "acme/control-plane/run/a"]);
        assert_eq!(awake, 2);
        assert_eq!(seen(true, ActorTreeView::Tenant, true).0, ["node", "acme", "zeta"]);
    }
}
