//! A collection, as its entity shows it.

use mesh_kernel::{
    entity::Decider as _,
    envelope::{Address, ErrorKind, Refusal, Timestamp},
    path::Caller,
};
use mesh_knowledge::shelf::Standing;
use mesh_platforms::knowledge::{machines::collection::CollectionMachine, messages::Origin};
use serde::Deserialize;

use super::{Knowledge, internal, missing, refused};

/// Longest name of a collection. **Units**: characters.
const NAME_LEN_MAX: usize = 63;

/// A collection's figures, as its entity shows them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Its name.
    pub name: String,
    /// Its sources, by name.
    pub sources: Vec<SourceFigures>,
    /// Documents that wait for the index.
    pub pending: u32,
    /// Why the last round failed.
    pub problem: String,
}

/// A source's figures.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFigures {
    /// What is said of it.
    pub origin: Origin,
    /// Documents.
    pub documents: u32,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Chunks of those that are indexed.
    pub chunks: u64,
    /// Documents that wait.
    pub pending: u32,
    /// Documents of which nothing can be made.
    pub skipped: u32,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// How far a collection's index is, as its entity says.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stands {
    /// Rounds of indexing that are done.
    pub rounds: u64,
    /// Which index it is.
    pub generation: u64,
    /// The round behind which that index began.
    pub began: u64,
    /// Documents that wait for it.
    pub pending: usize,
}

impl Stands {
    /// How far its index must have come.
    pub fn standing(&self) -> Standing {
        Standing { generation: self.generation, began: self.began, rounds: self.rounds }
    }
}

impl Knowledge {
    /// How far a collection's index is; `None` when there is no such collection.
    ///
    /// # Errors
    /// What the policy says.
    pub async fn standing(&self, caller: &Caller, collection: &str, action: &str) -> Result<Option<Stands>, Refusal> {
        match self.mesh()?.query(caller, &address(caller, collection)?, action, "standing").await {
            Ok(viewed) => serde_json::from_value(viewed.view).map(Some).map_err(|error| internal(&error)),
            Err(refusal) if refusal.kind == ErrorKind::NotFound => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// What a collection has, and how far it is.
    ///
    /// # Errors
    /// `NotFound`; what the policy says.
    pub async fn figures(&self, caller: &Caller, collection: &str, action: &str) -> Result<Figures, Refusal> {
        let viewed = self.mesh()?.query(caller, &address(caller, collection)?, action, "").await;
        let viewed = viewed.map_err(|refusal| match refusal.kind {
            ErrorKind::NotFound => missing("collection", collection),
            _ => refusal,
        })?;
        serde_json::from_value(viewed.view).map_err(|error| internal(&error))
    }
}

/// The address of a collection, whether it is there or not.
///
/// # Errors
/// When no collection can have this name.
pub fn address(caller: &Caller, collection: &str) -> Result<Address, Refusal> {
    let is_fine = !collection.is_empty()
        && collection.len() <= NAME_LEN_MAX
        && collection.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !collection.starts_with('-');
    let no = || {
        let want = "lower-case letters, digits and `-` are taken, 63 at most, as in `docs`";
        refused("collection", format!("`{}`: {want}", collection.chars().take(80).collect::<String>()))
    };
    if !is_fine {
        return Err(no());
    }
    Address::new(caller.tenant(), CollectionMachine::KIND, collection).map_err(|_| no())
}
