//! The asks that a message comes from.

use std::sync::Arc;

use crate::envelope::Address;

/// An ask under way: who asks, and the ask that it works for.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) asker: Address,
    pub(super) before: Option<Arc<Link>>,
}
