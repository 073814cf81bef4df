//! The lists as the gateway reads them.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use mesh_kernel::{
    BoxFuture,
    envelope::{ErrorKind, Refusal, TenantId, TenantScope},
    ports::{Cursor, Position},
};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::watch;

use super::{
    erase::{self, Erase, Gone},
    keys::KeyRing,
    query::{QueryError, Rows},
    store::{StoreError, open_reader},
    tables::{approvals, blueprints, collections, definitions, products, runs, tasks, tenants},
    tally::{self, Tally},
};
use crate::gateway::lists::{
    ApprovalFilter, ApprovalRow, BlueprintRow, DefinitionRow, KeyRow, Lists, Page, PageRequest, ProductRow, RunFilter,
    RunRow, TaskFilter, TaskRow, TenantFilter, TenantRow,
};
use crate::knowledge::Collections;

/// Connections kept open for the next query; more are opened when needed and closed afterwards.
const IDLE_READERS_MAX: usize = 8;

/// How far the read models have come.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) cursor: Option<Cursor>,
    pub(super) position: Position,
}

/// The handle that reads. Cheap to clone.
#[derive(Clone)]
pub struct ReadModel(Arc<Inner>);

struct Inner {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    moved: watch::Sender<Standing>,
    ring: Arc<KeyRing>,
    /// How many wait for the lists to come further.
    waiting: watch::Sender<usize>,
    gone: Arc<Gone>,
}

impl ReadModel {
    pub(super) fn new(
        path: PathBuf,
        moved: watch::Sender<Standing>,
        (ring, gone): (Arc<KeyRing>, Arc<Gone>),
        waiting: watch::Sender<usize>,
    ) -> Self {
        Self(Arc::new(Inner { path, idle: Mutex::new(Vec::new()), moved, ring, waiting, gone }))
    }

    /// Tenants whose deletion was asked for and has not ended.
    pub fn deleting(&self) -> BTreeSet<TenantId> {
        self.0.ring.deleting()
    }

    /// Waits until one more deletion of a tenant was asked for. For one waiter.
    ///
    /// **Cancel safety**: a dropped future loses nothing.
    pub async fn deletion(&self) {
        self.0.ring.deletion().await;
    }

    /// Removes all rows of a tenant but its own in the list of tenants, and takes no more of it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written; it may be repeated.
    pub async fn erase(&self, tenant: &TenantId) -> Result<(), StoreError> {
        self.erasing(tenant, Erase::Rows).await
    }

    /// Removes the last row of a tenant, and what the file has left of it where no row is any more.
    ///
    /// **Cost**: the file is written anew.
    ///
    /// # Errors
    /// As [`ReadModel::erase`].
    pub async fn forget(&self, tenant: &TenantId) -> Result<(), StoreError> {
        self.erasing(tenant, Erase::Traces).await?;
        self.0.ring.is_deleted(tenant);
        Ok(())
    }

    async fn erasing(&self, tenant: &TenantId, what: Erase) -> Result<(), StoreError> {
        let (inner, tenant) = (self.0.clone(), tenant.clone());
        let erasing = move || erase::erase(&inner.path, &inner.gone, &tenant, what);
        tokio::task::spawn_blocking(erasing).await.unwrap_or(Err(StoreError::Stopping))
    }

    /// The keys that are accepted now, for [`Keys`](super::Keys).
    pub fn ring(&self) -> Arc<KeyRing> {
        self.0.ring.clone()
    }

    /// Counts over all tenants, for the node's own figures.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn tally(&self) -> Result<Tally, Refusal> {
        let page = self.read(|connection| Ok((vec![tally::count(connection)?], None))).await?;
        Ok(page.rows.into_iter().next().unwrap_or_default())
    }

    /// The addresses of all tenants' runs that have steps under way, for the node's own checks.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn busy_runs(&self) -> Result<Vec<String>, Refusal> {
        Ok(self.read(|connection| Ok((tally::busy_runs(connection)?, None))).await?.rows)
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.0.path
    }

    /// Runs a query on a thread that may wait for the disk, and says how far its rows had come.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<Rows<T>, QueryError> + Send + 'static,
    ) -> Result<Page<T>, Refusal> {
        let inner = self.0.clone();
        let task = tokio::task::spawn_blocking(move || inner.page(query));
        match task.await {
            Ok(answer) => answer.map_err(Refusal::from),
            Err(_) => {
                Err(Refusal::new("LST-0003", ErrorKind::Internal, "reading a list has failed: see the node's log"))
            }
        }
    }
}

impl Inner {
    fn page<T>(&self, query: impl FnOnce(&Connection) -> Result<Rows<T>, QueryError>) -> Result<Page<T>, QueryError> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path)?,
        };
        // One snapshot for the rows and the position that they reflect.
        let transaction = connection.transaction()?;
        let position: i64 = transaction.query_row("SELECT position FROM standing", [], |row| row.get(0))?;
        let (rows, next) = query(&transaction)?;
        transaction.finish()?;
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_READERS_MAX {
            idle.push(connection);
        }
        Ok(Page { rows, next, position: Position(u64::try_from(position).unwrap_or(0)) })
    }
}

impl Lists for ReadModel {
    fn runs<'a>(
        &'a self,
        scope: &'a TenantScope,
        filter: RunFilter,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<RunRow>, Refusal>> {
        let scope = scope.clone();
        Box::pin(self.read(move |connection| runs::page(connection, &scope, &filter, &page)))
    }

    fn approvals<'a>(
        &'a self,
        scope: &'a TenantScope,
        filter: ApprovalFilter,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<ApprovalRow>, Refusal>> {
        let scope = scope.clone();
        Box::pin(self.read(move |connection| approvals::page(connection, &scope, &filter, &page)))
    }

    fn collections<'a>(
        &'a self,
        scope: &'a TenantScope,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<String>, Refusal>> {
        let scope = scope.clone();
        Box::pin(self.read(move |connection| collections::page(connection, &scope, &page)))
    }

    fn tasks<'a>(
        &'a self,
        scope: &'a TenantScope,
        filter: TaskFilter,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<TaskRow>, Refusal>> {
        let scope = scope.clone();
        Box::pin(self.read(move |connection| tasks::page(connection, &scope, &filter, &page)))
    }

    fn definitions<'a>(
        &'a self,
        scope: &'a TenantScope,
        name: Option<String>,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<DefinitionRow>, Refusal>> {
        let scope = scope.clone();
        Box::pin(self.read(move |connection| definitions::page(connection, &scope, name, &page)))
    }

    fn users<'a>(
        &'a self,
        scope: &'a TenantScope,
        skill: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, u32)>, Refusal>> {
        let (scope, skill) = (scope.clone(), skill.to_owned());
        Box::pin(async move {
            let read = self.read(move |connection| {
                let rows = definitions::users(connection, &scope, &skill)?;
                Ok((rows, None))
            });
            read.await.map(|page| page.rows)
        })
    }

    fn blueprints<'a>(
        &'a self,
        scope: &'a TenantScope,
        name: Option<String>,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<BlueprintRow>, Refusal>> {
        let scope = scope.clone();
        Box::pin(self.read(move |connection| blueprints::page(connection, &scope, name, &page)))
    }

    fn products<'a>(
        &'a self,
        scope: &'a TenantScope,
        name: Option<String>,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<ProductRow>, Refusal>> {
        let scope = scope.clone();
        Box::pin(self.read(move |connection| products::page(connection, &scope, name, &page)))
    }

    fn tenants<'a>(
        &'a self,
        scope: Option<&'a TenantScope>,
        filter: TenantFilter,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<TenantRow>, Refusal>> {
        let scope = scope.cloned();
        Box::pin(self.read(move |connection| tenants::page(connection, scope.as_ref(), &filter, &page)))
    }

    fn keys<'a>(
        &'a self,
        scope: &'a TenantScope,
        include_revoked: bool,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<KeyRow>, Refusal>> {
        let scope = scope.clone();
        Box::pin(self.read(move |connection| tenants::keys_page(connection, &scope, include_revoked, &page)))
    }

    fn position(&self) -> Position {
        self.0.moved.borrow().position
    }

    fn cursor(&self) -> Option<Cursor> {
        self.0.moved.borrow().cursor.clone()
    }

    fn wait_for<'a>(&'a self, position: Position, timeout: Duration) -> BoxFuture<'a, Result<Position, Refusal>> {
        let mut moved = self.0.moved.subscribe();
        Box::pin(async move {
            let _waiting = Waiting::new(&self.0.waiting);
            let reached = moved.wait_for(|standing| standing.position >= position);
            match tokio::time::timeout(timeout, reached).await {
                Ok(Ok(standing)) => Ok(standing.position),
                Ok(Err(_)) | Err(_) => Err(late(position)),
            }
        })
    }
}

/// Somebody who waits, until it is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

fn late(position: Position) -> Refusal {
    Refusal::new(
        "LST-0004",
        ErrorKind::Unavailable,
        format!("the lists have not come to position {position} in time: ask again, or read the entity by its id"),
    )
    .after(Duration::from_millis(500))
}

impl Collections for ReadModel {
    fn names<'a>(&'a self, scope: &'a TenantScope, most: usize) -> BoxFuture<'a, Result<(Vec<String>, bool), Refusal>> {
        Box::pin(async move {
            let page = self.collections(scope, PageRequest { size: most, after: None }).await?;
            Ok((page.rows, page.next.is_some()))
        })
    }
}
