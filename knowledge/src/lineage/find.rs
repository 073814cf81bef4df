//! Questions beyond a closure: a path, what several have in common, how two differ.

use std::collections::BTreeMap;

use super::{
    graph::{View, unpack},
    kinds::{EdgeKind, EdgeKinds, NodeKind, Toward},
    sweep::{Follow, Reached, closure},
};

/// One step of a path: the edge that was taken, and the older node that it leads to.
pub type Hop = (EdgeKind, u32);

/// A shortest way from a node to an older one, along edges of these kinds; nothing when there is none.
///
/// **Cost**: the nodes between the two that lie above both in causal order; a way to `older` never passes a node
/// that is older still.
pub fn path(view: &View, newer: u32, older: u32, kinds: EdgeKinds) -> Option<Vec<Hop>> {
    if !view.has(newer) || !view.has(older) || older > newer {
        return None;
    }
    let mut seen = closure(view, &[newer], Follow { depth: Some(0), ..Follow::all(Toward::Older) });
    // Where each node was come from: its place in the queue, and the edge.
    let mut queue: Vec<(u32, usize, Option<EdgeKind>)> = vec![(newer, 0, None)];
    let mut next = 0;
    while let Some((node, ..)) = queue.get(next).copied() {
        if node == older {
            return Some(walked(&queue, next));
        }
        let from = next;
        next += 1;
        view.packed(node, Toward::Older, |packed| {
            let (kind, other) = unpack(packed);
            let Some(kind) = kind else { return };
            if other >= older && kinds.has_number(u32::from(kind.number())) && view.has(other) && seen.add(other) {
                queue.push((other, from, Some(kind)));
            }
        });
    }
    None
}

fn walked(queue: &[(u32, usize, Option<EdgeKind>)], end: usize) -> Vec<Hop> {
    let mut hops = Vec::new();
    let mut at = end;
    while let Some((node, from, Some(kind))) = queue.get(at).copied() {
        hops.push((kind, node));
        at = from;
    }
    hops.reverse();
    hops
}

/// What all of some nodes come from, or nothing when there are none.
pub fn common(view: &View, nodes: &[u32], kinds: EdgeKinds) -> Option<Reached> {
    let follow = Follow { kinds, ..Follow::all(Toward::Older) };
    let (first, rest) = nodes.split_first()?;
    let mut common = closure(view, &[*first], follow);
    for node in rest {
        common.keep(&closure(view, &[*node], follow));
    }
    Some(common)
}

/// How what came of, or led to, two nodes differs: what only the first has, and what only the second has.
pub fn differ(view: &View, one: u32, two: u32, follow: Follow) -> (Reached, Reached) {
    let mut only_one = closure(view, &[one], follow);
    let both = closure(view, &[two], follow);
    only_one.remove(&both);
    let mut only_two = both;
    only_two.remove(&closure(view, &[one], follow));
    (only_one, only_two)
}

/// How many nodes of each kind there are among these.
pub fn by_kind(view: &View, reached: &Reached) -> BTreeMap<NodeKind, u64> {
    let mut counts = BTreeMap::new();
    for kind in reached.oldest_first(None).filter_map(|node| view.kind(node)) {
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// What things are made with and not of: it explains little, and is there for everything alike.
const TOOLS: &[NodeKind] = &[
    NodeKind::Skill,
    NodeKind::Workflow,
    NodeKind::Policy,
    NodeKind::Model,
    NodeKind::Agent,
    NodeKind::Template,
    NodeKind::Project,
    NodeKind::Tenant,
    NodeKind::Principal,
];

/// The decisive chain of a node: its latest cause, the latest cause of that, and so on to whoever wanted it. What it
/// is only a part of comes after what it was made from, and what things are made with is passed over.
///
/// **Cost**: at most `hops_max` nodes and their edges.
pub fn chain(view: &View, node: u32, kinds: EdgeKinds, hops_max: usize) -> Vec<u32> {
    let mut hops = Vec::new();
    let mut at = node;
    while hops.len() < hops_max {
        let (mut cause, mut whole, mut person) = (None, None, None);
        for (kind, older) in view.edges_of(at, Toward::Older) {
            if !kinds.has_number(u32::from(kind.number())) {
                continue;
            }
            match view.kind(older) {
                Some(NodeKind::Principal) => person = person.max(Some(older)),
                Some(tool) if TOOLS.contains(&tool) => {}
                _ if kind == EdgeKind::PartOf => whole = whole.max(Some(older)),
                _ => cause = cause.max(Some(older)),
            }
        }
        let Some(next) = cause.or(whole).or(person) else { break };
        hops.push(next);
        at = next;
    }
    hops
}
