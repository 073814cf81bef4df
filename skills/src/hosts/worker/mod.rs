//! Workers: processes of the tenant's own that have dialled in, and the calls that they do.
//!
//! A call waits in the queue of its skill's version until a worker that has it takes no more than it said
//! it can. The call's id is its fence: it is given once, and a result that comes under an id that nobody
//! waits for is told to be stale. When a worker is lost, its calls are kept for the time of a lease: the same
//! worker may come back and go on with them; then they fail, and their run decides about another attempt.
//!
//! Never here: how a worker is spoken to (the gateway's stream), and what was registered ([`crate::catalogue`]).
//!
//! INVARIANT: whatever a worker says concerns its own tenant's calls alone; another tenant's ids are unknown.

mod host;
mod seen;
mod session;
mod skill;

pub use host::{Asked, LEASE, Workers};
pub use seen::{WorkerFigures, WorkerSeen};
pub use session::{Said, Session, Told};
pub use skill::WorkerSkill;

#[cfg(test)]
mod tests;
