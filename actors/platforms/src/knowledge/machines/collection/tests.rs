//! Tables over the collection's machine.

use mesh_kernel::{envelope::Classification, ports::Digest};
use serde_json::json;

use super::{CollectionMachine, Command, Round};
use crate::{
    knowledge::{
        config::Config,
        messages::{Document, Gone, Indexed, Origin},
    },
    table::{Table, check},
};

fn origin(classification: Classification) -> Origin {
    Origin {
        name: "docs".to_owned(),
        uri: "a folder".to_owned(),
        kind: "folder".to_owned(),
        classification,
        outside: false,
    }
}

fn document(path: &str, text: &str) -> Document {
    Document {
        path: path.to_owned(),
        content: Digest::of(text.as_bytes()),
        body: Digest::of(format!("{path} {text}").as_bytes()),
        bytes: text.len() as u64,
        revision: String::new(),
    }
}

fn ingest(documents: &[(&str, &str)], removed: &[&str]) -> Command {
    Command::IngestDocuments {
        origin: origin(Classification::Internal),
        documents: documents.iter().map(|(path, text)| document(path, text)).collect(),
        removed: removed.iter().map(|path| (*path).to_owned()).collect(),
    }
}

fn table() -> Table<CollectionMachine> {
    let config = Config { documents_max: 5, pending_max: 4, round_documents: 2, ..Config::default() };
    Table::new(CollectionMachine(config), "acme/knowledge/collection/docs")
}

fn round(table: &Table<CollectionMachine>) -> Option<Round> {
    let effects = table.wants().effects;
    assert!(effects.len() <= 1, "one round at a time");
    effects.first().map(|effect| serde_json::from_slice(&effect.input).unwrap())
}

/// The round is done as it was asked for.
fn done(round: &Round) -> Command {
    Command::RecordIndexed {
        round: round.round,
        generation: round.generation,
        documents: round
            .documents
            .iter()
            .map(|one| Indexed {
                source: one.source.clone(),
                path: one.document.path.clone(),
                content: one.document.content,
                chunks: 3,
                skipped: String::new(),
            })
            .collect(),
        removed: round.removed.clone(),
        bodies: round.bodies.clone(),
    }
}

fn paths(round: &Round) -> Vec<&str> {
    round.documents.iter().map(|one| one.document.path.as_str()).collect()
}

#[test]
fn what_is_new_or_changed_is_indexed_in_rounds_and_what_is_the_same_is_not() {
    let mut table = table();
    let all = [("a.md", "1"), ("b.md", "1"), ("c.md", "1")];
    check("new", table.send(ingest(&all, &[])), Ok(&["DocumentsIngested"]));
    let first = round(&table).unwrap();
    assert_eq!((first.round, paths(&first)), (1, vec!["a.md", "b.md"]));
    check("done", table.send(done(&first)), Ok(&["DocumentsIndexed"]));
    check("told twice", table.send(done(&first)), Ok(&[]));
    let second = round(&table).unwrap();
    assert_eq!((second.round, paths(&second)), (2, vec!["c.md"]));
    check("done", table.send(done(&second)), Ok(&["DocumentsIndexed"]));
    assert_eq!(round(&table), None);
    check("the same", table.send(ingest(&all, &[])), Ok(&[]));
    let known = table.view_of("known:docs\na.md\nnone.md");
    assert_eq!(known, json!({ "a.md": Digest::of(b"1").to_string() }));
    assert_eq!(table.view_of("standing"), json!({ "rounds": 2, "generation": 0, "began": 0, "pending": 0 }));
    check("changed", table.send(ingest(&[("b.md", "2")], &[])), Ok(&["DocumentsIngested"]));
    let third = round(&table).unwrap();
    assert_eq!(paths(&third), ["b.md"]);
    assert_eq!(third.bodies, [document("b.md", "1").body], "the body of the old text goes");
}

#[test]
fn a_document_that_changes_while_it_is_indexed_is_indexed_again() {
    let mut table = table();
    table.send(ingest(&[("a.md", "1")], &[])).unwrap();
    let first = round(&table).unwrap();
    table.send(ingest(&[("a.md", "2")], &[])).unwrap();
    table.send(done(&first)).unwrap();
    let second = round(&table).unwrap();
    assert_eq!(second.documents[0].document.content, Digest::of(b"2"));
}

#[test]
fn what_is_gone_is_taken_out_of_the_index_with_its_body() {
    let mut table = table();
    table.send(ingest(&[("a.md", "1"), ("b.md", "1")], &[])).unwrap();
    table.send(done(&round(&table).unwrap())).unwrap();
    check("gone", table.send(ingest(&[], &["a.md", "never.md"])), Ok(&["DocumentsIngested"]));
    let next = round(&table).unwrap();
    assert_eq!(next.removed, [Gone { source: "docs".to_owned(), path: "a.md".to_owned() }]);
    assert_eq!(next.bodies, [document("a.md", "1").body]);
    table.send(done(&next)).unwrap();
    let forget = |source: &str, paths: &[&str]| Command::ForgetDocuments {
        source: source.to_owned(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    check("unknown", table.send(forget("docs", &["a.md"])), Err("KNO-0005"));
    check("no source", table.send(forget("code", &[])), Err("KNO-0004"));
    check("all", table.send(forget("docs", &[])), Ok(&["DocumentsForgotten"]));
    assert_eq!(round(&table).unwrap().removed.len(), 1);
    assert_eq!(table.view()["sources"], json!([]));
}

#[test]
fn another_classification_writes_all_of_a_source_again() {
    let mut table = table();
    table.send(ingest(&[("a.md", "1"), ("b.md", "1")], &[])).unwrap();
    table.send(done(&round(&table).unwrap())).unwrap();
    let narrower = Command::IngestDocuments {
        origin: origin(Classification::Restricted),
        documents: Vec::new(),
        removed: Vec::new(),
    };
    check("narrower", table.send(narrower), Ok(&["DocumentsIngested"]));
    let again = round(&table).unwrap();
    assert_eq!(paths(&again), ["a.md", "b.md"]);
    assert!(again.documents.iter().all(|one| one.classification == Classification::Restricted));
}

#[test]
fn a_lost_index_is_made_again_once() {
    let mut table = table();
    let rebuild = |generation| Command::RebuildIndex { generation, reason: "lost".to_owned() };
    check("nothing to lose", table.send(rebuild(0)), Ok(&[]));
    table.send(ingest(&[("a.md", "1"), ("b.md", "1"), ("c.md", "1")], &[])).unwrap();
    table.send(done(&round(&table).unwrap())).unwrap();
    let late = round(&table).unwrap();
    check("lost", table.send(rebuild(0)), Ok(&["IndexRebuilt"]));
    check("late", table.send(done(&late)), Ok(&[]));
    check("told twice", table.send(rebuild(0)), Ok(&[]));
    let again = round(&table).unwrap();
    assert_eq!((again.generation, paths(&again)), (1, vec!["a.md", "b.md"]));
}

#[test]
fn a_failed_round_is_tried_again_later() {
    let mut table = table();
    table.send(ingest(&[("a.md", "1")], &[])).unwrap();
    let fail = || Command::RecordFailure { round: 1, generation: 0, reason: "no room".to_owned() };
    check("failed", table.send(fail()), Ok(&["IndexingFailed"]));
    check("told twice", table.send(fail()), Ok(&[]));
    assert_eq!(round(&table), None);
    assert_eq!(table.view()["problem"], "no room");
    let timer = table.due("index");
    let fire = Command::FireTimer { name: timer.name, due: timer.due };
    check("due", table.send(fire), Ok(&["IndexingResumed"]));
    assert_eq!(table.wants().effects[0].attempt, 2);
    table.send(done(&round(&table).unwrap())).unwrap();
    assert_eq!(table.view()["problem"], "");
}

#[test]
fn bounds_and_names_are_kept() {
    let mut table = table();
    let rows = [
        ("escape", ingest(&[("../a.md", "1")], &[]), Err("KNO-0001")),
        ("absolute", ingest(&[("/a.md", "1")], &[]), Err("KNO-0001")),
        (
            "too many",
            ingest(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1"), ("f", "1")], &[]),
            Err("KNO-0002"),
        ),
        ("four", ingest(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")], &[]), Ok(&["DocumentsIngested"][..])),
        ("the index is behind", ingest(&[("e", "1")], &[]), Err("KNO-0003")),
        ("but what is gone is taken", ingest(&[], &["d"]), Ok(&["DocumentsIngested"][..])),
    ];
    for (what, command, expected) in rows {
        check(what, table.send(command), expected);
    }
}
