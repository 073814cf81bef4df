//! What the trials of a case come to, and whether a version is better than another.
//!
//! Never here: I/O.

use std::time::Duration;

use super::{file::Case, grade::Seen};

/// A trial and everything in which it was not as expected.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) seen: Seen,
    pub(super) problems: Vec<String>,
}

/// The trials of a case with one version of the agent.
#[derive(Debug, Default)]
pub(super) struct Trials(pub(super) Vec<Trial>);

impl Trials {
    /// How many passed.
    pub(super) fn passes(&self) -> u32 {
        count(self.0.iter().filter(|trial| trial.problems.is_empty()).count())
    }

    /// How many there were.
    pub(super) fn many(&self) -> u32 {
        count(self.0.len())
    }

    /// Tokens of one trial, in the mean.
    pub(super) fn tokens(&self) -> u64 {
        self.mean(Seen::tokens)
    }

    /// Cost of one trial, in the mean. **Units**: millionths of the currency.
    pub(super) fn cost(&self) -> u64 {
        self.mean(|seen| u64::try_from(seen.spent.cost_micros).unwrap_or(0))
    }

    /// Turns of one trial, in the mean.
    pub(super) fn turns(&self) -> u64 {
        self.mean(|seen| u64::from(seen.spent.turns))
    }

    /// The longest trial.
    pub(super) fn longest(&self) -> Duration {
        self.0.iter().map(|trial| trial.seen.took).max().unwrap_or_default()
    }

    fn mean(&self, of: impl Fn(&Seen) -> u64) -> u64 {
        let sum: u64 = self.0.iter().map(|trial| of(&trial.seen)).sum();
        sum / u64::from(self.many().max(1))
    }

    /// Between which shares of passes the true one lies, with 95 % confidence.
    ///
    /// **Source**: E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    pub(super) fn interval(&self) -> (f64, f64) {
        const Z: f64 = 1.96;
        let n = f64::from(self.many());
        if n < 1.0 {
            return (0.0, 1.0);
        }
        let share = f64::from(self.passes()) / n;
        let middle = share + Z * Z / (2.0 * n);
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
    }
}

fn count(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}

/// How a version does beside another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Better,
    Worse,
    Equal,
}

impl Change {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Equal => "equal",
        }
    }
}

/// What came of a case.
#[derive(Debug)]
pub(super) struct Verdict<'c> {
    pub(super) case: &'c Case,
    pub(super) now: Trials,
    /// The same with the version that it is compared with.
    pub(super) before: Option<Trials>,
}

impl Verdict<'_> {
    /// Whether enough trials passed.
    pub(super) fn passed(&self) -> bool {
        self.enough(&self.now)
    }

    /// Whether these are enough.
    pub(super) fn enough(&self, trials: &Trials) -> bool {
        trials.passes() >= self.case.needed
    }

    /// How it does beside the other version; none without one.
    ///
    /// It is worse when enough passed before and not enough pass now, or when the share of passes lies lower beyond
    /// what chance explains; better the other way round.
    pub(super) fn change(&self) -> Option<Change> {
        let before = self.before.as_ref()?;
        Some(match (self.enough(before), self.passed()) {
            (true, false) => Change::Worse,
            (false, true) => Change::Better,
            _ if self.now.interval().1 < before.interval().0 => Change::Worse,
            _ if self.now.interval().0 > before.interval().1 => Change::Better,
            _ => Change::Equal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::agents::evals::file::parse;

    fn trials(passes: usize, many: usize) -> Trials {
        let problems = |at: usize| if at < passes { Vec::new() } else { vec!["no".to_owned()] };
        Trials((0..many).map(|at| Trial { seen: Seen::default(), problems: problems(at) }).collect())
    }

    #[test]
    fn a_version_is_worse_when_it_fails_or_falls_beyond_chance() {
        for (repeat, share, before, now, change) in [
            (1, 1.0, 1, 1, Change::Equal),
            (1, 1.0, 1, 0, Change::Worse),
            (1, 1.0, 0, 1, Change::Better),
            (1, 1.0, 0, 0, Change::Equal),
            (20, 0.5, 20, 18, Change::Equal),
            (20, 0.5, 20, 10, Change::Worse),
            (20, 0.5, 10, 20, Change::Better),
            (20, 0.95, 19, 18, Change::Worse),
        ] {
            let source = format!(
                "agent: a\ncases: [{{ name: x, repeat: {repeat}, passes: {share}, expect: [{{ cel: 'true' }}] }}]\n"
            );
            let suite = parse(&source, "f").unwrap();
            let case = suite.cases.first().unwrap();
            let verdict = Verdict { case, now: trials(now, repeat), before: Some(trials(before, repeat)) };
            assert_eq!(verdict.change(), Some(change), "{before} -> {now} of {repeat}");
        }
    }

    #[test]
    fn a_share_of_few_trials_says_little() {
        let rounded = |(low, high): (f64, f64)| ((low * 100.0).round(), (high * 100.0).round());
        assert_eq!(rounded(trials(1, 1).interval()), (21.0, 100.0));
        assert_eq!(rounded(trials(5, 10).interval()), (24.0, 76.0));
        assert_eq!(rounded(trials(0, 100).interval()), (0.0, 4.0));
    }
}
