//! The commands that a run takes and the events that it announces.
//!
//! Both are journal and wire format: fields are only ever added, with a default.

use std::sync::Arc;

use mesh_kernel::{envelope::Timestamp, ports::Digest};
use mesh_skills::{
    contract::{Failure, SkillOutcome},
    logs::LogRef,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::submission::{DefinitionRef, Parent, SubmitRun};

/// How a child, or an agent's task, ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum ChildResult {
    /// It gave this.
    Succeeded {
        /// Its outputs.
        outputs: Value,
        /// What from outside went into them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taint: Vec<String>,
    },
    /// It failed, or was cancelled, or could not begin.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// What a run can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Command {
    /// Begin. The same request again is answered with the same run.
    SubmitRun(Box<SubmitRun>),
    /// The outcome of a skill.
    RecordOutcome(Box<SkillOutcome>),
    /// The outcome of an approval.
    RecordApproval {
        /// The step that waits.
        step: String,
        /// The approval.
        approval: String,
        /// Whether it was granted.
        approved: bool,
        /// Who decided.
        #[serde(default, deserialize_with = "one_or_many")]
        by: Vec<String>,
        /// What they said.
        #[serde(default)]
        comment: String,
    },
    /// The outcome of an agent's task.
    RecordTask {
        /// The step that waits.
        step: String,
        /// The task.
        task: String,
        /// How it ended.
        result: ChildResult,
    },
    /// The outcome of a child.
    RecordChild {
        /// The step that waits.
        step: String,
        /// The item that waits.
        #[serde(default)]
        item: Option<u32>,
        /// The child.
        child: String,
        /// How it ended.
        result: ChildResult,
    },
    /// A slot under a concurrency limit is free for this run.
    GrantSlot {
        /// The limit.
        limit: String,
    },
    /// Something happened that a step waits for, or will wait for.
    SignalRun {
        /// The signal's name.
        name: String,
        /// What it carries.
        #[serde(default)]
        payload: Value,
    },
    /// Begin nothing new until resumed; what is under way goes on.
    PauseRun {
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// Go on.
    ResumeRun {},
    /// Stop, undo what can be undone, and end.
    CancelRun {
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// Go on with a failed run.
    RetryRun {
        /// The step to begin from, with all that follow it; what did not succeed when absent.
        #[serde(default)]
        from_step: Option<String>,
    },
    /// A timer is due.
    FireTimer {
        /// Which.
        name: String,
        /// When it was due.
        due: Timestamp,
    },
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(name) => vec![name],
        OneOrMany::Many(names) => names,
    })
}

/// Why steps were skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SkipReason {
    /// The step's own condition was false.
    Condition,
    /// A step that it needs was skipped.
    Need,
}

/// What happened to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Event {
    /// It was asked for.
    RunSubmitted(Box<SubmitRun>),
    /// It waits for its turn under a concurrency limit.
    SlotRequested {
        /// The limit.
        limit: String,
        /// How many runs it lets through at once.
        max: u32,
    },
    /// Its steps begin.
    RunStarted {},
    /// A skill was asked for.
    StepRequested {
        /// The step.
        step: Arc<str>,
        /// The item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The skill's input.
        input: Arc<Value>,
        /// When the attempt ends for want of an outcome.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// People were asked.
    ApprovalRequested {
        /// The step.
        step: Arc<str>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The approval's id.
        approval: String,
        /// What is asked.
        title: String,
        /// What one should know.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        description: String,
        /// What is approved.
        subject: Arc<Value>,
        /// The digest of `subject`, by which people confirm what they saw.
        digest: Digest,
        /// How many must approve.
        quorum: u32,
        /// Who may decide.
        roles: Vec<String>,
        /// Rejected at this instant for want of a decision.
        deadline: Timestamp,
        /// Escalated at this instant for want of a decision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        escalate_at: Option<Timestamp>,
        /// The step's own time limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
        /// Who is answerable for the run, and therefore does not decide.
        #[serde(default)]
        submitted_by: String,
    },
    /// A step waits for a signal.
    SignalAwaited {
        /// The step.
        step: Arc<str>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The signal.
        name: String,
        /// The step's time limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// A signal came.
    SignalReceived {
        /// Its name.
        name: String,
        /// The step that takes it; kept for later when there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<Arc<str>>,
        /// What it carries; with a step, the step's output has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<Arc<Value>>,
    },
    /// A step waits for an instant.
    TimerSet {
        /// The step.
        step: Arc<str>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The instant.
        due: Timestamp,
    },
    /// Another definition's run was asked for.
    ChildRequested {
        /// The step.
        step: Arc<str>,
        /// The item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The child's id.
        child: String,
        /// Its definition.
        definition: Arc<str>,
        /// The definition's version; the latest when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
        /// Its input.
        input: Arc<Value>,
        /// What it is told of this run.
        parent: Parent,
        /// The step's time limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// An agent was given a task.
    TaskRequested {
        /// The step.
        step: Arc<str>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The task's id.
        task: String,
        /// The agent.
        agent: Arc<str>,
        /// The agent's version; the active one when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
        /// What it should reach.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        goal: String,
        /// What it is given.
        input: Arc<Value>,
        /// What the task is told of this run.
        parent: Parent,
        /// The step's time limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
        /// Who is answerable for the run.
        #[serde(default)]
        submitted_by: String,
        /// The project of the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<String>,
    },
    /// The items of a for-each step are known.
    ItemsListed {
        /// The step.
        step: Arc<str>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The items.
        items: Arc<Vec<Value>>,
    },
    /// A step, or an item of one, succeeded.
    StepSucceeded {
        /// The step.
        step: Arc<str>,
        /// The item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The output; a for-each step's is made of its items'.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Arc<Value>>,
        /// How much was logged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<LogRef>,
        /// What from outside it brought in, beside what it was given.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taint: Vec<String>,
    },
    /// A step, or an item of one, was computed within the decision that began it: it was asked for and
    /// succeeded at once.
    StepComputed {
        /// The step.
        step: Arc<str>,
        /// The item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Which attempt, from 1.
        attempt: u32,
        /// What its skill was given.
        input: Arc<Value>,
        /// What it gave.
        output: Arc<Value>,
    },
    /// An attempt failed and will be made again.
    AttemptFailed {
        /// The step.
        step: Arc<str>,
        /// The item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Which attempt, from 1.
        attempt: u32,
        /// Why.
        failure: Arc<Failure>,
        /// When the next attempt begins.
        retry_at: Timestamp,
        /// How much was logged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<LogRef>,
    },
    /// A step, or an item of one, failed for good.
    StepFailed {
        /// The step.
        step: Arc<str>,
        /// The item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Which attempt, from 1.
        attempt: u32,
        /// Why.
        failure: Arc<Failure>,
        /// How much was logged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<LogRef>,
    },
    /// Steps will not run.
    StepsSkipped {
        /// Which.
        steps: Vec<Arc<str>>,
        /// Why.
        because: SkipReason,
    },
    /// Children, approvals and tasks that nobody waits for any more.
    WaitsAbandoned {
        /// Ids of runs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        children: Vec<String>,
        /// Ids of approvals.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<String>,
        /// Ids of agents' tasks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tasks: Vec<String>,
        /// Why.
        reason: String,
    },
    /// Nothing new begins.
    RunPaused {
        /// Who asked.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// It goes on.
    RunResumed {
        /// Who asked.
        by: String,
    },
    /// It was told to stop before it was submitted: when it is, it ends at once.
    RunForestalled {
        /// Who asked.
        by: String,
        /// Why.
        reason: String,
    },
    /// It was told to stop and undoes what it did first.
    RunCancelRequested {
        /// Who asked.
        by: String,
        /// Why.
        reason: String,
    },
    /// Effects are undone, in this order.
    CompensationStarted {
        /// The steps.
        steps: Vec<Arc<str>>,
        /// The failure because of which; none when it was cancelled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Arc<Failure>>,
    },
    /// A skill was asked to undo a step.
    CompensationRequested {
        /// The step.
        step: Arc<str>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The skill's input.
        input: Arc<Value>,
        /// When the attempt ends for want of an outcome.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// An attempt to undo failed and will be made again.
    CompensationAttemptFailed {
        /// The step.
        step: Arc<str>,
        /// Which attempt, from 1.
        attempt: u32,
        /// Why.
        failure: Arc<Failure>,
        /// When the next attempt begins.
        retry_at: Timestamp,
    },
    /// A step was undone.
    CompensationSucceeded {
        /// The step.
        step: Arc<str>,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// A step could not be undone.
    CompensationFailed {
        /// The step.
        step: Arc<str>,
        /// Which attempt, from 1.
        attempt: u32,
        /// Why.
        failure: Arc<Failure>,
    },
    /// It ended well.
    RunSucceeded {
        /// What it gave.
        outputs: Arc<Value>,
        /// What from outside any of its steps brought in.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taint: Vec<String>,
        /// Whom it tells.
        #[serde(flatten)]
        end: End,
    },
    /// It failed.
    RunFailed {
        /// Why.
        failure: Arc<Failure>,
        /// The step that failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<Arc<str>>,
        /// Whom it tells.
        #[serde(flatten)]
        end: End,
    },
    /// It was cancelled.
    RunCancelled {
        /// Who asked.
        by: String,
        /// Why.
        reason: String,
        /// Whom it tells.
        #[serde(flatten)]
        end: End,
    },
    /// A failed run goes on.
    RunRetried {
        /// Who asked.
        by: String,
        /// The step that was named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_step: Option<Arc<str>>,
        /// The steps that begin anew.
        reset: Vec<Arc<str>>,
    },
}

/// What others need of a run's last event, so that reactions need nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct End {
    /// The definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<DefinitionRef>,
    /// The run that waits for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The limit under which it held or awaited a slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The project that it belongs to, as it was submitted: tells the platforms which product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}
