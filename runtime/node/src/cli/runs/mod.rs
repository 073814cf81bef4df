//! `mesh runs`: submit, watch and steer runs.

mod filter;
mod history;
mod list;
pub(crate) mod show;
mod steer;
mod submit;
mod watch;

use clap::Subcommand;

pub(crate) use submit::{InputArgs, Marks, labels, name_and_version};
pub(crate) use watch::{end_of, ended, is_final, until_end};

use super::{Failure, context::Context};

/// What can be done with runs.
#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// List runs, the newest first
    List(list::List),
    /// Show a run: its steps, what it waits for, what came of it
    Get(show::Get),
    /// Submit a run of a published definition
    Submit(submit::Submit),
    /// Follow the events of one run, or of all that match
    Watch(watch::Watch),
    /// Give a run a signal that a step waits for, or will wait for
    Signal(steer::Signal),
    /// Let a run begin nothing new
    Pause(steer::Because),
    /// Let a paused run go on
    Resume(steer::Steer),
    /// Cancel a run
    Cancel(steer::Because),
    /// Take a failed run back to running
    Retry(steer::Retry),
    /// Show what happened to a run, as a timeline
    History(history::History),
}

pub(crate) async fn dispatch(command: Runs, context: Context) -> Result<(), Failure> {
    match command {
        Runs::List(args) => list::list(args, context).await,
        Runs::Get(args) => show::get(args, context).await,
        Runs::Submit(args) => submit::submit(args, context).await,
        Runs::Watch(args) => watch::watch(args, context).await,
        Runs::Signal(args) => steer::signal(args, context).await,
        Runs::Pause(args) => steer::pause(args, context).await,
        Runs::Resume(args) => steer::resume(args, context).await,
        Runs::Cancel(args) => steer::cancel(args, context).await,
        Runs::Retry(args) => steer::retry(args, context).await,
        Runs::History(args) => history::history(args, context).await,
    }
}
