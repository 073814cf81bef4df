//! One run, driven by hand.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mesh_kernel::{
    entity::{Cause, Decider, EffectRequest, Recorded, TimerRequest, Wants},
    envelope::{Address, CorrelationId, EventId, Principal, TenantId, Timestamp, TraceId},
};
use mesh_skills::{
    contract::{Failure, Registry, SkillCall, SkillOutcome, SkillResult},
    logs::LogRef,
};
use serde_json::Value;

use crate::{
    definition::{Definition, to_json},
    plan::Plans,
    run::{ChildResult, Command, DefinitionRef, Error, Event, KIND, Run, RunDecider, SubmitRun, Wait},
};

/// When every simulation begins: a Monday morning, so that reports are the same each time.
const BEGIN: Timestamp = Timestamp::from_unix_nanos(1_767_600_000_000_000_000);

/// What a skill, or a child, answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It succeeds.
    Output(Value),
    /// It fails.
    Failure(Failure),
}

/// A run that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// The run refused what was asked.
    #[error("refused: {0}")]
    Refused(#[from] Error),
    /// The simulation made an address or id that is none.
    #[error("the simulation cannot name `{0}`")]
    Name(&'static str),
    /// It neither ended nor waits for anything that the simulation can give.
    #[error("the run waits for {0}, which nothing gives")]
    Waits(String),
    /// It never ends.
    #[error("the run did not end within {0} moves")]
    Endless(usize),
}

/// Most moves of one run.
const MOVES_MAX: usize = 200_000;

/// A run without a node: its decider, its state, and a clock that is moved by hand.
#[derive(Debug)]
pub struct Simulation {
    decider: RunDecider,
    address: Address,
    trace_id: TraceId,
    correlation_id: CorrelationId,
    principal: Principal,
    /// The state.
    pub run: Run,
    /// Every event, with the instant at which it happened.
    pub events: Vec<(Timestamp, Event)>,
    /// The run's own clock.
    pub now: Timestamp,
    /// Attempts of each step, as they were asked for.
    pub asked: BTreeMap<String, u32>,
}

impl Simulation {
    /// A run that was not submitted yet.
    ///
    /// # Errors
    /// [`Stuck::Name`] never, unless the id is no id.
    pub fn new(id: &str) -> Result<Self, Stuck> {
        let tenant = TenantId::parse("test").map_err(|_| Stuck::Name("tenant"))?;
        let address = Address::new(&tenant, KIND, id).map_err(|_| Stuck::Name("run"))?;
        Ok(Self {
            decider: RunDecider::new(Plans::default()),
            address,
            trace_id: TraceId::parse("trace-test").map_err(|_| Stuck::Name("trace"))?,
            correlation_id: CorrelationId::parse(id).map_err(|_| Stuck::Name("correlation"))?,
            principal: Principal::system("test"),
            run: Run::default(),
            events: Vec::new(),
            now: BEGIN,
            asked: BTreeMap::new(),
        })
    }

    /// The same, whose run computes so many pure steps of these skills within a decision.
    #[must_use]
    pub fn computing(mut self, skills: Registry, at_most: usize) -> Self {
        self.decider = RunDecider::new(Plans::default()).computing(skills, at_most);
        self
    }

    /// Sends a command; its events move the run.
    ///
    /// # Errors
    /// The run's refusal.
    pub fn send(&mut self, command: Command) -> Result<Vec<Event>, Error> {
        let cause = self.cause();
        let events = self.decider.decide(&self.run, command, &cause)?;
        for event in &events {
            self.evolve(event.clone(), self.now);
            self.count(event);
            self.events.push((self.now, event.clone()));
        }
        Ok(events)
    }

    /// Submits a run of this definition.
    ///
    /// # Errors
    /// The run's refusal.
    pub fn submit(&mut self, definition: &Definition, input: Value) -> Result<Vec<Event>, Error> {
        let submit = SubmitRun {
            definition: DefinitionRef { name: definition.message.name.clone(), version: 1, digest: definition.digest },
            workflow: (&to_json(&definition.message)).into(),
            input,
            request_id: None,
            body: None,
            project: None,
            labels: BTreeMap::new(),
            parent: None,
            submitted_by: None,
        };
        self.send(Command::SubmitRun(Box::new(submit)))
    }

    /// What the run wants now.
    pub fn wants(&self) -> Wants {
        self.decider.wants(&self.run)
    }

    /// The run as people see it.
    pub fn view(&self, what: &str) -> Value {
        self.decider.view(&self.run, what)
    }

    /// The state that its events alone give.
    pub fn replayed(&self) -> Run {
        let mut other = Self { run: Run::default(), events: Vec::new(), asked: BTreeMap::new(), ..self.copy() };
        for (at, event) in &self.events {
            other.evolve(event.clone(), *at);
        }
        other.run
    }

    fn copy(&self) -> Self {
        Self {
            decider: self.decider.clone(),
            address: self.address.clone(),
            trace_id: self.trace_id.clone(),
            correlation_id: self.correlation_id.clone(),
            principal: self.principal.clone(),
            run: self.run.clone(),
            events: Vec::new(),
            now: self.now,
            asked: BTreeMap::new(),
        }
    }

    /// Tells the outcome of a skill.
    ///
    /// # Errors
    /// The run's refusal, when it is late.
    pub fn answer(&mut self, request: &EffectRequest, answer: Answer) -> Result<Vec<Event>, Error> {
        let call: SkillCall = serde_json::from_slice(&request.input).unwrap_or_else(|_| SkillCall {
            skill: String::new(),
            version: None,
            input: Value::Null,
            run: String::new(),
            step: String::new(),
            item: None,
            attempt: request.attempt,
            idempotency_key: None,
            echo: Value::Null,
            waits: false,
            taint: Vec::new(),
        });
        self.send(Command::RecordOutcome(Box::new(SkillOutcome {
            echo: call.echo,
            key: request.key.clone(),
            attempt: request.attempt,
            result: match answer {
                Answer::Output(output) => SkillResult::Ok { output },
                Answer::Failure(failure) => SkillResult::Failed { failure },
            },
            log: LogRef::default(),
            tainted: false,
        })))
    }

    /// Moves the clock to a timer and fires it.
    ///
    /// # Errors
    /// The run's refusal.
    pub fn fire(&mut self, timer: TimerRequest) -> Result<Vec<Event>, Error> {
        self.now = self.now.max(timer.due);
        self.send(Command::FireTimer { name: timer.name, due: timer.due })
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// How long the run has taken on its own clock.
    pub fn took(&self) -> Duration {
        self.now.since(BEGIN)
    }

    /// Children that are waited for: step, item, child, definition.
    pub fn children(&self) -> Vec<(String, Option<u32>, String, String)> {
        let mut children = Vec::new();
        for (step, item, wait) in self.waits() {
            if let Wait::Child { child, definition, .. } = wait {
                children.push((step, item, child.clone(), definition.to_string()));
            }
        }
        children
    }

    /// Tasks that are waited for: step, task, agent.
    pub fn tasks(&self) -> Vec<(String, String, String)> {
        let of = |(step, _, wait): (String, Option<u32>, &Wait)| match wait {
            Wait::Task { task, agent, .. } => Some((step, task.clone(), agent.to_string())),
            _ => None,
        };
        self.waits().into_iter().filter_map(of).collect()
    }

    /// Everything that open steps wait for.
    pub fn waits(&self) -> Vec<(String, Option<u32>, &Wait)> {
        let Some(plan) = self.run.plan.get() else { return Vec::new() };
        let mut waits = Vec::new();
        for at in &self.run.open {
            let (Some(step), Some(planned)) = (self.run.step(*at), plan.step(*at)) else { continue };
            waits.extend(step.work.wait.as_ref().map(|wait| (planned.id.to_string(), None, wait)));
            let Some(items) = &step.items else { continue };
            for item in &items.open {
                let wait = items.works.get(*item as usize).and_then(|work| work.wait.as_ref());
                waits.extend(wait.map(|wait| (planned.id.to_string(), Some(*item), wait)));
            }
        }
        waits
    }

    /// Tells the end of a child.
    ///
    /// # Errors
    /// The run's refusal.
    pub fn end_child(
        &mut self,
        (step, item, child): (String, Option<u32>, String),
        answer: Answer,
    ) -> Result<Vec<Event>, Error> {
        self.send(Command::RecordChild { step, item, child, result: result_of(answer) })
    }

    /// Tells the end of an agent's task.
    ///
    /// # Errors
    /// The run's refusal.
    pub fn end_task(&mut self, step: String, task: String, answer: Answer) -> Result<Vec<Event>, Error> {
        self.send(Command::RecordTask { step, task, result: result_of(answer) })
    }

    /// Whether it has made too many moves.
    pub(super) fn check_moves(moves: usize) -> Result<(), Stuck> {
        if moves > MOVES_MAX { Err(Stuck::Endless(MOVES_MAX)) } else { Ok(()) }
    }

    fn evolve(&mut self, event: Event, at: Timestamp) {
        let event_id = EventId::fresh(at, [0; 10]);
        let recorded = Recorded {
            address: &self.address,
            event_id: &event_id,
            version: self.events.len() as u64 + 1,
            at,
            principal: &self.principal,
            trace_id: &self.trace_id,
            correlation_id: &self.correlation_id,
        };
        self.decider.evolve(&mut self.run, event, &recorded);
    }

    fn count(&mut self, event: &Event) {
        if let Event::StepRequested { step, item: None, attempt, .. } = event {
            self.asked.insert(step.to_string(), *attempt);
        }
    }

    fn cause(&self) -> Cause {
        Cause {
            address: self.address.clone(),
            event_id: EventId::fresh(self.now, [0; 10]),
            at: self.now,
            principal: self.principal.clone(),
            trace_id: self.trace_id.clone(),
            correlation_id: self.correlation_id.clone(),
            key: None,
            version: self.events.len() as u64,
        }
    }

    /// The call that an effect asks for.
    pub fn call(request: &EffectRequest) -> Option<Arc<SkillCall>> {
        serde_json::from_slice(&request.input).ok().map(Arc::new)
    }
}

fn result_of(answer: Answer) -> ChildResult {
    match answer {
        Answer::Output(outputs) => ChildResult::Succeeded { outputs, taint: Vec::new() },
        Answer::Failure(failure) => ChildResult::Failed { failure },
    }
}
