//! What is asked of a model that turns texts into vectors.

use super::{By, Fault, MicroUnits, chat::Usage};
use crate::contract::Failure;

/// Texts to be turned into vectors; one attempt at one candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmbedCall {
    /// The capability class that is wanted, such as `embedding`.
    pub class: String,
    /// Which of the class's candidates, from 0.
    pub candidate: u32,
    /// The texts; none of them empty, or endpoints refuse them all.
    pub texts: Vec<String>,
    /// How long the vectors shall be; the model's own length when absent.
    pub dimensions: Option<u32>,
    /// What asks: the same for every attempt at it.
    pub step_id: String,
    /// This attempt.
    pub attempt_id: String,
}

impl EmbedCall {
    /// What it will use, where nobody tells. **Units**: tokens.
    pub(super) fn estimate(&self) -> u64 {
        let bytes: usize = self.texts.iter().map(String::len).sum();
        u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(4)
    }
}

/// The vectors of some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// **Shape**: `[texts, length]`, in the order of the texts; the length is the model's. **Units**:
    /// what the model gives, which need not be of unit norm.
    pub vectors: Vec<Vec<f32>>,
    /// What they used.
    pub usage: Usage,
    /// Who gave them.
    pub by: By,
    /// What they cost.
    pub cost: MicroUnits,
}

/// Why there are no vectors.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{failure}")]
pub struct NoVectors {
    /// In words.
    pub failure: Failure,
    /// Which of the known ways.
    pub fault: Fault,
}
