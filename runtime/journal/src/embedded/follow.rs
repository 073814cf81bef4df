//! Feeds: the log in order, up to what is durable, then live.
//!
//! A feed that keeps up takes batches from memory; one that lags reads them from the disk. It waits
//! without polling: the writer wakes a feed once for each batch that holds what it asked for.

use std::{sync::Arc, time::Duration};

use mesh_kernel::{
    BoxFuture,
    envelope::{Address, Shard, TenantId},
    ports::{Cursor, Feed, Followed, JournalError, Recorded},
};

use super::{
    bells::Bell,
    cursor::{self, Stand},
    error::damaged,
    log::{Place, record::Kind, segment},
    scan::{self, Batch},
    shared::{End, Shared, WriterState},
    tail::Kept,
};

/// About how much one answer holds, at most; a single batch may hold more. **Units**: bytes.
const ANSWER_BYTES: usize = 256 * 1024;

/// How long a feed that is not rung for everything stays behind, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One follower.
pub(super) struct LogFeed {
    shared: Arc<Shared>,
    bell: Arc<Bell>,
    shard: Option<Shard>,
    tenant: Option<TenantId>,
    stand: Stand,
    /// It had seen all there was, after it last asked its bell.
    caught_up: bool,
}

impl LogFeed {
    pub(super) fn new(shared: Arc<Shared>, shard: Option<Shard>, from: Option<Cursor>) -> Result<Self, JournalError> {
        let stand = match from {
            None => scan::beginning(&shared),
            Some(from) => cursor::decode(&shared.store, shard, &from)
                .filter(|stand| stand.next_batch <= shared.end().next_batch)
                .ok_or(JournalError::BadCursor)?,
        };
        let stand = scan::nothing_missed(&shared, stand)?;
        Ok(Self { bell: shared.bells.hang(), shared, shard, tenant: None, stand, caught_up: false })
    }

    /// What there is from here on, perhaps nothing; moves on only when it can be answered.
    async fn fetch(&mut self) -> Result<Vec<Recorded>, JournalError> {
        self.pass_over();
        loop {
            let end = self.shared.end();
            if self.stand.next_batch >= end.next_batch {
                self.caught_up = true;
                self.stand.position = self.stand.position.max(end.last);
                return Ok(Vec::new());
            }
            let (records, stand) = match self.kept_in_memory(end) {
                Some(kept) => kept,
                None => {
                    let (batches, stand) = self.left_on_disk(end).await?;
                    self.decode(&batches, stand)?
                }
            };
            self.stand = stand;
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// Moves on to the first batch that holds something of its tenant, without a look at those before it.
    ///
    /// INVARIANT: a batch at or behind the stand, when it had caught up, is told of after the bell was last
    /// asked; so either the bell names the first that is wanted, or none of those it knows of is.
    fn pass_over(&mut self) {
        if !self.caught_up || self.tenant.is_none() {
            return;
        }
        let (stand, is_wanted) = self.shared.bells.ask(&self.bell);
        self.caught_up = !is_wanted;
        if stand.next_batch > self.stand.next_batch {
            let position = self.stand.position.max(stand.position);
            self.stand = Stand { position, freed: self.stand.freed, ..stand };
        }
    }

    /// The next batches, when the first of them is still in memory.
    fn kept_in_memory(&self, end: End) -> Option<(Vec<Recorded>, Stand)> {
        let batches = self.kept(end);
        let mut stand = self.stand;
        let mut records = Vec::with_capacity(batches.iter().map(|kept| kept.events.len()).sum());
        for kept in &batches {
            records.extend(kept.events.iter().filter(|record| self.wants(&record.address)).cloned());
            stand = Stand { freed: stand.freed, ..kept.behind(stand.position) };
        }
        (!batches.is_empty()).then_some((records, stand))
    }

    fn kept(&self, end: End) -> Vec<Kept> {
        let tail = self.shared.tail.lock();
        let mut bytes = 0;
        (self.stand.next_batch..end.next_batch)
            .map_while(|number| {
                let kept = tail.get(number).filter(|_| bytes < ANSWER_BYTES)?;
                bytes += kept.len;
                Some(kept)
            })
            .collect()
    }

    async fn left_on_disk(&self, end: End) -> Result<(Vec<Batch>, Stand), JournalError> {
        let (shared, stand) = (self.shared.clone(), self.stand);
        tokio::task::spawn_blocking(move || {
            // Both before and after: what is freed in between must not be missed in silence.
            let stand = scan::nothing_missed(&shared, stand)?;
            let read = scan::read_batches(&shared, stand, end, ANSWER_BYTES);
            scan::nothing_missed(&shared, stand)?;
            read
        })
        .await
        .unwrap_or(Err(JournalError::Closed))
    }

    fn decode(&self, batches: &[Batch], mut stand: Stand) -> Result<(Vec<Recorded>, Stand), JournalError> {
        let mut records = Vec::new();
        for batch in batches {
            let from = if batch.is_sparse { stand.place.offset } else { 0 };
            let segment = batch.place.segment;
            let walk = batch.walk()?;
            walk.each(|found| {
                let position = Place { segment, offset: found.offset }.into();
                if found.offset < from {
                    return Ok(());
                }
                if found.record.kind == Kind::Event {
                    let address = found.record.address.parse().map_err(|_| "the address of a record is none")?;
                    if self.wants(&address) {
                        let event = batch.frame.slice_ref(found.record.envelope).into();
                        records.push(Recorded { address, version: found.record.version, position, event });
                    }
                }
                if found.record.kind != Kind::Wake {
                    stand.position = position;
                }
                if batch.is_sparse {
                    stand.place.offset = found.offset + found.bytes.len() as u64;
                }
                Ok(())
            })
            .map_err(|(offset, what)| damaged(&segment::name(segment), offset, what))?;
            stand = batch.behind(stand, &walk);
        }
        Ok((records, stand))
    }

    fn wants(&self, address: &Address) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| tenant == address.tenant())
            && self.shard.is_none_or(|shard| shard == address.shard())
            && !self.is_erased(address)
    }

    /// What an erased tenant left is nobody's any more, although its bytes may still be there.
    fn is_erased(&self, address: &Address) -> bool {
        let index = self.shared.index.read();
        !index.erased.is_empty() && index.erased.contains_key(&self.shared.keys.tenant_of(address.as_str()))
    }

    fn followed(&self, records: Vec<Recorded>) -> Followed {
        Followed {
            records,
            cursor: cursor::encode(&self.shared.store, self.shard, self.stand),
            position: self.stand.position,
        }
    }
}

impl Feed for LogFeed {
    fn only(&mut self, types: &'static [&'static str]) {
        self.bell.only(types);
    }

    fn of(&mut self, tenant: &TenantId) {
        self.shared.bells.hang_for(tenant, &self.bell);
        self.tenant = Some(tenant.clone());
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Followed, JournalError>> {
        Box::pin(async move {
            loop {
                let records = self.fetch().await?;
                if !records.is_empty() {
                    return Ok(self.followed(records));
                }
                if *self.shared.state.lock() == WriterState::Closed {
                    return Err(JournalError::Closed);
                }
                if self.tenant.is_none() && self.bell.may_miss() {
                    let _looks_now_and_then = tokio::time::timeout(LOOK_EVERY, self.bell.rung()).await;
                } else {
                    self.bell.rung().await;
                }
            }
        })
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Followed, JournalError>> {
        Box::pin(async move {
            let records = self.fetch().await?;
            Ok(self.followed(records))
        })
    }
}

impl Drop for LogFeed {
    fn drop(&mut self) {
        self.shared.bells.take_down(&self.bell, self.tenant.as_ref());
    }
}
