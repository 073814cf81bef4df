//! `kill_steps MESH BLUEPRINT`: SIGKILL in each step of `mesh run`, and what must hold afterwards.
//!
//! The same command finishes the run; what had an outcome is not done again; there is one commit with
//! the run's trace, one product process, and no build process that nobody owns. Then the product alone
//! is killed (the node starts it again, at the same address), and the node alone (its product is
//! adopted).
//!
//! The truth is the public history, git and the process table. Only the moment to strike is read from the
//! journal's bytes, with the node in slow motion and behind everybody else on the processor: between the
//! request of a step and its outcome lies at least one flush. Should it be missed all the same, then
//! everything is checked and it is tried again. Needs a toolchain and a dependency seed that is there already.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use mesh_tests::{Client, Follower, get};
use serde_json::Value;

/// How long anything may take: a watchdog.
const WATCHDOG: Duration = Duration::from_secs(180);

/// How often a step is tried until the signal strikes while it is under way.
const TRIES: u32 = 5;

/// The steps of a product's run, in their order.
const STEPS: [&str; 8] = ["validate", "render", "commit", "build", "test", "start", "probe", "smoke"];

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(mesh), Some(blueprint)) = (arguments.next(), arguments.next()) else {
        bail!("the binary and a blueprint are expected: kill_steps MESH BLUEPRINT")
    };
    for (index, step) in STEPS.iter().enumerate() {
        let began = Instant::now();
        let (mut tries, mut struck) = (0, false);
        while !struck && tries < TRIES {
            tries += 1;
            let mut place = Place::new(&mesh, &blueprint)?;
            struck = place.kill_in(index).await.with_context(|| format!("killed in `{step}`"))?;
        }
        ensure!(struck, "the signal never struck while `{step}` was under way");
        println!("killed in {step}: goes on, repeats nothing ({:.1} s, kills: {tries})", began.elapsed().as_secs_f32());
    }
    Place::new(&mesh, &blueprint)?.kill_what_serves().await
}

/// A data folder, and what runs on it.
struct Place {
    mesh: PathBuf,
    blueprint: PathBuf,
    folder: tempfile::TempDir,
    starts: u32,
}

/// What `mesh run` says at its end.
struct Made {
    run: String,
    trace: String,
    url: String,
    repository: String,
    commit: String,
}

impl Place {
    fn new(mesh: &Path, blueprint: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self { mesh: mesh.to_owned(), blueprint: blueprint.to_owned(), folder, starts: 0 })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// `mesh run`, its progress in a file of its own.
    fn run(&mut self) -> Result<Follower> {
        self.starts += 1;
        let mut command = Command::new("nice");
        command
            .args(["-n", "19"])
            .arg(&self.mesh)
            .arg("run")
            .arg(&self.blueprint)
            .args(["--output", "json", "--data"])
            .arg(self.data());
        command.env_remove("MESH_API_KEY").stderr(File::create(self.said_file())?);
        Follower::start(command)
    }

    fn said_file(&self) -> PathBuf {
        self.folder.path().join(format!("said-{}", self.starts))
    }

    /// What the last `mesh run` has said about its progress.
    fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(self.said_file())?)
    }

    /// A client of the node of this process, as soon as it answers.
    async fn client(&self, node: u32) -> Result<Client> {
        let began = Instant::now();
        loop {
            if let Ok(client) = self.try_client(node).await {
                return Ok(client);
            }
            ensure!(began.elapsed() < WATCHDOG, "the node does not answer: {}", self.said()?);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn try_client(&self, node: u32) -> Result<Client> {
        let running: Value = serde_json::from_slice(&fs::read(self.data().join("node.json"))?)?;
        ensure!(running.get("pid").and_then(Value::as_u64) == Some(node.into()), "another node's file");
        let grpc = running.get("grpc").and_then(Value::as_str).context("no address")?;
        let key = fs::read_to_string(self.data().join("operator.key"))?;
        Client::connect(grpc, key.trim()).await
    }

    /// Kills the node while this step is under way, starts it again, and checks everything. Answers
    /// whether the step was still under way.
    async fn kill_in(&mut self, step: usize) -> Result<bool> {
        let mut first = self.run()?;
        let mut journal = Journal::new(&self.data());
        first
            .freeze_when(WATCHDOG, || {
                journal.read_on()?;
                Ok(journal.requests > step)
            })
            .with_context(|| self.said().unwrap_or_default())?;
        first.kill()?;
        self.until_only_products_run().await?;

        let second = self.run()?;
        let made = self.made(&second)?;
        let done = self.check_history(&mut self.client(second.pid()).await?, &made).await?;
        self.check_repository(&made)?;
        self.one_product(&made).await?;
        self.end(second).await?;
        // It goes on by itself, and may have more by the time that `mesh run` counts.
        ensure!(
            done >= journal.outcomes,
            "{} steps had an outcome when it died, and now only {done}",
            journal.outcomes
        );
        Ok(journal.outcomes == step)
    }

    /// Waits for the last line.
    fn made(&self, run: &Follower) -> Result<Made> {
        let line = run
            .wait_for(WATCHDOG, |line| line.contains("\"product\""))
            .with_context(|| self.said().unwrap_or_default())?;
        let line: Value = serde_json::from_str(&line)?;
        let text = |pointer: &str| -> Result<String> {
            Ok(line
                .pointer(pointer)
                .and_then(Value::as_str)
                .with_context(|| format!("no {pointer} in {line}"))?
                .to_owned())
        };
        Ok(Made {
            run: text("/run")?,
            trace: text("/trace_id")?,
            url: text("/product/url")?,
            repository: text("/product/repository")?,
            commit: text("/product/commit")?,
        })
    }

    /// What had an outcome before the second start was asked for once; every step succeeded once.
    async fn check_history(&self, client: &mut Client, made: &Made) -> Result<usize> {
        let history = client.history(&made.run).await?;
        let count = |name: &str| -> BTreeMap<String, u32> {
            history.iter().filter(|event| event.event_type == name).fold(BTreeMap::new(), |mut counts, event| {
                *counts.entry(event.step_id.clone()).or_default() += 1;
                counts
            })
        };
        let (requested, succeeded) = (count("StepRequested"), count("StepSucceeded"));
        for step in STEPS {
            ensure!(succeeded.get(step) == Some(&1), "`{step}` succeeded {:?} times", succeeded.get(step));
            ensure!(requested.get(step) == Some(&1), "`{step}` was asked for {:?} times", requested.get(step));
        }
        let said = self.said()?;
        let resumed = said.lines().find_map(|line| line.strip_prefix("resumed: "));
        let Some(resumed) = resumed else { return Ok(0) };
        ensure!(resumed.ends_with(" from the journal, 0 repeated"), "resumed: {resumed}");
        resumed.split(' ').next().and_then(|number| number.parse().ok()).with_context(|| resumed.to_owned())
    }

    /// One commit, with the run's trace in a trailer.
    fn check_repository(&self, made: &Made) -> Result<()> {
        let git = |arguments: &[&str]| -> Result<String> {
            let ran = Command::new("git").args(["--git-dir", &made.repository]).args(arguments).output()?;
            ensure!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
            Ok(String::from_utf8(ran.stdout)?)
        };
        let commits = git(&["rev-list", "--all"])?;
        ensure!(commits.trim() == made.commit, "not one commit, {}, but {commits}", made.commit);
        let trailers = git(&["log", "-1", "--format=%(trailers)", &made.commit])?;
        ensure!(trailers.contains(&made.trace), "no trailer names {}: {trailers}", made.trace);
        Ok(())
    }

    /// The process that serves the product: one, and it answers.
    async fn one_product(&self, made: &Made) -> Result<u32> {
        let products = self.products()?;
        let [product] = products.as_slice() else { bail!("not one product process: {products:?}") };
        let (status, body) = get(&made.url, None, Duration::from_secs(10)).await?;
        ensure!(status < 500, "{} answers {status}: {body}", made.url);
        Ok(product.pid)
    }

    /// Ends what runs in order, and nothing is left.
    async fn end(&self, run: Follower) -> Result<()> {
        run.terminate()?;
        let (code, rest) = run.end(WATCHDOG)?;
        ensure!(code == 0, "it ended with {code}: {rest:?} {}", self.said()?);
        let left = processes(&self.data())?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    }

    fn products(&self) -> Result<Vec<Process>> {
        let mut found = processes(&self.data())?;
        found.retain(Process::is_product);
        Ok(found)
    }

    /// A build of a node that is gone must go with it; a product may stay, it is adopted.
    async fn until_only_products_run(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let mut left = processes(&self.data())?;
            left.retain(|process| !process.is_product());
            if left.is_empty() {
                return Ok(());
            }
            ensure!(began.elapsed() < Duration::from_secs(20), "orphans: {left:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The product alone dies, then the node alone.
    async fn kill_what_serves(&mut self) -> Result<()> {
        let mut serving = self.run()?;
        let made = self.made(&serving)?;
        let first = self.one_product(&made).await?;
        ensure!(Command::new("kill").args(["-KILL", &first.to_string()]).status()?.success(), "it could not be killed");
        let began = Instant::now();
        let second = loop {
            match self.one_product(&made).await {
                Ok(pid) if pid != first => break pid,
                other => ensure!(began.elapsed() < Duration::from_secs(60), "not started again: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        println!("the product killed: started again at the same address after {:.1} s", began.elapsed().as_secs_f32());

        serving.kill()?;
        self.until_only_products_run().await?;
        let again = self.run()?;
        let served = self.made(&again)?;
        ensure!((&served.commit, &served.url) == (&made.commit, &made.url), "something else is served: {}", served.url);
        ensure!(self.one_product(&served).await? == second, "the product was not adopted");
        ensure!(
            self.check_history(&mut self.client(again.pid()).await?, &served).await? == STEPS.len(),
            "a step was done again"
        );
        self.end(again).await?;
        println!("the node killed while it served: its product was adopted");
        Ok(())
    }
}

/// How far the run of a data folder is, by the names of the events in its journal's first segment.
struct Journal {
    segment: PathBuf,
    position: u64,
    requests: usize,
    outcomes: usize,
}

impl Journal {
    fn new(data: &Path) -> Self {
        Self { segment: data.join("journal/seg-0000000001.log"), position: 0, requests: 0, outcomes: 0 }
    }

    /// Counts what was written since. The rest of the segment is zeros.
    fn read_on(&mut self) -> Result<()> {
        const NAME: usize = "StepRequested".len();
        loop {
            let mut bytes = vec![0; 64 * 1024];
            let file = match File::open(&self.segment) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let read = file.read_at(&mut bytes, self.position)?;
            let written = bytes.iter().take(read).rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(written);
            let count = |name: &[u8]| bytes.windows(NAME).filter(|window| *window == name).count();
            self.requests += count(b"StepRequested");
            self.outcomes += count(b"StepSucceeded");
            if written < NAME {
                return Ok(());
            }
            // A name may lie across the edge.
            self.position += (written - NAME + 1) as u64;
        }
    }
}

/// A process that has to do with a data folder.
#[derive(Debug)]
struct Process {
    pid: u32,
    program: PathBuf,
    #[expect(dead_code, reason = "it is shown when a process should not be there")]
    command: String,
}

impl Process {
    fn is_product(&self) -> bool {
        self.program.components().any(|part| part.as_os_str() == "releases")
    }
}

/// Processes whose program, folder or arguments lie in this folder, those of `mesh` itself left out.
fn processes(data: &Path) -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let link = |name: &str| fs::read_link(entry.path().join(name)).unwrap_or_default();
        let (program, folder) = (link("exe"), link("cwd"));
        // One that has ended and was not waited for has no program and no arguments.
        let command =
            String::from_utf8_lossy(&fs::read(entry.path().join("cmdline")).unwrap_or_default()).replace('\0', " ");
        let ours = program.file_name().is_some_and(|name| name == "mesh");
        let related =
            program.starts_with(data) || folder.starts_with(data) || command.contains(&*data.to_string_lossy());
        if related && !ours {
            found.push(Process { pid, program, command });
        }
    }
    Ok(found)
}
