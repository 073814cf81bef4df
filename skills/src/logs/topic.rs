//! Who must be told when a log of a run grows.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use mesh_kernel::envelope::TenantId;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::LogId;

/// The logs of one run that have grown since somebody began to listen.
#[derive(Debug)]
pub(super) struct Topic {
    /// Grows by one with each line.
    sequence: watch::Sender<u64>,
    /// The sequence number of the last line of each log. Bounded by the logs of one run.
    touched: Mutex<HashMap<LogId, u64>>,
}

impl Topic {
    pub(super) fn touch(&self, id: &LogId) {
        let mut touched = self.touched.lock();
        // Under the lock, so that whoever sees the number also sees the log.
        self.sequence.send_modify(|sequence| {
            *sequence += 1;
            match touched.get_mut(id) {
                Some(last) => *last = *sequence,
                None => {
                    touched.insert(id.clone(), *sequence);
                }
            }
        });
    }

    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.sequence.subscribe()
    }

    /// The logs that grew after `seen`, and the number up to which that is known.
    pub(super) fn since(&self, seen: u64) -> (Vec<LogId>, u64) {
        let touched = self.touched.lock();
        let now = *self.sequence.borrow();
        let mut grown: Vec<_> = touched.iter().filter(|(_, last)| **last > seen).map(|(id, _)| id.clone()).collect();
        grown.sort();
        (grown, now)
    }
}

/// The topics that somebody writes to or listens at; the others cost nothing.
#[derive(Debug, Default)]
pub(super) struct Topics {
    live: Mutex<HashMap<(TenantId, String), Weak<Topic>>>,
}

impl Topics {
    pub(super) fn of(&self, tenant: &TenantId, run: &str) -> Arc<Topic> {
        let mut live = self.live.lock();
        let key = (tenant.clone(), run.to_owned());
        if let Some(topic) = live.get(&key).and_then(Weak::upgrade) {
            return topic;
        }
        let topic = Arc::new(Topic { sequence: watch::Sender::new(0), touched: Mutex::default() });
        // A map that only grew would remember every run; the dead ones go whenever it doubles.
        if live.len() == live.capacity() {
            live.retain(|_, topic| topic.strong_count() > 0);
        }
        live.insert(key, Arc::downgrade(&topic));
        topic
    }
}
