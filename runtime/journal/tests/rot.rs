//! Damage to a closed history is told with file and offset, or makes no difference at all.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

mod support;

use std::time::Duration;

use mesh_journal::{
    OpenError, Options,
    files::{Files, SimFiles},
};
use mesh_kernel::ports::{Journal, JournalError, Recorded};
use support::{Known, address, everything, open, open_with};

/// A closed history of several segments, and what it says.
async fn closed_history() -> (SimFiles, Known, Vec<Recorded>) {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = Known { len: 600, ..Known::default() };
    for round in 0..5 {
        let crowd: Vec<_> = (0..5).map(|n| (address(&format!("e-{n}")), 1 + (round + n) % 2)).collect();
        known.append_all(journal.as_ref(), &crowd).await;
    }
    let said = everything(journal.as_ref(), None).await.0;
    journal.close().await;
    assert!(files.contents("seg-0000000002.log").is_some(), "the history has only one segment");
    (files, known, said)
}

/// What came of a damage.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    ToldAtOpen { file: String, offset: u64 },
    ToldAtRead { file: String, offset: u64 },
    Harmless,
}

async fn fate(files: &SimFiles, known: &Known, said: &[Recorded], context: &str) -> Fate {
    let journal = match open(files) {
        Ok(journal) => journal,
        Err(OpenError::Journal(JournalError::Damaged { file, offset, .. })) => {
            return Fate::ToldAtOpen { file, offset };
        }
        Err(error) => panic!("{context}: not told as damage: {error}"),
    };
    let mut feed = journal.follow(None, None).unwrap();
    let mut fed = Vec::new();
    let mut told = None;
    loop {
        match feed.poll().await {
            Ok(followed) if followed.records.is_empty() => break,
            Ok(followed) => fed.extend(followed.records),
            Err(JournalError::Damaged { file, offset, .. }) => {
                told = Some(Fate::ToldAtRead { file, offset });
                break;
            }
            Err(error) => panic!("{context}: not told as damage: {error}"),
        }
    }
    // What was fed before the damage was told is right.
    assert_eq!(fed, said[..fed.len()], "{context}: something else was said");
    for (entity, version) in &known.acknowledged {
        match journal.read(entity, 1).await {
            Ok(events) => {
                let own: Vec<_> = said.iter().filter(|event| event.address == *entity).cloned().collect();
                assert_eq!(events, own, "{context}: {entity} at {version}");
            }
            Err(JournalError::Damaged { file, offset, .. }) => {
                told = told.or(Some(Fate::ToldAtRead { file, offset }));
            }
            Err(error) => panic!("{context}: not told as damage: {error}"),
        }
    }
    if told.is_none() {
        assert_eq!(fed.len(), said.len(), "{context}: records were skipped in silence");
    }
    told.unwrap_or(Fate::Harmless)
}

#[tokio::test]
async fn a_flipped_byte_is_told_or_makes_no_difference() {
    let (files, known, said) = closed_history().await;
    let (mut at_open, mut at_read) = (0, 0);
    for (name, at) in some_bytes(&files) {
        for saved_index in [true, false] {
            let files = files.copy();
            if !saved_index && files.unlink("index.ckpt").is_err() {
                continue;
            }
            if !files.flip(&name, at, (at % 8) as u8) {
                continue;
            }
            let context = format!("byte {at} of {name}, saved index: {saved_index}");
            let (file, offset) = match fate(&files, &known, &said, &context).await {
                Fate::ToldAtOpen { file, offset } => {
                    at_open += 1;
                    (file, offset)
                }
                Fate::ToldAtRead { file, offset } => {
                    assert!(saved_index, "{context}: the whole log was read, and nothing told");
                    at_read += 1;
                    (file, offset)
                }
                Fate::Harmless => continue,
            };
            assert_eq!(file, name, "{context}: told of another file");
            assert!(offset <= at as u64, "{context}: told at {offset}");
        }
    }
    assert!(at_open > 1000 && at_read > 1000, "{at_open} were told at open, {at_read} at read");
}

/// Bytes of all files, up to a little behind what is used.
fn some_bytes(files: &SimFiles) -> Vec<(String, usize)> {
    let mut bytes = Vec::new();
    for name in files.list().unwrap() {
        let contents = files.contents(&name).unwrap();
        let used = contents.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 64);
        let some = (0..used.min(contents.len())).step_by(11).chain(4096..4096 + 64);
        bytes.extend(some.map(|at| (name.clone(), at)));
    }
    bytes
}

#[tokio::test]
async fn every_byte_of_a_batch_in_the_middle_matters() {
    let (files, known, said) = closed_history().await;
    let name = "seg-0000000001.log";
    // The first batch: whatever is flipped in it must be told, with its own offset.
    for at in 4096..4096 + 400 {
        let files = files.copy();
        assert!(files.flip(name, at, (at % 8) as u8));
        files.unlink("index.ckpt").ok();
        let told = fate(&files, &known, &said, &format!("byte {at}")).await;
        let expected = Fate::ToldAtOpen { file: name.to_owned(), offset: 4096 };
        assert_eq!(told, expected, "byte {at}");
    }
}

#[tokio::test]
async fn a_look_at_the_whole_log_tells_what_opening_did_not_read() {
    let (files, _, said) = closed_history().await;
    let healthy = open(&files).unwrap();
    let found = healthy.verify().await.unwrap();
    assert_eq!(found.events, said.len() as u64);
    healthy.close().await;
    assert!(files.flip("seg-0000000001.log", 4096 + 200, 1));
    let journal = open(&files).unwrap();
    let told = journal.verify().await;
    assert!(
        matches!(&told, Err(JournalError::Damaged { file, offset: 4096, .. }) if file == "seg-0000000001.log"),
        "{told:?}"
    );
}

#[tokio::test]
async fn damage_to_the_last_batch_is_told_once_a_moment_has_passed() {
    // A mark is written behind it, so it is not taken for a torn tail; even when nobody closes.
    let files = SimFiles::new();
    let options = Options { mark_after: Some(Duration::from_millis(1)), ..Options::simulation() };
    let journal = open_with(&files, options).unwrap();
    let mut known = Known { len: 100, ..Known::default() };
    let before = files.flushes();
    known.append(journal.as_ref(), &address("one"), 1).await;
    let marked = async {
        // The append's flush, and then the mark's.
        while files.flushes() < before + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), marked).await.unwrap();
    files.kill();
    assert!(files.flip("seg-0000000001.log", 4096 + 60, 1));
    let told = fate(&files, &known, &[], "the last batch").await;
    assert_eq!(told, Fate::ToldAtOpen { file: "seg-0000000001.log".to_owned(), offset: 4096 });
}

#[tokio::test]
async fn a_lost_sector_is_told_or_makes_no_difference() {
    let (files, known, said) = closed_history().await;
    let mut told = 0;
    for name in files.list().unwrap() {
        let len = files.contents(&name).unwrap().len();
        for sector in 0..len.div_ceil(512) {
            let files = files.copy();
            assert!(files.zero_sector(&name, sector));
            let context = format!("sector {sector} of {name}");
            if fate(&files, &known, &said, &context).await != Fate::Harmless {
                told += 1;
            }
        }
    }
    assert!(told > 20, "only {told} lost sectors were told");
}

#[tokio::test]
async fn a_missing_segment_is_told() {
    let (files, known, said) = closed_history().await;
    // The newest segment is known from the last open: that is what this one is for.
    open(&files).unwrap().close().await;
    let segments: Vec<String> = files.list().unwrap().into_iter().filter(|name| name.starts_with("seg-")).collect();
    assert!(segments.len() >= 2);
    for name in segments {
        let files = files.copy();
        files.unlink(&name).unwrap();
        let told = fate(&files, &known, &said, &name).await;
        assert_eq!(told, Fate::ToldAtOpen { file: name, offset: 0 });
    }
    let files = files.copy();
    files.unlink("store").unwrap();
    let told = fate(&files, &known, &said, "store").await;
    assert_eq!(told, Fate::ToldAtOpen { file: "store".to_owned(), offset: 0 });
}

#[tokio::test]
async fn a_format_that_we_do_not_know_is_refused_with_both_numbers() {
    let (files, ..) = closed_history().await;
    for name in ["store", "seg-0000000001.log", "seg-0000000002.log"] {
        let files = files.copy();
        let file = files.open(name).unwrap();
        let mut head = vec![0; 64];
        assert_eq!(file.pread(&mut head, 0).unwrap(), 64);
        head[8..12].copy_from_slice(&9_u32.to_le_bytes());
        head[12..16].copy_from_slice(&7_u32.to_le_bytes());
        let crc = crc32c::crc32c(&head[..60]);
        head[60..].copy_from_slice(&crc.to_le_bytes());
        file.pwrite(&head, 0).unwrap();
        let Err(refused) = open(&files) else {
            panic!("{name} of another format was taken");
        };
        let text = refused.to_string();
        assert!(matches!(refused, OpenError::Format { found: 9, min_reader: 7, ours: 2, .. }), "{name}: {text}");
        assert!(text.contains(name) && text.contains("format 9") && text.contains("format 2"), "{text}");
    }
}
