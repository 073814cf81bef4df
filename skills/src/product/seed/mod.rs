//! The dependency seed: everything that all products of a template share, compiled once per machine.
//!
//! It is made from the template alone, never from a blueprint or a tenant's files, and lies outside
//! the data folder under the digest of template, profile, lock file and toolchain. It is read-only;
//! each product's build begins from a copy of it, so no tenant links what another's build script
//! wrote. Whoever uses a seed holds its lock; of those that nobody uses the newest few are kept.

mod keep;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mesh_kernel::envelope::hex;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use keep::{hold, prune};

use super::{
    cargo::Cargo,
    runner::{Job, Limits, run},
    toolchain::{Reach, Toolchain},
    tree,
};
use crate::{
    contract::Failure,
    logs::{LogWriter, Progress},
};

/// Raised when the files below a seed's folder lie otherwise.
const LAYOUT: &str = "1";

/// How often another process's lock is tried.
const LOCK_EVERY: Duration = Duration::from_millis(500);

/// The least product of a template: what a seed is compiled from.
pub trait SeedProject: Send + Sync + 'static {
    /// Digest of every file that decides what is compiled.
    ///
    /// # Errors
    /// A [`Failure`] when the template cannot be read.
    fn digest(&self) -> Result<String, Failure>;

    /// Writes the project into an empty folder.
    ///
    /// # Errors
    /// A [`Failure`] when it cannot be written.
    fn write(&self, into: &Path) -> Result<(), Failure>;
}

/// A seed that is ready: `source/` and `target/`, read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Names template, profile, lock file and toolchain.
    pub digest: String,
    /// Its folder.
    pub folder: PathBuf,
}

impl Seed {
    /// The workspace that was compiled.
    pub fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// What came of it.
    pub fn target(&self) -> PathBuf {
        self.folder.join("target")
    }
}

#[derive(Debug, Clone)]
enum State {
    Working(Step),
    Ready(Seed),
    Failed(Failure),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Step {
    text: String,
    done: u64,
    total: u64,
}

/// The seeds of this machine, and the one that this process may be making.
pub struct Seeds {
    root: PathBuf,
    toolchain: Toolchain,
    project: Arc<dyn SeedProject>,
    limits: Limits,
    current: Mutex<Option<watch::Receiver<State>>>,
    /// The lock of the seed that this process uses, shared with others that use it.
    held: Mutex<Option<File>>,
    stopped: CancellationToken,
}

impl Seeds {
    /// Seeds below `root`, made from `project`. Nothing is made yet.
    pub fn new(root: PathBuf, toolchain: Toolchain, project: Arc<dyn SeedProject>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            root,
            toolchain,
            project,
            limits,
            current: Mutex::new(None),
            held: Mutex::new(None),
            stopped: CancellationToken::new(),
        })
    }

    /// `agent-mesh/seeds` in the user's cache folder.
    pub fn default_root() -> PathBuf {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        folder("XDG_CACHE_HOME")
            .or_else(|| folder("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(std::env::temp_dir)
            .join("agent-mesh")
            .join("seeds")
    }

    /// Begins to make the seed when there is none, so that it is ready when the first build asks.
    pub fn start_early(self: &Arc<Self>) {
        drop(self.working());
    }

    /// Ends the making; whoever waits is told so.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    /// The seed, made now when there is none. Whoever asks meanwhile waits for the same one.
    ///
    /// **Cancel safety**: when dropped, the making goes on for the others.
    ///
    /// # Errors
    /// The [`Failure`] of the making; the next call tries again.
    pub async fn ensure(self: &Arc<Self>, log: &LogWriter) -> Result<Seed, Failure> {
        let mut state = self.working();
        let mut told = Step::default();
        loop {
            match state.borrow_and_update().clone() {
                State::Ready(seed) => return Ok(seed),
                State::Failed(failure) => return Err(failure),
                State::Working(step) if step != told => {
                    if step.total > 0 {
                        log.progress(&step.text, step.done, step.total);
                    } else {
                        log.note(&step.text);
                    }
                    told = step;
                }
                State::Working(_) => {}
            }
            if state.changed().await.is_err() {
                return Err(Failure::internal("seed.lost", "the dependency seed's task ended without a word"));
            }
        }
    }

    /// The state of the making, which is begun when there is none or the last one failed.
    fn working(self: &Arc<Self>) -> watch::Receiver<State> {
        let mut current = self.current.lock();
        if let Some(state) = current.as_ref().filter(|state| self.usable(&state.borrow())) {
            return state.clone();
        }
        let (tell, state) = watch::channel(State::Working(Step::default()));
        *current = Some(state.clone());
        let seeds = self.clone();
        mesh_kernel::task::spawn("dependency seed", async move {
            let made = seeds.make_and_hold(&tell).await;
            tell.send_replace(made.map_or_else(State::Failed, State::Ready));
        });
        state
    }

    fn usable(&self, state: &State) -> bool {
        match state {
            State::Working(_) => true,
            // Somebody may have cleaned the cache.
            State::Ready(seed) => done(&seed.folder),
            State::Failed(_) => false,
        }
    }

    /// The seed, held so that nobody removes it, and old ones removed.
    async fn make_and_hold(&self, tell: &watch::Sender<State>) -> Result<Seed, Failure> {
        loop {
            let seed = self.make(tell).await?;
            let path = self.lock_path(&seed.digest);
            let lock = path.clone();
            let held = io(&path, blocking(move || hold(&lock)).await?)?;
            // Between the making and the holding somebody may have removed it.
            if !done(&seed.folder) {
                continue;
            }
            *self.held.lock() = Some(held);
            let root = self.root.clone();
            if let Err(error) = blocking(move || prune(&root)).await? {
                tracing::warn!(%error, folder = %self.root.display(), "old dependency seeds cannot be removed");
            }
            return Ok(seed);
        }
    }

    fn lock_path(&self, digest: &str) -> PathBuf {
        self.root.join(format!("{digest}.lock"))
    }

    async fn make(&self, tell: &watch::Sender<State>) -> Result<Seed, Failure> {
        io(&self.root, fs::create_dir_all(&self.root))?;
        let digest = self.digest().await?;
        let folder = self.root.join(&digest);
        if done(&folder) {
            return Ok(Seed { digest, folder });
        }
        let _lock = self.lock(&digest, tell).await?;
        if done(&folder) {
            return Ok(Seed { digest, folder });
        }
        let new = self.root.join(format!("{digest}.new"));
        self.compile(&new, tell).await?;
        let publish = {
            let folder = folder.clone();
            move || -> std::io::Result<()> {
                tree::remove(&new.join("home"))?;
                tree::make_read_only(&new.join("source"))?;
                tree::make_read_only(&new.join("target"))?;
                fs::write(new.join("seed"), LAYOUT)?;
                tree::remove(&folder)?;
                fs::rename(&new, &folder)
            }
        };
        io(&folder, blocking(publish).await?)?;
        Ok(Seed { digest, folder })
    }

    /// Digest of template, profile, lock file and toolchain.
    async fn digest(&self) -> Result<String, Failure> {
        let mut hash = Sha256::new();
        let version = self.rustc().await?;
        for part in [LAYOUT, &self.project.digest()?, &version] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        Ok(hex::encode(hash.finalize().iter().take(16)))
    }

    async fn rustc(&self) -> Result<String, Failure> {
        let job = Job {
            program: "rustc",
            args: vec!["-vV".into()],
            folder: &self.root,
            env: self.toolchain.cargo_env(&self.root, &self.root, Reach::Nothing),
            limits: Limits { time: Duration::from_secs(60), ..Limits::default() },
        };
        let mut text = String::new();
        let status = run(&job, &self.stopped, |_, line| {
            text.push_str(line);
            text.push('\n');
        })
        .await?;
        if status.success() {
            return Ok(text);
        }
        Err(Failure::external(
            "rustc.missing",
            format!("`rustc -vV` failed: {}; install a Rust toolchain (https://rustup.rs)", text.trim()),
        ))
    }

    /// One process on the machine makes a seed; the others wait.
    async fn lock(&self, digest: &str, tell: &watch::Sender<State>) -> Result<File, Failure> {
        let path = self.lock_path(digest);
        let file = io(&path, File::create(&path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return io(&path, Err(error)),
                Err(TryLockError::WouldBlock) => {
                    say(tell, "another process of this machine is making the dependency seed")
                }
            }
            let waited = self.stopped.run_until_cancelled(tokio::time::sleep(LOCK_EVERY)).await;
            if waited.is_none() {
                return Err(Failure::cancelled());
            }
        }
    }

    async fn compile(&self, new: &Path, tell: &watch::Sender<State>) -> Result<(), Failure> {
        io(new, tree::remove(new))?;
        let (source, target, home) = (new.join("source"), new.join("target"), new.join("home"));
        io(new, fs::create_dir_all(&source))?;
        self.project.write(&source)?;
        let cargo =
            Cargo { toolchain: &self.toolchain, home: &home, source: &source, target: &target, limits: self.limits };
        let log = LogWriter::telling({
            let tell = tell.clone();
            move |text, progress| {
                // Each attempt that waits tells the numbers; the lines would only repeat them.
                if let Some(Progress { done, total }) = progress {
                    tell.send_replace(State::Working(Step { text: text.to_owned(), done, total }));
                }
            }
        });
        let stopped = &self.stopped;
        say(tell, "making the dependency seed, once for this machine: fetching crates");
        // What is in the cache already needs no network.
        let cached =
            cargo.run(&["fetch", "--locked", "--offline"], Reach::Nothing, &LogWriter::silent(), stopped).await?;
        if !cached.success {
            cargo.must(&["fetch", "--locked"], Reach::Network, &LogWriter::silent(), stopped).await?;
        }
        say(tell, "making the dependency seed, once for this machine: compiling");
        cargo.must(&["build", "--offline", "--locked"], Reach::Nothing, &log, stopped).await?;
        cargo.must(&["test", "--no-run", "--offline", "--locked"], Reach::Nothing, &log, stopped).await?;
        Ok(())
    }
}

impl Drop for Seeds {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seeds").field("root", &self.root).finish_non_exhaustive()
    }
}

fn say(tell: &watch::Sender<State>, text: &str) {
    let step = Step { text: text.to_owned(), ..Step::default() };
    tell.send_replace(State::Working(step));
}

fn done(folder: &Path) -> bool {
    fs::read_to_string(folder.join("seed")).is_ok_and(|layout| layout == LAYOUT)
}

fn io<T>(path: &Path, result: std::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| match error.kind() {
        std::io::ErrorKind::StorageFull => {
            Failure::resource("product.full", format!("`{}`: {error}; free some space", path.display()))
        }
        _ => Failure::external("product.io", format!("`{}`: {error}", path.display())),
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::internal("product.task", error.to_string()))
}

#[cfg(test)]
mod tests;
