//! What came of the cases: a table for people, JSON for programs, JUnit's XML for build servers.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    grade::{Called, Seen},
    tally::{Change, Trial, Trials, Verdict},
};
use crate::cli::output::{Cell, Paint, Table, Tone, clean, duration};

/// What was tried, for the heads of reports.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) file: String,
    pub(super) agent: String,
    pub(super) version: u32,
    pub(super) against: Option<u32>,
}

fn result(passed: bool) -> Cell {
    if passed { Cell::toned("passed", Tone::Good) } else { Cell::toned("failed", Tone::Bad) }
}

fn shares(trials: &Trials) -> String {
    format!("{}/{}", trials.passes(), trials.many())
}

/// A row for each case.
pub(super) fn table(verdicts: &[Verdict<'_>]) -> Table {
    let mut table = Table::new(&["CASE", "RESULT", "PASSES", "TURNS", "TOKENS", "COST", "TOOK"]);
    for verdict in verdicts {
        let now = &verdict.now;
        table.row([
            clean(&verdict.case.name).into(),
            result(verdict.passed()),
            shares(now).into(),
            now.turns().to_string().into(),
            now.tokens().to_string().into(),
            now.cost().to_string().into(),
            duration(now.longest()).into(),
        ]);
    }
    table
}

/// A row for each case, with what another version made of it.
pub(super) fn comparison(verdicts: &[Verdict<'_>]) -> Table {
    let mut table = Table::new(&["CASE", "CHANGE", "BEFORE", "NOW", "TOKENS", "COST"]);
    for verdict in verdicts {
        let (Some(before), Some(change)) = (&verdict.before, verdict.change()) else { continue };
        let tone = match change {
            Change::Better => Tone::Good,
            Change::Worse => Tone::Bad,
            Change::Equal => Tone::Faint,
        };
        let now = &verdict.now;
        table.row([
            clean(&verdict.case.name).into(),
            Cell::toned(change.as_str(), tone),
            shares(before).into(),
            shares(now).into(),
            format!("{} to {}", before.tokens(), now.tokens()).into(),
            format!("{} to {}", before.cost(), now.cost()).into(),
        ]);
    }
    table
}

/// Why cases failed, in words.
pub(super) fn why(verdicts: &[Verdict<'_>], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for verdict in verdicts.iter().filter(|verdict| !verdict.passed()) {
        lines.push(String::new());
        lines.push(paint.tone(Tone::Strong, &clean(&verdict.case.name)));
        for (trial, count) in alike(&verdict.now) {
            lines.extend(trial.problems.iter().map(|problem| format!("  {}", clean(problem))));
            let more = if count > 1 { format!("{count} trials; ") } else { String::new() };
            if !trial.seen.task_id.is_empty() {
                lines.push(format!("  {more}mesh agents task {} shows what was said", trial.seen.task_id));
            }
        }
    }
    lines
}

/// The trials that failed, one of those with the same problems, and how many these are.
fn alike(trials: &Trials) -> Vec<(&Trial, usize)> {
    let mut kinds: Vec<(&Trial, usize)> = Vec::new();
    for trial in trials.0.iter().filter(|trial| !trial.problems.is_empty()) {
        match kinds.iter_mut().find(|(known, _)| known.problems == trial.problems) {
            Some((_, count)) => *count += 1,
            None => kinds.push((trial, 1)),
        }
    }
    kinds
}

/// One case as JSON.
pub(super) fn case_json(verdict: &Verdict<'_>) -> Value {
    json!({
        "case": verdict.case.name,
        "passed": verdict.passed(),
        "needed": verdict.case.needed,
        "now": trials_json(&verdict.now),
        "before": verdict.before.as_ref().map(trials_json),
        "change": verdict.change().map(Change::as_str),
    })
}

fn trials_json(trials: &Trials) -> Value {
    let (low, high) = trials.interval();
    json!({
        "passes": trials.passes(),
        "trials": trials.0.iter().map(trial_json).collect::<Vec<_>>(),
        "interval": [low, high],
        "tokens": trials.tokens(),
        "costMicros": trials.cost(),
    })
}

fn trial_json(Trial { seen, problems }: &Trial) -> Value {
    json!({
        "passed": problems.is_empty(),
        "problems": problems,
        "outcome": seen.outcome,
        "code": seen.code,
        "why": seen.why,
        "output": seen.output,
        "calls": seen.calls.iter().map(Called::to_json).collect::<Vec<_>>(),
        "turns": seen.spent.turns,
        "inputTokens": seen.spent.input_tokens,
        "outputTokens": seen.spent.output_tokens,
        "lostTokens": seen.spent.lost_tokens,
        "costMicros": seen.spent.cost_micros,
        "corrections": seen.corrections,
        "seconds": seen.took.as_secs_f64(),
        "runId": seen.run_id,
        "taskId": seen.task_id,
    })
}

/// The whole as one JSON document.
pub(super) fn whole(heading: &Heading, verdicts: &[Verdict<'_>]) -> Value {
    json!({
        "file": heading.file,
        "agent": heading.agent,
        "version": heading.version,
        "against": heading.against,
        "cases": verdicts.iter().map(case_json).collect::<Vec<_>>(),
    })
}

/// The whole as the XML that build servers read: a suite, and a test case for each case.
///
/// **Source**: the form that JUnit's Ant task writes, and that build servers agree on.
pub(super) fn junit(heading: &Heading, verdicts: &[Verdict<'_>]) -> String {
    let seconds = |verdict: &Verdict<'_>| verdict.now.0.iter().map(|trial| trial.seen.took.as_secs_f64()).sum::<f64>();
    let failures = verdicts.iter().filter(|verdict| !verdict.passed()).count();
    let name = escaped(&format!("{}@{}", heading.agent, heading.version));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let total: f64 = verdicts.iter().map(seconds).sum();
    // Writing to a text does not fail.
    let _ = writeln!(
        xml,
        "<testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{total:.3}\">",
        verdicts.len()
    );
    for verdict in verdicts {
        let case = escaped(&verdict.case.name);
        let _ = write!(xml, "  <testcase classname=\"{name}\" name=\"{case}\" time=\"{:.3}\"", seconds(verdict));
        if verdict.passed() {
            xml.push_str("/>\n");
            continue;
        }
        let told = problems(verdict);
        let first = told.first().map(String::as_str).unwrap_or_default();
        let _ = writeln!(
            xml,
            ">\n    <failure message=\"{}\">{}</failure>\n  </testcase>",
            escaped(&format!("{} trials passed, {} must: {first}", shares(&verdict.now), verdict.case.needed)),
            escaped(&told.join("\n"))
        );
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn problems(verdict: &Verdict<'_>) -> Vec<String> {
    let told = |Trial { seen: Seen { task_id, .. }, problems }: &Trial| {
        let task_id = task_id.clone();
        problems.iter().map(move |problem| format!("{problem} [{task_id}]")).collect::<Vec<_>>()
    };
    verdict.now.0.iter().flat_map(told).collect()
}

/// A text within XML: what it cannot hold at all is left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push(' '),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {}
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::agents::evals::file::parse;

    #[test]
    fn a_build_server_is_told_what_failed_and_why() {
        let source =
            "agent: a\ncases: [{ name: 'a <b>', expect: [{ exact: 1 }] }, { name: c, expect: [{ exact: 1 }] }]\n";
        let suite = parse(source, "f").unwrap();
        let trial = |problems: &[&str]| Trial {
            seen: Seen { task_id: "task-1".to_owned(), ..Seen::default() },
            problems: problems.iter().map(|&text| text.to_owned()).collect(),
        };
        let verdict = |at: usize, problems: &[&str]| Verdict {
            case: suite.cases.get(at).unwrap(),
            now: Trials(vec![trial(problems)]),
            before: None,
        };
        let verdicts = [verdict(0, &["`/n` should be `\"x & y\"`\u{1b}"]), verdict(1, &[])];
        let heading = Heading { file: "f".to_owned(), agent: "a".to_owned(), version: 2, against: None };
        insta::assert_snapshot!(junit(&heading, &verdicts), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuite name="a@2" tests="2" failures="1" errors="0" skipped="0" time="0.000">
          <testcase classname="a@2" name="a &lt;b&gt;" time="0.000">
            <failure message="0/1 trials passed, 1 must: `/n` should be `&quot;x &amp; y&quot;` [task-1]">`/n` should be `&quot;x &amp; y&quot;` [task-1]</failure>
          </testcase>
          <testcase classname="a@2" name="c" time="0.000"/>
        </testsuite>
        "#);
    }
}
