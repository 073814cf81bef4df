//! Below the rooms: how the end of a run that made a product reads.
//!
//! Several rooms learn from it, each what concerns it; none knows another.

use mesh_kernel::envelope::{Envelope, Kind};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// The kind of a run's address.
pub(crate) const RUN: Kind = Kind { platform: "control-plane", name: "run" };

/// A product's name behind this is the id of its project.
pub(crate) const PROJECT_PREFIX: &str = "proj-";

/// The built-in definition whose runs make products.
const DEFINITION: &str = "product";

#[derive(Deserialize)]
struct Succeeded {
    outputs: Value,
    definition: Option<Definition>,
    project: Option<String>,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
}

/// What a run delivered: `T` is what the room reads of its outputs.
pub(crate) struct Delivered<T> {
    pub(crate) run: String,
    pub(crate) product: String,
    pub(crate) outputs: T,
}

/// Reads `RunSucceeded` of a run that made a product; `None` for any other event.
pub(crate) fn delivered<T: DeserializeOwned>(event: &Envelope) -> Option<Delivered<T>> {
    if event.event_type.as_ref() != "RunSucceeded" || !event.headers.subject.is(RUN) {
        return None;
    }
    let ended: Succeeded = serde_json::from_slice(&event.payload).ok()?;
    if ended.definition?.name != DEFINITION {
        return None;
    }
    let product = ended.project?.strip_prefix(PROJECT_PREFIX)?.to_owned();
    let outputs = serde_json::from_value(ended.outputs).ok()?;
    Some(Delivered { run: event.headers.subject.id().to_owned(), product, outputs })
}
