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

/// Kinds of what people begin with, the most telling first.
const ORIGINS: &[NodeKind] = &[
    NodeKind::RuntimeSignal,
    NodeKind::FeedbackItem,
    NodeKind::Blueprint,
    NodeKind::Run,
    NodeKind::Prompt,
    NodeKind::Document,
];

/// Where a closure toward causes begins: its oldest node of the most telling kind, or else its oldest of all.
pub fn origin(view: &View, reached: &Reached, of: u32) -> Option<u32> {
    let mut found: [Option<u32>; 6] = [None; 6];
    for node in reached.oldest_first(None).filter(|node| *node != of) {
        let Some(kind) = view.kind(node) else { continue };
        if let Some(place) = ORIGINS.iter().position(|origin| *origin == kind).and_then(|at| found.get_mut(at)) {
            place.get_or_insert(node);
        }
    }
    let any = || reached.oldest_first(None).find(|node| *node != of);
    found.into_iter().flatten().next().or_else(any)
}
