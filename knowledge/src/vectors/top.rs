//! The best of what was seen.

/// Keeps the `k` best, the best first; of two equal ones the smaller row or id comes first.
#[derive(Debug, Clone)]
pub(super) struct Top<T> {
    max: usize,
    best: Vec<(f32, T)>,
}

impl<T> Default for Top<T> {
    fn default() -> Self {
        Self { max: 0, best: Vec::new() }
    }
}

impl<T: Copy + Ord> Top<T> {
    pub(super) fn of(max: usize) -> Self {
        // The bound is the caller's `k`, which may be absurd: memory is taken as it is needed.
        Self { max, best: Vec::with_capacity(max.min(1024)) }
    }

    pub(super) fn reset(&mut self, max: usize) {
        self.max = max;
        self.best.clear();
    }

    #[inline]
    pub(super) fn offer(&mut self, score: f32, item: T) {
        let better = |(other, held): &(f32, T)| match other.total_cmp(&score) {
            std::cmp::Ordering::Equal => *held < item,
            order => order.is_gt(),
        };
        if self.best.len() >= self.max && self.best.last().is_none_or(better) {
            return;
        }
        let at = self.best.partition_point(better);
        self.best.truncate(self.max.saturating_sub(1));
        self.best.insert(at, (score, item));
    }

    pub(super) fn best(&self) -> &[(f32, T)] {
        &self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_in_order_and_no_more_than_asked_for() {
        let mut top = Top::of(3);
        for (score, item) in [(0.1, 9), (0.5, 4), (0.5, 2), (0.9, 7), (0.2, 1), (0.5, 3)] {
            top.offer(score, item);
        }
        assert_eq!(top.best(), [(0.9, 7), (0.5, 2), (0.5, 3)]);
        let mut none = Top::of(0);
        none.offer(1.0, 1);
        assert!(none.best().is_empty());
    }
}
