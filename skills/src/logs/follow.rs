//! Following the logs of a run: what is there, then what comes.

use std::{collections::BTreeMap, sync::Arc};

use mesh_kernel::envelope::TenantScope;
use tokio::sync::watch;

use super::{LogError, LogId, LogLine, LogStore, topic::Topic};

/// Read from one log at a time; the rest comes with the next chunk. **Units**: bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// New lines of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Which attempt.
    pub id: LogId,
    /// Whole lines, in order.
    pub lines: Vec<LogLine>,
}

/// A follower of a run's logs. No line is lost or told twice; dropping it ends it.
#[derive(Debug)]
pub struct Follower {
    store: Arc<LogStore>,
    scope: TenantScope,
    run: String,
    step: Option<String>,
    topic: Arc<Topic>,
    news: watch::Receiver<u64>,
    /// The number in the topic up to which everything was looked at; `None` before the first look.
    seen: Option<u64>,
    /// How far each log was read.
    offsets: BTreeMap<LogId, u64>,
    /// Logs that had more than one chunk.
    unread: Vec<LogId>,
}

impl LogStore {
    /// Follows all logs of a run, or of one step of it: first what is there, then what comes.
    pub fn follow(self: &Arc<Self>, scope: &TenantScope, run: &str, step: Option<&str>) -> Follower {
        let topic = self.topic(scope, run);
        Follower {
            store: self.clone(),
            scope: scope.clone(),
            run: run.to_owned(),
            step: step.map(str::to_owned),
            news: topic.listen(),
            topic,
            seen: None,
            offsets: BTreeMap::new(),
            unread: Vec::new(),
        }
    }
}

impl Follower {
    /// The next lines: at least one chunk, waiting for it when there is none.
    ///
    /// **Cancel safety**: a dropped future loses nothing.
    ///
    /// # Errors
    /// [`LogError`] when a log cannot be read; the next call tries again.
    pub async fn next(&mut self) -> Result<Vec<Chunk>, LogError> {
        loop {
            let chunks = self.poll()?;
            if !chunks.is_empty() {
                return Ok(chunks);
            }
            if self.news.changed().await.is_err() {
                // The topic is held by this follower, so its sender cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The lines that are there now; empty when there is nothing new.
    ///
    /// # Errors
    /// [`LogError`] when a log cannot be read.
    pub fn poll(&mut self) -> Result<Vec<Chunk>, LogError> {
        self.news.mark_unchanged();
        let mut grown = std::mem::take(&mut self.unread);
        let (touched, now) = self.topic.since(self.seen.unwrap_or(0));
        if self.seen.is_none() {
            let all = self.store.list(&self.scope, &self.run)?;
            grown.extend(all.into_iter().map(|entry| entry.id));
        }
        self.seen = Some(now);
        grown.extend(touched);
        grown.sort();
        grown.dedup();
        let mut chunks = Vec::new();
        for id in grown {
            if self.step.as_ref().is_none_or(|step| *step == id.step) {
                self.read(id, &mut chunks)?;
            }
        }
        Ok(chunks)
    }

    fn read(&mut self, id: LogId, chunks: &mut Vec<Chunk>) -> Result<(), LogError> {
        let from = self.offsets.get(&id).copied().unwrap_or(0);
        let page = self.store.read(&self.scope, &id, from, CHUNK_BYTES)?;
        self.offsets.insert(id.clone(), page.next);
        if page.more {
            self.unread.push(id.clone());
        }
        if !page.lines.is_empty() {
            chunks.push(Chunk { id, lines: page.lines });
        }
        Ok(())
    }
}
