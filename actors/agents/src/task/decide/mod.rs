//! Command in, events or a refusal out.

mod answer;
mod helper;
mod model;
mod person;
mod tool;

use std::{sync::Arc, time::Duration};

use mesh_kernel::{
    entity::Cause,
    envelope::{IdempotencyKey, Timestamp},
};
use mesh_skills::{
    contract::{Failure, FailureClass, Registry, SkillOutcome},
    models::secrets,
};

use super::{
    Error,
    evolve::evolve,
    messages::{AssignTask, Command, Event, Parent, Why},
    state::{Phase, Task, Work},
    wants::{self, ANSWER, CHECK, DEADLINE, Echo, TOOL, context_key},
};
use crate::{
    context::{Context, ContextOutcome, ContextResult},
    definition::{Exhausted, mistakes},
};

/// Largest goal and input together. **Units**: bytes of JSON; what is larger goes by reference.
pub(super) const INPUT_BYTES_MAX: usize = 256 * 1024;
/// Longest wait that another side may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// Decides one command.
pub(super) fn decide(computes: &Registry, task: &Task, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
    let mut deciding = Deciding { computes, task: task.clone(), cause, events: Vec::new() };
    deciding.command(command)?;
    Ok(deciding.events)
}

/// A decision on its way: the state as its events have moved it so far.
pub(super) struct Deciding<'c> {
    computes: &'c Registry,
    task: Task,
    cause: &'c Cause,
    events: Vec<Event>,
}

impl Deciding<'_> {
    fn command(&mut self, command: Command) -> Result<(), Error> {
        let assigns = matches!(command, Command::AssignAgentTask(_));
        let forestalls = matches!(command, Command::CancelTask { .. }) && self.is_our_own();
        if self.task.head.is_none() && !assigns && !forestalls {
            return Err(Error::Absent { task: self.cause.address.id().to_owned() });
        }
        match command {
            Command::AssignAgentTask(assigned) => self.assign(*assigned),
            Command::RecordContext(outcome) => self.record_context(*outcome),
            Command::RecordModelOutcome(outcome) => self.record_model(*outcome),
            Command::RecordOutcome(outcome) => self.record_skill(*outcome),
            Command::RecordSubtask { task, result, taint, spent } => {
                self.record_subtask(&task, result, taint, spent);
                Ok(())
            }
            Command::PauseTask { reason } => self.pause(reason),
            Command::ResumeTask { tokens, cost } => self.resume(tokens, cost),
            Command::RedirectTask { note } => self.redirect(note),
            Command::TakeOverTask { output } => self.take_over(output),
            Command::CancelTask { reason } => self.cancel(reason),
            Command::FireTimer { name, .. } => self.fire(&name),
        }
    }

    fn emit(&mut self, event: Event) {
        evolve(&mut self.task, event.clone(), self.cause.at, &self.cause.address);
        self.events.push(event);
    }

    fn by(&self) -> String {
        self.cause.principal.answerable().to_owned()
    }

    /// Whether another part of the node asks, and not a caller.
    fn is_our_own(&self) -> bool {
        self.cause.principal.has(mesh_kernel::envelope::Role::System)
    }

    fn refuse(&self, why: &'static str) -> Result<(), Error> {
        Err(Error::State { task: self.task.id().to_owned(), phase: self.task.phase.as_str(), why })
    }

    fn late(what: &IdempotencyKey) -> Error {
        Error::Late { what: format!("the outcome of `{what}`") }
    }

    fn parent(&self) -> Option<Parent> {
        self.task.head.as_ref().and_then(|head| head.assigned.parent.clone())
    }

    fn taint(&self) -> Vec<String> {
        self.task.taint.iter().cloned().collect()
    }

    fn context(&self) -> Option<Arc<Context>> {
        self.task.context.clone()
    }

    fn assign(&mut self, assigned: AssignTask) -> Result<(), Error> {
        if let Some(head) = &self.task.head {
            let task = self.task.id().to_owned();
            return if head.assigned == assigned { Ok(()) } else { Err(Error::Other { task }) };
        }
        if self.task.phase.is_final() {
            // It was cancelled before it was assigned.
            return Ok(());
        }
        let bytes = assigned.goal.len() + assigned.input.to_string().len();
        if bytes > INPUT_BYTES_MAX {
            return Err(Error::TooLarge { what: "the input", bytes, max: INPUT_BYTES_MAX });
        }
        self.emit(Event::AgentTaskAssigned(Box::new(assigned)));
        self.emit(Event::TaskClaimed {});
        Ok(())
    }

    fn record_context(&mut self, outcome: ContextOutcome) -> Result<(), Error> {
        if self.task.phase != Phase::ContextLoading || outcome.key.as_str() != context_key(&self.task) {
            return Err(Self::late(&outcome.key));
        }
        let context = match outcome.result {
            ContextResult::Loaded(context) => context,
            ContextResult::Failed { failure } => {
                self.fail(failure);
                return Ok(());
            }
        };
        let agent = context.agent.clone();
        self.emit(Event::ContextLoaded(Box::new(context)));
        let input = self.task.head.as_ref().map(|head| head.assigned.input.clone()).unwrap_or_default();
        if let Some(wrong) = agent.input.as_ref().and_then(|schema| mistakes(schema, &input)) {
            let message = format!("the input does not fit what agent `{}` takes: {wrong}", agent.name);
            self.fail(Failure::validation("agent.input", message));
            return Ok(());
        }
        if let Some(what) = self.holds_a_key() {
            let message = format!(
                "the {what} holds what looks like a key, and no model is told one: leave it out, and have a skill \
                 that needs it read it by its name"
            );
            self.fail(Failure::validation("agent.secret", message));
            return Ok(());
        }
        self.go_on();
        Ok(())
    }

    /// Which part of what it was asked holds what looks like a key.
    fn holds_a_key(&self) -> Option<&'static str> {
        let assigned = &self.task.head.as_ref()?.assigned;
        let has = |text: &str| secrets::find(text.as_bytes(), "").is_some();
        if has(&assigned.goal) {
            return Some("goal");
        }
        has(&assigned.input.to_string()).then_some("input")
    }

    /// The outcome of a skill finds its tool or its check by what it echoes.
    fn record_skill(&mut self, outcome: SkillOutcome) -> Result<(), Error> {
        match serde_json::from_value(outcome.echo.clone()) {
            Ok(Echo::Tool(turn, call)) => self.record_tool(turn, call, outcome),
            Ok(Echo::Check(number)) => self.record_check(number, outcome),
            Err(_) => Err(Self::late(&outcome.key)),
        }
    }

    fn fire(&mut self, name: &str) -> Result<(), Error> {
        let wanted = wants::wants(&self.task).timers.into_iter().any(|timer| timer.name == name);
        if !wanted {
            // What it was for is over.
            return Ok(());
        }
        match name {
            DEADLINE => self.time_out(),
            ANSWER => self.ask_again(),
            CHECK => self.check_again(),
            _ => {
                if let Some(call) = name.strip_prefix(TOOL).and_then(|call| call.parse().ok()) {
                    self.tool_again(call);
                }
            }
        }
        Ok(())
    }

    /// Begins the next turn when nothing is under way and nobody has to do something first.
    fn go_on(&mut self) {
        if self.task.may_begin() && matches!(self.task.work, Work::Nothing) {
            self.begin_turn();
        }
    }

    /// It cannot come to an end by itself.
    fn exhausted(&mut self, because: Why, message: String) {
        let fails = self.context().is_some_and(|context| context.agent.exhausted == Exhausted::Fail);
        if fails {
            let code = match because {
                Why::Corrections => "agent.corrections",
                Why::Turns => "agent.turns",
                Why::ToolCalls => "agent.tool-calls",
            };
            self.fail(Failure::new(FailureClass::Validation, code, message));
        } else {
            self.emit(Event::AgentTaskEscalated { because, message });
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.abandon("the task that gave it has failed");
        let (spent, parent, taint) = (self.task.spent, self.parent(), self.taint());
        self.emit(Event::AgentTaskFailed { failure: Arc::new(failure), spent, parent, taint });
    }

    fn time_out(&mut self) {
        let limit = self.context().map(|context| context.agent.limits.duration).unwrap_or_default();
        let message = format!(
            "the task had no end within {}; its agent's `limits.duration` says how long it may take",
            mesh_skills::yaml::show_duration(limit)
        );
        let failure = Arc::new(Failure::timeout("agent.timeout", message));
        self.abandon("the task that gave it took too long");
        let (spent, parent, taint) = (self.task.spent, self.parent(), self.taint());
        self.emit(Event::AgentTaskTimedOut { failure, spent, parent, taint });
    }

    /// When the next attempt is made: what the other side asked for, or twice as long each time.
    fn backoff(&self, attempt: u32, failure: &Failure) -> Timestamp {
        let own = Duration::from_millis(500).saturating_mul(1 << attempt.min(7));
        let asked = failure.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        self.cause.at.plus(own.max(asked))
    }
}
