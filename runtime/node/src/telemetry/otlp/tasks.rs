//! A task's part of its run's trace, made of the task's events: the agent, its model calls, its tools, its checks.
//!
//! Pure, as the run's part is. A call's span covers all attempts at one answer; each attempt that came to nothing is
//! told on it. What was said, given and answered is never told.

use std::{collections::BTreeMap, sync::Arc};

use mesh_agents::{
    definition::Agent,
    task::{AssignTask, Event},
};
use mesh_kernel::{
    entity::decode_tagged,
    envelope::{Address, Envelope, Timestamp},
};
use mesh_proto::otlp::trace::v1::{Span, span::SpanKind};
use mesh_skills::{
    contract::Failure,
    models::{
        By,
        chat::{Answer, Finish, ToolCall},
    },
};

use super::{ids, span};
use crate::telemetry::genai;

/// Most spans of one task: a collector refuses requests that are too large.
const SPANS_MAX: usize = 1_000;

/// The spans of a task, below the attempt that gave it; what is still open ends at `until`.
pub(super) fn spans<'e>(
    history: impl IntoIterator<Item = &'e Envelope>,
    trace: [u8; 16],
    until: Timestamp,
) -> Vec<Span> {
    let mut task: Option<Task> = None;
    for envelope in history {
        let Ok(event) = decode_tagged::<Event>(&envelope.event_type, &envelope.payload) else { continue };
        match (&mut task, &event) {
            (None, Event::AgentTaskAssigned(assigned)) => task = Some(Task::begun(envelope, trace, assigned)),
            (None, _) => {}
            (Some(task), event) => task.see(envelope.occurred_at, event),
        }
    }
    task.map(|task| task.told(until)).unwrap_or_default()
}

/// A model call that goes on, and the last thing that went wrong with it.
struct Chat {
    span: Span,
    turn: u32,
    failed: Option<(Timestamp, &'static str)>,
}

struct Task {
    task: Address,
    trace: [u8; 16],
    root: Span,
    agent: Option<Arc<Agent>>,
    chat: Option<Chat>,
    /// What the model called last, in its order.
    called: Vec<ToolCall>,
    /// Tools and checks under way.
    open: BTreeMap<Under, Span>,
    done: Vec<Span>,
    left_out: u64,
}

/// What goes on beside others: a turn's tool, or a check by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Under {
    Tool(u32, u32),
    Check(u32),
}

impl Task {
    fn begun(envelope: &Envelope, trace: [u8; 16], assigned: &AssignTask) -> Self {
        let task = envelope.headers.subject.clone();
        let parent = ids::asked_for(task.tenant().as_str(), task.id());
        let name = format!("{} {}", genai::INVOKE_AGENT, assigned.agent);
        let mut root = span::begun(trace, ids::task(&task), Some(parent), name, envelope.occurred_at);
        for (key, value) in [
            (genai::OPERATION_NAME, genai::INVOKE_AGENT),
            (genai::PROVIDER_NAME, genai::OPENAI),
            (genai::AGENT_NAME, assigned.agent.as_str()),
            (genai::CONVERSATION_ID, task.id()),
            ("mesh.task", task.id()),
        ] {
            span::text(&mut root, key, value);
        }
        Self {
            task,
            trace,
            root,
            agent: None,
            chat: None,
            called: Vec::new(),
            open: BTreeMap::new(),
            done: Vec::new(),
            left_out: 0,
        }
    }

    fn see(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::ContextLoaded(context) => {
                span::text(&mut self.root, genai::AGENT_VERSION, &context.version.to_string());
                self.agent = Some(context.agent.clone());
            }
            Event::ModelCallRequested { .. }
            | Event::ModelCallAnswered { .. }
            | Event::ModelCallFailed { .. }
            | Event::ModelCallOutcomeUnknown { .. }
            | Event::ModelCallWithheld { .. } => self.see_model(at, event),
            Event::ToolCallRequested { .. }
            | Event::ToolAttemptFailed { .. }
            | Event::ToolCallSucceeded { .. }
            | Event::ToolCallFailed { .. }
            | Event::ToolCallRefused { .. } => self.see_tool(at, event),
            Event::CheckRequested { .. }
            | Event::CheckAttemptFailed { .. }
            | Event::ValidationPassed {}
            | Event::ValidationFailed { .. } => self.see_check(at, event),
            Event::AgentTaskCompleted { .. }
            | Event::AgentTaskFailed { .. }
            | Event::AgentTaskTimedOut { .. }
            | Event::AgentTaskCancelled { .. } => self.see_end(at, event),
            Event::AgentTaskAssigned(_)
            | Event::TaskClaimed {}
            | Event::ToolCallHeld { .. }
            | Event::SubtaskRequested { .. }
            | Event::SubtaskEnded { .. }
            | Event::SubtasksAbandoned { .. }
            | Event::ToolAttemptStarted { .. }
            | Event::CheckAttemptStarted { .. } => {}
            Event::CorrectionAttempted { .. }
            | Event::BudgetWarned { .. }
            | Event::BudgetExhausted { .. }
            | Event::TaskPaused { .. }
            | Event::TaskResumed { .. }
            | Event::TaskRedirected { .. }
            | Event::TaskTakenOver { .. }
            | Event::AgentTaskEscalated { .. } => self.see_moment(at, event),
        }
    }

    fn see_model(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::ModelCallRequested { turn, .. } => self.asked(at, *turn),
            Event::ModelCallAnswered { answer, by, .. } => {
                self.called.clone_from(&answer.said.tool_calls);
                if let Some(Chat { span: mut answered, .. }) = self.chat.take() {
                    says(&mut answered, answer, by);
                    span::end(&mut answered, at);
                    span::well(&mut answered);
                    self.keep(answered);
                }
            }
            Event::ModelCallFailed { attempt, fault, .. } => {
                self.attempt_failed(at, fault.as_str(), format!("attempt {attempt}: {fault}"));
            }
            Event::ModelCallOutcomeUnknown { attempt, .. } => {
                self.attempt_failed(at, "unknown", format!("attempt {attempt}: its outcome is unknown"));
            }
            Event::ModelCallWithheld { attempt, .. } => {
                self.attempt_failed(at, "withheld", format!("attempt {attempt}: a budget had no room"));
            }
            _ => {}
        }
    }

    fn asked(&mut self, at: Timestamp, turn: u32) {
        if self.chat.as_ref().is_some_and(|chat| chat.turn == turn) {
            return;
        }
        self.chat_ended(at);
        let parent = ids::task(&self.task);
        let id = ids::chat(&self.task, turn);
        let mut begun = span::begun(self.trace, id, Some(parent), genai::CHAT.to_owned(), at);
        begun.kind = SpanKind::Client as i32;
        span::text(&mut begun, genai::OPERATION_NAME, genai::CHAT);
        span::text(&mut begun, genai::PROVIDER_NAME, genai::OPENAI);
        span::text(&mut begun, genai::CONVERSATION_ID, self.task.id());
        span::number(&mut begun, "mesh.turn", u64::from(turn));
        if let Some(model) = self.agent.as_ref().map(|agent| &agent.model) {
            span::text(&mut begun, "mesh.model.class", &model.class);
            span::number(&mut begun, genai::REQUEST_MAX_TOKENS, u64::from(model.max_tokens));
            if let Some(temperature) = model.temperature {
                span::decimal(&mut begun, genai::REQUEST_TEMPERATURE, temperature);
            }
        }
        self.chat = Some(Chat { span: begun, turn, failed: None });
    }

    fn attempt_failed(&mut self, at: Timestamp, fault: &'static str, told: String) {
        if let Some(chat) = &mut self.chat {
            span::event(&mut chat.span, at, told);
            chat.failed = Some((at, fault));
        }
    }

    /// A call without an answer ends where its last attempt failed, or where it is given up.
    fn chat_ended(&mut self, at: Timestamp) {
        let Some(Chat { span: mut ended, failed, .. }) = self.chat.take() else { return };
        if let Some((_, fault)) = failed {
            span::text(&mut ended, genai::ERROR_TYPE, fault);
            span::failed(&mut ended, fault);
        }
        span::end(&mut ended, failed.map_or(at, |(at, _)| at));
        self.keep(ended);
    }

    fn see_tool(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::ToolCallRequested { turn, call, skill, .. } => self.tool(at, (*turn, *call), skill),
            Event::ToolAttemptFailed { turn, call, failure, .. } => self.again(at, Under::Tool(*turn, *call), failure),
            Event::ToolCallSucceeded { turn, call, .. } => self.ended(at, Under::Tool(*turn, *call), None),
            Event::ToolCallFailed { turn, call, failure, .. } => {
                self.ended(at, Under::Tool(*turn, *call), Some(&failure.code));
            }
            Event::ToolCallRefused { call, because, .. } => {
                let tool = self.call(*call).map(|call| call.name.clone()).unwrap_or_default();
                span::event(&mut self.root, at, format!("refused to call {tool}: {because:?}"));
            }
            _ => {}
        }
    }

    fn call(&self, call: u32) -> Option<&ToolCall> {
        self.called.get(usize::try_from(call).ok()?)
    }

    fn tool(&mut self, at: Timestamp, (turn, call): (u32, u32), skill: &str) {
        let known = self.call(call);
        let tool = known.map_or(skill, |known| known.name.as_str()).to_owned();
        let call_id = known.map(|known| known.id.clone()).unwrap_or_default();
        let name = format!("{} {tool}", genai::EXECUTE_TOOL);
        let (id, parent) = (ids::tool(&self.task, turn, call), ids::task(&self.task));
        let mut begun = span::begun(self.trace, id, Some(parent), name, at);
        for (key, value) in [
            (genai::OPERATION_NAME, genai::EXECUTE_TOOL),
            (genai::TOOL_NAME, tool.as_str()),
            (genai::TOOL_CALL_ID, call_id.as_str()),
            (genai::TOOL_TYPE, genai::FUNCTION),
            ("mesh.skill", skill),
        ] {
            span::text(&mut begun, key, value);
        }
        span::number(&mut begun, "mesh.turn", u64::from(turn));
        self.open.insert(Under::Tool(turn, call), begun);
    }

    fn see_check(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::CheckRequested { check, number, .. } => {
                let checks = self.agent.as_ref().map(|agent| agent.checks.as_slice()).unwrap_or_default();
                let check = usize::try_from(*check).ok().and_then(|at| checks.get(at));
                let skill = check.map(|check| check.skill.clone()).unwrap_or_default();
                self.checks_ended(at, None);
                let (id, parent) = (ids::check(&self.task, *number), ids::task(&self.task));
                let mut begun = span::begun(self.trace, id, Some(parent), format!("check {skill}"), at);
                span::text(&mut begun, "mesh.skill", &skill);
                self.open.insert(Under::Check(*number), begun);
            }
            Event::CheckAttemptFailed { number, failure, .. } => self.again(at, Under::Check(*number), failure),
            Event::ValidationPassed {} => self.checks_ended(at, None),
            Event::ValidationFailed { rule, .. } => {
                self.checks_ended(at, Some("validation"));
                span::event(&mut self.root, at, format!("not good: {rule}"));
            }
            _ => {}
        }
    }

    /// A check ends where the next one begins, or where it is known what all of them say.
    fn checks_ended(&mut self, at: Timestamp, failed: Option<&str>) {
        let checks: Vec<Under> = self.open.keys().filter(|open| matches!(open, Under::Check(_))).copied().collect();
        checks.into_iter().for_each(|check| self.ended(at, check, failed));
    }

    fn again(&mut self, at: Timestamp, what: Under, failure: &Failure) {
        if let Some(open) = self.open.get_mut(&what) {
            span::event(open, at, format!("an attempt failed: {}", failure.code));
        }
    }

    fn ended(&mut self, at: Timestamp, what: Under, failed: Option<&str>) {
        let Some(mut ended) = self.open.remove(&what) else { return };
        span::end(&mut ended, at);
        match failed {
            None => span::well(&mut ended),
            Some(code) => {
                span::text(&mut ended, genai::ERROR_TYPE, code);
                span::failed(&mut ended, code);
            }
        }
        self.keep(ended);
    }

    /// What happened to the task at one instant stands on its own span, without what was said.
    fn see_moment(&mut self, at: Timestamp, event: &Event) {
        let name = match event {
            Event::CorrectionAttempted { number, .. } => format!("correction {number}"),
            Event::BudgetWarned { .. } => "four fifths of its budget are spent".to_owned(),
            Event::BudgetExhausted { .. } => "waits for a person: its budget is spent".to_owned(),
            Event::TaskPaused { by, .. } => format!("paused by {by}"),
            Event::TaskResumed { by, .. } => format!("resumed by {by}"),
            Event::TaskRedirected { by, .. } => format!("redirected by {by}"),
            Event::TaskTakenOver { by } => format!("taken over by {by}"),
            Event::AgentTaskEscalated { because, .. } => format!("waits for a person: {because:?}"),
            _ => return,
        };
        span::event(&mut self.root, at, name);
    }

    fn see_end(&mut self, at: Timestamp, event: &Event) {
        let (state, failed) = match event {
            Event::AgentTaskCompleted { .. } => ("completed", None),
            Event::AgentTaskFailed { failure, .. } => ("failed", Some(failure.code.as_str())),
            Event::AgentTaskTimedOut { failure, .. } => ("timed-out", Some(failure.code.as_str())),
            _ => ("cancelled", Some("cancelled")),
        };
        self.given_up(at);
        span::end(&mut self.root, at);
        span::text(&mut self.root, "mesh.state", state);
        match failed {
            None => span::well(&mut self.root),
            Some(code) => {
                span::text(&mut self.root, genai::ERROR_TYPE, code);
                span::failed(&mut self.root, code);
            }
        }
    }

    /// What was under way ends with the task.
    fn given_up(&mut self, at: Timestamp) {
        self.chat_ended(at);
        for mut open in std::mem::take(&mut self.open).into_values() {
            span::end(&mut open, at);
            self.keep(open);
        }
    }

    fn keep(&mut self, ended: Span) {
        if self.done.len() < SPANS_MAX {
            self.done.push(ended);
        } else {
            self.left_out += 1;
        }
    }

    fn told(mut self, until: Timestamp) -> Vec<Span> {
        if self.root.end_time_unix_nano == 0 {
            self.given_up(until);
            span::end(&mut self.root, until);
        }
        if self.left_out > 0 {
            span::number(&mut self.root, "mesh.spans_left_out", self.left_out);
        }
        self.done.push(self.root);
        self.done
    }
}

/// What an answer says of itself.
fn says(answered: &mut Span, answer: &Answer, by: &By) {
    answered.name = format!("{} {}", genai::CHAT, by.model);
    let reason = match &answer.finish {
        Finish::Stop => "stop",
        Finish::ToolCalls => "tool_calls",
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
        Finish::Other(word) => word.as_str(),
    };
    for (key, value) in [
        (genai::REQUEST_MODEL, by.model.as_str()),
        (genai::RESPONSE_MODEL, answer.model.as_deref().unwrap_or_default()),
        (genai::RESPONSE_ID, answer.id.as_deref().unwrap_or_default()),
        ("mesh.endpoint", by.endpoint.as_str()),
    ] {
        span::text(answered, key, value);
    }
    if !reason.is_empty() {
        span::texts(answered, genai::RESPONSE_FINISH_REASONS, &[reason]);
    }
    let usage = &answer.usage;
    // What we estimate ourselves is no usage.
    if !usage.estimated {
        span::number(answered, genai::USAGE_INPUT_TOKENS, usage.input_tokens);
        span::number(answered, genai::USAGE_OUTPUT_TOKENS, usage.output_tokens);
        if usage.cached_input_tokens > 0 {
            span::number(answered, genai::USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_input_tokens);
        }
    }
}

#[cfg(test)]
mod tests;
