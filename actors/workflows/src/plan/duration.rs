//! Durations of a definition that came as a message, where one can be negative.

use std::time::Duration;

use super::Fault;
use crate::form::of_proto;

/// The duration; none when nothing was said, or no time at all.
pub(super) fn duration(given: Option<&prost_types::Duration>, at: &str, faults: &mut Vec<Fault>) -> Option<Duration> {
    if let Some(given) = given.filter(|given| given.seconds < 0 || given.nanos < 0) {
        // Not in the message's own words: it negates the seconds, which the least of them does not bear.
        faults.push(
            Fault::new(at, format!("`{}s` is negative", given.seconds)).help("write `30s`, `5m`, `2h` or `1h30m`"),
        );
    }
    of_proto(given)
}

#[cfg(test)]
mod tests {
    use mesh_proto::v1::{ApprovalStep, Retry, Step, WorkflowDefinition, step::Kind};

    use crate::plan::compile;

    #[test]
    fn no_duration_is_negative() {
        let negative = Some(prost_types::Duration { seconds: -1, nanos: 0 });
        let approval = ApprovalStep { deadline: negative, escalate_after: negative, ..ApprovalStep::default() };
        let retry = Retry { initial_backoff: negative, max_backoff: negative, ..Retry::default() };
        let called =
            Step { id: "a".into(), kind: Some(Kind::Skill("text.echo".into())), retry: Some(retry), ..Step::default() };
        let definition = WorkflowDefinition {
            name: "negative".into(),
            timeout: Some(prost_types::Duration { seconds: i64::MIN, nanos: 0 }),
            steps: vec![
                Step { timeout: negative, ..called },
                Step { id: "b".into(), kind: Some(Kind::Approval(approval)), ..Step::default() },
            ],
            ..WorkflowDefinition::default()
        };
        let faults = compile(&definition).unwrap_err();
        let at: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        let mut expected = [
            "/timeout",
            "/steps/0/timeout",
            "/steps/0/retry/initialBackoff",
            "/steps/0/retry/maxBackoff",
            "/steps/1/approval/deadline",
            "/steps/1/approval/escalateAfter",
        ];
        for pointer in &at {
            assert!(expected.contains(pointer), "{pointer}");
        }
        expected.sort_unstable();
        let mut at = at;
        at.sort_unstable();
        at.dedup();
        assert_eq!(at, expected);
    }
}
