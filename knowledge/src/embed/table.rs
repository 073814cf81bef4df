//! A static word table: the mean of its pieces' rows is a text's vector.

use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use super::{Cpu, Error, Model, pieces::Pieces};

/// The table of the repository. How it was made: `knowledge/models/make`.
static OFFLINE: &[u8] = include_bytes!("../../models/l2-supercat-256/table.bin");

const MAGIC: &[u8] = b"MESHTAB1";

/// A table of vectors for pieces of words, with the tokenizer that goes with it.
pub struct StaticTable {
    model: Model,
    pieces: Pieces,
    scales: Vec<f32>,
    /// `[rows, dimensions]`, each row to be multiplied by its scale.
    rows: &'static [u8],
}

/// A table that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the word table is damaged at `{part}`: make it again with `knowledge/models/make`")]
pub struct TableError {
    part: &'static str,
}

impl StaticTable {
    /// The table in the binary: WordLlama's `l2_supercat_256` in 8 bits.
    ///
    /// **Cost**: some milliseconds and 3 MB; the table itself stays where the binary is.
    ///
    /// # Errors
    /// The table is damaged.
    pub fn offline() -> Result<Self, TableError> {
        static DIGEST: OnceLock<String> = OnceLock::new();
        let digest = DIGEST.get_or_init(|| Sha256::digest(OFFLINE).iter().map(|byte| format!("{byte:02x}")).collect());
        let note = "static word table, weaker than a sentence model";
        Self::read(OFFLINE, "WordLlama l2-supercat-256, int8", digest, note)
    }

    fn read(data: &'static [u8], name: &str, digest: &str, note: &str) -> Result<Self, TableError> {
        let mut from = From { data, part: "head" };
        if from.take(MAGIC.len())? != MAGIC {
            return Err(TableError { part: "head" });
        }
        let (rows, dimensions) = (from.number()?, from.number()?);
        let (characters, merges) = (from.number()?, from.number()?);
        let characters = from.part("characters").take(characters * 6)?;
        let merges = from.part("merges").take(merges * 6)?;
        let scales = from.part("scales").take(rows * 4)?;
        let data = from.part("rows").take(rows * dimensions)?;
        if dimensions == 0 || rows > usize::from(u16::MAX) || !from.data.is_empty() {
            return Err(TableError { part: "rows" });
        }
        let characters = characters.as_chunks::<6>().0.iter().filter_map(|[a, b, c, d, low, high]| {
            Some((char::from_u32(u32::from_le_bytes([*a, *b, *c, *d]))?, u16::from_le_bytes([*low, *high])))
        });
        let merges = merges.as_chunks::<6>().0.iter().map(|[a, b, c, d, e, f]| {
            (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]), u16::from_le_bytes([*e, *f]))
        });
        Ok(Self {
            model: Model { name: name.to_owned(), digest: digest.to_owned(), dimensions, note: note.to_owned() },
            pieces: Pieces::new(characters, merges),
            scales: scales.as_chunks::<4>().0.iter().map(|scale| f32::from_le_bytes(*scale)).collect(),
            rows: data,
        })
    }

    /// The numbers of a text's pieces, as the table's own package has them.
    pub fn encode(&self, text: &str) -> Vec<u16> {
        self.pieces.encode(text)
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let width = self.model.dimensions;
        let mut sum = vec![0f32; width];
        for id in self.encode(text) {
            let at = usize::from(id);
            let (Some(row), Some(scale)) = (self.rows.get(at * width..(at + 1) * width), self.scales.get(at)) else {
                continue;
            };
            for (sum, code) in sum.iter_mut().zip(row) {
                *sum += scale * f32::from(*code as i8);
            }
        }
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            sum.iter_mut().for_each(|value| *value /= length);
        }
        sum
    }
}

impl Cpu for StaticTable {
    fn model(&self) -> &Model {
        &self.model
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

/// Bytes that are still to be read.
struct From {
    data: &'static [u8],
    part: &'static str,
}

impl From {
    fn part(&mut self, part: &'static str) -> &mut Self {
        self.part = part;
        self
    }

    fn take(&mut self, count: usize) -> Result<&'static [u8], TableError> {
        let (taken, rest) = self.data.split_at_checked(count).ok_or(TableError { part: self.part })?;
        self.data = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize, TableError> {
        let bytes = self.take(4)?.first_chunk::<4>().ok_or(TableError { part: self.part })?;
        Ok(u32::from_le_bytes(*bytes) as usize)
    }
}
