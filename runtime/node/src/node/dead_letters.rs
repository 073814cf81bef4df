//! Dead letters on disk: one small file each, in its tenant's own folder, whole and replayable.
//!
//! A file and not a row: they are few, they are looked at when something is wrong, and then nothing
//! should stand between a person and what is there.

use std::{
    collections::{HashSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use mesh_kernel::{
    BoxFuture,
    actor::{DeadLetter, DeadLetterSink},
    envelope::{ErrorKind, EventId, Refusal, TenantId, TenantScope, Timestamp, decode, encode, hex, json},
    ports::Position,
};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::gateway::{
    DeadLetters, DeadRow,
    lists::{Page, PageRequest},
};

/// Dead letters that a node keeps. Beyond it the oldest of the same tenant that was replayed makes
/// room, else the newest is told to the log alone.
const KEPT_MAX: u64 = 100_000;

/// Messages whose letters are remembered, so that none is laid here twice.
const LAST_MAX: usize = 1024;

/// A dead letter as it lies on disk. `envelope` is for people; `wire` is what is replayed.
#[derive(Serialize, Deserialize)]
struct Letter {
    reason: String,
    attempts: u32,
    at: Timestamp,
    errors: Vec<String>,
    #[serde(default)]
    replayed_at: Option<Timestamp>,
    envelope: serde_json::Value,
    wire: String,
}

/// Dead letters in a folder.
pub struct FolderDeadLetters {
    folder: PathBuf,
    count: AtomicU64,
    next: AtomicU64,
    /// The messages of the last letters.
    last: Mutex<VecDeque<EventId>>,
    /// Tenants that are gone: of them none is kept. Held while a letter is written.
    gone: RwLock<HashSet<TenantId>>,
}

impl FolderDeadLetters {
    /// The letters in this folder, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let letters = Self {
            folder: folder.to_path_buf(),
            count: AtomicU64::new(0),
            next: AtomicU64::new(0),
            last: Mutex::default(),
            gone: RwLock::default(),
        };
        let count = letters.tenants()?.iter().map(|tenant| letters.ids(tenant).len() as u64).sum();
        letters.count.store(count, Ordering::Relaxed);
        Ok(letters)
    }

    fn tenants(&self) -> io::Result<Vec<TenantId>> {
        let names = fs::read_dir(&self.folder)?.flatten().map(|entry| entry.file_name());
        Ok(names.filter_map(|name| TenantId::parse(name.to_str()?).ok()).collect())
    }

    /// The ids of a tenant's letters, oldest first: ids begin with the time.
    fn ids(&self, tenant: &TenantId) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.join(tenant.as_str())) else { return Vec::new() };
        let mut ids: Vec<String> = entries
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
            .collect();
        ids.sort();
        ids
    }

    fn file(&self, tenant: &TenantId, id: &str) -> Option<PathBuf> {
        let plain = id.starts_with("dead-") && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        plain.then(|| self.folder.join(tenant.as_str()).join(format!("{id}.json")))
    }

    fn read(&self, tenant: &TenantId, id: &str) -> Option<DeadRow> {
        let text = fs::read(self.file(tenant, id)?).ok()?;
        let letter: Letter = serde_json::from_slice(&text)
            .inspect_err(|error| tracing::error!(%tenant, id, %error, "a dead letter cannot be read"))
            .ok()?;
        let envelope = decode(&hex::decode(&letter.wire)?).ok()?;
        Some(DeadRow {
            id: id.to_owned(),
            envelope: envelope.into(),
            reason: letter.reason,
            attempts: letter.attempts,
            at: letter.at,
            errors: letter.errors,
            replayed_at: letter.replayed_at,
        })
    }

    fn write(&self, tenant: &TenantId, id: &str, letter: &Letter) -> io::Result<()> {
        let Some(path) = self.file(tenant, id) else { return Err(io::ErrorKind::InvalidInput.into()) };
        let fresh = path.with_extension("new");
        fs::create_dir_all(self.folder.join(tenant.as_str()))?;
        fs::write(&fresh, serde_json::to_vec_pretty(letter)?)?;
        fs::rename(&fresh, &path)
    }

    /// Whether this message was just laid here. A reaction to a quarantined entity is told twice: by its
    /// mailbox, and by whoever sent it and was refused.
    fn is_kept(&self, message: &EventId) -> bool {
        let mut last = self.last.lock();
        if last.contains(message) {
            return true;
        }
        if last.len() == LAST_MAX {
            last.pop_front();
        }
        last.push_back(message.clone());
        false
    }

    /// Removes all letters of a tenant, and keeps no more of it.
    ///
    /// # Errors
    /// When its folder cannot be removed.
    pub fn erase(&self, tenant: &TenantId) -> io::Result<()> {
        self.gone.write().insert(tenant.clone());
        let count = self.ids(tenant).len() as u64;
        match fs::remove_dir_all(self.folder.join(tenant.as_str())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let before = self.count.load(Ordering::Relaxed);
        self.count.store(before.saturating_sub(count), Ordering::Relaxed);
        Ok(())
    }

    /// Removes the oldest letter of the tenant that was replayed; false when there is none.
    fn make_room(&self, tenant: &TenantId) -> bool {
        let replayed = |id: &String| self.read(tenant, id).is_some_and(|row| row.replayed_at.is_some());
        let Some(path) = self.ids(tenant).into_iter().find(replayed).and_then(|id| self.file(tenant, &id)) else {
            return false;
        };
        let removed = fs::remove_file(path).is_ok();
        if removed {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        removed
    }
}

impl DeadLetterSink for FolderDeadLetters {
    fn put(&self, dead: DeadLetter) {
        let tenant = dead.envelope.tenant_id.clone();
        let gone = self.gone.read();
        if gone.contains(&tenant) || self.is_kept(&dead.envelope.event_id) {
            return;
        }
        if self.count.load(Ordering::Relaxed) >= KEPT_MAX && !self.make_room(&tenant) {
            tracing::error!(%tenant, envelope = %json(&dead.envelope), "no room for another dead letter: replay some");
            return;
        }
        let id = format!("dead-{:020}-{:04}", dead.at.unix_nanos(), self.next.fetch_add(1, Ordering::Relaxed) % 10_000);
        let letter = Letter {
            reason: dead.reason.as_str().to_owned(),
            attempts: u32::from(dead.attempts),
            at: dead.at,
            errors: dead.errors,
            replayed_at: None,
            envelope: json(&dead.envelope),
            wire: hex::encode(&encode(&dead.envelope)),
        };
        match self.write(&tenant, &id, &letter) {
            Ok(()) => {
                self.count.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%tenant, id, reason = letter.reason, event = %dead.envelope.event_type, "dead letter");
            }
            Err(error) => {
                tracing::error!(%tenant, %error, envelope = %letter.envelope, "a dead letter could not be kept")
            }
        }
    }
}

impl DeadLetters for FolderDeadLetters {
    fn list<'a>(
        &'a self,
        scope: Option<&'a TenantScope>,
        include_replayed: bool,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<DeadRow>, Refusal>> {
        Box::pin(async move {
            let tenants = match scope {
                Some(scope) => vec![scope.tenant().clone()],
                None => self.tenants().map_err(|error| unreadable(&error))?,
            };
            let mut all: Vec<(String, TenantId)> = tenants
                .into_iter()
                .flat_map(|tenant| self.ids(&tenant).into_iter().map(move |id| (id, tenant.clone())))
                .filter(|(id, _)| page.after.as_ref().is_none_or(|after| id < after))
                .collect();
            all.sort_by(|a, b| b.0.cmp(&a.0));
            let mut rows = Vec::new();
            let mut next = None;
            for (id, tenant) in all {
                if rows.len() == page.size {
                    next = rows.last().map(|row: &DeadRow| row.id.clone());
                    break;
                }
                rows.extend(self.read(&tenant, &id).filter(|row| include_replayed || row.replayed_at.is_none()));
            }
            Ok(Page { rows, next, position: Position::default() })
        })
    }

    fn get<'a>(
        &'a self,
        scope: Option<&'a TenantScope>,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<DeadRow>, Refusal>> {
        Box::pin(async move {
            let tenants = match scope {
                Some(scope) => vec![scope.tenant().clone()],
                None => self.tenants().map_err(|error| unreadable(&error))?,
            };
            Ok(tenants.iter().find_map(|tenant| self.read(tenant, id)))
        })
    }

    fn replayed<'a>(&'a self, id: &'a str, at: Timestamp) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            for tenant in self.tenants().map_err(|error| unreadable(&error))? {
                let Some(path) = self.file(&tenant, id) else { continue };
                let Ok(text) = fs::read(path) else { continue };
                let mut letter: Letter = serde_json::from_slice(&text).map_err(|error| {
                    Refusal::new("DLQ-0002", ErrorKind::Internal, format!("the dead letter `{id}`: {error}"))
                })?;
                letter.replayed_at = Some(at);
                return self.write(&tenant, id, &letter).map_err(|error| unreadable(&error));
            }
            Ok(())
        })
    }
}

fn unreadable(error: &io::Error) -> Refusal {
    Refusal::new("DLQ-0001", ErrorKind::Unavailable, format!("the dead letters cannot be reached: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mesh_kernel::{
        actor::DeadReason,
        envelope::{Address, CorrelationId, Envelope, Headers, Principal, TraceId},
    };

    use super::*;

    fn letter(tenant: &str, at: i64) -> DeadLetter {
        let subject: Address = format!("{tenant}/p/k/1").parse().unwrap();
        let event_id = EventId::parse(&format!("evt-{at}")).unwrap();
        DeadLetter {
            envelope: Arc::new(Envelope {
                correlation_id: CorrelationId::from(&event_id),
                causation_id: event_id.clone(),
                event_id,
                event_type: "AddCount".into(),
                tenant_id: TenantId::parse(tenant).unwrap(),
                project_id: None,
                module_id: None,
                trace_id: TraceId::parse("trace-1").unwrap(),
                occurred_at: Timestamp::from_unix_nanos(at),
                payload: bytes::Bytes::from_static(b"{\"by\":1}"),
                headers: Headers::new(subject, Principal::system("test")),
            }),
            reason: DeadReason::Poison,
            attempts: 2,
            at: Timestamp::from_unix_nanos(at),
            incarnation: 1,
            errors: vec!["broke".to_owned()],
        }
    }

    fn scope(tenant: &str) -> TenantScope {
        TenantScope::unproven(TenantId::parse(tenant).unwrap())
    }

    #[tokio::test]
    async fn a_letter_is_kept_whole_and_only_its_tenant_sees_it() {
        let folder = tempfile::tempdir().unwrap();
        let letters = FolderDeadLetters::open(folder.path()).unwrap();
        letters.put(letter("acme", 1));
        letters.put(letter("acme", 2));
        letters.put(letter("acme", 2));
        letters.put(letter("zeta", 3));
        let page = |after| PageRequest { size: 1, after };
        let acme = scope("acme");
        let first = letters.list(Some(&acme), false, page(None)).await.unwrap();
        assert_eq!(first.rows[0].at, Timestamp::from_unix_nanos(2));
        assert_eq!(*first.rows[0].envelope, *letter("acme", 2).envelope);
        let second = letters.list(Some(&acme), false, page(first.next)).await.unwrap();
        assert_eq!((second.rows.len(), second.next), (1, None));
        assert_eq!(letters.list(None, false, PageRequest { size: 9, after: None }).await.unwrap().rows.len(), 3);
        let id = &second.rows[0].id;
        assert!(letters.get(Some(&scope("zeta")), id).await.unwrap().is_none(), "another tenant's letter was shown");
        letters.replayed(id, Timestamp::from_unix_nanos(9)).await.unwrap();
        assert!(letters.get(Some(&acme), id).await.unwrap().unwrap().replayed_at.is_some());
        assert_eq!(letters.list(Some(&acme), false, PageRequest { size: 9, after: None }).await.unwrap().rows.len(), 1);
    }

    #[tokio::test]
    async fn an_id_cannot_lead_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let letters = FolderDeadLetters::open(folder.path()).unwrap();
        for id in ["../../etc/passwd", "dead-../x", "dead-/etc", ""] {
            assert!(letters.get(Some(&scope("acme")), id).await.unwrap().is_none());
        }
    }
}
