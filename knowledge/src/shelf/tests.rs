//! Shelves with their real indexes on a real disk, and the table of words that comes with the binary.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mesh_kernel::{
    envelope::{Classification, TenantId, TenantScope},
    ports::Digest,
};

use super::*;
use crate::{
    embed::{Cpu, Embedder, Error as Unembedded, Model, StaticTable},
    fuse::STATIC_TABLE_ALPHA,
};

/// The table, and how many texts it was given.
struct Counted {
    table: StaticTable,
    texts: AtomicUsize,
}

impl Cpu for Counted {
    fn model(&self) -> &Model {
        self.table.model()
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Unembedded> {
        self.texts.fetch_add(texts.len(), Ordering::Relaxed);
        self.table.embed(texts)
    }
}

struct Desk {
    folder: tempfile::TempDir,
    counted: Arc<Counted>,
    shelves: Arc<Shelves>,
}

impl Desk {
    fn new() -> Self {
        let counted = Arc::new(Counted { table: StaticTable::offline().unwrap(), texts: AtomicUsize::new(0) });
        let folder = tempfile::tempdir().unwrap();
        let shelves =
            Arc::new(Shelves::new(folder.path().to_owned(), Embedder::Cpu(counted.clone()), STATIC_TABLE_ALPHA));
        Self { folder, counted, shelves }
    }

    /// The node starts again.
    fn reopened(self) -> Self {
        let Self { folder, counted, shelves } = self;
        drop(shelves);
        let shelves =
            Arc::new(Shelves::new(folder.path().to_owned(), Embedder::Cpu(counted.clone()), STATIC_TABLE_ALPHA));
        Self { folder, counted, shelves }
    }

    fn embedded(&self) -> usize {
        self.counted.texts.swap(0, Ordering::Relaxed)
    }

    async fn shelve(&self, round: u64, documents: Vec<Incoming>, removed: &[&str]) -> Result<Vec<Outcome>, Error> {
        let removed = removed.iter().map(|path| ("docs".to_owned(), (*path).to_owned())).collect();
        self.shelves.shelve(scope("acme"), "all".to_owned(), standing(round - 1), documents, removed).await
    }

    async fn find(&self, tenant: &str, standing: Standing, wanted: Wanted) -> Result<Vec<Candidate>, Error> {
        self.shelves.search(scope(tenant), "all".to_owned(), standing, wanted).await
    }

    async fn paths(&self, rounds: u64, text: &str) -> Vec<String> {
        let found = self.find("acme", standing(rounds), wanted(text)).await.unwrap();
        found.into_iter().map(|one| one.shelved.document.path).collect()
    }
}

fn scope(tenant: &str) -> TenantScope {
    TenantScope::unproven(TenantId::parse(tenant).unwrap())
}

fn standing(rounds: u64) -> Standing {
    Standing { generation: 0, began: 0, rounds }
}

fn wanted(text: &str) -> Wanted {
    Wanted {
        text: text.to_owned(),
        count: 10,
        sources: Vec::new(),
        path_prefix: String::new(),
        ceiling: Classification::Restricted,
        inside_only: false,
    }
}

fn document(path: &str, text: &str, classification: Classification) -> Incoming {
    let document = Document {
        source: "docs".to_owned(),
        path: path.to_owned(),
        content: Digest::of(text.as_bytes()),
        revision: "abc1234".to_owned(),
        classification,
        outside: false,
    };
    Incoming { document, bytes: text.to_owned().into() }
}

fn internal(path: &str, text: &str) -> Incoming {
    document(path, text, Classification::Internal)
}

const CATS: &str = "# Cats\n\nA cat sleeps most of the day and purrs.\n";
const SHIPS: &str = "# Ships\n\nThe harbour master logs every vessel.\n\n# Cranes\n\nCranes lift containers.\n";

#[tokio::test]
async fn what_was_shelved_is_found_with_its_lines_also_after_a_start() {
    let desk = Desk::new();
    let outcomes = desk.shelve(1, vec![internal("cats.md", CATS), internal("ships.md", SHIPS)], &[]).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.chunks > 0 && outcome.skipped.is_none()), "{outcomes:?}");
    let desk = desk.reopened();
    assert_eq!(desk.paths(1, "harbour vessel").await[0], "ships.md");
    let found = desk.find("acme", standing(1), wanted("a kitten that purrs")).await.unwrap();
    let best = &found[0];
    assert_eq!(best.citation(), "all/docs@abc1234#cats.md:1-3");
    assert!(best.shelved.piece.text.contains("purrs"));
    assert!(best.lexical_rank.is_some() && best.vector_rank.is_some(), "both legs were asked: {best:?}");
}

#[tokio::test]
async fn a_round_that_is_done_again_and_a_chunk_that_is_the_same_are_not_embedded_again() {
    let desk = Desk::new();
    let all = || vec![internal("cats.md", CATS), internal("ships.md", SHIPS)];
    let first = desk.shelve(1, all(), &[]).await.unwrap();
    assert!(desk.embedded() > 0);
    assert_eq!(desk.shelve(1, all(), &[]).await.unwrap(), first);
    assert_eq!(desk.embedded(), 0);
    let longer = format!("{CATS}\n{}\n# Dogs\n\nA dog barks at night.\n", "Cats like boxes. ".repeat(120));
    desk.shelve(2, vec![internal("cats.md", &longer)], &[]).await.unwrap();
    desk.embedded();
    let changed = longer.replace("barks", "howls");
    let outcome = desk.shelve(3, vec![internal("cats.md", &changed)], &[]).await.unwrap();
    assert!(outcome[0].chunks > 1, "{outcome:?}");
    assert_eq!(desk.embedded(), 1, "only the chunk that changed");
    assert_eq!(desk.paths(3, "dog howls").await[0], "cats.md");
}

#[tokio::test]
async fn what_is_gone_or_changed_is_found_no_more() {
    let desk = Desk::new();
    desk.shelve(1, vec![internal("cats.md", CATS), internal("ships.md", SHIPS)], &[]).await.unwrap();
    desk.shelve(2, vec![internal("ships.md", "# Ships\n\nSold.\n")], &["cats.md"]).await.unwrap();
    assert_eq!(desk.paths(2, "cat purrs harbour vessel cranes").await, ["ships.md"]);
    let left: Vec<_> = desk.paths(2, "cat purrs").await;
    assert!(!left.contains(&"cats.md".to_owned()), "{left:?}");
}

#[tokio::test]
async fn sources_paths_and_ceilings_bound_what_is_found() {
    let desk = Desk::new();
    let mut other = internal("notes/cats.md", CATS);
    other.document.source = "notes".to_owned();
    let secret = document("secret.md", "# Cats\n\nThe cat of the board purrs.\n", Classification::Restricted);
    desk.shelve(1, vec![internal("cats.md", CATS), other, secret], &[]).await.unwrap();
    let paths = async |wanted: Wanted| -> Vec<String> {
        let found = desk.find("acme", standing(1), wanted).await.unwrap();
        let mut paths: Vec<String> = found.into_iter().map(|one| one.shelved.document.path).collect();
        paths.sort();
        paths
    };
    let cats = || wanted("cat purrs");
    assert_eq!(paths(cats()).await, ["cats.md", "notes/cats.md", "secret.md"]);
    let below = Wanted { ceiling: Classification::Internal, ..cats() };
    assert_eq!(paths(below).await, ["cats.md", "notes/cats.md"]);
    let of_notes = Wanted { sources: vec!["notes".to_owned()], ..cats() };
    assert_eq!(paths(of_notes).await, ["notes/cats.md"]);
    let mut foreign = internal("foreign.md", CATS);
    foreign.document.outside = true;
    desk.shelve(2, vec![foreign], &[]).await.unwrap();
    let inside = Wanted { inside_only: true, ..cats() };
    assert_eq!(paths(inside).await, ["cats.md", "notes/cats.md", "secret.md"]);
    let in_folder = Wanted { path_prefix: "notes/".to_owned(), ..cats() };
    assert_eq!(paths(in_folder).await, ["notes/cats.md"]);
}

#[tokio::test]
async fn another_tenant_finds_nothing_and_a_forgotten_one_leaves_nothing() {
    let desk = Desk::new();
    desk.shelve(1, vec![internal("cats.md", CATS)], &[]).await.unwrap();
    let found = desk.find("beta", standing(0), wanted("cat purrs")).await.unwrap();
    assert_eq!(found, []);
    desk.shelves.forget(&scope("acme")).unwrap();
    desk.shelves.forget(&scope("acme")).unwrap();
    assert!(!desk.folder.path().join("acme").exists());
    assert!(desk.folder.path().join("beta").exists());
}

#[tokio::test]
async fn a_shelf_that_was_lost_says_so_and_the_next_generation_begins_anew() {
    let desk = Desk::new();
    desk.shelve(1, vec![internal("cats.md", CATS)], &[]).await.unwrap();
    let behind = desk.find("acme", standing(2), wanted("cat")).await.unwrap_err();
    assert!(behind.wants_rebuild(), "{behind}");
    let skipped = desk.shelve(3, vec![internal("ships.md", SHIPS)], &[]).await.unwrap_err();
    assert!(skipped.wants_rebuild(), "{skipped}");
    let again = vec![internal("cats.md", CATS)];
    let second = Standing { generation: 1, began: 2, rounds: 2 };
    desk.shelves.shelve(scope("acme"), "all".to_owned(), second, again, Vec::new()).await.unwrap();
    let found = desk.find("acme", Standing { rounds: 3, ..second }, wanted("cat")).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(!desk.folder.path().join("acme/all/g0").exists());
}

#[tokio::test]
async fn what_is_no_text_is_told_with_its_reason() {
    let desk = Desk::new();
    let mut binary = internal("logo.png", "");
    binary.bytes = vec![0x89, 0x50, 0, 1].into();
    let outcomes = desk.shelve(1, vec![binary, internal("empty.md", "")], &[]).await.unwrap();
    let reasons: Vec<String> = outcomes.into_iter().map(|outcome| outcome.skipped.unwrap_or_default()).collect();
    assert!(reasons[0].contains("binary") && reasons[1].contains("empty"), "{reasons:?}");
}
