//! Every place where a process can die, by name: there it dies, ten times and more, under load, and what
//! must hold of the load afterwards is asked of an outside recorder and of the public history.
//!
//! Needs a build with fail points: `cargo test -p mesh --features failpoints --test failure_table`, which
//! `.ci/run faults` does. `MESH_FAILURE_DEATHS` sets how often each dies (10 by default). A page cache
//! survives these deaths; what a cut of power leaves behind is the business of the journal's own tests
//! (`runtime/journal/tests`), as are failed flushes, half-written sectors and damaged snapshots.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use mesh_proto::v1;
use mesh_tests::{Chance, Client, Node, NodeOptions, Recorder, Storm, Work};
use prost::Message as _;

/// Beside effects: a timer, a limit that is granted by another entity, and a body that is set aside.
const WORK: Work = Work {
    name: "table",
    definition: r"
name: table
title: Effects that an outside recorder sees
inputSchema:
  type: object
  required: [url, name]
  properties: { url: { type: string }, name: { type: string }, pad: { type: string } }
concurrency: { limit: 20 }
steps:
  - id: first
    skill: http.post
    with: { url: '${ input.url }', body: { name: '${ input.name }-first' } }
  - id: rest
    needs: [first]
    timer: { duration: 50ms }
  - id: fan
    needs: [rest]
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

/// How long a node may live until it comes by its fail point: a watchdog.
const DIES_WITHIN: Duration = Duration::from_secs(60);

/// A row of the table.
#[derive(Clone, Copy)]
struct Row {
    /// The fail point's name.
    point: &'static str,
    /// It dies at a pass between the first and this one.
    passes: u64,
    work: Work,
    /// Each death finds a data folder that is new.
    afresh: bool,
    /// It dies while it stops.
    stopping: bool,
}

impl Row {
    const fn at(point: &'static str, passes: u64) -> Self {
        Self { point, passes, work: WORK, afresh: false, stopping: false }
    }

    const fn with_pad(mut self, bytes: usize) -> Self {
        self.work.pad_bytes = bytes;
        self
    }

    const fn afresh(mut self) -> Self {
        self.afresh = true;
        self
    }

    const fn stopping(mut self) -> Self {
        self.stopping = true;
        self
    }

    /// Dies there again and again.
    async fn dies(self) -> Result<()> {
        let deaths = std::env::var("MESH_FAILURE_DEATHS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
        let mut chance = Chance::of(0x0005_eed0, self.point.bytes().map(u64::from).sum());
        let mut died = 0;
        while died < deaths {
            died += self.lives(&mut chance, if self.afresh { 1 } else { deaths }).await.with_context(|| self.point)?;
        }
        println!("{}: died {died} times", self.point);
        Ok(())
    }

    /// One data folder, on which the node dies so often; then it lives, and everything is checked.
    async fn lives(self, chance: &mut Chance, deaths: u64) -> Result<u64> {
        let place = Place::new()?;
        let recorder = Recorder::start(Duration::from_millis(15)).await?;
        let mut node = Node::start(&place.options(None))?;
        let storm = Storm::start(self.work, node.client().await?, recorder.clone()).await?;
        for death in 1..=deaths {
            // Something is unfinished whenever the next one starts.
            let began = Instant::now();
            while recorder.open() == 0 || storm.unanswered() == 0 {
                ensure!(began.elapsed() < DIES_WITHIN, "nothing is under way");
                tokio::task::yield_now().await;
            }
            node.kill()?;
            let point = format!("{}:{}", self.point, 1 + chance.below(self.passes));
            // It may die before it is ready.
            if let Ok(mut doomed) = Node::start(&place.options(Some(&point))) {
                if let Ok(client) = doomed.client().await {
                    storm.moved_to(client).await;
                }
                if self.stopping {
                    // The index is saved at a stop once more than 4 MiB have come since it was saved last.
                    let (before, began) = (storm.acknowledged(), Instant::now());
                    while storm.acknowledged() < before + 90 {
                        ensure!(began.elapsed() < DIES_WITHIN, "too little is submitted");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    doomed.signal("TERM")?;
                }
                doomed
                    .wait_for_end(DIES_WITHIN)
                    .await
                    .with_context(|| format!("waiting for death {death} at {point}"))?;
            }
            let seen = place.deaths(self.point)?;
            ensure!(seen == death, "death {death} at {point}: the log tells of {seen}");
            node = Node::start(&place.options(None))?;
            storm.moved_to(node.client().await?).await;
        }
        ensure!(storm.settle().await? >= 4, "hardly anything was submitted");
        place.rebuilds_its_lists(node).await?;
        Ok(deaths)
    }
}

/// A data folder, and what nodes on it have said.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn options(&self, point: Option<&str>) -> NodeOptions {
        let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), &self.folder.path().join("data"));
        options.stderr = Some(self.log());
        // Small, so that what happens seldom happens here.
        let settings = [("MESH_JOURNAL_SNAPSHOT_EVERY", "4"), ("MESH_ACTORS_SLEEP_AFTER", "1s")];
        options.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        options.settings.extend(point.map(|point| ("MESH_FAILPOINT".to_owned(), point.to_owned())));
        options
    }

    /// How often a node has said that it dies there.
    fn deaths(&self, point: &str) -> Result<u64> {
        let said = fs::read_to_string(self.log())?;
        ensure!(!said.contains("panicked"), "a panic: {said}");
        Ok(said.lines().filter(|line| *line == format!("fail point {point}")).count() as u64)
    }

    /// The lists are what they are when they are built anew from the journal.
    async fn rebuilds_its_lists(&self, mut node: Node) -> Result<()> {
        let kept = listed(&mut node.client().await?).await?;
        node.terminate()?;
        fs::remove_file(self.folder.path().join("data/readmodel.sqlite"))?;
        let node = Node::start(&self.options(None))?;
        let rebuilt = listed(&mut node.client().await?).await?;
        ensure!(kept == rebuilt, "the lists were something else than the journal makes of them");
        Ok(())
    }
}

/// What the lists say of runs, definitions and keys, without the position that they stand at.
async fn listed(client: &mut Client) -> Result<Vec<u8>> {
    let runs = v1::ListRunsRequest { page_size: 500, ..Default::default() };
    let mut runs = client.workflows.list_runs(runs).await?.into_inner();
    let mut definitions = client.workflows.list_definitions(v1::ListDefinitionsRequest::default()).await?.into_inner();
    let mut keys = client.tenants.list_api_keys(v1::ListApiKeysRequest::default()).await?.into_inner();
    (runs.position, definitions.position, keys.position) = (0, 0, 0);
    if runs.runs.is_empty() {
        bail!("no runs are listed");
    }
    Ok([runs.encode_to_vec(), definitions.encode_to_vec(), keys.encode_to_vec()].concat())
}

/// A test for each row, by the name that the table gives it.
macro_rules! rows {
    ($($name:ident: $row:expr,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() -> Result<()> {
            $row.dies().await
        }
    )*};
}

rows! {
    a_request_lost_before_admission_leaves_no_trace: Row::at("accept", 10),
    a_request_lost_after_its_admission_leaves_no_trace: Row::at("admit", 40),
    a_request_that_knows_its_way_leaves_no_trace: Row::at("route", 40),
    waking_is_invisible: Row::at("wake", 20),
    a_command_in_a_mailbox_is_delivered_again_by_its_source: Row::at("deliver", 40),
    a_decision_that_was_not_recorded_never_happened: Row::at("decide", 40),
    crash_before_write: Row::at("journal.write", 30),
    an_unacknowledged_append_is_whole_or_absent: Row::at("journal.flush", 30),
    a_repeated_request_gets_the_first_answer: Row::at("record", 40),
    replay_equals_live: Row::at("apply", 40),
    an_acknowledged_event_reaches_every_follower: Row::at("announce", 40),
    a_projection_counts_each_event_once: Row::at("projection", 15),
    a_projection_that_died_after_its_commit_goes_on_behind_it: Row::at("projection.kept", 15),
    a_reactor_that_died_after_sending_repeats_nothing: Row::at("reactor", 5),
    an_effect_that_never_ran_runs: Row::at("effect.asked", 20),
    an_unknown_outcome_is_asked_again_with_the_same_key: Row::at("effect.done", 20),
    a_recorded_outcome_is_never_executed_again: Row::at("effect.told", 20),
    a_timer_fires_once_in_the_journal: Row::at("timer", 5),
    recovery_may_die_anywhere: Row::at("recover", 1),
    a_resume_may_die_anywhere: Row::at("resume", 1),
    an_event_never_names_a_missing_body: Row::at("content", 4).with_pad(100_000),
    a_segment_without_its_name_is_no_segment: Row::at("journal.roll", 1).with_pad(60_000).afresh(),
    a_segment_with_nothing_in_it_is_gone_on_with: Row::at("journal.rolled", 1).with_pad(60_000).afresh(),
    a_bad_snapshot_costs_only_time: Row::at("snapshot", 5),
    a_saved_index_without_its_name_costs_only_time: Row::at("journal.index", 1).with_pad(60_000).afresh().stopping(),
}
