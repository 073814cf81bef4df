//! Bodies that no event names any more.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use mesh_journal::FolderStore;
use mesh_kernel::{
    entity::Decider as _,
    envelope::{TenantId, Timestamp},
    path::Mesh,
    ports::Digest,
};
use mesh_platforms::governance::machines::approval::ApprovalMachine;
use parking_lot::Mutex;

/// How long after the last look everything is looked through again, when nothing was archived: a crash
/// may have left a body whose event never came.
const AT_LEAST_EVERY: Duration = Duration::from_secs(24 * 3_600);

type Body = (TenantId, Digest);

/// Finds them, and removes those that nobody named for as long as a command may take.
pub(super) struct UnusedBodies {
    store: Arc<FolderStore>,
    /// A body is stored before the event that names it, by at most this long.
    grace: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What nobody named at the last looks, and since when, as far as it was not stored again.
    suspects: HashMap<Body, Timestamp>,
    looked_at: Option<Timestamp>,
}

impl UnusedBodies {
    pub(super) fn new(store: Arc<FolderStore>, grace: Duration) -> Self {
        Self { store, grace, state: Mutex::default() }
    }

    /// Looks when there is a reason to.
    ///
    /// **Cost**: one read of the journal, when there are bodies at all.
    pub(super) async fn sweep(&self, mesh: &Mesh, is_due: bool, now: Timestamp) -> Result<()> {
        let put = self.store.take_puts();
        {
            let mut state = self.state.lock();
            let again = state.suspects.iter_mut().filter(|(body, _)| put.contains(*body));
            again.for_each(|(_, since)| *since = now);
            let is_old = state.looked_at.is_none_or(|at| now.since(at) >= AT_LEAST_EVERY);
            if !is_due && !is_old && state.suspects.is_empty() {
                return Ok(());
            }
        }
        let store = self.store.clone();
        let all = tokio::task::spawn_blocking(move || store.list()).await.context("the node is stopping")??;
        let mut unnamed: HashSet<Body> = all.into_iter().collect();
        if !unnamed.is_empty() {
            self.strike_out_named(mesh, &mut unnamed).await?;
        }
        let before = std::mem::take(&mut self.state.lock().suspects);
        let (mut suspects, mut removed) = (HashMap::new(), 0);
        for body in unnamed {
            let since = before.get(&body).copied().unwrap_or(now);
            if now.since(since) > self.grace && self.store.remove_unless_put(&body.0, body.1).await? {
                removed += 1;
            } else {
                suspects.insert(body, since);
            }
        }
        if removed > 0 {
            tracing::info!(bodies = removed, "bodies that nobody names are gone");
        }
        *self.state.lock() = State { suspects, looked_at: Some(now) };
        Ok(())
    }

    /// Leaves only what no event in the journal names, and no command that waits for an approval.
    async fn strike_out_named(&self, mesh: &Mesh, unnamed: &mut HashSet<Body>) -> Result<()> {
        let mut feed = mesh.journal().follow(None, None)?;
        loop {
            let followed = feed.poll().await?;
            if followed.records.is_empty() {
                return Ok(());
            }
            for record in followed.records {
                let envelope = record.event.envelope()?;
                // What an archived run has left until it is freed names nothing any more.
                for digest in digests(&envelope.payload) {
                    let body = (envelope.tenant_id.clone(), digest);
                    let is_live = mesh.journal().version(&record.address).await? > 0;
                    // A command that waits is a body itself, and names others that no event names yet.
                    if is_live && unnamed.remove(&body) && record.address.is(ApprovalMachine::KIND) {
                        let held = self.store.read(&body.0, digest).await?;
                        let inner: HashSet<Digest> = digests(&held).into_iter().collect();
                        unnamed.retain(|(tenant, digest)| *tenant != body.0 || !inner.contains(digest));
                    }
                }
            }
        }
    }
}

/// Every digest that stands in a text.
fn digests(bytes: &[u8]) -> Vec<Digest> {
    let text = String::from_utf8_lossy(bytes);
    let at = text.match_indices("sha256:");
    at.filter_map(|(at, _)| text.get(at..at + "sha256:".len() + 64)?.parse().ok()).collect()
}
