//! What an event tells of a node, as it is mapped and as the log keeps it.

use serde::{Deserialize, Serialize};

use super::{
    kinds::{EdgeKind, NodeKind, Toward},
    names::Spent,
};

/// What stands before the name of a node in the name of what it gave.
pub const RESULT: &str = "result/";

/// A node as an event tells of it. Nodes are named and not numbered here: what one event tells is the same whatever
/// else is in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Its name, once in its tenant.
    pub name: String,
    /// What it is, by number.
    pub(super) kind: u8,
    /// What people read about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Spent::is_none")]
    pub spent: Spent,
    /// What it leads to: the edge's number, the other's kind and name. What has no node yet gets a bare one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) edges: Vec<(u8, u8, String)>,
    /// The same, only to what is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) known: Vec<(u8, String)>,
    /// What only the graph knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) through: Vec<Through>,
}

/// Edges that are found by looking at the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Through {
    /// To what the neighbours of a node gave.
    Results {
        /// The node.
        of: String,
        /// Whether its newer neighbours are looked at.
        is_newer: bool,
        /// Along which edges.
        along: u8,
        /// What the new edges say.
        link: u8,
    },
    /// To the last of `prefix1`, `prefix2` and so on.
    Last {
        /// What their names begin with.
        prefix: String,
        /// What the new edge says.
        link: u8,
    },
}

impl Fact {
    /// A node without edges.
    pub fn new(kind: NodeKind, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: kind.number(),
            label: String::new(),
            spent: Spent::default(),
            edges: Vec::new(),
            known: Vec::new(),
            through: Vec::new(),
        }
    }

    /// The same, with what people read about it.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same, with what it cost.
    #[must_use]
    pub fn costing(mut self, spent: Spent) -> Self {
        self.spent = spent;
        self
    }

    /// The same, with one more edge.
    #[must_use]
    pub fn edge(mut self, edge: EdgeKind, kind: NodeKind, name: impl Into<String>) -> Self {
        self.edges.push((edge.number(), kind.number(), name.into()));
        self
    }

    /// The same, with one more edge when its other end is there.
    #[must_use]
    pub fn edge_if_known(mut self, edge: EdgeKind, name: impl Into<String>) -> Self {
        self.known.push((edge.number(), name.into()));
        self
    }

    /// The same, with edges to what the neighbours of another node gave, as far as they have given it.
    #[must_use]
    pub fn results(mut self, of: impl Into<String>, toward: Toward, along: EdgeKind, link: EdgeKind) -> Self {
        let (along, link) = (along.number(), link.number());
        self.through.push(Through::Results { of: of.into(), is_newer: toward == Toward::Newer, along, link });
        self
    }

    /// The same, with an edge to the last of a numbered row.
    #[must_use]
    pub fn last(mut self, prefix: impl Into<String>, link: EdgeKind) -> Self {
        self.through.push(Through::Last { prefix: prefix.into(), link: link.number() });
        self
    }
}
