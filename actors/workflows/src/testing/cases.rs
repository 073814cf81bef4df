//! The cases that stand in a definition's file.

use std::{collections::VecDeque, time::Duration};

use mesh_kernel::entity::{EffectRequest, TimerRequest};
use mesh_proto::v1::{Expectation, SkillAnswer, TestCase, TestFailure, skill_answer};
use mesh_skills::contract::{Failure, FailureClass};
use serde_json::{Map, Value};

use super::{Answer, Simulation, Stuck};
use crate::{
    definition::Definition,
    form::{of_proto, show_duration, struct_to_json, value_to_json},
    run::{Command, Run, Slot, Wait},
};

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The case's name.
    pub name: String,
    /// What was not as expected; empty when all was.
    pub problems: Vec<String>,
    /// How long the run took on its own clock.
    pub took: Duration,
    /// How it ended, as it is shown.
    pub state: String,
}

impl CaseReport {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Runs all cases of a definition.
pub fn run_cases(definition: &Definition) -> Vec<CaseReport> {
    definition.message.tests.iter().map(|case| run_case(definition, case)).collect()
}

fn run_case(definition: &Definition, case: &TestCase) -> CaseReport {
    let name = if case.name.is_empty() { "a case without a name" } else { &case.name };
    let driven = drive(definition, case);
    let mut problems = Vec::new();
    let (took, state) = match driven {
        Ok(simulation) => {
            check(&simulation, case.expect.as_ref(), &mut problems);
            (simulation.took(), simulation.run.shown_state().to_owned())
        }
        Err(stuck) => {
            problems.push(stuck.to_string());
            (Duration::ZERO, "Stuck".to_owned())
        }
    };
    CaseReport { name: name.to_owned(), problems, took, state }
}

/// What a case gives to the run.
struct Script {
    answers: Vec<Prepared>,
    signals: VecDeque<(String, Value)>,
    approvals: std::collections::BTreeMap<String, bool>,
}

struct Prepared {
    skill: String,
    step: String,
    answer: Answer,
    left: u32,
}

impl Script {
    fn new(case: &TestCase) -> Self {
        Self {
            answers: case.answers.iter().map(prepare).collect(),
            signals: case
                .signals
                .iter()
                .map(|signal| (signal.name.clone(), signal.payload.as_ref().map(value_to_json).unwrap_or_default()))
                .collect(),
            approvals: case.approvals.clone(),
        }
    }

    /// The next answer of a skill; the last one that fits stands for all later calls. A skill of
    /// which the case says nothing gives an empty object.
    fn answer(&mut self, skill: &str, step: &str) -> Answer {
        let fits = |prepared: &Prepared| {
            (prepared.skill.is_empty() || prepared.skill == skill)
                && (prepared.step.is_empty() || prepared.step == step)
        };
        let last = self.answers.iter().rposition(fits);
        for (at, prepared) in self.answers.iter_mut().enumerate() {
            if fits(prepared) && (prepared.left > 0 || Some(at) == last) {
                prepared.left = prepared.left.saturating_sub(1);
                return prepared.answer.clone();
            }
        }
        Answer::Output(Value::Object(Map::new()))
    }
}

fn prepare(answer: &SkillAnswer) -> Prepared {
    Prepared {
        skill: answer.skill.clone(),
        step: answer.step.clone(),
        answer: match &answer.answer {
            Some(skill_answer::Answer::Output(output)) => Answer::Output(value_to_json(output)),
            Some(skill_answer::Answer::Failure(failure)) => Answer::Failure(failure_of(failure)),
            None => Answer::Output(Value::Object(Map::new())),
        },
        left: answer.times.max(1),
    }
}

fn failure_of(failure: &TestFailure) -> Failure {
    let class: FailureClass = failure.class.parse().unwrap_or(FailureClass::External);
    let code = if failure.code.is_empty() { "test.failure" } else { &failure.code };
    Failure::new(class, code, failure.message.clone())
}

fn drive(definition: &Definition, case: &TestCase) -> Result<Simulation, Stuck> {
    let mut simulation = Simulation::new("run-case")?;
    let mut script = Script::new(case);
    let input = case.input.as_ref().map(struct_to_json).unwrap_or_default();
    simulation.submit(definition, input)?;
    let mut moves = 0;
    while !simulation.run.status.is_final() {
        moves += 1;
        Simulation::check_moves(moves)?;
        step(&mut simulation, &mut script)?;
    }
    Ok(simulation)
}

/// One move: a turn, outcomes, decisions, signals; and only when none of them can happen, time.
fn step(simulation: &mut Simulation, script: &mut Script) -> Result<(), Stuck> {
    if let Slot::Requested { limit, .. } = simulation.run.slot.clone() {
        simulation.send(Command::GrantSlot { limit })?;
        return Ok(());
    }
    let wants = simulation.wants();
    if let Some(request) = wants.effects.first() {
        return answer(simulation, script, request);
    }
    if let Some((step, item, child, definition)) = simulation.children().into_iter().next() {
        let answer = script.answer(&definition, &step);
        simulation.end_child((step, item, child), answer)?;
        return Ok(());
    }
    if let Some((step, task, agent)) = simulation.tasks().into_iter().next() {
        let answer = script.answer(&agent, &step);
        simulation.end_task(step, task, answer)?;
        return Ok(());
    }
    if let Some((step, approval)) = asked_people(simulation) {
        let approved = script.approvals.get(&step).copied().unwrap_or(true);
        let by = vec!["tester".to_owned()];
        simulation.send(Command::RecordApproval { step, approval, approved, by, comment: String::new() })?;
        return Ok(());
    }
    if let Some((name, payload)) = script.signals.pop_front() {
        simulation.send(Command::SignalRun { name, payload })?;
        return Ok(());
    }
    match wants.timers.into_iter().min() {
        Some(timer) => fire(simulation, timer),
        None => Err(Stuck::Waits(awaited(&simulation.run, simulation))),
    }
}

fn answer(simulation: &mut Simulation, script: &mut Script, request: &EffectRequest) -> Result<(), Stuck> {
    let call = Simulation::call(request);
    let (skill, step) = call.map(|call| (call.skill.clone(), call.step.clone())).unwrap_or_default();
    let answer = script.answer(&skill, &step);
    simulation.answer(request, answer)?;
    Ok(())
}

fn fire(simulation: &mut Simulation, timer: TimerRequest) -> Result<(), Stuck> {
    simulation.fire(timer)?;
    Ok(())
}

fn asked_people(simulation: &Simulation) -> Option<(String, String)> {
    simulation.waits().into_iter().find_map(|(step, _, wait)| match wait {
        Wait::Approval { approval, .. } => Some((step, approval.clone())),
        _ => None,
    })
}

fn awaited(run: &Run, simulation: &Simulation) -> String {
    let names: Vec<String> = simulation
        .waits()
        .into_iter()
        .map(|(step, _, wait)| match wait {
            Wait::Signal { name, .. } => format!("signal `{name}` in step `{step}`"),
            _ => format!("step `{step}`"),
        })
        .collect();
    if names.is_empty() { format!("nothing, being {}", run.shown_state()) } else { names.join(", ") }
}

fn check(simulation: &Simulation, expect: Option<&Expectation>, problems: &mut Vec<String>) {
    let default = Expectation::default();
    let expect = expect.unwrap_or(&default);
    let run = &simulation.run;
    let wanted = if expect.state.is_empty() { "succeeded" } else { &expect.state };
    let state = run.shown_state();
    if !state.eq_ignore_ascii_case(wanted) {
        let why = run.failure.as_ref().map(|failure| format!(": {failure}")).unwrap_or_default();
        problems.push(format!("the run is {state}, not {wanted}{why}"));
    }
    if let Some(outputs) = &expect.outputs {
        let given = run.outputs.as_deref().cloned().unwrap_or_default();
        for (name, value) in struct_to_json(outputs).as_object().into_iter().flatten() {
            match given.get(name) {
                Some(given) if given == value => {}
                Some(given) => problems.push(format!("output `{name}` is {given}, not {value}")),
                None => problems.push(format!("there is no output `{name}`, {value} was expected")),
            }
        }
    }
    check_steps(simulation, expect, problems);
    let code = run.failure.as_ref().map(|failure| failure.code.as_str()).unwrap_or_default();
    if !expect.failure.is_empty() && expect.failure != code {
        problems.push(format!("the failure's code is `{code}`, not `{}`", expect.failure));
    }
    if let Some(least) = of_proto(expect.took_at_least.as_ref())
        && simulation.took() < least
    {
        let (took, least) = (show_duration(simulation.took()), show_duration(least));
        problems.push(format!("the run took {took}, at least {least} was expected"));
    }
}

fn check_steps(simulation: &Simulation, expect: &Expectation, problems: &mut Vec<String>) {
    let Some(plan) = simulation.run.plan.get() else { return };
    let mut steps: Vec<_> = expect.steps.iter().collect();
    steps.sort();
    for (id, wanted) in steps {
        let work = plan.find(id).and_then(|at| simulation.run.work(at, None));
        match work {
            None => problems.push(format!("there is no step `{id}`")),
            Some(work) if work.status.as_str().eq_ignore_ascii_case(wanted) => {}
            Some(work) => {
                problems.push(format!("step `{id}` is {}, not {wanted}", work.status.as_str()));
            }
        }
    }
    let mut attempts: Vec<_> = expect.attempts.iter().collect();
    attempts.sort();
    for (id, wanted) in attempts {
        let made = plan.find(id).and_then(|at| simulation.run.work(at, None)).map_or(0, |work| work.attempts);
        if made != *wanted {
            problems.push(format!("step `{id}` took {made} attempts, not {wanted}"));
        }
    }
}
