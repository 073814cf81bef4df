//! `malformed MESH [--seed N] [--first N] [--count N]`: malformed inputs against a running node, a million
//! when nothing else is said.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use mesh_tests::Malformed;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mesh = arguments.next().context("the binary is expected: malformed MESH [--seed N] [--first N] [--count N]")?;
    let mut wanted = Malformed { seed: 1, first: 0, count: 1_000_000 };
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        let value = value.with_context(|| format!("a number is expected after `{name}`"))?;
        match name.as_str() {
            "--seed" => wanted.seed = value,
            "--first" => wanted.first = value,
            "--count" => wanted.count = value,
            other => bail!("`{other}` is unknown: --seed, --first and --count are known"),
        }
    }
    println!("seed {}, inputs {} to {}", wanted.seed, wanted.first, wanted.first + wanted.count);
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    let judged = wanted.run(&mesh, &folder.path().join("data")).await?;
    for (end, count) in &judged.ends {
        println!("{count:>9}  {end}");
    }
    println!("resident memory of the node after each tenth, KiB: {:?}", judged.resident);
    println!(
        "{} inputs in {:.0} s: nothing was changed, nothing panicked",
        wanted.count,
        began.elapsed().as_secs_f32()
    );
    Ok(())
}
