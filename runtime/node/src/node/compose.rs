//! The composition root: the list of everything that exists, put together in the order of the house.
//!
//! Read from top to bottom it says what the node is made of; nothing else in the workspace opens a
//! listener, reads configuration or chooses an implementation.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use mesh_agents::{budget::BudgetsDecider, catalogue::AgentsDecider, context::ContextEffects, task::TaskDecider};
use mesh_journal::{EmbeddedJournal, FolderStore, Options};
use mesh_kernel::{
    actor::{ActorConfig, Bounds, Crash, ServiceSpec, Tree},
    entity::Kinds,
    envelope::TenantId,
    follow::{Projection, Reactor, run_denials, run_projection, run_reactor, run_timers},
    path::{Mesh, Parts, Settings},
    ports::{Clock, ContentStore, Cursor, Effects, Journal, Policy},
    tenant::{Quota, Quotas},
    work::Workers,
};
use mesh_knowledge::{
    embed::Embedder,
    fuse::STATIC_TABLE_ALPHA,
    lineage::projection::{LineageProjection, Lineages, OPEN_MAX},
    shelf::Shelves,
};
use mesh_platforms::{
    governance::reactions::DenialsKept,
    knowledge::effects::IndexEffects,
    runtime_cloud::{OnShutdown, ProcessEffects, WorkloadsPort},
};
use mesh_skills::{
    catalogue::SkillsDecider,
    hosts::worker::Workers as SkillWorkers,
    logs::LogStore,
    models::{
        self, ModelEffects,
        cassette::{Cassette, Mode},
        meter::Meter,
    },
    native::Workshop,
    perform::SkillEffects,
};
use mesh_workflows::{
    catalogue::DefinitionDecider,
    limit::LimitDecider,
    run::{RunDecider, reactions::Runs},
};

use super::{
    bodies::UnusedBodies,
    bootstrap::{DEFAULT_TENANT, NodeAuthenticator},
    clock::{SystemClock, SystemIds, secret},
    cursors::FolderCursors,
    dead_letters::FolderDeadLetters,
    deletions::Deletions,
    held::HeldCommands,
    policy::RolePolicy,
    retention::Retention,
    skills::{mcp_servers, native_skills, pools},
};
use crate::{
    agents::AgentCatalogue,
    archive::RunArchive,
    backup::{
        BackUps,
        pause::{self, PausedPolicy},
    },
    budgets::Budgets,
    catalogue::Catalogue,
    config::Config,
    gateway::lists::Lists,
    knowledge::{self, ContextsPort, Knowledge},
    readmodel::{self, Keys, LoginTokens, ReadModel},
    telemetry::otlp::{self, Sink, Traces},
};

/// How long the read models may take at a start to see what is durable.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Everything that a node is made of. Taken apart without `..` where it is used, so that a part
/// that was forgotten does not compile.
pub struct Whole {
    /// The kernel.
    pub mesh: Mesh,
    /// The supervisors.
    pub tree: Arc<Tree>,
    /// The read models.
    pub lists: Arc<ReadModel>,
    /// What came from what.
    pub lineages: Arc<Lineages>,
    /// What steps have written.
    pub logs: Arc<LogStore>,
    /// Bodies over 64 KB.
    pub content: Arc<dyn ContentStore>,
    /// What could not be delivered.
    pub dead_letters: Arc<FolderDeadLetters>,
    /// The skills.
    pub skills: Arc<Catalogue>,
    /// The agents.
    pub agents: Arc<AgentCatalogue>,
    /// What was read, and is found again.
    pub knowledge: Arc<Knowledge>,
    /// What the skills that make products share.
    pub workshop: Arc<Workshop>,
    /// Single-use log-ins for browsers.
    pub logins: Arc<LoginTokens>,
    /// The journal's engine, for its figures.
    pub journal: Arc<EmbeddedJournal>,
    /// The way to the collector of traces, when there is one.
    pub sink: Option<Sink>,
    /// What asking models took.
    pub meter: Arc<Meter>,
    /// Copies of the data folder.
    pub backups: Arc<BackUps>,
    /// Restored from a backup: it shows what there is, and does nothing.
    pub paused: bool,
    /// The wall.
    pub clock: Arc<dyn Clock>,
    /// Reactors' cursors.
    pub cursors: Arc<FolderCursors>,
    /// The secret by which the node speaks to itself.
    pub own: String,
}

/// Puts a node together on its data folder. Nothing is resumed and nobody is listening yet.
///
/// # Errors
/// When the data folder cannot be used, or another node uses it.
pub async fn compose(config: &Config, traces: Option<Traces>) -> Result<Whole> {
    let data = config.data.as_path();
    let paused = pause::is(data);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());

    // Stores.
    let engine = EmbeddedJournal::open(&data.join("journal"), journal_options(config))
        .with_context(|| format!("opening the journal in {}", data.display()))?;
    let journal: Arc<dyn Journal> = engine.clone();
    let bodies = Arc::new(FolderStore::open(&data.join("content"), config.journal.free_bytes_min));
    let content: Arc<dyn ContentStore> = bodies.clone();
    let backups = Arc::new(BackUps::new(engine.clone(), bodies.clone(), config.data.clone()));
    let logs = LogStore::open(data.join("logs"), clock.clone())?;
    let dead_letters = Arc::new(FolderDeadLetters::open(&data.join("dead-letters"))?);
    let cursors = Arc::new(FolderCursors::open(&data.join("cursors"), clock.clone())?);
    let (index, lists) = readmodel::open(&data.join("readmodel.sqlite"))?;
    let lists = Arc::new(lists);
    let lineages = Lineages::open(&data.join("lineage"), OPEN_MAX)?;
    let lineage = LineageProjection::new(lineages.clone())?;
    let archive = RunArchive::open(&data.join("archive.sqlite"))?;

    // Who may come in.
    let own = secret();
    let logins = Arc::new(LoginTokens::new(clock.clone(), secret, config.pages.login_time, config.pages.session_time));
    let keys = Keys::new(lists.ring(), logins.clone());
    let authenticator = NodeAuthenticator::new(keys, own.clone(), TenantId::parse(DEFAULT_TENANT)?);

    // What is done in the outside world, and what waits until somebody approved it.
    let held = Arc::new(HeldCommands::new(content.clone()));
    let workloads = Arc::new(WorkloadsPort::default());
    let contexts = Arc::new(ContextsPort::default());
    let (skills, workshop) = native_skills(config, workloads.clone(), contexts.clone())?;
    let skills =
        Arc::new(Catalogue::new(skills, SkillWorkers::default(), mcp_servers(config), pools(config, clock.clone())));
    let budgets = Budgets::new(config.budgets);
    let models = Arc::new(models(config, clock.clone())?.paid_by(budgets.clone()));
    let (meter, priced) = (models.meter(), models.clone());
    let agents = Arc::new(AgentCatalogue::new(skills.clone(), config.budgets, move |class| priced.dearest(class)));
    let shelves = Arc::new(Shelves::new(data.join("knowledge"), embedder()?, STATIC_TABLE_ALPHA));
    let knowledge = Arc::new(Knowledge::new(knowledge::Parts {
        shelves: shelves.clone(),
        content: content.clone(),
        collections: lists.clone(),
        clock: clock.clone(),
        at_once: processors(),
        own: own.clone(),
    }));
    contexts.connect(knowledge.clone());
    let performers: Vec<Arc<dyn Effects>> = vec![
        Arc::new(
            SkillEffects::new(skills.native(), content.clone(), logs.clone())
                .with_registered(skills.clone())
                .paced(skills.pools().clone())
                .bounded(config.effects.concurrent_max, config.effects.tenant_concurrent_max),
        ),
        models,
        Arc::new(ContextEffects::new(agents.clone())),
        Arc::new(ProcessEffects::new(OnShutdown::Stop)),
        Arc::new(IndexEffects::new(shelves.clone(), content.clone(), processors())),
        held.clone(),
    ];

    // The kernel, and the tree that it lives in.
    let tree = Tree::start(mesh_platforms::planes(), clock.clone()).await?;
    let runs = RunDecider::default().computing(skills.native().clone(), config.effects.computed_steps_max);
    let kinds = Kinds::default().with(runs).with(DefinitionDecider::default()).with(LimitDecider);
    let tasks = TaskDecider::default().computing(skills.native().clone());
    let kinds = mesh_platforms::kinds(
        kinds.with(SkillsDecider).with(AgentsDecider).with(BudgetsDecider::new(config.budgets)).with(tasks),
    );
    let mesh = Mesh::new(Parts {
        journal: journal.clone(),
        kinds,
        clock: clock.clone(),
        ids: Arc::new(SystemIds),
        policy: policy(config, paused),
        approvals: held.clone(),
        authenticator,
        quotas: Quotas::new(quota(config), clock.clone()),
        workers: Workers::new(performers),
        dead_letters: dead_letters.clone(),
        tree: tree.clone(),
        actors: actors(config),
        settings: Settings {
            snapshot_every: config.journal.snapshot_every,
            timeout: config.actors.command_timeout,
            sample_one_in: config.telemetry.path_sample_one_in,
        },
    });
    workloads.connect(mesh.clone());
    held.connect(mesh.clone());
    skills.connect(mesh.clone());
    agents.connect(mesh.clone());
    knowledge.connect(mesh.clone());
    budgets.connect(mesh.clone());
    mesh.connect_archive(Arc::new(archive.clone()));

    // Who follows the journal.
    serve_projection(&tree, journal.clone(), index);
    serve_projection(&tree, journal.clone(), lineage);
    let mut sink = None;
    // A paused node only shows: nobody reacts, no timer fires, nothing is told to others.
    if !paused {
        for (platform, reactor) in reactors() {
            serve_reactor(&tree, platform, &mesh, &journal, reactor, cursors.clone())?;
        }
        serve_timers(&tree, &mesh, cursors.clone());
        serve_denials(&tree, &mesh, config.policy.denials_every)?;
        let deletions = Deletions {
            mesh: mesh.clone(),
            own: own.clone(),
            data: config.data.clone(),
            lists: lists.clone(),
            content: content.clone(),
            logs: logs.clone(),
            lineages: lineages.clone(),
            dead_letters: dead_letters.clone(),
            archive: archive.clone(),
            servers: skills.servers().clone(),
            shelves,
            pools: skills.pools().clone(),
            keeping: Arc::default(),
        };
        let retention = Retention {
            mesh: mesh.clone(),
            own: own.clone(),
            settings: config.retention.clone(),
            lists: lists.clone(),
            lineages: lineages.clone(),
            archive,
            logs: logs.clone(),
            bodies: UnusedBodies::new(bodies, config.actors.command_timeout),
            cursors: cursors.clone(),
            followers: reactors().iter().map(|(_, reactor)| reactor.name().to_owned()).collect(),
            keeping: deletions.keeping.clone(),
        };
        serve_deletions(&tree, deletions);
        serve_retention(&tree, retention);
        sink = serve_traces(&tree, traces, &journal, &cursors, lists.cursor())?;
    }

    Ok(Whole {
        mesh,
        tree,
        lists,
        lineages,
        logs,
        content,
        dead_letters,
        skills,
        agents,
        knowledge,
        workshop,
        logins,
        journal: engine,
        sink,
        meter,
        backups,
        paused,
        clock,
        cursors,
        own,
    })
}

/// What makes vectors of texts, on the first start and without a network.
fn embedder() -> Result<Embedder> {
    Embedder::offline().context("reading the table of words that comes with the binary")
}

/// How much work for processors is done at once.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Who answers for agents: by the file, else by the environment.
fn models(config: &Config, clock: Arc<dyn Clock>) -> Result<ModelEffects> {
    let models = match &config.models.file {
        None => models::Config::default(),
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            models::Config::read(&text, &file.display().to_string()).map_err(|mistakes| {
                let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                anyhow::anyhow!("{}", told.join("\n"))
            })?
        }
    };
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(folder) = &config.models.cassette else {
        let is_set_up = config.models.file.is_some()
            || ["OPENAI_BASE_URL", "OPENAI_API_KEY"].iter().any(|name| env(name).is_some());
        if is_set_up {
            return Ok(ModelEffects::new(models, &env, clock));
        }
        let shipped = Cassette::shipped(clock.clone()).context("reading the shipped cassette")?;
        return Ok(ModelEffects::with_cassette(models::Config::shipped(), &env, clock, shipped));
    };
    let mode = match config.models.cassette_mode.as_str() {
        "record" => Mode::Record,
        "record-missing" => Mode::RecordMissing,
        _ => Mode::Replay,
    };
    let cassette = Cassette::open(folder, mode, clock.clone())
        .with_context(|| format!("opening the cassette in {}", folder.display()))?;
    Ok(ModelEffects::with_cassette(models, &env, clock, cassette))
}

fn journal_options(config: &Config) -> Options {
    Options {
        segment_bytes: config.journal.segment_bytes,
        free_bytes_min: config.journal.free_bytes_min,
        ..Options::default()
    }
}

fn policy(config: &Config, paused: bool) -> Arc<dyn Policy> {
    let roles = RolePolicy::new(&config.policy.require_approval);
    if paused { Arc::new(PausedPolicy(roles)) } else { Arc::new(roles) }
}

fn quota(config: &Config) -> Quota {
    Quota {
        burst: config.tenants.commands_burst as f64,
        per_second: config.tenants.commands_per_second as f64,
        streams_max: config.tenants.streams_max,
    }
}

fn actors(config: &Config) -> ActorConfig {
    let mailbox = Bounds { items: config.actors.mailbox_items_max, bytes: config.actors.mailbox_bytes_max };
    ActorConfig {
        mailbox,
        lane: mailbox,
        idle_after: config.actors.sleep_after,
        memory_bytes: config.actors.awake_bytes_max,
        abort_after: Some(config.actors.abort_after),
        ..ActorConfig::default()
    }
}

/// Every reactor, and the platform under which it runs.
fn reactors() -> Vec<(&'static str, Arc<dyn Reactor>)> {
    let runs: Arc<dyn Reactor> = Arc::new(Runs);
    let mut reactors = mesh_platforms::reactors();
    reactors.push(("control-plane", runs));
    reactors
}

/// A projection, under Observability: it is how people see.
fn serve_projection(tree: &Tree, journal: Arc<dyn Journal>, projection: impl Projection) {
    let name = projection.name();
    let projection = Arc::new(tokio::sync::Mutex::new(projection));
    tree.serve_node(ServiceSpec::metered(name, move |stop, meter| {
        let (journal, projection) = (journal.clone(), projection.clone());
        async move {
            let mut projection = projection.lock().await;
            run_projection(journal, &mut *projection, stop, meter).await.map_err(|error| Crash::Retry(Box::new(error)))
        }
    }));
}

fn serve_reactor(
    tree: &Tree,
    platform: &str,
    mesh: &Mesh,
    journal: &Arc<dyn Journal>,
    reactor: Arc<dyn Reactor>,
    cursors: Arc<FolderCursors>,
) -> Result<()> {
    let (mesh, journal) = (mesh.clone(), journal.clone());
    let service = ServiceSpec::metered(reactor.name(), move |stop, meter| {
        let (mesh, journal, reactor, cursors) = (mesh.clone(), journal.clone(), reactor.clone(), cursors.clone());
        async move {
            let ended = run_reactor(mesh, journal, reactor, cursors, stop, meter).await;
            ended.map_err(|error| Crash::Retry(Box::new(error)))
        }
    });
    Ok(tree.serve(platform, service)?)
}

/// Timers fire, and cursors that were held back are written.
fn serve_timers(tree: &Tree, mesh: &Mesh, cursors: Arc<FolderCursors>) {
    let mesh = mesh.clone();
    tree.serve_node(ServiceSpec::metered("timers", move |stop, meter| {
        let mesh = mesh.clone();
        async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = run_timers(&mesh, &meter) => {}
            }
            Ok(())
        }
    }));
    tree.serve_node(ServiceSpec::new("cursors", move |stop| {
        let cursors = cursors.clone();
        async move {
            while !stop.is_cancelled() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(std::time::Duration::from_millis(250)) => {}
                }
                cursors.flush();
            }
            Ok(())
        }
    }));
}

/// What callers were denied goes to Governance, which keeps it.
fn serve_denials(tree: &Tree, mesh: &Mesh, every: Duration) -> Result<()> {
    let mesh = mesh.clone();
    let service = ServiceSpec::new("denials", move |stop| {
        let mesh = mesh.clone();
        async move {
            run_denials(&mesh, Arc::new(DenialsKept), every, stop).await;
            Ok(())
        }
    });
    Ok(tree.serve("governance", service)?)
}

/// Tenants whose deletion was asked for go, with everything that they have.
fn serve_deletions(tree: &Tree, deletions: Deletions) {
    let deletions = Arc::new(deletions);
    tree.serve_node(ServiceSpec::new("deletions", move |stop| {
        let deletions = deletions.clone();
        async move {
            deletions.run(stop).await;
            Ok(())
        }
    }));
}

/// What ended long ago is archived, and its room freed.
fn serve_retention(tree: &Tree, retention: Retention) {
    let retention = Arc::new(retention);
    tree.serve_node(ServiceSpec::new("retention", move |stop| {
        let retention = retention.clone();
        async move {
            retention.run(stop).await;
            Ok(())
        }
    }));
}

/// Traces for a collector.
fn serve_traces(
    tree: &Tree,
    traces: Option<Traces>,
    journal: &Arc<dyn Journal>,
    cursors: &Arc<FolderCursors>,
    now: Option<Cursor>,
) -> Result<Option<Sink>> {
    let Some(Traces { otlp, path }) = traces else { return Ok(None) };
    let sink = Sink::new(&otlp)?;
    let way = (sink.clone(), otlp);
    if let Some(path) = path {
        let (path, way) = (Arc::new(tokio::sync::Mutex::new(path)), way.clone());
        tree.serve_node(ServiceSpec::new("path-traces", move |stop| {
            let (path, way) = (path.clone(), way.clone());
            async move {
                otlp::follow_path(&mut *path.lock().await, way, stop).await;
                Ok(())
            }
        }));
    }
    let (journal, cursors) = (journal.clone(), cursors.clone());
    tree.serve_node(ServiceSpec::new("traces", move |stop| {
        let telling = otlp::follow_runs(journal.clone(), cursors.clone(), now.clone(), way.clone(), stop);
        async move { telling.await.map_err(|error| Crash::Retry(Box::new(error))) }
    }));
    Ok(Some(sink))
}

/// Makes the data folder, readable by its owner alone.
///
/// # Errors
/// When it cannot be made.
pub fn data_folder(data: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("making the data folder {}", data.display()))
}

/// Waits until the read models have seen everything that is durable, so that a key that was revoked
/// before a crash is not taken for a moment after it.
///
/// # Errors
/// When they do not come so far within a minute.
pub async fn caught_up(whole: &Whole) -> Result<()> {
    let durable = whole.mesh.durable();
    let until = whole.clock.monotonic() + CAUGHT_UP_WITHIN;
    while whole.lists.wait_for(durable, LOOK_AGAIN).await.is_err() {
        // The ends of entities and tenants are durable, and no follower hears of them.
        if whole.mesh.journal().follow(None, whole.lists.cursor())?.poll().await?.records.is_empty() {
            return Ok(());
        }
        if whole.clock.monotonic() > until {
            whole.lists.wait_for(durable, Duration::ZERO).await?;
        }
    }
    Ok(())
}
