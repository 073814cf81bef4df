//! Floor 6: who must know. Cursors, projections (read models) and reactors (events into commands).
//!
//! A follower reads the journal from its own cursor and never from a handler. So a follower that is
//! slow, dead or new changes nothing for anybody else, and catches up from where it stood.

mod denials;
mod ending;
mod fresh;
mod projection;
mod reactor;
mod resume;
mod subscription;
mod timers;

pub use denials::{DenialAudit, record_denials, run_denials};
pub use ending::end_tenant;
pub use fresh::Freshness;
pub use projection::{Projection, ProjectionError, run_projection};
pub use reactor::{Reaction, Reactor, run_reactor};
pub use resume::{Resumed, resume};
pub use subscription::{Seen, Subscription};
pub use timers::run_timers;
