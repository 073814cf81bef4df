//! The behaviour of an address that nobody behaves for.

use super::{Behaviour, Crash, Item};
use crate::{
    BoxFuture,
    envelope::{ErrorKind, Refusal},
};

/// An address whose kind this node does not have; `route` refuses it, so this only answers a wake.
pub(crate) struct Unknown;

impl Behaviour for Unknown {
    fn start(&mut self) -> BoxFuture<'_, Result<(), Crash>> {
        Box::pin(async { Ok(()) })
    }

    fn handle<'a>(&'a mut self, item: &'a mut Item) -> BoxFuture<'a, Result<(), Crash>> {
        Box::pin(async move {
            let subject = &item.envelope.headers.subject;
            let refusal = Refusal::new("KER-0040", ErrorKind::InvalidArgument, format!("no kind for `{subject}`"));
            item.answer(Err(refusal));
            Ok(())
        })
    }

    fn may_park(&self) -> bool {
        true
    }

    fn park(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn size(&self) -> usize {
        0
    }
}
