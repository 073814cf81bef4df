//! `rule.test`: whether the tests that an agent wrote of a rule pass, and could fail.
//!
//! The rendered product is built as always, with what was written in its place: the tests must pass with the
//! function, and at least one must fail with a function that allows everything, and one with a function that
//! refuses everything. Rules that are not written yet allow everything meanwhile; nothing of this is committed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mesh_kernel::BoxFuture;
use serde_json::{Value, json};

use super::{
    checkout::Checkout,
    product_build::APP,
    rule_check::{Input, example, input},
    sentences::{Rendering, checked, file},
    workshop::Workshop,
};
use crate::{
    contract::{Call, Effect, Failure, FailureClass, Manifest, Permission, Skill},
    product::{cargo::Ended, toolchain::Reach},
    render::{Files, Sentence},
    rule::{Checked, Source, failed_tests, unbuilt},
};

/// How long building and running the tests of one rule may take.
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// The functions that decide nothing: their module, what they give, what that means.
const CARELESS: [(&str, bool, &str); 2] = [
    ("mesh_allows", true, "allows everything: one of them must give a record that breaks the rule"),
    ("mesh_refuses", false, "refuses everything: one of them must give a record that keeps the rule"),
];

pub(super) struct RuleTest {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl RuleTest {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "rule.test",
            "Builds the product with a rule that an agent wrote and runs the rule's tests; then again with functions \
             that allow and that refuse everything, which the tests must notice.",
        )
        .takes(input())
        .gives(json!({
            "type": "object",
            "required": ["passed"],
            "properties": {"passed": {"type": "integer"}},
        }))
        .effect(Effect::Idempotent)
        .within(Duration::from_secs(40 * 60))
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Resource, FailureClass::Timeout])
        .needs(&[Permission::Files, Permission::Processes, Permission::Network])
        .example_in_a_run("a rule with one test", example(), json!({"passed": 1}));
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let layout = self.workshop.layout(&call, &input.input.product)?;
        let rendering = Rendering::latest(&layout)?;
        let sentence = rendering.sentence(&input.input.rule)?;
        let checked = checked(&input.output, sentence)?;
        call.unless_cancelled(self.workshop.seeds.ensure(&call.log)).await?;
        let _turn = self.workshop.turn(&call).await?;

        let bench = Bench { skill: self, call: &call, rendering: &rendering, sentence };
        let written = bench.files(&input.output)?;
        let own = format!("{}::rules::{}::tests::", sentence.entity, sentence.rule);
        let examples = format!("{}::rules::tests::{}", sentence.entity, sentence.rule);
        let ended = bench.run(&layout, written.clone(), &[&own, &examples]).await?;
        passed(&ended, &own, &checked)?;

        let careless = bench.careless(&input.output, &checked, written)?;
        let ended = bench.run(&layout, careless, &[&format!("{}::rules::mesh_", sentence.entity)]).await?;
        noticed(&ended, &sentence.entity, &checked)?;
        call.log.note(format!("{} tests of `{}` passed, and can fail", checked.tests.len(), sentence.sentence));
        Ok(json!({"passed": checked.tests.len()}))
    }
}

/// A product on which one rule is tried.
struct Bench<'a> {
    skill: &'a RuleTest,
    call: &'a Call,
    rendering: &'a Rendering,
    sentence: &'a Sentence,
}

impl Bench<'_> {
    /// The file of this rule, and stand-ins for those that nobody has written yet.
    fn files(&self, source: &Source) -> Result<Files, Failure> {
        let kept = self.rendering.kept()?;
        let mut files = BTreeMap::new();
        for other in self.rendering.sentences.iter().filter(|other| !kept.contains_key(&other.path())) {
            files.insert(other.path(), file(other, &format!("{} {{ true }}", other.signature), "")?);
        }
        files.insert(self.sentence.path(), file(self.sentence, &source.function, &source.test)?);
        Ok(files)
    }

    /// The same with modules beside it in which the function decides nothing.
    fn careless(&self, source: &Source, checked: &Checked, mut files: Files) -> Result<Files, Failure> {
        let folder = format!("app/src/{}/rules", self.sentence.entity);
        let list = format!("{folder}.rs");
        let mut modules = std::fs::read(self.rendering.folder.join(&list))
            .map_err(|error| Failure::external("product.io", format!("`{list}`: {error}")))?;
        for (name, gives, _) in CARELESS {
            modules.extend_from_slice(format!("\n#[cfg(test)]\nmod {name};\n").as_bytes());
            let function = checked.always(source, gives);
            files.insert(format!("{folder}/{name}.rs"), file(self.sentence, &function, &source.test)?);
        }
        files.insert(list, modules);
        Ok(files)
    }

    async fn run(
        &self,
        layout: &crate::product::layout::Layout,
        files: Files,
        filters: &[&str],
    ) -> Result<Ended, Failure> {
        let (workshop, call) = (&self.skill.workshop, self.call);
        let checkout = Checkout::with(workshop, call, layout, &self.rendering.folder, files).await?;
        let mut cargo = checkout.cargo(workshop);
        cargo.limits.time = cargo.limits.time.min(WITHIN);
        let mut args = vec!["test", "--package", APP, "--lib", "--offline", "--locked", "--no-fail-fast", "--"];
        args.extend_from_slice(filters);
        cargo.run(&args, Reach::Nothing, &call.log, &call.cancelled).await.map_err(|failure| {
            if failure.code == "process.time" {
                let text = "building and running the tests takes too long: do function and tests come to an end?";
                return Failure::validation("rule.endless", text);
            }
            failure
        })
    }
}

/// Whether all tests of the rule passed.
fn passed(ended: &Ended, own: &str, checked: &Checked) -> Result<(), Failure> {
    let tests = &ended.ran.tests;
    if tests.failed > 0 {
        return Err(Failure::validation("rule.tests-failed", failed_tests(tests)));
    }
    if !ended.success {
        return Err(Failure::validation("rule.unbuilt", unbuilt(&ended.errors)));
    }
    let missing: Vec<&str> = checked
        .tests
        .iter()
        .filter(|name| !tests.names.contains(&format!("{own}{name}")))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::validation("rule.tests-missing", format!("these tests were not run: {}", missing.join(", "))))
}

/// Whether the tests notice a function that decides nothing.
fn noticed(ended: &Ended, entity: &str, checked: &Checked) -> Result<(), Failure> {
    let tests = &ended.ran.tests;
    if tests.passed + tests.failed == 0 {
        return Err(Failure::validation("rule.unbuilt", unbuilt(&ended.errors)));
    }
    let deaf: Vec<String> = CARELESS
        .iter()
        .filter(|(name, ..)| {
            let passed = |test: &String| tests.names.contains(&format!("{entity}::rules::{name}::tests::{test}"));
            checked.tests.iter().all(passed)
        })
        .map(|(.., why)| format!("the tests pass with a function that {why}"))
        .collect();
    if deaf.is_empty() { Ok(()) } else { Err(Failure::validation("rule.tests-deaf", deaf.join("\n"))) }
}

impl Skill for RuleTest {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::cargo::{Broken, Ran, Tests};

    fn ended(names: &[&str], failed: u64) -> Ended {
        let mut tests = Tests::default();
        (tests.passed, tests.failed) = (names.len() as u64, failed);
        tests.names = names.iter().map(|name| (*name).to_owned()).collect();
        Ended { success: failed == 0, ran: Ran { compiled: 1, tests }, errors: "error: no".to_owned() }
    }

    #[test]
    fn tests_that_no_careless_function_fails_are_told() {
        let source =
            Source { function: "fn holds() -> bool { true }".to_owned(), test: "#[test] fn a() {}".to_owned() };
        let checked = crate::rule::check(&source, "fn holds() -> bool").unwrap();
        let (allows, refuses) = ("book::rules::mesh_allows::tests::a", "book::rules::mesh_refuses::tests::a");
        let told = |names: &[&str], failed| noticed(&ended(names, failed), "book", &checked).map_err(|f| f.message);
        assert!(told(&[allows, refuses], 0).unwrap_err().contains("allows everything"));
        assert!(told(&[refuses], 1).unwrap_err().contains("refuses everything"));
        assert!(told(&[], 0).unwrap_err().contains("does not compile"));
        assert_eq!(told(&[], 2), Ok(()));
        let own = "book::rules::x::tests::";
        assert!(passed(&ended(&["book::rules::x::tests::a"], 0), own, &checked).is_ok());
        assert_eq!(passed(&ended(&[], 0), own, &checked).unwrap_err().code, "rule.tests-missing");
        assert_eq!(passed(&ended(&[], 1), own, &checked).unwrap_err().code, "rule.tests-failed");
    }

    /// The second answers are found by what the first ones were told: other words here, and they are not found.
    #[test]
    fn the_shipped_cassette_goes_on_from_what_is_told_here() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/agents/cassettes/product");
        let requests = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let requests = requests.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        let asked: String = requests.map(|path| std::fs::read_to_string(path).unwrap()).collect();

        let source =
            Source { function: "fn holds() -> bool { true }".to_owned(), test: "#[test] fn a() {}".to_owned() };
        let checked = crate::rule::check(&source, "fn holds() -> bool").unwrap();
        let deaf = noticed(&ended(&["book::rules::mesh_allows::tests::a"], 1), "book", &checked).unwrap_err();
        let mut tests = Tests::default();
        let broken = |name: &str, said: &str| Broken {
            name: format!("book::rules::x::tests::{name}"),
            said: format!("\nthread '{name}' (1) panicked at app/src/x.rs:1:1:\n{said}\n"),
        };
        tests.broken = vec![
            broken("a_wrong_check_digit_is_refused", "the check digit of 9783161448100 is wrong"),
            broken(
                "a_right_check_digit_is_taken_with_and_without_dashes",
                "the check digit of 978-3-16-148410-0 is right",
            ),
        ];
        for told in [deaf.message, failed_tests(&tests)] {
            let told = Value::from(format!("`rule.test` looked at your answer and says: {told}")).to_string();
            let told = told.trim_matches('"');
            assert!(asked.contains(told), "make the cassette again (config/agents/cassettes/README.md): {told}");
        }
    }
}
