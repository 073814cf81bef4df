//! Money without fractions: prices in pico-units a token, costs in micro-units a call.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::chat::Usage;

/// Pico-units in a micro-unit.
const PICO: i128 = 1_000_000;

/// An amount of money. **Units**: 1e-6 of the currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUnits(pub i64);

impl fmt::Display for MicroUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        write!(f, "{sign}{whole}.{part:06}")
    }
}

/// What a model costs. **Units**: 1e-12 of the currency a token, which is the same number as
/// micro-units per million tokens: 0.15 per million tokens is 150,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Price {
    /// Of input that was not cached.
    pub input: u64,
    /// Of input that the provider had in its cache.
    pub cached_input: u64,
    /// Of output.
    pub output: u64,
    /// Of the part of output that was reasoning.
    pub reasoning: u64,
}

impl Price {
    /// What a call costs that used this; rounded up, once.
    pub fn cost(&self, usage: &Usage) -> MicroUnits {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let reasoning = usage.reasoning_tokens.min(usage.output_tokens);
        let parts = [
            (usage.input_tokens - cached, self.input),
            (cached, self.cached_input),
            (usage.output_tokens - reasoning, self.output),
            (reasoning, self.reasoning),
        ];
        let part = |(tokens, price)| i128::from(tokens).saturating_mul(i128::from(price));
        let pico = parts.into_iter().map(part).fold(0, i128::saturating_add);
        MicroUnits(i64::try_from(pico.saturating_add(PICO - 1) / PICO).unwrap_or(i64::MAX))
    }
}

impl Price {
    /// The dearer of both in each part.
    #[must_use]
    pub fn dearer(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            cached_input: self.cached_input.max(other.cached_input),
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
        }
    }

    /// What a call costs at most that uses as many tokens.
    pub fn at_most(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let of = |tokens: u64, price: u64| u128::from(tokens).saturating_mul(u128::from(price));
        let pico = of(input_tokens, self.input.max(self.cached_input))
            .saturating_add(of(output_tokens, self.output.max(self.reasoning)));
        u64::try_from(pico.saturating_add(PICO.unsigned_abs() - 1) / PICO.unsigned_abs()).unwrap_or(u64::MAX)
    }
}

/// A table of prices. Costs carry its version, and none is ever computed again by a later one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices {
    /// Which table this is.
    pub version: String,
    /// What the units are units of, such as `USD`.
    pub currency: String,
    /// By the model's name as requests spell it.
    pub models: BTreeMap<String, Price>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, cached: u64, output: u64, reasoning: u64) -> Usage {
        Usage {
            input_tokens: input,
            cached_input_tokens: cached,
            output_tokens: output,
            reasoning_tokens: reasoning,
            estimated: false,
        }
    }

    #[test]
    fn a_call_is_rounded_up_once_and_not_each_part() {
        let price = Price { input: 150_000, cached_input: 75_000, output: 600_000, reasoning: 600_000 };
        // 0.15 + 0.075 + 0.6 + 0.6 micro-units.
        assert_eq!(price.cost(&usage(2, 1, 2, 1)), MicroUnits(2));
        assert_eq!(price.cost(&usage(1_000_000, 0, 0, 0)), MicroUnits(150_000));
        assert_eq!(price.cost(&Usage::default()), MicroUnits(0));
    }

    #[test]
    fn figures_that_contradict_each_other_or_are_huge_cost_no_less_and_do_not_overflow() {
        let price = Price { input: 10, cached_input: 1, output: 10, reasoning: 10 };
        assert_eq!(price.cost(&usage(1_000_000, 5_000_000, 0, 0)), MicroUnits(1));
        let dear = Price { input: u64::MAX, ..price };
        assert_eq!(dear.cost(&usage(u64::MAX, 0, u64::MAX, 0)), MicroUnits(i64::MAX));
    }

    #[test]
    fn what_a_call_costs_at_most_is_never_less_than_what_it_costs() {
        let price = Price { input: 150_000, cached_input: 75_000, output: 600_000, reasoning: 700_000 };
        for (input, cached, output, reasoning) in [(2, 1, 2, 1), (0, 0, 0, 0), (1_000, 1_000, 9, 9), (7, 0, 1, 0)] {
            let cost = price.cost(&usage(input, cached, output, reasoning)).0;
            assert!(price.at_most(input, output) >= cost.unsigned_abs());
        }
        assert_eq!(price.dearer(Price { output: 800_000, ..Price::default() }).output, 800_000);
    }

    #[test]
    fn an_amount_reads_as_money() {
        assert_eq!(MicroUnits(1_500_007).to_string(), "1.500007");
        assert_eq!(MicroUnits(-20).to_string(), "-0.000020");
    }
}
