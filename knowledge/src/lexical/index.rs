//! The index of one collection.

use std::{
    fs,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tantivy::{
    IndexReader, ReloadPolicy, TantivyError, collector::TopDocs, directory::MmapDirectory, directory::error::LockError,
    index::Index as Engine, tokenizer::TokenizerManager,
};

use super::{
    Document, Error, Filter, Hit, analyse,
    query::{self, Analysers},
    schema::{self, FORMAT, Fields},
    write::Writer,
};
use crate::id::ChunkId;

/// What an index may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Changes between two flushes at most. Default: 10,000.
    pub staged_max: usize,
    /// Hits of one search at most. Default: 1,000.
    pub hits_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { staged_max: 10_000, hits_max: 1_000 }
    }
}

/// Kept in each commit.
#[derive(Serialize, Deserialize)]
struct Payload {
    format: u32,
    cursor: u64,
}

/// The words of one collection's chunks.
///
/// Searches run beside writes and see the last flush. Writes come from one thread at a time.
pub struct Index {
    folder: PathBuf,
    options: Options,
    engine: Engine,
    fields: Fields,
    reader: IndexReader,
    state: Mutex<State>,
}

struct State {
    cursor: u64,
    writer: Option<Writer>,
}

impl Index {
    /// The index in this folder, which is made if there is none.
    ///
    /// **Cost** grows with the index: its files' checksums are read.
    ///
    /// # Errors
    /// The folder cannot be used, or what is in it must be rebuilt.
    pub fn open(folder: &Path, options: Options) -> Result<Self, Error> {
        let broken = |error: TantivyError| told(folder, error);
        fs::create_dir_all(folder).map_err(|error| broken(error.into()))?;
        let (schema, fields) = schema::build();
        let directory = MmapDirectory::open(folder).map_err(|error| broken(error.into()))?;
        let exists = Engine::exists(&directory).map_err(|error| broken(error.into()))?;
        let mut engine = if exists {
            Engine::open(directory).map_err(broken)?
        } else {
            Engine::create(directory, schema.clone(), tantivy::IndexSettings::default()).map_err(broken)?
        };
        let payload = payload(folder, &engine)?;
        if payload.format != FORMAT || engine.schema() != schema {
            return Err(Error::Format { folder: folder.to_owned(), found: payload.format, wanted: FORMAT });
        }
        let torn = engine.validate_checksum().map_err(broken)?;
        if let Some(file) = torn.iter().next() {
            let why = format!("the checksum of `{}` is wrong", file.display());
            return Err(Error::Damaged { folder: folder.to_owned(), why });
        }
        let analysers = TokenizerManager::default();
        analysers.register(analyse::WORDS, analyse::words());
        analysers.register(analyse::NAMES, analyse::names());
        engine.set_tokenizers(analysers);
        let reader = engine.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(broken)?;
        let state = Mutex::new(State { cursor: payload.cursor, writer: None });
        Ok(Self { folder: folder.to_owned(), options, engine, fields, reader, state })
    }

    /// The journal's position up to which everything is durable and found.
    pub fn cursor(&self) -> u64 {
        self.state.lock().cursor
    }

    /// How many chunks can be found.
    pub fn count(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// How many changes wait for a flush. Flush at 1,000 or after 500 ms, whichever is first.
    pub fn staged(&self) -> usize {
        self.state.lock().writer.as_ref().map_or(0, Writer::staged)
    }

    /// Stages chunks; one that is there already is replaced. Nothing is found before [`Index::flush`].
    ///
    /// # Errors
    /// Too many are staged, or the writer failed: what was staged since the last flush is then given up, and
    /// comes again from the journal.
    pub fn upsert(&self, chunks: &[(ChunkId, Document<'_>)]) -> Result<(), Error> {
        self.stage(chunks.len(), |writer, fields| {
            chunks.iter().try_for_each(|(id, document)| writer.upsert(fields, *id, document))
        })
    }

    /// Stages that chunks go. Those that are not there change nothing.
    ///
    /// # Errors
    /// As for [`Index::upsert`].
    pub fn delete(&self, ids: &[ChunkId]) -> Result<(), Error> {
        self.stage(ids.len(), |writer, fields| {
            ids.iter().for_each(|id| writer.delete(fields, *id));
            Ok(())
        })
    }

    fn stage(
        &self,
        count: usize,
        change: impl FnOnce(&mut Writer, &Fields) -> tantivy::Result<()>,
    ) -> Result<(), Error> {
        let mut state = self.state.lock();
        let staged = state.writer.as_ref().map_or(0, Writer::staged).saturating_add(count);
        if staged > self.options.staged_max {
            return Err(Error::Full { staged, limit: self.options.staged_max });
        }
        let mut writer = match state.writer.take() {
            Some(writer) => writer,
            None => Writer::open(&self.engine).map_err(|error| told(&self.folder, error))?,
        };
        change(&mut writer, &self.fields).map_err(|error| told(&self.folder, error))?;
        // A writer that failed is not put back: the engine's may be dead without a word.
        state.writer = Some(writer);
        Ok(())
    }

    /// Makes what is staged durable and found, together with the journal's position it reaches.
    ///
    /// **Cost**: some 10 to 100 ms, most of it waiting for the disk.
    ///
    /// # Errors
    /// The position is behind the cursor, or the commit failed, or chunks are missing after it. The cursor then
    /// stays and what was staged is given up.
    pub fn flush(&self, cursor: u64) -> Result<(), Error> {
        let mut state = self.state.lock();
        if cursor < state.cursor {
            return Err(Error::Backwards { cursor: state.cursor, asked: cursor });
        }
        let nothing = state.writer.as_ref().is_none_or(|writer| writer.staged() == 0);
        if nothing && cursor == state.cursor {
            return Ok(());
        }
        let fail = |error| told(&self.folder, error);
        let mut writer = match state.writer.take() {
            Some(writer) => writer,
            None => Writer::open(&self.engine).map_err(fail)?,
        };
        let wanted = writer.expected(&self.fields, &self.reader.searcher()).map_err(fail)?;
        let payload = serde_json::to_string(&Payload { format: FORMAT, cursor })
            .map_err(|error| Error::Engine { folder: self.folder.clone(), why: error.to_string() })?;
        writer.commit(&payload).map_err(fail)?;
        self.reader.reload().map_err(fail)?;
        let found = self.count();
        if found != wanted {
            return Err(Error::Lost { folder: self.folder.clone(), found, wanted });
        }
        state.writer = Some(writer);
        state.cursor = cursor;
        Ok(())
    }

    /// Closes the writer, which costs 15 MB and a thread; the next change opens it again. What is staged keeps
    /// it open.
    ///
    /// # Errors
    /// A merge that was under way failed.
    pub fn rest(&self) -> Result<(), Error> {
        let mut state = self.state.lock();
        match state.writer.take_if(|writer| writer.staged() == 0) {
            Some(writer) => writer.close().map_err(|error| told(&self.folder, error)),
            None => Ok(()),
        }
    }

    /// The best chunks for a question, best first; equal scores in the order of their ids.
    ///
    /// **Cost** grows with the chunks that hold the question's words, of which 24 are looked for at most.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn search(&self, question: &str, most: usize, filter: &Filter) -> Result<Vec<Hit>, Error> {
        let fail = |error| told(&self.folder, error);
        let most = most.min(self.options.hits_max);
        let searcher = self.reader.searcher();
        let mut analysers = Analysers { words: analyse::words(), names: analyse::names() };
        let query = query::build(question, filter, &self.fields, &mut analysers, &searcher).map_err(fail)?;
        let Some(query) = query.filter(|_| most > 0) else {
            return Ok(Vec::new());
        };
        let found = searcher.search(&query, &TopDocs::with_limit(most).order_by_score()).map_err(fail)?;
        let mut columns = Vec::new();
        for segment in searcher.segment_readers() {
            let fast = segment.fast_fields();
            columns.push((fast.u64(schema::HIGH).map_err(fail)?, fast.u64(schema::LOW).map_err(fail)?));
        }
        let mut hits = Vec::with_capacity(found.len());
        for (score, at) in found {
            let (high, low) = columns
                .get(at.segment_ord as usize)
                .and_then(|(high, low)| Some((high.first(at.doc_id)?, low.first(at.doc_id)?)))
                .ok_or_else(|| Error::Damaged { folder: self.folder.clone(), why: "a chunk has no name".to_owned() })?;
            hits.push(Hit { id: ChunkId::from_u128(u128::from(high) << 64 | u128::from(low)), score });
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        Ok(hits)
    }
}

fn payload(folder: &Path, engine: &Engine) -> Result<Payload, Error> {
    let metas = engine.load_metas().map_err(|error| told(folder, error))?;
    match metas.payload {
        // Nothing was committed yet.
        None if metas.segments.is_empty() => Ok(Payload { format: FORMAT, cursor: 0 }),
        None => Err(Error::Damaged { folder: folder.to_owned(), why: "it does not say where it stands".to_owned() }),
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| Error::Damaged { folder: folder.to_owned(), why: error.to_string() }),
    }
}

fn told(folder: &Path, error: TantivyError) -> Error {
    let folder = folder.to_owned();
    let why = error.to_string();
    match error {
        TantivyError::DataCorruption(_)
        | TantivyError::OpenReadError(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::DeserializeError(_)
        | TantivyError::SchemaError(_)
        | TantivyError::FieldNotFound(_) => Error::Damaged { folder, why },
        TantivyError::LockFailure(LockError::LockBusy, _) => Error::Busy { folder },
        _ => Error::Engine { folder, why },
    }
}
