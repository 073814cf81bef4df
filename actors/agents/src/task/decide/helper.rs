//! Other agents as tools: given a part of the task, waited for, and ended with it.

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::{
        messages::{AssignTask, Event, Parent, Refused, SubtaskResult},
        state::{Spent, Work},
        wants,
    },
    Deciding,
};
use crate::{context::Context, definition::Budget};

/// Most agents between a task and its run.
const DEPTH_MAX: u32 = 4;

impl Deciding<'_> {
    /// Gives a part of the task to another agent, with its share of what is left of the budget.
    pub(super) fn delegate(
        &mut self,
        context: &Context,
        (agent, version): (&str, u32),
        (turn, call): (u32, u32),
        (given, sharing): (&Arc<Value>, u64),
    ) {
        let Some(head) = self.task.head.clone() else { return };
        let mut refuse = |because, message: String| self.emit(Event::ToolCallRefused { turn, call, because, message });
        if head.assigned.depth >= DEPTH_MAX {
            let message = format!("there are {DEPTH_MAX} agents above you already: do it yourself");
            return refuse(Refused::TooDeep, message);
        }
        let most = self.share(context, sharing);
        if [most.tokens, most.cost].contains(&Some(0)) {
            let message = format!("nothing of the budget is left for `{agent}`: give your answer");
            return self.emit(Event::ToolCallRefused { turn, call, because: Refused::TooMany, message });
        }
        let assign = AssignTask {
            agent: agent.to_owned(),
            version,
            goal: given.get("goal").and_then(Value::as_str).unwrap_or_default().to_owned(),
            input: given.get("input").cloned().unwrap_or_default(),
            parent: Some(Parent { run: head.address.clone(), step: format!("turn-{turn}.call-{call}") }),
            submitted_by: head.assigned.submitted_by.clone(),
            taint: self.taint(),
            project: head.assigned.project.clone(),
            run: wants::parent_run(&self.task),
            depth: head.assigned.depth + 1,
            most,
        };
        let task = format!("{}-{turn}-{call}", self.task.id());
        self.emit(Event::SubtaskRequested { turn, call, task, assign: Box::new(assign) });
    }

    /// What each of so many agents may spend of what is left.
    fn share(&self, context: &Context, sharing: u64) -> Budget {
        let (Budget { tokens, cost }, spent) = (self.budget(context), self.task.spent);
        let part = |all: u64, spent: u64| all.saturating_sub(spent) / sharing.max(1);
        Budget {
            tokens: tokens.map(|all| part(all, spent.tokens())),
            cost: cost.map(|all| part(all, u64::try_from(spent.cost).unwrap_or_default())),
        }
    }

    /// Another agent has ended. What comes too late, or twice, changes nothing.
    pub(super) fn record_subtask(&mut self, task: &str, result: SubtaskResult, taint: Vec<String>, spent: Spent) {
        let Work::Tools(tools) = &self.task.work else { return };
        let mut waits = (0..).zip(tools).filter(|(_, tool)| tool.told.is_none());
        let Some((call, _)) = waits.find(|(_, tool)| tool.child.as_deref() == Some(task)) else { return };
        let turn = self.task.turn;
        self.emit(Event::SubtaskEnded { turn, call, result, taint, spent });
        self.go_on();
    }

    /// Nobody will wait for what other agents do.
    pub(super) fn abandon(&mut self, reason: &str) {
        let tasks = self.task.children();
        if !tasks.is_empty() {
            self.emit(Event::SubtasksAbandoned { tasks, reason: reason.to_owned() });
        }
    }
}
