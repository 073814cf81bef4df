//! Workflows: definitions, their published versions, and runs.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`expression`] | CEL in `${ … }`: compiled, analysed, evaluated |
//! | [`plan`] | a definition compiled to indices and expressions, and everything that can be wrong with one |
//! | [`definition`] | definitions read from YAML or JSON, told mistakes with their places, JSON Schema |
//!
//! INVARIANT: nothing here does I/O, reads a clock or draws a random number.

pub mod definition;
pub mod expression;
pub mod plan;
