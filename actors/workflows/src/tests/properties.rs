//! Random definitions, random outcomes, random order: what must hold always.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use mesh_skills::contract::{Call, Manifest, Registry, Skill};
use proptest::prelude::*;

use super::*;
use crate::run::{Command, Slot, Wait};

/// One step of a random definition.
#[derive(Debug, Clone)]
struct Rough {
    kind: u8,
    needs: Vec<prop::sample::Index>,
    when: u8,
    timeout: bool,
    compensate: bool,
}

fn rough() -> impl Strategy<Value = Rough> {
    (0_u8..9, prop::collection::vec(any::<prop::sample::Index>(), 0..3), 0_u8..8, any::<bool>(), any::<bool>())
        .prop_map(|(kind, needs, when, timeout, compensate)| Rough { kind, needs, when, timeout, compensate })
}

fn source(steps: &[Rough], limit: bool, timeout: bool) -> String {
    let mut text = "name: random\n".to_owned();
    if limit {
        text.push_str("concurrency: { limit: 1 }\n");
    }
    if timeout {
        text.push_str("timeout: 30d\n");
    }
    text.push_str("steps:\n");
    for (at, step) in steps.iter().enumerate() {
        text.push_str(&format!("  - id: s{at}\n"));
        let needs: std::collections::BTreeSet<usize> =
            step.needs.iter().filter(|_| at > 0).map(|need| need.index(at)).collect();
        let needs: Vec<String> = needs.into_iter().map(|need| format!("s{need}")).collect();
        text.push_str(&format!("    needs: [{}]\n", needs.join(", ")));
        match step.when {
            0 => text.push_str("    when: 'false'\n"),
            1 => text.push_str("    when: 'true'\n"),
            _ => {}
        }
        let calls = match step.kind {
            0 => {
                text.push_str("    signal: go\n");
                false
            }
            1 => {
                text.push_str("    timer: 5s\n");
                continue;
            }
            2 => {
                text.push_str("    approval: really?\n");
                false
            }
            3 => {
                text.push_str("    forEach: { items: [1, 2, 3], parallel: 2, skill: x.y }\n");
                true
            }
            4 => {
                text.push_str("    workflow: other\n");
                true
            }
            5 => {
                text.push_str("    agent: clerk\n");
                true
            }
            _ => {
                text.push_str("    skill: x.y\n");
                true
            }
        };
        if step.timeout {
            text.push_str("    timeout: 1m\n");
        }
        if step.compensate && calls {
            text.push_str("    compensate: { skill: x.z }\n");
        }
    }
    text
}

/// A submitted run that computes the steps of `x.y` itself, so many in one decision.
fn computing(source: &str, at_most: usize) -> Simulation {
    struct One(Manifest);
    impl Skill for One {
        fn manifest(&self) -> &Manifest {
            &self.0
        }

        fn call<'a>(&'a self, _: Call) -> BoxFuture<'a, Result<Value, Failure>> {
            Box::pin(async { Ok(json!(1)) })
        }

        fn compute(&self, _: &Value) -> Option<Result<Value, Failure>> {
            Some(Ok(json!(1)))
        }
    }
    let one: Arc<dyn Skill> = Arc::new(One(Manifest::new("x.y", "Gives one.").at_once()));
    let mut run = Simulation::new("run-1").unwrap().computing(Registry::new([one]).unwrap(), at_most);
    run.submit(&definition(source), empty()).unwrap();
    run
}

/// What happens next, of all that can.
fn act(run: &mut Simulation, choice: u32) {
    let wants = run.wants();
    let pick = (choice / 16) as usize;
    let failure = || match choice % 5 {
        0 => Failure::validation("v", "v"),
        1 => Failure::timeout("t", "t"),
        _ => Failure::external("e", "e"),
    };
    let answer = if choice.is_multiple_of(7) { Answer::Failure(failure()) } else { Answer::Output(json!(choice)) };
    match choice % 16 {
        0 => drop(run.send(Command::PauseRun { reason: String::new() })),
        1 if choice.is_multiple_of(5) => drop(run.send(Command::CancelRun { reason: "x".into() })),
        2 => drop(run.send(Command::SignalRun { name: "go".into(), payload: json!(1) })),
        3 => drop(run.send(Command::RetryRun { from_step: None })),
        4..=6 if !wants.timers.is_empty() => {
            let timer = wants.timers[pick % wants.timers.len()].clone();
            run.fire(timer).unwrap();
        }
        _ if !wants.effects.is_empty() => {
            let request = wants.effects[pick % wants.effects.len()].clone();
            run.answer(&request, answer).unwrap();
        }
        _ => forward(run, answer),
    }
}

/// Gives the run whatever it waits for.
fn forward(run: &mut Simulation, answer: Answer) {
    if run.run.status.is_final() {
        return;
    }
    if let Slot::Requested { limit, .. } = run.run.slot.clone() {
        run.send(Command::GrantSlot { limit }).unwrap();
        return;
    }
    if run.run.paused.is_some() {
        run.send(Command::ResumeRun {}).unwrap();
        return;
    }
    let wants = run.wants();
    if let Some(request) = wants.effects.first() {
        run.answer(request, answer).unwrap();
        return;
    }
    let wait = run.waits().into_iter().next().map(|(step, item, wait)| (step, item, wait.clone()));
    match wait {
        Some((step, item, Wait::Child { child, .. })) => {
            run.end_child((step, item, child), answer).unwrap();
        }
        Some((step, _, Wait::Task { task, .. })) => {
            run.end_task(step, task, answer).unwrap();
        }
        Some((step, _, Wait::Approval { approval, .. })) => {
            let approved = matches!(answer, Answer::Output(_));
            let by = vec!["ada".to_owned()];
            run.send(Command::RecordApproval { step, approval, approved, by, comment: String::new() }).unwrap();
        }
        Some((_, _, Wait::Signal { name, .. })) => {
            run.send(Command::SignalRun { name, payload: json!(1) }).unwrap();
        }
        _ => {
            let timer = wants.timers.into_iter().min().expect("something moves a run that has not ended");
            run.fire(timer).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_replay_equals_live_and_someone_will_wake_the_run(
        steps in prop::collection::vec(rough(), 1..9),
        limit in any::<bool>(),
        timeout in any::<bool>(),
        choices in prop::collection::vec(any::<u32>(), 0..40),
    ) {
        let mut run = submitted(&source(&steps, limit, timeout), empty());
        check_invariants(&run);
        for choice in choices {
            act(&mut run, choice);
            check_invariants(&run);
        }
        // With everything delivered, every run ends.
        let mut moves = 0;
        while !run.run.status.is_final() {
            forward(&mut run, Answer::Output(json!(1)));
            moves += 1;
            prop_assert!(moves < 500, "it never ends: {}", run.view(""));
        }
        check_invariants(&run);
        let unfinished = run.run.steps.iter().filter(|step| !step.work.status.is_done()).count();
        prop_assert_eq!(run.run.status == Status::Succeeded, unfinished == 0 && run.run.status != Status::Cancelled && run.run.failure.is_none());
    }

    #[test]
    fn a_run_whose_pure_steps_are_computed_ends_as_one_whose_steps_are_performed(
        steps in prop::collection::vec(rough(), 1..9),
        at_most in 0_usize..6,
        choices in prop::collection::vec(any::<u32>(), 0..10),
    ) {
        let source = source(&steps, false, false);
        let ended = |at_most, choices: &[u32]| {
            let mut run = computing(&source, at_most);
            for choice in choices {
                act(&mut run, *choice);
                check_invariants(&run);
            }
            while !run.run.status.is_final() {
                forward(&mut run, Answer::Output(json!(1)));
            }
            check_invariants(&run);
            run
        };
        let (performed, computed) = (ended(0, &[]), ended(at_most, &[]));
        prop_assert_eq!(performed.run.status, computed.run.status);
        let outputs = |run: &Simulation| -> Vec<_> {
            run.run.steps.iter().map(|step| (step.work.status, step.work.attempts, step.work.output.clone())).collect()
        };
        prop_assert_eq!(outputs(&performed), outputs(&computed));
        ended(at_most, &choices);
    }

    #[test]
    fn no_outcome_is_ever_asked_for_after_it_was_recorded(
        steps in prop::collection::vec(rough(), 1..9),
        choices in prop::collection::vec(any::<u32>(), 0..40),
    ) {
        let mut run = submitted(&source(&steps, false, false), empty());
        let mut recorded = std::collections::HashSet::new();
        for choice in choices {
            for effect in run.wants().effects {
                prop_assert!(!recorded.contains(&effect.key), "{} is asked for again", effect.key);
            }
            let before: Vec<_> = run.wants().effects;
            act(&mut run, choice);
            let after: std::collections::HashSet<_> =
                run.wants().effects.into_iter().map(|effect| effect.key).collect();
            recorded.extend(before.into_iter().map(|effect| effect.key).filter(|key| !after.contains(key)));
        }
    }
}
