//! The two tails: the journal's events, exact; and live signals, whose gaps are counted.

use std::collections::VecDeque;

use futures_util::{Stream, stream};
use mesh_kernel::{
    envelope::{Refusal, Role},
    follow::Seen,
    path::Caller,
    telemetry::{Listener, Signal, Tailed},
};
use mesh_proto::v1::{self, tail_response::Item};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::gateway::{
    GatewayState,
    convert::{envelope, time},
    follow::{Follow, Found, stopping},
    status::status,
};

/// Signals that a stream holds back for a slow reader; older ones are counted as missed.
const SIGNALS_MAX: usize = 1_024;

/// The journal's events of the caller's tenant that match.
///
/// # Errors
/// When the cursor is not one of this journal.
pub(super) fn journal(
    state: &GatewayState,
    caller: &Caller,
    asked: v1::JournalTail,
) -> Result<impl Stream<Item = Result<v1::TailResponse, Status>> + Send + use<>, Refusal> {
    let follow = Follow::new(state, caller, &asked.cursor, asked.start())?;
    Ok(stream::unfold(Some((follow, asked)), |going| async {
        let (mut follow, asked) = going?;
        loop {
            let (item, place) = match follow.next().await {
                Ok(Found::Event(seen, _)) if !matches(&asked, &seen) => continue,
                Ok(Found::Event(seen, place)) => (Item::Event(event(&seen)), place),
                Ok(Found::CaughtUp(position, place)) => (Item::CaughtUp(v1::CaughtUp { position: position.0 }), place),
                Err(refusal) => return Some((Err(status(&refusal)), None)),
            };
            let message = v1::TailResponse { cursor: place.seal(), item: Some(item) };
            return Some((Ok(message), Some((follow, asked))));
        }
    }))
}

fn matches(asked: &v1::JournalTail, seen: &Seen) -> bool {
    let envelope = &seen.envelope;
    let type_fits = asked.event_types.is_empty() || asked.event_types.iter().any(|name| **name == *envelope.event_type);
    type_fits
        && envelope.headers.subject.as_str().starts_with(&asked.subject_prefix)
        && (asked.trace_id.is_empty() || envelope.trace_id.as_str() == asked.trace_id)
        && (asked.correlation_id.is_empty() || envelope.correlation_id.as_str() == asked.correlation_id)
}

fn event(seen: &Seen) -> v1::TailEvent {
    v1::TailEvent {
        envelope: Some(envelope::message(&seen.envelope)),
        version: seen.version,
        position: seen.position.0,
    }
}

struct Live {
    listener: Listener,
    stopping: CancellationToken,
    prefix: String,
    ready: VecDeque<Item>,
}

/// Live signals of the caller's tenant; of all tenants for an operator.
pub(super) fn signals(
    state: &GatewayState,
    caller: &Caller,
    asked: v1::SignalTail,
) -> impl Stream<Item = Result<v1::TailResponse, Status>> + Send + use<> {
    let sees_all = caller.principal().has(Role::Operator);
    let tenant = (!sees_all).then(|| caller.tenant().clone());
    let live = Live {
        listener: state.mesh.signals().listen(tenant, SIGNALS_MAX),
        stopping: state.stopping.clone(),
        prefix: asked.address_prefix,
        ready: VecDeque::new(),
    };
    stream::unfold(Some(live), |live| async {
        let mut live = live?;
        loop {
            if let Some(item) = live.ready.pop_front() {
                let message = v1::TailResponse { cursor: String::new(), item: Some(item) };
                return Some((Ok(message), Some(live)));
            }
            tokio::select! {
                tailed = live.listener.next() => live.ready = items(tailed, &live.prefix),
                () = live.stopping.cancelled() => return Some((Err(status(&stopping())), None)),
            }
        }
    })
}

fn items(tailed: Tailed, prefix: &str) -> VecDeque<Item> {
    let gap = (tailed.missed > 0).then_some(Item::Gap(v1::SignalGap { missed: tailed.missed }));
    let first = tailed.first;
    let signals = tailed
        .signals
        .into_iter()
        .zip(first..)
        .filter(|(signal, _)| signal.address.as_str().starts_with(prefix))
        .map(|(signal, sequence)| Item::Signal(told(signal, sequence)));
    gap.into_iter().chain(signals).collect()
}

fn told(signal: Signal, sequence: u64) -> v1::ActorSignal {
    v1::ActorSignal {
        sequence,
        occur_time: Some(signal.at.into()),
        address: signal.address.as_str().to_owned(),
        kind: signal.kind.as_str().to_owned(),
        message_type: signal.event_type.as_deref().unwrap_or_default().to_owned(),
        waited: time::duration(signal.waited),
        took: time::duration(signal.took),
        reason: signal.reason.as_deref().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use mesh_kernel::{envelope::Timestamp, telemetry::SignalKind};

    use super::*;

    fn signal(address: &str) -> Signal {
        Signal {
            at: Timestamp::default(),
            address: address.parse().unwrap(),
            kind: SignalKind::Handled,
            event_type: Some(Arc::from("SubmitRun")),
            waited: Duration::ZERO,
            took: Duration::from_millis(2),
            reason: None,
        }
    }

    #[test]
    fn a_gap_is_told_with_its_count_before_what_follows_it() {
        let signals = vec![signal("acme/p/k/a"), signal("acme/p/k/b")];
        let told = items(Tailed { missed: 7, first: 40, signals }, "acme/p/k/b");
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], Item::Gap(v1::SignalGap { missed: 7 }));
        let Item::Signal(second) = &told[1] else { panic!("{told:?}") };
        assert_eq!((second.sequence, second.address.as_str()), (41, "acme/p/k/b"));
    }
}
