//! What of a batch may be recorded, and its bytes.

use mesh_kernel::{
    envelope::Address,
    ports::{Append, AppendOutcome, Position, Recorded},
};

use super::{Request, What, Writer};
use crate::embedded::{
    index::{Entry, Key},
    log::{
        Place, frame,
        record::{self, Kind},
    },
    tombstone::Tombstone,
};

impl Writer {
    /// Checks each request against the index and those before it, and encodes those that stand.
    /// Answers how many records there are to write.
    pub(super) fn encode(&mut self, taken: &[Request]) -> u32 {
        self.buffer.clear();
        self.pending.clear();
        self.stones.clear();
        self.ends.clear();
        self.verdicts.clear();
        self.told.clear();
        self.event_bytes = 0;
        let start = frame::begin(&mut self.buffer);
        let mut count = 0;
        for request in taken {
            let (verdict, records) = self.judge(request);
            count += records;
            self.verdicts.push(verdict);
        }
        if count > 0 {
            count += self.encode_hints();
            frame::end(&mut self.buffer, start, self.active.seed, self.next_batch, self.prev_crc, count);
        }
        count
    }

    /// INVARIANT: this is the only place where a version is checked, and it sees every append in
    /// the order in which they become durable.
    fn judge(&mut self, request: &Request) -> (AppendOutcome, u32) {
        match &request.what {
            What::Append { append, entity, repeat } => self.judge_append(append, *entity, *repeat),
            What::Retire { stone, address, version } => self.judge_retire(stone, address, *version),
            What::Erase { tenant } => self.judge_erase(*tenant),
        }
    }

    fn judge_append(&mut self, append: &Append, entity: Key, repeat: Option<u64>) -> (AppendOutcome, u32) {
        let before = match self.standing(entity, &append.address) {
            Ok(before) => before,
            Err(over) => return (over, 0),
        };
        let version = before.map_or(0, |entry| entry.version());
        if version != append.expected_version {
            return (AppendOutcome::WrongVersion { actual: version }, 0);
        }
        if version == 0 && self.pool.is_low() {
            return (self.pool.only_reserve_left(), 0);
        }
        let tenant = before.map_or_else(|| self.tenant(&append.address), |entry| entry.tenant);
        let (entry, bytes) = self.encode_events(append, before, tenant, repeat);
        self.event_bytes += bytes;
        self.pending.insert(entity, entry);
        let appended = AppendOutcome::Appended { version: entry.version(), position: entry.last };
        (appended, append.events.len() as u32)
    }

    fn encode_events(
        &mut self,
        append: &Append,
        before: Option<Entry>,
        tenant: u32,
        repeat: Option<u64>,
    ) -> (Entry, u64) {
        let from = self.buffer.len();
        let (mut version, mut last) = before.map_or((0, Position(0)), |entry| (entry.version(), entry.last));
        for (nth, event) in append.events.iter().enumerate() {
            let place = self.here();
            version += 1;
            self.told.push(Recorded {
                address: append.address.clone(),
                version,
                position: place,
                event: event.clone(),
            });
            let record = record::Record {
                kind: Kind::Event,
                address: append.address.as_str(),
                shard: append.address.shard().number(),
                version,
                prev: last.0,
                nth: nth as u16,
                wake: append.wake,
                key: repeat,
                envelope: event.bytes(),
            };
            record::push(&mut self.buffer, self.active.seed, &record);
            last = place;
        }
        (Entry::new(version, tenant, last, append.wake), (self.buffer.len() - from) as u64)
    }

    fn judge_retire(&mut self, stone: &Tombstone, address: &Address, expected: u64) -> (AppendOutcome, u32) {
        let before = match self.standing(stone.key, address) {
            Ok(before) => before,
            Err(over) => return (over, 0),
        };
        let version = before.map_or(0, |entry| entry.version());
        if version != expected {
            return (AppendOutcome::WrongVersion { actual: version }, 0);
        }
        let position = self.here();
        let len = self.encode_end(Kind::Retire, address.shard().number(), version, &stone.encode());
        self.pending.remove(&stone.key);
        self.stones.push((stone.clone(), position, len));
        (AppendOutcome::Appended { version, position }, 1)
    }

    fn judge_erase(&mut self, tenant: Key) -> (AppendOutcome, u32) {
        let known = self.shared.index.read().erased.get(&tenant).copied();
        let in_batch = self.ends.iter().find(|(end, _)| *end == tenant).map(|(_, position)| *position);
        // Said in a segment that is still written to, it was not followed by that segment's end, for the
        // process died or there was no room: only what is written to no more can be cleaned, so again.
        let is_open = |position: &Position| Place::from(*position).segment == self.active.number;
        if let Some(position) = in_batch.or(known.filter(|position| !is_open(position))) {
            return (AppendOutcome::Appended { version: 0, position }, 0);
        }
        let position = self.here();
        self.encode_end(Kind::Erase, 0, 0, &tenant.bytes());
        self.ends.push((tenant, position));
        (AppendOutcome::Appended { version: 0, position }, 1)
    }

    fn encode_end(&mut self, kind: Kind, shard: u8, version: u64, envelope: &[u8]) -> u64 {
        let record = record::Record {
            kind,
            address: "",
            shard,
            version,
            prev: 0,
            nth: 0,
            wake: mesh_kernel::ports::Wake::Idle,
            key: None,
            envelope,
        };
        record::push(&mut self.buffer, self.active.seed, &record);
        record::len_of("", envelope) as u64
    }

    /// The entity as it stands behind the buffer, unless it or its tenant has ended.
    fn standing(&self, entity: Key, address: &Address) -> Result<Option<Entry>, AppendOutcome> {
        // Digests of tenants are made only where they are needed: most appends are of the living.
        let tenant = || self.shared.keys.tenant_of(address.as_str());
        let ended = !self.ends.is_empty() && self.ends.iter().any(|(end, _)| *end == tenant())
            || self.stones.iter().any(|(stone, ..)| stone.key == entity);
        if ended {
            return Err(AppendOutcome::Retired);
        }
        if let Some(entry) = self.pending.get(&entity) {
            return Ok(Some(*entry));
        }
        let index = self.shared.index.read();
        match index.entries.get(&entity) {
            Some(entry) => Ok(Some(*entry)),
            None if index.is_over(entity, tenant()) => Err(AppendOutcome::Retired),
            None => Ok(None),
        }
    }

    fn tenant(&self, address: &Address) -> u32 {
        let key = self.shared.keys.tenant_of(address.as_str());
        if let Some(number) = self.shared.index.read().known_tenant(key) {
            return number;
        }
        self.shared.index.write().tenant(key)
    }

    /// Where the next record goes.
    fn here(&self) -> Position {
        Place { segment: self.active.number, offset: self.offset + self.buffer.len() as u64 }.into()
    }
}
