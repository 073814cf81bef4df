//! Models: the conversation in our own types, and the calls that carry it to whoever answers.
//!
//! An entity asks with a [`ModelCall`]; the outcome comes back as the command [`OUTCOME_COMMAND`]
//! with a [`ModelOutcome`]. One call is one attempt, and what came of it always has a name: an
//! answer whose end was seen, a [`Fault`], or the honest word that nobody knows.
//!
//! Never here: retrying, falling back to another candidate, budgets, or what an answer means. Those
//! are decisions, and decisions are journaled by the entity that asks.

pub mod cassette;
pub mod chat;
mod client;
pub mod config;
mod embed;
mod exchange;
mod fault;
mod limits;
pub mod meter;
mod perform;
mod price;
mod purse;
mod reply;
pub mod secrets;
mod trouble;

pub use config::Config;
pub use embed::{EmbedCall, Embedded, NoVectors};
pub use exchange::{By, HANDLER, ModelCall, ModelOutcome, ModelResult, OUTCOME_COMMAND};
pub use fault::Fault;
pub use perform::{ModelEffects, Silent, Watch};
pub use price::{MicroUnits, Price, Prices};
pub use purse::{Amount, Bottomless, Purse, Withheld};
