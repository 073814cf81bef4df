//! The fields of a chunk, and the one function that makes an engine's document of it.

use tantivy::{
    TantivyDocument, Term,
    schema::{FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions},
};

use super::{Document, analyse};
use crate::id::ChunkId;

/// Goes up when fields or analysers change: an index of another format is made again.
pub(super) const FORMAT: u32 = 1;

/// A field of words, and what a hit in it is worth beside one in the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed {
    pub field: Field,
    pub boost: f32,
}

#[derive(Debug, Clone)]
pub(super) struct Fields {
    id: Field,
    high: Field,
    low: Field,
    labels: Field,
    /// Names as they were defined, lowered and whole.
    pub symbol: Field,
    path: Field,
    title: Field,
    headings: Field,
    /// The field whose statistics weigh a question's words.
    pub body: Field,
    /// Names of several parts, whole.
    pub names: Field,
}

pub(super) const HIGH: &str = "id_high";
pub(super) const LOW: &str = "id_low";
pub(super) const SYMBOL_BOOST: f32 = 3.0;
pub(super) const NAMES_BOOST: f32 = 1.0;

pub(super) fn build() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let text = |analyser: &str| {
        let indexing =
            TextFieldIndexing::default().set_tokenizer(analyser).set_index_option(IndexRecordOption::WithFreqs);
        TextOptions::default().set_indexing_options(indexing)
    };
    let words = text(analyse::WORDS);
    let fields = Fields {
        id: schema.add_bytes_field("id", INDEXED),
        high: schema.add_u64_field(HIGH, FAST),
        low: schema.add_u64_field(LOW, FAST),
        labels: schema.add_text_field("labels", STRING),
        symbol: schema.add_text_field("symbol", STRING),
        path: schema.add_text_field("path", words.clone()),
        title: schema.add_text_field("title", words.clone()),
        headings: schema.add_text_field("headings", words.clone()),
        body: schema.add_text_field("body", words),
        names: schema.add_text_field("names", text(analyse::NAMES)),
    };
    (schema.build(), fields)
}

impl Fields {
    /// The fields that a word is looked for in, weighed by what our own questions gained (`knowledge/README.md`).
    pub(super) const fn weighed(&self) -> [Weighed; 4] {
        [
            Weighed { field: self.body, boost: 1.0 },
            Weighed { field: self.title, boost: 3.0 },
            Weighed { field: self.headings, boost: 0.7 },
            Weighed { field: self.path, boost: 0.7 },
        ]
    }

    pub(super) fn id(&self, id: ChunkId) -> Term {
        Term::from_field_bytes(self.id, &id.as_u128().to_be_bytes())
    }

    pub(super) fn label(&self, label: &str) -> Term {
        Term::from_field_text(self.labels, label)
    }

    pub(super) fn document(&self, id: ChunkId, of: &Document<'_>) -> TantivyDocument {
        let number = id.as_u128();
        let mut document = TantivyDocument::default();
        document.add_bytes(self.id, &number.to_be_bytes());
        document.add_u64(self.high, (number >> 64) as u64);
        document.add_u64(self.low, number as u64);
        for label in of.labels {
            document.add_text(self.labels, label);
        }
        for symbol in of.symbols.split_whitespace() {
            document.add_text(self.symbol, symbol.to_lowercase());
        }
        for (field, text) in [
            (self.path, of.path),
            (self.title, of.title),
            (self.headings, of.headings),
            (self.body, of.body),
            (self.names, of.body),
        ] {
            document.add_text(field, text);
        }
        document
    }
}
