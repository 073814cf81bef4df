use super::*;

fn id(number: u128) -> ChunkId {
    ChunkId::from_u128(number)
}

fn leg(way: Way, hits: &[(u128, f32)]) -> Leg {
    Leg { way, hits: hits.iter().map(|(number, score)| (id(*number), *score)).collect() }
}

fn order(outcome: &Outcome) -> Vec<u128> {
    outcome.hits.iter().map(|hit| hit.id.as_u128()).collect()
}

#[test]
fn what_both_ways_find_good_comes_before_what_one_finds_best() {
    let words = leg(Way::Lexical, &[(1, 12.0), (2, 11.0), (3, 2.0)]);
    let vectors = leg(Way::Vector, &[(4, 0.9), (2, 0.85), (5, 0.1)]);
    for method in [Method::Scores, Method::Ranks] {
        let outcome = fuse(&[words.clone(), vectors.clone()], &Options { method, ..Options::default() });
        assert_eq!(order(&outcome).first(), Some(&2), "{method:?}");
        assert_eq!(outcome.hits.len(), 5);
        assert!(outcome.silent.is_empty());
    }
}

#[test]
fn the_share_of_the_vectors_decides_between_two_that_one_way_each_finds() {
    let legs = [leg(Way::Lexical, &[(1, 12.0)]), leg(Way::Vector, &[(2, 0.9)])];
    let with = |alpha| order(&fuse(&legs, &Options { alpha, ..Options::default() }));
    assert_eq!(with(0.2), [1, 2]);
    assert_eq!(with(0.8), [2, 1]);
    assert_eq!(with(0.5), [1, 2], "equal sums stand in the order of their ids");
}

#[test]
fn a_hit_tells_what_each_way_said_of_it() {
    let many: Vec<(u128, f32)> = (0..11).map(|number| (number, 20.0 - number as f32)).collect();
    let legs = [leg(Way::Lexical, &many), leg(Way::Vector, &[(5, 0.5)])];
    let outcome = fuse(&legs, &Options::default());
    let hit = outcome.hits.iter().find(|hit| hit.id == id(5)).unwrap();
    let words = hit.shares.iter().find(|share| share.way == Way::Lexical).unwrap();
    assert_eq!((words.rank, words.score, words.normalised, words.added), (6, 15.0, 0.5, 0.25));
    let vectors = hit.shares.iter().find(|share| share.way == Way::Vector).unwrap();
    assert_eq!((vectors.rank, vectors.normalised), (1, 1.0));
    assert!((hit.score - words.added - vectors.added).abs() < 1e-6);
}

#[test]
fn few_hits_are_measured_from_the_least_that_a_score_can_be() {
    let few = fuse(&[leg(Way::Lexical, &[(1, 10.0), (2, 5.0)])], &Options::default());
    assert_eq!(few.hits.get(1).map(|hit| hit.score), Some(0.5), "not 0, though it is the worst of two");
    let cosines = fuse(&[leg(Way::Vector, &[(1, 1.0), (2, 0.0)])], &Options::default());
    assert_eq!(cosines.hits.get(1).map(|hit| hit.score), Some(0.5));
}

#[test]
fn a_way_that_found_nothing_is_told_and_takes_nothing_away() {
    let legs = [leg(Way::Lexical, &[(1, 10.0)]), leg(Way::Vector, &[])];
    let outcome = fuse(&legs, &Options::default());
    assert_eq!(outcome.silent, [Way::Vector]);
    assert_eq!(outcome.hits.first().map(|hit| hit.score), Some(1.0));
    assert_eq!(fuse(&[], &Options::default()).hits, []);
}

#[test]
fn scores_that_are_no_numbers_are_the_worst_and_break_nothing() {
    let legs = [leg(Way::Lexical, &[(1, f32::NAN), (2, 3.0), (3, f32::INFINITY)])];
    assert_eq!(order(&fuse(&legs, &Options::default())).first(), Some(&2));
}

#[test]
fn the_graph_lifts_what_it_knows_and_never_outweighs_both_others() {
    let legs = [
        leg(Way::Lexical, &[(1, 10.0), (2, 9.5)]),
        leg(Way::Vector, &[(1, 0.9), (2, 0.9)]),
        leg(Way::Graph, &[(2, 0.0), (7, 0.0)]),
    ];
    assert_eq!(order(&fuse(&legs, &Options::default())), [2, 1, 7]);
}

#[test]
fn texts_that_differ_in_a_word_are_near_and_others_are_not() {
    let text = "the journal keeps each event of a tenant in the order in which it was accepted, and gives it out \
                again to whoever asks from a position; nothing that was acknowledged is ever lost, whatever dies \
                meanwhile, since the file is synced before the answer leaves the node and checked when it is read";
    let near = text.replace("accepted", "taken").to_uppercase();
    assert!(Fingerprint::of(text).is_near(Fingerprint::of(text)));
    assert!(Fingerprint::of("One two three.").is_near(Fingerprint::of("one   two, three")));
    let apart = Fingerprint::of("a policy decides which sources an agent may read and which are redacted");
    assert!(!Fingerprint::of(text).is_near(apart));
    assert!(Fingerprint::of(text).apart(Fingerprint::of(&near)) < 16);
}

#[test]
fn the_better_of_two_that_say_the_same_stays() {
    let outcome = fuse(&[leg(Way::Lexical, &[(1, 9.0), (2, 8.0), (3, 7.0)])], &Options::default());
    let (kept, dropped) = without_duplicates(outcome.hits, |a, b| (a.as_u128() + b.as_u128()) == 3);
    assert_eq!(kept.iter().map(|hit| hit.id.as_u128()).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(dropped, [Dropped { id: id(2), same_as: id(1) }]);
}

#[test]
fn variety_is_bought_only_as_dear_as_it_was_asked_for() {
    let hits = || fuse(&[leg(Way::Lexical, &[(1, 9.0), (2, 8.9), (3, 5.0)])], &Options::default()).hits;
    let alike = |a: ChunkId, b: ChunkId| if a.as_u128() + b.as_u128() == 3 { 1.0 } else { 0.0 };
    let ids = |hits: Vec<Fused>| hits.iter().map(|hit| hit.id.as_u128()).collect::<Vec<_>>();
    assert_eq!(ids(diverse(hits(), 2, 0.5, alike)), [1, 3]);
    assert_eq!(ids(diverse(hits(), 2, 1.0, alike)), [1, 2]);
    assert_eq!(ids(diverse(hits(), 9, 0.5, alike)).len(), 3);
}
