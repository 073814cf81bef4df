//! A directory is put together here: its floor, its watchdog, its sweep.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::{
    ActorConfig, DeadLetterSink, Directory, Spawner, Tree,
    directory::Map,
    done::Done,
    floor::{Apart, Floor, Totals},
    restart::Chance,
    sweep, watchdog,
};
use crate::{envelope::Shard, ports::Clock};

impl Directory {
    /// A directory whose entities live under the platforms of `tree`, with its watchdog and its
    /// sweep. Must be called within the runtime.
    pub fn new(
        config: ActorConfig,
        tree: Arc<Tree>,
        spawner: Arc<dyn Spawner>,
        clock: Arc<dyn Clock>,
        dead: Arc<dyn DeadLetterSink>,
    ) -> Arc<Self> {
        let beat = AtomicU64::new(u64::try_from(clock.monotonic().as_nanos()).unwrap_or(0));
        let floor = Arc::new(Floor {
            chance: Mutex::new(Chance::new(config.seed)),
            starts: Semaphore::new(config.starts.max(1)),
            done: Done::default(),
            config,
            clock,
            dead,
            meters: tree.meters(),
            signals: tree.signals(),
            totals: Totals::default(),
            queued_bytes: Apart::default(),
            live_bytes: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            tight: Notify::new(),
            moved: Notify::new(),
        });
        let directory = Arc::new_cyclic(|myself| Self {
            floor,
            maps: (0..Shard::COUNT).map(|_| Map::default()).collect(),
            seats: Mutex::default(),
            spawner,
            tree,
            myself: myself.clone(),
            beat,
        });
        watchdog::start(&directory);
        sweep::start(&directory);
        directory
    }
}
