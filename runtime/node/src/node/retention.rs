//! Retention: runs that ended long ago are archived, and what they took is freed.
//!
//! A pass keeps a compact record of each, ends its entity in the journal, and marks its row. Every step
//! may be done again: a run that was kept and not ended is kept once more, one that was ended and not
//! marked is marked. Then the journal frees what every follower has seen, and bodies go that nobody names.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use mesh_kernel::{
    envelope::{Address, Headers, TenantId, Timestamp},
    path::{Caller, Mesh},
    ports::{AppendOutcome, Credential, Position, Reclaim, Retire},
};
use mesh_knowledge::lineage::projection::Lineages;
use mesh_skills::logs::LogStore;
use mesh_workflows::run::KIND;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{bodies::UnusedBodies, cursors::FolderCursors};
use crate::{
    archive::{ArchivedRun, RunArchive},
    config::Retention as Settings,
    gateway::lists::Lists as _,
    readmodel::{Over, ReadModel, TaskOver},
    telemetry::Followers as _,
};

/// Runs that are archived with one flush.
const AT_ONCE: usize = 200;
/// How long a pass waits for the lists; else the next one archives.
const LISTS_WITHIN: Duration = Duration::from_secs(2);

/// Archives what is over, every now and then.
pub(super) struct Retention {
    pub(super) mesh: Mesh,
    /// The secret by which the node speaks to itself.
    pub(super) own: String,
    pub(super) settings: Settings,
    pub(super) lists: Arc<ReadModel>,
    pub(super) lineages: Arc<Lineages>,
    pub(super) archive: RunArchive,
    pub(super) logs: Arc<LogStore>,
    pub(super) bodies: UnusedBodies,
    pub(super) cursors: Arc<FolderCursors>,
    /// Every follower beside the lists: nothing is freed that one of them has not seen.
    pub(super) followers: Vec<String>,
    /// Held by whoever archives or deletes: what is deleted must not be archived meanwhile.
    pub(super) keeping: Arc<Mutex<()>>,
}

impl Retention {
    /// Works until told to stop.
    pub(super) async fn run(&self, stop: CancellationToken) {
        // At once: lists that were made anew lack what is archived.
        tokio::select! {
            () = stop.cancelled() => return,
            _tried_again_later = self.show_archived() => {}
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.settings.check_every) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                passed = self.pass() => {
                    if let Err(error) = passed {
                        tracing::warn!(error = format!("{error:#}"), "archiving: tried again later");
                    }
                }
            }
        }
    }

    async fn pass(&self) -> Result<()> {
        let _one = self.keeping.lock().await;
        if !self.show_archived().await? {
            return Ok(());
        }
        let now = self.mesh.now();
        let (mut archived, mut after) = (0, None);
        loop {
            let latest = before(now, self.settings.shortest());
            let page = self.lists.over(latest, after, AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            let is_due = |run: &Over| run.ended <= before(now, self.settings.of(&run.tenant, &run.definition));
            archived += self.archive_all(page.into_iter().filter(is_due).collect(), now).await?;
        }
        let erased = self.erase_tasks(now).await?;
        self.free().await?;
        if archived > 0 || erased > 0 {
            tracing::info!(runs = archived, tasks = erased, "archived");
        }
        self.bodies.sweep(&self.mesh, archived > 0 || erased > 0, now).await
    }

    /// Ends tasks whose runs are archived, and those without a run whose own time is over. No record of them is kept:
    /// what they gave stands in the run's.
    async fn erase_tasks(&self, now: Timestamp) -> Result<usize> {
        let (mut erased, mut after) = (0, None);
        loop {
            let latest = before(now, self.settings.shortest());
            let page = self.lists.tasks_over(latest, after, AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(erased) };
            after = Some(last.clone());
            let mut gone = Vec::with_capacity(page.len());
            for task in page {
                let own = before(now, self.settings.of(&task.tenant, ""));
                if (!task.is_alone || task.ended <= own) && self.end_task(&task).await? {
                    gone.push(task);
                }
            }
            erased += gone.len();
            self.lists.forget_tasks(gone).await?;
        }
    }

    /// Ends a task in the journal; false when it moved meanwhile.
    async fn end_task(&self, task: &TaskOver) -> Result<bool> {
        let address = Address::new(&task.tenant, mesh_agents::task::KIND, &task.id)?;
        let expected_version = self.mesh.journal().version(&address).await?;
        if expected_version == 0 {
            // Its row was made again from events that are not freed yet.
            return Ok(true);
        }
        let epoch = self.mesh.journal().epoch(address.shard());
        let retire = Retire { address: address.clone(), expected_version, epoch };
        match self.mesh.journal().retire(retire).await {
            AppendOutcome::Appended { .. } | AppendOutcome::Retired => {
                self.mesh.directory().kill(&address);
                Ok(true)
            }
            AppendOutcome::WrongVersion { .. } => Ok(false),
            other => bail!("ending `{address}`: {other:?}"),
        }
    }

    /// Puts archived runs into lists that were made anew; false while the lists have not caught up.
    async fn show_archived(&self) -> Result<bool> {
        let are_new_enough = self.lists_are_new_enough().await?;
        if are_new_enough {
            self.lists.show_archived(&self.archive).await.context("showing archived runs in new lists")?;
        }
        Ok(are_new_enough)
    }

    /// Whether the lists know what was durable a moment ago. The ends of entities are durable too, and no
    /// follower hears of them.
    async fn lists_are_new_enough(&self) -> Result<bool> {
        let durable = self.mesh.durable();
        let waited = self.lists.wait_for(durable, LISTS_WITHIN).await.is_ok();
        Ok(waited || self.mesh.journal().follow(None, self.lists.cursor())?.poll().await?.records.is_empty())
    }

    async fn archive_all(&self, due: Vec<Over>, now: Timestamp) -> Result<usize> {
        let (mut fresh, mut done) = (Vec::new(), Vec::new());
        for run in due {
            let caller = self.caller(&run.tenant)?;
            let address = Address::new(&run.tenant, KIND, &run.id)?;
            if self.mesh.journal().version(&address).await? > 0 {
                fresh.extend(self.record(&caller, &address, now).await?);
            } else if let Some(kept) = self.archive.get(caller.scope(), &run.id).await? {
                // Its row was made again from events that are not freed yet, or was not marked.
                done.push(kept);
            }
        }
        self.archive.put(fresh.clone()).await?;
        for run in fresh {
            if self.end(&run).await? {
                done.push(run);
            }
        }
        for run in &done {
            self.logs.remove(self.caller(&run.tenant)?.scope(), &run.id)?;
        }
        self.lists.mark_archived(&done).await?;
        Ok(done.len())
    }

    fn caller(&self, tenant: &TenantId) -> Result<Caller> {
        let node = self.mesh.accept(&Credential::Session(self.own.clone()), None)?;
        Ok(node.acting_for(tenant.clone())?)
    }

    /// The record of a run; none when it goes on by now.
    async fn record(&self, caller: &Caller, address: &Address, now: Timestamp) -> Result<Option<ArchivedRun>> {
        let past = self.mesh.journal().read(address, 1).await?;
        let Some(first) = past.first() else { return Ok(None) };
        let first = first.event.envelope()?;
        // From within: its tenant's quota is for its callers.
        let node = self.mesh.on_behalf("retention", caller.scope(), &first);
        let mut viewed = self.mesh.query(&node, address, "GetRun", "").await?;
        let state = viewed.view.get("state").and_then(|state| state.as_str()).unwrap_or_default();
        if !["Succeeded", "Failed", "Cancelled"].contains(&state) {
            return Ok(None);
        }
        if let Some(fields) = viewed.view.as_object_mut() {
            fields.insert("archivedAt".to_owned(), now.to_string().into());
            let request = first.headers.extensions.get(Headers::REQUEST).cloned();
            fields.insert("requestDigest".to_owned(), request.into());
        }
        Ok(Some(ArchivedRun {
            tenant: address.tenant().clone(),
            id: address.id().to_owned(),
            version: viewed.version,
            at: now,
            view: viewed.view,
        }))
    }

    /// Ends a run in the journal; false when somebody retried it meanwhile.
    async fn end(&self, run: &ArchivedRun) -> Result<bool> {
        let address = Address::new(&run.tenant, KIND, &run.id)?;
        let epoch = self.mesh.journal().epoch(address.shard());
        let retire = Retire { address: address.clone(), expected_version: run.version, epoch };
        match self.mesh.journal().retire(retire).await {
            AppendOutcome::Appended { .. } | AppendOutcome::Retired => {
                // Should it be awake: what it believes is no more.
                self.mesh.directory().kill(&address);
                Ok(true)
            }
            AppendOutcome::WrongVersion { .. } => {
                self.archive.remove(self.caller(&run.tenant)?.scope(), &run.id).await?;
                Ok(false)
            }
            other => bail!("ending `{address}`: {other:?}"),
        }
    }

    /// Frees what every follower has seen, as far as its cursor is written.
    async fn free(&self) -> Result<()> {
        let reached = self.cursors.positions();
        self.cursors.flush();
        let of = |name: &String| reached.get(name).copied().unwrap_or_default();
        let seen = self
            .followers
            .iter()
            .map(of)
            .chain([self.lists.position(), self.lineages.kept()])
            .min()
            .unwrap_or_default();
        let marks = Reclaim { seen, tombstones_before: Position(0) };
        let freed = self.mesh.journal().reclaim(marks).await.context("freeing the journal's room")?;
        if freed.bytes > 0 {
            tracing::info!(bytes = freed.bytes, "the journal gave room back");
        }
        Ok(())
    }
}

fn before(now: Timestamp, time: Duration) -> Timestamp {
    let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_unix_nanos(now.unix_nanos().saturating_sub(nanos))
}
