//! What a run still wants: skills without an outcome, and instants.
//!
//! **Cost**: grows with what is open, not with the steps; a request is made once and then shared.

use std::time::Duration;

use bytes::Bytes;
use mesh_kernel::{
    entity::{EffectRequest, TimerRequest, Wants},
    envelope::{IdempotencyKey, Timestamp},
};
use mesh_skills::contract::{FailureClass, HANDLER, SkillCall};
use serde::{Deserialize, Serialize};

use super::state::{Effect, Head, Run, Status, Wait, Work};
use crate::plan::{Act, Body, Plan, PlanStep, StepIndex};

/// What an outcome brings back, so that it finds its step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Echo {
    /// The step.
    pub(super) step: String,
    /// The item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<u32>,
    /// Whether it undoes the step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) undo: bool,
}

/// The timer that goes on with what did not fit into one append.
pub(super) const SETTLE: &str = "settle";
/// The timer of the whole run.
pub(super) const DEADLINE: &str = "deadline";

/// Which timer of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimerKind {
    /// The attempt, or the wait, took too long.
    Timeout,
    /// The next attempt begins.
    Retry,
    /// What a timer step waits for.
    Timer,
}

impl TimerKind {
    const ALL: [(Self, &'static str); 3] = [(Self::Timeout, "timeout"), (Self::Retry, "retry"), (Self::Timer, "timer")];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// A timer's name, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimerName {
    pub(super) kind: TimerKind,
    pub(super) step: String,
    pub(super) item: Option<u32>,
    pub(super) undo: bool,
    pub(super) attempt: u32,
}

impl TimerName {
    /// `retry:build.3`, `timeout:mail.7.1`, `timeout:undo:pay.1`.
    pub(super) fn text(&self) -> String {
        let undo = if self.undo { "undo:" } else { "" };
        let item = self.item.map(|item| format!(".{item}")).unwrap_or_default();
        format!("{}:{undo}{}{item}.{}", self.kind.as_str(), self.step, self.attempt)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (kind, _) = *TimerKind::ALL.iter().find(|(_, name)| *name == kind)?;
        let (undo, rest) = match rest.strip_prefix("undo:") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (rest, attempt) = rest.rsplit_once('.')?;
        let (step, item) = match rest.split_once('.') {
            Some((step, item)) => (step, Some(item.parse().ok()?)),
            None => (rest, None),
        };
        Some(Self { kind, step: step.to_owned(), item, undo, attempt: attempt.parse().ok()? })
    }
}

/// The instant at which a wait ends by itself, and how.
pub(super) fn due(wait: &Wait) -> Option<(TimerKind, Timestamp)> {
    match wait {
        Wait::Effect(Effect { due, .. })
        | Wait::Approval { due, .. }
        | Wait::Signal { due, .. }
        | Wait::Child { due, .. }
        | Wait::Task { due, .. } => due.map(|due| (TimerKind::Timeout, due)),
        Wait::Backoff(due) => Some((TimerKind::Retry, *due)),
        Wait::Timer(due) => Some((TimerKind::Timer, *due)),
    }
}

/// Everything that the run still wants.
pub(super) fn wants(run: &Run, plan: &Plan) -> Wants {
    let mut wants = Wants::default();
    let Some(head) = &run.head else { return wants };
    let collector = Collector { head, paused: run.paused.is_some() };
    if run.status == Status::Running {
        for index in &run.open {
            collector.step(run, plan, *index, &mut wants);
        }
        if let Some(due) = run.deadline {
            wants.timers.push(TimerRequest { due, name: DEADLINE.to_owned() });
        }
        if is_unsettled(run, plan) {
            wants.timers.push(TimerRequest { due: run.moved_at, name: SETTLE.to_owned() });
        }
    }
    if run.status == Status::Compensating
        && let Some(undo) = &run.undo
        && let Some(index) = undo.queue.front()
        && let Some(step) = plan.step(*index)
        && let Some(compensate) = &step.compensate
    {
        let of = Of { step: &step.id, item: None, undo: true, skill: &compensate.skill, attempts: attempts(step) };
        collector.work(&undo.work, &of, &mut wants);
    }
    wants
}

/// Attempts while the skill, or what it talks to, is not there.
fn attempts(step: &PlanStep) -> u32 {
    step.retry.of(FailureClass::External).attempts
}

/// Whether steps can begin that have not: what did not fit into one append.
pub(super) fn is_unsettled(run: &Run, plan: &Plan) -> bool {
    run.may_schedule() && (!run.ready.is_empty() || run.hungry.iter().any(|index| has_room(run, plan, *index)))
}

fn has_room(run: &Run, plan: &Plan, index: StepIndex) -> bool {
    match plan.step(index).map(|step| &step.act) {
        Some(Act::ForEach(each)) => run.has_room(index, each.parallel),
        _ => false,
    }
}

struct Collector<'r> {
    head: &'r Head,
    paused: bool,
}

/// Whose work it is.
#[derive(Clone, Copy)]
struct Of<'p> {
    step: &'p str,
    item: Option<u32>,
    undo: bool,
    skill: &'p str,
    /// Attempts while the skill, or what it talks to, is not there.
    attempts: u32,
}

impl Collector<'_> {
    fn step(&self, run: &Run, plan: &Plan, index: StepIndex, wants: &mut Wants) {
        let (Some(step), Some(planned)) = (run.step(index), plan.step(index)) else { return };
        let skill = match &planned.act {
            Act::Skill(skill) => skill,
            Act::ForEach(each) => match &each.body {
                Body::Skill(skill) => skill,
                Body::Workflow(_) => "",
            },
            _ => "",
        };
        let of = Of { step: &planned.id, item: None, undo: false, skill, attempts: attempts(planned) };
        self.work(&step.work, &of, wants);
        if let Some(items) = &step.items {
            for item in &items.open {
                if let Some(work) = items.works.get(*item as usize) {
                    self.work(work, &Of { item: Some(*item), ..of }, wants);
                }
            }
        }
    }

    fn work(&self, work: &Work, of: &Of<'_>, wants: &mut Wants) {
        let Some(wait) = &work.wait else { return };
        if let Wait::Effect(effect) = wait {
            let request = effect.request.get_or_init(|| self.request(effect, work, of));
            wants.effects.extend(request.clone());
        }
        // While a run is paused no new attempt begins; an overdue one begins when it goes on.
        let held = self.paused && matches!(wait, Wait::Backoff(_));
        if let Some((kind, due)) = due(wait)
            && !held
        {
            let name =
                TimerName { kind, step: of.step.to_owned(), item: of.item, undo: of.undo, attempt: work.attempts };
            wants.timers.push(TimerRequest { due, name: name.text() });
        }
    }

    /// The same attempt always has the same key, before a crash and after it; and all attempts of one
    /// round show the outside world the same one, for a failure may hide that the work was done.
    fn request(&self, effect: &Effect, work: &Work, of: &Of<'_>) -> Option<EffectRequest> {
        let run = self.head.address.id();
        let item = of.item.map(|item| format!(".{item}")).unwrap_or_default();
        let undo = if of.undo { ".undo" } else { "" };
        let key = |number: u32| IdempotencyKey::parse(&format!("{run}.{}{item}{undo}.{number}", of.step)).ok();
        let echo = Echo { step: of.step.to_owned(), item: of.item, undo: of.undo };
        let call = SkillCall {
            skill: of.skill.to_owned(),
            version: None,
            input: effect.input.as_ref().clone(),
            run: run.to_owned(),
            step: match of.undo {
                true => format!("{}.undo", of.step),
                false => of.step.to_owned(),
            },
            item: of.item,
            attempt: work.attempts,
            idempotency_key: key(work.before + 1),
            echo: serde_json::to_value(echo).unwrap_or_default(),
            waits: of.attempts > 1,
            // Its definition decided on the call, and a person on the definition.
            taint: Vec::new(),
        };
        Some(EffectRequest {
            key: key(work.attempts)?,
            handler: HANDLER,
            attempt: work.attempts,
            input: Bytes::from(serde_json::to_vec(&call).ok()?),
            timeout: self.timeout(effect, work),
        })
    }

    fn timeout(&self, effect: &Effect, work: &Work) -> Option<Duration> {
        Some(effect.due?.since(work.since?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timers_name_survives_its_text() {
        for (kind, item, undo, text) in [
            (TimerKind::Retry, None, false, "retry:build.3"),
            (TimerKind::Timeout, Some(7), false, "timeout:build.7.3"),
            (TimerKind::Timer, None, true, "timer:undo:build.3"),
        ] {
            let name = TimerName { kind, step: "build".into(), item, undo, attempt: 3 };
            assert_eq!(name.text(), text);
            assert_eq!(TimerName::parse(text), Some(name));
        }
        for bad in ["", "retry", "retry:build", "nap:build.1", "retry:a.b.c", DEADLINE, SETTLE] {
            assert_eq!(TimerName::parse(bad), None, "{bad}");
        }
    }
}
