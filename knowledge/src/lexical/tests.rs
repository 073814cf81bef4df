use std::fs;

use super::*;

fn id(number: u128) -> ChunkId {
    ChunkId::from_u128(number << 100 | number)
}

fn body(text: &str) -> Document<'_> {
    Document { path: "docs/file.md", body: text, ..Document::default() }
}

fn open(folder: &std::path::Path) -> Index {
    Index::open(folder, Options::default()).unwrap()
}

fn found(index: &Index, question: &str) -> Vec<ChunkId> {
    index.search(question, 10, &Filter::default()).unwrap().into_iter().map(|hit| hit.id).collect()
}

#[test]
fn what_is_flushed_is_found_again_after_a_restart_with_its_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    assert_eq!((index.cursor(), index.count()), (0, 0));
    index.upsert(&[(id(1), body("budgets are counted in tokens")), (id(2), body("mailboxes are bounded"))]).unwrap();
    assert_eq!((index.staged(), index.count()), (2, 0));
    assert_eq!(found(&index, "budget"), []);
    index.flush(7).unwrap();
    assert_eq!((index.staged(), found(&index, "how is a budget counted?")), (0, vec![id(1)]));
    index.upsert(&[(id(3), body("never flushed"))]).unwrap();
    drop(index);
    let index = open(folder.path());
    assert_eq!((index.cursor(), index.count()), (7, 2));
    assert_eq!(found(&index, "bounded mailbox"), [id(2)]);
    assert_eq!(found(&index, "flushed"), []);
}

#[test]
fn changes_that_come_again_change_nothing_and_the_last_of_several_holds() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    for cursor in 1..=3 {
        index.upsert(&[(id(1), body("first")), (id(1), body("second")), (id(2), body("third"))]).unwrap();
        index.delete(&[id(2), id(9)]).unwrap();
        index.flush(cursor).unwrap();
        assert_eq!((index.count(), index.cursor()), (1, cursor));
        assert_eq!(found(&index, "first"), []);
        assert_eq!(found(&index, "second third"), [id(1)]);
    }
    assert!(matches!(index.flush(1), Err(Error::Backwards { cursor: 3, asked: 1 })));
}

#[test]
fn a_writer_that_rests_is_opened_again_by_the_next_change() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    index.upsert(&[(id(1), body("one"))]).unwrap();
    index.rest().unwrap();
    assert_eq!(index.staged(), 1, "what is staged keeps it open");
    index.flush(1).unwrap();
    assert!(matches!(open(folder.path()).upsert(&[(id(5), body("x"))]), Err(Error::Busy { .. })));
    index.rest().unwrap();
    index.upsert(&[(id(2), body("two"))]).unwrap();
    index.flush(2).unwrap();
    assert_eq!(index.count(), 2);
}

#[test]
fn nothing_in_a_question_is_syntax() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    index.upsert(&[(id(1), body("a plain text about labels")), (id(2), body("AND OR NOT"))]).unwrap();
    index.flush(1).unwrap();
    for question in [
        "labels:",
        "\"labels",
        "(labels",
        "+labels -text",
        "labels^99 OR *",
        "body:labels~2",
        "[labels TO x]",
        "a AND labels \\",
    ] {
        assert_eq!(found(&index, question).first(), Some(&id(1)), "{question}");
    }
    for nothing in ["", "   ", "?!*\"", "the of and"] {
        assert_eq!(found(&index, nothing), [], "{nothing:?}");
    }
    let long = "labels word ".repeat(50_000);
    assert_eq!(found(&index, &long), [id(1)]);
}

#[test]
fn a_name_is_found_by_its_parts_and_best_where_it_is_defined() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let defines = Document { symbols: "BudgetLedger charge_tokens", ..body("pub fn charge_tokens(&self) {}") };
    index
        .upsert(&[
            (id(1), body("whoever calls charge_tokens pays; charge_tokens is called twice")),
            (id(2), defines),
            (id(3), body("to charge for tokens")),
            (id(4), body("something else")),
        ])
        .unwrap();
    index.flush(1).unwrap();
    assert_eq!(found(&index, "where is charge_tokens defined?").first(), Some(&id(2)));
    assert_eq!(found(&index, "charge_tokens").get(..2), Some(&[id(2), id(1)][..]));
    assert_eq!(found(&index, "charging a token").len(), 3, "parts are words");
    assert_eq!(found(&index, "BudgetLedger"), [id(2)]);
}

#[test]
fn a_filter_asks_for_labels_and_changes_no_score() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let labels: Vec<Vec<String>> = [&["kind=rust", "class=internal"][..], &["kind=rust"], &["kind=markdown"]]
        .iter()
        .map(|labels| labels.iter().map(|label| (*label).to_owned()).collect())
        .collect();
    let chunks: Vec<_> = (1..)
        .zip(&labels)
        .map(|(number, labels)| (id(number), Document { labels, ..body("the same words") }))
        .collect();
    index.upsert(&chunks).unwrap();
    index.flush(1).unwrap();
    let ask = |all: &[&str], any: &[&str], none: &[&str]| {
        let own = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
        let filter = Filter { all: own(all), any: own(any), none: own(none) };
        index.search("words", 10, &filter).unwrap()
    };
    let ids = |hits: Vec<Hit>| hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>();
    assert_eq!(ids(ask(&["kind=rust"], &[], &[])), [id(1), id(2)]);
    assert_eq!(ids(ask(&["kind=rust", "class=internal"], &[], &[])), [id(1)]);
    assert_eq!(ids(ask(&[], &["kind=markdown", "class=internal"], &[])), [id(1), id(3)]);
    assert_eq!(ids(ask(&[], &[], &["class=internal"])), [id(2), id(3)]);
    assert_eq!(ids(ask(&["kind=go"], &[], &[])), []);
    let free = index.search("words", 1, &Filter::default()).unwrap();
    assert_eq!(
        ask(&["kind=rust"], &[], &["class=none"]).first().map(|hit| hit.score),
        free.first().map(|hit| hit.score)
    );
}

#[test]
fn what_was_said_twice_counts_twice() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    index.upsert(&[(id(1), body("retrieval of documents")), (id(2), body("indexing of documents"))]).unwrap();
    index.flush(1).unwrap();
    assert_eq!(found(&index, "indexing, indexing and retrieval").first(), Some(&id(2)));
    assert_eq!(found(&index, "indexing, retrieval and retrieval").first(), Some(&id(1)));
}

#[test]
fn more_changes_than_the_bound_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), Options { staged_max: 2, ..Options::default() }).unwrap();
    index.upsert(&[(id(1), body("one"))]).unwrap();
    let more = [(id(2), body("two")), (id(3), body("three"))];
    assert!(matches!(index.upsert(&more), Err(Error::Full { staged: 3, limit: 2 })));
    index.flush(1).unwrap();
    assert_eq!(index.count(), 1);
    index.upsert(&more).unwrap();
    index.flush(2).unwrap();
    assert_eq!(index.count(), 3);
}

#[test]
fn a_damaged_index_says_that_it_must_be_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    index.upsert(&[(id(1), body("one two three"))]).unwrap();
    index.flush(1).unwrap();
    drop(index);
    let torn: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut told = 0;
    for path in torn.iter().filter(|path| !path.to_string_lossy().ends_with(".lock")) {
        let whole = fs::read(path).unwrap();
        if whole.is_empty() {
            continue;
        }
        let mut broken = whole.clone();
        *broken.get_mut(whole.len() / 2).unwrap() ^= 0x10;
        fs::write(path, &broken).unwrap();
        match Index::open(folder.path(), Options::default()).map(|index| found(&index, "two")) {
            Err(error @ (Error::Damaged { .. } | Error::Format { .. } | Error::Engine { .. })) => {
                told += 1;
                assert!(matches!(error, Error::Engine { .. }) || error.to_string().contains("rebuild"), "{error}");
            }
            Err(other) => panic!("{}: {other}", path.display()),
            // The list of files that the engine keeps for its own tidying says nothing about chunks.
            Ok(found) => assert_eq!(found, [id(1)], "{}", path.display()),
        }
        fs::write(path, &whole).unwrap();
    }
    assert!(told >= 4, "{told}");
    assert_eq!(found(&open(folder.path()), "two"), [id(1)]);
}

#[test]
fn what_one_index_holds_no_other_one_finds() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (open(one.path()), open(two.path()));
    one.upsert(&[(id(1), body("marker of the first tenant"))]).unwrap();
    two.upsert(&[(id(1), body("the second"))]).unwrap();
    one.flush(1).unwrap();
    two.flush(1).unwrap();
    assert_eq!(found(&two, "marker first tenant"), []);
    assert_eq!(found(&one, "marker"), [id(1)]);
}
