//! `mesh completions`: a script that a shell reads.

use std::io;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Failure, args::Cli};

/// What `mesh completions` takes.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn completions(args: Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mesh", &mut script);
    Ok(io::Write::write_all(&mut io::stdout().lock(), &script)?)
}
