//! A part of the campaign that `.ci/run malformed` runs with a million inputs.

use anyhow::{Result, ensure};
use mesh_tests::Malformed;

const COUNT: u64 = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_thousand_malformed_inputs_change_nothing_and_get_a_clear_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wanted = Malformed { seed: 7, first: 0, count: COUNT };
    let judged = wanted.run(env!("CARGO_BIN_EXE_mesh"), &folder.path().join("data")).await?;
    println!("{judged:?}");
    let of =
        |start: &str| -> u64 { judged.ends.iter().filter(|(end, _)| end.starts_with(start)).map(|(_, n)| n).sum() };
    ensure!(of("") == COUNT, "{judged:?}");
    // Were most of them answered, or refused at the door, this would say little.
    ensure!(of("Answered") < COUNT / 3 && of("Refused(Unauthenticated)") < COUNT / 20, "{judged:?}");
    ensure!(of("Refused(InvalidArgument)") > COUNT / 4 && of("RefusedByHttp") > COUNT / 30, "{judged:?}");
    Ok(())
}
