//! `mesh up`: a node in the foreground.

use clap::Args;
use serde_json::json;

use super::{Failure, context::Context, logging, settings::Given, signals::Stop};
use crate::{
    config::Config,
    node::{self, RunningNode},
};

/// What `mesh up` takes.
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    given: Given,
}

pub(super) async fn up(args: Up, context: Context) -> Result<(), Failure> {
    let layers = args.given.layers(&context.global)?;
    let config = Config::load(&layers)?;
    let traces = logging::to_stderr(&config, Given::otlp(&layers)?)?;
    let mut stop = Stop::listen()?;
    let node = node::start_traced(&config, traces).await.map_err(Failure::Node)?;
    ready(&node, &config, &context)?;
    let gave_up = tokio::select! {
        () = stop.told() => None,
        why = node.gave_up() => Some(why),
    };
    stopped(node, &mut stop).await?;
    match gave_up {
        None => Ok(()),
        Some(why) => Err(Failure::Node(anyhow::anyhow!("the node gave up: {why}; its log says what failed"))),
    }
}

/// Stops a node in order, unless it is told a second time.
pub(super) async fn stopped(node: RunningNode, stop: &mut Stop) -> Result<(), Failure> {
    tokio::select! {
        ended = node.stop() => ended.map_err(Failure::Node),
        () = stop.told() => Err(Failure::Failed(
            "told to stop twice: what was under way goes on at the next start".to_owned(),
        )),
    }
}

/// With JSON this is the one line, and it is printed when the node answers and not before.
fn ready(node: &RunningNode, config: &Config, context: &Context) -> Result<(), Failure> {
    let (grpc, http) = (format!("http://{}", node.grpc), format!("http://{}", node.http));
    let page = node.page_url("/").map_err(Failure::Node)?;
    if context.out.is_json() {
        let data = config.data.display().to_string();
        let line = json!({ "grpc": grpc, "http": http, "page": page, "data": data, "pid": std::process::id(), "paused": node.paused });
        return Ok(context.out.line(line.to_string())?);
    }
    context.out.line(format!("page  {page}"))?;
    context.out.line(format!("grpc  {grpc}"))?;
    context.out.line(format!("data  {}", config.data.display()))?;
    if node.paused {
        context.out.line("paused: restored from a backup; it shows what there is and does nothing")?;
        return Ok(context.out.line("when no other copy lives: stop it, `mesh resume-node`, and start it again")?);
    }
    Ok(context.out.line("ready; Ctrl-C stops it, and the next start goes on where it was")?)
}
