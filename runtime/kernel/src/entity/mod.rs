//! Floor 3: the decider, the pure heart of every entity.

mod broken;
mod codec;
mod decider;
mod erased;
mod keys;
mod snapshot;
mod wants;

pub(crate) use broken::LoadError;
pub use codec::{CodecError, decode_tagged, encode_tagged};
pub use decider::{Cause, Decider, Recorded};
pub use erased::{AnyEvent, AnyState, Decided, ErasedDecider, Fresh, Kinds};
pub(crate) use keys::{KeySpan, KeyWindow};
pub(crate) use snapshot::{restore, snapshot};
pub use wants::{EffectRequest, TimerRequest, Wants};
