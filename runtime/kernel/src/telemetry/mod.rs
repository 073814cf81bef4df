//! Floor 3: meters and the live tail.
//!
//! What is always on costs a few relaxed atomics per message: each actor has a [`Meter`], and each
//! kind and tenant has a [`KindMeter`] whose sums outlive the actors that fed it. What is only for
//! whoever looks ([`Signals`]) costs one relaxed load while nobody does. Nothing here formats,
//! allocates or locks on the path of a message without a reader.
//!
//! It never stores anything: a signal that nobody fetched in time is counted as missed, and what
//! must not be missed is in the journal.

mod histogram;
mod info;
mod meter;
mod service;
mod sums;
mod tail;
mod timing;

pub use histogram::{Gathered, Histogram, Quantiles};
pub use info::{ActorInfo, ActorKind, ActorState};
pub use meter::Meter;
pub use service::ServiceMeter;
pub use sums::{KindMeter, KindSums, Meters};
pub use tail::{Listener, Signal, SignalKind, Signals, Tailed};
pub use timing::{Timed, Timing};
