//! Retrieval as callers and skills ask for it: bounded turns on the processors, and a lost index made again.

mod collection;
mod find;
mod package;
mod port;

pub use collection::{Figures, SourceFigures, Stands, address};
pub use find::{Asked, ceiling_of, told};
pub use package::Ask;
pub use port::ContextsPort;

use std::sync::{Arc, OnceLock};

use mesh_kernel::{
    BoxFuture,
    entity::encode_tagged,
    envelope::{Classification, ErrorKind, Refusal, TenantScope},
    path::{Caller, Command, Mesh},
    ports::{Clock, ContentStore, Credential},
};
use mesh_knowledge::{
    context::{self, Bounds, Package, Verdict},
    shelf::{Candidate, Error, Shelves, Standing, Wanted},
};
use mesh_platforms::knowledge::messages::CollectionCommand;
use mesh_proto::v1;
use mesh_skills::models::secrets;
use tokio::sync::Semaphore;

/// Retrieval over every tenant's collections.
pub struct Knowledge {
    shelves: Arc<Shelves>,
    /// Searches and packings at once: they are work for processors.
    turns: Semaphore,
    mesh: OnceLock<Mesh>,
    content: Arc<dyn ContentStore>,
    collections: Arc<dyn Collections>,
    clock: Arc<dyn Clock>,
    /// The secret by which the node speaks to itself.
    own: String,
}

/// Which collections a tenant has: a list that is behind the journal by a moment.
pub trait Collections: Send + Sync + 'static {
    /// Their names, at most so many, and whether there are more.
    ///
    /// # Errors
    /// When the list cannot be read.
    fn names<'a>(&'a self, scope: &'a TenantScope, most: usize) -> BoxFuture<'a, Result<(Vec<String>, bool), Refusal>>;
}

/// What retrieval needs; handed over by the composition root.
pub struct Parts {
    /// The collections' indexes.
    pub shelves: Arc<Shelves>,
    /// Where packages lie.
    pub content: Arc<dyn ContentStore>,
    /// Which collections there are.
    pub collections: Arc<dyn Collections>,
    /// The kernel's clock.
    pub clock: Arc<dyn Clock>,
    /// Searches and packings at once.
    pub at_once: usize,
    /// The secret by which the node speaks to itself.
    pub own: String,
}

impl Knowledge {
    /// Retrieval with these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { shelves, content, collections, clock, at_once, own } = parts;
        Self { shelves, turns: Semaphore::new(at_once.max(1)), mesh: OnceLock::new(), content, collections, clock, own }
    }

    fn mesh(&self) -> Result<&Mesh, Refusal> {
        self.mesh.get().ok_or_else(stopping)
    }

    /// Says whom a lost index is told to. Once, when the kernel stands.
    pub fn connect(&self, mesh: Mesh) {
        if self.mesh.set(mesh).is_err() {
            tracing::error!("knowledge was connected twice; the first kernel stays");
        }
    }

    /// What makes the vectors, as answers say it.
    pub fn told_model(&self) -> v1::EmbeddingModel {
        let model = self.shelves.model();
        v1::EmbeddingModel {
            name: model.name.clone(),
            digest: model.digest.clone(),
            dimensions: u32::try_from(model.dimensions).unwrap_or(u32::MAX),
            note: model.note.clone(),
        }
    }

    /// The pieces of a collection that fit best.
    ///
    /// # Errors
    /// `Unavailable` while a lost index is made again, and when the disk refuses.
    async fn search(
        &self,
        caller: &Caller,
        collection: &str,
        standing: &Standing,
        wanted: Wanted,
    ) -> Result<Vec<Candidate>, Refusal> {
        let _turn = self.turns.acquire().await.map_err(|_| stopping())?;
        let found = self.shelves.search(caller.scope().clone(), collection.to_owned(), *standing, wanted).await;
        match found {
            Ok(found) => Ok(found),
            Err(error) if error.wants_rebuild() => {
                self.rebuild(caller, collection, standing.generation, &error).await?;
                Err(unavailable(&error))
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Tells a collection that its index is lost.
    async fn rebuild(&self, caller: &Caller, collection: &str, generation: u64, error: &Error) -> Result<(), Refusal> {
        let mesh = self.mesh()?;
        let node = mesh.accept(&Credential::Session(self.own.clone()), None)?.acting_for(caller.tenant().clone())?;
        let to = address(caller, collection)?;
        let command = CollectionCommand::RebuildIndex { generation, reason: error.to_string() };
        let payload = encode_tagged(&command, 1).map_err(|error| internal(&error))?;
        mesh.send(&node, Command::new(to, payload)).await.map(drop)
    }

    /// Packs candidates, off the threads that answer.
    ///
    /// # Errors
    /// When the node stops.
    async fn pack(
        &self,
        candidates: Vec<Candidate>,
        bounds: Bounds,
        ceiling: Classification,
    ) -> Result<Package, Refusal> {
        let _turn = self.turns.acquire().await.map_err(|_| stopping())?;
        let packed = tokio::task::spawn_blocking(move || {
            context::pack(candidates, &bounds, &|candidate| judged(candidate, ceiling), &redacted)
        });
        packed.await.map_err(|_| stopping())
    }
}

/// What policy says of a piece below this ceiling. Deny wins over redact, and that over allow.
fn judged(candidate: &Candidate, ceiling: Classification) -> Verdict {
    let is = candidate.shelved.document.classification;
    match is > ceiling {
        true => Verdict::Deny(format!("it is {is:?}, and the ceiling is {ceiling:?}")),
        false => Verdict::Redact,
    }
}

/// A text without what looks like a key; nothing when there is none in it.
pub fn redacted(text: &str) -> Option<String> {
    match secrets::redact(text) {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(redacted) => Some(redacted),
    }
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new("KNO-0010", ErrorKind::Internal, error.to_string())
}

fn refused(field: &str, what: String) -> Refusal {
    Refusal::new("KNO-0017", ErrorKind::InvalidArgument, format!("`{field}`: {what}")).at(field, what)
}

fn missing(what: &str, id: &str) -> Refusal {
    let shown: String = id.chars().take(80).collect();
    Refusal::new("KNO-0016", ErrorKind::NotFound, format!("there is no {what} `{shown}`"))
}

/// A classification as answers say it.
pub fn said(classification: Classification) -> v1::Classification {
    match classification {
        Classification::Public => v1::Classification::Public,
        Classification::Internal => v1::Classification::Internal,
        Classification::Confidential => v1::Classification::Confidential,
        Classification::Restricted => v1::Classification::Restricted,
    }
}

fn unavailable(error: &Error) -> Refusal {
    Refusal::new("KNO-0011", ErrorKind::Unavailable, error.to_string()).after(std::time::Duration::from_secs(1))
}

fn stopping() -> Refusal {
    Refusal::new("KNO-0012", ErrorKind::Unavailable, "the node is starting or stopping: try again")
}
