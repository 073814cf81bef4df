//! What a product is told, and what it announces.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the tests of a delivery ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tests {
    /// How many passed.
    pub passed: u32,
    /// How many failed.
    pub failed: u32,
}

/// What a run delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The run.
    pub run: String,
    /// Where the product answers.
    pub url: String,
    /// Its repository: a path that `git clone` takes.
    pub repository: String,
    /// The commit that it was built from.
    pub commit: String,
    /// Digest of the blueprint.
    #[serde(default)]
    pub blueprint_digest: String,
    /// How its tests ended.
    #[serde(default)]
    pub tests: Tests,
    /// Log-ins of its demonstration tenants, as the product shows them.
    #[serde(default)]
    pub logins: Value,
}

/// What a product is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum ProductCommand {
    /// A run delivered it.
    RecordDelivery(Delivery),
    /// It answers, perhaps at another address than before.
    RecordServing {
        /// Where it answers.
        url: String,
    },
    /// It does not answer any more, as asked.
    RecordStop {},
}

/// What a product announces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum ProductEvent {
    /// There is something new to use.
    ProductDelivered(Delivery),
    /// It answers here from now on.
    ProductServed {
        /// Where it answers.
        url: String,
    },
    /// It does not answer any more.
    ProductStopped {},
}
