//! Spans of the eight steps: made for sampled traces only, named like the steps.

use crate::envelope::TraceId;

/// Whether this trace gets spans: decided by its id, so a trace is whole or absent.
pub(super) fn sampled(trace: &TraceId, one_in: u32) -> bool {
    match one_in {
        0 => false,
        1 => true,
        // The last four characters are random (UUIDv7), so their sum spreads well enough.
        n => {
            let tail = trace.as_str().bytes().rev().take(6);
            tail.fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte))) % n == 0
        }
    }
}

/// A span of one step, or none when the trace is not sampled.
macro_rules! step {
    ($name:literal, $services:expr, $trace:expr, $subject:expr) => {
        if $crate::path::span::sampled($trace, $services.settings.sample_one_in) {
            tracing::info_span!(target: "mesh::path", $name, trace_id = %$trace, subject = %$subject)
        } else {
            tracing::Span::none()
        }
    };
}

pub(super) use step;
