//! The shard supervisor: parent of the awake entities of one platform and shard.
//!
//! It never gives up for an entity: an entity's failures are counted in its own slot, and too many
//! of them quarantine that entity and nobody else.

use std::sync::{Arc, Weak};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

use super::{
    Slot, Spawner,
    host::{Host, HostArgs, Presence},
    supervisor::{ChildPresence, Running, StartChild, StopBy},
};
use crate::BoxFuture;

/// Whom a shard's supervisor works for: it knows the slots and what becomes of them.
pub(super) trait Keeper: Send + Sync {
    /// A shard's supervisor is up: it is told who waits to be woken.
    fn shard_up(&self, platform: usize, shard: u8, bell: &ActorRef<Wake>);
    /// Decides what becomes of an address whose incarnation has ended.
    fn after_end(&self, slot: &Arc<Slot>);
    /// Makes behaviours.
    fn spawner(&self) -> Arc<dyn Spawner>;
}

/// Start the next incarnation of this slot.
///
/// It may be lost with the supervisor, and then its next incarnation finds the slot by itself; it
/// may come twice, and then the slot is claimed once.
pub(super) struct Wake(pub(super) Arc<Slot>);

pub(super) struct ShardActor;

/// INVARIANT: `presence` is the last field, so the end is reported after all else was dropped.
pub(super) struct ShardState {
    keeper: Weak<dyn Keeper>,
    #[expect(dead_code, reason = "it works by being dropped last")]
    presence: ChildPresence,
}

pub(super) struct ShardArgs {
    pub(super) keeper: Weak<dyn Keeper>,
    pub(super) platform: usize,
    pub(super) shard: u8,
    pub(super) presence: ChildPresence,
}

impl Actor for ShardActor {
    type Msg = Wake;
    type State = ShardState;
    type Arguments = ShardArgs;

    async fn pre_start(&self, myself: ActorRef<Wake>, args: ShardArgs) -> Result<ShardState, ActorProcessingErr> {
        if let Some(keeper) = args.keeper.upgrade() {
            keeper.shard_up(args.platform, args.shard, &myself);
        }
        Ok(ShardState { keeper: args.keeper, presence: args.presence })
    }

    async fn handle(
        &self,
        myself: ActorRef<Wake>,
        Wake(slot): Wake,
        state: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        let (Some(keeper), true) = (state.keeper.upgrade(), slot.claim()) else {
            return Ok(());
        };
        // Nothing is awaited between the claim and the presence, so a claim is never lost.
        let (ended, weak) = (slot.clone(), state.keeper.clone());
        let presence = Presence::new(move || {
            if let Some(keeper) = weak.upgrade() {
                keeper.after_end(&ended);
            }
        });
        let args = HostArgs { spawner: keeper.spawner(), presence, slot };
        // A failed start drops the presence, which reports it like any other end.
        if let Err(error) = Host::spawn_linked(None, Host, args, myself.get_cell()).await {
            tracing::warn!(%error, "an entity's actor could not be started");
        }
        Ok(())
    }

    /// The presence tells of ends; the event is dropped, and with it the state that it may carry.
    ///
    /// ractor's own handler would stop this supervisor and kill all siblings.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Wake>,
        event: SupervisionEvent,
        _: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        drop(event);
        Ok(())
    }
}

/// A shard's supervisor as a child of its platform.
pub(super) struct ShardStart {
    pub(super) keeper: Weak<dyn Keeper>,
    pub(super) platform: usize,
    pub(super) shard: u8,
}

impl StartChild for ShardStart {
    fn start(&self, parent: ActorCell, presence: ChildPresence) -> BoxFuture<'static, Result<Running, SpawnErr>> {
        let args = ShardArgs { keeper: self.keeper.clone(), platform: self.platform, shard: self.shard, presence };
        Box::pin(async move {
            let (shard, _) = ShardActor::spawn_linked(None, ShardActor, args, parent).await?;
            Ok(Running { cell: shard.get_cell(), stop_by: StopBy::Stop })
        })
    }
}
