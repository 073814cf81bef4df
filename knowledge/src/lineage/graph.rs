//! The graph of one tenant: one writer that publishes a length, readers without locks.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
};

use arc_swap::ArcSwap;

use super::{
    bitmaps::Bitmaps,
    column::{Cell as _, Column, ColumnWriter, Table, range, value},
    incoming::{Incoming, Rows, Sealed, Tail},
    kinds::{EdgeKind, NodeKind, Toward},
};

/// How many nodes one tenant may have: the number and the edge's kind share 32 bits.
pub const NODES_MAX: u32 = 1 << 28;

/// How many edges one node may begin with.
pub const EDGES_A_NODE_MAX: usize = 1 << 14;

/// The bits of an edge that are the other node's number.
pub(super) const NODE: u32 = NODES_MAX - 1;

/// The tail is sealed when it is a tenth of all edges, and not before it is worth it.
const SEAL_FROM: u32 = 1 << 14;

/// Why a node was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// An edge does not lead from newer to older.
    #[error("an edge of node `{node}` leads to `{target}`, which is not older; put a node between them")]
    NotOlder {
        /// The node.
        node: u32,
        /// What it leads to.
        target: u32,
    },
    /// Too many edges at once.
    #[error("a node has `{0}` edges; at most {EDGES_A_NODE_MAX} are taken")]
    Edges(usize),
    /// The graph is full.
    #[error("the graph is full: one tenant has at most {NODES_MAX} nodes")]
    Full,
}

/// When a node became known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The journal position of the event that told of it.
    pub position: u64,
    /// When that happened. **Units**: milliseconds since 1970.
    pub at: u64,
}

/// The readers' side.
pub struct Graph {
    len: AtomicU32,
    kinds: Arc<Column<AtomicU8>>,
    positions: Arc<Column<AtomicU64>>,
    times: Arc<Column<AtomicU64>>,
    ends: Arc<Column<AtomicU32>>,
    out: Arc<Column<AtomicU32>>,
    incoming: ArcSwap<Incoming>,
    bitmaps: Arc<Bitmaps>,
}

impl Graph {
    /// The graph as it is now, which is how it stays for whoever holds the view.
    pub fn view(&self) -> View {
        // The length first: whatever is loaded after it covers it.
        let limit = self.len.load(Ordering::Acquire);
        View {
            low: 0,
            limit,
            incoming: self.incoming.load_full().tables(),
            kinds: self.kinds.table(),
            positions: self.positions.table(),
            times: self.times.table(),
            ends: self.ends.table(),
            out: self.out.table(),
            bitmaps: self.bitmaps.clone(),
        }
    }
}

/// What a graph takes in memory. **Units**: bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Edges by where they begin.
    pub out: usize,
    /// Edges by where they end, sealed.
    pub sealed: usize,
    /// The same, of what came since.
    pub tail: usize,
    /// What is known of nodes beside edges.
    pub nodes: usize,
}

/// The one writer.
pub struct Writer {
    graph: Arc<Graph>,
    kinds: ColumnWriter<AtomicU8>,
    positions: ColumnWriter<AtomicU64>,
    times: ColumnWriter<AtomicU64>,
    ends: ColumnWriter<AtomicU32>,
    out: ColumnWriter<AtomicU32>,
    tail: Tail,
    nodes: u32,
    edges: u32,
    known: Known,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty graph.
    pub fn new() -> Self {
        let (kinds, positions, times) = (ColumnWriter::new(), ColumnWriter::new(), ColumnWriter::new());
        let (ends, out) = (ColumnWriter::new(), ColumnWriter::new());
        let (tail, incoming) = Tail::behind(Sealed::default());
        let graph = Arc::new(Graph {
            len: AtomicU32::new(0),
            kinds: kinds.shared(),
            positions: positions.shared(),
            times: times.shared(),
            ends: ends.shared(),
            out: out.shared(),
            incoming: ArcSwap::from_pointee(incoming),
            bitmaps: Arc::default(),
        });
        Self { graph, kinds, positions, times, ends, out, tail, nodes: 0, edges: 0, known: Known::default() }
    }

    /// The readers' side.
    pub fn graph(&self) -> Arc<Graph> {
        self.graph.clone()
    }

    /// How many nodes were taken, published or not.
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// How many edges were taken.
    pub fn edges(&self) -> u32 {
        self.edges
    }

    /// Takes a node with all its edges to older ones, and gives its number. Readers see it once it is published.
    ///
    /// A time before an older node's counts as that node's: what was known at a moment is a prefix.
    ///
    /// # Errors
    /// [`Refused`]; nothing of it was taken then.
    pub fn push(&mut self, kind: NodeKind, known: Known, edges: &[(EdgeKind, u32)]) -> Result<u32, Refused> {
        let node = self.nodes;
        if node >= NODES_MAX {
            return Err(Refused::Full);
        }
        if edges.len() > EDGES_A_NODE_MAX {
            return Err(Refused::Edges(edges.len()));
        }
        // INVARIANT: an edge's source is larger than its target.
        if let Some((_, target)) = edges.iter().find(|(_, target)| *target >= node) {
            return Err(Refused::NotOlder { node, target: *target });
        }
        for (kind, target) in edges {
            let kind = u32::from(kind.number()) << NODES_MAX.trailing_zeros();
            self.lay_edge(kind | target);
            self.tail.add(*target, kind | node);
        }
        self.lay_node(kind, known);
        if self.tail.len() > SEAL_FROM && self.tail.len() > self.edges / 10 {
            self.seal();
        }
        Ok(node)
    }

    /// The graph with what is not published yet: for the writer's own questions.
    pub(super) fn view(&self) -> View {
        View { limit: self.nodes, ..self.graph.view() }
    }

    /// Whether a node leads nowhere.
    pub(super) fn is_bare(&self, node: u32) -> bool {
        let end = value(self.ends.table(), node as usize);
        node.checked_sub(1).map_or(0, |before| value(self.ends.table(), before as usize)) == end
    }

    /// Adds an edge to the node that is taken next, in the direction of causes only.
    #[inline]
    pub(super) fn lay_edge(&mut self, packed: u32) {
        set(self.out.at(self.edges as usize), packed);
        self.edges += 1;
    }

    /// Takes a node with the edges that were laid for it.
    #[inline]
    pub(super) fn lay_node(&mut self, kind: NodeKind, known: Known) {
        self.known = Known { position: self.known.position.max(known.position), at: self.known.at.max(known.at) };
        let at = self.nodes as usize;
        set(self.kinds.at(at), kind.number());
        set(self.positions.at(at), self.known.position);
        set(self.times.at(at), self.known.at);
        set(self.ends.at(at), self.edges);
        self.nodes += 1;
    }

    /// Shows readers what was taken so far.
    pub fn publish(&self) {
        self.graph.len.store(self.nodes, Ordering::Release);
    }

    /// Puts all edges into rows. **Cost**: reads and writes every edge once.
    pub fn seal(&mut self) {
        let sealed = Sealed::turn(self.nodes, self.ends.table(), self.out.table(), NODE);
        let (tail, incoming) = Tail::behind(sealed);
        self.tail = tail;
        self.graph.incoming.store(Arc::new(incoming));
    }

    /// What it takes.
    pub fn bytes(&self) -> Bytes {
        Bytes {
            out: self.ends.bytes() + self.out.bytes(),
            sealed: self.graph.incoming.load().sealed_bytes(),
            tail: self.tail.bytes(),
            nodes: self.kinds.bytes() + self.positions.bytes() + self.times.bytes(),
        }
    }
}

#[inline]
fn set<C: super::column::Cell>(cell: Option<&C>, value: C::Value) {
    if let Some(cell) = cell {
        cell.set(value);
    }
}

/// The graph at one moment. A reader's view never changes, whatever is written meanwhile.
#[derive(Clone)]
pub struct View {
    low: u32,
    limit: u32,
    incoming: Rows,
    pub(super) kinds: Table<AtomicU8>,
    pub(super) positions: Table<AtomicU64>,
    pub(super) times: Table<AtomicU64>,
    pub(super) ends: Table<AtomicU32>,
    pub(super) out: Table<AtomicU32>,
    bitmaps: Arc<Bitmaps>,
}

impl View {
    /// How many nodes there are: their numbers are smaller.
    pub fn len(&self) -> u32 {
        self.limit
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.limit == 0
    }

    /// How many edges there are.
    pub fn edges(&self) -> usize {
        self.limit.checked_sub(1).map_or(0, |last| value(&self.ends, last as usize)) as usize
    }

    /// What a node is.
    pub fn kind(&self, node: u32) -> Option<NodeKind> {
        if node >= self.limit { None } else { NodeKind::from_number(value(&self.kinds, node as usize)) }
    }

    /// When a node became known.
    pub fn known(&self, node: u32) -> Known {
        Known { position: value(&self.positions, node as usize), at: value(&self.times, node as usize) }
    }

    /// The same graph as it was when it had so many nodes.
    #[must_use]
    pub fn first(&self, nodes: u32) -> Self {
        Self { limit: self.limit.min(nodes), ..self.clone() }
    }

    /// The same graph as it was at a moment, that moment included.
    #[must_use]
    pub fn as_of(&self, at: u64) -> Self {
        self.first(self.count_until(|known| known.at <= at))
    }

    /// The same graph as it was at a journal position, that position included.
    #[must_use]
    pub fn as_of_position(&self, position: u64) -> Self {
        self.first(self.count_until(|known| known.position <= position))
    }

    /// The same graph without what was known before a moment.
    #[must_use]
    pub fn since(&self, at: u64) -> Self {
        Self { low: self.count_until(|known| known.at < at), ..self.clone() }
    }

    /// How many nodes come before the first that does not do: the columns ascend.
    fn count_until(&self, does: impl Fn(Known) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.limit);
        while low < high {
            let middle = low + (high - low) / 2;
            if does(self.known(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Whether a node is in this view.
    #[inline]
    pub fn has(&self, node: u32) -> bool {
        (self.low..self.limit).contains(&node)
    }

    pub(super) fn lowest(&self) -> u32 {
        self.low
    }

    pub(super) fn bitmaps(&self) -> &Arc<Bitmaps> {
        &self.bitmaps
    }

    /// Shows a node's edges in one direction: kinds and other ends in one word each, those out of view too.
    #[inline]
    pub(super) fn packed(&self, node: u32, toward: Toward, mut see: impl FnMut(u32)) {
        match toward {
            Toward::Older => {
                let to = value(&self.ends, node as usize) as usize;
                let from = node.checked_sub(1).map_or(0, |before| value(&self.ends, before as usize)) as usize;
                let (first, second) = range(&self.out, from, to);
                for packed in first.iter().chain(second) {
                    see(packed.get());
                }
            }
            Toward::Newer => self.incoming.each(node, see),
        }
    }

    /// A node's edges in one direction, each with the node at its other end.
    pub fn edges_of(&self, node: u32, toward: Toward) -> Vec<(EdgeKind, u32)> {
        let mut edges = Vec::new();
        if self.has(node) {
            self.packed(node, toward, |packed| {
                let (kind, other) = unpack(packed);
                if self.has(other) {
                    edges.extend(kind.map(|kind| (kind, other)));
                }
            });
        }
        edges
    }
}

/// An edge's kind and its other end.
pub(super) fn unpack(packed: u32) -> (Option<EdgeKind>, u32) {
    let kind = u8::try_from(packed >> NODES_MAX.trailing_zeros()).ok().and_then(EdgeKind::from_number);
    (kind, packed & NODE)
}
