//! A house without a kernel: entities and reactors talk in memory, one message at a time, until
//! nobody has anything to say. Skills and processes are answered by the test.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use mesh_kernel::{
    entity::{AnyState, Cause, EffectRequest, ErasedDecider, Kinds, encode_tagged},
    envelope::{
        Address, CorrelationId, Envelope, EventId, Headers, IdempotencyKey, Payload, Principal, Refusal, Role,
        Timestamp, TraceId,
    },
    follow::Reactor,
};
use mesh_skills::contract::{Failure, LogRef, SkillCall, SkillOutcome, SkillResult};
use mesh_workflows::{catalogue::DefinitionDecider, limit::LimitDecider, run::RunDecider};
use serde::Serialize;
use serde_json::Value;

struct Entity {
    decider: Arc<dyn ErasedDecider>,
    state: AnyState,
    version: u64,
    last: Option<Arc<Envelope>>,
}

/// Every entity and reactor of the platforms and of workflows.
pub(crate) struct House {
    kinds: Kinds,
    reactors: Vec<Arc<dyn Reactor>>,
    entities: BTreeMap<Address, Entity>,
    done: BTreeSet<String>,
    queue: VecDeque<Arc<Envelope>>,
    drawn: u64,
    now: Timestamp,
    /// Every event that happened, as `kind/id Event`.
    pub(crate) said: Vec<String>,
    /// Reactions that were refused, which in the mesh become dead letters.
    pub(crate) refused: Vec<String>,
}

/// Someone who calls from outside.
pub(crate) fn person(name: &str, roles: &[Role]) -> Principal {
    Principal { name: name.to_owned(), roles: roles.to_vec(), on_behalf_of: None }
}

impl House {
    pub(crate) fn new() -> Self {
        let kinds = Kinds::default().with(RunDecider::default()).with(DefinitionDecider::default()).with(LimitDecider);
        let kinds = kinds.with(mesh_agents::task::TaskDecider::default());
        let mut reactors: Vec<Arc<dyn Reactor>> = vec![Arc::new(mesh_workflows::run::reactions::Runs)];
        reactors.extend(mesh_platforms::reactors().into_iter().map(|(_, reactor)| reactor));
        Self {
            kinds: mesh_platforms::kinds(kinds),
            reactors,
            entities: BTreeMap::new(),
            done: BTreeSet::new(),
            queue: VecDeque::new(),
            drawn: 0,
            now: Timestamp::from_unix_nanos(1_800_000_000_000_000_000),
            said: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Someone sends a command; then everyone reacts until it is quiet.
    pub(crate) fn send<C: Serialize>(
        &mut self,
        who: &Principal,
        to: &str,
        command: &C,
    ) -> Result<Vec<String>, Refusal> {
        let to: Address = to.parse().unwrap();
        let payload = encode_tagged(command, 1).unwrap();
        let from = self.said.len();
        self.decide(who.clone(), &to, &payload, None)?;
        let own = self.said[from..].to_vec();
        self.settle();
        Ok(own)
    }

    /// What an entity shows.
    pub(crate) fn view(&self, address: &str) -> Value {
        let entity = self.entities.get(&address.parse().unwrap());
        entity.map_or(Value::Null, |entity| entity.decider.view(&entity.state, ""))
    }

    /// The effects that an entity wants.
    pub(crate) fn effects(&self, address: &str) -> Vec<EffectRequest> {
        let entity = self.entities.get(&address.parse().unwrap());
        entity.map_or_else(Vec::new, |entity| entity.decider.wants(&entity.state).effects)
    }

    /// Time passes until the next timer of this name is due, and it fires.
    pub(crate) fn fire(&mut self, address: &str, name: &str) {
        let to: Address = address.parse().unwrap();
        let entity = &self.entities[&to];
        let timers = entity.decider.wants(&entity.state).timers;
        let timer = timers.into_iter().find(|timer| timer.name == name).unwrap();
        self.now = self.now.max(timer.due);
        let content = serde_json::json!({ "name": timer.name, "due": timer.due });
        self.outcome(&to, "FireTimer", &content);
    }

    /// A performer tells the outcome of an effect.
    pub(crate) fn outcome(&mut self, to: &Address, name: &str, content: &Value) {
        let payload = Payload { name: name.into(), schema_version: 1, bytes: content.to_string().into() };
        let cause = self.entities[to].last.clone().unwrap();
        self.decide(on_behalf("performer", &cause), to, &payload, Some(&cause)).unwrap();
        self.settle();
    }

    /// Answers every skill that a run asks for, until it asks for none; the names of those asked.
    pub(crate) fn answer(
        &mut self,
        run: &str,
        mut skill: impl FnMut(&SkillCall) -> Result<Value, Failure>,
    ) -> Vec<String> {
        let address: Address = run.parse().unwrap();
        let mut asked = Vec::new();
        while let Some(request) = self.effects(run).into_iter().next() {
            let call: SkillCall = serde_json::from_slice(&request.input).unwrap();
            asked.push(call.skill.clone());
            let result = match skill(&call) {
                Ok(output) => SkillResult::Ok { output },
                Err(failure) => SkillResult::Failed { failure },
            };
            let outcome = SkillOutcome {
                echo: call.echo.clone(),
                key: request.key.clone(),
                attempt: request.attempt,
                result,
                log: LogRef::default(),
                tainted: false,
            };
            self.outcome(&address, "RecordOutcome", &serde_json::to_value(&outcome).unwrap());
        }
        asked
    }

    fn settle(&mut self) {
        while let Some(event) = self.queue.pop_front() {
            let reactions: Vec<_> = self
                .reactors
                .iter()
                .filter(|r| r.interests().is_empty() || r.interests().contains(&event.event_type.as_ref()))
                .flat_map(|reactor| reactor.react(&event))
                .collect();
            for reaction in reactions {
                assert_eq!(reaction.to.tenant(), &event.tenant_id, "a reaction left its tenant");
                let key = IdempotencyKey::of(&event.event_id, reaction.handler, reaction.to.as_str());
                assert!(self.done.insert(key.to_string()), "two reactions share a key: {}", reaction.handler);
                let who = on_behalf("reactor", &event);
                if let Err(refusal) = self.decide(who, &reaction.to, &reaction.command, Some(&event)) {
                    self.refused.push(format!("{} {}", reaction.command.name, refusal.code));
                }
            }
        }
    }

    fn decide(
        &mut self,
        principal: Principal,
        to: &Address,
        command: &Payload,
        cause: Option<&Envelope>,
    ) -> Result<(), Refusal> {
        self.drawn += 1;
        self.now = self.now.plus(Duration::from_millis(1));
        let event_id = EventId::parse(&format!("evt-{}", self.drawn)).unwrap();
        let trace_id = cause
            .map_or_else(|| TraceId::parse(&format!("trace-{}", self.drawn)).unwrap(), |cause| cause.trace_id.clone());
        let correlation_id = cause.map_or_else(|| CorrelationId::from(&event_id), |cause| cause.correlation_id.clone());
        let decider = self.kinds.of(to).unwrap_or_else(|| panic!("nobody owns {to}"));
        let entity = self.entities.entry(to.clone()).or_insert_with(|| Entity {
            state: decider.initial(to),
            decider,
            version: 0,
            last: None,
        });
        let known = Cause {
            address: to.clone(),
            event_id: event_id.clone(),
            at: self.now,
            principal: principal.clone(),
            trace_id: trace_id.clone(),
            correlation_id: correlation_id.clone(),
            key: None,
            version: entity.version,
        };
        for (index, fresh) in entity.decider.decide(&entity.state, command, &known)?.into_iter().enumerate() {
            let payload = fresh.payload;
            let event = Arc::new(Envelope {
                event_id: event_id.derived(index),
                event_type: payload.name.clone(),
                tenant_id: to.tenant().clone(),
                project_id: None,
                module_id: None,
                trace_id: trace_id.clone(),
                correlation_id: correlation_id.clone(),
                causation_id: event_id.clone(),
                occurred_at: self.now,
                payload: payload.bytes,
                headers: Headers::new(to.clone(), principal.clone()),
            });
            entity.version += 1;
            entity.decider.evolve(&mut entity.state, &event, entity.version).unwrap();
            entity.last = Some(event.clone());
            self.said.push(format!("{}/{} {}", to.kind(), to.id(), event.event_type));
            self.queue.push_back(event);
        }
        Ok(())
    }
}

fn on_behalf(part: &str, cause: &Envelope) -> Principal {
    let caused_by = &cause.headers.principal;
    Principal {
        name: format!("system:{part}"),
        roles: vec![Role::System],
        on_behalf_of: Some(caused_by.answerable().to_owned()),
    }
}
