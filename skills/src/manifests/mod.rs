//! Skills as people write them down: manifest files in YAML, and folders of instructions (`SKILL.md`).
//!
//! Each form has one JSON Schema, which editors are given and readers go by; what does not fit it is told with
//! its place.
//!
//! Never here: I/O, and whether anybody can do what is written down.

mod file;
mod folder;
mod shape;

pub use file::{read, schema};
pub use folder::read_instructions;
pub use shape::mistakes;

#[cfg(test)]
mod tests;
