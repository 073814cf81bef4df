//! Changes on their way into the index: one writer with one thread, opened for the first change and closed when
//! nobody writes.

use std::collections::BTreeMap;

use tantivy::{
    IndexWriter, Searcher, TantivyDocument,
    index::Index as Engine,
    indexer::{IndexWriterOptions, LogMergePolicy},
};

use super::{Document, schema::Fields};
use crate::id::ChunkId;

/// The engine's least, per thread; it writes a segment when this is full, and searches see it after a commit.
const WRITER_BYTES: usize = 15_000_000;
/// Deleted chunks count in the statistics until their segment is merged, so it is merged at this share.
const DELETED_SHARE: f32 = 0.3;

pub(super) struct Writer {
    engine: IndexWriter<TantivyDocument>,
    /// Whether each chunk that was touched since the last commit is to be there after the next.
    staged: BTreeMap<ChunkId, bool>,
}

impl Writer {
    pub(super) fn open(engine: &Engine) -> tantivy::Result<Self> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .build();
        let writer: IndexWriter<TantivyDocument> = engine.writer_with_options(options)?;
        let mut merges = LogMergePolicy::default();
        merges.set_del_docs_ratio_before_merge(DELETED_SHARE);
        writer.set_merge_policy(Box::new(merges));
        Ok(Self { engine: writer, staged: BTreeMap::new() })
    }

    pub(super) fn staged(&self) -> usize {
        self.staged.len()
    }

    pub(super) fn upsert(&mut self, fields: &Fields, id: ChunkId, document: &Document<'_>) -> tantivy::Result<()> {
        self.engine.delete_term(fields.id(id));
        self.engine.add_document(fields.document(id, document))?;
        self.staged.insert(id, true);
        Ok(())
    }

    pub(super) fn delete(&mut self, fields: &Fields, id: ChunkId) {
        self.engine.delete_term(fields.id(id));
        self.staged.insert(id, false);
    }

    /// How many chunks the index holds after a commit, `before` being what searches see now.
    pub(super) fn expected(&self, fields: &Fields, before: &Searcher) -> tantivy::Result<u64> {
        let mut count = before.num_docs();
        for (id, stays) in &self.staged {
            let there = is_there(fields, *id, before)?;
            count = count + u64::from(*stays && !there) - u64::from(!*stays && there);
        }
        Ok(count)
    }

    pub(super) fn commit(&mut self, payload: &str) -> tantivy::Result<()> {
        let mut prepared = self.engine.prepare_commit()?;
        prepared.set_payload(payload);
        prepared.commit()?;
        self.staged.clear();
        Ok(())
    }

    /// Lets merges that are under way end.
    pub(super) fn close(self) -> tantivy::Result<()> {
        self.engine.wait_merging_threads()
    }
}

fn is_there(fields: &Fields, id: ChunkId, searcher: &Searcher) -> tantivy::Result<bool> {
    let term = fields.id(id);
    for segment in searcher.segment_readers() {
        let inverted = segment.inverted_index(term.field())?;
        let Some(mut postings) = inverted.read_postings(&term, tantivy::schema::IndexRecordOption::Basic)? else {
            continue;
        };
        use tantivy::DocSet as _;
        while postings.doc() != tantivy::TERMINATED {
            if !segment.is_deleted(postings.doc()) {
                return Ok(true);
            }
            postings.advance();
        }
    }
    Ok(false)
}
