//! How each event moves a run.
//!
//! INVARIANT: everything that the future of a run depends on is in its events: no expression is
//! evaluated here, so a later version of the expression language replays an old run as it was.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use mesh_kernel::envelope::{Address, Timestamp, TraceId};
use mesh_skills::contract::{Failure, FailureClass};
use serde_json::Value;

use super::{
    messages::{Event, SkipReason, SubmitRun},
    state::{Cancel, Effect, Head, Items, Kept, Run, Slot, Status, Step, StepStatus, Undo, Wait, Work},
};
use crate::{
    definition::digest_of,
    plan::{Act, Plan, StepIndex},
};

/// Where and when an event happened.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) address: &'a Address,
    pub(super) trace_id: &'a TraceId,
    pub(super) at: Timestamp,
}

/// The first event: what the run is.
pub(super) fn submitted(run: &mut Run, submit: &SubmitRun, by: &str, moment: Moment<'_>) {
    run.head = Some(Arc::new(Head {
        address: moment.address.clone(),
        definition: submit.definition.clone(),
        workflow: submit.workflow.clone(),
        input: submit.input.clone(),
        body: body(submit),
        request_id: submit.request_id.clone(),
        project: submit.project.clone(),
        labels: submit.labels.clone(),
        parent: submit.parent.clone(),
        submitted_by: by.to_owned(),
        trace_id: moment.trace_id.clone(),
        created_at: moment.at,
    }));
    run.status = Status::Created;
    run.moved_at = moment.at;
}

/// What a repeated request is compared with.
pub(super) fn body(submit: &SubmitRun) -> mesh_kernel::ports::Digest {
    submit.body.unwrap_or_else(|| {
        digest_of(&serde_json::json!({
            "definition": submit.definition.digest.to_string(),
            "input": submit.input,
            "parent": submit.parent,
        }))
    })
}

/// The steps as they stand before the first one begins.
pub(super) fn lay_out(run: &mut Run, plan: &Plan) {
    run.steps =
        plan.steps.iter().map(|step| Arc::new(Step { missing: step.needs.len() as u32, ..Step::default() })).collect();
    run.unfinished = plan.steps.len() as u32;
}

/// Moves the run by one event. Events that name what the plan does not have change nothing.
///
/// **Cost**: grows with what the event touches; with all steps only at a start, a retry, or an end.
pub(super) fn apply(run: &mut Run, plan: &Plan, event: &Event, at: Timestamp) {
    run.moved_at = at;
    match event {
        Event::RunSubmitted { .. } => lay_out(run, plan),
        Event::SlotRequested { limit, .. } => {
            run.slot = Slot::Requested { limit: limit.clone(), since: at };
        }
        Event::RunStarted {} => started(run, plan, at),
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
        Event::SignalReceived { name, step, payload } => kept(run, name, step.is_some(), payload.as_ref()),
        Event::TimerSet { step, attempt, due } => {
            wait(run, plan, (step, None), *attempt, StepStatus::WaitingTimer, Wait::Timer(*due), at);
        }
        Event::ChildRequested { step, item, attempt, child, definition, due, .. } => {
            let on = Wait::Child { child: child.clone(), definition: definition.clone(), due: *due };
            wait(run, plan, (step, *item), *attempt, StepStatus::Running, on, at);
        }
        Event::ItemsListed { step, attempt, items } => listed(run, plan, step, *attempt, items, at),
        Event::StepSucceeded { step, item, output, log, .. } => {
            change(run, plan, (step, *item), |work| {
                work.log = log.or(work.log);
                work.output = output.clone();
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
        Event::WaitsAbandoned { .. } => {}
        Event::RunPaused { by, reason } => {
            run.paused = Some(Cancel { by: by.clone(), reason: reason.clone() });
        }
        Event::RunResumed { .. } => run.paused = None,
        Event::RunCancelRequested { by, reason } => {
            run.cancel = Some(Cancel { by: by.clone(), reason: reason.clone() });
        }
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
        Event::RunSucceeded { outputs, .. } => {
            run.outputs = Some(outputs.clone());
            ended(run, Status::Succeeded, at);
        }
        Event::RunFailed { failure, .. } => {
            run.failure = Some(failure.clone());
            ended(run, Status::Failed, at);
        }
        Event::RunCancelled { by, reason, .. } => {
            run.cancel = Some(Cancel { by: by.clone(), reason: reason.clone() });
            ended(run, Status::Cancelled, at);
        }
        Event::RunRetried { reset, .. } => retried(run, plan, reset, at),
    }
}

fn started(run: &mut Run, plan: &Plan, at: Timestamp) {
    if let Slot::Requested { limit, .. } = &run.slot {
        run.slot = Slot::Held { limit: limit.clone() };
    }
    // A retried run that waited for its turn again has its steps laid out already.
    if run.started_at.is_none() {
        run.started_at = Some(at);
        run.ready = plan.roots.iter().copied().collect();
    }
    run.status = Status::Running;
    run.deadline = plan.timeout.map(|timeout| at.plus(timeout));
}

/// Changes the work of a step or item.
fn change(run: &mut Run, plan: &Plan, (step, item): (&str, Option<u32>), with: impl FnOnce(&mut Work)) {
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
    let Some(index) = plan.find(step) else { return };
    run.ready.remove(&index);
    run.open.insert(index);
    if let Some(item) = item {
        open_item(run, index, item);
    }
    change(run, plan, (step, item), |work| {
        work.attempts = attempt;
        work.status = status;
        work.started_at = work.started_at.or(Some(at));
        work.since = Some(at);
        work.wait = Some(on);
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

fn kept(run: &mut Run, name: &str, taken: bool, payload: Option<&Arc<Value>>) {
    if !taken {
        let payload = payload.cloned().unwrap_or_default();
        run.signals.push_back(Kept { name: name.to_owned(), payload });
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
    step.work.output = Some(Arc::new(Value::Array(outputs)));
}

fn close(run: &mut Run, index: StepIndex, status: StepStatus, at: Timestamp) {
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

fn cut_short(work: &mut Work) {
    let message = "cut short because the run stopped";
    let cut = || Arc::new(Failure::new(FailureClass::Cancelled, "run.stopped", message));
    work.failure.get_or_insert_with(cut);
}

/// Items that are under way end with their step.
fn cut_items(step: &mut Step, at: Timestamp) {
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

fn ended(run: &mut Run, status: Status, at: Timestamp) {
    stop(run, at);
    run.status = status;
    run.ended_at = Some(at);
    run.slot = Slot::None;
    run.undo = None;
    run.undoable.clear();
    run.signals.clear();
}

fn retried(run: &mut Run, plan: &Plan, reset: &[Arc<str>], at: Timestamp) {
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
