//! The figures of a node: where they come from, and one text of all of them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use mesh_journal::EmbeddedJournal;
use mesh_kernel::{
    envelope::Timestamp,
    path::Mesh,
    ports::{Clock, Position},
};
use mesh_skills::{hosts::worker::Workers, models::meter::Meter, pools::Pools};
use parking_lot::Mutex;

use super::{
    Requests, gather,
    otlp::Sink,
    process,
    tenants::Named,
    text::{Form, Text},
};
use crate::{
    backup::BackUps,
    readmodel::{ReadModel, Tally},
};

/// How long a tally of the lists is told again: it reads every run there is.
const TALLY_FOR: Duration = Duration::from_secs(10);

/// Who says how far followers have come.
pub trait Followers: Send + Sync {
    /// Up to where each follower has come that has moved since the start.
    fn positions(&self) -> BTreeMap<String, Position>;
}

/// Where the figures come from.
pub struct Sources {
    /// The kernel.
    pub mesh: Mesh,
    /// The journal's engine.
    pub journal: Arc<EmbeddedJournal>,
    /// The read models.
    pub lists: Arc<ReadModel>,
    /// How far reactors have come.
    pub followers: Arc<dyn Followers>,
    /// The gateway's requests.
    pub requests: Arc<Requests>,
    /// Copies of the data folder.
    pub backups: Arc<BackUps>,
    /// The file of archived runs.
    pub archive: PathBuf,
    /// The way to the collector of traces, when there is one.
    pub sink: Option<Sink>,
    /// What asking models took.
    pub models: Arc<Meter>,
    /// The rates and breakers of skills' calls.
    pub pools: Pools,
    /// The workers that are connected.
    pub workers: Workers,
    /// The clock of the node.
    pub clock: Arc<dyn Clock>,
    /// When the node started.
    pub started: Timestamp,
    /// How many tenants are named at most.
    pub tenants_max: usize,
}

/// The figures of a node, gathered when they are asked for.
pub struct Metrics {
    sources: Sources,
    named: Named,
    tally: Mutex<Option<(Duration, Tally)>>,
}

impl Metrics {
    /// The figures of these parts.
    pub fn new(sources: Sources) -> Arc<Self> {
        let named = Named::new(sources.tenants_max);
        Arc::new(Self { sources, named, tally: Mutex::default() })
    }

    /// All figures in the text form that Prometheus reads.
    ///
    /// **Cost**: one short lock for each awake entity; the runs are counted at most every ten seconds.
    pub async fn text(&self) -> String {
        let sources = &self.sources;
        let mut text = Text::default();
        text.family("mesh_build_info", Form::Gauge, "The version that runs; always 1.")
            .tell(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        process::tell(&mut text, since_epoch(sources.started));
        gather::messages(&mut text, &sources.mesh, &self.named);
        gather::actors(&mut text, &sources.mesh);
        gather::journal(&mut text, &sources.mesh, &sources.journal);
        gather::followers(&mut text, &sources.journal, sources.followers.as_ref(), sources.lists.as_ref());
        gather::requests(&mut text, &sources.requests);
        gather::models(&mut text, &sources.models);
        gather::pools(&mut text, &sources.pools, &self.named);
        gather::workers(&mut text, &sources.workers, &self.named);
        gather::kept(&mut text, &sources.archive, &sources.backups);
        if let Some(sink) = &sources.sink {
            gather::traces(&mut text, sink);
        }
        if let Some(tally) = self.tally().await {
            gather::lists(&mut text, &tally);
        }
        text.done()
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What the lists count; none while they cannot be read, which is told by the samples' absence.
    async fn tally(&self) -> Option<Tally> {
        let now = self.sources.clock.monotonic();
        let kept = self.tally.lock().clone();
        if let Some((_, tally)) = kept.filter(|(at, _)| now.saturating_sub(*at) < TALLY_FOR) {
            return Some(tally);
        }
        let tally = self.sources.lists.tally().await.inspect_err(|refusal| {
            tracing::warn!(%refusal, "the lists could not be counted");
        });
        let tally = tally.ok()?;
        *self.tally.lock() = Some((now, tally.clone()));
        Some(tally)
    }
}

fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_nanos(u64::try_from(at.unix_nanos()).unwrap_or(0))
}
