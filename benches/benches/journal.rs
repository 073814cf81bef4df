//! The journal on a real disk, with the flush on; beside it, in the same run, what it is built
//! instead of.
//!
//! `cargo bench -p mesh-benches --bench journal`; with `--features peers` also two libraries behind
//! the same group commit. Each number is the time of one durable append of 300 bytes, seen by
//! writers that wait for it before they append again.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on must stop, and it has no kernel around it; criterion documents nothing"
)]

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::{BoxFuture, join_all};
use mesh_journal::{EmbeddedJournal, Options};
use mesh_kernel::{
    envelope::Address,
    ports::{Append, AppendOutcome, Journal, Wake},
    task,
};
use parking_lot::{Condvar, Mutex};
use tokio::{runtime::Runtime, sync::oneshot};

const WRITERS: [usize; 3] = [1, 32, 256];
const EVENT_LEN: usize = 300;

criterion_group! {
    name = journal;
    config = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(6));
    targets = flush, append, open, read
}
criterion_main!(journal);

/// Something that makes one event of a writer durable.
trait Engine: Send + Sync + 'static {
    fn append(&self, writer: usize) -> BoxFuture<'_, ()>;
}

/// The floor: one thread, one record, one flush.
fn flush(criterion: &mut Criterion) {
    let folder = scratch();
    let file = zeros(&folder.path().join("flush"));
    let event = event();
    let mut offset = 0;
    let mut group = criterion.benchmark_group("flush");
    group.throughput(Throughput::Elements(1));
    group.bench_function("pwrite and fdatasync", |bencher| {
        bencher.iter(|| {
            file.write_all_at(&event, offset).unwrap();
            file.sync_data().unwrap();
            offset = (offset + event.len() as u64) % (ZEROS - EVENT_LEN as u64);
        });
    });
    group.finish();
}

fn append(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(1));
    for (name, open) in engines() {
        let folder = scratch();
        let engine = open(folder.path());
        for writers in WRITERS {
            let id = BenchmarkId::new(name, writers);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|appends| run(&runtime, &engine, writers, appends));
            });
        }
    }
    group.finish();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn run(runtime: &Runtime, engine: &Arc<dyn Engine>, writers: usize, appends: u64) -> Duration {
    runtime.block_on(async {
        let started = Instant::now();
        let tasks = (0..writers).map(|writer| {
            let engine = engine.clone();
            let share = appends / writers as u64 + u64::from((writer as u64) < appends % writers as u64);
            task::spawn("writer", async move {
                for _ in 0..share {
                    engine.append(writer).await;
                }
            })
        });
        for ended in join_all(tasks).await {
            ended.unwrap();
        }
        started.elapsed()
    })
}

/// How long a store of 200,000 events of 10,000 entities takes to open, after a kill (the whole
/// log is read) and after a close (the saved index is).
fn open(criterion: &mut Criterion) {
    let folder = scratch();
    fill(folder.path());
    let mut group = criterion.benchmark_group("open");
    group.sample_size(10);
    group.bench_function("200k events, saved index", |bencher| {
        bencher.iter(|| EmbeddedJournal::open(folder.path(), Options::default()).unwrap());
    });
    group.bench_function("200k events, whole log", |bencher| {
        bencher.iter(|| {
            std::fs::remove_file(folder.path().join("index.ckpt")).ok();
            let options = Options { checkpoint_bytes: u64::MAX, ..Options::default() };
            EmbeddedJournal::open(folder.path(), options).unwrap()
        });
    });
    group.finish();
}

/// What waking an entity of 20 events reads, and how fast a follower goes through everything.
fn read(criterion: &mut Criterion) {
    let runtime = runtime();
    let folder = scratch();
    fill(folder.path());
    let journal = EmbeddedJournal::open(folder.path(), Options::default()).unwrap();
    let mut group = criterion.benchmark_group("read");
    group.sample_size(10);
    let mut next = 0;
    group.bench_function("one entity of 20 events", |bencher| {
        bencher.iter(|| {
            next = (next + 7919) % 10_000;
            let events = runtime.block_on(journal.read(&address("open", next), 1)).unwrap();
            assert_eq!(events.len(), 20);
        });
    });
    group.throughput(Throughput::Elements(200_000));
    group.bench_function("follow 200k events", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let mut feed = journal.follow(None, None).unwrap();
                let mut count = 0;
                while count < 200_000 {
                    count += feed.next().await.unwrap().records.len();
                }
            });
        });
    });
    group.finish();
}

/// 20 events for each of 10,000 entities, a round at a time, so that no two of one lie together.
fn fill(folder: &Path) {
    let journal = EmbeddedJournal::open(folder, Options::default()).unwrap();
    runtime().block_on(async {
        for round in 0..20 {
            for chunk in 0..10 {
                let appends = (0..1000).map(|n| {
                    let address = address("open", chunk * 1000 + n);
                    journal.append(request(journal.as_ref(), address, round))
                });
                join_all(appends).await;
            }
        }
        journal.close().await;
    });
}

type Open = fn(&Path) -> Arc<dyn Engine>;

fn engines() -> Vec<(&'static str, Open)> {
    let mut engines: Vec<(&'static str, Open)> = vec![
        ("journal", |folder| Arc::new(Mesh::open(folder))),
        ("bare loop", |folder| Arc::new(Committer::start(bare(folder)))),
    ];
    #[cfg(feature = "peers")]
    engines.extend(peers::engines());
    engines.shrink_to_fit();
    engines
}

/// On the disk of the build, which a folder of the system for temporary files may not be.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn event() -> Bytes {
    Bytes::from(vec![b'e'; EVENT_LEN])
}

fn address(kind: &str, n: usize) -> Address {
    format!("bench/suite/{kind}/e-{n}").parse().unwrap()
}

fn request(journal: &dyn Journal, address: Address, version: u64) -> Append {
    Append {
        epoch: journal.epoch(address.shard()),
        address,
        expected_version: version,
        events: vec![event().into()],
        key: None,
        wake: Wake::Idle,
    }
}

/// The engine that is measured: each writer appends to an entity of its own.
struct Mesh {
    journal: Arc<EmbeddedJournal>,
    entities: Vec<(Address, AtomicU64)>,
}

impl Mesh {
    fn open(folder: &Path) -> Self {
        Self {
            journal: EmbeddedJournal::open(folder, Options::default()).unwrap(),
            entities: (0..256).map(|n| (address("append", n), AtomicU64::new(0))).collect(),
        }
    }
}

impl Engine for Mesh {
    fn append(&self, writer: usize) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (address, version) = &self.entities[writer];
            let expected = version.load(Ordering::Relaxed);
            let request = request(self.journal.as_ref(), address.clone(), expected);
            let outcome = self.journal.append(request).await;
            assert!(matches!(outcome, AppendOutcome::Appended { .. }), "{outcome:?}");
            version.store(expected + 1, Ordering::Relaxed);
        })
    }
}

/// A bare group commit: a thread that hands all that waits to a function, and then answers.
struct Committer {
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    events: Mutex<VecDeque<(usize, Bytes, oneshot::Sender<()>)>>,
    arrived: Condvar,
}

impl Committer {
    fn start(mut store: impl FnMut(&[(usize, Bytes)]) + Send + 'static) -> Self {
        let waiting = Arc::new(Waiting::default());
        let shared = waiting.clone();
        thread::spawn(move || {
            let (mut batch, mut answers) = (Vec::new(), Vec::new());
            while Arc::strong_count(&shared) > 1 {
                let mut events = shared.events.lock();
                if events.is_empty() {
                    shared.arrived.wait_for(&mut events, Duration::from_millis(100));
                }
                for (writer, event, answer) in events.drain(..) {
                    batch.push((writer, event));
                    answers.push(answer);
                }
                drop(events);
                if !batch.is_empty() {
                    store(&batch);
                }
                batch.clear();
                for answer in answers.drain(..) {
                    let _gone = answer.send(());
                }
            }
        });
        Self { waiting }
    }
}

impl Engine for Committer {
    fn append(&self, writer: usize) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.waiting.events.lock().push_back((writer, event(), answer));
            self.waiting.arrived.notify_one();
            answered.await.unwrap();
        })
    }
}

const ZEROS: u64 = 64 * 1024 * 1024;

fn zeros(path: &Path) -> File {
    let file = OpenOptions::new().create_new(true).write(true).open(path).unwrap();
    let chunk = vec![0; 1024 * 1024];
    for at in (0..ZEROS).step_by(chunk.len()) {
        file.write_all_at(&chunk, at).unwrap();
    }
    file.sync_all().unwrap();
    file
}

/// No checks, no index, no rotation: it writes over one file of zeros, again and again.
fn bare(folder: &Path) -> impl FnMut(&[(usize, Bytes)]) + Send + 'static {
    let file = zeros(&folder.join("bare"));
    let (mut buffer, mut offset) = (Vec::new(), 0);
    move |batch| {
        buffer.clear();
        for (writer, event) in batch {
            buffer.extend_from_slice(&(*writer as u32).to_le_bytes());
            buffer.extend_from_slice(&(event.len() as u32).to_le_bytes());
            buffer.extend_from_slice(event);
        }
        if offset + buffer.len() as u64 > ZEROS {
            offset = 0;
        }
        file.write_all_at(&buffer, offset).unwrap();
        file.sync_data().unwrap();
        offset += buffer.len() as u64;
    }
}

/// Libraries behind the same group commit: one transaction and one flush for each batch.
#[cfg(feature = "peers")]
mod peers {
    use std::{path::Path, sync::Arc};

    use bytes::Bytes;
    use fjall::{Database, KeyspaceCreateOptions, PersistMode};
    use redb::{Durability, TableDefinition};

    use super::{Committer, Open};

    pub(super) fn engines() -> Vec<(&'static str, Open)> {
        vec![
            ("fjall", |folder| Arc::new(Committer::start(fjall(folder)))),
            ("redb", |folder| Arc::new(Committer::start(redb(folder)))),
        ]
    }

    fn key(writer: usize, sequence: u64) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&(writer as u64).to_be_bytes());
        key[8..].copy_from_slice(&sequence.to_be_bytes());
        key
    }

    fn fjall(folder: &Path) -> impl FnMut(&[(usize, Bytes)]) + Send + 'static {
        let database = Database::builder(folder.join("fjall")).open().unwrap();
        let events = database.keyspace("events", KeyspaceCreateOptions::default).unwrap();
        let mut sequence = 0;
        move |batch| {
            let mut write = database.batch().durability(Some(PersistMode::SyncData));
            for (writer, event) in batch {
                sequence += 1;
                write.insert(&events, key(*writer, sequence), event.as_ref());
            }
            write.commit().unwrap();
        }
    }

    fn redb(folder: &Path) -> impl FnMut(&[(usize, Bytes)]) + Send + 'static {
        const EVENTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("events");
        let database = redb::Database::create(folder.join("redb")).unwrap();
        let mut sequence = 0;
        move |batch| {
            let mut write = database.begin_write().unwrap();
            write.set_durability(Durability::Immediate).unwrap();
            {
                let mut events = write.open_table(EVENTS).unwrap();
                for (writer, event) in batch {
                    sequence += 1;
                    events.insert(key(*writer, sequence).as_slice(), event.as_ref()).unwrap();
                }
            }
            write.commit().unwrap();
        }
    }
}
