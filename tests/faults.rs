//! A node that stands still for a while, and a folder that two nodes want.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mesh_tests::{Node, NodeOptions, Recorder, Storm, Work};

const WORK: Work = Work {
    name: "frozen",
    definition: r"
name: frozen
inputSchema:
  type: object
  required: [url, name]
  properties: { url: { type: string }, name: { type: string } }
steps:
  - id: first
    skill: http.post
    timeout: 1s
    retry: { maxAttempts: 5, initialBackoff: 100ms }
    with: { url: '${ input.url }', body: { name: '${ input.name }-first' } }
  - id: rest
    needs: [first]
    timer: { duration: 1s }
  - id: fan
    needs: [rest]
    forEach: { items: [1, 2, 3], parallel: 3, skill: http.post }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_frozen_past_every_deadline_goes_on_and_loses_nothing() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    // Shorter than the frost: the deadline of a command, the patience with a node that is stuck.
    let settings = [("MESH_ACTORS_COMMAND_TIMEOUT", "1s"), ("MESH_ACTORS_ABORT_AFTER", "2s")];
    options.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut node = Node::start(&options)?;
    let recorder = Recorder::start(Duration::from_millis(15)).await?;
    let storm = Storm::start(WORK, node.client().await?, recorder.clone()).await?;
    for _ in 0..3 {
        let began = Instant::now();
        while recorder.open() == 0 || storm.unanswered() == 0 {
            ensure!(began.elapsed() < Duration::from_secs(60), "nothing is under way");
            tokio::task::yield_now().await;
        }
        node.signal("STOP")?;
        tokio::time::sleep(Duration::from_secs(4)).await;
        node.signal("CONT")?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    ensure!(storm.settle().await? > 10, "hardly anything was submitted");
    node.terminate().context("it has not lived through it")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_on_the_same_folder_is_refused_and_told_who_the_first_is() -> Result<()> {
    let (data, log) = (tempfile::tempdir()?, tempfile::NamedTempFile::new()?);
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    let node = Node::start(&options)?;
    options.stderr = Some(log.path().to_path_buf());
    ensure!(Node::start(&options).is_err(), "two nodes have one folder");
    let said = fs::read_to_string(log.path())?;
    ensure!(said.contains(&node.pid().to_string()), "the first node is not named: {said}");
    let mut client = node.client().await?;
    client.publish("name: a\nsteps: [{ id: a, skill: text.echo, with: { text: b } }]\n").await?;
    Ok(())
}
