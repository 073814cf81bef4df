//! The product's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    saas_spine::serve::main(&app::PRODUCT)
}
