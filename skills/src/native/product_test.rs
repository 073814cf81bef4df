//! `product.test`: the product's own tests, counted.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use serde_json::{Value, json};

use super::{
    checkout::Checkout,
    product_build::{APP, Input, input},
    workshop::Workshop,
};
use crate::{
    contract::{Call, Effect, Failure, FailureClass, Manifest, Permission, Skill},
    product::{cargo::Tests, toolchain::Reach},
};

/// Tests that every product has; fewer mean that something is missing.
const TESTS_MIN: u64 = 10;

pub(super) struct ProductTest {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl ProductTest {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "product.test",
            "Runs the product's own tests: its rules, its pages, and the walk of tenant B over tenant A's records. \
             One that fails, or fewer than ten, fails the step.",
        )
        .takes(input())
        .gives(json!({
            "type": "object",
            "required": ["passed", "failed", "ignored", "names"],
            "properties": {
                "passed": {"type": "integer"},
                "failed": {"type": "integer"},
                "ignored": {"type": "integer"},
                "names": {"type": "array", "items": {"type": "string"}},
            },
        }))
        .effect(Effect::Idempotent)
        .within(std::time::Duration::from_secs(30 * 60))
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Resource, FailureClass::Timeout])
        .needs(&[Permission::Files, Permission::Processes, Permission::Loopback])
        .example_in_a_run(
            "a commit",
            json!({"product": "helpdesk", "commit": "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff"}),
            json!({"passed": 24, "failed": 0, "ignored": 0, "names": ["rules::a_closed_ticket_has_an_owner"]}),
        );
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let layout = self.workshop.layout(&call, &input.product)?;
        let _turn = self.workshop.turn(&call).await?;
        let checkout = Checkout::prepare(&self.workshop, &call, &layout, &input.commit).await?;
        let args = ["test", "--package", APP, "--offline", "--locked", "--no-fail-fast"];
        let cargo = checkout.cargo(&self.workshop);
        let ended = cargo.run(&args, Reach::Nothing, &call.log, &call.cancelled).await?;
        judge(ended.ran.tests, ended.success, &ended.errors)
    }
}

fn judge(tests: Tests, success: bool, errors: &str) -> Result<Value, Failure> {
    let counts = json!({"passed": tests.passed, "failed": tests.failed, "broken": tests.broken});
    if tests.failed > 0 {
        let names: Vec<&str> = tests.broken.iter().map(|broken| broken.name.as_str()).collect();
        let text = format!("{} of {} tests failed: {}", tests.failed, tests.failed + tests.passed, names.join(", "));
        return Err(Failure::validation("product.tests-failed", text).with(counts));
    }
    if !success {
        let text = format!("the tests could not be built or run:\n{errors}");
        return Err(Failure::validation("product.tests-broken", text).with(counts));
    }
    if tests.passed < TESTS_MIN {
        let text = format!("only {} tests ran; a product has at least {TESTS_MIN}", tests.passed);
        return Err(Failure::validation("product.tests-missing", text).with(counts));
    }
    Ok(json!({
        "passed": tests.passed,
        "failed": tests.failed,
        "ignored": tests.ignored,
        "names": tests.names,
    }))
}

impl Skill for ProductTest {
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

    #[test]
    fn a_product_passes_with_ten_tests_and_no_failed_one() {
        let tests = |passed, failed| {
            let mut tests = Tests::default();
            (tests.passed, tests.failed) = (passed, failed);
            tests
        };
        assert_eq!(judge(tests(10, 0), true, "").unwrap()["passed"], 10);
        for (passed, failed, success, code) in [
            (30, 1, false, "product.tests-failed"),
            (9, 0, true, "product.tests-missing"),
            (0, 0, false, "product.tests-broken"),
        ] {
            assert_eq!(judge(tests(passed, failed), success, "").unwrap_err().code, code);
        }
    }
}
