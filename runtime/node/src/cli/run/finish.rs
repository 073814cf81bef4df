//! What was made, or why it was not.

use std::time::Duration;

use mesh_proto::v1::{self, RunState};
use serde_json::json;

use super::progress::Progress;
use crate::cli::{
    Failure, clients,
    connect::Link,
    context::Context,
    output::{Tone, clean, span},
    runs,
};

/// How long a served product may take until it answers again after a restart of the node.
const UP_WITHIN: Duration = Duration::from_secs(60);
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// A run that has ended, and its product when there is one.
pub(super) struct Finished {
    progress: Progress,
    name: String,
    product: Option<v1::Product>,
}

/// A ready log-in in one line.
pub(crate) fn login_text(login: &v1::ProductLogin) -> String {
    let role = if login.role.is_empty() { String::new() } else { format!(" ({})", login.role) };
    clean(&format!("{}: {} / {}{role}", login.tenant, login.email, login.password))
}

/// Reads the product of a run that has ended; waits until it answers, when the run succeeded. `near`: its
/// address can be tried from here.
pub(super) async fn read(link: Link, name: &str, progress: Progress, near: bool) -> Result<Finished, Failure> {
    let mut client = clients::blueprints(link);
    let made = progress.run().state() == RunState::Succeeded;
    let mut waited = Duration::ZERO;
    loop {
        let request = v1::GetBlueprintRequest { name: name.to_owned() };
        let blueprint = client.get_blueprint(request).await?.into_inner().blueprint;
        let product = blueprint.and_then(|blueprint| blueprint.product);
        let is_up = match &product {
            // The product hears of its run's end, and may not have yet.
            Some(product) if product.run_id != progress.run().run_id => false,
            // After a kill the list may still name the address of a process that is gone.
            Some(product) if product.state == "running" => !near || answers(&product.url).await,
            _ => false,
        };
        if is_up || !made || waited >= UP_WITHIN {
            return Ok(Finished { progress, name: name.to_owned(), product });
        }
        tokio::time::sleep(ASKED_EVERY).await;
        waited += ASKED_EVERY;
    }
}

/// Whether somebody listens at the address.
async fn answers(url: &str) -> bool {
    let Some(host) = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()) else { return false };
    let tried = tokio::time::timeout(Duration::from_secs(1), tokio::net::TcpStream::connect(host));
    matches!(tried.await, Ok(Ok(_)))
}

impl Finished {
    /// Says what was made. `stays`: it is served by this process until Ctrl-C.
    pub(super) fn told(&self, context: &Context, stays: bool) -> Result<(), Failure> {
        if self.progress.run().state() != RunState::Succeeded {
            return self.failure_told(context);
        }
        if let Some(line) = self.progress.resumed() {
            context.note(line)?;
        }
        if context.out.is_json() {
            return Ok(context.out.line(self.json().to_string())?);
        }
        for line in self.lines(context, stays) {
            context.out.line(line)?;
        }
        Ok(())
    }

    /// Whether it succeeded; else the failure that the exit code tells.
    pub(super) fn succeeded(&self) -> Result<(), Failure> {
        runs::ended(self.progress.run())?;
        match &self.product {
            Some(product) if !product.url.is_empty() => Ok(()),
            _ => Err(Failure::Failed(format!(
                "{} was made and does not answer: `mesh logs {}` and `mesh blueprints get {}` say more",
                self.name,
                self.progress.run().run_id,
                self.name
            ))),
        }
    }

    /// The one line that programs read.
    fn json(&self) -> serde_json::Value {
        let run = self.progress.run();
        let product = self.product.clone().unwrap_or_default();
        let tests = product.tests.unwrap_or_default();
        json!({
            "run": run.run_id,
            "trace_id": run.trace_id,
            "product": {
                "url": product.url,
                "repository": product.repository,
                "commit": product.commit,
                "tests": { "passed": tests.passed, "failed": tests.failed },
            },
        })
    }

    fn lines(&self, context: &Context, stays: bool) -> Vec<String> {
        let run = self.progress.run();
        let product = self.product.clone().unwrap_or_default();
        let tests = product.tests.unwrap_or_default();
        let paint = context.out.paint;
        let took = span(run.create_time, run.end_time, context.now());
        let name = clean(&self.name);
        let done = if self.progress.all_was_done() {
            format!("{name} is served again")
        } else {
            format!("{name} is made, in {took}")
        };
        let mut lines = vec![
            String::new(),
            paint.tone(Tone::Good, &done),
            String::new(),
            format!("  address     {}", paint.tone(Tone::Strong, &clean(&product.url))),
        ];
        lines.extend(product.logins.iter().map(|login| format!("  log-in      {}", login_text(login))));
        lines.extend([
            format!("  repository  {}", clean(&product.repository)),
            format!("  commit      {}", clean(&product.commit)),
            format!("  tests       {} passed, {} failed", tests.passed, tests.failed),
        ]);
        lines.extend(self.next(&product, stays));
        lines
    }

    /// What to try next.
    fn next(&self, product: &v1::Product, stays: bool) -> Vec<String> {
        let run = &self.progress.run().run_id;
        let mut lines = vec![
            String::new(),
            "try next:".to_owned(),
            format!("  git clone {} {}", clean(&product.repository), clean(&self.name)),
            format!("  mesh runs history {run}"),
            "  edit the blueprint (add a field or a rule) and run the same command again".to_owned(),
        ];
        if stays {
            lines.push("  kill this process, and run the same command again: it goes on where it was".to_owned());
            lines.push("\nserving it; Ctrl-C stops".to_owned());
        }
        lines
    }

    fn failure_told(&self, context: &Context) -> Result<(), Failure> {
        let run = self.progress.run();
        let step = run.failure.as_ref().map(|failure| failure.step_id.as_str()).unwrap_or_default();
        let Some(said) = self.progress.said(step).filter(|said| !said.tail.is_empty()) else { return Ok(()) };
        context.note(format!("\nthe last lines of {}:", clean(step)))?;
        for line in &said.tail {
            context.note(format!("  {}", clean(line)))?;
        }
        context.note(format!("all of it: mesh logs {} {}", run.run_id, clean(step)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::progress::tests::run;
    use super::*;

    #[test]
    fn the_last_line_has_the_form_that_programs_read() {
        let mut made = run(9, RunState::Succeeded, vec![]);
        made.trace_id = "trace-1".into();
        let product = v1::Product {
            url: "http://127.0.0.1:9".into(),
            repository: "/r".into(),
            commit: "abc".into(),
            tests: Some(v1::ProductTests { passed: 12, failed: 0 }),
            ..Default::default()
        };
        let finished =
            Finished { progress: Progress::new(made, false, 0), name: "shop".into(), product: Some(product) };
        assert!(finished.succeeded().is_ok());
        assert_eq!(
            finished.json().to_string(),
            r#"{"product":{"commit":"abc","repository":"/r","tests":{"failed":0,"passed":12},"url":"http://127.0.0.1:9"},"run":"run-1","trace_id":"trace-1"}"#
        );
    }

    #[test]
    fn a_product_that_does_not_answer_is_a_failure() {
        let made = run(9, RunState::Succeeded, vec![]);
        let finished = Finished { progress: Progress::new(made, false, 0), name: "shop".into(), product: None };
        assert!(finished.succeeded().unwrap_err().to_string().contains("does not answer"));
        let failed = run(9, RunState::Failed, vec![]);
        let finished = Finished { progress: Progress::new(failed, false, 0), name: "shop".into(), product: None };
        assert_eq!(finished.succeeded().unwrap_err().exit(), 1);
    }
}
