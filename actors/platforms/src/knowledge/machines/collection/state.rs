//! What is true of a collection, and how events move it.

use std::collections::{BTreeMap, BTreeSet};

use mesh_kernel::{entity::Recorded, envelope::Timestamp, ports::Digest};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Round, ToIndex};
use crate::knowledge::{
    config::Config,
    messages::{CollectionEvent as Event, Document, Gone, Indexed, Origin},
};

/// What is true of a collection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub(super) name: String,
    /// By name.
    pub(super) sources: BTreeMap<String, Source>,
    /// What waits for the index, in the order of names.
    pub(super) pending: BTreeSet<Gone>,
    /// What the index must lose.
    pub(super) removed: BTreeSet<Gone>,
    /// Bodies that nothing needs any more.
    pub(super) bodies: BTreeSet<String>,
    /// Rounds that are done.
    pub(super) rounds: u64,
    pub(super) generation: u64,
    /// The rounds that were done when this generation began.
    pub(super) began: u64,
    pub(super) failures: u32,
    /// What the last failed round said.
    pub(super) problem: String,
    pub(super) retry_at: Option<Timestamp>,
}

/// A source and its documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// What is said of it.
    pub origin: Origin,
    /// By path.
    pub documents: BTreeMap<String, Known>,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// A document, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// SHA-256 of its bytes.
    pub content: Digest,
    /// Where its bytes lie.
    pub body: Digest,
    /// Its length.
    pub bytes: u64,
    /// The commit at which it was read.
    #[serde(default)]
    pub revision: String,
    /// What became of it in the index.
    pub status: Status,
}

/// What became of a document in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Status {
    /// It waits.
    Pending,
    /// It can be found.
    Indexed {
        /// How many chunks it has.
        chunks: u32,
    },
    /// Nothing can be made of it.
    Skipped {
        /// Why.
        reason: String,
    },
}

impl State {
    pub(super) fn documents(&self) -> usize {
        self.sources.values().map(|source| source.documents.len()).sum()
    }

    pub(super) fn evolve(&mut self, config: &Config, event: Event, recorded: &Recorded<'_>) {
        match event {
            Event::DocumentsIngested { origin, documents, removed } => {
                let name = origin.name.clone();
                self.ingest(origin, documents, recorded.at);
                removed.iter().for_each(|path| self.forget(&name, path));
            }
            Event::DocumentsForgotten { source, paths } if paths.is_empty() => self.forget_source(&source),
            Event::DocumentsForgotten { source, paths } => paths.iter().for_each(|path| self.forget(&source, path)),
            Event::IndexRebuilt { .. } => self.rebuild(),
            Event::DocumentsIndexed { round, documents, removed, bodies } => {
                self.indexed(round, documents);
                removed.iter().for_each(|gone| _ = self.removed.remove(gone));
                bodies.iter().for_each(|body| _ = self.bodies.remove(&body.to_string()));
            }
            Event::IndexingFailed { reason, .. } => {
                self.failures += 1;
                self.problem = reason;
                self.retry_at = Some(recorded.at.plus(config.backoff(self.failures)));
            }
            Event::IndexingResumed {} => self.retry_at = None,
        }
    }

    fn ingest(&mut self, origin: Origin, documents: Vec<Document>, at: Timestamp) {
        let name = origin.name.clone();
        let fresh = Source { origin: origin.clone(), documents: BTreeMap::new(), changed_at: at };
        let source = self.sources.entry(name.clone()).or_insert(fresh);
        let is_other = source.origin.classification != origin.classification || source.origin.outside != origin.outside;
        source.origin = origin;
        source.changed_at = at;
        if is_other {
            // What is found says how far it may travel, so all of it is written again.
            for (path, known) in &mut source.documents {
                known.status = Status::Pending;
                self.pending.insert(Gone { source: name.clone(), path: path.clone() });
            }
        }
        for document in documents {
            let Document { path, content, body, bytes, revision } = document;
            let known = Known { content, body, bytes, revision, status: Status::Pending };
            if let Some(before) = source.documents.insert(path.clone(), known) {
                self.bodies.insert(before.body.to_string());
            }
            let gone = Gone { source: name.clone(), path };
            self.removed.remove(&gone);
            self.pending.insert(gone);
        }
    }

    fn forget(&mut self, source: &str, path: &str) {
        let Some(found) = self.sources.get_mut(source) else { return };
        if let Some(known) = found.documents.remove(path) {
            self.bodies.insert(known.body.to_string());
            let gone = Gone { source: source.to_owned(), path: path.to_owned() };
            self.pending.remove(&gone);
            self.removed.insert(gone);
        }
    }

    fn forget_source(&mut self, source: &str) {
        let Some(found) = self.sources.get(source) else { return };
        let paths: Vec<String> = found.documents.keys().cloned().collect();
        paths.iter().for_each(|path| self.forget(source, path));
        self.sources.remove(source);
    }

    fn rebuild(&mut self) {
        self.generation += 1;
        self.began = self.rounds;
        self.failures = 0;
        self.retry_at = None;
        self.removed.clear();
        for (name, source) in &mut self.sources {
            for (path, known) in &mut source.documents {
                known.status = Status::Pending;
                self.pending.insert(Gone { source: name.clone(), path: path.clone() });
            }
        }
    }

    fn indexed(&mut self, round: u64, documents: Vec<Indexed>) {
        self.rounds = round;
        self.failures = 0;
        self.problem.clear();
        for Indexed { source, path, content, chunks, skipped } in documents {
            let known = self.sources.get_mut(&source).and_then(|found| found.documents.get_mut(&path));
            // One that changed meanwhile waits on.
            let Some(known) = known.filter(|known| known.content == content) else { continue };
            known.status = match skipped.is_empty() {
                true => Status::Indexed { chunks },
                false => Status::Skipped { reason: skipped },
            };
            self.pending.remove(&Gone { source, path });
        }
    }

    /// The next round, when anything waits.
    pub(super) fn round(&self, config: &Config) -> Option<Round> {
        let (mut documents, mut bytes) = (Vec::new(), 0);
        for gone in &self.pending {
            let source = self.sources.get(&gone.source)?;
            let known = source.documents.get(&gone.path)?;
            bytes += known.bytes;
            let is_full = documents.len() >= config.round_documents || bytes > config.round_bytes;
            if is_full && !documents.is_empty() {
                break;
            }
            documents.push(to_index(source, gone, known));
        }
        let removed: Vec<Gone> = self.removed.iter().take(config.round_documents * 4).cloned().collect();
        let bodies = self.bodies.iter().take(config.round_documents * 4).filter_map(|body| body.parse().ok()).collect();
        let is_nothing = documents.is_empty() && removed.is_empty() && self.bodies.is_empty();
        (!is_nothing).then(|| Round {
            round: self.rounds + 1,
            collection: self.name.clone(),
            generation: self.generation,
            began: self.began,
            documents,
            removed,
            bodies,
        })
    }

    /// `source:NAME` shows a source with all its documents; `known:NAME` and paths, each in a line of its own, what
    /// those hold; `standing` how far the index is; else the figures.
    pub(super) fn view(&self, what: &str) -> serde_json::Value {
        if what == "standing" {
            let State { rounds, generation, began, .. } = self;
            let pending = self.pending.len();
            return json!({ "rounds": rounds, "generation": generation, "began": began, "pending": pending });
        }
        if let Some(asked) = what.strip_prefix("known:") {
            let mut lines = asked.lines();
            let source = lines.next().and_then(|name| self.sources.get(name));
            let content = |path: &str| Some((path.to_owned(), source?.documents.get(path)?.content));
            let known: BTreeMap<String, Digest> = lines.filter_map(content).collect();
            return serde_json::to_value(known).unwrap_or_default();
        }
        if let Some(name) = what.strip_prefix("source:") {
            return serde_json::to_value(self.sources.get(name)).unwrap_or_default();
        }
        let sources: Vec<_> = self.sources.values().map(figures).collect();
        json!({
            "name": self.name,
            "sources": sources,
            "pending": self.pending.len() + self.removed.len(),
            "rounds": self.rounds,
            "generation": self.generation,
            "began": self.began,
            "failures": self.failures,
            "problem": self.problem,
        })
    }
}

fn to_index(source: &Source, gone: &Gone, known: &Known) -> ToIndex {
    ToIndex {
        source: gone.source.clone(),
        document: Document {
            path: gone.path.clone(),
            content: known.content,
            body: known.body,
            bytes: known.bytes,
            revision: known.revision.clone(),
        },
        classification: source.origin.classification,
        outside: source.origin.outside,
    }
}

fn figures(source: &Source) -> serde_json::Value {
    let (mut chunks, mut pending, mut skipped, mut bytes) = (0_u64, 0_u64, 0_u64, 0_u64);
    for known in source.documents.values() {
        bytes += known.bytes;
        match &known.status {
            Status::Pending => pending += 1,
            Status::Indexed { chunks: of } => chunks += u64::from(*of),
            Status::Skipped { .. } => skipped += 1,
        }
    }
    json!({
        "origin": source.origin,
        "documents": source.documents.len(),
        "bytes": bytes,
        "chunks": chunks,
        "pending": pending,
        "skipped": skipped,
        "changedAt": source.changed_at,
    })
}
