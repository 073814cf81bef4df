//! What every side does: the same envelopes, the same counting, the same spans.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};
use mesh_kernel::envelope::{Address, Envelope, EventId, Headers, Principal, Timestamp, TraceId};
use tokio::sync::Notify;

/// Different envelopes that one sender sends in turn, so that one trace in a hundred is sampled.
const POOL: usize = 1_000;

/// One trace in so many gets spans, as in a node that nobody has set otherwise.
const SAMPLE_ONE_IN: u32 = 100;

/// Counts what was received, and says when it is enough.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: AtomicU64,
    target: AtomicU64,
    reached: Notify,
}

impl Tally {
    /// One was received.
    pub(crate) fn one(&self) {
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 == self.target.load(Ordering::Relaxed) {
            self.reached.notify_one();
        }
    }

    /// Begins anew, and waits for so many.
    pub(crate) fn expect(&self, number: u64) {
        self.count.store(0, Ordering::Relaxed);
        self.target.store(number, Ordering::Relaxed);
    }

    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// An envelope of 300 bytes of payload to this address.
pub(crate) fn envelope(to: &Address, event_type: &str, number: usize) -> Result<Arc<Envelope>> {
    let event_id = EventId::parse(&format!("evt-{number}")).context("an id")?;
    Ok(Arc::new(Envelope {
        event_type: Arc::from(event_type),
        tenant_id: to.tenant().clone(),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse(&format!("trace-{number:06}")).context("an id")?,
        correlation_id: (&event_id).into(),
        causation_id: event_id.clone(),
        event_id,
        occurred_at: Timestamp::default(),
        payload: vec![b'x'; 300].into(),
        headers: Headers::new(to.clone(), Principal::system("bench")),
    }))
}

/// The envelopes of one sender.
pub(crate) fn pool(to: &Address) -> Result<Vec<Arc<Envelope>>> {
    (0..POOL).map(|number| envelope(to, "DoNothing", number)).collect()
}

/// A span of one step when the trace is sampled, as the path makes them.
pub(crate) fn span(step: &'static str, envelope: &Envelope) -> tracing::Span {
    let tail = envelope.trace_id.as_str().bytes().rev().take(6);
    let hash = tail.fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    if hash.is_multiple_of(SAMPLE_ONE_IN) {
        tracing::info_span!("step", step, trace_id = %envelope.trace_id, subject = %envelope.headers.subject)
    } else {
        tracing::Span::none()
    }
}
