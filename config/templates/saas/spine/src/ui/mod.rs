//! What pages are made of: the frame, forms, lists, and the details of a record.
//!
//! Everything is escaped by construction (`maud`), works without scripts, and is only made smoother
//! by htmx: a search that answers while one types, a button that does not reload the page.

mod detail;
mod edit;
mod frame;
mod lists;
mod parts;
pub mod records;

pub use detail::detail;
pub use edit::{Draft, edit};
pub use frame::{frame, public_frame};
pub use lists::{Page, list};
pub use parts::{badge, csrf, empty, field_error, input, meter, note, shown, when};
