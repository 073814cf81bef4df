//! What is true of a task.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use mesh_kernel::{
    entity::EffectRequest,
    envelope::{Address, Timestamp},
};
use mesh_skills::{
    contract::Failure,
    models::{By, chat},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::messages::{AssignTask, Why};
use crate::context::Context;

/// Where a task stands. Paused is beside these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing was assigned.
    #[default]
    Absent,
    /// It was asked for.
    Assigned,
    /// It looks up what it needs to know.
    ContextLoading,
    /// A model is asked, or tools are called.
    Executing,
    /// What it gives is looked at.
    Validating,
    /// It tries again, knowing what was wrong.
    Correcting,
    /// It waits for a person.
    Escalated,
    /// It gave its output.
    Completed,
    /// It failed.
    Failed,
    /// It took too long.
    TimedOut,
    /// It was cancelled.
    Cancelled,
}

impl Phase {
    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::TimedOut | Self::Cancelled)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "Absent",
            Self::Assigned => "Assigned",
            Self::ContextLoading => "ContextLoading",
            Self::Executing => "Executing",
            Self::Validating => "Validating",
            Self::Correcting => "Correcting",
            Self::Escalated => "Escalated",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::TimedOut => "TimedOut",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// What a task has spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spent {
    /// **Units**: tokens.
    pub input_tokens: u64,
    /// **Units**: tokens.
    pub output_tokens: u64,
    /// Of attempts without an answer, as far as it is known. **Units**: tokens.
    pub lost_tokens: u64,
    /// **Units**: millionths of the currency.
    pub cost: i64,
    /// Answers of models.
    pub turns: u32,
    /// Requests to models, answered or not.
    pub model_calls: u32,
    /// Calls of skills.
    pub tool_calls: u32,
}

impl Spent {
    /// All tokens. **Units**: tokens.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens).saturating_add(self.lost_tokens)
    }
}

/// The request as the kernel wants it; made once from the rest.
pub(super) type Made = OnceLock<Option<EffectRequest>>;

/// What is under way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) enum Work {
    /// Nothing: the next turn can begin.
    #[default]
    Nothing,
    /// A model is asked.
    Model {
        attempt: u32,
        candidate: u32,
        reserved: u64,
        #[serde(default)]
        reserved_cost: u64,
        #[serde(skip)]
        made: Made,
    },
    /// A model is asked again at an instant.
    Again { attempt: u32, candidate: u32, at: Timestamp },
    /// Tools are called.
    Tools(Vec<Tooled>),
    /// A skill looks at what it gives.
    Check(Checked),
}

/// One of a turn's tool calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tooled {
    /// The provider's name for it.
    pub(super) id: String,
    /// What the model called.
    pub(super) name: String,
    pub(super) skill: String,
    pub(super) input: Arc<Value>,
    pub(super) attempt: u32,
    /// What the model is told; none while it is under way.
    pub(super) told: Option<String>,
    /// When it is made again.
    pub(super) again: Option<Timestamp>,
    /// A person has to allow it first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) held: bool,
    /// The task that another agent was given for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) child: Option<String>,
    /// What from outside had been read when it was called.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) taint: BTreeSet<String>,
    #[serde(skip)]
    pub(super) made: Made,
}

/// A check under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checked {
    pub(super) check: u32,
    pub(super) number: u32,
    pub(super) attempt: u32,
    pub(super) input: Arc<Value>,
    /// What is looked at.
    pub(super) output: Arc<Value>,
    pub(super) again: Option<Timestamp>,
    #[serde(skip)]
    pub(super) made: Made,
}

/// What was true when it was assigned, and stays so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) address: Address,
    pub(super) assigned: AssignTask,
    pub(super) at: Timestamp,
}

/// Everything that is true of a task.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Task {
    pub(super) head: Option<Arc<Head>>,
    /// Where it stands.
    pub phase: Phase,
    /// Who paused it and why.
    pub paused: Option<(String, String)>,
    pub(super) context: Option<Arc<Context>>,
    /// What was said since the first message, in order.
    pub(super) transcript: Vec<Arc<chat::Message>>,
    /// What it is told before the next turn.
    pub(super) notes: Vec<String>,
    pub(super) work: Work,
    /// The turn that is under way, or was the last.
    pub(super) turn: u32,
    /// Attempts of it that were made.
    pub(super) attempts: u32,
    /// Those of them that were not sent.
    #[serde(default)]
    pub(super) withheld: u32,
    /// How often each call was made: skill and input to a number.
    pub(super) calls: BTreeMap<String, u32>,
    /// Corrections that were made, ever.
    pub(super) corrections: u32,
    /// Those that were made before a person helped it on; they do not count.
    pub(super) before: u32,
    /// Turns that were taken before a person helped it on.
    pub(super) turns_before: u32,
    /// Calls of tools that were made before that.
    pub(super) calls_before: u32,
    pub(super) checks: u32,
    /// What was spent.
    pub spent: Spent,
    /// What may be spent beyond the budget: tokens, cost.
    pub(super) granted: (u64, u64),
    pub(super) warned: bool,
    /// Why it waits for a person.
    pub(super) escalated: Option<(Why, String)>,
    /// When it fails for want of an end; none while it waits for a person.
    pub(super) deadline: Option<Timestamp>,
    /// What of its time is left, while it waits for a person. **Units**: ms.
    pub(super) left_ms: Option<u64>,
    /// What it gave.
    pub output: Option<Arc<Value>>,
    /// Why it failed.
    pub failure: Option<Arc<Failure>>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) moved_at: Timestamp,
    /// Who answered last.
    pub(super) by: Option<By>,
    /// What from outside it has read: it only grows, for a model may do what any of it says.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) taint: BTreeSet<String>,
    /// Of the conversation, roughly. **Units**: bytes.
    pub(super) bytes: usize,
}

impl Task {
    /// Whether something new may begin.
    pub(super) fn may_begin(&self) -> bool {
        self.paused.is_none() && matches!(self.phase, Phase::Executing | Phase::Correcting)
    }

    /// Whether a person must do something before it goes on.
    pub(super) fn waits_for_a_person(&self) -> bool {
        self.paused.is_some() || self.phase == Phase::Escalated
    }

    /// The tasks that other agents were given and that have not ended.
    pub(crate) fn children(&self) -> Vec<String> {
        let Work::Tools(tools) = &self.work else { return Vec::new() };
        tools.iter().filter(|tool| tool.told.is_none()).filter_map(|tool| tool.child.clone()).collect()
    }

    pub(super) fn id(&self) -> &str {
        self.head.as_ref().map(|head| head.address.id()).unwrap_or_default()
    }
}
