//! How a guarded call ended, in our words: an error and a panic are told apart here, for ractor forgets
//! which it was.

use std::{any::Any, sync::Arc};

use super::{Cause, Crash};

fn cause_of(crash: &Crash) -> Cause {
    match crash {
        Crash::Failed(error) => Cause::Failed(Arc::from(error.to_string())),
        Crash::Retry(error) => Cause::Retry(Arc::from(error.to_string())),
        Crash::Quarantine { version, reason } => {
            Cause::Undecodable { version: *version, reason: Arc::from(reason.to_string()) }
        }
    }
}

/// What a panic says.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> Arc<str> {
    let text =
        panic.downcast_ref::<&'static str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Arc::from(text.unwrap_or("a panic without words"))
}

/// The cause of an end, or none.
pub(super) fn verdict(outcome: Result<Result<(), Crash>, Box<dyn Any + Send>>) -> Result<(), Cause> {
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(crash)) => Err(cause_of(&crash)),
        Err(panic) => Err(Cause::Panicked(panic_text(&*panic))),
    }
}
