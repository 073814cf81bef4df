//! Documents and chunks of a shelf, in one SQLite file: what is found is read from here.
//!
//! INVARIANT: an index may know a chunk that is not here, and is not believed; so a document is found whole or
//! not at all, whatever of a round was done when the process died.

use std::{collections::HashMap, path::Path};

use mesh_kernel::{envelope::Classification, ports::Digest};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params, params};

use crate::id::ChunkId;

/// Raised with every change of the schema.
const FORM: i64 = 1;

/// A document as a shelf knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The source.
    pub source: String,
    /// Its path within the source.
    pub path: String,
    /// SHA-256 of its bytes.
    pub content: Digest,
    /// The commit at which it was read; empty when its source has none.
    pub revision: String,
    /// How far it may travel.
    pub classification: Classification,
    /// It was written by somebody outside.
    pub outside: bool,
}

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its id.
    pub id: ChunkId,
    /// Where it stands in the document: headings, symbols.
    pub place: String,
    /// What is embedded and indexed before its text, and never cited.
    pub prefix: String,
    /// Its text.
    pub text: String,
    /// Its first line, from 1.
    pub first_line: u32,
    /// Its last line.
    pub last_line: u32,
    /// Tokens of its text, counted as GPT-4 does.
    pub tokens: u32,
}

/// A piece, and the document that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// The piece.
    pub piece: Piece,
    /// Its document.
    pub document: Document,
}

/// A document that is kept, and its pieces with the hash of each.
pub(super) type Kept = (Document, Vec<(Piece, Vec<u8>)>);

/// The file.
pub(super) struct Store {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl Store {
    /// Opens the file, or makes one that stands where its generation began. `None` when it is of another form or
    /// another model.
    pub(super) fn open(path: &Path, model: &str, began: u64) -> rusqlite::Result<Option<Self>> {
        let writer = connect(path)?;
        let form: i64 = writer.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if form == 0 {
            let mut writer = connect(path)?;
            let tx = writer.transaction()?;
            tx.execute_batch(include_str!("schema.sql"))?;
            tx.execute("INSERT INTO standing (only, round, model) VALUES (1, ?1, ?2)", params![began, model])?;
            tx.pragma_update(None, "user_version", FORM)?;
            tx.commit()?;
        } else if form != FORM {
            return Ok(None);
        }
        let made_by: String = writer.query_row("SELECT model FROM standing", [], |row| row.get(0))?;
        if made_by != model {
            return Ok(None);
        }
        Ok(Some(Self { writer: Mutex::new(writer), reader: Mutex::new(connect(path)?) }))
    }

    /// The last round that is durable here.
    pub(super) fn round(&self) -> rusqlite::Result<u64> {
        self.reader.lock().query_row("SELECT round FROM standing", [], |row| row.get(0))
    }

    /// The chunks of a document, with the hash of each.
    pub(super) fn hashes(&self, source: &str, path: &str) -> rusqlite::Result<HashMap<ChunkId, Vec<u8>>> {
        let reader = self.reader.lock();
        let mut found = reader.prepare_cached(
            "SELECT c.id, c.hash FROM chunks c JOIN documents d ON d.number = c.document
             WHERE d.source = ?1 AND d.path = ?2",
        )?;
        let rows = found.query_map([source, path], |row| Ok((id(row, "id")?, row.get("hash")?)))?;
        rows.collect()
    }

    /// Keeps a round: all of it or nothing.
    pub(super) fn keep(&self, round: u64, documents: &[Kept], removed: &[(String, String)]) -> rusqlite::Result<()> {
        let mut writer = self.writer.lock();
        let tx = writer.transaction()?;
        for (source, path) in removed {
            remove(&tx, source, path)?;
        }
        for (document, pieces) in documents {
            remove(&tx, &document.source, &document.path)?;
            insert(&tx, document, pieces)?;
        }
        tx.execute("UPDATE standing SET round = ?1", [round])?;
        tx.commit()
    }

    /// The pieces of these ids that there are, by id.
    pub(super) fn read(&self, ids: &[ChunkId]) -> rusqlite::Result<HashMap<ChunkId, Shelved>> {
        let reader = self.reader.lock();
        let mut one = reader.prepare_cached(
            "SELECT c.*, d.source, d.path, d.content, d.revision, d.classification, d.outside
             FROM chunks c JOIN documents d ON d.number = c.document WHERE c.id = ?1",
        )?;
        let mut found = HashMap::with_capacity(ids.len());
        for id in ids {
            let shelved = one.query_row([id.as_u128().to_be_bytes().as_slice()], shelved).optional()?;
            found.extend(shelved.map(|shelved| (*id, shelved)));
        }
        Ok(found)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // What is forgotten is overwritten, and a round is on the disk before it is told.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
         PRAGMA busy_timeout = 5000; PRAGMA cache_size = -4096;",
    )?;
    Ok(connection)
}

fn remove(tx: &Transaction<'_>, source: &str, path: &str) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "DELETE FROM chunks WHERE document IN (SELECT number FROM documents WHERE source = ?1 AND path = ?2)",
    )?
    .execute([source, path])?;
    tx.prepare_cached("DELETE FROM documents WHERE source = ?1 AND path = ?2")?.execute([source, path]).map(drop)
}

fn insert(tx: &Transaction<'_>, document: &Document, pieces: &[(Piece, Vec<u8>)]) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO documents (source, path, content, revision, classification, outside)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        document.source,
        document.path,
        document.content.to_string(),
        document.revision,
        rank(document.classification),
        document.outside
    ])?;
    let number = tx.last_insert_rowid();
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO chunks (id, document, place, prefix, text, first_line, last_line, tokens, hash)
         VALUES (:id, :document, :place, :prefix, :text, :first_line, :last_line, :tokens, :hash)",
    )?;
    for (piece, hash) in pieces {
        insert.execute(named_params! {
            ":id": piece.id.as_u128().to_be_bytes().as_slice(),
            ":document": number,
            ":place": piece.place,
            ":prefix": piece.prefix,
            ":text": piece.text,
            ":first_line": piece.first_line,
            ":last_line": piece.last_line,
            ":tokens": piece.tokens,
            ":hash": hash,
        })?;
    }
    Ok(())
}

fn shelved(row: &Row<'_>) -> rusqlite::Result<Shelved> {
    let content: String = row.get("content")?;
    Ok(Shelved {
        piece: Piece {
            id: id(row, "id")?,
            place: row.get("place")?,
            prefix: row.get("prefix")?,
            text: row.get("text")?,
            first_line: row.get("first_line")?,
            last_line: row.get("last_line")?,
            tokens: row.get("tokens")?,
        },
        document: Document {
            source: row.get("source")?,
            path: row.get("path")?,
            content: content.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
            revision: row.get("revision")?,
            classification: classification(row.get("classification")?),
            outside: row.get("outside")?,
        },
    })
}

fn id(row: &Row<'_>, column: &str) -> rusqlite::Result<ChunkId> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(ChunkId::from_u128(u128::from_be_bytes(bytes)))
}

fn rank(classification: Classification) -> i64 {
    match classification {
        Classification::Public => 0,
        Classification::Internal => 1,
        Classification::Confidential => 2,
        Classification::Restricted => 3,
    }
}

/// What is unknown is narrow.
fn classification(rank: i64) -> Classification {
    match rank {
        0 => Classification::Public,
        1 => Classification::Internal,
        2 => Classification::Confidential,
        _ => Classification::Restricted,
    }
}
