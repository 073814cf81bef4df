//! `mesh runs get`: a run as a person reads it.

use clap::Args;
use mesh_kernel::envelope::Timestamp;
use mesh_proto::v1;

use crate::cli::{
    Failure, clients,
    context::Context,
    output::{Cell, Out, Table, age, clean, instant, label, or_dash, span, to_json, tone_of},
};

/// What `mesh runs get` takes.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
}

pub(super) async fn get(args: Get, context: Context) -> Result<(), Failure> {
    let request = v1::GetRunRequest { run_id: args.run };
    let answer = clients::workflows(context.link().await?).get_run(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("GetRunResponse", &answer);
    }
    let run = answer.run.ok_or(Failure::Lacking("run"))?;
    print(&run, &context)
}

/// Prints a run in the format that was asked for; also used by what changes one.
pub(crate) fn print(run: &v1::Run, context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        return context.out.json("Run", run);
    }
    for line in head(run, context.now()) {
        context.out.line(line)?;
    }
    steps(run, context)?;
    print_value(&context.out, "outputs", run.outputs.as_ref())?;
    if let Some(failure) = &run.failure {
        context.out.line("")?;
        context.out.line(failure_text(failure))?;
    }
    Ok(())
}

/// The name of a run's state.
pub(crate) fn state_label(run: &v1::Run) -> String {
    label(run.state().as_str_name(), "RUN_STATE")
}

/// The name of a step's state.
pub(crate) fn step_label(state: v1::StepState) -> String {
    label(state.as_str_name(), "STEP_STATE")
}

fn head(run: &v1::Run, now: Timestamp) -> Vec<String> {
    let mut lines = vec![
        format!("run         {}", run.run_id),
        format!("definition  {}@{}", run.definition, run.definition_version),
        format!("state       {}", state_label(run)),
        format!(
            "submitted   {} ({}) by {}",
            instant(run.create_time),
            age(run.create_time, now),
            or_dash(&run.submitted_by)
        ),
        format!("took        {}", span(run.start_time, run.end_time, now)),
        format!("trace       {}", run.trace_id),
    ];
    if !run.project_id.is_empty() {
        lines.push(format!("project     {}", run.project_id));
    }
    if let Some(parent) = &run.parent {
        lines.push(format!("asked by    {} step {}", parent.run_id, parent.step_id));
    }
    lines.iter().map(|line| clean(line)).collect()
}

fn steps(run: &v1::Run, context: &Context) -> Result<(), Failure> {
    let mut table = Table::new(&["STEP", "USES", "STATE", "ATTEMPTS", "TOOK", "WAITS FOR"]);
    for step in &run.steps {
        let state = step_label(step.state());
        table.row([
            step.step_id.as_str().into(),
            or_dash(if step.uses.is_empty() { &step.kind } else { &step.uses }).into(),
            Cell::toned(&state, tone_of(&state)),
            step.attempts.to_string().into(),
            span(step.start_time, step.end_time, context.now()).into(),
            step.waiting.as_ref().map(|waiting| waits_for(waiting, context.now())).unwrap_or_default().into(),
        ]);
    }
    if !table.is_empty() {
        context.out.line("")?;
        context.out.table(&table, "")?;
    }
    let own = run.waiting.iter().filter(|waiting| waiting.step_id.is_empty());
    for waiting in own {
        context.out.line(format!("the run waits for {}", clean(&waits_for(waiting, context.now()))))?;
    }
    Ok(())
}

/// What is waited for, since when, and who will wake it.
fn waits_for(waiting: &v1::RunWaiting, now: Timestamp) -> String {
    let mut text = waiting.kind.clone();
    if !waiting.on.is_empty() && waiting.kind != "skill" {
        text.push_str(&format!(" {}", waiting.on));
    }
    if waiting.since.is_some() {
        text.push_str(&format!(", since {}", age(waiting.since, now)));
    }
    if !waiting.waker.is_empty() {
        text.push_str(&format!("; woken by {}", waiting.waker));
    }
    text
}

/// Why a run failed, in one or two lines.
pub(crate) fn failure_text(failure: &v1::RunFailure) -> String {
    let at = if failure.step_id.is_empty() { String::new() } else { format!(" in step {}", failure.step_id) };
    let code = if failure.code.is_empty() { String::new() } else { format!(" ({})", failure.code) };
    let class = or_dash(&failure.failure_class);
    let message: Vec<String> = failure.message.lines().map(clean).collect();
    format!("failure{at}, {class}{code}: {}", message.join("\n  "))
}

fn print_value(out: &Out, name: &str, value: Option<&prost_types::Struct>) -> Result<(), Failure> {
    let Some(value) = value.filter(|value| !value.fields.is_empty()) else { return Ok(()) };
    // The canonical JSON of a run holds the value in plain JSON; a struct alone has no message name.
    let holder = v1::Run { outputs: Some(value.clone()), ..Default::default() };
    let json = to_json("Run", &holder)?;
    let pretty = serde_json::to_string_pretty(json.get("outputs").unwrap_or(&json)).unwrap_or_default();
    out.line(format!("\n{name}"))?;
    Ok(out.line(pretty)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_says_what_since_when_and_who_ends_it() {
        let waiting = v1::RunWaiting {
            kind: "approval".into(),
            on: "appr-1".into(),
            since: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            waker: "someone who decides it".into(),
            ..Default::default()
        };
        let now = Timestamp::from_unix_nanos(120_000_000_000);
        assert_eq!(waits_for(&waiting, now), "approval appr-1, since 2m ago; woken by someone who decides it");
    }

    #[test]
    fn a_failure_says_where_and_why() {
        let failure = v1::RunFailure {
            step_id: "build".into(),
            failure_class: "validation".into(),
            code: "BLD-0001".into(),
            message: "it does not compile\nerror[E0425]".into(),
            details: None,
        };
        assert_eq!(
            failure_text(&failure),
            "failure in step build, validation (BLD-0001): it does not compile\n  error[E0425]"
        );
    }
}
