//! Edges by what they lead to: a sealed part, row after row, and a tail of what came since.
//!
//! A node's sources are known only later, one by one. Rows of one piece need all edges at once, so most edges lie
//! in the sealed part and the newest in blocks of seven. When the tail outgrows a tenth, the sealed part is made
//! anew and both are replaced by one swap of a pointer; readers keep the pair that they began with.

use std::sync::{Arc, atomic::AtomicU32};

use super::column::{Cell as _, Column, ColumnWriter, Table, cell, range, value};

/// Words of a block: where the next older block of the same node is, and edges. Zero ends both: block numbers
/// begin at 1, and the node 0 is nobody's source.
const BLOCK: usize = 8;

/// Rows of all edges up to some node, each row in ascending order of sources.
#[derive(Default)]
pub(super) struct Sealed {
    offsets: Vec<u32>,
    sources: Vec<u32>,
}

impl Sealed {
    /// Turns the edges of the first `nodes` nodes round: `ends` is where each node's edges end, `out` the edges.
    pub(super) fn turn(nodes: u32, ends: &[Arc<[AtomicU32]>], out: &[Arc<[AtomicU32]>], mask: u32) -> Self {
        let edges = nodes.checked_sub(1).map_or(0, |last| value(ends, last as usize));
        let mut offsets = vec![0_u32; nodes as usize + 1];
        each(edges, out, |packed| {
            if let Some(count) = offsets.get_mut((packed & mask) as usize + 1) {
                *count += 1;
            }
        });
        let mut sum = 0;
        for offset in &mut offsets {
            sum += *offset;
            *offset = sum;
        }
        // `offsets[t]` is where the next source of `t` goes; afterwards it is the end of its row.
        let mut sources = vec![0_u32; edges as usize];
        let mut from = 0;
        for node in 0..nodes {
            let to = value(ends, node as usize);
            let (first, second) = range(out, from as usize, to as usize);
            for packed in first.iter().chain(second) {
                let packed = packed.get();
                let Some(next) = offsets.get_mut((packed & mask) as usize) else { continue };
                if let Some(place) = sources.get_mut(*next as usize) {
                    *place = packed & !mask | node;
                }
                *next += 1;
            }
            from = to;
        }
        offsets.pop();
        Self { offsets, sources }
    }

    /// The sources of a node, with the edges' kinds.
    #[inline]
    fn row(&self, node: u32) -> &[u32] {
        let Some(end) = self.offsets.get(node as usize) else { return &[] };
        let start = node.checked_sub(1).and_then(|before| self.offsets.get(before as usize)).copied().unwrap_or(0);
        self.sources.get(start as usize..*end as usize).unwrap_or_default()
    }

    /// What it takes. **Units**: bytes.
    pub(super) fn bytes(&self) -> usize {
        (self.offsets.capacity() + self.sources.capacity()) * size_of::<u32>()
    }
}

fn each(edges: u32, out: &[Arc<[AtomicU32]>], mut see: impl FnMut(u32)) {
    let mut left = edges as usize;
    for chunk in out {
        for packed in chunk.iter().take(left) {
            see(packed.get());
        }
        left = left.saturating_sub(chunk.len());
    }
}

/// Both parts, for readers.
pub(super) struct Incoming {
    sealed: Sealed,
    heads: Arc<Column<AtomicU32>>,
    blocks: Arc<Column<AtomicU32>>,
}

/// Both parts, for the writer.
pub(super) struct Tail {
    heads: ColumnWriter<AtomicU32>,
    blocks: ColumnWriter<AtomicU32>,
    used: u32,
    edges: u32,
}

impl Tail {
    /// An empty tail behind a sealed part.
    pub(super) fn behind(sealed: Sealed) -> (Self, Incoming) {
        let (heads, blocks) = (ColumnWriter::new(), ColumnWriter::new());
        let incoming = Incoming { sealed, heads: heads.shared(), blocks: blocks.shared() };
        (Self { heads, blocks, used: 0, edges: 0 }, incoming)
    }

    /// How many edges it holds.
    pub(super) fn len(&self) -> u32 {
        self.edges
    }

    /// Adds an edge to the row of what it leads to.
    pub(super) fn add(&mut self, target: u32, packed: u32) {
        self.edges += 1;
        let head = self.heads.at(target as usize).map(|head| head.get()).unwrap_or(0);
        if head != 0 {
            let (block, _) = range(self.blocks.table(), head as usize * BLOCK, (head as usize + 1) * BLOCK);
            if let Some(free) = block.iter().skip(1).find(|entry| entry.get() == 0) {
                free.set(packed);
                return;
            }
        }
        self.used += 1;
        let at = self.used as usize * BLOCK;
        for (offset, word) in [(0, head), (1, packed)] {
            if let Some(cell) = self.blocks.at(at + offset) {
                cell.set(word);
            }
        }
        // Announced, so that whoever sees the block sees the link to the older ones.
        if let Some(head) = self.heads.at(target as usize) {
            head.announce(self.used);
        }
    }

    /// What it takes. **Units**: bytes.
    pub(super) fn bytes(&self) -> usize {
        self.heads.bytes() + self.blocks.bytes()
    }
}

impl Incoming {
    pub(super) fn sealed_bytes(&self) -> usize {
        self.sealed.bytes()
    }

    /// As it is for one reader.
    pub(super) fn tables(self: &Arc<Self>) -> Rows {
        // The heads after nothing and the blocks after the heads: a block that a head names is in the table.
        let heads = self.heads.table();
        Rows { heads, blocks: self.blocks.table(), both: self.clone() }
    }
}

/// Both parts as one reader sees them.
#[derive(Clone)]
pub(super) struct Rows {
    both: Arc<Incoming>,
    heads: Table<AtomicU32>,
    blocks: Table<AtomicU32>,
}

impl Rows {
    /// Shows the edges that lead to a node, kinds and sources in one word. Some may be newer than the reader's limit.
    #[inline]
    pub(super) fn each(&self, node: u32, mut see: impl FnMut(u32)) {
        for packed in self.both.sealed.row(node) {
            see(*packed);
        }
        let mut block = cell(&self.heads, node as usize).map_or(0, |head| head.heard());
        while block != 0 {
            let (from, to) = (block as usize * BLOCK, (block as usize + 1) * BLOCK);
            let (mut words, _) = range(&self.blocks, from, to);
            let fresh;
            if words.is_empty() {
                // Made since this reader began; the link to older blocks is in it all the same.
                fresh = self.both.blocks.table();
                (words, _) = range(&fresh, from, to);
            }
            let mut words = words.iter();
            let older = words.next().map_or(0, |next| next.get());
            for packed in words {
                match packed.get() {
                    0 => break,
                    packed => see(packed),
                }
            }
            block = older;
        }
    }
}
