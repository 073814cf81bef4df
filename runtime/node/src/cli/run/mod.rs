//! `mesh run`: from a blueprint to a product that answers, in one command.
//!
//! Starts a node when none is running on the data folder, applies the blueprint over gRPC like anyone
//! else, shows how far it is, and serves the product until Ctrl-C. The same command again goes on
//! where it was.

pub(crate) mod finish;
mod host;
mod intent;
mod live;
mod plain;
mod progress;
mod screen;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use mesh_proto::v1::{self, ApplyOutcome};
use tonic::Code;

use self::{finish::Finished, host::Host, progress::Progress};
use super::{
    Failure, blueprints, clients,
    connect::Link,
    context::{Context, fresh_request_id},
    settings::Given,
    signals::Stop,
};

/// What `mesh run` takes.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The blueprint
    #[arg(value_name = "FILE", required_unless_present = "intent", conflicts_with = "intent")]
    file: Option<PathBuf>,
    /// Draft a blueprint from these words with a model, show it, and go on when you say so
    #[arg(long, value_name = "TEXT")]
    intent: Option<String>,
    /// Stop everything that was started when the product is made; 0 when its build, tests and smoke test passed
    #[arg(long)]
    exit: bool,
    #[command(flatten)]
    given: Given,
}

/// How the foreground ended.
enum Ended {
    /// The run did.
    Run(Box<Finished>),
    /// A blueprint was drafted, and is not to be made now.
    Drafted,
    /// Somebody told us to stop first.
    Told,
}

pub(super) async fn run(args: Run, context: Context) -> Result<(), Failure> {
    let given = args.file.as_deref().map(blueprints::source).transpose()?;
    let mut stop = Stop::listen()?;
    let host = Host::find_or_start(&args.given, &context).await?;
    let made = tokio::select! {
        made = begin(given, &args, &host, &context) => made,
        () = stop.told() => Ok(Ended::Told),
    };
    let shown = match made {
        Ok(Ended::Run(finished)) => serve(*finished, &args, &host, &context, &mut stop).await,
        Ok(Ended::Drafted) => Ok(()),
        Ok(Ended::Told) => told(&context),
        Err(failure) => Err(failure),
    };
    // What failed first is what the caller hears.
    shown.and(host.stop(&mut stop).await)
}

fn told(context: &Context) -> Result<(), Failure> {
    context.note("\nstopped: the same command goes on where it was")
}

/// Makes what the file says, or what is drafted and agreed to.
async fn begin(
    given: Option<v1::BlueprintSource>,
    args: &Run,
    host: &Host,
    context: &Context,
) -> Result<Ended, Failure> {
    let source = match (given, &args.intent) {
        (None, Some(intent)) => intent::draft(intent, &host.link(), context).await?,
        (given, _) => given,
    };
    let Some(source) = source else { return Ok(Ended::Drafted) };
    make(source, host, context).await.map(|finished| Ended::Run(Box::new(finished)))
}

/// Applies the blueprint and follows its run to the end.
async fn make(source: v1::BlueprintSource, host: &Host, context: &Context) -> Result<Finished, Failure> {
    let link = host.link();
    let request = v1::ApplyBlueprintRequest {
        source: Some(source),
        request_id: fresh_request_id(),
        validate_only: false,
        etag: String::new(),
    };
    let answer = clients::blueprints(link.clone()).apply_blueprint(request).await?.into_inner();
    let outcome = answer.outcome();
    let blueprint = answer.blueprint.ok_or(Failure::Lacking("blueprint"))?;
    let run_id = answer.run.as_ref().map_or_else(|| blueprint.run_id.clone(), |run| run.run_id.clone());
    page(&host.page(&run_id, context).await?, context)?;
    let before = begun(link.clone(), &run_id).await?;
    let progress = Progress::new(before, outcome == ApplyOutcome::Retried, answer.steps_resumed);
    if let Some(line) = progress.resuming() {
        context.note(line)?;
    }
    let progress = live::until_end(link.clone(), &run_id, progress, context).await?;
    finish::read(link, &blueprint.name, progress, context.global.server.is_none()).await
}

/// The first line: where a person can look.
fn page(url: &str, context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        return Ok(context.out.line(serde_json::json!({ "page": url }).to_string())?);
    }
    Ok(context.out.line(url)?)
}

/// The run as it is when we begin to look. It is submitted because of the blueprint's event, so for a
/// moment there may be none.
async fn begun(link: Link, run_id: &str) -> Result<v1::Run, Failure> {
    const PATIENCE: u32 = 300;
    let mut client = clients::workflows(link);
    for _ in 0..PATIENCE {
        match client.get_run(v1::GetRunRequest { run_id: run_id.to_owned() }).await {
            Ok(answer) => return answer.into_inner().run.ok_or(Failure::Lacking("run")),
            Err(status) if status.code() == Code::NotFound => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(status) => return Err(status.into()),
        }
    }
    Err(Failure::Failed(format!("run {run_id} was asked for and did not begin: `mesh dead-letters list` may say why")))
}

/// Says what was made, and serves it until Ctrl-C.
async fn serve(finished: Finished, args: &Run, host: &Host, context: &Context, stop: &mut Stop) -> Result<(), Failure> {
    finished.told(context, host.is_ours() && !args.exit)?;
    finished.succeeded()?;
    if args.exit || !host.is_ours() {
        return Ok(());
    }
    tokio::select! {
        () = stop.told() => context.note("\nstopping: the same command serves it again"),
        why = host.gave_up() => Err(Failure::Node(anyhow::anyhow!("the node gave up: {why}; its log says what failed"))),
    }
}
