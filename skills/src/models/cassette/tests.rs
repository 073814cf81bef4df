use std::time::Duration;

use super::*;
use crate::contract::testing::Still;

const PATH: &str = "/v1/chat/completions";

fn open(folder: &Path, mode: Mode) -> Cassette {
    Cassette::open(folder, mode, Arc::new(Still)).unwrap()
}

fn asked<'a>(body: &'a str, task: &'a str) -> Asked<'a> {
    Asked { path: PATH, body: body.as_bytes(), task, endpoint: "local", model: "m", secret: "hunter2" }
}

/// Records an answer in pieces.
fn record(cassette: &Cassette, body: &str, task: &str, pieces: &[&'static [u8]]) -> Result<(), Trouble> {
    let Found::Sent(mut recorder) = cassette.find(asked(body, task))? else { panic!("it is recorded already") };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    headers.insert("set-cookie", HeaderValue::from_static("session=1"));
    recorder.head(200, &headers);
    pieces.iter().for_each(|piece| recorder.piece(&Bytes::from_static(piece)));
    recorder.end(false)
}

async fn played(cassette: &Cassette, body: &str, task: &str) -> Result<Vec<Bytes>, Trouble> {
    let Found::Recorded(mut reply) = cassette.find(asked(body, task))? else { panic!("it would be sent") };
    assert_eq!((reply.status, reply.headers.len()), (200, 1), "only headers of the list are kept");
    let mut pieces = Vec::new();
    while let Some(piece) = reply.body.next().await? {
        pieces.push(piece);
    }
    Ok(pieces)
}

#[tokio::test]
async fn what_was_recorded_is_played_byte_for_byte_in_its_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let pieces: [&'static [u8]; 3] = [b"data: \xc3", b"\xa9", b"\n\n"];
    record(&open(folder.path(), Mode::Record), "{\"a\":1}", "t", &pieces).unwrap();
    let cassette = open(folder.path(), Mode::Replay);
    assert_eq!(played(&cassette, "{\"a\": 1.0}", "t").await.unwrap(), pieces);
}

#[tokio::test]
async fn equal_requests_are_answered_in_order_and_each_task_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cassette = open(folder.path(), Mode::Record);
    for answer in [b"first".as_slice(), b"second"] {
        record(&cassette, "{}", "one", &[answer]).unwrap();
    }
    let cassette = open(folder.path(), Mode::Replay);
    for task in ["one", "two"] {
        assert_eq!(played(&cassette, "{}", task).await.unwrap(), ["first"]);
        assert_eq!(played(&cassette, "{}", task).await.unwrap(), ["second"]);
        let trouble = played(&cassette, "{}", task).await.unwrap_err();
        assert_eq!(trouble.fault, Fault::NoCassetteEntry);
        assert!(trouble.message.contains("2 times"), "{}", trouble.message);
    }
}

#[tokio::test]
async fn an_attempt_that_came_to_nothing_leaves_no_gap_and_a_second_task_no_second_entry() {
    let folder = tempfile::tempdir().unwrap();
    let cassette = open(folder.path(), Mode::Record);
    drop(cassette.find(asked("{}", "one")).unwrap());
    record(&cassette, "{}", "one", &[b"first"]).unwrap();
    record(&cassette, "{}", "two", &[b"the same from another task"]).unwrap();
    let cassette = open(folder.path(), Mode::Replay);
    assert_eq!(cassette.shelf.lock().entries.len(), 1);
    for task in ["one", "two"] {
        assert_eq!(played(&cassette, "{}", task).await.unwrap(), ["first"]);
    }
}

#[tokio::test]
async fn a_request_without_an_entry_is_shown_the_nearest_and_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    record(&open(folder.path(), Mode::Record), "{\"messages\":[{\"content\":\"when?\"}]}", "t", &[b"x"]).unwrap();
    let cassette = open(folder.path(), Mode::Replay);
    let trouble = played(&cassette, "{\"messages\":[{\"content\":\"where?\"}]}", "t").await.unwrap_err();
    assert_eq!(trouble.fault, Fault::NoCassetteEntry);
    for part in ["entry 1", "/messages/0/content", "when?", "where?", "record it again"] {
        assert!(trouble.message.contains(part), "`{part}` is missing in: {}", trouble.message);
    }
}

#[tokio::test]
async fn what_is_missing_is_recorded_and_then_played() {
    let folder = tempfile::tempdir().unwrap();
    record(&open(folder.path(), Mode::RecordMissing), "{}", "t", &[b"old"]).unwrap();
    let cassette = open(folder.path(), Mode::RecordMissing);
    assert_eq!(played(&cassette, "{}", "t").await.unwrap(), ["old"]);
    record(&cassette, "{\"new\":1}", "t", &[b"new"]).unwrap();
    let cassette = open(folder.path(), Mode::Replay);
    assert_eq!(played(&cassette, "{\"new\":1}", "t").await.unwrap(), ["new"]);
}

#[test]
fn nothing_that_looks_like_a_key_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let cassette = open(folder.path(), Mode::Record);
    let trouble = record(&cassette, "{\"key\":\"sk-abcdefghijklmnopqrst\"}", "t", &[b"x"]).unwrap_err();
    assert_eq!(trouble.fault, Fault::Cassette);
    let trouble = record(&cassette, "{}", "t", &[b"the key is hunter2"]).unwrap_err();
    assert_eq!(trouble.fault, Fault::Cassette);
    assert!(!trouble.message.contains("hunter2"), "{}", trouble.message);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["index.jsonl"]);
    assert_eq!(std::fs::read(folder.path().join("index.jsonl")).unwrap(), b"");
}

#[tokio::test]
async fn an_answer_that_was_changed_afterwards_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    record(&open(folder.path(), Mode::Record), "{}", "t", &[b"true"]).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
        if file.file_name().to_string_lossy().ends_with(".answer") {
            std::fs::write(file.path(), "false").unwrap();
        }
    }
    let trouble = played(&open(folder.path(), Mode::Replay), "{}", "t").await.unwrap_err();
    assert_eq!(trouble.fault, Fault::Cassette);
    assert!(trouble.message.contains("changed"), "{}", trouble.message);
}

#[tokio::test]
async fn a_connection_that_broke_breaks_again() {
    let mut body = Body::Recorded(VecDeque::from([Bytes::from_static(b"x")]), true);
    assert_eq!(body.next().await.unwrap().unwrap(), "x");
    assert_eq!(body.next().await.unwrap_err().fault, Fault::CutOff);
    body.settle(Instant::now() + Duration::from_secs(1)).await.unwrap();
}
