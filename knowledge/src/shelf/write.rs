//! Documents onto a shelf: cut, embedded, indexed, and then believed.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use mesh_kernel::{envelope::TenantScope, ports::Digest};
use sha2::{Digest as _, Sha256};

use super::{Document, Error, Piece, Shelf, Shelves, Standing};
use crate::{
    chunk::{self, Chunk, Limits},
    embed::Embedder,
    id::ChunkId,
    lexical,
    vectors::{Batch, Row, VectorStore as _},
};

/// A document that is to be shelved.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// What it is.
    pub document: Document,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The source.
    pub source: String,
    /// Its path.
    pub path: String,
    /// Which content this is about.
    pub content: Digest,
    /// How many chunks it has.
    pub chunks: u32,
    /// Why it has none.
    pub skipped: Option<String>,
}

/// A document in pieces.
struct Cut {
    document: Document,
    pieces: Vec<Fresh>,
    /// Chunks of it that are shelved and are no more.
    stale: Vec<ChunkId>,
    skipped: Option<String>,
}

/// A piece, and whether the indexes have it already.
struct Fresh {
    piece: Piece,
    symbol: String,
    hash: Vec<u8>,
    is_known: bool,
}

impl Shelves {
    /// Shelves the round behind this standing: all of it is durable when this answers, and a repeat changes nothing.
    ///
    /// **Cost** grows with what is new: a chunk that is shelved with the same text is not embedded again.
    ///
    /// # Errors
    /// [`Error`]; the round may be shelved again.
    pub async fn shelve(
        self: &Arc<Self>,
        scope: TenantScope,
        collection: String,
        standing: Standing,
        incoming: Vec<Incoming>,
        removed: Vec<(String, String)>,
    ) -> Result<Vec<Outcome>, Error> {
        let shelves = self.clone();
        let name = collection.clone();
        let (shelf, cuts) = blocking(move || {
            let shelf = shelves.standing(&scope, &name, &standing)?;
            let cuts = incoming.into_iter().map(|one| shelf.cut(one)).collect::<rusqlite::Result<Vec<_>>>();
            Ok((shelf, cuts.map_err(Error::store(&name))?))
        })
        .await?;
        let texts: Vec<String> = cuts
            .iter()
            .flat_map(|cut| &cut.pieces)
            .filter(|fresh| !fresh.is_known)
            .map(|fresh| format!("{}\n{}", fresh.piece.prefix, fresh.piece.text))
            .collect();
        let vectors = self.embed(texts).await?;
        let round = standing.rounds + 1;
        blocking(move || shelf.keep(&collection, round, cuts, &vectors, &removed)).await
    }

    /// A vector for each text.
    pub(super) async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        match &self.embedder {
            Embedder::Cpu(here) => {
                let here = here.clone();
                blocking(move || {
                    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                    Ok(here.embed(&texts)?)
                })
                .await
            }
            Embedder::Remote(elsewhere) => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                Ok(elsewhere.embed(&texts).await?)
            }
        }
    }
}

/// Work for a processor, off the threads that answer.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Stopping)?
}

impl Shelf {
    fn cut(&self, incoming: Incoming) -> rusqlite::Result<Cut> {
        let Incoming { document, bytes } = incoming;
        let mut shelved = self.store.hashes(&document.source, &document.path)?;
        let limits = Limits::default();
        let (kind, text) = match chunk::detect(&document.path, &bytes, &limits) {
            Ok(found) => found,
            Err(why) => {
                let stale = shelved.into_keys().collect();
                return Ok(Cut { document, pieces: Vec::new(), stale, skipped: Some(why.to_string()) });
            }
        };
        let chunks = chunk::chunk(&document.path, kind, text, &limits);
        let skipped = chunks.is_empty().then(|| "it is empty".to_owned());
        let pieces = chunks.into_iter().map(|chunk| fresh(&document, chunk, &mut shelved)).collect();
        Ok(Cut { document, pieces, stale: shelved.into_keys().collect(), skipped })
    }

    /// Indexes first, and then the file that says what there is.
    fn keep(
        &self,
        collection: &str,
        round: u64,
        cuts: Vec<Cut>,
        vectors: &[Vec<f32>],
        removed: &[(String, String)],
    ) -> Result<Vec<Outcome>, Error> {
        let store = |error| Error::store(collection)(error);
        let mut stale: Vec<ChunkId> = cuts.iter().flat_map(|cut| cut.stale.iter().copied()).collect();
        for (source, path) in removed {
            stale.extend(self.store.hashes(source, path).map_err(store)?.into_keys());
        }
        self.index(round, &cuts, vectors, &stale)?;
        let mut outcomes = Vec::with_capacity(cuts.len());
        let mut documents = Vec::with_capacity(cuts.len());
        for Cut { document, pieces, skipped, .. } in cuts {
            outcomes.push(Outcome {
                source: document.source.clone(),
                path: document.path.clone(),
                content: document.content,
                chunks: u32::try_from(pieces.len()).unwrap_or(u32::MAX),
                skipped,
            });
            documents.push((document, pieces.into_iter().map(|fresh| (fresh.piece, fresh.hash)).collect()));
        }
        self.store.keep(round, &documents, removed).map_err(store)?;
        Ok(outcomes)
    }

    fn index(&self, round: u64, cuts: &[Cut], vectors: &[Vec<f32>], stale: &[ChunkId]) -> Result<(), Error> {
        let labels: Vec<Vec<String>> = cuts.iter().map(|cut| labels(&cut.document)).collect();
        let short: Vec<Vec<&str>> = labels.iter().map(|of| of.iter().map(String::as_str).collect()).collect();
        let mut rows = Vec::new();
        let mut entries = Vec::new();
        let mut vectors = vectors.iter();
        for (cut, (labels, short)) in cuts.iter().zip(labels.iter().zip(&short)) {
            for fresh in cut.pieces.iter().filter(|fresh| !fresh.is_known) {
                // A text without a word that the model knows has no direction; words find it all the same.
                let vector = vectors.next().filter(|vector| vector.iter().any(|number| *number != 0.0));
                rows.extend(vector.map(|vector| Row { id: fresh.piece.id, vector, labels: short }));
                let Fresh { piece, symbol, .. } = fresh;
                let document = lexical::Document {
                    path: &cut.document.path,
                    title: "",
                    symbols: symbol,
                    headings: &piece.place,
                    body: &piece.text,
                    labels,
                };
                entries.push((piece.id, document));
            }
        }
        let model = self.vectors.model();
        if !rows.is_empty() {
            self.vectors.upsert(&Batch { model, rows: &rows }, round)?;
        }
        self.vectors.delete(stale, round)?;
        self.vectors.flush()?;
        self.words.upsert(&entries)?;
        self.words.delete(stale)?;
        self.words.flush(round)?;
        Ok(())
    }
}

/// The label of what somebody outside has written.
pub(super) const OUTSIDE: &str = "outside";

/// What searches filter by.
fn labels(document: &Document) -> Vec<String> {
    let own = [source_label(&document.source), class_label(document.classification)];
    own.into_iter().chain(document.outside.then(|| OUTSIDE.to_owned())).collect()
}

pub(super) fn source_label(source: &str) -> String {
    format!("source={source}")
}

pub(super) fn class_label(classification: mesh_kernel::envelope::Classification) -> String {
    format!("class={classification:?}")
}

fn fresh(document: &Document, chunk: Chunk, shelved: &mut HashMap<ChunkId, Vec<u8>>) -> Fresh {
    let id = ChunkId::of(&format!("{}\n{}", document.source, document.path), &chunk.place, chunk.ordinal);
    let mut hash = Sha256::new();
    let class = format!("{:?}{}", document.classification, document.outside);
    for part in [&class, &chunk.prefix, &chunk.text] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize().to_vec();
    let is_known = shelved.remove(&id).is_some_and(|before| before == hash);
    let Chunk { place, lines, text, prefix, symbol, tokens, .. } = chunk;
    let (first_line, last_line) = (lines.start, lines.end.saturating_sub(1).max(lines.start));
    let piece = Piece { id, place, prefix, text, first_line, last_line, tokens };
    Fresh { piece, symbol: symbol.unwrap_or_default(), hash, is_known }
}
