//! The end of a tenant: nothing is done for it any more.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Workers;
use crate::envelope::TenantId;

/// How often it is looked whether the performers have ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Workers {
    /// Cancels what is done for a tenant or waits to be, and waits for the performers, at most this
    /// long. True when nothing is left of it.
    ///
    /// Whoever calls it has seen to it that nothing more is asked for.
    pub async fn end_tenant(&self, tenant: &TenantId, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        loop {
            let left: Vec<CancellationToken> = {
                let in_flight = self.0.in_flight.lock();
                let of_tenant = in_flight.iter().filter(|((address, _), _)| address.tenant() == tenant);
                of_tenant.map(|(_, token)| token.clone()).collect()
            };
            left.iter().for_each(CancellationToken::cancel);
            if left.is_empty() || Instant::now() >= until {
                return left.is_empty();
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
