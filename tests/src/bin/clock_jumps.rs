//! `clock_jumps MESH LIBFAKETIME`: the wall clock of a node under load jumps by hours, to and fro.
//!
//! Nothing is lost or doubled, times in a history never run backwards, and what waits for an instant goes on
//! once the clock is there. The library stands before the node's calls for the time and reads how far off it
//! shall be from a file.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use mesh_tests::{Client, Node, NodeOptions, Recorder, Storm, Work};

/// Steps that wait for an instant are none of this load's: a clock that is set back by hours keeps those
/// waiting for hours, as it must.
const WORK: Work = Work {
    name: "jumps",
    definition: r"
name: jumps
inputSchema:
  type: object
  required: [url, name]
  properties: { url: { type: string }, name: { type: string } }
concurrency: { limit: 20 }
steps:
  - id: first
    skill: http.post
    with: { url: '${ input.url }', body: { name: '${ input.name }-first' } }
  - id: fan
    needs: [first]
    forEach: { items: [1, 2, 3], parallel: 2, skill: http.post }
    with: { url: '${ input.url }', body: { name: '${ input.name }-fan' } }
  - id: last
    needs: [fan]
    skill: http.post
    with: { url: '${ input.url }', body: { name: '${ input.name }-last' } }
",
    pad_bytes: 0,
    submitters: 4,
    rest: Duration::from_millis(40),
};

const WAITS: &str = "name: waits\nsteps:\n  - { id: wait, timer: 1h }\n";

/// Offsets of the clock, one after the other. **Units**: seconds.
const JUMPS: [i64; 8] = [7_200, 0, -7_200, 86_400, -86_400, 3, -3, 0];

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(mesh), Some(library)) = (arguments.next(), arguments.next()) else {
        bail!("the binary and the library are expected: clock_jumps MESH LIBFAKETIME")
    };
    let folder = tempfile::tempdir()?;
    let offset = folder.path().join("offset");
    jump(&offset, 0)?;
    let mut options = NodeOptions::new(&mesh.to_string_lossy(), &folder.path().join("data"));
    for (name, value) in [
        ("LD_PRELOAD", library.as_path()),
        ("FAKETIME_TIMESTAMP_FILE", offset.as_path()),
        ("FAKETIME_NO_CACHE", Path::new("1")),
        ("DONT_FAKE_MONOTONIC", Path::new("1")),
    ] {
        options.settings.push((name.to_owned(), value.to_string_lossy().into_owned()));
    }
    let mut node = Node::start(&options)?;
    let recorder = Recorder::start(Duration::from_millis(15)).await?;
    let mut client = node.client().await?;
    let storm = Storm::start(WORK, client.clone(), recorder).await?;
    for seconds in JUMPS {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = storm.acknowledged();
        jump(&offset, seconds)?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let since = storm.acknowledged() - before;
        println!("the clock is off by {seconds} s: {since} runs were taken in 2 s");
        ensure!(since > 0, "nothing is taken any more");
    }
    // What waits for an instant goes on when the clock comes there, and not before.
    client.publish(WAITS).await?;
    let run = client.submit("waits", "one", &serde_json::json!({})).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(client.run(&run).await?.end_time.is_none(), "an hour was over too soon");
    jump(&offset, 3_700)?;
    client.wait_for_end(&run, Duration::from_secs(20)).await.context("an hour was not over")?;
    jump(&offset, 0)?;

    let runs = storm.settle_in_any_time().await?;
    never_backwards(&mut client).await?;
    node.terminate()?;
    println!("{runs} runs while the clock jumped {} times", JUMPS.len() + 2);
    Ok(())
}

/// Sets how far the node's wall clock is off.
fn jump(offset: &Path, seconds: i64) -> Result<()> {
    let whole = offset.with_extension("new");
    fs::write(&whole, format!("{seconds:+}\n"))?;
    Ok(fs::rename(&whole, offset)?)
}

/// The times in the histories of the newest runs.
async fn never_backwards(client: &mut Client) -> Result<()> {
    let request = mesh_proto::v1::ListRunsRequest { page_size: 500, ..Default::default() };
    for run in client.workflows.list_runs(request).await?.into_inner().runs {
        let mut last = (i64::MIN, 0);
        for event in client.history(&run.run_id).await? {
            let at = event.occur_time.context("no time")?;
            ensure!((at.seconds, at.nanos) >= last, "`{}` goes back in time at {}", run.run_id, event.version);
            last = (at.seconds, at.nanos);
        }
    }
    Ok(())
}
