//! Rules that an agent writes in Rust: what may stand in them, and what is told of their tests.
//!
//! What is written here becomes part of a product that is built and run, so it is held to a narrow form: a pure
//! function of a record and the present minute, helpers, and tests. The product's own sandbox and limits hold for
//! its build all the same.
//!
//! Never here: building, or where files lie ([`crate::native`]).

mod source;
mod told;
mod words;

pub use source::{Checked, FUNCTION_BYTES_MAX, Source, TEST_BYTES_MAX, TESTS_MAX, check};
pub use told::{failed_tests, unbuilt};

#[cfg(test)]
mod tests;
