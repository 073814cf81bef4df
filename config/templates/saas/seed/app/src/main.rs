//! Nothing but the spine: what is built once for all products of a machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    saas_spine::serve::main(&app::PRODUCT)
}
