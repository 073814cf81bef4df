//! Budgets above the task that asks: what a call may cost is reserved before it is sent, and what it took is told
//! afterwards.
//!
//! Never here: who has how much. That is known to whoever stands behind [`Purse`].

use mesh_kernel::{BoxFuture, ports::EffectCall};
use serde::{Deserialize, Serialize};

use super::ModelCall;

/// What a call takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// **Units**: tokens.
    pub tokens: u64,
    /// **Units**: millionths of the currency.
    pub cost: u64,
}

impl Amount {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { tokens: self.tokens.saturating_add(other.tokens), cost: self.cost.saturating_add(other.cost) }
    }

    /// What is left without the other; nothing, where that is more.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { tokens: self.tokens.saturating_sub(other.tokens), cost: self.cost.saturating_sub(other.cost) }
    }
}

/// Why a call is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// A budget has not enough left.
    Spent {
        /// Which, and what is missing.
        message: String,
        /// Whether the task ends with it, instead of waiting for a person.
        stops: bool,
    },
    /// Nobody can tell now.
    Unknown(String),
}

/// Who pays for calls. Both methods are made under the call's own key, and may be repeated.
pub trait Purse: Send + Sync + 'static {
    /// Sets aside what a call takes at most, on every budget that it counts for or on none.
    ///
    /// # Errors
    /// [`Withheld`]; then nothing was set aside.
    fn reserve<'a>(
        &'a self,
        effect: &'a EffectCall,
        call: &'a ModelCall,
        most: Amount,
    ) -> BoxFuture<'a, Result<(), Withheld>>;

    /// Says what the call took; what was set aside, when nobody knows. Without a reservation nothing happens.
    fn settle<'a>(&'a self, effect: &'a EffectCall, took: Option<Amount>) -> BoxFuture<'a, ()>;
}

/// There are no budgets.
pub struct Bottomless;

impl Purse for Bottomless {
    fn reserve<'a>(&'a self, _: &'a EffectCall, _: &'a ModelCall, _: Amount) -> BoxFuture<'a, Result<(), Withheld>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn settle<'a>(&'a self, _: &'a EffectCall, _: Option<Amount>) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}
