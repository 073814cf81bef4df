//! A snapshot's form: length of the keys (u32, little endian), keys as JSON, state.

use bytes::Bytes;

use super::{AnyState, ErasedDecider, KeyWindow};
use crate::ports::Snapshot;

/// An entity as a snapshot; none when its state cannot be told.
pub(crate) fn snapshot(
    decider: &dyn ErasedDecider,
    state: &AnyState,
    keys: &KeyWindow,
    version: u64,
) -> Option<Snapshot> {
    let state = decider.snapshot(state)?;
    let keys = serde_json::to_vec(keys).ok()?;
    let mut bytes = Vec::with_capacity(4 + keys.len() + state.len());
    bytes.extend_from_slice(&u32::try_from(keys.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(&keys);
    bytes.extend_from_slice(&state);
    Some(Snapshot { version, bytes: Bytes::from(bytes) })
}

/// State and keys of a snapshot; none when it is of another form.
pub(crate) fn restore(decider: &dyn ErasedDecider, snapshot: &Snapshot) -> Option<(AnyState, KeyWindow)> {
    let (len, rest) = snapshot.bytes.split_first_chunk::<4>()?;
    let (keys, state) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    Some((decider.restore(state)?, serde_json::from_slice(keys).ok()?))
}
