//! Workflow definitions: from text to a checked message and its plan.
//!
//! Mistakes of form are found by [`crate::form`], mistakes of meaning by [`crate::plan`]; both are
//! told together, each with its file, line and column.
//!
//! Never here: runs, I/O.

mod read;

pub use crate::form::{
    canonical, digest, digest_of, from_json, parse_duration, schema, show_duration, struct_to_json, to_json,
    value_to_json,
};
pub use crate::plan::Known;
pub use read::{Definition, parse, validate};
