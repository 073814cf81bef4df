//! Workflows: definitions, their published versions, and runs.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`run`] | one execution of a definition, as a durable entity |
//! | [`catalogue`] | published definitions, as entities that hold their versions |
//! | [`limit`] | concurrency limits, as entities that grant slots |
//! | [`definition`] | definitions read from YAML or JSON, mistakes told with their places, JSON Schema |
//! | [`plan`] | a definition compiled to indices and expressions, and everything that can be wrong with one |
//! | [`expression`] | CEL in `${ … }`: compiled, analysed, evaluated |
//! | [`testing`] | a definition's cases, with skills answered from the file and time skipped |
//!
//! INVARIANT: nothing here does I/O, reads a clock or draws a random number.

pub mod catalogue;
pub mod definition;
pub mod expression;
pub mod limit;
pub mod plan;
pub mod run;
pub mod testing;

#[cfg(test)]
mod tests;
