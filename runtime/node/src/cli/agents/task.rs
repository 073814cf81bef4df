//! `mesh agents task | pause | resume | redirect | take-over | cancel`.

use clap::Args;
use mesh_proto::v1::{
    self,
    steer_task_request::{Action, Cancel, Pause, Redirect as Note, Resume as GoOn, TakeOver as Done},
};
use mesh_workflows::form::{to_value, value_to_json};
use serde_json::Value;

use super::pretty;
use crate::cli::{
    Failure, clients,
    connect::Link,
    context::{Context, fresh_request_id},
    output::{clean, instant, label, or_dash},
};

/// What `mesh agents task` takes.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The task
    #[arg(value_name = "TASK")]
    task: String,
}

/// What `mesh agents pause` and `mesh agents cancel` take.
#[derive(Debug, Args)]
pub(crate) struct Because {
    #[command(flatten)]
    of: Show,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// What `mesh agents resume` takes.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    of: Show,
    /// What it may spend beyond its budget, in tokens
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    tokens: u64,
    /// What it may spend beyond its budget, in millionths of the currency
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    cost: u64,
}

/// What `mesh agents redirect` takes.
#[derive(Debug, Args)]
pub(crate) struct Redirect {
    #[command(flatten)]
    of: Show,
    /// What it should mind
    #[arg(value_name = "NOTE")]
    note: String,
}

/// What `mesh agents take-over` takes.
#[derive(Debug, Args)]
pub(crate) struct TakeOver {
    #[command(flatten)]
    of: Show,
    /// What the task gives: JSON, or else a text
    #[arg(value_name = "OUTPUT")]
    gives: String,
}

pub(super) async fn show(args: Show, context: Context) -> Result<(), Failure> {
    let task = get(&context.link().await?, &args.task).await?.ok_or(Failure::Lacking("task"))?;
    print(&task, &context)
}

/// A task, as the node tells it.
pub(super) async fn get(link: &Link, task_id: &str) -> Result<Option<v1::Task>, Failure> {
    let request = v1::GetTaskRequest { task_id: task_id.to_owned() };
    Ok(clients::agents(link.clone()).get_task(request).await?.into_inner().task)
}

async fn steer(task: Show, action: Action, context: Context) -> Result<(), Failure> {
    let request = v1::SteerTaskRequest { task_id: task.task, action: Some(action), request_id: fresh_request_id() };
    let answer = clients::agents(context.link().await?).steer_task(request).await?.into_inner();
    let task = answer.task.ok_or(Failure::Lacking("task"))?;
    if context.out.is_json() {
        return context.out.json("Task", &task);
    }
    Ok(context.out.line(format!("{} is {}", task.task_id, state(&task)))?)
}

pub(super) async fn pause(args: Because, context: Context) -> Result<(), Failure> {
    steer(args.of, Action::Pause(Pause { reason: args.reason }), context).await
}

pub(super) async fn cancel(args: Because, context: Context) -> Result<(), Failure> {
    steer(args.of, Action::Cancel(Cancel { reason: args.reason }), context).await
}

pub(super) async fn resume(args: Resume, context: Context) -> Result<(), Failure> {
    steer(args.of, Action::Resume(GoOn { tokens: args.tokens, cost_micros: args.cost }), context).await
}

pub(super) async fn redirect(args: Redirect, context: Context) -> Result<(), Failure> {
    steer(args.of, Action::Redirect(Note { note: args.note }), context).await
}

pub(super) async fn take_over(args: TakeOver, context: Context) -> Result<(), Failure> {
    let output = serde_json::from_str(&args.gives).unwrap_or_else(|_| Value::String(args.gives.clone()));
    steer(args.of, Action::TakeOver(Done { output: Some(to_value(&output)) }), context).await
}

fn state(task: &v1::Task) -> String {
    label(task.state().as_str_name(), "TASK_STATE")
}

/// What it took, in one line.
pub(super) fn summary(task: &v1::Task) -> String {
    let spent = task.spent.unwrap_or_default();
    let tokens = spent.input_tokens + spent.output_tokens + spent.lost_tokens;
    let mut text = format!(
        "{}: {}, {} turns, {} tools, {tokens} tokens",
        task.task_id,
        state(task),
        spent.turns,
        spent.tool_calls
    );
    if spent.cost_micros > 0 {
        text.push_str(&format!(", cost {}.{:06}", spent.cost_micros / 1_000_000, spent.cost_micros % 1_000_000));
    }
    if task.corrections > 0 {
        text.push_str(&format!(", corrected {} times", task.corrections));
    }
    if spent.model_calls > spent.turns {
        text.push_str(&format!(", {} attempts without an answer", spent.model_calls - spent.turns));
    }
    text
}

/// That it waits for a person, and what this one can do.
pub(super) fn waits(task: &v1::Task) -> String {
    let (id, what) = (&task.task_id, clean(&task.waiting));
    format!(
        "{id} waits for {what}\n  mesh agents redirect {id} NOTE | resume {id} | take-over {id} OUTPUT | cancel {id}"
    )
}

fn print(task: &v1::Task, context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        return context.out.json("Task", task);
    }
    let version = if task.version == 0 { String::new() } else { format!("@{}", task.version) };
    let mut lines = vec![
        summary(task),
        format!("agent     {}{version}", clean(&task.agent)),
        format!("run       {}, step {}", or_dash(&task.run_id), or_dash(&task.step_id)),
        format!("assigned  {} for {}", instant(task.assign_time), clean(or_dash(&task.submitted_by))),
        format!("answered  by {}", clean(or_dash(&task.answered_by))),
    ];
    if !task.waiting.is_empty() {
        lines.push(format!("waits     for {}", clean(&task.waiting)));
    }
    if !task.taint.is_empty() {
        lines.push(format!("tainted   by {}", clean(&task.taint.join(", "))));
    }
    if !task.goal.is_empty() {
        lines.push(format!("goal      {}", clean(&task.goal)));
    }
    lines.push(format!("input     {}", task.input.as_ref().map(value_to_json).unwrap_or_default()));
    lines.push(String::new());
    for said in &task.conversation {
        lines.extend(told(said));
    }
    match (&task.output, &task.failure) {
        (Some(output), _) => lines.push(format!("\ngave\n{}", pretty(&value_to_json(output)))),
        (_, Some(failure)) => lines.push(format!("\nfailed: {} ({})", clean(&failure.message), failure.code)),
        _ => {}
    }
    for line in lines {
        context.out.line(line)?;
    }
    Ok(())
}

fn told(said: &v1::TaskMessage) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (at, line) in said.text.lines().enumerate() {
        let who = if at == 0 { said.from.as_str() } else { "" };
        lines.push(format!("{who:<6} {}", clean(line)));
    }
    for call in &said.calls {
        lines.push(format!("{:<6} calls {} {}", said.from, clean(&call.tool), clean(&call.arguments)));
    }
    lines
}
