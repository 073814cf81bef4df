//! How events undo, end, and retry a run.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use mesh_kernel::envelope::Timestamp;

use super::{
    super::{
        messages::Event,
        state::{Effect, Items, Run, Slot, Status, StepStatus, Undo, Wait, Work},
    },
    step::{change, close, cut_items, cut_short},
};
use crate::plan::{Plan, StepIndex};

/// Moves the undoing of effects.
pub(super) fn undoing(run: &mut Run, plan: &Plan, event: &Event, at: Timestamp) {
    match event {
        Event::CompensationStarted { steps, failure } => {
            stop(run, at);
            run.status = Status::Compensating;
            run.failure = failure.clone().or(run.failure.take());
            let queue: VecDeque<StepIndex> = steps.iter().filter_map(|id| plan.find(id)).collect();
            run.undo = Some(Arc::new(Undo { queue, ..Undo::default() }));
        }
        Event::CompensationRequested { step, attempt, input, due } => {
            let effect = Effect { input: input.clone(), due: *due, request: Default::default() };
            if let Some(step) = plan.find(step).and_then(|at| run.step_mut(at)) {
                step.undos = *attempt;
            }
            undo(run, |undo| {
                if undo.work.attempts == 0 {
                    undo.work.before = attempt.saturating_sub(1);
                }
                undo.work.attempts = *attempt;
                undo.work.status = StepStatus::Running;
                undo.work.since = Some(at);
                undo.work.wait = Some(Wait::Effect(effect));
            });
        }
        Event::CompensationAttemptFailed { failure, retry_at, .. } => undo(run, |undo| {
            undo.work.failure = Some(failure.clone());
            undo.work.status = StepStatus::Ready;
            undo.work.since = Some(at);
            undo.work.wait = Some(Wait::Backoff(*retry_at));
        }),
        Event::CompensationSucceeded { step, .. } => {
            change(run, plan, (step, None), |work| {
                work.status = StepStatus::Compensated;
                work.ended_at = Some(at);
            });
            next_undo(run, false);
        }
        Event::CompensationFailed { step, failure, .. } => {
            change(run, plan, (step, None), |work| work.failure = Some(failure.clone()));
            next_undo(run, true);
        }
        _ => {}
    }
}

/// Everything that is open is cut short.
fn stop(run: &mut Run, at: Timestamp) {
    let open: Vec<StepIndex> = run.open.iter().copied().collect();
    for index in open {
        close(run, index, StepStatus::Failed, at);
        let Some(step) = run.step_mut(index) else { continue };
        cut_short(&mut step.work);
        cut_items(step, at);
    }
    run.ready.clear();
    run.hungry.clear();
    run.paused = None;
    run.deadline = None;
}

fn undo(run: &mut Run, with: impl FnOnce(&mut Undo)) {
    if let Some(undo) = run.undo.as_mut() {
        with(Arc::make_mut(undo));
    }
}

fn next_undo(run: &mut Run, failed: bool) {
    undo(run, |undo| {
        if let Some(index) = undo.queue.pop_front()
            && failed
        {
            undo.failed.push(index);
        }
        undo.work = Work::default();
    });
}

pub(super) fn ended(run: &mut Run, status: Status, at: Timestamp) {
    stop(run, at);
    run.status = status;
    run.ended_at = Some(at);
    run.slot = Slot::None;
    run.undo = None;
    run.undoable.clear();
    run.signals.clear();
}

pub(super) fn retried(run: &mut Run, plan: &Plan, reset: &[Arc<str>], at: Timestamp) {
    let reset: BTreeSet<StepIndex> = reset.iter().filter_map(|id| plan.find(id)).collect();
    for index in &reset {
        // Items that succeeded stay, unless what they were made from begins anew too.
        let needs = plan.step(*index).map(|step| step.needs.as_slice()).unwrap_or_default();
        let same_list = !needs.iter().any(|need| reset.contains(need));
        if let Some(step) = run.step_mut(*index) {
            let keep = same_list && step.work.status == StepStatus::Failed;
            step.items = step.items.take().map(|items| reset_items(Arc::unwrap_or_clone(items), keep));
            let attempts = step.work.attempts;
            step.work = Work { attempts, before: attempts, ..Work::default() };
            step.skipped = None;
        }
    }
    run.status = Status::Running;
    run.retries += 1;
    run.ended_at = None;
    run.failure = None;
    run.failed_step = None;
    run.outputs = None;
    run.deadline = plan.timeout.map(|timeout| at.plus(timeout));
    recount(run, plan);
}

fn reset_items(mut items: Items, keep: bool) -> Arc<Items> {
    let most = items.works.iter().map(|work| work.attempts).max().unwrap_or(0);
    items.base = items.base.max(most);
    items.open.clear();
    if !keep {
        return Arc::new(Items { base: items.base, ..Items::default() });
    }
    for (item, work) in (0..).zip(&mut items.works) {
        if work.status != StepStatus::Succeeded {
            let attempts = work.attempts;
            *work = Arc::new(Work { attempts, before: attempts, ..Work::default() });
            items.again.insert(item);
        }
    }
    Arc::new(items)
}

/// Counts anew what each step still needs, after steps were reset.
fn recount(run: &mut Run, plan: &Plan) {
    let done: Vec<bool> = run.steps.iter().map(|step| step.work.status.is_done()).collect();
    let is_done = |at: &StepIndex| done.get(*at as usize).copied().unwrap_or(false);
    run.unfinished = done.iter().filter(|done| !**done).count() as u32;
    run.ready.clear();
    for (index, planned) in (0..).zip(&plan.steps) {
        if is_done(&index) {
            if planned.compensate.is_some() && run.step(index).is_some_and(|s| s.work.status == StepStatus::Succeeded) {
                run.undoable.push(index);
            }
            continue;
        }
        let missing = planned.needs.iter().filter(|need| !is_done(need)).count() as u32;
        if let Some(step) = run.step_mut(index) {
            step.missing = missing;
            step.work.status = if missing == 0 { StepStatus::Ready } else { StepStatus::Pending };
        }
        if missing == 0 {
            run.ready.insert(index);
        }
    }
    // The order of their ends is not kept over an end; the order of the graph stands in for it.
    let ended: Vec<Option<Timestamp>> = run.steps.iter().map(|step| step.work.ended_at).collect();
    run.undoable.sort_by_key(|index| ended.get(*index as usize).copied().flatten());
}
