//! Ids of traces and spans, derived from our own: the same thing always has the same id.

use mesh_kernel::envelope::{Address, TraceId};
use sha2::{Digest as _, Sha256};

/// The id of a span. **Units**: 8 bytes, never all zero in practice.
pub(super) type SpanId = [u8; 8];

/// The collector's id of our trace: the UUID in it, so that a person finds one by the other.
pub(super) fn trace(trace: &TraceId) -> [u8; 16] {
    let text = trace.as_str();
    let uuid = text.strip_prefix("trace-").and_then(|uuid| uuid::Uuid::try_parse(uuid).ok());
    // An id of another form came from outside.
    uuid.map_or_else(|| cut(&digest(&["trace", text])), uuid::Uuid::into_bytes)
}

/// A run, from its submission (round 1) or a retry to its next end.
pub(super) fn run(run: &Address, round: u32) -> SpanId {
    span(&["run", run.as_str(), &round.to_string()])
}

/// A step of a round.
pub(super) fn step(run: &Address, round: u32, step: &str) -> SpanId {
    span(&["step", run.as_str(), &round.to_string(), step])
}

/// An attempt at a step, or at an item of one, or at undoing it.
pub(super) fn attempt(run: &Address, round: u32, what: &str, attempt: u32) -> SpanId {
    span(&["attempt", run.as_str(), &round.to_string(), what, &attempt.to_string()])
}

/// The attempt that asked for a child or a task, which knows it by its own id.
pub(super) fn asked_for(tenant: &str, child: &str) -> SpanId {
    span(&["child", tenant, child])
}

/// An agent's task.
pub(super) fn task(task: &Address) -> SpanId {
    span(&["task", task.as_str()])
}

/// A task's call of a model for one turn.
pub(super) fn chat(task: &Address, turn: u32) -> SpanId {
    span(&["chat", task.as_str(), &turn.to_string()])
}

/// A task's call of a tool.
pub(super) fn tool(task: &Address, turn: u32, call: u32) -> SpanId {
    span(&["tool", task.as_str(), &turn.to_string(), &call.to_string()])
}

/// A check of what a task gives.
pub(super) fn check(task: &Address, number: u32) -> SpanId {
    span(&["check", task.as_str(), &number.to_string()])
}

/// A step of the path of one envelope; told apart by when it began.
pub(super) fn path(trace: &str, subject: &str, step: &str, began: i64) -> SpanId {
    span(&["path", trace, subject, step, &began.to_string()])
}

fn span(parts: &[&str]) -> SpanId {
    cut(&digest(parts))
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().into()
}

fn cut<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    let mut id = [0; N];
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_trace_is_found_by_its_uuid() {
        let ours = TraceId::parse("trace-0190a5c2-7d7b-7c3e-9b1a-0123456789ab").unwrap();
        assert_eq!(mesh_kernel::envelope::hex::encode(&trace(&ours)), "0190a5c27d7b7c3e9b1a0123456789ab");
        let foreign = TraceId::parse("trace-of-somebody").unwrap();
        assert_eq!(trace(&foreign), trace(&foreign));
        assert_ne!(trace(&foreign), trace(&TraceId::parse("trace-of-another").unwrap()));
    }

    #[test]
    fn things_that_differ_have_ids_that_differ() {
        let address: Address = "acme/control-plane/run/run-1".parse().unwrap();
        let ids = [
            run(&address, 1),
            run(&address, 2),
            step(&address, 1, "a"),
            attempt(&address, 1, "a", 1),
            attempt(&address, 1, "a", 2),
            attempt(&address, 1, "a1", 1),
            asked_for("acme", "run-1"),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
