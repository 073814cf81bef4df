//! The folder in which a product is built: a copy of the seed, with the commit's files on top.

use std::{fs, path::PathBuf};

use super::workshop::{Workshop, blocking, io};
use crate::{
    contract::{Call, Failure},
    product::{cargo::Cargo, git::commit_id, layout::Layout, seed::Seed, tree},
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
        let seed = call.unless_cancelled(workshop.seeds.ensure(&call.log)).await?;
        let build = layout.build();
        if fs::read_to_string(build.join("seed")).ok().as_deref() != Some(&seed.digest) {
            call.log.note("copying the dependency seed");
            begin(call, layout, seed).await?;
        }
        let fresh = layout.root().join("checkout");
        workshop.repository(layout).check_out(commit, &fresh).await?;
        let source = build.join("source");
        let (from, to) = (fresh.clone(), source.clone());
        blocking(move || {
            io(&to, tree::mirror(&from, &to, &[]))?;
            io(&from, tree::remove(&from))
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
