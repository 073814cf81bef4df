//! What the skills that make a product share: where files lie, the toolchain, the seed, the bound on
//! builds, and the port to running products.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    contract::{Call, Failure, Workloads},
    product::{
        git::Repository,
        layout::Layout,
        runner::Limits,
        seed::{SeedProject, Seeds},
        toolchain::Toolchain,
    },
    render::{self, TemplateSource},
};

/// Builds of this node at once. One already keeps every core busy.
const BUILDS_AT_ONCE: usize = 1;

/// What a workshop needs of the node.
pub struct Needs {
    /// The data folder.
    pub data: PathBuf,
    /// Where dependency seeds lie; the user's cache folder when left out.
    pub seeds: Option<PathBuf>,
    /// How long a build, or the tests, may take.
    pub build_time_max: Duration,
    /// Largest data segment of each process of a build. **Units**: bytes.
    pub build_memory_max: u64,
    /// The owner of running products.
    pub workloads: Arc<dyn Workloads>,
}

/// What the skills that make a product share.
pub struct Workshop {
    data: PathBuf,
    pub(super) toolchain: Toolchain,
    pub(super) seeds: Arc<Seeds>,
    pub(super) limits: Limits,
    pub(super) workloads: Arc<dyn Workloads>,
    builds: Semaphore,
}

impl Workshop {
    /// A workshop. Nothing is made or started yet.
    pub fn new(needs: Needs) -> Arc<Self> {
        let toolchain = Toolchain::of_this_process();
        let limits = Limits { time: needs.build_time_max, memory: Some(needs.build_memory_max), ..Limits::default() };
        let root = needs.seeds.unwrap_or_else(Seeds::default_root);
        Arc::new(Self {
            // Builds work in other folders, so a relative path would mean another place there.
            data: std::path::absolute(&needs.data).unwrap_or(needs.data),
            seeds: Seeds::new(root, toolchain.clone(), Arc::new(Template), limits),
            toolchain,
            limits,
            workloads: needs.workloads,
            builds: Semaphore::new(BUILDS_AT_ONCE),
        })
    }

    /// Begins to compile the dependency seed, so that it is there when the first build asks.
    pub fn start_early(&self) {
        self.seeds.start_early();
    }

    /// Stops what goes on by itself: the making of the seed.
    pub fn stop(&self) {
        self.seeds.stop();
    }

    /// Where a product of the caller's tenant lies.
    pub(super) fn layout(&self, call: &Call, product: &str) -> Result<Layout, Failure> {
        Layout::of(&self.data, &call.scope, product)
    }

    pub(super) fn repository(&self, layout: &Layout) -> Repository {
        Repository::at(layout.repository(), layout.home(), self.toolchain.clone())
    }

    /// Waits for its turn to build, and says so; the step's timeout goes on meanwhile.
    pub(super) async fn turn(&self, call: &Call) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(permit) = self.builds.try_acquire() {
            return Ok(permit);
        }
        call.log.note("waiting for another build of this node to end");
        call.unless_cancelled(async {
            let permit = self.builds.acquire().await;
            permit.map_err(|error| Failure::internal("product.turn", error.to_string()))
        })
        .await
    }
}

/// The built-in template as what a seed is made of.
struct Template;

impl SeedProject for Template {
    fn digest(&self) -> Result<String, Failure> {
        template_digest()
    }

    fn write(&self, into: &std::path::Path) -> Result<(), Failure> {
        render::seed_project(&TemplateSource::default(), into)
            .map(drop)
            .map_err(|error| Failure::external("template.seed", error.to_string()))
    }
}

/// The digest of the template that products are rendered from.
pub(super) fn template_digest() -> Result<String, Failure> {
    render::template_digest(&TemplateSource::default())
        .map_err(|error| Failure::external("template.unreadable", error.to_string()))
}

/// Work that blocks, off the threads that must not.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Failure::internal("product.task", error.to_string())))
}

/// What the disk says, as a failure that names the file.
pub(super) fn io<T>(path: &std::path::Path, result: std::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| match error.kind() {
        std::io::ErrorKind::StorageFull => {
            Failure::resource("product.full", format!("`{}`: {error}; free some space", path.display()))
        }
        std::io::ErrorKind::Interrupted => Failure::cancelled(),
        _ => Failure::external("product.io", format!("`{}`: {error}", path.display())),
    })
}
