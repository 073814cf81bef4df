//! Snapshots: the newest state of each entity, in a side log. A cache, never the truth.
//!
//! Nothing here is flushed and nothing is acknowledged: what a crash tears fails its checksum and
//! costs a replay. When more than half of the file is old, what is new is copied to the next one.

use std::{io, sync::Arc};

use bytes::Bytes;
use mesh_kernel::{envelope::Address, ports::Snapshot};
use parking_lot::Mutex;

use super::{
    index::{self, ByKey, Key, Keys},
    log::{
        numbers::{put_at, u16_at, u32_at, u64_at},
        segment::StoreId,
    },
};
use crate::files::{File, Files, read_full, write_all};

/// Length of an entry before its address. **Units**: bytes.
const HEAD: usize = 24;
/// Below this length a file is not worth copying. **Units**: bytes.
const COMPACT_MIN: u64 = 8 * 1024 * 1024;

/// The newest snapshot of each entity.
///
/// ```text
/// entry = address len u16 | 0 u16 | state len u32 | crc of this head and the address u32
///         | crc of the state u32 | version u64 | address | state
/// ```
pub(super) struct Snapshots {
    files: Arc<dyn Files>,
    seed: u32,
    keys: Keys,
    bytes_max: usize,
    book: Mutex<Book>,
}

struct Book {
    file: Option<Arc<dyn File>>,
    number: u64,
    end: u64,
    live: ByKey<At>,
    live_bytes: u64,
}

#[derive(Clone, Copy)]
struct At {
    offset: u64,
    address_len: u32,
    state_len: u32,
    version: u64,
}

impl At {
    fn len(self) -> u64 {
        HEAD as u64 + u64::from(self.address_len) + u64::from(self.state_len)
    }
}

fn name(number: u64) -> String {
    format!("snap-{number:010}.log")
}

impl Snapshots {
    /// Opens the newest file and reads its heads; begins anew when it cannot be read.
    pub(super) fn open(files: Arc<dyn Files>, store: &StoreId, bytes_max: usize) -> Self {
        let seed = crc32c::crc32c(store);
        let mut numbers: Vec<u64> = files
            .list()
            .unwrap_or_default()
            .iter()
            .filter_map(|name| name.strip_prefix("snap-")?.strip_suffix(".log")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let newest = numbers.pop().unwrap_or(1);
        for old in numbers {
            let _best_effort = files.unlink(&name(old));
        }
        let mut book = Book {
            file: files.open(&name(newest)).ok(),
            number: newest,
            end: 0,
            live: ByKey::default(),
            live_bytes: 0,
        };
        let keys = Keys::new(store);
        if let Err(error) = book.scan(seed, &keys) {
            tracing::warn!(%error, file = name(newest), "snapshots cannot be read: entities are replayed");
        }
        Self { files, seed, keys, bytes_max, book: Mutex::new(book) }
    }

    /// Keeps a snapshot, unless a newer one is there.
    pub(super) fn put(&self, address: &Address, snapshot: &Snapshot) {
        if snapshot.bytes.len() > self.bytes_max {
            return;
        }
        let mut book = self.book.lock();
        let key = self.keys.of(address.as_str());
        if book.live.get(&key).is_some_and(|at| at.version >= snapshot.version) {
            return;
        }
        let kept = self.append(&mut book, address, snapshot).and_then(|()| self.compact(&mut book));
        if let Err(error) = kept {
            tracing::debug!(%error, %address, "a snapshot was not kept");
        }
    }

    /// The snapshot of an entity, when there is one that can be read.
    pub(super) fn get(&self, address: &Address) -> Option<Snapshot> {
        let key = self.keys.of(address.as_str());
        let (file, at) = {
            let book = self.book.lock();
            (book.file.clone()?, *book.live.get(&key)?)
        };
        let Some(bytes) = read_state(file.as_ref(), at, self.seed) else {
            tracing::warn!(%address, offset = at.offset, "a snapshot is damaged: the entity is replayed");
            // Forgotten, so that the next one of the same version is kept.
            self.book.lock().forget(key);
            return None;
        };
        Some(Snapshot { version: at.version, bytes })
    }

    fn append(&self, book: &mut Book, address: &Address, snapshot: &Snapshot) -> io::Result<()> {
        let file = match &book.file {
            Some(file) => file.clone(),
            None => self.files.create(&name(book.number))?,
        };
        book.file = Some(file.clone());
        let bytes = encode(address, snapshot, self.seed);
        write_all(file.as_ref(), &bytes, book.end)?;
        mesh_kernel::failpoint::pass("snapshot");
        let at = At {
            offset: book.end,
            address_len: address.as_str().len() as u32,
            state_len: snapshot.bytes.len() as u32,
            version: snapshot.version,
        };
        book.end += at.len();
        book.note(self.keys.of(address.as_str()), at);
        Ok(())
    }

    /// Forgets the snapshot of an entity that ended; its bytes go with the next copying.
    pub(super) fn forget(&self, key: Key) {
        self.book.lock().forget(key);
    }

    /// Forgets all snapshots of a tenant, and their bytes.
    pub(super) fn erase(&self, tenant: &str) -> io::Result<()> {
        let mut book = self.book.lock();
        if book.file.is_none() {
            return Ok(());
        }
        let old = name(book.number);
        self.copy(&mut book, |address| index::tenant(address) != tenant)?;
        if let Some(file) = &book.file {
            file.fdatasync()?;
        }
        self.files.sync_dir()?;
        tracing::debug!(file = old, "the snapshots of an erased tenant are gone");
        Ok(())
    }

    fn compact(&self, book: &mut Book) -> io::Result<()> {
        if book.end < COMPACT_MIN || book.end < book.live_bytes * 2 {
            return Ok(());
        }
        self.copy(book, |_| true)
    }

    /// Copies what is live and wanted into the next file, and removes this one.
    fn copy(&self, book: &mut Book, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
        let Some(old) = book.file.clone() else {
            return Ok(());
        };
        let number = book.number + 1;
        let file = self.files.create(&name(number))?;
        let mut end = 0;
        let mut live = ByKey::default();
        for (key, at) in &book.live {
            let mut bytes = vec![0; at.len() as usize];
            read_full(old.as_ref(), &mut bytes, at.offset)?;
            let address = bytes.get(HEAD..HEAD + at.address_len as usize).unwrap_or_default();
            // What cannot be read as it was written is not worth a copy.
            if !std::str::from_utf8(address).is_ok_and(|address| self.keys.of(address) == *key && wanted(address)) {
                continue;
            }
            write_all(file.as_ref(), &bytes, end)?;
            live.insert(*key, At { offset: end, ..*at });
            end += at.len();
        }
        self.files.unlink(&name(book.number))?;
        *book = Book { file: Some(file), number, end, live, live_bytes: end };
        Ok(())
    }
}

impl Book {
    fn note(&mut self, key: Key, at: At) {
        self.live_bytes += at.len();
        if let Some(old) = self.live.insert(key, at) {
            self.live_bytes -= old.len();
        }
    }

    fn forget(&mut self, key: Key) {
        if let Some(old) = self.live.remove(&key) {
            self.live_bytes -= old.len();
        }
    }

    /// Reads the heads, up to the first one that is none; what is behind that is written over.
    fn scan(&mut self, seed: u32, keys: &Keys) -> io::Result<()> {
        let Some(file) = self.file.clone() else {
            return Ok(());
        };
        let len = file.len()?;
        let mut bytes = vec![0; HEAD + usize::from(u16::MAX)];
        loop {
            // An address has a few hundred bytes at most.
            let want = bytes.get_mut(..1024).unwrap_or_default();
            let got = read_full(file.as_ref(), want, self.end)?;
            let Some((address, at)) = parse_head(bytes.get(..got).unwrap_or_default(), self.end, seed) else {
                return Ok(());
            };
            if self.end + at.len() > len {
                return Ok(());
            }
            self.end += at.len();
            self.note(keys.of(address.as_str()), at);
        }
    }
}

fn encode(address: &Address, snapshot: &Snapshot, seed: u32) -> Vec<u8> {
    let address = address.as_str().as_bytes();
    let mut bytes = vec![0; HEAD];
    put_at(&mut bytes, 0, &(address.len() as u16).to_le_bytes());
    put_at(&mut bytes, 4, &(snapshot.bytes.len() as u32).to_le_bytes());
    put_at(&mut bytes, 12, &crc32c::crc32c_append(seed, &snapshot.bytes).to_le_bytes());
    put_at(&mut bytes, 16, &snapshot.version.to_le_bytes());
    bytes.extend_from_slice(address);
    let crc = head_crc(&bytes, seed);
    put_at(&mut bytes, 8, &crc.to_le_bytes());
    bytes.extend_from_slice(&snapshot.bytes);
    bytes
}

fn head_crc(head: &[u8], seed: u32) -> u32 {
    let crc = crc32c::crc32c_append(seed, head.get(..8).unwrap_or_default());
    crc32c::crc32c_append(crc, head.get(12..).unwrap_or_default())
}

fn parse_head(bytes: &[u8], offset: u64, seed: u32) -> Option<(Address, At)> {
    let address_len = u16_at(bytes, 0)? as usize;
    let head = bytes.get(..HEAD + address_len)?;
    if u32_at(head, 8)? != head_crc(head, seed) {
        return None;
    }
    let address = std::str::from_utf8(head.get(HEAD..)?).ok()?.parse().ok()?;
    let at = At { offset, address_len: address_len as u32, state_len: u32_at(head, 4)?, version: u64_at(head, 16)? };
    Some((address, at))
}

fn read_state(file: &dyn File, at: At, seed: u32) -> Option<Bytes> {
    let mut bytes = vec![0; at.len() as usize];
    let got = read_full(file, &mut bytes, at.offset).ok()?;
    if got < bytes.len() {
        return None;
    }
    parse_head(&bytes, at.offset, seed).filter(|(_, found)| found.version == at.version)?;
    let state_at = HEAD + at.address_len as usize;
    let state = bytes.get(state_at..)?;
    if u32_at(&bytes, 12)? != crc32c::crc32c_append(seed, state) {
        return None;
    }
    Some(Bytes::from(bytes).slice(state_at..))
}
