//! `mesh`: the one binary.

use std::process::ExitCode;

/// A step of a run makes hundreds of small pieces that live for microseconds: with this allocator it takes
/// about a sixth less CPU time than with the system's (`benches/benches/workflow.rs`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    if let Some(Err(wrong)) = std::env::var("MESH_FAILPOINT").ok().map(|text| mesh_kernel::failpoint::arm(&text)) {
        eprintln!("error: {wrong}");
        return ExitCode::from(2);
    }
    mesh::cli::main()
}
