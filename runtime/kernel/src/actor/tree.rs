//! The tree: node, planes, platforms, and below them services and shards.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ractor::Actor as _;
use tokio::sync::watch;

use super::{
    Cause, Restart, RestartPolicy, ServiceSpec, Strategy,
    restart::{Backoff, Intensity},
    supervisor::{ChildPresence, ChildSpec, Seat, StartChild, Supervisor, SupervisorArgs},
};
use crate::{
    envelope::Address,
    ports::Clock,
    telemetry::{ActorInfo, ActorKind, ActorState, Meters, Signals},
};

/// The name of the root.
const NODE: &str = "node";

/// How often a platform may fail before its plane decides. The floors above it get less, for nesting
/// multiplies.
const PLATFORM_POLICY: RestartPolicy = policy(5, 30);
const PLANE_POLICY: RestartPolicy = policy(2, 60);

const fn policy(most: u32, seconds: u64) -> RestartPolicy {
    RestartPolicy {
        intensity: Intensity { most, within: Duration::from_secs(seconds) },
        backoff: Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(60) },
    }
}

/// Why the tree could not take a service, or not be started.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// No such platform.
    #[error("there is no platform `{0}` in the tree: name it in the topology")]
    NoPlatform(String),
    /// The root could not be started.
    #[error("the root of the tree could not be started: {0}")]
    Root(#[source] ractor_start::StartError),
}

/// Keeps ractor's types out of public signatures.
mod ractor_start {
    /// What ractor said.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    pub struct StartError(pub(super) String);
}

struct Platform {
    plane: &'static str,
    name: &'static str,
    seat: Arc<Seat>,
}

/// The supervisors from the node down to the platforms.
pub struct Tree {
    root: Arc<Seat>,
    planes: Vec<(ChildSpec, Arc<Seat>)>,
    platforms: Vec<Platform>,
    index: HashMap<&'static str, usize>,
    meters: Arc<Meters>,
    signals: Arc<Signals>,
    ended: watch::Receiver<Option<Cause>>,
}

impl Tree {
    /// Starts the supervisors of these planes and their platforms.
    ///
    /// # Errors
    /// [`TreeError::Root`] when the runtime is shutting down.
    pub async fn start(
        planes: &[(&'static str, &[&'static str])],
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, TreeError> {
        let root = Seat::new(Arc::from(NODE), Strategy::OneForOne, PLANE_POLICY, clock.clone());
        let mut tree = Parts::default();
        for (plane, platforms) in planes {
            tree.plane(&root, plane, platforms, &clock);
        }
        let (tell, ended) = watch::channel(None);
        let presence = ChildPresence::new(move |cause| {
            let _ = tell.send(Some(cause));
        });
        let args = SupervisorArgs { seat: root.clone(), presence };
        Supervisor::spawn(None, Supervisor, args)
            .await
            .map_err(|error| TreeError::Root(ractor_start::StartError(error.to_string())))?;
        Ok(Arc::new(Self {
            root,
            planes: tree.planes,
            platforms: tree.platforms,
            index: tree.index,
            meters: Arc::default(),
            signals: Arc::default(),
            ended,
        }))
    }

    /// Runs a service under a platform.
    ///
    /// # Errors
    /// [`TreeError::NoPlatform`].
    pub fn serve(&self, platform: &str, service: ServiceSpec) -> Result<(), TreeError> {
        let place = self
            .platform(platform)
            .and_then(|id| self.platforms.get(id))
            .ok_or_else(|| TreeError::NoPlatform(platform.to_owned()))?;
        let name = format!("{}/{}", place.seat.name, service.name);
        place.seat.add(child(name, ActorKind::Service, service));
        Ok(())
    }

    /// Runs a service of the node itself, under the root.
    pub fn serve_node(&self, service: ServiceSpec) {
        let name = format!("{NODE}/{}", service.name);
        self.root.add(child(name, ActorKind::Service, service));
    }

    /// Stops the platforms' services, last platform first and last started first, and waits until
    /// they have ended. Entities stay.
    pub async fn stop_services(&self) {
        for platform in self.platforms.iter().rev() {
            platform.seat.stop(Some(ActorKind::Service)).await;
        }
    }

    /// Stops everything, children before their parents and last started first. False when the
    /// deadline passed before all had ended.
    pub async fn stop(&self, deadline: Duration) -> bool {
        let stopping = async {
            self.root.stop(None).await;
            self.gave_up().await
        };
        tokio::time::timeout(deadline, stopping).await.is_ok()
    }

    /// Waits until the root has ended: with [`Cause::Asked`] after [`Tree::stop`], with another
    /// cause when it gave up, which is the end of the process.
    pub async fn gave_up(&self) -> Cause {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(cause) => cause.clone().unwrap_or(Cause::Vanished),
            Err(_) => Cause::Vanished,
        }
    }

    /// The sums per kind and tenant.
    pub fn meters(&self) -> Arc<Meters> {
        self.meters.clone()
    }

    /// The live signals.
    pub fn signals(&self) -> Arc<Signals> {
        self.signals.clone()
    }

    pub(super) fn platform(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The name of the supervisor of an entity.
    pub(super) fn shard_name(&self, address: &Address) -> Option<String> {
        let platform = self.platforms.get(self.platform(address.platform())?)?;
        Some(shard_name(platform, address.shard().number()))
    }

    /// Starts the supervisor of a shard, which is in use from now on.
    pub(super) fn add_shard(&self, platform: usize, shard: u8, start: Arc<dyn StartChild>) {
        let Some(place) = self.platforms.get(platform) else {
            return;
        };
        place.seat.add(ChildSpec::new(
            Arc::from(shard_name(place, shard)),
            ActorKind::Shard,
            Restart::Permanent,
            Duration::from_secs(5),
            start,
        ));
    }

    /// The supervisors and services, each after its parent.
    pub(super) fn lines(&self) -> Vec<ActorInfo> {
        let mut lines = vec![line(NODE, ActorKind::Node, None, None)];
        lines.extend(services(&self.root));
        for (spec, plane) in &self.planes {
            lines.push(line(&spec.name, spec.kind, Some(NODE), Some(spec)));
            for platform in &*plane.children.lock() {
                lines.push(line(&platform.name, platform.kind, Some(&spec.name), Some(platform)));
            }
        }
        for platform in &self.platforms {
            lines.extend(services(&platform.seat));
        }
        lines
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.platforms.iter().map(|platform| &platform.seat.name).collect();
        f.debug_struct("Tree").field("platforms", &names).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Parts {
    planes: Vec<(ChildSpec, Arc<Seat>)>,
    platforms: Vec<Platform>,
    index: HashMap<&'static str, usize>,
}

impl Parts {
    fn plane(&mut self, root: &Arc<Seat>, plane: &'static str, platforms: &[&'static str], clock: &Arc<dyn Clock>) {
        let seat = Seat::new(Arc::from(plane), Strategy::OneForOne, PLANE_POLICY, clock.clone());
        for name in platforms {
            let path: Arc<str> = Arc::from(format!("{plane}/{name}"));
            let own = Seat::new(path.clone(), Strategy::OneForOne, PLATFORM_POLICY, clock.clone());
            seat.add(supervisor(path, ActorKind::Platform, &own));
            self.index.insert(name, self.platforms.len());
            self.platforms.push(Platform { plane, name, seat: own });
        }
        let spec = supervisor(Arc::from(plane), ActorKind::Plane, &seat);
        root.add(spec.clone());
        self.planes.push((spec, seat));
    }
}

fn supervisor(name: Arc<str>, kind: ActorKind, seat: &Arc<Seat>) -> ChildSpec {
    // Longer than all that its children may take one after another in any sane tree.
    let shutdown = Duration::from_secs(120);
    ChildSpec::new(name, kind, Restart::Permanent, shutdown, Arc::new(seat.clone()))
}

fn child(name: String, kind: ActorKind, service: ServiceSpec) -> ChildSpec {
    let (restart, shutdown, meter) = (service.restart, service.shutdown, service.meter.clone());
    let spec = ChildSpec::new(Arc::from(name), kind, restart, shutdown, Arc::new(service));
    ChildSpec { meter: Some(meter), ..spec }
}

fn shard_name(platform: &Platform, shard: u8) -> String {
    format!("{}/{}/shard-{shard}", platform.plane, platform.name)
}

/// The services and shards of one supervisor.
fn services(seat: &Seat) -> Vec<ActorInfo> {
    let children = seat.children.lock();
    children
        .iter()
        .filter(|child| matches!(child.kind, ActorKind::Service | ActorKind::Shard))
        .map(|child| line(&child.name, child.kind, Some(&seat.name), Some(child)))
        .collect()
}

fn line(name: &str, kind: ActorKind, parent: Option<&str>, spec: Option<&ChildSpec>) -> ActorInfo {
    let info = spec.map(|spec| spec.info.lock().clone());
    let (handled, depth) = spec.and_then(|spec| spec.meter.as_ref()).map_or((0, 0), |meter| meter.read());
    ActorInfo {
        name: name.to_owned(),
        kind,
        parent: parent.map(str::to_owned),
        tenant: None,
        state: info.as_ref().map_or(ActorState::Live, |info| info.state),
        incarnation: info.as_ref().map_or(1, |info| info.incarnation),
        restarts: info.as_ref().map_or(0, |info| info.restarts),
        depth,
        bytes: 0,
        oldest_age: None,
        handled,
        failed: 0,
        handle_p50: Duration::ZERO,
        handle_p99: Duration::ZERO,
        last_error: info.and_then(|info| info.last_error),
    }
}
