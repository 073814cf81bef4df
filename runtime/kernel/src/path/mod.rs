//! Floor 5: the path of every envelope, in eight steps.
//!
//! | step | file | function | what it answers |
//! | --- | --- | --- | --- |
//! | 1 accept | `accept.rs` | [`Mesh::accept`] | who is it from? |
//! | 2 admit | `admit.rs` | `Mesh::admit` | may it come in? |
//! | 3 route | `route.rs` | `Mesh::route` | where to? |
//! | 4 deliver | `deliver.rs` | `Mesh::deliver` | is there room? |
//! | 5 decide | `decide.rs` | `Entity::decide` | what happens? |
//! | 6 record | `record.rs` | `Entity::record` | will it last? |
//! | 7 apply | `apply.rs` | `Entity::apply` | what is true now? |
//! | 8 announce | `announce.rs` | `Entity::announce` | who must know? |
//!
//! The first four run where the sender is, the last four inside the entity (`entity.rs`). A query
//! takes steps 1 and 2 and then reads (`query.rs`); it never enters a mailbox.

mod accept;
mod admit;
mod announce;
mod apply;
mod decide;
mod deliver;
mod entity;
mod load;
mod query;
mod record;
mod route;
mod send;
mod span;

use std::sync::{Arc, OnceLock};

pub use accept::Caller;
pub use query::{Past, Viewed};
pub use send::{Command, Reply};

use crate::{
    actor::{ActorConfig, DeadLetterSink, Directory, Tree},
    entity::Kinds,
    ports::{Approvals, Archive, Authenticator, Clock, Ids, Journal, Policy, Position},
    telemetry::Signals,
    tenant::{DenialCounts, Quotas},
    work::{Timers, Workers},
};

/// What the last four steps need: the services that an awake entity uses.
pub(crate) struct Services {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) kinds: Kinds,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) workers: Workers,
    pub(crate) timers: Timers,
    pub(crate) settings: Settings,
}

/// What can be set about the path.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// One trace in this many gets spans; 1 samples all, 0 none.
    pub sample_one_in: u32,
    /// Events after which a snapshot is written behind.
    pub snapshot_every: u64,
    /// How long a sender waits for room and an answer when it says nothing.
    pub timeout: std::time::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sample_one_in: 100, snapshot_every: 64, timeout: std::time::Duration::from_secs(30) }
    }
}

/// Everything that a kernel is made of; handed over by the composition root.
pub struct Parts {
    /// The journal's engine.
    pub journal: Arc<dyn Journal>,
    /// The kinds of entities.
    pub kinds: Kinds,
    /// The wall and the monotonic clock.
    pub clock: Arc<dyn Clock>,
    /// The source of ids.
    pub ids: Arc<dyn Ids>,
    /// May this principal do this?
    pub policy: Arc<dyn Policy>,
    /// Where a command waits that needs an approval first.
    pub approvals: Arc<dyn Approvals>,
    /// Who presents this credential?
    pub authenticator: Arc<dyn Authenticator>,
    /// What each tenant may ask for.
    pub quotas: Quotas,
    /// Performers of effects.
    pub workers: Workers,
    /// Where what cannot be delivered goes, whole.
    pub dead_letters: Arc<dyn DeadLetterSink>,
    /// The supervisors: node, planes, platforms.
    pub tree: Arc<Tree>,
    /// Bounds of mailboxes, restarts and sleep.
    pub actors: ActorConfig,
    /// Sampling, snapshots, time-outs.
    pub settings: Settings,
}

pub(crate) struct Core {
    pub(crate) services: Arc<Services>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) approvals: Arc<dyn Approvals>,
    pub(crate) denials: DenialCounts,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) quotas: Quotas,
    pub(crate) dead_letters: Arc<dyn DeadLetterSink>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) archive: OnceLock<Arc<dyn Archive>>,
}

/// The running kernel. Cheap to clone; every clone is the same kernel.
#[derive(Clone)]
pub struct Mesh(pub(crate) Arc<Core>);

impl Mesh {
    /// Puts a kernel together. Nothing of the journal runs until [`crate::follow::resume`]. Must be called
    /// within the runtime.
    pub fn new(parts: Parts) -> Self {
        let services = Arc::new(Services {
            journal: parts.journal,
            kinds: parts.kinds,
            timers: Timers::new(parts.clock.clone()),
            clock: parts.clock.clone(),
            workers: parts.workers.clone(),
            settings: parts.settings,
        });
        let spawner = Arc::new(entity::EntitySpawner(services.clone()));
        let directory = Directory::new(parts.actors, parts.tree, spawner, parts.clock, parts.dead_letters.clone());
        let mesh = Self(Arc::new(Core {
            services,
            ids: parts.ids,
            policy: parts.policy,
            approvals: parts.approvals,
            denials: DenialCounts::default(),
            authenticator: parts.authenticator,
            quotas: parts.quotas,
            dead_letters: parts.dead_letters,
            directory,
            archive: OnceLock::new(),
        }));
        parts.workers.connect(Arc::new(mesh.clone()));
        mesh
    }

    /// The position up to which everything is durable.
    pub fn durable(&self) -> Position {
        self.0.services.journal.durable()
    }

    /// The directory of awake entities: the tree, wake and drain.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.0.directory
    }

    /// The journal's engine, for followers and health.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.0.services.journal
    }

    /// The effect workers, for shutdown and for the tree.
    pub fn workers(&self) -> &Workers {
        &self.0.services.workers
    }

    /// The queue of timers.
    pub(crate) fn timers(&self) -> &Timers {
        &self.0.services.timers
    }

    /// Says where those are found that have ended and whose events are gone. Once.
    pub fn connect_archive(&self, archive: Arc<dyn Archive>) {
        self.0.archive.get_or_init(|| archive);
    }

    /// Now, on the kernel's clock.
    pub fn now(&self) -> crate::envelope::Timestamp {
        self.0.services.clock.now()
    }

    /// Live signals, for observers.
    pub fn signals(&self) -> &Arc<Signals> {
        self.0.directory.signals()
    }
}
