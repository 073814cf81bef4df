//! The promise, under SIGKILL: nothing acknowledged is lost; a recorded outcome is never executed
//! again; an effect whose outcome is unknown is asked again with the same key.
//!
//! The truth is the outside recorder and the public history, never the node's own counters. Each
//! counted kill lands with at least one unanswered submission and one effect open at the recorder.
//!
//! `MESH_CRASH_KILLS` sets the number of kills (200 by default).

use std::time::Duration;

use anyhow::{Result, ensure};
use mesh_tests::{Chance, Node, NodeOptions, Recorder, Storm, Work};

const WORK: Work = Work {
    name: "crash",
    definition: r"
name: crash
title: Effects that an outside recorder sees
inputSchema:
  type: object
  required: [url, name]
  properties: { url: { type: string }, name: { type: string } }
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
    submitters: 6,
    rest: Duration::from_millis(25),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_lose_nothing_and_repeat_no_recorded_outcome() -> Result<()> {
    let kills: usize = std::env::var("MESH_CRASH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let seed = std::env::var("MESH_CRASH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x9e37_79b9_u64);
    println!("seed {seed}, {kills} kills");
    let mut chance = Chance::new(seed);

    let data = tempfile::tempdir()?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    let mut node = Node::start(&options)?;
    let recorder = Recorder::start(Duration::from_millis(15)).await?;
    let storm = Storm::start(WORK, node.client().await?, recorder.clone()).await?;

    let (mut counted, mut all) = (0, 0);
    while counted < kills {
        tokio::time::sleep(Duration::from_millis(chance.below(60))).await;
        // The instant to strike: a submission without an answer and an effect without an outcome.
        for _ in 0..20_000 {
            if storm.unanswered() > 0 && recorder.open() > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let cut_before = storm.cut();
        let open = recorder.open();
        node.kill()?;
        all += 1;
        // Now and then also during the start that follows.
        if chance.once_in(10) {
            let _ = Node::start_and_kill(&options, Duration::from_millis(chance.below(40)));
        }
        node = Node::start(&options)?;
        storm.moved_to(node.client().await?).await;
        // A submission that failed under the kill was unanswered when it struck.
        for _ in 0..100 {
            if storm.cut() > cut_before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if open > 0 && storm.cut() > cut_before {
            counted += 1;
        }
        ensure!(all < kills * 20, "only {counted} of {all} kills found both an open submission and an open effect");
    }
    println!("{counted} counted kills of {all}");
    let runs = storm.settle().await?;
    ensure!(runs > 20, "only {runs} runs were submitted");
    node.terminate()?;
    Ok(())
}
