//! Lineage for other programs: W3C PROV-JSON, OpenLineage events, DOT and Mermaid.
//!
//! All of them hold our names and our edges' kinds as well, so what is exported can be taken back without a loss.

mod drawn;
mod openlineage;
mod prov;

use super::{
    EdgeKind, NodeKind,
    face::{Part, subgraph},
    graph::{Known, View},
    names::{Names, Spent},
    sweep::Reached,
};

/// Most nodes of one export.
pub const NODES_MAX: usize = 100_000;

/// A form of exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// W3C PROV-JSON.
    Prov,
    /// OpenLineage events, one a line.
    OpenLineage,
    /// Graphviz.
    Dot,
    /// Mermaid's flowchart.
    Mermaid,
}

impl Form {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 4] =
        [("prov", Self::Prov), ("openlineage", Self::OpenLineage), ("dot", Self::Dot), ("mermaid", Self::Mermaid)];

    /// The form that is called so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(each, _)| *each == name).map(|(_, form)| *form)
    }
}

/// Tells of the first of some nodes, from the oldest on, and how many were left out.
pub fn export(view: &View, names: &Names, reached: &Reached, form: Form, nodes_max: usize) -> (String, u64) {
    let part = subgraph(view, reached, nodes_max.min(NODES_MAX));
    let left_out = reached.len().saturating_sub(part.node_count()) as u64;
    let shown = Shown { view, names, part };
    let text = match form {
        Form::Prov => prov::text(&shown),
        Form::OpenLineage => openlineage::text(&shown),
        Form::Dot => drawn::dot(&shown),
        Form::Mermaid => drawn::mermaid(&shown),
    };
    (text, left_out)
}

/// What is exported.
struct Shown<'a> {
    view: &'a View,
    names: &'a Names,
    part: Part,
}

/// A node of it.
struct Node<'a> {
    number: u32,
    name: &'a str,
    label: &'a str,
    kind: NodeKind,
    known: Known,
    spent: Spent,
}

impl Shown<'_> {
    /// From the oldest on.
    fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.part.node_weights().map(|number| self.node(*number))
    }

    fn node(&self, number: u32) -> Node<'_> {
        Node {
            number,
            name: self.names.name(number),
            label: self.names.label(number),
            kind: self.view.kind(number).unwrap_or(NodeKind::Event),
            known: self.view.known(number),
            spent: self.names.spent(number),
        }
    }

    /// Kinds, and the newer and the older node.
    fn edges(&self) -> impl Iterator<Item = (EdgeKind, u32, u32)> {
        self.part.edge_indices().filter_map(|edge| {
            let (from, to) = self.part.edge_endpoints(edge)?;
            let (from, to) = (*self.part.node_weight(from)?, *self.part.node_weight(to)?);
            Some((*self.part.edge_weight(edge)?, from.max(to), from.min(to)))
        })
    }
}

/// How the provenance model sees a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Entity,
    Activity,
    Agent,
}

fn class(kind: NodeKind) -> Class {
    match kind {
        NodeKind::AgentTask
        | NodeKind::ModelInvocation
        | NodeKind::ToolInvocation
        | NodeKind::Run
        | NodeKind::Step
        | NodeKind::Pipeline
        | NodeKind::Approval => Class::Activity,
        NodeKind::Agent | NodeKind::Principal | NodeKind::Tenant => Class::Agent,
        _ => Class::Entity,
    }
}

fn time(known: Known) -> String {
    let nanos = i64::try_from(known.at).unwrap_or(0).saturating_mul(1_000_000);
    mesh_kernel::envelope::Timestamp::from_unix_nanos(nanos).to_string()
}
