//! Stores of vectors: what each of them does, and what the embedded one keeps when it is killed.

#![expect(clippy::expect_used, reason = "these are tests and their helpers")]

#[path = "vectors/concurrent.rs"]
mod concurrent;
#[path = "vectors/conformance.rs"]
mod conformance;
#[path = "vectors/crash.rs"]
mod crash;
#[path = "vectors/damage.rs"]
mod damage;
#[path = "vectors/data.rs"]
mod data;
#[path = "vectors/histories.rs"]
mod histories;
#[path = "vectors/recall.rs"]
mod recall;
