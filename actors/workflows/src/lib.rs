//! Workflows: definitions, their published versions, and runs.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`run`] | one execution of a definition, as a durable entity |
//! | [`catalogue`] | published definitions, as entities that hold their versions |
//! | [`limit`] | concurrency limits, as entities that grant slots |
//! | [`submission`] | what is asked of a new run |
//! | [`invocation`] | a skill called by itself, as a workflow of one step |
//! | [`definition`] | definitions read and checked, mistakes told with their places |
//! | [`plan`] | a definition compiled to indices and expressions, and everything that can be wrong with one |
//! | [`expression`] | CEL in `${ … }`: compiled, analysed, evaluated |
//! | [`form`] | the message, its YAML and JSON, its JSON Schema, its digest |
//! | [`testing`] | a definition's cases, with skills answered from the file and time skipped |
//!
//! INVARIANT: nothing here does I/O, reads a clock or draws a random number.

pub mod catalogue;
pub mod definition;
pub mod expression;
pub mod form;
pub mod invocation;
pub mod limit;
pub mod plan;
pub mod run;
pub mod submission;
pub mod testing;

#[cfg(test)]
mod tests;
