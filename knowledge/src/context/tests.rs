//! Budgets, policy and order of context packages.

use mesh_kernel::{envelope::Classification, ports::Digest};
use proptest::prelude::*;

use super::*;
use crate::{
    id::ChunkId,
    shelf::{Document, Piece, Shelved},
    tokens::{Counter, Vocabulary},
};

fn candidate(n: usize, text: &str, classification: Classification) -> Candidate {
    let path = format!("docs/{n}.md");
    Candidate {
        collection: "docs".to_owned(),
        shelved: Shelved {
            piece: Piece {
                id: ChunkId::of(&path, "", 0),
                place: "Guide".to_owned(),
                prefix: path.clone(),
                text: text.to_owned(),
                first_line: 3,
                last_line: 9,
                tokens: 0,
            },
            document: Document {
                source: "handbook".to_owned(),
                path,
                content: Digest::of(text.as_bytes()),
                revision: "1a2b3c4".to_owned(),
                classification,
                outside: false,
            },
        },
        score: 1.0 / (n + 1) as f64,
        lexical_rank: Some(u32::try_from(n).unwrap() + 1),
        vector_rank: None,
    }
}

fn bounds(tokens: u64) -> Bounds {
    Bounds { tokens, sources: 40, counter: Counter { vocabulary: Vocabulary::Cl100k, estimated: false } }
}

fn below(ceiling: Classification) -> impl Fn(&Candidate) -> Verdict {
    move |candidate| match candidate.shelved.document.classification > ceiling {
        true => Verdict::Deny("above the ceiling".to_owned()),
        false => Verdict::Redact,
    }
}

fn redact(text: &str) -> Option<String> {
    text.contains("hunter2").then(|| text.replace("hunter2", "[removed]"))
}

fn handles(package: &Package) -> Vec<&str> {
    package.sources.iter().map(|source| source.handle.as_str()).collect()
}

#[test]
fn the_best_stands_first_the_second_best_last_and_each_says_where_it_is_from() {
    let all = (0..4).map(|n| candidate(n, &format!("text number {n}"), Classification::Internal)).collect();
    let package = pack(all, &bounds(1_000), &below(Classification::Internal), &redact);
    assert_eq!(handles(&package), ["S1", "S3", "S4", "S2"]);
    assert!(package.text.contains("[S2] docs/handbook@1a2b3c4#docs/1.md:3-9\ntext number 1\n"), "{}", package.text);
    assert!(package.tokens_used <= 1_000);
}

#[test]
fn what_policy_denies_is_told_without_text_or_name_and_secrets_are_redacted_before_they_are_counted() {
    let all = vec![
        candidate(0, "the board's plan", Classification::Restricted),
        candidate(1, "the password is hunter2", Classification::Internal),
        candidate(2, "the password   is hunter2", Classification::Internal),
    ];
    let package = pack(all, &bounds(1_000), &below(Classification::Internal), &redact);
    assert_eq!(handles(&package), ["S1"]);
    assert!(package.sources[0].redacted);
    assert!(package.text.contains("[removed]") && !package.text.contains("hunter2"));
    let reasons: Vec<_> = package.left_out.iter().map(|left| (left.reason, left.path.as_str())).collect();
    assert_eq!(reasons, [(Reason::Policy, ""), (Reason::Duplicate, "docs/2.md")]);
    assert!(!format!("{:?}", package).contains("board"));
}

#[test]
fn a_piece_that_does_not_fit_leaves_room_for_a_smaller_one() {
    let long = "many words ".repeat(200);
    let all = vec![candidate(0, &long, Classification::Public), candidate(1, "few words", Classification::Public)];
    let package = pack(all, &bounds(80), &below(Classification::Internal), &redact);
    assert_eq!(handles(&package), ["S1"]);
    assert_eq!(package.sources[0].candidate.shelved.piece.text, "few words");
    assert_eq!(package.left_out[0].reason, Reason::Budget);
    let none =
        pack(vec![candidate(0, &long, Classification::Public)], &bounds(10), &below(Classification::Internal), &redact);
    assert_eq!((none.text.as_str(), none.tokens_used), ("", 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_package_passes_its_budget_or_holds_more_sources_than_it_may(
        texts in proptest::collection::vec("[ -~é\n]{0,400}", 0..60),
        tokens in 0_u64..2_000,
        sources in 0_usize..60,
        estimated: bool,
    ) {
        let counter = Counter { vocabulary: Vocabulary::Cl100k, estimated };
        let bounds = Bounds { tokens, sources, counter };
        let all: Vec<Candidate> =
            texts.iter().enumerate().map(|(n, text)| candidate(n, text, Classification::Public)).collect();
        let count = all.len();
        let package = pack(all.clone(), &bounds, &below(Classification::Internal), &redact);
        prop_assert!(counter.count(&package.text) == package.tokens_used && package.tokens_used <= tokens);
        prop_assert!(package.sources.len() <= sources.min(SOURCES_MAX));
        prop_assert_eq!(package.sources.len() + package.left_out.len(), count);
        prop_assert_eq!(package, pack(all, &bounds, &below(Classification::Internal), &redact));
    }
}
