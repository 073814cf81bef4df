//! How many tokens a text is, to a family of models.
//!
//! A budget is hard, so it is counted with the vocabulary of the model that will read the package. The
//! vocabularies are in the binary (2.9 MB, compressed) and are unpacked when they are first asked for. A
//! model that none of them belongs to is counted with `cl100k_base` and 15 % are added, and whoever asks is
//! told that the number is an estimate.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an estimate adds, in hundredths.
const ESTIMATE_PERCENT: u64 = 115;

/// A vocabulary that models of one family share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vocabulary {
    /// GPT-3.5 and GPT-4.
    Cl100k,
    /// GPT-4o and what came after it.
    O200k,
    /// Llama 3.
    Llama3,
    /// Qwen 2 and 2.5.
    Qwen2,
    /// Mistral's third vocabulary.
    MistralV3,
    /// DeepSeek V3 and R1.
    DeepseekV3,
}

/// How to count for a model: with its own vocabulary, or with another one and an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counter {
    /// The vocabulary that counts.
    pub vocabulary: Vocabulary,
    /// The model's own vocabulary is not known: 15 % are added.
    pub estimated: bool,
}

impl Vocabulary {
    /// Every vocabulary, for a store that counts once for each.
    pub const ALL: [Self; 6] =
        [Self::Cl100k, Self::O200k, Self::Llama3, Self::Qwen2, Self::MistralV3, Self::DeepseekV3];

    /// As stores and reports name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cl100k => "cl100k_base",
            Self::O200k => "o200k_base",
            Self::Llama3 => "llama3",
            Self::Qwen2 => "qwen2",
            Self::MistralV3 => "mistral_v3",
            Self::DeepseekV3 => "deepseek_v3",
        }
    }

    /// How many tokens `text` is. Words of control such as `<|endoftext|>` are text like any other.
    ///
    /// **Cost** grows with the text; the first call for a vocabulary unpacks it (some 20 to 100 ms).
    pub fn count(self, text: &str) -> u64 {
        // Each of the names is compiled in (see the crate's features); four bytes a token is what is left if not.
        tiktoken::get_encoding(self.name()).map_or(text.len().div_ceil(4), |own| own.count(text)) as u64
    }
}

impl Counter {
    /// For a model by the name that its provider gives it; `provider/model` and any case are understood.
    pub fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model).to_lowercase();
        let known = tiktoken::model_to_encoding(&name)
            .and_then(|encoding| Vocabulary::ALL.into_iter().find(|each| each.name() == encoding));
        Self { vocabulary: known.unwrap_or(Vocabulary::Cl100k), estimated: known.is_none() }
    }

    /// How many tokens `text` is, at most.
    pub fn count(self, text: &str) -> u64 {
        self.settle(self.vocabulary.count(text))
    }

    /// What a stored count of this counter's vocabulary means to it.
    pub const fn settle(self, counted: u64) -> u64 {
        if self.estimated { counted.saturating_mul(ESTIMATE_PERCENT).div_ceil(100) } else { counted }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let estimated = if self.estimated { ", estimated" } else { "" };
        write!(f, "{}{estimated}", self.vocabulary.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_have_the_counts_that_their_vocabularies_makers_give() {
        // From the reference implementation of the two OpenAI vocabularies.
        for (vocabulary, text, count) in [
            (Vocabulary::Cl100k, "tiktoken is great!", 6),
            (Vocabulary::O200k, "tiktoken is great!", 6),
            (Vocabulary::Cl100k, "antidisestablishmentarianism", 6),
            (Vocabulary::Cl100k, "", 0),
            (Vocabulary::Cl100k, "お誕生日おめでとう", 9),
        ] {
            assert_eq!(vocabulary.count(text), count, "{text} in {}", vocabulary.name());
        }
    }

    #[test]
    fn every_vocabulary_is_in_the_binary() {
        let text = "fn main() { println!(\"{}\", 1 + 1); } // naïve café";
        for each in Vocabulary::ALL {
            assert!(tiktoken::get_encoding(each.name()).is_some(), "{}", each.name());
            assert!((10..40).contains(&each.count(text)), "{}: {}", each.name(), each.count(text));
        }
    }

    #[test]
    fn a_model_is_counted_with_its_own_vocabulary_and_an_unknown_one_with_an_addition() {
        for (model, name) in [
            ("gpt-4o-mini", "o200k_base"),
            ("openai/gpt-4o", "o200k_base"),
            ("gpt-4", "cl100k_base"),
            ("meta-llama/Llama-3.1-8B-Instruct", "llama3"),
            ("Qwen2.5-7B-Instruct", "qwen2"),
            ("deepseek-v3", "deepseek_v3"),
            ("my-own-model", "cl100k_base, estimated"),
        ] {
            assert_eq!(Counter::of(model).to_string(), name, "{model}");
        }
        let unknown = Counter::of("my-own-model");
        assert_eq!(unknown.settle(100), 115);
        assert_eq!(unknown.settle(1), 2, "an estimate is never below the count");
        assert_eq!(unknown.count("tiktoken is great!"), 7);
    }
}
