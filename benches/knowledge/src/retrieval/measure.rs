//! nDCG@10 and recall@100, as BEIR and the TREC tools compute them.

use std::collections::BTreeSet;

use super::{
    run::{self, Legs},
    sets::Set,
};

const NDCG_AT: usize = 10;
const RECALL_AT: usize = 100;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Quality {
    pub(crate) ndcg10: f64,
    pub(crate) recall100: f64,
}

/// The mean over a set's questions. `order` gives documents' places in the set, best first.
pub(crate) fn quality(set: &Set, legs: &[Legs], order: &dyn Fn(&Legs) -> Vec<usize>) -> Quality {
    let mut sum = Quality::default();
    for (question, legs) in set.questions.iter().zip(legs) {
        let gains = gains(set, &question.relevant, &order(legs));
        sum.ndcg10 += ndcg(&gains, &question.relevant.iter().map(|target| target.gain).collect::<Vec<_>>());
        let found = gains.iter().take(RECALL_AT).filter(|gain| **gain > 0.0).count();
        sum.recall100 += found as f64 / question.relevant.len().max(1) as f64;
    }
    let count = set.questions.len().max(1) as f64;
    Quality { ndcg10: sum.ndcg10 / count, recall100: sum.recall100 / count }
}

/// What each place of an order is worth. What is found twice, in two chunks, counts where it is found first, and
/// the second takes up no place.
fn gains(set: &Set, relevant: &[super::sets::Target], order: &[usize]) -> Vec<f64> {
    let mut seen = BTreeSet::new();
    let mut gains = Vec::with_capacity(order.len());
    for document in order.iter().filter_map(|place| set.documents.get(*place)) {
        match relevant.iter().enumerate().find(|(_, target)| target.meets(document)) {
            Some((which, target)) if seen.insert(which) => gains.push(target.gain),
            Some(_) => {}
            None => gains.push(0.0),
        }
    }
    gains
}

fn ndcg(gains: &[f64], ideal: &[f64]) -> f64 {
    let mut best = ideal.to_vec();
    best.sort_by(|a, b| b.total_cmp(a));
    let sum = |gains: &[f64]| -> f64 {
        (2u32..).zip(gains.iter().take(NDCG_AT)).map(|(place, gain)| gain / f64::from(place).log2()).sum()
    };
    let most = sum(&best);
    if most > 0.0 { sum(gains) / most } else { 0.0 }
}

/// Questions whose first answer is not among the first three, and where it stands.
pub(crate) fn worst(set: &Set, legs: &[Legs]) -> Vec<(String, Option<usize>)> {
    let mut worst = Vec::new();
    for (question, legs) in set.questions.iter().zip(legs) {
        let order = legs.fused(run::by_scores());
        let first = gains(set, &question.relevant, &order).iter().position(|gain| *gain > 0.0).map(|place| place + 1);
        if first.is_none_or(|place| place > 3) {
            worst.push((question.text.clone(), first));
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_order_is_worth_one_and_a_late_answer_less() {
        assert!((ndcg(&[1.0, 1.0, 0.0], &[1.0, 1.0]) - 1.0).abs() < 1e-9);
        assert!((ndcg(&[0.0, 1.0], &[1.0]) - 1.0 / 3f64.log2()).abs() < 1e-9);
        assert_eq!(ndcg(&[0.0; 10], &[1.0]), 0.0);
        assert_eq!(ndcg(&[], &[]), 0.0);
    }
}
