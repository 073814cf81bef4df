//! Scenarios and properties of whole tasks.

mod answers;
mod budgets;
mod guard;
mod helpers;
mod models;
mod people;
mod properties;
mod tools;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use mesh_kernel::{
    entity::{Cause, Decider, EffectRequest, Recorded, Wants, decode_tagged, encode_tagged},
    envelope::{Address, CorrelationId, EventId, IdempotencyKey, Payload, Principal, Role, Timestamp, TraceId},
};
use mesh_skills::{
    contract::{Effect, Failure, Manifest, Registry, SkillCall, SkillOutcome, SkillResult},
    logs::LogRef,
    models::{
        By, Fault, MicroUnits, ModelCall, ModelOutcome, ModelResult,
        chat::{Answer, Arguments, Finish, Message, Said, ToolCall, Usage},
    },
};
use serde_json::{Value, json};

use crate::{
    context::{self, Context, ContextOutcome, ContextResult, Tool},
    definition::{Agent, parse},
    task::{AssignTask, Command, Error, Event, Parent, Phase, Task, TaskDecider},
};

const BEGIN: Timestamp = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);

/// An agent that may call `text.echo` and gives a text.
const CLERK: &str = "name: clerk\ninstructions: sort letters\nskills: [text.echo]\n";

fn agent(source: &str) -> Agent {
    parse(source, None).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// One task, with the log that its journal would hold.
struct Sim {
    decider: TaskDecider,
    address: Address,
    task: Task,
    log: Vec<(Payload, Timestamp)>,
    events: Vec<Event>,
    now: Timestamp,
    by: Principal,
    /// Keys of all model calls that were ever wanted.
    asked: BTreeSet<String>,
    /// Skills that give what may have been written outside.
    tainting: BTreeSet<String>,
}

impl Sim {
    fn absent() -> Self {
        Self {
            decider: TaskDecider::default(),
            address: "acme/agent-mesh/task/task-1".parse().unwrap(),
            task: Task::default(),
            log: Vec::new(),
            events: Vec::new(),
            now: BEGIN,
            by: Principal { name: "ada".into(), roles: vec![Role::Operator], on_behalf_of: None },
            asked: BTreeSet::new(),
            tainting: ["web.fetch".to_owned()].into(),
        }
    }

    /// A task that was assigned and knows what it needs to know.
    fn begun(source: &str, input: Value) -> Self {
        Self::computing(source, input, Registry::default())
    }

    fn computing(source: &str, input: Value, skills: Registry) -> Self {
        let mut sim = Self::absent();
        sim.decider = TaskDecider::default().computing(skills);
        sim.send(Command::AssignAgentTask(Box::new(assigned(input)))).unwrap();
        sim.knows(agent(source));
        sim
    }

    /// It is told what it needs to know.
    fn knows(&mut self, agent: Agent) {
        let request = self.effect(context::HANDLER);
        let tools = agent.skills.iter().map(|binding| {
            let manifest = Manifest::new(&binding.skill, "does it");
            let effect = if binding.skill.starts_with("mail.") { Effect::AtLeastOnce } else { Effect::Pure };
            Arc::new(Tool::of(&manifest.effect(effect)))
        });
        let helpers = agent.agents.iter().map(|helper| {
            let definition = Agent { name: helper.agent.clone(), ..self::agent(CLERK) };
            Arc::new(Tool::of_agent(helper.version.unwrap_or(1), &definition))
        });
        let tools = tools.chain(helpers);
        let context = Context {
            version: 3,
            digest: agent.digest(),
            tools: tools.collect(),
            agent: Arc::new(agent),
            prices: None,
        };
        let result = ContextResult::Loaded(context);
        self.send(Command::RecordContext(Box::new(ContextOutcome { key: request.key, result }))).unwrap();
    }

    fn send(&mut self, command: Command) -> Result<Vec<String>, Error> {
        let wire = encode_tagged(&command, 1).unwrap();
        let command: Command = decode_tagged(&wire.name, &wire.bytes).unwrap();
        let cause = Cause {
            address: self.address.clone(),
            event_id: EventId::parse("evt-1").unwrap(),
            at: self.now,
            principal: self.by.clone(),
            trace_id: TraceId::parse("trace-1").unwrap(),
            correlation_id: CorrelationId::parse("c-1").unwrap(),
            key: None,
            version: self.log.len() as u64,
        };
        let events = self.decider.decide(&self.task, command, &cause)?;
        let mut names = Vec::new();
        for event in events {
            let payload = encode_tagged(&event, 1).unwrap();
            names.push(payload.name.to_string());
            apply(&self.decider, &self.address, &mut self.task, &payload, self.now);
            self.log.push((payload, self.now));
            self.events.push(event);
        }
        self.holds();
        Ok(names)
    }

    fn wants(&self) -> Wants {
        self.decider.wants(&self.task)
    }

    /// The only wanted effect of this handler.
    fn effect(&self, handler: &str) -> EffectRequest {
        let wants = self.wants().effects;
        let mut found = wants.iter().filter(|request| request.handler == handler);
        let first = found.next().cloned().unwrap_or_else(|| panic!("no `{handler}` is wanted: {wants:?}"));
        assert!(found.next().is_none(), "more than one `{handler}` is wanted");
        first
    }

    fn asks(&self) -> ModelCall {
        serde_json::from_slice(&self.effect("model").input).unwrap()
    }

    fn model(&mut self, result: ModelResult) -> Vec<String> {
        let request = self.effect("model");
        let outcome = ModelOutcome { echo: Value::Null, key: request.key, attempt: request.attempt, result };
        self.send(Command::RecordModelOutcome(Box::new(outcome))).unwrap()
    }

    /// The model says this and stops.
    fn says(&mut self, text: &str) -> Vec<String> {
        self.model(answered(Said { text: text.into(), ..Said::default() }, Finish::Stop))
    }

    /// The model calls these tools with these arguments.
    fn calls(&mut self, calls: &[(&str, Value)]) -> Vec<String> {
        let call = |(at, (name, input)): (usize, &(&str, Value))| ToolCall {
            id: format!("c{at}"),
            name: (*name).to_owned(),
            arguments: Arguments::Object(input.clone()),
        };
        let tool_calls = calls.iter().enumerate().map(call).collect();
        self.model(answered(Said { tool_calls, ..Said::default() }, Finish::ToolCalls))
    }

    fn fails(&mut self, fault: Fault, candidates: u32) -> Vec<String> {
        let failure = fault.failure("no");
        self.model(ModelResult::Failed { failure, fault, candidates, lost: None })
    }

    /// The open calls of skills, in order.
    fn skills(&self) -> Vec<(EffectRequest, SkillCall)> {
        let skills = self.wants().effects.into_iter().filter(|request| request.handler == "skill");
        skills.map(|request| (request.clone(), serde_json::from_slice(&request.input).unwrap())).collect()
    }

    /// The open skill at this place gives, or fails.
    fn skill(&mut self, at: usize, result: Result<Value, Failure>) -> Vec<String> {
        let (request, call) = self.skills().remove(at);
        let result = match result {
            Ok(output) => SkillResult::Ok { output },
            Err(failure) => SkillResult::Failed { failure },
        };
        let outcome = SkillOutcome {
            echo: call.echo,
            key: request.key,
            attempt: request.attempt,
            result,
            log: LogRef::default(),
            tainted: self.tainting.contains(&call.skill),
        };
        self.send(Command::RecordOutcome(Box::new(outcome))).unwrap()
    }

    fn fire(&mut self, name: &str) -> Vec<String> {
        let timers = self.wants().timers;
        let timer = timers.iter().find(|timer| timer.name == name).unwrap_or_else(|| panic!("no `{name}`: {timers:?}"));
        let timer = timer.clone();
        self.now = self.now.max(timer.due);
        self.send(Command::FireTimer { name: timer.name, due: timer.due }).unwrap()
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// What must hold at every moment.
    fn holds(&mut self) {
        let mut replayed = self.decider.initial(&self.address);
        for (payload, at) in &self.log {
            apply(&self.decider, &self.address, &mut replayed, payload, *at);
        }
        let json = |task: &Task| serde_json::to_value(task).unwrap();
        assert_eq!(json(&replayed), json(&self.task), "replay differs from live");
        let restored: Task = serde_json::from_value(json(&self.task)).unwrap();
        let wants = self.wants();
        assert_eq!(self.decider.wants(&restored), wants, "a snapshot wants something else");
        let view = self.decider.view(&self.task, "");
        let ended = self.task.phase.is_final();
        assert!(!ended || wants == Wants::default(), "an ended task wants {wants:?}");
        let named = ended || self.task.phase == Phase::Absent || view["waiting"].is_string();
        assert!(named, "nobody moves it: {view}");
        let person = view["state"] == "Paused" || view["state"] == "Escalated";
        assert!(
            ended
                || person
                || !wants.effects.is_empty()
                || !self.task.children().is_empty()
                || wants.timers.iter().any(|t| t.name != "deadline")
                || self.task.phase == Phase::Absent,
            "{view}"
        );
        for request in wants.effects.iter().filter(|request| request.handler == "model") {
            well_formed(&serde_json::from_slice::<ModelCall>(&request.input).unwrap().request.messages);
            self.asked.insert(request.key.to_string());
        }
    }
}

/// Behind what was said with calls in it stand the results of just these calls.
fn well_formed(messages: &[Message]) {
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        match message {
            Message::Tool { call, .. } => {
                assert_eq!(open.first(), Some(call), "a result stands where none belongs: {messages:?}");
                open.remove(0);
            }
            other => {
                assert!(open.is_empty(), "a call has no result: {messages:?}");
                if let Message::Assistant(said) = other {
                    open = said.tool_calls.iter().map(|call| call.id.clone()).collect();
                }
            }
        }
    }
    assert!(open.is_empty(), "the last calls have no results");
}

fn apply(decider: &TaskDecider, address: &Address, task: &mut Task, payload: &Payload, at: Timestamp) {
    let event = decider.upcast(&payload.name, payload.schema_version, &payload.bytes).unwrap();
    let recorded = Recorded {
        address,
        event_id: &EventId::parse("evt-e").unwrap(),
        version: 1,
        at,
        principal: &Principal::system("test"),
        trace_id: &TraceId::parse("trace-1").unwrap(),
        correlation_id: &CorrelationId::parse("c-1").unwrap(),
    };
    decider.evolve(task, event, &recorded);
}

fn assigned(input: Value) -> AssignTask {
    AssignTask {
        agent: "clerk".into(),
        version: 0,
        goal: "sort it".into(),
        input,
        parent: Some(Parent { run: "acme/control-plane/run/run-1".parse().unwrap(), step: "ask".into() }),
        submitted_by: "ada".into(),
        taint: Vec::new(),
        project: "proj-1".into(),
        run: String::new(),
        depth: 0,
        most: Default::default(),
    }
}

fn answered(said: Said, finish: Finish) -> ModelResult {
    let usage = Usage { input_tokens: 100, output_tokens: 20, ..Usage::default() };
    let by = By { endpoint: "main".into(), model: "small".into(), prices: "1".into() };
    let answer = Answer { said, finish, usage, id: None, model: None };
    ModelResult::Answered { answer, by, cost: MicroUnits(10), took_ms: 5, first_token_ms: None }
}

fn texts(messages: &[Message]) -> Vec<String> {
    let text = |message: &Message| match message {
        Message::System { text } => format!("system: {text}"),
        Message::User { text } => format!("user: {text}"),
        Message::Assistant(said) => format!("assistant: {}", said.text),
        Message::Tool { call, text } => format!("{call}: {text}"),
    };
    messages.iter().map(text).collect()
}
