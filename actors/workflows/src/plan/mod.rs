//! A definition, compiled: indices in place of names, expressions ready to be evaluated.
//!
//! A plan is never part of a run's state. It is made again from the definition whenever it is
//! needed, and kept by the definition's digest ([`Plans`]).
//!
//! Never here: runs, text with positions (faults carry JSON pointers, which readers turn into
//! places).

mod cache;
mod compile;
mod duration;
mod graph;
mod known;
mod retry;
mod step;

pub use cache::Plans;
pub use compile::compile;
pub use known::{Known, check_known};
pub use retry::{Backoff, RetryPlan};

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::expression::{Expression, Template};

/// Most steps of a definition.
pub const STEPS_MAX: usize = 10_000;
/// Most items of a for-each step.
pub const ITEMS_MAX: usize = 10_000;

/// Where a step stands in its plan.
pub type StepIndex = u32;

/// Something wrong with a definition, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// JSON pointer of the field, such as `/steps/2/needs/0`.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl Fault {
    /// A fault at a place.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), help: None }
    }

    /// The same fault with a hint that says how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The field's path as protobuf users write it: `definition.steps[2].needs[0]`.
    pub fn field_path(&self) -> String {
        let mut path = "definition".to_owned();
        for part in self.pointer.split('/').skip(1) {
            if part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty() {
                path.push_str(&format!("[{part}]"));
            } else {
                path.push('.');
                path.push_str(&part.replace("~1", "/").replace("~0", "~"));
            }
        }
        path
    }
}

/// A compiled definition.
#[derive(Debug)]
pub struct Plan {
    /// The definition's name.
    pub name: Arc<str>,
    /// The steps, in the order of the file.
    pub steps: Vec<PlanStep>,
    /// The step of each id.
    pub index: HashMap<Arc<str>, StepIndex>,
    /// The steps that need nothing.
    pub roots: Vec<StepIndex>,
    /// What a run gives.
    pub outputs: Option<Template>,
    /// What the input must fit.
    pub input_schema: Option<jsonschema::Validator>,
    /// What the outputs must fit.
    pub output_schema: Option<jsonschema::Validator>,
    /// How many runs may be under way.
    pub concurrency: Option<ConcurrencyPlan>,
    /// How long a run may take.
    pub timeout: Option<Duration>,
}

/// A compiled step.
#[derive(Debug)]
pub struct PlanStep {
    /// Its id.
    pub id: Arc<str>,
    /// What people see.
    pub title: Arc<str>,
    /// The steps that must have ended first.
    pub needs: Vec<StepIndex>,
    /// The steps that need this one.
    pub successors: Vec<StepIndex>,
    /// Its condition.
    pub when: Option<Expression>,
    /// What it does.
    pub act: Act,
    /// The input of what it calls.
    pub with: Template,
    /// How failures are retried.
    pub retry: RetryPlan,
    /// How long an attempt, or the wait, may take.
    pub timeout: Option<Duration>,
    /// How its effect is undone.
    pub compensate: Option<CompensatePlan>,
    /// Whose outputs go into what it calls.
    pub flow: Flow,
}

/// Whose outputs go into what a step calls. Conditions do not: they choose, and pass nothing on.
#[derive(Debug, Default)]
pub struct Flow {
    /// The steps, in order.
    pub steps: Vec<StepIndex>,
    /// The run's input too.
    pub input: bool,
}

/// What a step does.
#[derive(Debug)]
pub enum Act {
    /// Calls a skill.
    Skill(Arc<str>),
    /// Asks people.
    Approval(ApprovalPlan),
    /// Waits for a signal of this name.
    Signal(Arc<str>),
    /// Waits this long.
    Sleep(Duration),
    /// Waits until the instant that this gives.
    Until(Template),
    /// Does the same for each item.
    ForEach(ForEachPlan),
    /// Runs another definition.
    Workflow(WorkflowPlan),
    /// Gives a task to an agent.
    Agent(AgentPlan),
}

/// A compiled approval.
#[derive(Debug)]
pub struct ApprovalPlan {
    /// What is asked.
    pub title: Template,
    /// What one should know.
    pub description: Template,
    /// What is approved; the needed steps' outputs when it is not said.
    pub subject: Option<Template>,
    /// How many must approve.
    pub quorum: u32,
    /// Who may decide.
    pub roles: Vec<String>,
    /// When it is rejected for want of a decision.
    pub deadline: Duration,
    /// When it is escalated.
    pub escalate_after: Option<Duration>,
}

/// A compiled for-each.
#[derive(Debug)]
pub struct ForEachPlan {
    /// The list.
    pub items: Template,
    /// How many at once.
    pub parallel: u32,
    /// What is done for each.
    pub body: Body,
}

/// What is done for each item.
#[derive(Debug)]
pub enum Body {
    /// Calls a skill.
    Skill(Arc<str>),
    /// Runs a definition.
    Workflow(WorkflowPlan),
}

/// A call of another definition.
#[derive(Debug)]
pub struct WorkflowPlan {
    /// Its name.
    pub definition: Arc<str>,
    /// Its version; the latest when it is not said.
    pub version: Option<u32>,
}

/// A task for an agent.
#[derive(Debug)]
pub struct AgentPlan {
    /// Its name.
    pub agent: Arc<str>,
    /// Its version; the active one when it is not said.
    pub version: Option<u32>,
    /// What it should reach.
    pub goal: Template,
}

/// A compiled compensation.
#[derive(Debug)]
pub struct CompensatePlan {
    /// The skill that undoes.
    pub skill: Arc<str>,
    /// Its input.
    pub with: Template,
}

/// A compiled concurrency limit.
#[derive(Debug)]
pub struct ConcurrencyPlan {
    /// How many.
    pub limit: u32,
    /// Counted apart for each value of this.
    pub key: Template,
}

impl Plan {
    /// A step by its index.
    pub fn step(&self, at: StepIndex) -> Option<&PlanStep> {
        self.steps.get(at as usize)
    }

    /// A step's index by its id.
    pub fn find(&self, id: &str) -> Option<StepIndex> {
        self.index.get(id).copied()
    }
}

impl PlanStep {
    /// The skill, the definition or the agent that it calls, for each item when it is a for-each.
    pub fn uses(&self) -> Option<&str> {
        match &self.act {
            Act::Skill(skill) => Some(skill),
            Act::Workflow(workflow) => Some(&workflow.definition),
            Act::ForEach(each) => match &each.body {
                Body::Skill(skill) => Some(skill),
                Body::Workflow(workflow) => Some(&workflow.definition),
            },
            Act::Agent(agent) => Some(&agent.agent),
            Act::Approval(_) | Act::Signal(_) | Act::Sleep(_) | Act::Until(_) => None,
        }
    }

    /// What it is called in a view: `skill`, `approval`, ….
    pub fn kind(&self) -> &'static str {
        match self.act {
            Act::Skill(_) => "skill",
            Act::Approval(_) => "approval",
            Act::Signal(_) => "signal",
            Act::Sleep(_) | Act::Until(_) => "timer",
            Act::ForEach(_) => "forEach",
            Act::Workflow(_) => "workflow",
            Act::Agent(_) => "agent",
        }
    }
}
