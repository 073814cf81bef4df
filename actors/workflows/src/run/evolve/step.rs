//! How events move a step: it waits, ends, and lets others begin.

use std::{collections::BTreeSet, sync::Arc};

use mesh_kernel::envelope::Timestamp;
use mesh_skills::contract::{Failure, FailureClass};
use serde_json::Value;

use super::super::{
    messages::{Event, SkipReason},
    state::{Effect, Items, Run, Step, StepStatus, Wait, Work},
};
use crate::plan::{Act, Plan, StepIndex};

/// Moves a step.
pub(super) fn apply(run: &mut Run, plan: &Plan, event: &Event, at: Timestamp) {
    match event {
        Event::StepRequested { step, item, attempt, input, due } => {
            let effect = Effect { input: input.clone(), due: *due, request: Default::default() };
            wait(run, plan, (step, *item), *attempt, StepStatus::Running, Wait::Effect(effect), at);
        }
        Event::ApprovalRequested { step, attempt, approval, roles, deadline, due, .. } => {
            let on =
                Wait::Approval { approval: approval.clone(), roles: roles.clone(), deadline: *deadline, due: *due };
            wait(run, plan, (step, None), *attempt, StepStatus::WaitingApproval, on, at);
        }
        Event::SignalAwaited { step, attempt, name, due } => {
            let on = Wait::Signal { name: name.clone(), due: *due };
            wait(run, plan, (step, None), *attempt, StepStatus::WaitingSignal, on, at);
        }
        Event::TimerSet { step, attempt, due } => {
            wait(run, plan, (step, None), *attempt, StepStatus::WaitingTimer, Wait::Timer(*due), at);
        }
        Event::ChildRequested { step, item, attempt, child, definition, due, .. } => {
            let on = Wait::Child { child: child.clone(), definition: definition.clone(), due: *due };
            wait(run, plan, (step, *item), *attempt, StepStatus::Running, on, at);
        }
        Event::TaskRequested { step, attempt, task, agent, due, .. } => {
            let on = Wait::Task { task: task.clone(), agent: agent.clone(), due: *due };
            wait(run, plan, (step, None), *attempt, StepStatus::Running, on, at);
            change(run, plan, (step, None), |work| work.task = Some(task.clone()));
        }
        Event::ItemsListed { step, attempt, items } => listed(run, plan, step, *attempt, items, at),
        Event::StepSucceeded { step, item, output, log, taint, .. } => {
            let given = given(run, plan, step);
            change(run, plan, (step, *item), |work| {
                work.log = log.or(work.log);
                work.output = output.clone();
                work.taint.extend(given.into_iter().chain(taint.iter().cloned()));
            });
            succeeded(run, plan, step, *item, at);
        }
        Event::StepComputed { step, item, attempt, output, .. } => {
            let given = given(run, plan, step);
            begin(run, plan, (step, *item), *attempt, at, |work| {
                work.output = Some(output.clone());
                work.taint.extend(given);
            });
            succeeded(run, plan, step, *item, at);
        }
        Event::AttemptFailed { step, item, failure, retry_at, log, .. } => {
            change(run, plan, (step, *item), |work| {
                work.log = log.or(work.log);
                work.failure = Some(failure.clone());
                work.status = StepStatus::Ready;
                work.since = Some(at);
                work.wait = Some(Wait::Backoff(*retry_at));
            });
        }
        Event::StepFailed { step, item, attempt, failure, log } => {
            change(run, plan, (step, *item), |work| {
                work.attempts = (*attempt).max(work.attempts);
                work.log = log.or(work.log);
                work.failure = Some(failure.clone());
            });
            failed(run, plan, step, *item, failure, at);
        }
        Event::StepsSkipped { steps, because } => skipped(run, plan, steps, *because, at),
        _ => {}
    }
}

/// What from outside goes into what a step calls, and so into what it gives.
fn given(run: &Run, plan: &Plan, step: &str) -> BTreeSet<String> {
    let step = plan.find(step).and_then(|at| plan.step(at));
    step.map(|step| run.taint_of(step)).unwrap_or_default()
}

/// Changes the work of a step or item.
pub(super) fn change(run: &mut Run, plan: &Plan, (step, item): (&str, Option<u32>), with: impl FnOnce(&mut Work)) {
    let Some(step) = plan.find(step).and_then(|at| run.step_mut(at)) else { return };
    match item {
        None => with(&mut step.work),
        Some(item) => {
            let work = step.items.as_mut().and_then(|items| Arc::make_mut(items).works.get_mut(item as usize));
            if let Some(work) = work {
                with(Arc::make_mut(work));
            }
        }
    }
}

fn wait(
    run: &mut Run,
    plan: &Plan,
    (step, item): (&str, Option<u32>),
    attempt: u32,
    status: StepStatus,
    on: Wait,
    at: Timestamp,
) {
    begin(run, plan, (step, item), attempt, at, |work| {
        work.status = status;
        work.wait = Some(on);
    });
}

/// An attempt of a step, or of an item, begins.
fn begin(
    run: &mut Run,
    plan: &Plan,
    (step, item): (&str, Option<u32>),
    attempt: u32,
    at: Timestamp,
    with: impl FnOnce(&mut Work),
) {
    let Some(index) = plan.find(step) else { return };
    run.ready.remove(&index);
    run.open.insert(index);
    if let Some(item) = item {
        open_item(run, index, item);
    }
    change(run, plan, (step, item), |work| {
        work.attempts = attempt;
        work.started_at = work.started_at.or(Some(at));
        work.since = Some(at);
        with(work);
    });
}

fn open_item(run: &mut Run, index: StepIndex, item: u32) {
    let Some(items) = run.step_mut(index).and_then(|step| step.items.as_mut()) else { return };
    let items = Arc::make_mut(items);
    if items.works.len() <= item as usize {
        items.works.push(Arc::new(Work { before: items.base, ..Work::default() }));
    }
    items.open.insert(item);
    items.again.remove(&item);
    if items.next().is_none() {
        run.hungry.remove(&index);
    }
}

fn listed(run: &mut Run, plan: &Plan, id: &str, attempt: u32, values: &Arc<Vec<Value>>, at: Timestamp) {
    let Some(index) = plan.find(id) else { return };
    run.ready.remove(&index);
    run.open.insert(index);
    let Some(step) = run.step_mut(index) else { return };
    step.work.attempts = attempt;
    step.work.status = StepStatus::Running;
    step.work.started_at = step.work.started_at.or(Some(at));
    step.work.since = Some(at);
    let before = step.items.take().map(Arc::unwrap_or_clone).unwrap_or_default();
    let items = match before.values == *values {
        // The run was retried: what succeeded stays, the rest begins anew.
        true => Items { values: values.clone(), ..before },
        false => Items { values: values.clone(), base: before.base, ..Items::default() },
    };
    let hungry = items.next().is_some();
    step.items = Some(Arc::new(items));
    if hungry {
        run.hungry.insert(index);
    }
}

fn succeeded(run: &mut Run, plan: &Plan, id: &str, item: Option<u32>, at: Timestamp) {
    let Some(index) = plan.find(id) else { return };
    if let Some(item) = item {
        close_item(run, index, item, StepStatus::Succeeded, at);
        return;
    }
    if let Some(Act::Signal(name)) = plan.step(index).map(|step| &step.act)
        && let Some(place) = run.signals.iter().position(|kept| *kept.name == **name)
    {
        run.signals.remove(place);
    }
    gather(run, index);
    let undoable = plan.step(index).is_some_and(|step| step.compensate.is_some());
    if undoable {
        run.undoable.push(index);
    }
    close(run, index, StepStatus::Succeeded, at);
    release(run, plan, index);
}

/// A for-each step's output is the list of its items' outputs; they move there.
fn gather(run: &mut Run, index: StepIndex) {
    let Some(step) = run.step_mut(index) else { return };
    let Some(items) = step.items.as_mut().map(Arc::make_mut) else { return };
    let outputs: Vec<Value> = items
        .works
        .iter_mut()
        .map(|work| {
            let output = Arc::make_mut(work).output.take().unwrap_or_default();
            Arc::unwrap_or_clone(output)
        })
        .collect();
    step.work.taint.extend(items.works.iter().flat_map(|work| work.taint.iter().cloned()));
    step.work.output = Some(Arc::new(Value::Array(outputs)));
}

pub(super) fn close(run: &mut Run, index: StepIndex, status: StepStatus, at: Timestamp) {
    run.ready.remove(&index);
    run.open.remove(&index);
    run.hungry.remove(&index);
    if let Some(step) = run.step_mut(index) {
        step.work.status = status;
        step.work.ended_at = Some(at);
        step.work.wait = None;
    }
}

fn close_item(run: &mut Run, index: StepIndex, item: u32, status: StepStatus, at: Timestamp) {
    let Some(items) = run.step_mut(index).and_then(|step| step.items.as_mut()) else { return };
    let items = Arc::make_mut(items);
    items.open.remove(&item);
    if status == StepStatus::Succeeded {
        items.succeeded += 1;
    }
    if let Some(work) = items.works.get_mut(item as usize) {
        let work = Arc::make_mut(work);
        work.status = status;
        work.ended_at = Some(at);
        work.wait = None;
    }
}

/// Those that need a step which ended may become ready.
fn release(run: &mut Run, plan: &Plan, index: StepIndex) {
    run.unfinished = run.unfinished.saturating_sub(1);
    for successor in plan.step(index).map(|step| step.successors.as_slice()).unwrap_or_default() {
        let Some(step) = run.step_mut(*successor) else { continue };
        step.missing = step.missing.saturating_sub(1);
        if step.missing == 0 && step.work.status == StepStatus::Pending {
            step.work.status = StepStatus::Ready;
            run.ready.insert(*successor);
        }
    }
}

fn skipped(run: &mut Run, plan: &Plan, steps: &[Arc<str>], because: SkipReason, at: Timestamp) {
    for index in steps.iter().filter_map(|id| plan.find(id)) {
        if let Some(step) = run.step_mut(index) {
            step.skipped = Some(because);
        }
        close(run, index, StepStatus::Skipped, at);
        release(run, plan, index);
    }
}

fn failed(run: &mut Run, plan: &Plan, id: &str, item: Option<u32>, failure: &Arc<Failure>, at: Timestamp) {
    let Some(index) = plan.find(id) else { return };
    if let Some(item) = item {
        close_item(run, index, item, StepStatus::Failed, at);
        return;
    }
    close(run, index, StepStatus::Failed, at);
    if let Some(step) = run.step_mut(index) {
        cut_items(step, at);
    }
    run.failed_step = Some(index);
    run.failure = Some(failure.clone());
}

pub(super) fn cut_short(work: &mut Work) {
    let message = "cut short because the run stopped";
    let cut = || Arc::new(Failure::new(FailureClass::Cancelled, "run.stopped", message));
    work.failure.get_or_insert_with(cut);
}

/// Items that are under way end with their step.
pub(super) fn cut_items(step: &mut Step, at: Timestamp) {
    let Some(items) = step.items.as_mut().map(Arc::make_mut) else { return };
    for item in std::mem::take(&mut items.open) {
        if let Some(work) = items.works.get_mut(item as usize).map(Arc::make_mut) {
            work.status = StepStatus::Failed;
            work.ended_at = Some(at);
            work.wait = None;
            cut_short(work);
        }
    }
}
