//! Data folders of every format that was ever written are opened by today's code.
//!
//! `tests/fixtures/format-N` is a folder as a program of format N left it. When a format moves, the
//! test below says so, and this makes the next one:
//!
//! ```text
//! MESH_MAKE_FIXTURE=1 cargo test -p mesh-journal --test fixtures
//! ```

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use mesh_journal::{EmbeddedJournal, FolderStore, Options, restore};
use mesh_kernel::{
    envelope::{IdempotencyKey, TenantId, TenantScope, Timestamp},
    ports::{
        Append, AppendOutcome, ContentStore as _, Cursor, Digest, Journal, Position, Reclaim, Retire, Snapshot, Wake,
    },
};
use support::{address, event, everything, request};

const LEN: usize = 200;
const WAKES: [(&str, Wake); 3] = [
    ("unfinished", Wake::Now),
    ("timed", Wake::At(Timestamp::from_unix_nanos(1_800_000_000_000_000_001))),
    ("done", Wake::Idle),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn options() -> Options {
    Options {
        segment_bytes: 8 * 1024,
        first_segment_bytes: 8 * 1024,
        reserve_bytes: 0,
        append_bytes_max: 2048,
        batch_bytes_max: 2048,
        checkpoint_bytes: 8 * 1024,
        ..Options::simulation()
    }
}

fn scope(tenant: &str) -> TenantScope {
    TenantScope::unproven(TenantId::parse(tenant).unwrap())
}

fn keyed(journal: &dyn Journal, name: &str, round: u64, wake: Wake) -> Append {
    let key = IdempotencyKey::parse(&format!("{name}-{round}")).unwrap();
    Append { wake, key: Some(key), ..request(journal, &address(name), round * 2, 2, LEN) }
}

/// An unfinished run, one with a timer, one that is done and was settled otherwise, a snapshot, a
/// cursor in the middle, a body; and since format 2 the retired, the erased and a sparse segment.
async fn make(to: &Path) {
    let journal = EmbeddedJournal::open(&to.join("journal"), options()).unwrap();
    let j = journal.as_ref();
    let recorded = |outcome: AppendOutcome| assert!(matches!(outcome, AppendOutcome::Appended { .. }), "{outcome:?}");
    for n in 0..20 {
        recorded(j.append(request(j, &address(&format!("old-{n}")), 0, 1, LEN)).await);
    }
    for round in 0..4 {
        for (name, wake) in WAKES {
            recorded(j.append(keyed(j, name, round, wake)).await);
        }
        if round == 1 {
            fs::write(to.join("cursor"), &everything(j, None).await.1.0).unwrap();
        }
    }
    let theirs = "globex/suite/thing/erased".parse().unwrap();
    recorded(j.append(request(j, &theirs, 0, 2, LEN)).await);
    recorded(j.erase(&scope("globex")).await);
    for n in 0..20 {
        let address = address(&format!("old-{n}"));
        let epoch = j.epoch(address.shard());
        recorded(j.retire(Retire { address, expected_version: 1, epoch }).await);
    }
    j.settle(&address("done"), 8, Wake::Now);
    j.snapshot_put(&address("unfinished"), Snapshot { version: 8, bytes: Bytes::from_static(b"a state") }).await;
    j.reclaim(Reclaim { seen: Position(2 << 32), tombstones_before: Position(0) }).await.unwrap();
    let bodies = FolderStore::open(&to.join("content"), 0);
    bodies.put(&scope("acme"), Bytes::from_static(b"a body")).await.unwrap();
    journal.backup(&bodies, &to.join("backup"), |_| {}).await.unwrap();
    j.close().await;
    fs::remove_file(to.join("journal/lock")).unwrap();
}

/// The format numbers that a folder's files say they have.
fn formats(folder: &Path) -> String {
    let number = |name: &str| {
        let bytes = fs::read(folder.join("journal").join(name)).unwrap();
        u32::from_le_bytes(bytes[8..12].try_into().unwrap())
    };
    let mut segments: Vec<String> = names(&folder.join("journal"));
    segments.retain(|name| name.starts_with("seg-"));
    segments.sort();
    let cursor = fs::read(folder.join("cursor")).unwrap()[0];
    let manifest = fs::read_to_string(folder.join("backup/manifest")).unwrap_or_default();
    format!(
        "store {}, segments {}, saved index {}, cursors {cursor}, backups `{}`",
        number("store"),
        number(segments.last().unwrap()),
        number("index.ckpt"),
        manifest.lines().next().unwrap_or_default(),
    )
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        if from.join(&name).is_dir() {
            copy(&from.join(&name), &to.join(&name));
        } else {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

/// The fixtures, oldest first.
fn all() -> Vec<(u32, PathBuf)> {
    let mut all: Vec<(u32, PathBuf)> = names(&fixtures())
        .into_iter()
        .map(|name| (name.strip_prefix("format-").unwrap().parse().unwrap(), fixtures().join(name)))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn there_is_a_fixture_of_what_today_writes() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path()).await;
    let today = formats(folder.path());
    let (number, newest) = all().pop().unwrap();
    if formats(&newest) == today {
        return;
    }
    if std::env::var_os("MESH_MAKE_FIXTURE").is_some() {
        return copy(folder.path(), &fixtures().join(format!("format-{}", number + 1)));
    }
    panic!("today's formats have no fixture ({today}): make one, as the head of this file says, and keep the old ones");
}

#[tokio::test]
async fn every_format_is_opened_and_goes_on() {
    for (number, fixture) in all() {
        for saved_index in [true, false] {
            let context = format!("format {number}, saved index: {saved_index}");
            let folder = tempfile::tempdir().unwrap();
            copy(&fixture, folder.path());
            if !saved_index {
                fs::remove_file(folder.path().join("journal/index.ckpt")).unwrap();
            }
            let journal = EmbeddedJournal::open(&folder.path().join("journal"), options()).unwrap();
            says_what_it_said(journal.as_ref(), folder.path(), &context).await;
            ended_is_ended(journal.as_ref(), number, &context).await;
            journal.verify().await.unwrap();
            let bodies = FolderStore::open(&folder.path().join("content"), 0);
            assert_eq!(bodies.get(&scope("acme"), Digest::of(b"a body")).await.unwrap(), "a body", "{context}");
            goes_on(journal.as_ref(), &context).await;
        }
    }
}

#[tokio::test]
async fn every_format_of_backups_is_restored() {
    for (number, fixture) in all() {
        if !fixture.join("backup").is_dir() {
            continue;
        }
        let context = format!("format {number}, restored");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        restore(&fixture.join("backup"), &path.join("journal"), &path.join("content"), |_| {}).unwrap();
        fs::copy(fixture.join("cursor"), path.join("cursor")).unwrap();
        let journal = EmbeddedJournal::open(&path.join("journal"), options()).unwrap();
        for (name, _) in WAKES {
            assert_eq!(journal.version(&address(name)).await.unwrap(), 8, "{context}");
        }
        ended_is_ended(journal.as_ref(), number, &context).await;
        goes_on(journal.as_ref(), &context).await;
    }
}

async fn says_what_it_said(journal: &dyn Journal, folder: &Path, context: &str) {
    for (name, _) in WAKES {
        let entity = address(name);
        let events = journal.read(&entity, 1).await.unwrap();
        let expected: Vec<Bytes> = (1..=8).map(|version| event(&entity, version, LEN)).collect();
        assert_eq!(
            events.into_iter().map(|event| event.event.bytes().clone()).collect::<Vec<_>>(),
            expected,
            "{context}: {name}"
        );
    }
    let mut unfinished = journal.unfinished().await.unwrap();
    unfinished.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("done", Wake::Now), ("timed", WAKES[1].1), ("unfinished", Wake::Now)];
    assert_eq!(unfinished, expected.map(|(name, wake)| (address(name), wake)), "{context}");
    let snapshot = journal.snapshot_get(&address("unfinished")).await;
    assert_eq!(
        snapshot.map(|found| (found.version, found.bytes)),
        Some((8, Bytes::from_static(b"a state"))),
        "{context}"
    );
    let cursor = Cursor(Bytes::from(fs::read(folder.join("cursor")).unwrap()));
    let (rest, _) = everything(journal, Some(cursor)).await;
    assert_eq!(rest.len(), 12, "{context}: behind the cursor");
}

/// Nothing had ended in format 1.
async fn ended_is_ended(journal: &dyn Journal, number: u32, context: &str) {
    if number < 2 {
        return;
    }
    let erased = "globex/suite/thing/erased".parse().unwrap();
    for entity in [address("old-0"), address("old-19"), erased] {
        let outcome = journal.append(request(journal, &entity, 0, 1, LEN)).await;
        assert_eq!(outcome, AppendOutcome::Retired, "{context}: {entity}");
    }
}

async fn goes_on(journal: &dyn Journal, context: &str) {
    let repeat = journal.append(keyed(journal, "done", 3, Wake::Idle)).await;
    assert_eq!(repeat, AppendOutcome::Duplicate { version: 8 }, "{context}");
    for round in 4..8 {
        for (name, wake) in WAKES {
            let outcome = journal.append(keyed(journal, name, round, wake)).await;
            assert!(matches!(outcome, AppendOutcome::Appended { .. }), "{context}: {outcome:?}");
        }
    }
    for (name, _) in WAKES {
        assert_eq!(journal.read(&address(name), 1).await.unwrap().len(), 16, "{context}: {name}");
    }
}
