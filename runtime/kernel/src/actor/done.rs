//! Entities of which nothing more is expected, for the sweep.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;

use crate::envelope::Address;

/// Their addresses, in the order in which they were put in.
#[derive(Debug, Default)]
pub(super) struct Done(Mutex<VecDeque<(Duration, Address)>>);

impl Done {
    pub(super) fn push(&self, address: Address, now: Duration) {
        self.0.lock().push_back((now, address));
    }

    /// Those that were put in by this instant.
    pub(super) fn take(&self, until: Duration) -> Vec<Address> {
        let mut done = self.0.lock();
        let due = done.iter().take_while(|(at, _)| *at <= until).count();
        done.drain(..due).map(|(_, address)| address).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}
