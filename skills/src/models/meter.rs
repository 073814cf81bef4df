//! What asking models took: time and tokens, by what was asked for, where and of whom.
//!
//! Endpoints and models come from the configuration and faults from a table, so there is a bound on what is counted,
//! and no tenant can make a name up.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;

use super::{Fault, chat::Usage};

/// Ends of buckets of tokens: powers of four, as the OpenTelemetry conventions for `gen_ai.client.token.usage` advise.
/// **Units**: tokens.
const TOKENS: [u64; 14] =
    [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

/// Ends of buckets of durations: 0.01 s, doubled thirteen times, as the same conventions advise for
/// `gen_ai.client.operation.duration`. **Units**: µs.
const MICROS: [u64; 14] = [
    10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 5_120_000, 10_240_000, 20_480_000,
    40_960_000, 81_920_000,
];

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// The next turn of a conversation.
    Chat,
    /// Vectors.
    Embeddings,
}

/// Who was asked what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// What.
    pub operation: Operation,
    /// Where, by its name in the configuration.
    pub endpoint: String,
    /// The model, as the configuration has it.
    pub model: String,
}

/// What it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Took {
    /// How long attempts took, by the fault's name; none for those that were answered. **Units**: µs.
    pub micros: BTreeMap<Option<&'static str>, Distribution>,
    /// Tokens of what was asked; only those that the provider told.
    pub input_tokens: Distribution,
    /// Tokens of what was answered; only those that the provider told.
    pub output_tokens: Distribution,
}

/// Numbers in buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    buckets: BTreeMap<u64, u64>,
    /// How many there were.
    pub count: u64,
    /// All of them together.
    pub sum: u64,
}

impl Distribution {
    fn record(&mut self, ends: &[u64], value: u64) {
        if let Some(end) = ends.iter().find(|end| value <= **end) {
            *self.buckets.entry(*end).or_default() += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Each bucket's end, and how many were at most this.
    fn cumulative(&self, ends: &[u64]) -> Vec<(u64, u64)> {
        let mut within = 0;
        let mut told = |end: &u64| {
            within += self.buckets.get(end).copied().unwrap_or_default();
            (*end, within)
        };
        ends.iter().map(&mut told).collect()
    }

    /// Each bucket of tokens, and how many were at most this.
    pub fn tokens(&self) -> Vec<(u64, u64)> {
        self.cumulative(&TOKENS)
    }

    /// Each bucket of a duration, and how many were at most this. **Units**: µs.
    pub fn micros(&self) -> Vec<(u64, u64)> {
        self.cumulative(&MICROS)
    }
}

/// Counts what asking models took, since the start.
#[derive(Debug, Default)]
pub struct Meter(Mutex<BTreeMap<Asked, Took>>);

impl Meter {
    pub(super) fn count(&self, asked: Asked, took: Duration, came: Result<&Usage, Fault>) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut counted = self.0.lock();
        let all = counted.entry(asked).or_default();
        all.micros.entry(came.err().map(Fault::as_str)).or_default().record(&MICROS, micros);
        // What we estimate ourselves is no usage.
        if let Some(usage) = came.ok().filter(|usage| !usage.estimated) {
            all.input_tokens.record(&TOKENS, usage.input_tokens);
            if usage.output_tokens > 0 {
                all.output_tokens.record(&TOKENS, usage.output_tokens);
            }
        }
    }

    /// What was counted so far.
    pub fn counted(&self) -> BTreeMap<Asked, Took> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_counted_and_what_was_guessed_is_not() {
        let meter = Meter::default();
        let asked = Asked { operation: Operation::Chat, endpoint: "local".into(), model: "small".into() };
        let usage = Usage { input_tokens: 150, output_tokens: 16, ..Usage::default() };
        let guessed = Usage { estimated: true, ..usage };
        for came in [Ok(&usage), Ok(&guessed), Err(Fault::RateLimited)] {
            meter.count(asked.clone(), Duration::from_millis(20), came);
        }
        let counted = meter.counted();
        let took = counted.get(&asked).unwrap();
        assert_eq!((took.input_tokens.count, took.input_tokens.sum, took.output_tokens.sum), (1, 150, 16));
        let within = |end: u64| took.input_tokens.tokens().into_iter().find(|(at, _)| *at == end).unwrap().1;
        assert_eq!((within(64), within(256), within(67_108_864)), (0, 1, 1));
        let counts: Vec<_> = took.micros.iter().map(|(fault, micros)| (*fault, micros.count)).collect();
        assert_eq!(counts, [(None, 2), (Some("rate-limited"), 1)]);
        let answered = took.micros.get(&None).unwrap();
        assert_eq!(answered.micros().iter().take(2).map(|(_, within)| *within).collect::<Vec<_>>(), [0, 2]);
    }
}
