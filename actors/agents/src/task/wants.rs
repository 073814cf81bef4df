//! What a task still wants: its context, an answer, tools and checks without an outcome, and instants.

use std::time::Duration;

use bytes::Bytes;
use mesh_kernel::{
    entity::{EffectRequest, TimerRequest, Wants},
    envelope::IdempotencyKey,
};
use mesh_skills::{
    contract::{self, SkillCall},
    models::{self, ModelCall},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    conversation,
    state::{Checked, Phase, Task, Tooled, Work},
};
use crate::context::{self, ContextRequest};

/// The timer of the whole task.
pub(super) const DEADLINE: &str = "deadline";
/// The timer of the next attempt to get an answer.
pub(super) const ANSWER: &str = "answer";
/// The timer of the next attempt of a check.
pub(super) const CHECK: &str = "check";
/// The timers of the next attempts of tools begin so.
pub(super) const TOOL: &str = "tool:";

/// What the outcome of a skill brings back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Echo {
    /// A tool of this turn, and which.
    Tool(u32, u32),
    /// A check, by its number.
    Check(u32),
}

/// Everything that the task still wants.
pub(super) fn wants(task: &Task) -> Wants {
    let mut wants = Wants::default();
    if task.phase.is_final() || task.head.is_none() {
        return wants;
    }
    let mut timer = |name: String, due| wants.timers.push(TimerRequest { due, name });
    if let Some(due) = task.deadline {
        timer(DEADLINE.to_owned(), due);
    }
    let held = task.paused.is_some();
    match &task.work {
        Work::Again { at, .. } if !held => timer(ANSWER.to_owned(), *at),
        Work::Check(Checked { again: Some(at), .. }) if !held => timer(CHECK.to_owned(), *at),
        Work::Tools(tools) if !held => {
            let again = tools.iter().enumerate().filter_map(|(at, tool)| Some((at, tool.again?)));
            again.for_each(|(at, due)| timer(format!("{TOOL}{at}"), due));
        }
        _ => {}
    }
    match &task.work {
        Work::Nothing if task.phase == Phase::ContextLoading => wants.effects.extend(asks_for_context(task)),
        Work::Model { attempt, candidate, made, .. } => {
            wants.effects.extend(made.get_or_init(|| asks_a_model(task, *attempt, *candidate)).clone());
        }
        Work::Tools(tools) => {
            let open = tools.iter().enumerate().filter(|(_, tool)| is_open(tool));
            wants.effects.extend(
                open.filter_map(|(at, tool)| tool.made.get_or_init(|| calls_a_tool(task, at as u32, tool)).clone()),
            );
        }
        Work::Check(checked) if checked.again.is_none() => {
            wants.effects.extend(checked.made.get_or_init(|| asks_for_a_check(task, checked)).clone());
        }
        _ => {}
    }
    wants
}

/// A tool that was called and has no result; one that is held was not called.
pub(super) fn is_open(tool: &Tooled) -> bool {
    tool.attempt > 0 && tool.told.is_none() && tool.again.is_none()
}

/// The key of the request for context.
pub(super) fn context_key(task: &Task) -> String {
    format!("{}.context", task.id())
}

/// The key of an attempt to get an answer: no two attempts have the same.
pub(super) fn model_key(task: &Task, attempt: u32) -> String {
    format!("{}.{}.model.{attempt}", task.id(), task.turn)
}

fn tool_key(task: &Task, call: u32, attempt: u32) -> String {
    format!("{}.{}.tool-{call}.{attempt}", task.id(), task.turn)
}

fn check_key(task: &Task, checked: &Checked, attempt: u32) -> String {
    format!("{}.check-{}.{attempt}", task.id(), checked.number)
}

fn effect(
    handler: &'static str,
    key: &str,
    attempt: u32,
    input: &impl Serialize,
    timeout: Option<Duration>,
) -> Option<EffectRequest> {
    let input = Bytes::from(serde_json::to_vec(input).ok()?);
    Some(EffectRequest { key: IdempotencyKey::parse(key).ok()?, handler, attempt, input, timeout })
}

fn asks_for_context(task: &Task) -> Option<EffectRequest> {
    let assigned = &task.head.as_ref()?.assigned;
    let request = ContextRequest { agent: assigned.agent.clone(), version: assigned.version };
    effect(context::HANDLER, &context_key(task), 1, &request, None)
}

fn asks_a_model(task: &Task, attempt: u32, candidate: u32) -> Option<EffectRequest> {
    let context = task.context.as_ref()?;
    let call = ModelCall {
        class: context.agent.model.class.clone(),
        candidate,
        request: conversation::under_way(task),
        step_id: format!("{}/{}/model", task.id(), task.turn),
        attempt_id: format!("{}/{}/model/{attempt}", task.id(), task.turn),
        attempt,
        run: parent_run(task),
        project: task.head.as_ref().map(|head| head.assigned.project.clone()).unwrap_or_default(),
        echo: Value::Null,
    };
    effect(models::HANDLER, &model_key(task, attempt), attempt, &call, None)
}

/// The run for which it is done in the end.
pub(super) fn parent_run(task: &Task) -> String {
    let Some(assigned) = task.head.as_ref().map(|head| &head.assigned) else { return String::new() };
    let parent = || assigned.parent.as_ref().map(|parent| parent.run.id().to_owned()).unwrap_or_default();
    if assigned.run.is_empty() { parent() } else { assigned.run.clone() }
}

fn calls_a_tool(task: &Task, at: u32, tool: &Tooled) -> Option<EffectRequest> {
    let frozen = task.context.iter().flat_map(|context| &context.tools).find(|frozen| frozen.skill == tool.skill);
    let call = SkillCall {
        skill: tool.skill.clone(),
        // Nothing that was registered since changes it; a task of before has kept what it is told of alone.
        version: frozen.map(|frozen| frozen.version.clone()),
        input: tool.input.as_ref().clone(),
        run: task.id().to_owned(),
        step: format!("turn-{}.tool-{at}", task.turn),
        item: None,
        attempt: tool.attempt,
        idempotency_key: IdempotencyKey::parse(&tool_key(task, at, 1)).ok(),
        echo: serde_json::to_value(Echo::Tool(task.turn, at)).ok()?,
        waits: false,
        taint: tool.taint.iter().cloned().collect(),
    };
    effect(contract::HANDLER, &tool_key(task, at, tool.attempt), tool.attempt, &call, None)
}

fn asks_for_a_check(task: &Task, checked: &Checked) -> Option<EffectRequest> {
    let skill = &task.context.as_ref()?.agent.checks.get(checked.check as usize)?.skill;
    let call = SkillCall {
        skill: skill.clone(),
        version: None,
        input: checked.input.as_ref().clone(),
        run: task.id().to_owned(),
        step: format!("check-{}", checked.number),
        item: None,
        attempt: checked.attempt,
        idempotency_key: IdempotencyKey::parse(&check_key(task, checked, 1)).ok(),
        echo: serde_json::to_value(Echo::Check(checked.number)).ok()?,
        waits: false,
        // Its definition has it look, and no model.
        taint: Vec::new(),
    };
    effect(contract::HANDLER, &check_key(task, checked, checked.attempt), checked.attempt, &call, None)
}

/// What a check's skill is given.
pub(super) fn check_input(with: &Map<String, Value>, output: &Value, input: &Value) -> Value {
    let mut given = with.clone();
    given.insert("output".to_owned(), output.clone());
    given.insert("input".to_owned(), input.clone());
    Value::Object(given)
}
