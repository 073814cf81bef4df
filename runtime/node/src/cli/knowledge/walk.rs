//! Which files a folder or a repository has.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::cli::Failure;

/// Files of one source at most.
const FILES_MAX: usize = 50_000;
/// Folders that hold what was made and not written, when no repository says so.
const MADE: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// What is to be taken in.
#[derive(Debug)]
pub(super) struct Found {
    /// `git` or `folder`.
    pub(super) kind: &'static str,
    /// Where it is, for people and citations.
    pub(super) uri: String,
    /// The commit that unchanged files are of; empty for a folder.
    pub(super) revision: String,
    /// Paths within it, with `/`, and whether each is as committed.
    pub(super) files: Vec<(String, bool)>,
}

/// The files of a folder; of a repository those that git keeps.
pub(super) fn walk(folder: &Path) -> Result<Found, Failure> {
    let unread = |source| Failure::File { path: folder.to_owned(), verb: "read", source };
    if !fs::metadata(folder).map_err(unread)?.is_dir() {
        return Err(Failure::Usage(format!("`{}` is no folder: name the folder that it lies in", folder.display())));
    }
    let found = match repository(folder) {
        Some(found) => found?,
        None => {
            let mut files = Vec::new();
            below(folder, "", &mut files).map_err(unread)?;
            files.sort();
            let files = files.into_iter().map(|path| (path, false)).collect();
            let uri = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
            Found { kind: "folder", uri, revision: String::new(), files }
        }
    };
    if found.files.len() > FILES_MAX {
        let what =
            format!("`{}` has {} files, and a source has at most {FILES_MAX}", folder.display(), found.files.len());
        return Err(Failure::Usage(format!("{what}: take its folders in one by one")));
    }
    Ok(found)
}

/// What git keeps below this folder; `None` when it keeps nothing here.
fn repository(folder: &Path) -> Option<Result<Found, Failure>> {
    let revision = String::from_utf8(git(folder, &["rev-parse", "--verify", "--quiet", "HEAD"])?).ok()?;
    let revision = revision.trim().get(..12)?.to_owned();
    let listed = git(folder, &["ls-files", "-z", "--cached"])?;
    let changed = git(folder, &["diff", "--name-only", "--relative", "-z", "HEAD"])?;
    let changed: BTreeSet<String> = names(&changed).collect();
    let remote = git(folder, &["config", "--get", "remote.origin.url"]).and_then(|url| String::from_utf8(url).ok());
    let own = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let uri = remote
        .map(|url| without_secret(url.trim()))
        .filter(|url| !url.is_empty())
        .unwrap_or_else(|| own.file_name().unwrap_or(own.as_os_str()).to_string_lossy().into_owned());
    let is_file = |path: &String| fs::symlink_metadata(folder.join(path)).is_ok_and(|meta| meta.is_file());
    let files = names(&listed).filter(is_file).map(|path| {
        let is_committed = !changed.contains(&path);
        (path, is_committed)
    });
    let files: BTreeSet<(String, bool)> = files.collect();
    Some(Ok(Found { kind: "git", uri, revision, files: files.into_iter().collect() }))
}

/// An address without the name and password that it may hold.
fn without_secret(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

fn names(zeroed: &[u8]) -> impl Iterator<Item = String> {
    zeroed
        .split(|byte| *byte == 0)
        .filter_map(|name| String::from_utf8(name.to_vec()).ok())
        .filter(|name| !name.is_empty())
}

fn git(folder: &Path, args: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git").arg("-C").arg(folder).args(args).output().ok()?;
    output.status.success().then_some(output.stdout)
}

/// Files of a folder and its folders, without hidden ones, links and what was made.
fn below(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (kind, path): (_, PathBuf) = (entry.file_type()?, entry.path());
        let within = format!("{prefix}{name}");
        if name.starts_with('.') || files.len() > FILES_MAX {
            continue;
        }
        if kind.is_dir() && !MADE.contains(&name.as_str()) {
            below(&path, &format!("{within}/"), files)?;
        } else if kind.is_file() {
            files.push(within);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_files_without_hidden_and_made_ones() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a.md", "docs/b.md", ".env", ".git2/c.md", "node_modules/d/e.js"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.md")).unwrap();
        let found = walk(folder.path()).unwrap();
        let paths: Vec<&str> = found.files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!((found.kind, paths), ("folder", vec!["a.md", "docs/b.md"]));
        assert!(walk(&folder.path().join("a.md")).is_err());
    }

    #[test]
    fn an_address_loses_its_password() {
        assert_eq!(without_secret("https://me:secret@example.org/a.git"), "https://example.org/a.git");
        assert_eq!(without_secret("git@example.org:a.git"), "git@example.org:a.git");
    }
}
