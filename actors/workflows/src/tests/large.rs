//! Runs with very many steps.

use super::*;

fn wide(count: usize) -> String {
    let mut source = "name: wide\nsteps:\n  - { id: start, skill: text.echo }\n".to_owned();
    for n in 0..count {
        source.push_str(&format!("  - {{ id: s{n}, needs: start, skill: text.echo, with: {{ n: {n} }} }}\n"));
    }
    let all: Vec<String> = (0..count).map(|n| format!("s{n}")).collect();
    source.push_str(&format!("  - {{ id: end, needs: [{}], skill: text.echo }}\n", all.join(", ")));
    source
}

/// Answers whatever is asked until the run has ended; the number of moves.
fn drive(run: &mut Simulation) -> usize {
    let mut moves = 0;
    while !run.run.status.is_final() {
        let wants = run.wants();
        assert!(!wants.effects.is_empty() || !wants.timers.is_empty(), "stuck");
        for timer in wants.timers.iter().filter(|timer| timer.name == "settle") {
            run.fire(timer.clone()).unwrap();
            moves += 1;
        }
        for request in wants.effects {
            run.answer(&request, Answer::Output(json!({"ok": true}))).unwrap();
            moves += 1;
        }
    }
    moves
}

#[test]
fn a_run_of_a_thousand_parallel_steps_ends() {
    let mut run = submitted(&wide(1000), empty());
    ok(&mut run, "start", empty());
    // What does not fit into one append follows by a timer that is due at once.
    drive(&mut run);
    assert_eq!(run.run.status, Status::Succeeded);
    check_invariants(&run);
}

#[test]
fn a_run_of_a_thousand_steps_in_a_row_ends() {
    let mut source = "name: deep\nsteps:\n  - { id: s0, skill: text.echo }\n".to_owned();
    for n in 1..1000 {
        source.push_str(&format!("  - {{ id: s{n}, needs: s{}, skill: text.echo }}\n", n - 1));
    }
    let mut run = submitted(&source, empty());
    assert_eq!(drive(&mut run), 1000);
    check_invariants(&run);
}

#[test]
fn a_thousand_skips_are_one_event() {
    let mut source = "name: skips\nsteps:\n  - { id: s0, when: 'false', skill: text.echo }\n".to_owned();
    for n in 1..1000 {
        source.push_str(&format!("  - {{ id: s{n}, needs: s{}, skill: text.echo }}\n", n - 1));
    }
    let run = submitted(&source, empty());
    assert_eq!(run.run.status, Status::Succeeded);
    assert_eq!(names(&run), ["RunSubmitted", "RunStarted", "StepsSkipped", "StepsSkipped", "RunSucceeded"]);
    check_invariants(&run);
}

#[test]
fn a_for_each_over_three_thousand_items_ends() {
    let source = "
name: many
steps:
  - { id: all, forEach: { items: '${input.list}', parallel: 2000, skill: text.echo }, with: { n: '${item}' } }
";
    let list: Vec<usize> = (0..3000).collect();
    let mut run = submitted(source, json!({"list": list}));
    drive(&mut run);
    let plan = run.run.plan.get().unwrap();
    let output = run.run.work(plan.find("all").unwrap(), None).unwrap().output.clone().unwrap();
    assert_eq!(output.as_array().unwrap().len(), 3000);
    check_invariants(&run);
}
