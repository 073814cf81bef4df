//! What is true of a run.
//!
//! Steps and items are shared (`Arc`), so that deciding on a copy of the state costs a pointer a
//! step and not its outputs.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, OnceLock},
};

use mesh_kernel::{
    entity::EffectRequest,
    envelope::{Address, Timestamp, TraceId},
    ports::Digest,
};
use mesh_skills::{contract::Failure, logs::LogRef};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::messages::SkipReason;
use crate::plan::PlanStep;
use crate::{
    plan::{Plan, StepIndex},
    submission::{DefinitionRef, Parent, WorkflowJson},
};

/// Where a run stands. Paused is beside these: a run can be paused while it is created or running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Nothing was submitted.
    #[default]
    Absent,
    /// It waits for its turn.
    Created,
    /// Steps begin as soon as they can.
    Running,
    /// Effects are undone.
    Compensating,
    /// It ended well.
    Succeeded,
    /// It failed; it can be retried.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Status {
    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "Absent",
            Self::Created => "Created",
            Self::Running => "Running",
            Self::Compensating => "Compensating",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// Where a step, or an item of one, stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StepStatus {
    /// Steps that it needs have not ended.
    #[default]
    Pending,
    /// It can begin: it waits for a resume, or for the next attempt.
    Ready,
    /// A skill, a child or an agent works.
    Running,
    /// People decide.
    WaitingApproval,
    /// A signal must come.
    WaitingSignal,
    /// An instant must come.
    WaitingTimer,
    /// It gave its output.
    Succeeded,
    /// It failed for good, or was cut short.
    Failed,
    /// It does not run.
    Skipped,
    /// Its effect was undone.
    Compensated,
}

impl StepStatus {
    /// Whether those that need it may go on.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Ready => "Ready",
            Self::Running => "Running",
            Self::WaitingApproval => "WaitingApproval",
            Self::WaitingSignal => "WaitingSignal",
            Self::WaitingTimer => "WaitingTimer",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Skipped => "Skipped",
            Self::Compensated => "Compensated",
        }
    }
}

/// A skill that was asked for and has no outcome yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Effect {
    /// Its input.
    pub input: Arc<Value>,
    /// When the attempt ends for want of an outcome.
    pub due: Option<Timestamp>,
    /// The request as the kernel wants it; made once from the rest.
    #[serde(skip)]
    pub request: OnceLock<Option<EffectRequest>>,
}

/// What a step waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Wait {
    /// The outcome of a skill.
    Effect(Effect),
    /// The next attempt.
    Backoff(Timestamp),
    /// A decision.
    Approval {
        /// The approval.
        approval: String,
        /// Who may decide.
        roles: Vec<String>,
        /// When it is rejected.
        deadline: Timestamp,
        /// The step's time limit.
        due: Option<Timestamp>,
    },
    /// A signal.
    Signal {
        /// Its name.
        name: String,
        /// The step's time limit.
        due: Option<Timestamp>,
    },
    /// An instant.
    Timer(Timestamp),
    /// The end of a child.
    Child {
        /// The child.
        child: String,
        /// Its definition.
        definition: Arc<str>,
        /// The step's time limit.
        due: Option<Timestamp>,
    },
    /// The end of an agent's task.
    Task {
        /// The task.
        task: String,
        /// The agent.
        agent: Arc<str>,
        /// The step's time limit.
        due: Option<Timestamp>,
    },
}

/// The work of a step or of an item.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Work {
    /// Where it stands.
    pub status: StepStatus,
    /// Attempts that were begun, ever.
    pub attempts: u32,
    /// Attempts that were begun before the last retry of the run; they do not count for `retry`.
    pub before: u32,
    /// When the first attempt since then began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Since when it waits for what it waits for.
    pub since: Option<Timestamp>,
    /// What it waits for.
    pub wait: Option<Wait>,
    /// What it gave.
    pub output: Option<Arc<Value>>,
    /// The last failure.
    pub failure: Option<Arc<Failure>>,
    /// What the last attempt logged.
    pub log: Option<LogRef>,
    /// The task that an agent was given last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What from outside went into its output.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taint: BTreeSet<String>,
}

/// The items of a for-each step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Items {
    /// The values.
    pub values: Arc<Vec<Value>>,
    /// Their work; shorter than `values` until all have begun.
    pub works: Vec<Arc<Work>>,
    /// Items that wait for something.
    pub open: BTreeSet<u32>,
    /// Items that succeeded.
    pub succeeded: u32,
    /// Items that begin anew after a retry of the run.
    pub again: BTreeSet<u32>,
    /// Attempts that items of an earlier list took; later ones count on, so no key is used twice.
    pub base: u32,
}

impl Items {
    /// The item that begins next.
    pub fn next(&self) -> Option<u32> {
        let fresh = (self.works.len() < self.values.len()).then_some(self.works.len() as u32);
        self.again.first().copied().or(fresh)
    }
}

/// One step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Step {
    /// Its work.
    pub work: Work,
    /// Needed steps that have not ended.
    pub missing: u32,
    /// Its items, when it is a for-each step that began.
    pub items: Option<Arc<Items>>,
    /// Why it was skipped.
    pub skipped: Option<SkipReason>,
    /// Attempts to undo it, ever.
    pub undos: u32,
}

/// What was true when it was submitted, and stays so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    /// The run's own address.
    pub address: Address,
    /// The definition.
    pub definition: DefinitionRef,
    /// The definition's JSON.
    pub workflow: WorkflowJson,
    /// The input.
    pub input: Value,
    /// What a repeated request is compared with.
    pub body: Digest,
    /// The caller's id of the request.
    pub request_id: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// For lists.
    pub labels: std::collections::BTreeMap<String, String>,
    /// The run that waits for this one.
    pub parent: Option<Parent>,
    /// Who is answerable.
    pub submitted_by: String,
    /// The lineage key.
    pub trace_id: TraceId,
    /// When.
    pub created_at: Timestamp,
}

/// A turn under a concurrency limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// There is no limit.
    #[default]
    None,
    /// It was asked for.
    Requested {
        /// The limit.
        limit: String,
        /// Since when.
        since: Timestamp,
    },
    /// It is held.
    Held {
        /// The limit.
        limit: String,
    },
}

impl Slot {
    /// The limit, when there is one.
    pub fn limit(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Requested { limit, .. } | Self::Held { limit } => Some(limit),
        }
    }
}

/// A signal that came before anyone waited for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// What it carries.
    pub payload: Arc<Value>,
}

/// The undoing of effects.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Undo {
    /// Steps that are still to be undone; the first one is next, or under way.
    pub queue: VecDeque<StepIndex>,
    /// The work on the first one.
    pub work: Work,
    /// Steps that could not be undone.
    pub failed: Vec<StepIndex>,
}

/// Someone's wish to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Everything that is true of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Run {
    /// What stays as it was submitted.
    pub head: Option<Arc<Head>>,
    /// Where it stands.
    pub status: Status,
    /// Who paused it and why, when it is paused.
    pub paused: Option<Cancel>,
    /// Its turn.
    pub slot: Slot,
    /// When its steps began first.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When the last event happened.
    pub moved_at: Timestamp,
    /// When it fails for want of an end.
    pub deadline: Option<Timestamp>,
    /// The steps, in the plan's order.
    pub steps: Vec<Arc<Step>>,
    /// Steps that can begin.
    pub ready: BTreeSet<StepIndex>,
    /// Steps that wait for something.
    pub open: BTreeSet<StepIndex>,
    /// For-each steps among them with items that have not begun.
    pub hungry: BTreeSet<StepIndex>,
    /// Steps that are neither succeeded nor skipped.
    pub unfinished: u32,
    /// Steps with a compensation that had, or may have had, an effect; in the order of their ends.
    pub undoable: Vec<StepIndex>,
    /// Signals that nobody took yet.
    pub signals: VecDeque<Kept>,
    /// The undoing of effects, while it goes on.
    pub undo: Option<Arc<Undo>>,
    /// Why it fails or failed.
    pub failure: Option<Arc<Failure>>,
    /// The step that failed.
    pub failed_step: Option<StepIndex>,
    /// Who cancelled it and why.
    pub cancel: Option<Cancel>,
    /// What it gave.
    pub outputs: Option<Arc<Value>>,
    /// How often it was retried.
    pub retries: u32,
    /// The definition, compiled; found again by its digest after a snapshot.
    #[serde(skip)]
    pub plan: OnceLock<Arc<Plan>>,
}

impl Run {
    /// A step by its index.
    pub fn step(&self, at: StepIndex) -> Option<&Step> {
        self.steps.get(at as usize).map(Arc::as_ref)
    }

    /// A step to be changed.
    pub(super) fn step_mut(&mut self, at: StepIndex) -> Option<&mut Step> {
        self.steps.get_mut(at as usize).map(Arc::make_mut)
    }

    /// The work of a step, or of an item of it.
    pub fn work(&self, at: StepIndex, item: Option<u32>) -> Option<&Work> {
        let step = self.step(at)?;
        match item {
            None => Some(&step.work),
            Some(item) => step.items.as_ref()?.works.get(item as usize).map(Arc::as_ref),
        }
    }

    /// What from outside goes into what a step calls.
    pub(super) fn taint_of(&self, step: &PlanStep) -> BTreeSet<String> {
        let handed = self.head.iter().filter(|_| step.flow.input).filter_map(|head| head.parent.as_ref());
        let given = step.flow.steps.iter().filter_map(|at| self.step(*at));
        let handed = handed.flat_map(|parent| parent.taint.iter());
        handed.chain(given.flat_map(|step| step.work.taint.iter())).cloned().collect()
    }

    /// Whether steps may begin.
    pub fn may_schedule(&self) -> bool {
        self.status == Status::Running && self.paused.is_none() && !matches!(self.slot, Slot::Requested { .. })
    }

    /// Whether a for-each step has room for another item.
    pub fn has_room(&self, at: StepIndex, parallel: u32) -> bool {
        self.step(at)
            .and_then(|step| step.items.as_ref())
            .is_some_and(|items| items.next().is_some() && items.open.len() < parallel as usize)
    }
}
