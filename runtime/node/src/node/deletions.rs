//! Deleting a tenant: everything that the node has of it, and its name last.
//!
//! The tenant's own event asks for it, and goes with it; so what is being deleted is written down in a
//! file of its own until the last byte is gone. Every step may be done again, and a start goes on where
//! the last one was killed.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use mesh_kernel::{
    envelope::{TenantId, TenantScope},
    follow::end_tenant,
    path::Mesh,
    ports::{AppendOutcome, ContentStore, Credential, Reclaim},
};
use mesh_knowledge::{lineage::projection::Lineages, shelf::Shelves};
use mesh_skills::{hosts::mcp::McpServers, logs::LogStore, pools::Pools, product::process};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::dead_letters::FolderDeadLetters;
use crate::{archive::RunArchive, readmodel::ReadModel};

/// How long effects of a deleted tenant have to end.
const EFFECTS_END_WITHIN: Duration = Duration::from_secs(60);
/// How long a product's process has to end by itself.
const PROCESS_ENDS_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait before a step that did not work is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Deletes tenants, one at a time.
pub(super) struct Deletions {
    pub(super) mesh: Mesh,
    /// The secret by which the node speaks to itself.
    pub(super) own: String,
    /// The data folder.
    pub(super) data: PathBuf,
    pub(super) lists: Arc<ReadModel>,
    pub(super) content: Arc<dyn ContentStore>,
    pub(super) logs: Arc<LogStore>,
    pub(super) lineages: Arc<Lineages>,
    pub(super) dead_letters: Arc<FolderDeadLetters>,
    pub(super) archive: RunArchive,
    pub(super) servers: McpServers,
    pub(super) shelves: Arc<Shelves>,
    /// The rates and breakers of calls.
    pub(super) pools: Pools,
    /// Held by whoever archives or deletes.
    pub(super) keeping: Arc<Mutex<()>>,
}

impl Deletions {
    /// Deletes what is asked for, now and later, until told to stop.
    pub(super) async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let mut is_done = true;
            for tenant in self.asked() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    deleted = self.delete(&tenant) => match deleted {
                        Ok(()) => tracing::info!("a tenant and everything that it had is gone"),
                        Err(error) => {
                            is_done = false;
                            tracing::error!(%tenant, error = format!("{error:#}"), "deleting: tried again");
                        }
                    }
                }
            }
            let pause = if is_done { Duration::MAX } else { AGAIN_AFTER };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.lists.deletion() => {}
                () = tokio::time::sleep(pause.min(Duration::from_secs(3_600))) => {}
            }
        }
    }

    fn asked(&self) -> BTreeSet<TenantId> {
        let mut asked = self.lists.deleting();
        let names = names(&self.folder()).unwrap_or_default();
        asked.extend(names.iter().filter_map(|name| TenantId::parse(name).ok()));
        asked
    }

    fn folder(&self) -> PathBuf {
        self.data.join("deletions")
    }

    async fn delete(&self, tenant: &TenantId) -> Result<()> {
        let _one = self.keeping.lock().await;
        let node = self.mesh.accept(&Credential::Session(self.own.clone()), None)?;
        let node = node.acting_for(tenant.clone())?;
        let scope = node.scope();
        // From here on its own event is not needed for it to go on.
        self.write_down(tenant).context("writing down what is deleted")?;
        self.dead_letters.erase(tenant).context("its dead letters")?;
        self.lists.erase(tenant).await.context("its rows")?;
        match self.mesh.journal().erase(scope).await {
            AppendOutcome::Appended { .. } | AppendOutcome::Retired => {}
            other => bail!("the journal: {other:?}"),
        }
        if !end_tenant(&self.mesh, scope, EFFECTS_END_WITHIN).await {
            bail!("some of its effects have not ended yet");
        }
        self.servers.forget(tenant).await;
        self.shelves.forget(scope).context("its indexes")?;
        self.pools.forget(tenant);
        self.remove_files(scope).await?;
        while self.mesh.journal().reclaim(Reclaim::default()).await.context("the journal")?.erasing > 0 {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        // What ended meanwhile may have left another letter or row.
        self.dead_letters.erase(tenant).context("its dead letters")?;
        self.archive.erase(tenant).await.context("its archived runs")?;
        self.lists.forget(tenant).await.context("its row")?;
        self.strike_out(tenant).context("striking out what was deleted")
    }

    async fn remove_files(&self, scope: &TenantScope) -> Result<()> {
        let own = self.data.join("tenants").join(scope.tenant().as_str());
        let products = own.join("products");
        for product in names(&products).context("its products")? {
            let state = products.join(product).join("process");
            if state.is_dir() {
                process::stop_in(&state, PROCESS_ENDS_WITHIN).await.context("a product's process")?;
            }
        }
        remove(&own).context("its products")?;
        self.content.erase(scope).await.context("its bodies")?;
        self.lineages.erase(scope).context("its lineage")?;
        self.logs.erase(scope).context("the logs of its steps")
    }

    fn write_down(&self, tenant: &TenantId) -> io::Result<()> {
        fs::create_dir_all(self.folder())?;
        fs::File::create(self.folder().join(tenant.as_str()))?.sync_all()?;
        sync(&self.folder())?;
        sync(&self.data)
    }

    fn strike_out(&self, tenant: &TenantId) -> io::Result<()> {
        fs::remove_file(self.folder().join(tenant.as_str()))?;
        sync(&self.folder())
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The names in a folder; none when it is not there.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
