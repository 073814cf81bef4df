//! Runs: their entity's view and their events, as the contract's messages.

mod event;
mod view;

pub(in crate::gateway) use event::{event, state_after};
pub(in crate::gateway) use view::message;
