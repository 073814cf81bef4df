//! Services: reactors, projections, pools of effect workers, as children of a platform.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};
use tokio_util::sync::CancellationToken;

use super::{
    Cause, Crash, Restart,
    supervisor::{ChildPresence, Running, StartChild, StopBy},
    verdict::verdict,
};
use crate::{BoxFuture, telemetry::ServiceMeter};

type Start = dyn Fn(CancellationToken, Arc<ServiceMeter>) -> BoxFuture<'static, Result<(), Crash>> + Send + Sync;

/// Something that runs for as long as its platform does.
///
/// `start` makes a fresh future for each incarnation. The token tells it to stop; after `shutdown`
/// it is killed at its next await. Returning `Ok` before that is an end like any other, and a
/// permanent service is started again.
#[derive(Clone)]
pub struct ServiceSpec {
    /// Its name within its platform.
    pub name: String,
    /// Whether it is started again.
    pub restart: Restart,
    /// How long it has to stop.
    pub shutdown: Duration,
    /// Makes one incarnation.
    pub start: Arc<Start>,
    /// What it counts, over all incarnations; the tree shows it.
    pub meter: Arc<ServiceMeter>,
}

impl ServiceSpec {
    /// A permanent service with 5 s to stop.
    pub fn new<F, Fut>(name: impl Into<String>, start: F) -> Self
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Crash>> + Send + 'static,
    {
        Self::metered(name, move |token, _| start(token))
    }

    /// The same, for a service that counts what it does.
    pub fn metered<F, Fut>(name: impl Into<String>, start: F) -> Self
    where
        F: Fn(CancellationToken, Arc<ServiceMeter>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Crash>> + Send + 'static,
    {
        Self {
            name: name.into(),
            restart: Restart::Permanent,
            shutdown: Duration::from_secs(5),
            start: Arc::new(move |token, meter| Box::pin(start(token, meter))),
            meter: Arc::default(),
        }
    }
}

impl std::fmt::Debug for ServiceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The only message: begin.
struct Go;

struct ServiceActor;

struct ServiceState {
    start: Arc<Start>,
    token: CancellationToken,
    meter: Arc<ServiceMeter>,
    presence: ChildPresence,
}

impl Actor for ServiceActor {
    type Msg = Go;
    type State = ServiceState;
    type Arguments = ServiceState;

    async fn pre_start(&self, myself: ActorRef<Go>, state: ServiceState) -> Result<ServiceState, ActorProcessingErr> {
        myself.send_message(Go)?;
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Go>, _: Go, state: &mut ServiceState) -> Result<(), ActorProcessingErr> {
        let (start, token, meter) = (state.start.clone(), state.token.clone(), state.meter.clone());
        // The making of the future may panic as well as the future.
        let running = AssertUnwindSafe(async move { start(token, meter).await }).catch_unwind();
        let cause = match verdict(running.await) {
            Ok(()) if state.token.is_cancelled() => Cause::Asked,
            Ok(()) => Cause::Normal,
            Err(cause) => {
                let text = cause.to_string();
                state.presence.note(cause);
                return Err(text.into());
            }
        };
        state.presence.note(cause);
        myself.stop(None);
        Ok(())
    }
}

impl StartChild for ServiceSpec {
    fn start(&self, parent: ActorCell, presence: ChildPresence) -> BoxFuture<'static, Result<Running, SpawnErr>> {
        let token = CancellationToken::new();
        let (start, meter) = (self.start.clone(), self.meter.clone());
        let state = ServiceState { start, token: token.clone(), meter, presence };
        Box::pin(async move {
            let (service, _) = ServiceActor::spawn_linked(None, ServiceActor, state, parent).await?;
            Ok(Running { cell: service.get_cell(), stop_by: StopBy::Token(token) })
        })
    }
}
