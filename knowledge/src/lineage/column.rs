//! Append-only columns: one writer, readers without locks.
//!
//! A column is chunks that never move and a table of them that is replaced when a chunk is added. Cells are
//! atomics with relaxed order, which cost what plain ones cost; the graph publishes its length after the cells
//! it covers, and that is what orders them.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

/// Entries of a chunk. A tenant with little has one chunk of each column.
pub(super) const CHUNK: usize = 1 << 14;

/// What a column is made of.
pub(super) trait Cell: Default + Send + Sync + 'static {
    /// What one holds.
    type Value: Copy + Default;
    /// Reads it.
    fn get(&self) -> Self::Value;
    /// Writes it; whoever reads it was told of it elsewhere.
    fn set(&self, value: Self::Value);
    /// Writes it; whoever reads it so sees what was written before.
    fn announce(&self, value: Self::Value);
    /// Reads what was announced.
    fn heard(&self) -> Self::Value;
}

macro_rules! cell {
    ($($atomic:ty, $value:ty;)*) => {
        $(impl Cell for $atomic {
            type Value = $value;
            #[inline]
            fn get(&self) -> $value {
                self.load(Ordering::Relaxed)
            }
            #[inline]
            fn set(&self, value: $value) {
                self.store(value, Ordering::Relaxed);
            }
            #[inline]
            fn announce(&self, value: $value) {
                self.store(value, Ordering::Release);
            }
            #[inline]
            fn heard(&self) -> $value {
                self.load(Ordering::Acquire)
            }
        })*
    };
}

cell! {
    AtomicU8, u8;
    AtomicU32, u32;
    AtomicU64, u64;
}

/// The chunks of a column at one moment; cells of it may still be written.
pub(super) type Table<C> = Arc<Vec<Arc<[C]>>>;

/// The readers' side of a column.
pub(super) struct Column<C>(ArcSwap<Vec<Arc<[C]>>>);

impl<C: Cell> Column<C> {
    /// The chunks of now.
    pub(super) fn table(&self) -> Table<C> {
        self.0.load_full()
    }
}

/// The cell with this number.
#[inline]
pub(super) fn cell<C>(table: &[Arc<[C]>], at: usize) -> Option<&C> {
    table.get(at / CHUNK)?.get(at % CHUNK)
}

/// The value with this number; nothing's when there is none.
#[inline]
pub(super) fn value<C: Cell>(table: &[Arc<[C]>], at: usize) -> C::Value {
    cell(table, at).map(Cell::get).unwrap_or_default()
}

/// The cells from one number up to another, which lie in one chunk or in two that follow each other.
#[inline]
pub(super) fn range<C>(table: &[Arc<[C]>], from: usize, to: usize) -> (&[C], &[C]) {
    let (first, start) = (from / CHUNK, from % CHUNK);
    let len = to.saturating_sub(from);
    let Some(chunk) = table.get(first) else { return (&[], &[]) };
    if start + len <= CHUNK {
        return (chunk.get(start..start + len).unwrap_or_default(), &[]);
    }
    let rest = start + len - CHUNK;
    let behind = table.get(first + 1).and_then(|chunk| chunk.get(..rest)).unwrap_or_default();
    (chunk.get(start..).unwrap_or_default(), behind)
}

/// The writer's side of a column.
pub(super) struct ColumnWriter<C> {
    chunks: Vec<Arc<[C]>>,
    shared: Arc<Column<C>>,
    one_writer: PhantomData<std::cell::Cell<()>>,
}

impl<C: Cell> ColumnWriter<C> {
    pub(super) fn new() -> Self {
        let shared = Arc::new(Column(ArcSwap::from_pointee(Vec::new())));
        Self { chunks: Vec::new(), shared, one_writer: PhantomData }
    }

    /// What readers look at.
    pub(super) fn shared(&self) -> Arc<Column<C>> {
        self.shared.clone()
    }

    /// The cell with this number; makes the chunks up to it.
    #[inline]
    pub(super) fn at(&mut self, at: usize) -> Option<&C> {
        if at / CHUNK >= self.chunks.len() {
            self.grow(at / CHUNK);
        }
        cell(&self.chunks, at)
    }

    pub(super) fn table(&self) -> &[Arc<[C]>] {
        &self.chunks
    }

    #[cold]
    fn grow(&mut self, chunk: usize) {
        while self.chunks.len() <= chunk {
            self.chunks.push((0..CHUNK).map(|_| C::default()).collect());
        }
        self.shared.0.store(Arc::new(self.chunks.clone()));
    }

    /// What it takes. **Units**: bytes.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<C>()
    }
}
