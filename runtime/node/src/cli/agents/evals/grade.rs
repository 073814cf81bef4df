//! Whether what came of a trial is what a case expects, and if not, in what it differs.
//!
//! Never here: I/O.

use std::time::Duration;

use mesh_agents::definition::mistakes;
use mesh_proto::v1;
use mesh_skills::{
    contract::holds,
    differ::{Difference, differences, show},
};
use serde_json::{Map, Value, json};

use super::file::{AtMost, Case, Expected, Grader};

/// Most differences that are shown.
const SHOWN_MAX: usize = 5;

/// What came of a trial.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) run_id: String,
    pub(super) task_id: String,
    /// `completed`, `failed`, `escalated`, `timed-out`, `cancelled` or `refused`.
    pub(super) outcome: String,
    /// The failure's code.
    pub(super) code: String,
    /// Why it did not complete, or for what it waits.
    pub(super) why: String,
    pub(super) output: Value,
    pub(super) calls: Vec<Called>,
    pub(super) spent: v1::TaskSpent,
    pub(super) corrections: u32,
    pub(super) took: Duration,
}

impl Seen {
    /// All tokens.
    pub(super) fn tokens(&self) -> u64 {
        self.spent.input_tokens + self.spent.output_tokens + self.spent.lost_tokens
    }
}

/// A skill that was called.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) skill: String,
    pub(super) arguments: Value,
}

impl Called {
    pub(super) fn to_json(&self) -> Value {
        json!({ "skill": self.skill, "arguments": self.arguments })
    }
}

/// Everything in which a trial is not as expected.
///
/// A wrong outcome is told alone: what else is not as expected comes of it.
pub(super) fn problems(case: &Case, seen: &Seen) -> Vec<String> {
    let told = |grader| graded(grader, case, seen);
    let (outcomes, others): (Vec<_>, Vec<_>) =
        case.graders.iter().partition(|grader| matches!(grader, Grader::Outcome { .. }));
    let wrong: Vec<String> = outcomes.into_iter().flat_map(told).collect();
    if wrong.is_empty() { others.into_iter().flat_map(told).collect() } else { wrong }
}

fn graded(grader: &Grader, case: &Case, seen: &Seen) -> Vec<String> {
    match grader {
        Grader::Exact { at, is } => exact(at, is, seen),
        Grader::Schema { at, schema } => match part(at, seen) {
            Ok(part) => mistakes(schema, part).into_iter().map(|told| format!("{}: {told}", place(at))).collect(),
            Err(problem) => vec![problem],
        },
        Grader::Cel(condition) => match condition.holds(&variables(case, seen)) {
            Ok(true) => Vec::new(),
            Ok(false) => vec![format!("`{}` is not true: the output is {}", condition.source(), show(&seen.output))],
            Err(error) => vec![error.to_string()],
        },
        Grader::Calls { expected, in_order, only } => calls(expected, *in_order, *only, &seen.calls),
        Grader::Outcome { is, code } => outcome(is, code.as_deref(), seen),
        Grader::AtMost(most) => at_most(most, seen),
    }
}

fn place(at: &str) -> String {
    if at.is_empty() { "the output".to_owned() } else { format!("`{at}`") }
}

fn part<'s>(at: &str, seen: &'s Seen) -> Result<&'s Value, String> {
    let missing = || format!("`{at}` is not in the output, which is {}", show(&seen.output));
    seen.output.pointer(at).ok_or_else(missing)
}

fn exact(at: &str, is: &Value, seen: &Seen) -> Vec<String> {
    let part = match part(at, seen) {
        Ok(part) => part,
        Err(problem) => return vec![problem],
    };
    let found = differences(is, part);
    let told = |Difference { at: below, first, second }: &Difference| {
        format!("{} should be {first} and is {second}", place(&format!("{at}{below}")))
    };
    let mut problems: Vec<String> = found.iter().take(SHOWN_MAX).map(told).collect();
    if found.len() > SHOWN_MAX {
        problems.push(format!("and {} more places differ", found.len() - SHOWN_MAX));
    }
    problems
}

/// What a condition reads.
fn variables(case: &Case, seen: &Seen) -> Map<String, Value> {
    let spent = json!({
        "tokens": seen.tokens(), "inputTokens": seen.spent.input_tokens, "outputTokens": seen.spent.output_tokens,
        "lostTokens": seen.spent.lost_tokens, "cost": seen.spent.cost_micros, "turns": seen.spent.turns,
        "modelCalls": seen.spent.model_calls, "toolCalls": seen.spent.tool_calls, "corrections": seen.corrections,
    });
    let calls: Vec<Value> = seen.calls.iter().map(Called::to_json).collect();
    [
        ("output", seen.output.clone()),
        ("input", Value::Object(case.input.clone())),
        ("calls", Value::Array(calls)),
        ("spent", spent),
        ("outcome", Value::from(seen.outcome.as_str())),
        ("code", Value::from(seen.code.as_str())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

fn is_one(expected: &Expected, call: &Called) -> bool {
    call.skill == expected.skill && expected.with.as_ref().is_none_or(|with| holds(&call.arguments, with))
}

fn calls(expected: &[Expected], in_order: bool, only: bool, calls: &[Called]) -> Vec<String> {
    let mut problems = Vec::new();
    let came = || {
        let names: Vec<String> = calls.iter().map(|call| format!("{} {}", call.skill, show(&call.arguments))).collect();
        if names.is_empty() { "nothing was called".to_owned() } else { format!("called were {}", names.join(", ")) }
    };
    for one in expected {
        let count = calls.iter().filter(|call| is_one(one, call)).count();
        let (least, most) = one.bounds();
        let with = one.with.as_ref().map(|with| format!(" with {}", show(with))).unwrap_or_default();
        let bound = if count < least {
            format!("{}{}", if most == Some(least) { "" } else { "at least " }, times(least))
        } else if let Some(most) = most.filter(|most| count > *most) {
            format!("{}{}", if most == least { "" } else { "at most " }, times(most))
        } else {
            continue;
        };
        let was = times(count);
        problems.push(format!("`{}`{with} should be called {bound} and was called {was}: {}", one.skill, came()));
    }
    if in_order {
        // Each is looked for behind the one before it.
        let mut rest = calls.iter();
        let lost = expected.iter().filter(|one| one.bounds().0 > 0).find(|one| !rest.any(|call| is_one(one, call)));
        problems.extend(lost.map(|one| format!("`{}` is not called in its order: {}", one.skill, came())));
    }
    if only {
        let strays = calls.iter().filter(|call| !expected.iter().any(|one| one.skill == call.skill));
        problems.extend(strays.map(|call| format!("`{}` should not be called: {}", call.skill, show(&call.arguments))));
    }
    problems
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn outcome(is: &str, code: Option<&str>, seen: &Seen) -> Vec<String> {
    let right = seen.outcome == is && code.is_none_or(|code| seen.code == code);
    if right {
        return Vec::new();
    }
    let told = |is: &str, code: &str| if code.is_empty() { format!("`{is}`") } else { format!("`{is}` ({code})") };
    let why = if seen.why.is_empty() { String::new() } else { format!(": {}", seen.why) };
    let (should, came) = (told(is, code.unwrap_or_default()), told(&seen.outcome, &seen.code));
    vec![format!("the outcome should be {should} and is {came}{why}")]
}

fn at_most(most: &AtMost, seen: &Seen) -> Vec<String> {
    let cost = u64::try_from(seen.spent.cost_micros).unwrap_or(0);
    [
        ("tokens", most.tokens, seen.tokens()),
        ("cost", most.cost, cost),
        ("turns", most.turns, u64::from(seen.spent.turns)),
        ("toolCalls", most.tool_calls, u64::from(seen.spent.tool_calls)),
        ("corrections", most.corrections, u64::from(seen.corrections)),
    ]
    .into_iter()
    .filter_map(|(what, most, took)| {
        most.filter(|most| took > *most).map(|most| format!("`{what}` should be at most {most} and is {took}"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::agents::evals::file::parse;

    fn seen() -> Seen {
        let call = |skill: &str, arguments: Value| Called { skill: skill.to_owned(), arguments };
        Seen {
            outcome: "completed".to_owned(),
            output: json!({ "department": "sales", "tags": ["a", "b"] }),
            calls: vec![
                call("text.echo", json!({ "text": "a", "n": 1 })),
                call("web.fetch", json!({ "url": "x" })),
                call("text.echo", json!({ "text": "b" })),
            ],
            spent: v1::TaskSpent { input_tokens: 90, output_tokens: 10, turns: 3, ..Default::default() },
            ..Seen::default()
        }
    }

    fn found(expect: &str) -> Vec<String> {
        let source = format!("agent: a\ncases: [{{ name: x, input: {{ n: 1 }}, expect: [{expect}] }}]\n");
        let suite = parse(&source, "f").unwrap();
        problems(suite.cases.first().unwrap(), &seen())
    }

    #[test]
    fn what_is_as_expected_has_no_problems() {
        for expect in [
            "{ exact: sales, at: /department }",
            "{ exact: { department: sales, tags: [a, b] } }",
            "{ schema: { type: object, required: [department] } }",
            "{ cel: \"output.department == 'sales' && input.n == 1 && size(calls) == 3 && spent.tokens == 100\" }",
            "{ cel: \"outcome == 'completed' && code == ''\" }",
            "{ calls: [text.echo, { skill: web.fetch, times: 1 }, { skill: mail.send, times: 0 }], only: true }",
            "{ calls: [{ skill: text.echo, with: { text: a } }, web.fetch, { skill: text.echo, with: { text: b } }], inOrder: true }",
            "{ calls: [{ skill: text.echo, atMost: 2 }, { skill: mail.send, atMost: 1 }] }",
            "{ atMost: { tokens: 100, turns: 3 } }",
        ] {
            assert_eq!(found(expect), [""; 0], "{expect}");
        }
    }

    #[test]
    fn what_is_not_as_expected_is_told_in_words_that_help() {
        for (expect, told) in [
            ("{ exact: billing, at: /department }", "`/department` should be `\"billing\"` and is `\"sales\"`"),
            ("{ exact: { department: sales, tags: [a, c] } }", "`/tags/1` should be `\"c\"` and is `\"b\"`"),
            (
                "{ exact: 1, at: /no }",
                "`/no` is not in the output, which is `{\"department\":\"sales\",\"tags\":[\"a\",\"b\"]}`",
            ),
            ("{ schema: { type: integer }, at: /department }", "`/department`: \"sales\" is not of type \"integer\""),
            ("{ cel: output.n == 1 }", "`output.n == 1` has no value: there is no `n`; `has(…)` asks for it"),
            (
                "{ calls: [{ skill: text.echo, times: 1 }] }",
                "`text.echo` should be called once and was called 2 times: called were text.echo `{\"n\":1,\"text\":\"a\"}`, web.fetch `{\"url\":\"x\"}`, text.echo `{\"text\":\"b\"}`",
            ),
            ("{ calls: [text.echo], only: true }", "`web.fetch` should not be called: `{\"url\":\"x\"}`"),
            ("{ outcome: escalated }", "the outcome should be `escalated` and is `completed`"),
            (
                "{ outcome: failed, code: model.refused }",
                "the outcome should be `failed` (model.refused) and is `completed`",
            ),
            ("{ atMost: { tokens: 99 } }", "`tokens` should be at most 99 and is 100"),
        ] {
            assert_eq!(found(expect), [told], "{expect}");
        }
        let order = found("{ calls: [web.fetch, { skill: text.echo, with: { text: a } }], inOrder: true }");
        assert!(order.first().unwrap().starts_with("`text.echo` is not called in its order"), "{order:?}");
    }
}
