//! The commands that a task takes and the events that it announces.
//!
//! Both are journal and wire format: fields are only ever added, with a default.

use std::sync::Arc;

use mesh_kernel::{
    envelope::{Address, Timestamp},
    ports::Digest,
};
use mesh_skills::{
    contract::{Failure, SkillOutcome},
    logs::LogRef,
    models::{By, Fault, MicroUnits, ModelOutcome, chat},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    context::{Context, ContextOutcome},
    definition::Budget,
};

/// Who waits for a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// The entity.
    pub run: Address,
    /// Its step.
    pub step: String,
}

/// A task for an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignTask {
    /// The agent.
    pub agent: String,
    /// Its version; the active one for 0.
    #[serde(default)]
    pub version: u32,
    /// What it should reach.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub goal: String,
    /// What it is given.
    #[serde(default)]
    pub input: Value,
    /// Who waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Who is answerable for it.
    #[serde(default)]
    pub submitted_by: String,
    /// What from outside went into what it is given, such as `skill:web.fetch`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taint: Vec<String>,
    /// The project that it is for, whose budget its calls count for; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// The run for which it is done in the end, when an agent gave it; its parent otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// How many agents stand between it and the run.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub depth: u32,
    /// What it may spend of its parent's budget.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub most: Budget,
}

/// What a task can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Command {
    /// Begin. The same again is answered with the same task.
    AssignAgentTask(Box<AssignTask>),
    /// What it needs to know is there, or is not.
    RecordContext(Box<ContextOutcome>),
    /// The outcome of a model call.
    RecordModelOutcome(Box<ModelOutcome>),
    /// The outcome of a skill: a tool's, or a check's.
    RecordOutcome(Box<SkillOutcome>),
    /// A task that was given to another agent has ended.
    RecordSubtask {
        /// Which.
        task: String,
        /// How.
        result: SubtaskResult,
        /// What from outside it has read.
        #[serde(default)]
        taint: Vec<String>,
        /// What it has spent.
        #[serde(default)]
        spent: super::Spent,
    },
    /// Begin nothing new until resumed; what is under way goes on.
    PauseTask {
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// Go on: after a pause, after an escalation, or with more budget.
    ResumeTask {
        /// What it may spend beyond its budget. **Units**: tokens.
        #[serde(default)]
        tokens: u64,
        /// The same. **Units**: millionths of the currency.
        #[serde(default)]
        cost: u64,
    },
    /// Mind this from the next turn on. A task that waits for a person goes on with it.
    RedirectTask {
        /// What to mind.
        note: String,
    },
    /// A person has done it.
    TakeOverTask {
        /// What it gives.
        output: Value,
    },
    /// Stop.
    CancelTask {
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// A timer is due.
    FireTimer {
        /// Which.
        name: String,
        /// When it was due.
        due: Timestamp,
    },
}

/// How a task that was given to another agent ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubtaskResult {
    /// It gave this.
    Succeeded {
        /// What.
        output: Arc<Value>,
    },
    /// It gave nothing.
    Failed {
        /// Why.
        failure: Arc<Failure>,
    },
}

/// Why a tool call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// The agent may call no such tool.
    Unknown,
    /// The arguments are no JSON object.
    Unreadable,
    /// The same call was made too often already.
    Repeated,
    /// There were too many calls already.
    TooMany,
    /// Something from outside was read, and its effects accept only what is trusted.
    Tainted,
    /// A person did not allow it.
    Denied,
    /// There are too many agents between it and the run.
    TooDeep,
}

/// Why a task waits for a person, or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// What it gave was corrected as often as it may be.
    Corrections,
    /// It took as many turns as it may.
    Turns,
    /// It called as many tools as it may.
    ToolCalls,
}

/// What happened to a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Event {
    /// It was asked for.
    AgentTaskAssigned(Box<AssignTask>),
    /// Its agent took it.
    TaskClaimed {},
    /// It knows what it needs to know.
    ContextLoaded(Box<Context>),
    /// A model is asked: recorded before anything is sent.
    ModelCallRequested {
        /// Which turn, from 1.
        turn: u32,
        /// Which attempt at this turn's answer, from 1.
        attempt: u32,
        /// Which of the class's candidates, from 0.
        #[serde(default)]
        candidate: u32,
        /// The digest of what it is asked.
        digest: Digest,
        /// What it may use at most. **Units**: tokens.
        #[serde(default)]
        reserved: u64,
        /// What it may cost at most. **Units**: millionths of the currency.
        #[serde(default, skip_serializing_if = "is_zero")]
        reserved_cost: u64,
    },
    /// A model answered.
    ModelCallAnswered {
        /// Which turn.
        turn: u32,
        /// Which attempt.
        attempt: u32,
        /// What it said.
        answer: Arc<chat::Answer>,
        /// Who answered.
        by: By,
        /// What it cost.
        #[serde(default)]
        cost: MicroUnits,
        /// How long it took.
        #[serde(default)]
        took_ms: u64,
        /// How long the first piece of it took.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_token_ms: Option<u64>,
    },
    /// An attempt to get an answer failed.
    ModelCallFailed {
        /// Which turn.
        turn: u32,
        /// Which attempt.
        attempt: u32,
        /// Which of the known ways.
        fault: Fault,
        /// Why.
        failure: Arc<Failure>,
        /// What was used all the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<chat::Usage>,
        /// What that cost at most. **Units**: millionths of the currency.
        #[serde(default, skip_serializing_if = "is_zero")]
        lost_cost: u64,
        /// When the next attempt is made, when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
        /// Which candidate is asked then.
        #[serde(default)]
        next: u32,
    },
    /// Nobody knows what came of an attempt: it was recorded, and perhaps sent, before a crash.
    ModelCallOutcomeUnknown {
        /// Which turn.
        turn: u32,
        /// Which attempt.
        attempt: u32,
    },
    /// An attempt was not sent: a budget above the task has no room for it.
    ModelCallWithheld {
        /// Which turn.
        turn: u32,
        /// Which attempt.
        attempt: u32,
        /// Which budget, and what is missing.
        message: String,
        /// The task ends with it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stops: bool,
    },
    /// A tool is called.
    ToolCallRequested {
        /// Which turn called it.
        turn: u32,
        /// Which of the turn's calls, from 0.
        call: u32,
        /// The skill.
        skill: String,
        /// What it is given.
        input: Arc<Value>,
    },
    /// A tool is not called until a person allows it, for something from outside was read.
    ToolCallHeld {
        /// Which turn called it.
        turn: u32,
        /// Which of the turn's calls, from 0.
        call: u32,
        /// The skill.
        skill: String,
        /// What it would be given.
        input: Arc<Value>,
        /// What was read.
        taint: Vec<String>,
    },
    /// A tool call failed and is made again.
    ToolAttemptFailed {
        /// Which turn called it.
        turn: u32,
        /// Which of the turn's calls.
        call: u32,
        /// Why.
        failure: Arc<Failure>,
        /// When it is made again.
        retry_at: Timestamp,
    },
    /// A tool call is made again.
    ToolAttemptStarted {
        /// Which turn called it.
        turn: u32,
        /// Which of the turn's calls.
        call: u32,
        /// Which attempt, from 2.
        attempt: u32,
    },
    /// A tool gave something.
    ToolCallSucceeded {
        /// Which turn called it.
        turn: u32,
        /// Which of the turn's calls.
        call: u32,
        /// What it gave.
        output: Arc<Value>,
        /// How much it logged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<LogRef>,
        /// It may have been written outside.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tainted: bool,
    },
    /// A tool failed for good; the model is told.
    ToolCallFailed {
        /// Which turn called it.
        turn: u32,
        /// Which of the turn's calls.
        call: u32,
        /// Why.
        failure: Arc<Failure>,
        /// How much it logged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<LogRef>,
        /// It may have been written outside.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tainted: bool,
    },
    /// A tool was not called; the model is told.
    ToolCallRefused {
        /// Which turn called it.
        turn: u32,
        /// Which of the turn's calls.
        call: u32,
        /// Why.
        because: Refused,
        /// The same in words, for the model.
        message: String,
    },
    /// A part of the task is given to another agent.
    SubtaskRequested {
        /// Which turn gave it.
        turn: u32,
        /// Which of the turn's calls, from 0.
        call: u32,
        /// The id of the other task.
        task: String,
        /// What it is told.
        assign: Box<AssignTask>,
    },
    /// That task has ended.
    SubtaskEnded {
        /// Which turn gave it.
        turn: u32,
        /// Which of the turn's calls.
        call: u32,
        /// How.
        result: SubtaskResult,
        /// What from outside it has read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taint: Vec<String>,
        /// What it has spent; counts for this one's budget.
        #[serde(default)]
        spent: super::Spent,
    },
    /// Nobody waits for these tasks any more.
    SubtasksAbandoned {
        /// Their ids.
        tasks: Vec<String>,
        /// Why.
        reason: String,
    },
    /// What it gives is looked at by a skill.
    CheckRequested {
        /// Which of the definition's checks, from 0.
        check: u32,
        /// Counts all checks of the task, from 1.
        number: u32,
        /// What the skill is given.
        input: Arc<Value>,
    },
    /// A check failed by itself and is made again.
    CheckAttemptFailed {
        /// Which check.
        check: u32,
        /// Its number.
        number: u32,
        /// Why.
        failure: Arc<Failure>,
        /// When it is made again.
        retry_at: Timestamp,
    },
    /// A check is made again.
    CheckAttemptStarted {
        /// Which check.
        check: u32,
        /// Its number.
        number: u32,
        /// Which attempt, from 2.
        attempt: u32,
    },
    /// What it gives is good.
    ValidationPassed {},
    /// What it gives is not good.
    ValidationFailed {
        /// Which rule: `schema`, `answer`, or the skill that looked.
        rule: String,
        /// What is wrong.
        mistakes: String,
    },
    /// It is told what is wrong, and tries again.
    CorrectionAttempted {
        /// Counts the task's corrections, from 1.
        number: u32,
        /// What it is told.
        message: String,
    },
    /// Four fifths of its budget are spent.
    BudgetWarned {
        /// What was spent.
        spent: super::Spent,
    },
    /// The next call could cost more than is left: it waits for a person.
    BudgetExhausted {
        /// What was spent.
        spent: super::Spent,
        /// What is missing, in words.
        missing: String,
    },
    /// Nothing new begins.
    TaskPaused {
        /// Who asked.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// It goes on.
    TaskResumed {
        /// Who asked.
        by: String,
        /// What it may spend beyond its budget. **Units**: tokens.
        #[serde(default)]
        tokens: u64,
        /// The same. **Units**: millionths of the currency.
        #[serde(default)]
        cost: u64,
    },
    /// It is told something on its way.
    TaskRedirected {
        /// Who told it.
        by: String,
        /// What.
        note: String,
    },
    /// A person has done it.
    TaskTakenOver {
        /// Who.
        by: String,
    },
    /// It waits for a person.
    AgentTaskEscalated {
        /// Why.
        because: Why,
        /// The same in words.
        message: String,
    },
    /// It gave its output.
    AgentTaskCompleted {
        /// What it gave.
        output: Arc<Value>,
        /// What was spent.
        spent: super::Spent,
        /// Who waits for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
        /// What from outside was read on the way to it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taint: Vec<String>,
    },
    /// It failed.
    AgentTaskFailed {
        /// Why.
        failure: Arc<Failure>,
        /// What was spent.
        #[serde(default)]
        spent: super::Spent,
        /// Who waits for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
        /// What from outside was read on the way.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taint: Vec<String>,
    },
    /// It took too long.
    AgentTaskTimedOut {
        /// Why.
        failure: Arc<Failure>,
        /// What was spent.
        #[serde(default)]
        spent: super::Spent,
        /// Who waits for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
        /// What from outside was read on the way.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taint: Vec<String>,
    },
    /// It was cancelled.
    AgentTaskCancelled {
        /// Who asked.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// What was spent.
        #[serde(default)]
        spent: super::Spent,
        /// Who waits for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
}

fn is_none_yet(number: &u32) -> bool {
    *number == 0
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
