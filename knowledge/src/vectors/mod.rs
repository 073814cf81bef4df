//! Vectors of chunks, and the nearest of them.
//!
//! [`VectorStore`] is the port: one store holds one tenant's collection under one embedding model, so that a
//! tenant's filter costs nothing and another tenant's vector cannot be found by any query. [`Embedded`] keeps it in a
//! folder of its own; see `README.md` for its files and thresholds.
//!
//! The journal is the truth. A store is told each change with the journal's position, flushes now and then, and
//! says to which position it is durable; what came later is replayed, and a replay changes nothing.
//!
//! *Absent: threads and timers.* Searches and builds are work for a processor and run where they are called: the
//! caller has the pool, and decides when to flush and when to build.

mod bits;
mod codes;
mod compact;
mod draft;
mod embedded;
mod error;
mod files;
mod graph;
mod head;
mod labels;
mod port;
mod search;
mod segment;
mod settings;
mod snapshot;
mod top;

pub use embedded::{Embedded, Figures};
pub use error::Error;
pub use labels::Filter;
pub use port::{Batch, Hit, Model, Query, Row, VectorStore};
pub use settings::Settings;
