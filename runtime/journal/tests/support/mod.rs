//! What the fault tests share: a journal on simulated files, and the check after every fault.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests; each binary uses its own part of this"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::future::join_all;
use mesh_journal::{EmbeddedJournal, OpenError, Options, files::SimFiles};
use mesh_kernel::{
    envelope::{Address, TenantId, TenantScope},
    ports::{Append, AppendOutcome, Cursor, Journal, Recorded, Retire, Wake},
};

pub(crate) fn address(name: &str) -> Address {
    format!("acme/suite/thing/{name}").parse().unwrap()
}

/// An event whose bytes tell whose it is, which version it has, and how long it is.
pub(crate) fn event(address: &Address, version: u64, len: usize) -> Bytes {
    let mut bytes = format!("{address} {version} ").into_bytes();
    let seed = bytes.len();
    bytes.extend((0..len).map(|at| (at * 31 + seed + version as usize) as u8));
    Bytes::from(bytes)
}

pub(crate) fn open(files: &SimFiles) -> Result<Arc<EmbeddedJournal>, OpenError> {
    open_with(files, Options::simulation())
}

pub(crate) fn open_with(files: &SimFiles, options: Options) -> Result<Arc<EmbeddedJournal>, OpenError> {
    EmbeddedJournal::open_on(Arc::new(files.clone()), options)
}

pub(crate) fn request(journal: &dyn Journal, address: &Address, after: u64, count: u64, len: usize) -> Append {
    Append {
        address: address.clone(),
        expected_version: after,
        epoch: journal.epoch(address.shard()),
        events: (1..=count).map(|nth| event(address, after + nth, len).into()).collect(),
        key: None,
        wake: Wake::Idle,
    }
}

/// What a client knows: which versions were acknowledged, and which were asked for without an
/// answer that says so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) acknowledged: BTreeMap<Address, u64>,
    /// The versions that an entity may have come to by appends whose fate is not known.
    pub(crate) asked: BTreeMap<Address, BTreeSet<u64>>,
    pub(crate) len: usize,
    /// Who was retired, or was asked to be: the former have ended for certain.
    pub(crate) ended: BTreeSet<Address>,
    pub(crate) ending: BTreeSet<Address>,
}

impl Known {
    pub(crate) fn version(&self, address: &Address) -> u64 {
        self.acknowledged.get(address).copied().unwrap_or(0)
    }

    pub(crate) async fn append(&mut self, journal: &dyn Journal, address: &Address, count: u64) -> AppendOutcome {
        let after = self.version(address);
        self.ask(address, after + count);
        let outcome = journal.append(request(journal, address, after, count, self.len)).await;
        self.learn(address, &outcome);
        outcome
    }

    /// Appends to several entities at once, so that they share flushes.
    pub(crate) async fn append_all(&mut self, journal: &dyn Journal, all: &[(Address, u64)]) -> Vec<AppendOutcome> {
        let mut requests = Vec::new();
        for (address, count) in all {
            let after = self.version(address);
            self.ask(address, after + count);
            requests.push(journal.append(request(journal, address, after, *count, self.len)));
        }
        let outcomes = join_all(requests).await;
        for ((address, _), outcome) in all.iter().zip(&outcomes) {
            self.learn(address, outcome);
        }
        outcomes
    }

    /// Retires an entity at the version that is known.
    pub(crate) async fn retire(&mut self, journal: &dyn Journal, address: &Address) -> AppendOutcome {
        let expected_version = self.version(address);
        self.ending.insert(address.clone());
        let epoch = journal.epoch(address.shard());
        let outcome = journal.retire(Retire { address: address.clone(), expected_version, epoch }).await;
        match &outcome {
            AppendOutcome::Appended { .. } | AppendOutcome::Retired => self.has_ended(address),
            AppendOutcome::WrongVersion { .. } | AppendOutcome::Full { .. } => {
                self.learn(address, &outcome);
                self.ending.remove(address);
            }
            _ => {}
        }
        outcome
    }

    /// Erases a tenant.
    pub(crate) async fn erase(&mut self, journal: &dyn Journal, tenant: &str) -> AppendOutcome {
        let known = self.acknowledged.keys().chain(self.asked.keys());
        let theirs: Vec<Address> = known.filter(|who| who.tenant().as_str() == tenant).cloned().collect();
        self.ending.extend(theirs.iter().cloned());
        let scope = TenantScope::unproven(TenantId::parse(tenant).unwrap());
        let outcome = journal.erase(&scope).await;
        match &outcome {
            AppendOutcome::Appended { .. } => theirs.iter().for_each(|who| self.has_ended(who)),
            AppendOutcome::Full { .. } => theirs.iter().for_each(|who| {
                self.ending.remove(who);
            }),
            _ => {}
        }
        outcome
    }

    fn has_ended(&mut self, address: &Address) {
        self.ending.remove(address);
        self.acknowledged.remove(address);
        self.asked.remove(address);
        self.ended.insert(address.clone());
    }

    /// Ended entities have nothing; those that may have ended have all or nothing.
    async fn check_ends(&mut self, journal: &dyn Journal, context: &str) {
        for address in &self.ended {
            assert_eq!(journal.version(address).await.unwrap(), 0, "{context}: {address} came back");
            assert!(journal.read(address, 1).await.unwrap().is_empty(), "{context}: {address} came back");
        }
        for address in self.ending.clone() {
            let version = journal.version(&address).await.unwrap();
            // What is seen to have ended has; what is seen to live may still end at a restart.
            if version == 0 && self.version(&address) > 0 {
                self.has_ended(&address);
            }
        }
    }

    fn ask(&mut self, address: &Address, to: u64) {
        self.asked.entry(address.clone()).or_default().insert(to);
    }

    fn learn(&mut self, address: &Address, outcome: &AppendOutcome) {
        match outcome {
            AppendOutcome::Appended { version, .. } => {
                self.acknowledged.insert(address.clone(), *version);
                self.asked.remove(address);
            }
            AppendOutcome::Retired => {
                assert!(self.ending.contains(address) || self.ended.contains(address), "{address} never ended");
                self.has_ended(address);
            }
            AppendOutcome::WrongVersion { actual } => {
                let possible = self.asked.remove(address).unwrap_or_default();
                assert!(possible.contains(actual), "{address} is at {actual}, of {possible:?}");
                self.acknowledged.insert(address.clone(), *actual);
            }
            _ => {}
        }
    }

    /// Everything acknowledged is there; what was asked for is whole or absent; nothing else is
    /// there; feeds and reads agree. Takes what it finds as acknowledged from now on.
    pub(crate) async fn check(&mut self, journal: &dyn Journal, context: &str) {
        self.check_ends(journal, context).await;
        let mut names: Vec<Address> = self.acknowledged.keys().chain(self.asked.keys()).cloned().collect();
        names.sort();
        names.dedup();
        let mut count = 0;
        for address in names {
            let acknowledged = self.version(&address);
            let found = journal.read(&address, 1).await.unwrap();
            let last = found.len() as u64;
            let whole = self.asked.get(&address).is_some_and(|ends| ends.contains(&last));
            assert!(
                last == acknowledged || whole,
                "{context}: {address} has {last} events; {acknowledged} were acknowledged, asked {:?}",
                self.asked.get(&address)
            );
            for (version, recorded) in (1..).zip(&found) {
                assert_eq!(recorded.version, version, "{context}: {address}");
                assert_eq!(*recorded.event.bytes(), event(&address, version, self.len), "{context}: {address}");
            }
            assert_eq!(journal.version(&address).await.unwrap(), last, "{context}");
            count += found.len();
            // What was shown stays; what is absent may still come to light at a restart.
            if last > acknowledged {
                self.asked.remove(&address);
                self.acknowledged.insert(address, last);
            }
        }
        let mut fed = everything(journal, None).await.0;
        // Of the retired a feed from the beginning has all, some or nothing.
        fed.retain(|record| !self.ended.contains(&record.address));
        assert_eq!(fed.len(), count, "{context}: the feed and the reads disagree");
        check_order(&fed, context);
    }
}

/// Versions of each entity without gaps, positions in order.
pub(crate) fn check_order(fed: &[Recorded], context: &str) {
    let mut versions: BTreeMap<&Address, u64> = BTreeMap::new();
    for pair in fed.windows(2) {
        assert!(pair[0].position < pair[1].position, "{context}: positions do not grow");
    }
    for recorded in fed {
        let version = versions.entry(&recorded.address).or_insert(0);
        *version += 1;
        assert_eq!(recorded.version, *version, "{context}: {}", recorded.address);
    }
}

/// All records there are from a cursor on, and the cursor behind them.
pub(crate) async fn everything(journal: &dyn Journal, from: Option<Cursor>) -> (Vec<Recorded>, Cursor) {
    let mut feed = journal.follow(None, from).unwrap();
    let mut records = Vec::new();
    loop {
        let followed = feed.poll().await.unwrap();
        if followed.records.is_empty() {
            return (records, followed.cursor);
        }
        records.extend(followed.records);
    }
}
