//! A product's repository: bare, written by git's own plumbing, readable by any git.
//!
//! Commits are made of a folder with an index of their own, so there is no work tree that could
//! hold something else, and a reference moves only from the commit that was seen. No hook runs and
//! no configuration of the machine or of a user is read.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use mesh_kernel::envelope::Timestamp;
use tokio::process::Command;

use super::{toolchain::Toolchain, tree};
use crate::contract::Failure;

/// The one branch.
pub const BRANCH: &str = "main";

/// The trailer that says that a commit is ours.
pub const OURS: &str = "Mesh-Run-Id";

/// How long one git command may take. **Units**: time; they work on a few hundred small files.
const WITHIN: Duration = Duration::from_secs(120);

/// A product's repository.
#[derive(Debug, Clone)]
pub struct Repository {
    path: PathBuf,
    home: PathBuf,
    toolchain: Toolchain,
}

/// The commit that the branch points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its id.
    pub commit: String,
    /// The id of its tree.
    pub tree: String,
    /// Its trailers, in order.
    pub trailers: Vec<(String, String)>,
}

impl Head {
    /// The value of a trailer.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a commit shall say.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The first line.
    pub subject: &'a str,
    /// What follows it.
    pub body: &'a str,
    /// Trailers, `OURS` among them.
    pub trailers: Vec<(&'static str, String)>,
    /// When: author's and committer's date.
    pub at: Timestamp,
}

/// A commit that was made, or that stood there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub commit: String,
    /// The id of its tree.
    pub tree: String,
    /// Whether it was made by this call.
    pub new: bool,
}

impl Repository {
    /// The repository at `path`, whether it is there or not. `home` is a folder for git's own use.
    pub fn at(path: PathBuf, home: PathBuf, toolchain: Toolchain) -> Self {
        Self { path, home, toolchain }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it when it is not there; whole or not at all.
    ///
    /// # Errors
    /// An external failure that says what git said.
    pub async fn ensure(&self) -> Result<(), Failure> {
        if self.path.join("HEAD").exists() {
            return Ok(());
        }
        let new = self.path.with_extension("new");
        io(&new, tree::remove(&new))?;
        io(&self.home, fs::create_dir_all(&self.home))?;
        let branch = format!("--initial-branch={BRANCH}");
        let args = ["init", "--quiet", "--bare", "--template=", &branch];
        self.run(args.iter().map(OsStr::new).chain([new.as_os_str()]), &[], None).await?;
        io(&self.path, tree::remove(&self.path))?;
        io(&self.path, fs::rename(&new, &self.path))
    }

    /// The commit that the branch points to; `None` in an empty or missing repository.
    ///
    /// # Errors
    /// An external failure that says what git said.
    pub async fn head(&self) -> Result<Option<Head>, Failure> {
        if !self.path.join("HEAD").exists() {
            return Ok(None);
        }
        let refs = self.git(&["for-each-ref", "--format=%(objectname)", &reference()], &[]).await?;
        if refs.is_empty() {
            return Ok(None);
        }
        let format = "--format=%H%n%T%n%(trailers:only,unfold)";
        let text = self.git(&["log", "-1", format, &reference()], &[]).await?;
        let mut lines = text.lines();
        let (Some(commit), Some(tree)) = (lines.next(), lines.next()) else {
            return Err(Failure::external("git.log", format!("git said something odd: `{text}`")));
        };
        let trailers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ok(Some(Head { commit: commit.to_owned(), tree: tree.to_owned(), trailers }))
    }

    /// The same, when it is ours.
    ///
    /// # Errors
    /// A validation failure when the branch ends in a commit that is not ours.
    pub async fn our_head(&self) -> Result<Option<Head>, Failure> {
        let head = self.head().await?;
        match &head {
            Some(found) if found.trailer(OURS).is_none() => Err(foreign(found)),
            _ => Ok(head),
        }
    }

    /// Commits what `folder` holds on top of the branch.
    ///
    /// The same content by the same run is the same commit: nothing is made, and the one that
    /// stands there is answered. Another run makes a commit even of the same content, so that each
    /// run's ids stand in the history.
    ///
    /// # Errors
    /// A validation failure when the branch ends in a commit that is not ours.
    pub async fn commit(&self, folder: &Path, message: &Message<'_>) -> Result<Committed, Failure> {
        self.ensure().await?;
        let tree = self.write_tree(folder).await?;
        let head = self.our_head().await?;
        let run = message.trailers.iter().find(|(key, _)| *key == OURS).map(|(_, run)| run.as_str());
        let parent = match head {
            Some(head) if head.tree == tree && head.trailer(OURS) == run => {
                return Ok(Committed { commit: head.commit, tree, new: false });
            }
            head => head.map(|head| head.commit),
        };
        let commit = self.write_commit(&tree, parent.as_deref(), message).await?;
        let old = parent.unwrap_or_else(|| "0".repeat(40));
        self.git(&["update-ref", "-m", "commit", &reference(), &commit, &old], &[])
            .await
            .map_err(|failure| Failure::external("git.moved", failure.message))?;
        Ok(Committed { commit, tree, new: true })
    }

    async fn write_tree(&self, folder: &Path) -> Result<String, Failure> {
        let index = Index::new(&self.path);
        let env = [("GIT_INDEX_FILE", index.0.as_os_str()), ("GIT_WORK_TREE", folder.as_os_str())];
        // Forced: what was rendered is committed, whatever its own .gitignore says.
        self.run(["add", "--all", "--force", "."], &env, Some(folder)).await?;
        self.git(&["write-tree"], &env).await
    }

    async fn write_commit(&self, tree: &str, parent: Option<&str>, message: &Message<'_>) -> Result<String, Failure> {
        let mut text = format!("{}\n\n{}\n\n", one_line(message.subject), message.body.trim());
        for (key, value) in &message.trailers {
            text.push_str(&format!("{key}: {}\n", one_line(value)));
        }
        let date = format!("{} +0000", message.at.unix_millis() / 1000);
        let mut args = vec!["commit-tree", tree, "-m", &text];
        if let Some(parent) = parent {
            args.extend(["-p", parent]);
        }
        let env = [
            ("GIT_AUTHOR_NAME", "Agent Mesh"),
            ("GIT_AUTHOR_EMAIL", "mesh@localhost"),
            ("GIT_AUTHOR_DATE", &date),
            ("GIT_COMMITTER_NAME", "Agent Mesh"),
            ("GIT_COMMITTER_EMAIL", "mesh@localhost"),
            ("GIT_COMMITTER_DATE", &date),
        ]
        .map(|(key, value)| (key, OsStr::new(value)));
        self.git(&args, &env).await
    }

    /// Writes the files of a commit into `folder`, which is made anew.
    ///
    /// # Errors
    /// A validation failure when there is no such commit.
    pub async fn check_out(&self, commit: &str, folder: &Path) -> Result<(), Failure> {
        let commit = commit_id(commit)?;
        io(folder, tree::remove(folder))?;
        io(folder, fs::create_dir_all(folder))?;
        let index = Index::new(&self.path);
        let env = [("GIT_INDEX_FILE", index.0.as_os_str()), ("GIT_WORK_TREE", folder.as_os_str())];
        self.git(&["cat-file", "-e", &format!("{commit}^{{commit}}")], &[])
            .await
            .map_err(|_| no_commit(&self.path, commit))?;
        self.git(&["read-tree", commit], &env).await?;
        self.run(["checkout-index", "--all", "--force"], &env, Some(folder)).await?;
        Ok(())
    }

    /// A file of the commit that the branch points to; `None` when there is none.
    ///
    /// # Errors
    /// An external failure that says what git said.
    pub async fn show(&self, path: &str) -> Result<Option<String>, Failure> {
        if self.head().await?.is_none() {
            return Ok(None);
        }
        let object = format!("{}:{path}", reference());
        if self.git(&["cat-file", "-e", &object], &[]).await.is_err() {
            return Ok(None);
        }
        self.output(["cat-file", "blob", &object], &[], None).await.map(Some)
    }

    async fn git(&self, args: &[&str], env: &[(&str, &OsStr)]) -> Result<String, Failure> {
        self.run(args, env, None).await
    }

    /// What it printed, without the white space around it.
    async fn run(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        env: &[(&str, &OsStr)],
        folder: Option<&Path>,
    ) -> Result<String, Failure> {
        Ok(self.output(args, env, folder).await?.trim().to_owned())
    }

    /// Runs one git command. It is short and leaves nothing half done, so it is not killed when
    /// nobody waits for it any more.
    async fn output(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        env: &[(&str, &OsStr)],
        folder: Option<&Path>,
    ) -> Result<String, Failure> {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let name = args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
        let mut command = Command::new("git");
        command.args(SETTINGS);
        if self.path.exists() {
            command.arg("--git-dir").arg(&self.path);
        }
        command
            .args(&args)
            .env_clear()
            .envs(self.toolchain.git_env(&self.home))
            .envs(env.iter().copied())
            .current_dir(folder.or_else(|| self.path.parent()).unwrap_or(Path::new("/")))
            .stdin(Stdio::null())
            .process_group(0);
        let output = tokio::time::timeout(WITHIN, command.output())
            .await
            .map_err(|_| Failure::timeout("git.time", format!("`git {name}` took longer than {WITHIN:?}")))?
            .map_err(|error| {
                let hint = "is git installed and on the PATH?";
                Failure::external("git.start", format!("`git {name}` cannot be started: {error}; {hint}"))
            })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::external("git.failed", format!("`git {name}` failed ({}): {}", output.status, said.trim())))
    }
}

/// For every command: nothing that a file system, a user or a hook could change.
const SETTINGS: [&str; 10] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.autocrlf=false",
    "-c",
    "core.fileMode=true",
    "-c",
    "gc.auto=0",
    "-c",
    // A commit whose id is in the journal must be on the disk.
    "core.fsync=committed,loose-object,reference",
];

/// An index file of one call; removed with it.
struct Index(PathBuf);

impl Index {
    fn new(repository: &Path) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(repository.join(format!("mesh-{}-{number}.index", std::process::id())))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // It may never have been written.
        let _none = fs::remove_file(&self.0);
    }
}

fn reference() -> String {
    format!("refs/heads/{BRANCH}")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A commit id as git writes it, so that no option or expression is taken for one.
///
/// # Errors
/// A validation failure otherwise.
pub fn commit_id(text: &str) -> Result<&str, Failure> {
    let hex = text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex {
        return Ok(text);
    }
    let shown: String = text.chars().take(64).collect();
    Err(Failure::validation("git.commit-id", format!("`{shown}` is no commit id: 40 hexadecimal digits are expected")))
}

fn no_commit(path: &Path, commit: &str) -> Failure {
    Failure::validation("git.no-commit", format!("there is no commit `{commit}` in `{}`", path.display()))
}

fn foreign(head: &Head) -> Failure {
    Failure::validation(
        "repository.foreign-commit",
        format!(
            "the branch `{BRANCH}` ends in `{}`, which is not ours (it has no trailer `{OURS}`), and merging \
             is not done yet: move that commit to another branch and set `{BRANCH}` back to the last commit \
             that has the trailer",
            head.commit
        ),
    )
}

fn io<T>(path: &Path, result: std::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| Failure::external("product.io", format!("`{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests;
