//! Reads that know what was durable when they were asked.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// Between the one writer of a read model and those who read it. Cheap to clone.
///
/// A position would not do: some records are durable and no follower hears of them, so a model may never stand at the
/// journal's end. What is asked for instead is one more look of the writer, which began after the question.
#[derive(Debug, Clone)]
pub struct Freshness(Arc<Looks>);

#[derive(Debug)]
struct Looks {
    /// How many have asked.
    asked: watch::Sender<u64>,
    /// Up to which of them the writer has looked.
    answered: watch::Sender<u64>,
}

impl Default for Freshness {
    fn default() -> Self {
        Self(Arc::new(Looks { asked: watch::channel(0).0, answered: watch::channel(0).0 }))
    }
}

impl Freshness {
    /// Waits until the model has all that is durable now: no rest of the writer's is waited for. Whether it came so
    /// far in time.
    ///
    /// **Cancel safety**: a dropped future has cost the writer one look.
    pub async fn wait(&self, at_most: Duration) -> bool {
        let mut answered = self.0.answered.subscribe();
        let mut mine = 0;
        self.0.asked.send_modify(|asked| {
            *asked += 1;
            mine = *asked;
        });
        let looked = answered.wait_for(|answered| *answered >= mine);
        matches!(tokio::time::timeout(at_most, looked).await, Ok(Ok(_)))
    }

    /// How many have asked by now.
    pub(super) fn asked(&self) -> u64 {
        *self.0.asked.borrow()
    }

    /// Everything was there that those wanted who had asked by then.
    pub(super) fn answer(&self, asked: u64) {
        self.0.answered.send_replace(asked);
    }

    /// Waits until somebody wants a look.
    ///
    /// **Cancel safety**: a dropped future loses nothing.
    pub(super) async fn wanted(&self) {
        let answered = *self.0.answered.borrow();
        // Ends only when somebody asks: the sender is here.
        let mut asked = self.0.asked.subscribe();
        let _somebody_asked = asked.wait_for(|asked| *asked > answered).await;
    }
}
