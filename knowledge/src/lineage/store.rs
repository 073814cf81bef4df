//! One tenant's lineage: the graph, the names, and the folder in which both survive.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use serde::{Deserialize, Serialize};

pub use super::{disk::Error, fact::Fact};
use super::{
    disk::{self, Log, io_at},
    fact::{RESULT, Through},
    graph::{Bytes, EDGES_A_NODE_MAX, Graph, Known, View, Writer},
    kinds::{EdgeKind, NodeKind, Toward},
    names::{Names, Spent},
};

/// The log is folded into a snapshot when it is longer than this, and than a quarter of the snapshot.
const LOG_MIN: u64 = 1 << 20;

/// A frame of the log.
#[derive(Serialize, Deserialize)]
struct Frame {
    /// How many nodes there were before it.
    before: u32,
    /// The journal position behind it.
    reflects: u64,
    /// What it tells: position, time, fact.
    facts: Vec<(u64, u64, Fact)>,
}

/// One tenant's lineage.
pub struct Store {
    folder: PathBuf,
    graph: Arc<Graph>,
    names: RwLock<Names>,
    /// The journal position that readers see.
    reflects: AtomicU64,
    write: Mutex<Writing>,
}

struct Writing {
    writer: Writer,
    log: Log,
    snapshot_len: u64,
    /// Something was written since the last flush.
    is_dirty: bool,
}

impl Store {
    /// Opens what the folder holds, or begins anew in it. **Cost**: reads all of it.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it must be made anew; [`Error::Io`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(io_at(folder))?;
        let path = folder.join("graph");
        let snapshot_len = fs::metadata(&path).map_or(0, |found| found.len());
        let (mut writer, mut names, mut reflects) = match disk::read(&path)? {
            Some(found) => (found.writer, found.names, found.position),
            None => (Writer::new(), Names::default(), 0),
        };
        let damaged = |what| Error::Damaged { path: folder.join("log"), what };
        let log = Log::open(&folder.join("log"), |bytes| {
            let frame: Frame = serde_json::from_slice(bytes).map_err(|_| damaged("a frame that is no batch"))?;
            if frame.before < writer.nodes() {
                // The snapshot has it: the log was not cleared before the end.
                return Ok(());
            }
            if frame.before > writer.nodes() {
                return Err(damaged("a frame is missing"));
            }
            for (position, at, fact) in &frame.facts {
                enter(&mut writer, &mut names, Known { position: *position, at: *at }, fact)?;
            }
            reflects = frame.reflects;
            Ok(())
        })?;
        writer.publish();
        Ok(Self {
            folder: folder.to_owned(),
            graph: writer.graph(),
            names: RwLock::new(names),
            reflects: AtomicU64::new(reflects),
            write: Mutex::new(Writing { writer, log, snapshot_len, is_dirty: false }),
        })
    }

    /// Takes what a batch of events tells. A fact whose name is known already is passed over, so a batch may come
    /// twice. It is on disk after [`Store::flush`].
    ///
    /// # Errors
    /// [`Error::Io`] when the log cannot be written: nothing was taken. [`Error::Refused`] when the graph is full.
    pub fn apply(&self, facts: Vec<(Known, Fact)>, reflects: u64) -> Result<(), Error> {
        let mut write = self.write.lock();
        let facts: Vec<_> = {
            let names = self.names.read();
            facts.into_iter().filter(|(_, fact)| own_name(&write.writer, &names, fact).is_some()).collect()
        };
        if !facts.is_empty() {
            let before = write.writer.nodes();
            let told = facts.iter().map(|(known, fact)| (known.position, known.at, fact.clone())).collect();
            let frame = Frame { before, reflects, facts: told };
            // A frame of plain structs is always JSON.
            let bytes = serde_json::to_vec(&frame).unwrap_or_default();
            write.log.append(&bytes)?;
            write.is_dirty = true;
            let mut names = self.names.write();
            for (known, fact) in &facts {
                enter(&mut write.writer, &mut names, *known, fact)?;
            }
            // Names before the length: whoever sees a node can say what it is called.
            write.writer.publish();
        }
        self.reflects.fetch_max(reflects, Ordering::Release);
        Ok(())
    }

    /// Brings what was taken to disk; folds a long log into a snapshot.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn flush(&self) -> Result<(), Error> {
        let mut write = self.write.lock();
        if !std::mem::take(&mut write.is_dirty) {
            return Ok(());
        }
        if write.log.len > LOG_MIN.max(write.snapshot_len / 4) {
            return self.fold(&mut write);
        }
        write.log.sync()
    }

    /// Writes a snapshot of everything and empties the log.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn snapshot(&self) -> Result<(), Error> {
        self.fold(&mut self.write.lock())
    }

    fn fold(&self, write: &mut Writing) -> Result<(), Error> {
        let reflects = self.reflects();
        write.snapshot_len = disk::write(&self.folder.join("graph"), &self.graph.view(), &self.names.read(), reflects)?;
        write.log.clear()
    }

    /// The graph as it is now.
    pub fn view(&self) -> View {
        self.graph.view()
    }

    /// What nodes are called. The writer waits for whoever holds this: hold it for one page.
    pub fn names(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read()
    }

    /// The journal position up to which events are in it.
    pub fn reflects(&self) -> u64 {
        self.reflects.load(Ordering::Acquire)
    }

    /// What it takes in memory: the graph, and the names.
    pub fn bytes(&self) -> (Bytes, usize) {
        (self.write.lock().writer.bytes(), self.names.read().bytes())
    }

    /// Checksums of all that it holds: equal for equal graphs, so a store is compared with one made anew.
    pub fn sums(&self) -> Vec<u32> {
        disk::sums(&self.graph.view(), &self.names.read()).to_vec()
    }
}

/// What the node of a fact is to be called; nothing when it is there.
///
/// A node that others led to before anybody told of it has no edges and cannot get any: they would lead to newer
/// nodes. What is told of it at last is a node of its own that supersedes the bare one.
fn own_name<'f>(writer: &Writer, names: &Names, fact: &'f Fact) -> Option<Cow<'f, str>> {
    let Some(node) = names.exactly(&fact.name) else { return Some(Cow::Borrowed(&fact.name)) };
    let is_bare = writer.is_bare(node) && names.label(node).is_empty();
    let late = format!("{}~told", fact.name);
    let says_more = !fact.edges.is_empty() || !fact.label.is_empty();
    (is_bare && says_more && names.exactly(&late).is_none()).then_some(Cow::Owned(late))
}

fn enter(writer: &mut Writer, names: &mut Names, known: Known, fact: &Fact) -> Result<(), Error> {
    let Some(own) = own_name(writer, names, fact) else { return Ok(()) };
    let mut edges: Vec<(EdgeKind, u32)> = Vec::with_capacity(fact.edges.len());
    let add = |edges: &mut Vec<(EdgeKind, u32)>, edge: u8, target: u32| {
        let Some(edge) = EdgeKind::from_number(edge) else { return };
        if !edges.contains(&(edge, target)) && edges.len() < EDGES_A_NODE_MAX {
            edges.push((edge, target));
        }
    };
    if let Some(bare) = names.exactly(&fact.name) {
        add(&mut edges, EdgeKind::Supersedes.number(), bare);
    }
    for (edge, kind, name) in fact.edges.iter().filter(|(.., name)| *name != fact.name) {
        let Some(kind) = NodeKind::from_number(*kind) else { continue };
        let target = match names.exactly(name) {
            Some(node) => node,
            None => {
                let node = writer.push(kind, known, &[])?;
                names.push(name, "", Spent::default());
                node
            }
        };
        add(&mut edges, *edge, target);
    }
    for (edge, name) in fact.known.iter().filter(|(_, name)| *name != fact.name) {
        if let Some(target) = names.exactly(name) {
            add(&mut edges, *edge, target);
        }
    }
    for through in &fact.through {
        look_through(writer, names, through, |edge, target| add(&mut edges, edge, target));
    }
    let kind = NodeKind::from_number(fact.kind).unwrap_or(NodeKind::Event);
    writer.push(kind, known, &edges)?;
    names.push(&own, &fact.label, fact.spent);
    Ok(())
}

/// **Cost**: the edges of one node, which for a run are its steps.
fn look_through(writer: &Writer, names: &Names, through: &Through, mut add: impl FnMut(u8, u32)) {
    match through {
        Through::Results { of, is_newer, along, link } => {
            let Some(node) = names.exactly(of) else { return };
            let toward = if *is_newer { Toward::Newer } else { Toward::Older };
            for (_, other) in writer.view().edges_of(node, toward).iter().filter(|(kind, _)| kind.number() == *along) {
                if let Some(result) = names.exactly(&format!("{RESULT}{}", names.name(*other))) {
                    add(*link, result);
                }
            }
        }
        Through::Last { prefix, link } => {
            let row = (1_u32..).map_while(|number| names.exactly(&format!("{prefix}{number}")));
            if let Some(last) = row.last() {
                add(*link, last);
            }
        }
    }
}
