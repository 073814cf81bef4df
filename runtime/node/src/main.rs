//! `mesh`: the one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh::cli::main()
}
