//! The connections of all tenants: made on first use, closed when nobody uses them, made anew with patience.

use std::{collections::HashMap, sync::Arc, time::Duration};

use mesh_kernel::{envelope::TenantId, task};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{declare, link::Link, reach::Settings};
use crate::contract::{Failure, Manifest, McpDeclaration, McpServer};

/// Connections of one tenant.
const LINKS_MAX: usize = 16;

/// Servers that are asked for their tools at once, by all tenants: each is a process or a connection of its own.
const ASKED_MAX: usize = 8;

/// The wait after the first failed connection; it doubles with each.
const PATIENCE: Duration = Duration::from_millis(500);

/// The longest wait after a failed connection.
const PATIENCE_MAX: Duration = Duration::from_secs(30);

/// Whose connection to which server: a tenant's, and everything that is said of how it is reached.
type Key = (TenantId, String);

/// The servers of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct McpServers {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    asked: Semaphore,
    stopped: CancellationToken,
}

/// The place of one connection.
#[derive(Default)]
struct Slot {
    stands: tokio::sync::Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    link: Option<Arc<Link>>,
    /// How often in a row it could not be made, and until when nobody tries.
    failed: u32,
    not_before: Option<Instant>,
}

impl McpServers {
    /// Servers under these conditions.
    pub fn new(settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                settings,
                slots: Mutex::default(),
                asked: Semaphore::new(ASKED_MAX),
                stopped: CancellationToken::new(),
            }),
        }
    }

    /// What a server's tools would be as skills, asked of the server now.
    ///
    /// # Errors
    /// When it may not be connected to or cannot be reached, its list is not the expected one, or a tool can be no
    /// skill.
    pub async fn skills_of(&self, tenant: &TenantId, declaration: &McpDeclaration) -> Result<Vec<Manifest>, Failure> {
        declare::check(declaration)?;
        let _turn = self.inner.asked.try_acquire().map_err(|_| {
            let message = format!("{ASKED_MAX} MCP servers are being asked for their tools: try again in a moment");
            Failure::resource("mcp.busy", message).after(Duration::from_secs(1))
        })?;
        // Made for this question alone, so that what is told is not what somebody remembers.
        let link = Link::open(&self.inner.settings, tenant, &declaration.server).await?;
        let listing = link.listing().await;
        link.close().await;
        declare::manifests(declaration, &*listing?)
    }

    /// The tenant's connection to a server, made when there is none.
    pub(super) async fn link(&self, tenant: &TenantId, server: &McpServer) -> Result<Arc<Link>, Failure> {
        let slot = self.slot(tenant, server)?;
        let mut stands = slot.stands.lock().await;
        if let Some(link) = stands.link.as_ref().filter(|link| link.is_alive()) {
            return Ok(link.clone());
        }
        if let Some(lost) = stands.link.take() {
            task::spawn("mcp-close", async move { lost.close().await });
        }
        if let Some(left) = stands.not_before.map(|at| at.saturating_duration_since(Instant::now()))
            && !left.is_zero()
        {
            let message = format!("the MCP server `{}` could not be reached a moment ago", server.name);
            return Err(Failure::external("mcp.unreachable", message).unasked().after(left));
        }
        match Link::open(&self.inner.settings, tenant, server).await {
            Ok(link) => {
                let link = Arc::new(link);
                *stands = Standing { link: Some(link.clone()), failed: 0, not_before: None };
                self.mind(slot.clone());
                Ok(link)
            }
            Err(failure) => {
                let wait = PATIENCE.saturating_mul(2_u32.saturating_pow(stands.failed)).min(PATIENCE_MAX);
                stands.failed = stands.failed.saturating_add(1);
                stands.not_before = Some(Instant::now() + wait);
                Err(failure.after(wait))
            }
        }
    }

    fn slot(&self, tenant: &TenantId, server: &McpServer) -> Result<Arc<Slot>, Failure> {
        if self.inner.stopped.is_cancelled() {
            return Err(Failure::external("mcp.lost", "the node stops"));
        }
        let key = (tenant.clone(), serde_json::to_string(server).unwrap_or_default());
        let mut slots = self.inner.slots.lock();
        if let Some(slot) = slots.get(&key) {
            return Ok(slot.clone());
        }
        if slots.keys().filter(|(owner, _)| owner == tenant).count() >= LINKS_MAX {
            // Places in which nothing stands, and that nobody looks at, make room.
            slots.retain(|(owner, _), slot| owner != tenant || !slot.is_empty());
        }
        if slots.keys().filter(|(owner, _)| owner == tenant).count() >= LINKS_MAX {
            let message = format!("{LINKS_MAX} MCP servers are connected already: try again when one is not used");
            return Err(Failure::resource("mcp.busy", message).after(self.inner.settings.idle));
        }
        Ok(slots.entry(key).or_default().clone())
    }

    /// Closes a connection when it is lost, or nobody uses it any more.
    fn mind(&self, slot: Arc<Slot>) {
        let (idle, stopped) = (self.inner.settings.idle, self.inner.stopped.clone());
        task::spawn("mcp-idle", async move {
            loop {
                let left = {
                    let mut stands = slot.stands.lock().await;
                    let Some(link) = &stands.link else { return };
                    let left = link.idle_since().map_or(idle, |since| idle.saturating_sub(since.elapsed()));
                    if left.is_zero() || !link.is_alive() || stopped.is_cancelled() {
                        let link = stands.link.take();
                        drop(stands);
                        if let Some(link) = link {
                            link.close().await;
                        }
                        return;
                    }
                    left.clamp(Duration::from_millis(20), Duration::from_secs(1))
                };
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    () = stopped.cancelled() => {}
                }
            }
        });
    }

    /// Closes everything of a tenant that is deleted.
    pub async fn forget(&self, tenant: &TenantId) {
        let mut gone = Vec::new();
        self.inner.slots.lock().retain(|(owner, _), slot| {
            let is_other = owner != tenant;
            if !is_other {
                gone.push(slot.clone());
            }
            is_other
        });
        close(gone).await;
    }

    /// Closes everything: the node stops.
    pub async fn stop(&self) {
        self.inner.stopped.cancel();
        let all = self.inner.slots.lock().drain().map(|(_, slot)| slot).collect();
        close(all).await;
    }
}

impl Slot {
    fn is_empty(self: &Arc<Self>) -> bool {
        // The map and whoever asks; somebody who is about to connect holds one more.
        Arc::strong_count(self) <= 1 && self.stands.try_lock().is_ok_and(|stands| stands.link.is_none())
    }
}

async fn close(slots: Vec<Arc<Slot>>) {
    let one = |slot: Arc<Slot>| async move {
        let link = slot.stands.lock().await.link.take();
        if let Some(link) = link {
            link.close().await;
        }
    };
    futures_util::future::join_all(slots.into_iter().map(one)).await;
}
