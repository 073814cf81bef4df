//! Taking a backup.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use mesh_kernel::{
    envelope::TenantId,
    ports::{Digest, Position},
};

use super::{
    BackupError, Copied, Progress,
    manifest::{CHUNK, Item, Manifest},
    must_be_empty,
};
use crate::{
    content::FolderStore,
    embedded::{
        log::segment::{self, Segment},
        scan,
        shared::Shared,
        store::Store,
    },
    files::{File, Files, read_full, read_whole, write_all},
};

const PAUSE_MAX: Duration = Duration::from_millis(50);

/// The journal as it was at one moment: its files may be replaced meanwhile, these stay.
struct Moment {
    segments: Vec<Arc<Segment>>,
    next_batch: u64,
    durable: Position,
    freed: u32,
}

impl Moment {
    fn now(shared: &Shared) -> Self {
        // While this is held no segment is added or replaced, so what is durable lies in these.
        let segments = shared.segments.read();
        let end = shared.end();
        let freed = shared.freed.load(Ordering::Acquire);
        Self { segments: segments.clone(), next_batch: end.next_batch, durable: end.last, freed }
    }
}

pub(super) fn take(
    shared: &Shared,
    bodies: &FolderStore,
    to: &dyn Files,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, BackupError> {
    must_be_empty(to)?;
    let moment = Moment::now(shared);
    let wanted = bodies.all().map_err(|error| BackupError::io("bodies", error))?;
    let of_bytes = moment.segments.iter().map(|segment| segment.len).sum::<u64>()
        + wanted.iter().map(|(_, _, len)| len).sum::<u64>();
    let mut copier = Copier {
        to,
        manifest: Manifest { durable: moment.durable, items: Vec::new() },
        said: Progress { of_bytes, ..Progress::default() },
        progress,
        is_paced: shared.options.background,
    };
    for (n, segment) in moment.segments.iter().enumerate() {
        let until = moment.segments.get(n + 1).map_or(moment.next_batch, |next| next.first_batch);
        copier.segment(segment, until)?;
    }
    for (tenant, digest, _) in &wanted {
        copier.body(bodies, tenant, *digest)?;
    }
    copier.store(shared, &moment)?;
    copier.manifest.save(to)?;
    let manifest = &copier.manifest;
    Ok(Copied { durable: moment.durable, files: manifest.items.len() as u64, bytes: manifest.bytes() })
}

struct Copier<'a> {
    to: &'a dyn Files,
    manifest: Manifest,
    said: Progress,
    progress: &'a mut dyn FnMut(Progress),
    is_paced: bool,
}

impl Copier<'_> {
    /// Copies a segment up to a batch, each batch checked; zeros and voids behind it stay behind.
    fn segment(&mut self, segment: &Segment, until: u64) -> Result<(), BackupError> {
        let mut end = segment::HEAD;
        scan::each_batch(segment, until, |batch| {
            end = batch.place.offset + batch.walk()?.head.len as u64;
            Ok(())
        })?;
        self.copy(&segment.name, segment.file.as_ref(), end)
    }

    fn copy(&mut self, name: &str, from: &dyn File, len: u64) -> Result<(), BackupError> {
        let io = |error| BackupError::io(name, error);
        let file = self.to.create(name).map_err(io)?;
        let mut chunk = vec![0; CHUNK];
        let mut crcs = Vec::new();
        let mut at = 0;
        while at < len {
            let started = Instant::now();
            let want = (len - at).min(CHUNK as u64) as usize;
            let into = chunk.get_mut(..want).unwrap_or_default();
            if read_full(from, into, at).map_err(io)? < want {
                return Err(BackupError::damaged(name, at, "the file became shorter"));
            }
            write_all(file.as_ref(), into, at).map_err(io)?;
            crcs.push(crc32c::crc32c(into));
            at += want as u64;
            self.say(want as u64, 0);
            if self.is_paced {
                thread::sleep(started.elapsed().min(PAUSE_MAX));
            }
        }
        file.fdatasync().map_err(io)?;
        self.manifest.items.push(Item { name: name.to_owned(), len, crcs });
        self.say(0, 1);
        Ok(())
    }

    fn body(&mut self, bodies: &FolderStore, tenant: &TenantId, digest: Digest) -> Result<(), BackupError> {
        let name = format!("{tenant}.{}.body", digest.hex());
        let io = |error| BackupError::io(&name, error);
        let file = bodies.file(tenant, digest).map_err(io)?;
        let body = read_whole(file.as_ref()).map_err(io)?;
        if Digest::of(&body) != digest {
            return Err(BackupError::damaged(&name, 0, "the body is not the one that was stored"));
        }
        self.copy(&name, file.as_ref(), body.len() as u64)
    }

    /// The store's own file, as it must be beside exactly these segments.
    fn store(&mut self, shared: &Shared, moment: &Moment) -> Result<(), BackupError> {
        const NAME: &str = "store";
        let io = |error| BackupError::io(NAME, error);
        let numbers = |segment: Option<&Arc<Segment>>| segment.map_or(1, |segment| segment.number);
        let store = Store {
            id: shared.store,
            epoch: shared.epoch,
            newest_segment: numbers(moment.segments.last()),
            oldest_segment: numbers(moment.segments.first()) as u32,
            freed: moment.freed,
        };
        store.save(self.to).map_err(io)?;
        let bytes = read_whole(self.to.open(NAME).map_err(io)?.as_ref()).map_err(io)?;
        let item = Item { name: NAME.to_owned(), len: bytes.len() as u64, crcs: vec![crc32c::crc32c(&bytes)] };
        self.manifest.items.push(item);
        self.say(0, 1);
        Ok(())
    }

    fn say(&mut self, bytes: u64, files: u64) {
        self.said.bytes += bytes;
        self.said.files += files;
        (self.progress)(self.said);
    }
}
