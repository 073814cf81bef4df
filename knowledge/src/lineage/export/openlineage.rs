//! OpenLineage 2-0-2: a start and an end for each activity, with what went in and what came out.
//!
//! What came of something without an activity that we know gets a run of its own, so no edge is lost; all edges stand
//! in a facet of ours.
//!
//! **Source**: <https://openlineage.io/spec/2-0-2/OpenLineage.json>

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Class, EdgeKind, Node, Shown, class, time};

const PRODUCER: &str = "urn:agent-mesh:lineage";
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const FACET: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunFacet";
const DATASET_FACET: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetFacet";
const NAMESPACE: &str = "agent-mesh";

#[derive(Default)]
struct Group {
    inputs: Vec<u32>,
    outputs: Vec<u32>,
    edges: Vec<Value>,
}

pub(super) fn text(shown: &Shown<'_>) -> String {
    let mut maker: BTreeMap<u32, u32> = BTreeMap::new();
    let is = |node: u32, wanted: Class| class(shown.node(node).kind) == wanted;
    for (kind, newer, older) in shown.edges() {
        if kind == EdgeKind::ProducedBy && is(newer, Class::Entity) && is(older, Class::Activity) {
            // The call rather than its step: the newest maker is the nearest.
            let known = maker.entry(newer).or_insert(older);
            *known = older.max(*known);
        }
    }
    let mut groups: BTreeMap<u32, Group> = BTreeMap::new();
    for node in shown.nodes().filter(|node| class(node.kind) == Class::Activity) {
        groups.entry(node.number).or_default();
    }
    for (kind, newer, older) in shown.edges() {
        let group = groups.entry(maker.get(&newer).copied().unwrap_or(newer)).or_default();
        let (from, to) = kind.reads(newer, older);
        group.edges.push(json!({ "kind": kind.name(), "from": shown.node(from).name, "to": shown.node(to).name }));
        if is(older, Class::Entity) && !group.inputs.contains(&older) {
            group.inputs.push(older);
        }
        if is(newer, Class::Entity) && !group.outputs.contains(&newer) {
            group.outputs.push(newer);
        }
    }
    let mut lines = String::new();
    for (node, group) in groups {
        for state in ["START", "COMPLETE"] {
            lines.push_str(&event(shown, &shown.node(node), &group, state).to_string());
            lines.push('\n');
        }
    }
    lines
}

fn event(shown: &Shown<'_>, node: &Node<'_>, group: &Group, state: &str) -> Value {
    let datasets = |nodes: &[u32]| -> Vec<Value> { nodes.iter().map(|node| dataset(&shown.node(*node))).collect() };
    json!({
        "eventType": state,
        "eventTime": time(node.known),
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": { "runId": uuid(node.name), "facets": { "mesh_lineage": {
            "_producer": PRODUCER, "_schemaURL": FACET, "name": node.name, "kind": node.kind.name(),
            "label": node.label, "position": node.known.position, "edges": group.edges,
            "tokens": node.spent.tokens, "costMicros": node.spent.cost, "tookMs": node.spent.took_ms,
        } } },
        "job": { "namespace": NAMESPACE, "name": format!("{}/{}", node.kind, job(node)) },
        "inputs": datasets(&group.inputs),
        "outputs": datasets(&group.outputs),
    })
}

/// Runs of one job are called alike: what a run, a step or a call is one of stands in its label.
fn job<'n>(node: &Node<'n>) -> &'n str {
    if node.label.is_empty() { node.name } else { node.label }
}

fn dataset(node: &Node<'_>) -> Value {
    json!({ "namespace": NAMESPACE, "name": node.name, "facets": { "mesh_node": {
        "_producer": PRODUCER, "_schemaURL": DATASET_FACET,
        "kind": node.kind.name(), "label": node.label, "position": node.known.position,
    } } })
}

/// The same for the same name: a hash, in the form that is for such (version 8 of RFC 9562).
fn uuid(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let number = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let number = number & !(0xF << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
