//! A file of cases: its form, and every mistake in it with its place.

use std::{collections::BTreeSet, time::Duration};

use mesh_skills::{
    manifests,
    yaml::{self, Mistake, Node, parse_duration},
};
use mesh_workflows::expression::Condition;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// What a condition may read.
pub(super) const VARIABLES: [&str; 6] = ["output", "input", "calls", "spent", "outcome", "code"];

/// The graders of which one expectation says one.
const KINDS: [&str; 6] = ["exact", "schema", "cel", "calls", "outcome", "atMost"];

/// What belongs to which grader alone.
const COMPANIONS: [(&str, &[&str]); 4] =
    [("at", &["exact", "schema"]), ("inOrder", &["calls"]), ("only", &["calls"]), ("code", &["outcome"])];

/// How long one trial may take when nothing is said.
const TIME_LIMIT: Duration = Duration::from_secs(5 * 60);

/// The JSON Schema of files of cases, for editors and checks.
pub(in crate::cli::agents) fn schema() -> Value {
    serde_json::from_str(include_str!("evals.schema.json")).unwrap_or_default()
}

/// A file of cases.
#[derive(Debug)]
pub(super) struct Suite {
    /// The agent, perhaps with its version.
    pub(super) agent: String,
    pub(super) cases: Vec<Case>,
}

/// What an agent is given, and what must come of it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) goal: String,
    pub(super) input: Map<String, Value>,
    pub(super) repeat: u32,
    /// How many of the trials must pass.
    pub(super) needed: u32,
    pub(super) time_limit: Duration,
    pub(super) graders: Vec<Grader>,
}

/// One thing that must be true.
#[derive(Debug)]
pub(super) enum Grader {
    Exact { at: String, is: Value },
    Schema { at: String, schema: Value },
    Cel(Condition),
    Calls { expected: Vec<Expected>, in_order: bool, only: bool },
    Outcome { is: String, code: Option<String> },
    AtMost(AtMost),
}

/// Calls of one skill.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Expected {
    pub(super) skill: String,
    pub(super) with: Option<Value>,
    times: Option<usize>,
    at_least: Option<usize>,
    at_most: Option<usize>,
}

impl Expected {
    /// How often at least and at most.
    pub(super) fn bounds(&self) -> (usize, Option<usize>) {
        match self.times {
            Some(times) => (times, Some(times)),
            // Who says only how many at most may mean none.
            None => (self.at_least.unwrap_or_else(|| usize::from(self.at_most.is_none())), self.at_most),
        }
    }
}

/// What a trial may have taken.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AtMost {
    pub(super) tokens: Option<u64>,
    pub(super) cost: Option<u64>,
    pub(super) turns: Option<u64>,
    pub(super) tool_calls: Option<u64>,
    pub(super) corrections: Option<u64>,
}

#[derive(Deserialize)]
struct Written {
    agent: String,
    #[serde(default)]
    defaults: Settings,
    cases: Vec<WrittenCase>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    goal: Option<String>,
    repeat: Option<u32>,
    passes: Option<f64>,
    time_limit: Option<String>,
}

#[derive(Deserialize)]
struct WrittenCase {
    name: String,
    #[serde(default)]
    input: Map<String, Value>,
    #[serde(flatten)]
    settings: Settings,
    expect: Vec<Expectation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expectation {
    #[serde(default, deserialize_with = "present")]
    exact: Option<Value>,
    schema: Option<Value>,
    #[serde(default)]
    at: String,
    cel: Option<String>,
    calls: Option<Vec<Value>>,
    #[serde(default)]
    in_order: bool,
    #[serde(default)]
    only: bool,
    outcome: Option<String>,
    code: Option<String>,
    at_most: Option<AtMost>,
}

/// A value that is there, null included.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Reads a file of cases.
///
/// # Errors
/// Every mistake at once, each with its place.
pub(super) fn parse(source: &str, file: &str) -> Result<Suite, Vec<Mistake>> {
    read(source).map_err(|mut mistakes| {
        mistakes.sort();
        mistakes.into_iter().map(|mistake| mistake.in_file(file)).collect()
    })
}

fn read(source: &str) -> Result<Suite, Vec<Mistake>> {
    let tree = yaml::parse(source).map_err(|mistake| vec![mistake])?;
    let mistakes = manifests::mistakes(&tree, &schema());
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let written: Written =
        serde_json::from_value(tree.to_json()).map_err(|error| vec![Mistake::new(tree.span, error.to_string())])?;
    let mut reader = Reader { tree: &tree, mistakes: Vec::new() };
    let (mut names, mut cases) = (BTreeSet::new(), Vec::new());
    for (at, case) in written.cases.into_iter().enumerate() {
        let pointer = format!("/cases/{at}");
        if !names.insert(case.name.clone()) {
            let message = format!("there is another case `{}`", case.name);
            reader.wrong(&format!("{pointer}/name"), message, "a report tells cases apart by their names");
        }
        cases.push(reader.case(&pointer, case, &written.defaults));
    }
    if reader.mistakes.is_empty() { Ok(Suite { agent: written.agent, cases }) } else { Err(reader.mistakes) }
}

/// Looks at what a schema cannot say.
struct Reader<'t> {
    tree: &'t Node,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn wrong(&mut self, pointer: &str, message: String, help: &str) {
        self.mistakes.push(Mistake::new(self.tree.nearest(pointer).span, message).with_help(help));
    }

    fn case(&mut self, pointer: &str, case: WrittenCase, defaults: &Settings) -> Case {
        let own = case.settings;
        let repeat = own.repeat.or(defaults.repeat).unwrap_or(1);
        let share = own.passes.or(defaults.passes).unwrap_or(1.0).clamp(0.0, 1.0);
        let place =
            if own.time_limit.is_some() { format!("{pointer}/timeLimit") } else { "/defaults/timeLimit".into() };
        let time_limit = own.time_limit.as_ref().or(defaults.time_limit.as_ref());
        let time_limit = time_limit.map_or(TIME_LIMIT, |text| {
            parse_duration(text).filter(|time| !time.is_zero()).unwrap_or_else(|| {
                self.wrong(&place, format!("`{text}` is no time"), "write it as in `30s` or `5m`");
                TIME_LIMIT
            })
        });
        let mut graders = Vec::with_capacity(case.expect.len() + 1);
        for (at, expectation) in case.expect.into_iter().enumerate() {
            graders.extend(self.grader(&format!("{pointer}/expect/{at}"), expectation));
        }
        if !graders.iter().any(|grader| matches!(grader, Grader::Outcome { .. })) {
            graders.insert(0, Grader::Outcome { is: "completed".to_owned(), code: None });
        }
        Case {
            name: case.name,
            goal: own.goal.or_else(|| defaults.goal.clone()).unwrap_or_default(),
            input: case.input,
            repeat,
            needed: needed(repeat, share),
            time_limit,
            graders,
        }
    }

    fn grader(&mut self, pointer: &str, says: Expectation) -> Option<Grader> {
        let said = self.tree.at(pointer)?;
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| said.get(kind).is_some()).collect();
        let [kind] = kinds.as_slice() else {
            let message = "an expectation says one of `exact`, `schema`, `cel`, `calls`, `outcome` and `atMost`";
            self.wrong(pointer, message.to_owned(), "make each an item of its own");
            return None;
        };
        let strays = COMPANIONS.into_iter().filter(|(name, of)| said.get(name).is_some() && !of.contains(kind));
        for (name, of) in strays {
            let message = format!("`{name}` says nothing beside `{kind}`");
            self.wrong(&format!("{pointer}/{name}"), message, &format!("it belongs to `{}`", of.join("` and `")));
        }
        let Expectation { exact, schema, at, cel, calls, in_order, only, outcome, code, at_most } = says;
        if let Some(source) = cel {
            return self.condition(&format!("{pointer}/cel"), &source);
        }
        if let Some(schema) = &schema
            && let Some(why) = mesh_agents::definition::no_schema(schema)
        {
            self.wrong(&format!("{pointer}/schema"), format!("`schema` is no JSON Schema: {why}"), "mend it");
        }
        exact
            .map(|is| Grader::Exact { at: at.clone(), is })
            .or_else(|| schema.map(|schema| Grader::Schema { at, schema }))
            .or_else(|| calls.map(|calls| Grader::Calls { expected: expected(calls), in_order, only }))
            .or_else(|| outcome.map(|is| Grader::Outcome { is, code }))
            .or_else(|| at_most.map(Grader::AtMost))
    }

    fn condition(&mut self, pointer: &str, source: &str) -> Option<Grader> {
        match Condition::compile(source, &VARIABLES) {
            Ok(condition) => Some(Grader::Cel(condition)),
            Err(errors) => {
                for error in errors {
                    let help = error.help().unwrap_or_else(|| "a condition is one CEL expression".to_owned());
                    self.wrong(pointer, error.to_string(), &help);
                }
                None
            }
        }
    }
}

/// A bare name is at least one call.
fn expected(calls: Vec<Value>) -> Vec<Expected> {
    let read = |call| match call {
        Value::String(skill) => Some(Expected { skill, with: None, times: None, at_least: None, at_most: None }),
        other => serde_json::from_value(other).ok(),
    };
    calls.into_iter().filter_map(read).collect()
}

/// How many of `repeat` trials are this share, rounded up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a hundred")]
fn needed(repeat: u32, share: f64) -> u32 {
    // A share such as 0.7 is a little more than it says once it is multiplied.
    (f64::from(repeat) * share - 1e-9).ceil().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_read() {
        let suite = parse(include_str!("../../../../../../config/evals/triage.yaml"), "triage.yaml").unwrap();
        let first = suite.cases.first().unwrap();
        assert_eq!((suite.agent.as_str(), suite.cases.len(), first.repeat, first.needed), ("triage", 2, 3, 3));
        assert_eq!((first.goal.as_str(), first.time_limit), ("Where does this letter go?", Duration::from_secs(60)));
    }

    #[test]
    fn every_mistake_is_told_with_its_place_and_a_hint() {
        let case = |expect: &str| format!("agent: a\ncases:\n  - name: x\n    expect:\n      - {expect}\n");
        for (source, part) in [
            ("agent: a\ncase: []\n".to_owned(), "f.yaml:2:1: `case` is not known here (did you mean `cases`?)"),
            (case("{ excat: 1 }"), "f.yaml:5:11: `excat` is not known here (did you mean `exact`?)"),
            (case("{ exact: 1, cel: 'true' }"), "f.yaml:5:9: an expectation says one of"),
            (case("{ cel: outptu == 1 }"), "f.yaml:5:16: `outptu` is not known here (did you mean `output`?"),
            (case("{ cel: 'true', at: /a }"), "`at` says nothing beside `cel` (it belongs to `exact` and `schema`)"),
            (case("{ schema: { type: strnig } }"), "`schema` is no JSON Schema"),
            (case("{ outcome: finished }"), "`outcome` cannot be `finished`"),
            ("agent: a\ncases: [{name: x, timeLimit: soon, expect: [{exact: 1}]}]\n".to_owned(), "`soon` is no time"),
            (
                "agent: a\ncases: [{name: x, expect: [{exact: 1}]}, {name: x, expect: [{exact: 1}]}]\n".to_owned(),
                "another case `x`",
            ),
        ] {
            let told: Vec<String> = parse(&source, "f.yaml").unwrap_err().iter().map(ToString::to_string).collect();
            assert!(told.join("\n").contains(part), "{source}\n{told:?}");
        }
    }

    #[test]
    fn a_share_of_trials_is_rounded_up() {
        for (repeat, share, many) in [(1, 1.0, 1), (10, 0.7, 7), (3, 0.5, 2), (10, 0.91, 10), (4, 0.0, 0)] {
            assert_eq!(needed(repeat, share), many, "{repeat} {share}");
        }
    }
}
