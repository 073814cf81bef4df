//! Every shelf of every tenant: opened when it is first asked for, closed when others are.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use mesh_kernel::envelope::{TenantId, TenantScope};
use parking_lot::Mutex;

use super::{Error, Shelf, Standing, store::Store};
use crate::{
    embed::{Embedder, Model},
    lexical,
    vectors::{self, Embedded, Settings},
};

/// Shelves that are open at most, but for those in use.
const OPEN_MAX: usize = 64;

/// What tells a shelf: tenant, collection, generation.
type Name = (TenantId, String, u64);

/// A shelf, once it is open.
type Slot = Arc<Mutex<Option<Arc<Shelf>>>>;

/// Every shelf of every tenant, in a folder for each.
pub struct Shelves {
    root: PathBuf,
    pub(super) embedder: Embedder,
    /// The vectors' share of a sum, from 0 to 1.
    pub(super) alpha: f32,
    /// With when each was last asked for.
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    shelves: HashMap<Name, (u64, Slot)>,
    asked: u64,
}

impl Shelves {
    /// Shelves in this folder, whose vectors this embedder makes. `alpha` is the vectors' share of a hit's sum, from
    /// 0 to 1: what was measured for this embedder, or 0.5.
    pub fn new(root: PathBuf, embedder: Embedder, alpha: f32) -> Self {
        Self { root, embedder, alpha, open: Mutex::default() }
    }

    /// What makes the vectors.
    pub fn model(&self) -> &Model {
        self.embedder.model()
    }

    /// Closes what is open of a tenant and removes its shelves. May be repeated.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&self, scope: &TenantScope) -> io::Result<()> {
        self.open.lock().shelves.retain(|(tenant, ..), _| !scope.covers(tenant));
        match fs::remove_dir_all(self.root.join(scope.tenant().as_str())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// A collection's shelf, opened or made. Blocks, and lets other collections open meanwhile.
    fn of(&self, scope: &TenantScope, collection: &str, standing: &Standing) -> Result<Arc<Shelf>, Error> {
        let name = (scope.tenant().clone(), collection.to_owned(), standing.generation);
        let slot = self.open.lock().slot(name);
        // INVARIANT: opened under its slot's lock, so that no folder is opened twice.
        let mut slot = slot.lock();
        if let Some(shelf) = slot.as_ref() {
            return Ok(shelf.clone());
        }
        let folder = self.root.join(scope.tenant().as_str()).join(collection);
        let shelf = Arc::new(self.open_in(&folder, collection, standing)?);
        *slot = Some(shelf.clone());
        Ok(shelf)
    }

    /// A shelf that has come as far as its collection says.
    pub(super) fn standing(
        &self,
        scope: &TenantScope,
        collection: &str,
        standing: &Standing,
    ) -> Result<Arc<Shelf>, Error> {
        let shelf = self.of(scope, collection, standing)?;
        let round = shelf.store.round().map_err(Error::store(collection))?;
        if round < standing.rounds {
            let what = format!("stands at round {round} of {}", standing.rounds);
            return Err(Error::Lost { collection: collection.to_owned(), what });
        }
        Ok(shelf)
    }

    fn open_in(&self, folder: &Path, collection: &str, standing: &Standing) -> Result<Shelf, Error> {
        let own = folder.join(format!("g{}", standing.generation));
        fs::create_dir_all(&own).map_err(unusable(&own))?;
        remove_others(folder, &own);
        let model = self.embedder.model();
        let lost = |what: &str| Error::Lost { collection: collection.to_owned(), what: what.to_owned() };
        let store =
            Store::open(&own.join("shelf.sqlite"), &model.digest, standing.began).map_err(Error::store(collection))?;
        let store = store.ok_or_else(|| lost("is of another form or another model"))?;
        let words = lexical::Index::open(&own.join("words"), lexical::Options::default())?;
        let made_by =
            vectors::Model { name: model.name.clone(), digest: model.digest.clone(), dimensions: model.dimensions };
        let vectors = Embedded::open(&own.join("vectors"), &made_by, Settings::default())?;
        Ok(Shelf { store, words, vectors })
    }
}

impl Open {
    fn slot(&mut self, name: Name) -> Slot {
        self.asked += 1;
        let asked = self.asked;
        if let Some((last, slot)) = self.shelves.get_mut(&name) {
            *last = asked;
            return slot.clone();
        }
        // An older generation is nobody's any more.
        self.shelves.retain(|(tenant, of, _), _| (tenant, of) != (&name.0, &name.1));
        self.close_surplus();
        let slot = Slot::default();
        self.shelves.insert(name, (asked, slot.clone()));
        slot
    }

    /// Makes room for one more. Shelves in use stay.
    fn close_surplus(&mut self) {
        while self.shelves.len() >= OPEN_MAX {
            let idle = self.shelves.iter().filter(|(_, (_, slot))| is_idle(slot));
            let Some(oldest) = idle.min_by_key(|(_, (last, _))| *last).map(|(name, _)| name.clone()) else { return };
            self.shelves.remove(&oldest);
        }
    }
}

/// Nobody has it, and nobody is opening it.
fn is_idle(slot: &Slot) -> bool {
    let shelf = slot.try_lock();
    Arc::strong_count(slot) == 1
        && shelf.is_some_and(|shelf| shelf.as_ref().is_none_or(|shelf| Arc::strong_count(shelf) == 1))
}

/// What a rebuild has left behind. What cannot be removed now is removed with the next one.
fn remove_others(folder: &Path, own: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path() != own
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, "an old index could not be removed");
        }
    }
}

fn unusable(folder: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { folder: folder.to_owned(), source }
}
