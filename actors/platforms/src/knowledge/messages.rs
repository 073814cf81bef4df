//! What a collection and a context package are told, and what they announce.

use mesh_kernel::{
    envelope::{Classification, Timestamp},
    ports::Digest,
};
use serde::{Deserialize, Serialize};

/// Where documents come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Names the source within the collection, such as `docs`.
    pub name: String,
    /// What it is for whoever reads: a folder's name, a repository's address.
    #[serde(default)]
    pub uri: String,
    /// `git`, or `folder`.
    #[serde(default)]
    pub kind: String,
    /// How far its content may travel.
    #[serde(default)]
    pub classification: Classification,
    /// It was written by somebody outside, so that what is made of it is tainted.
    #[serde(default)]
    pub outside: bool,
}

/// A document as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Its path within the source, with `/`.
    pub path: String,
    /// SHA-256 of its bytes: what tells a changed one from one that is the same.
    pub content: Digest,
    /// Where its bytes lie in the content store.
    pub body: Digest,
    /// Its length.
    pub bytes: u64,
    /// The commit at which it was read, for a source that has such.
    #[serde(default)]
    pub revision: String,
}

/// A document that is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gone {
    /// The source.
    pub source: String,
    /// The document.
    pub path: String,
}

/// What became of a document in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Indexed {
    /// The source.
    pub source: String,
    /// The document.
    pub path: String,
    /// Which content was indexed; a document that has changed meanwhile is indexed again.
    pub content: Digest,
    /// How many chunks were made of it.
    #[serde(default)]
    pub chunks: u32,
    /// Why none were.
    #[serde(default)]
    pub skipped: String,
}

/// What a collection is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum CollectionCommand {
    /// These documents of a source are as sent, and those are gone.
    IngestDocuments {
        /// The source; it is new, or what is said of it is changed by this.
        origin: Origin,
        /// New and changed ones, and it does no harm to send others.
        documents: Vec<Document>,
        /// Paths that the source has no more.
        #[serde(default)]
        removed: Vec<String>,
    },
    /// Documents shall be found no more, and their bodies go.
    ForgetDocuments {
        /// The source.
        source: String,
        /// Which; the whole source when there is none.
        #[serde(default)]
        paths: Vec<String>,
    },
    /// The index was lost or is another model's: all documents are indexed again.
    RebuildIndex {
        /// The generation that was found lost; a later one is left alone.
        generation: u64,
        /// Why, for people.
        reason: String,
    },
    /// A round of indexing is durable.
    RecordIndexed {
        /// Which round.
        round: u64,
        /// Of which index.
        generation: u64,
        /// What became of each document.
        documents: Vec<Indexed>,
        /// What can be found no more.
        #[serde(default)]
        removed: Vec<Gone>,
        /// Bodies that are gone.
        #[serde(default)]
        bodies: Vec<Digest>,
    },
    /// A round of indexing could not be done.
    RecordFailure {
        /// Which round.
        round: u64,
        /// Of which index.
        generation: u64,
        /// Why, for people.
        reason: String,
    },
    /// Something that it wanted at an instant is due.
    FireTimer {
        /// `index`.
        name: String,
        /// When it was due.
        due: Timestamp,
    },
}

/// What a collection announces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum CollectionEvent {
    /// Documents are new or changed, or are gone.
    DocumentsIngested {
        /// The source.
        origin: Origin,
        /// New and changed ones.
        documents: Vec<Document>,
        /// Paths that are gone.
        #[serde(default)]
        removed: Vec<String>,
    },
    /// Documents shall be found no more.
    DocumentsForgotten {
        /// The source.
        source: String,
        /// Which; the whole source when there is none.
        #[serde(default)]
        paths: Vec<String>,
    },
    /// All documents are indexed again.
    IndexRebuilt {
        /// Why, for people.
        reason: String,
    },
    /// Documents can be found, or cannot be.
    DocumentsIndexed {
        /// Which round.
        round: u64,
        /// What became of each.
        documents: Vec<Indexed>,
        /// What can be found no more.
        #[serde(default)]
        removed: Vec<Gone>,
        /// Bodies that are gone.
        #[serde(default)]
        bodies: Vec<Digest>,
    },
    /// A round of indexing failed.
    IndexingFailed {
        /// Which round.
        round: u64,
        /// Why.
        reason: String,
    },
    /// It is time to try again.
    IndexingResumed {},
}

/// A piece that a context package holds, without its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageSource {
    /// What a model cites: `S1` and up.
    pub handle: String,
    /// The chunk.
    pub chunk: String,
    /// Collection, source, revision, path and lines.
    pub citation: String,
    /// How well it fits: larger is better, comparable within the package.
    pub score: f64,
    /// Tokens that it takes, wrapping included.
    pub tokens: u32,
    /// What the document was when it was cut.
    pub content: Digest,
    /// How far it may travel.
    pub classification: Classification,
    /// It was written outside.
    #[serde(default)]
    pub tainted: bool,
    /// Something in it was redacted.
    #[serde(default)]
    pub redacted: bool,
}

/// A context package, without its texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// What it was asked for.
    pub intent: String,
    /// The collections that were searched.
    pub collections: Vec<String>,
    /// The bound that it keeps.
    pub token_budget: u32,
    /// What it takes of it.
    pub tokens_used: u32,
    /// How its tokens were counted.
    pub tokenizer: String,
    /// How its vectors were made.
    pub model: String,
    /// The pieces, best first and second best last.
    pub sources: Vec<PackageSource>,
    /// Why others were left out, and how many: `policy`, `budget`, `duplicate`.
    #[serde(default)]
    pub left_out: std::collections::BTreeMap<String, u32>,
    /// How long it may be used.
    pub ttl_seconds: u32,
    /// Where the whole package lies in the content store, as JSON.
    pub body: Digest,
}

/// What a package is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum PackageCommand {
    /// It was built.
    BuildContext(Box<Package>),
}

/// What a package announces.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum PackageEvent {
    /// It was built.
    ContextPackageBuilt(Box<Package>),
}
