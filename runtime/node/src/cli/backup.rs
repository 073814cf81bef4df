//! `mesh backup`, `mesh restore`, `mesh resume-node`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use mesh_journal::{EmbeddedJournal, FolderStore, Options};
use mesh_skills::product::http::Ask;
use serde_json::json;

use super::{Failure, connect, context::Context};
use crate::{
    backup::{self, BackUps, Taken, pause},
    config::Running,
    telemetry::bytes,
};

/// How long a backup may take.
const WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// What `mesh backup` takes.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// A new folder on the node's machine
    #[arg(value_name = "DIR")]
    to: PathBuf,
}

/// What `mesh restore` takes.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The folder that `mesh backup` wrote
    #[arg(value_name = "DIR")]
    from: PathBuf,
}

/// Through the node when one runs, else from its folder.
pub(super) async fn backup(args: Backup, context: Context) -> Result<(), Failure> {
    let to = std::path::absolute(&args.to)?;
    let running = context.data().running().ok().flatten();
    let taken = match EmbeddedJournal::open(&context.global.data.join("journal"), Options::default()) {
        _ if !context.global.data.join("journal").is_dir() => return Err(Failure::NoNode(context.global.data.clone())),
        Ok(journal) => {
            let bodies = Arc::new(FolderStore::open(&context.global.data.join("content"), 0));
            let backups = BackUps::new(journal, bodies, context.global.data.clone());
            backups.take(&to, context.now()).await.map_err(failed)?
        }
        Err(mesh_journal::OpenError::Locked { .. }) => {
            let running = running.ok_or_else(|| Failure::NoNode(context.global.data.clone()))?;
            ask(&running, &to, &context).await?
        }
        Err(error) => return Err(failed(error)),
    };
    say(&taken, &context, &format!("backup in {}", to.display()))
}

fn failed(error: impl std::error::Error) -> Failure {
    Failure::Failed(error.to_string())
}

async fn ask(running: &Running, to: &std::path::Path, context: &Context) -> Result<Taken, Failure> {
    let unreachable = |cause: String| Failure::Unreachable { address: running.http.clone(), cause };
    let mut ask = Ask::post_json(format!("{}/backup", running.http), &json!({ "to": to }));
    ask.within = WITHIN;
    let key = connect::key(&context.global)?;
    let answer = ask.with("authorization", format!("Bearer {key}")).send().await;
    let answer = answer.map_err(|failure| unreachable(failure.to_string()))?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|error| unreachable(error.to_string())),
        401 | 403 => {
            Err(Failure::NotAllowed("a backup holds every tenant's data: a key with the role operator takes one"))
        }
        _ => {
            let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let why = told.get("error").and_then(|why| why.as_str()).unwrap_or("the node's log says why");
            Err(Failure::Failed(why.to_owned()))
        }
    }
}

/// Makes a data folder, whose node is paused.
pub(super) fn restore(args: &Restore, context: &Context) -> Result<(), Failure> {
    let data = &context.global.data;
    let taken = backup::restore(&args.from, data).map_err(failed)?;
    say(&taken, context, &format!("restored in {}", data.display()))?;
    context.note(
        "its node is paused, for two living copies would both send effects: it shows what there is and does nothing. \
         When the other copy is gone: `mesh resume-node`",
    )
}

/// Ends the pause of a restored folder.
pub(super) fn resume_node(context: &Context) -> Result<(), Failure> {
    let data = &context.global.data;
    let ended =
        pause::end(data).map_err(|source| Failure::File { path: data.join(pause::FILE), verb: "removed", source })?;
    if !ended {
        return context.note(format!("{} is not paused", data.display()));
    }
    context.note(format!("{} is no longer paused: the next start of its node goes on where it was", data.display()))
}

fn say(taken: &Taken, context: &Context, what: &str) -> Result<(), Failure> {
    if context.out.is_json() {
        let text = serde_json::to_string(taken).map_err(|error| Failure::Node(error.into()))?;
        return Ok(context.out.line(text)?);
    }
    let (bytes, files) = (bytes(taken.bytes), taken.files);
    Ok(context.out.line(format!("{what}: {bytes} in {files} files, as it was at {}", taken.at))?)
}
