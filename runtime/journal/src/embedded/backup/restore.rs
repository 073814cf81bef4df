//! Making a store of a backup.

use std::sync::Arc;

use mesh_kernel::{
    envelope::TenantId,
    ports::{Digest, Epoch},
};

use super::{
    BackupError, Copied, Progress,
    manifest::{Item, Manifest, each_chunk},
    must_be_empty,
};
use crate::{
    content::FolderStore,
    embedded::{EmbeddedJournal, Options, store::Store},
    files::{Files, write_all},
};

const STORE: &str = "store";
/// A restored store's epochs begin this much later, so that they are never those of the copy that
/// lives on.
const LATER: u64 = 1 << 32;

pub(super) fn restore(
    from: &dyn Files,
    to: Arc<dyn Files>,
    bodies: &FolderStore,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, BackupError> {
    must_be_empty(to.as_ref())?;
    let manifest = Manifest::load(from)?;
    let mut said = Progress { of_bytes: manifest.bytes(), ..Progress::default() };
    // Without the store's own file the segments open as nothing: it comes last.
    for item in manifest.items.iter().filter(|item| item.name != STORE) {
        match item.name.strip_suffix(".body") {
            Some(name) => body(from, item, name, bodies)?,
            None => file(from, item, to.as_ref())?,
        }
        said.bytes += item.len;
        said.files += 1;
        progress(said);
    }
    to.sync_dir().map_err(|error| BackupError::io(".", error))?;
    let item = manifest.items.iter().find(|item| item.name == STORE);
    let item = item.ok_or_else(|| BackupError::damaged("manifest", 0, "it does not name the store's own file"))?;
    store(from, item, to.as_ref())?;
    said.bytes += item.len;
    said.files += 1;
    progress(said);
    check(to)?;
    Ok(Copied { durable: manifest.durable, files: said.files, bytes: said.bytes })
}

fn file(from: &dyn Files, item: &Item, to: &dyn Files) -> Result<(), BackupError> {
    let io = |error| BackupError::io(&item.name, error);
    let file = to.create(&item.name).map_err(io)?;
    each_chunk(from, item, |chunk, at| write_all(file.as_ref(), chunk, at).map_err(io))?;
    file.fdatasync().map_err(io)
}

fn body(from: &dyn Files, item: &Item, name: &str, bodies: &FolderStore) -> Result<(), BackupError> {
    let none = || BackupError::damaged(&item.name, 0, "its name is not a body's");
    let (tenant, hex) = name.rsplit_once('.').ok_or_else(none)?;
    let tenant = TenantId::parse(tenant).map_err(|_| none())?;
    let digest: Digest = format!("sha256:{hex}").parse().map_err(|_| none())?;
    let mut bytes = Vec::with_capacity(item.len as usize);
    each_chunk(from, item, |chunk, _| {
        bytes.extend_from_slice(chunk);
        Ok(())
    })?;
    if Digest::of(&bytes) != digest {
        return Err(BackupError::damaged(&item.name, 0, "the body is not the one that was stored"));
    }
    let stored = bodies.store(&tenant, &bytes);
    stored.map(|_| ()).map_err(|error| BackupError::io(&item.name, std::io::Error::other(error)))
}

fn store(from: &dyn Files, item: &Item, to: &dyn Files) -> Result<(), BackupError> {
    each_chunk(from, item, |_, _| Ok(()))?;
    let mut store = Store::load(from)?;
    store.epoch = Epoch(store.epoch.0 + LATER);
    store.save(to).map_err(|error| BackupError::io(STORE, error))
}

/// The whole log is read once as a start reads it: what is restored is a store, or this says why not.
fn check(to: Arc<dyn Files>) -> Result<(), BackupError> {
    let journal = EmbeddedJournal::open_on(to, Options { reserve_bytes: 0, ..Options::default() })?;
    journal.verify_now()?;
    Ok(())
}
