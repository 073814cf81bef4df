//! Floor 3: work that events ask for: effects in the outside world, and timers.
//!
//! Both queues are caches of what states want. They are filled when an entity wakes or moves, and
//! lost with the process; the journal knows whom to wake so that they fill again.

mod again;
mod effect;
mod ending;
mod line;
mod timers;
mod workers;

pub use effect::{EffectTask, Outbox};
pub use timers::{Due, Timers};
pub use workers::Workers;
