//! The folder in which a product is built: a copy of the seed, with the commit's files on top.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::workshop::{Workshop, blocking, io};
use crate::{
    contract::{Call, Failure},
    product::{cargo::Cargo, git::commit_id, layout::Layout, seed::Seed, tree},
    render::Files,
};

/// A build folder that holds exactly this commit's files.
pub(super) struct Checkout {
    pub(super) source: PathBuf,
    pub(super) target: PathBuf,
    pub(super) home: PathBuf,
}

impl Checkout {
    /// Makes the folder ready for `commit`.
    ///
    /// A file that is the same as in the seed, or as in the last commit built here, keeps its time,
    /// so cargo compiles what changed and nothing else.
    pub(super) async fn prepare(
        workshop: &Workshop,
        call: &Call,
        layout: &Layout,
        commit: &str,
    ) -> Result<Self, Failure> {
        commit_id(commit)?;
        begun(workshop, call, layout).await?;
        let fresh = fresh(layout);
        workshop.repository(layout).check_out(commit, &fresh).await?;
        Self::of(layout, fresh).await
    }

    /// Makes the folder ready for files that no commit has: those of `folder`, and `files` instead or beside.
    pub(super) async fn with(
        workshop: &Workshop,
        call: &Call,
        layout: &Layout,
        folder: &Path,
        files: Files,
    ) -> Result<Self, Failure> {
        begun(workshop, call, layout).await?;
        let (from, to, cancelled) = (folder.to_owned(), fresh(layout), call.cancelled.clone());
        let fresh = blocking(move || {
            io(&to, tree::remove(&to))?;
            io(&to, tree::copy(&from, &to, &cancelled))?;
            for (path, content) in files {
                let place = to.join(path);
                if let Some(parent) = place.parent() {
                    io(parent, fs::create_dir_all(parent))?;
                }
                io(&place, fs::write(&place, content))?;
            }
            Ok(to)
        })
        .await?;
        Self::of(layout, fresh).await
    }

    async fn of(layout: &Layout, fresh: PathBuf) -> Result<Self, Failure> {
        let build = layout.build();
        let source = build.join("source");
        let to = source.clone();
        blocking(move || {
            io(&to, tree::mirror(&fresh, &to, &[]))?;
            io(&fresh, tree::remove(&fresh))
        })
        .await?;
        Ok(Self { source, target: build.join("target"), home: layout.home() })
    }

    pub(super) fn cargo<'a>(&'a self, workshop: &'a Workshop) -> Cargo<'a> {
        Cargo {
            toolchain: &workshop.toolchain,
            home: &self.home,
            source: &self.source,
            target: &self.target,
            limits: workshop.limits,
        }
    }
}

/// Where files wait until they are mirrored.
fn fresh(layout: &Layout) -> PathBuf {
    layout.root().join("checkout")
}

/// Begins with a copy of the seed, unless that was done.
async fn begun(workshop: &Workshop, call: &Call, layout: &Layout) -> Result<(), Failure> {
    let seed = call.unless_cancelled(workshop.seeds.ensure(&call.log)).await?;
    if fs::read_to_string(layout.build().join("seed")).ok().as_deref() == Some(&seed.digest) {
        return Ok(());
    }
    call.log.note("copying the dependency seed");
    begin(call, layout, seed).await
}

/// A copy of the seed, whole or not at all.
async fn begin(call: &Call, layout: &Layout, seed: Seed) -> Result<(), Failure> {
    let (build, cancelled) = (layout.build(), call.cancelled.clone());
    blocking(move || {
        let new = build.with_extension("new");
        io(&new, tree::remove(&new))?;
        io(&new, tree::copy(&seed.source(), &new.join("source"), &cancelled))?;
        io(&new, tree::copy(&seed.target(), &new.join("target"), &cancelled))?;
        io(&new, fs::write(new.join("seed"), &seed.digest))?;
        io(&build, tree::remove(&build))?;
        io(&build, fs::rename(&new, &build))
    })
    .await
}
