//! `mesh runs signal | pause | resume | cancel | retry`.

use clap::Args;
use mesh_proto::v1;
use serde_json::Value;

use super::{show, submit::to_value};
use crate::cli::{
    Failure, clients,
    context::{Context, fresh_request_id},
};

/// The run, and what keeps a request from being done twice or on something unseen.
#[derive(Debug, Args)]
pub(crate) struct Steer {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Act only when the run is still as it was seen
    #[arg(long, value_name = "ETAG", default_value = "", hide_default_value = true)]
    etag: String,
}

/// What `mesh runs signal` takes.
#[derive(Debug, Args)]
pub(crate) struct Signal {
    #[command(flatten)]
    steer: Steer,
    /// The signal's name
    #[arg(value_name = "NAME")]
    name: String,
    /// What it carries: JSON, or else a text
    #[arg(long, value_name = "VALUE")]
    payload: Option<String>,
}

/// What `mesh runs pause` and `mesh runs cancel` take.
#[derive(Debug, Args)]
pub(crate) struct Because {
    #[command(flatten)]
    steer: Steer,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// What `mesh runs retry` takes.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    steer: Steer,
    /// Do this step and all that need it again, instead of the step that failed
    #[arg(long, value_name = "STEP", default_value = "", hide_default_value = true)]
    from_step: String,
}

pub(super) async fn signal(args: Signal, context: Context) -> Result<(), Failure> {
    let payload = args.payload.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
    let request = v1::SignalRunRequest {
        run_id: args.steer.run,
        name: args.name,
        payload: payload.as_ref().and_then(to_value),
        request_id: fresh_request_id(),
        etag: args.steer.etag,
    };
    let answer = clients::workflows(context.link().await?).signal_run(request).await?.into_inner();
    shown(answer.run, &context)
}

pub(super) async fn pause(args: Because, context: Context) -> Result<(), Failure> {
    let request = v1::PauseRunRequest {
        run_id: args.steer.run,
        reason: args.reason,
        request_id: fresh_request_id(),
        etag: args.steer.etag,
    };
    let answer = clients::workflows(context.link().await?).pause_run(request).await?.into_inner();
    shown(answer.run, &context)
}

pub(super) async fn resume(args: Steer, context: Context) -> Result<(), Failure> {
    let request = v1::ResumeRunRequest { run_id: args.run, request_id: fresh_request_id(), etag: args.etag };
    let answer = clients::workflows(context.link().await?).resume_run(request).await?.into_inner();
    shown(answer.run, &context)
}

pub(super) async fn cancel(args: Because, context: Context) -> Result<(), Failure> {
    let request = v1::CancelRunRequest {
        run_id: args.steer.run,
        reason: args.reason,
        request_id: fresh_request_id(),
        etag: args.steer.etag,
    };
    let answer = clients::workflows(context.link().await?).cancel_run(request).await?.into_inner();
    shown(answer.run, &context)
}

pub(super) async fn retry(args: Retry, context: Context) -> Result<(), Failure> {
    let request = v1::RetryRunRequest {
        run_id: args.steer.run,
        from_step: args.from_step,
        request_id: fresh_request_id(),
        etag: args.steer.etag,
    };
    let answer = clients::workflows(context.link().await?).retry_run(request).await?.into_inner();
    shown(answer.run, &context)
}

fn shown(run: Option<v1::Run>, context: &Context) -> Result<(), Failure> {
    show::print(&run.ok_or(Failure::Lacking("run"))?, context)
}
