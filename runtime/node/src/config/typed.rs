//! The configuration as the composition root uses it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use mesh_agents::budget::Defaults;

use super::{ConfigError, Layers, Mistake, Retention, Settings, Value, budgets, layers::file_of};

/// Everything that was set, each part for the room that it belongs to.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// The file that was read, when there was one.
    pub file: Option<PathBuf>,
    /// Who can reach the node.
    pub server: Server,
    /// The durable record.
    pub journal: Journal,
    /// Entities that are awake.
    pub actors: Actors,
    /// What one tenant may ask for.
    pub tenants: Tenants,
    /// How long ended runs are kept whole.
    pub retention: Retention,
    /// What a caller may do beside its roles.
    pub policy: Policy,
    /// What each tenant, project and run may spend on models where nothing else is set.
    pub budgets: Defaults,
    /// Work in the outside world.
    pub effects: Effects,
    /// Section `skills`.
    pub skills: Skills,
    /// Section `models`.
    pub models: Models,
    /// MCP servers.
    pub mcp: Mcp,
    /// Builds of products.
    pub builds: Builds,
    /// The page.
    pub pages: Pages,
    /// What programs that watch it are told.
    pub telemetry: Telemetry,
    /// What the node writes about itself.
    pub log: Log,
}

/// Section `server`.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Whether somebody set it, or it is the default.
    pub listen_is_set: bool,
    /// Where the page is served.
    pub http_listen: SocketAddr,
    /// Whether somebody set it, or it follows `listen`.
    pub http_listen_is_set: bool,
    /// Host headers beside the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// How long stopping may take.
    pub drain_max: Duration,
}

/// Section `journal`.
#[derive(Debug, Clone)]
pub struct Journal {
    /// Size of a segment file.
    pub segment_bytes: u64,
    /// Room that must be free for new work.
    pub free_bytes_min: u64,
    /// Events between snapshots.
    pub snapshot_every: u64,
}

/// Section `actors`.
#[derive(Debug, Clone)]
pub struct Actors {
    /// Messages that wait for one entity.
    pub mailbox_items_max: usize,
    /// Bytes that wait for one entity.
    pub mailbox_bytes_max: usize,
    /// Idle time before sleep.
    pub sleep_after: Duration,
    /// Memory of all that are awake.
    pub awake_bytes_max: usize,
    /// Deadline of a command that has none.
    pub command_timeout: Duration,
    /// How long the node may be stuck before it ends itself.
    pub abort_after: Duration,
}

/// Section `tenants`.
#[derive(Debug, Clone)]
pub struct Tenants {
    /// Commands in a second, in the long run.
    pub commands_per_second: u64,
    /// Commands at once.
    pub commands_burst: u64,
    /// Streams open at once.
    pub streams_max: usize,
}

/// Section `policy`.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Commands that wait for an approval.
    pub require_approval: Vec<String>,
    /// Time between two records of denials.
    pub denials_every: Duration,
}

/// Commands of callers that can wait for an approval.
///
/// Absent: what makes a key, for its secret is told in the first answer and to nobody later; decisions
/// themselves, which nobody could then approve; and what an operator does to other tenants, for theirs
/// would be the approvers.
pub const HOLDABLE: &[&str] = &[
    "ActivateAgent",
    "ApplyBlueprint",
    "CancelRun",
    "CancelTask",
    "PauseRun",
    "PauseTask",
    "PublishAgent",
    "PublishDefinition",
    "RedirectTask",
    "ResumeRun",
    "ResumeTask",
    "RetryRun",
    "RevokeKey",
    "SetBudget",
    "SignalRun",
    "SubmitRun",
    "TakeOverTask",
];

/// Section `effects`.
#[derive(Debug, Clone)]
pub struct Effects {
    /// Under way at once in the node.
    pub concurrent_max: usize,
    /// Under way at once for one tenant.
    pub tenant_concurrent_max: usize,
    /// Pure steps that a run computes within one decision.
    pub computed_steps_max: usize,
}

/// Section `skills`.
#[derive(Debug, Clone)]
pub struct Skills {
    /// Calls of one tenant a minute; 0: no limit.
    pub tenant_calls_per_minute: u64,
    /// Calls of one tenant at one host a minute; 0: no limit.
    pub host_calls_per_minute: u64,
    /// Failures in a row after which a breaker opens; 0: it never does.
    pub breaker_failures: u64,
    /// How long it is open before the first try.
    pub breaker_wait: Duration,
    /// How long it is open at most before the next try.
    pub breaker_wait_max: Duration,
}

/// Section `models`.
#[derive(Debug, Clone)]
pub struct Models {
    /// Endpoints, capabilities and prices; those of the environment when there is none.
    pub file: Option<PathBuf>,
    /// Recorded traffic.
    pub cassette: Option<PathBuf>,
    /// What is done with it: `replay`, `record`, `record-missing`.
    pub cassette_mode: String,
}

/// Section `mcp`.
#[derive(Debug, Clone)]
pub struct Mcp {
    /// Command lines that may be started.
    pub commands: Vec<String>,
    /// Hosts that may be spoken to.
    pub hosts: Vec<String>,
    /// Data memory of each process.
    pub memory_bytes_max: u64,
    /// How long an unused connection is kept.
    pub idle_max: Duration,
}

/// Section `builds`.
#[derive(Debug, Clone)]
pub struct Builds {
    /// One build or test run.
    pub time_max: Duration,
    /// Address space of each process.
    pub memory_bytes_max: u64,
    /// Where seeds lie; `None` means the user's cache folder.
    pub seed_dir: Option<PathBuf>,
}

/// Section `pages`.
#[derive(Debug, Clone)]
pub struct Pages {
    /// How long a single-use log-in is good for.
    pub login_time: Duration,
    /// How long a browser stays logged in.
    pub session_time: Duration,
}

/// Section `telemetry`.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Tenants with a label of their own.
    pub tenants_max: usize,
    /// One trace in this many gets spans of the path; 0 gives none.
    pub path_sample_one_in: u32,
}

/// Section `log`.
#[derive(Debug, Clone)]
pub struct Log {
    /// Tracing directives.
    pub filter: String,
    /// How it is written.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads all layers.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake.
    pub fn load(layers: &Layers) -> Result<Self, ConfigError> {
        Self::from_settings(layers, layers.settle()?)
    }

    /// Makes the typed form of settings.
    ///
    /// # Errors
    /// [`ConfigError`] when an address is no loopback address.
    pub fn from_settings(layers: &Layers, mut all: Settings) -> Result<Self, ConfigError> {
        refuse_strangers(&all)?;
        refuse_what_cannot_wait(&all)?;
        let retention = Retention::take(&mut all)?;
        let budgets = budgets::take(&mut all)?;
        let config = Self {
            data: layers.data.clone(),
            file: file_of(layers),
            server: server(&mut all)?,
            journal: Journal {
                segment_bytes: all.take_bytes("journal.segment_bytes")?,
                free_bytes_min: all.take_bytes("journal.free_bytes_min")?,
                snapshot_every: all.take_count("journal.snapshot_every")?,
            },
            actors: Actors {
                mailbox_items_max: all.take_size("actors.mailbox_items_max")?,
                mailbox_bytes_max: all.take_size("actors.mailbox_bytes_max")?,
                sleep_after: all.take_time("actors.sleep_after")?,
                awake_bytes_max: all.take_size("actors.awake_bytes_max")?,
                command_timeout: all.take_time("actors.command_timeout")?,
                abort_after: all.take_time("actors.abort_after")?,
            },
            tenants: Tenants {
                commands_per_second: all.take_count("tenants.commands_per_second")?,
                commands_burst: all.take_count("tenants.commands_burst")?,
                streams_max: all.take_size("tenants.streams_max")?,
            },
            retention,
            policy: Policy {
                require_approval: all.take_list("policy.require_approval")?,
                denials_every: all.take_time("policy.denials_every")?,
            },
            budgets,
            effects: Effects {
                concurrent_max: all.take_size("effects.concurrent_max")?,
                tenant_concurrent_max: all.take_size("effects.tenant_concurrent_max")?,
                computed_steps_max: all.take_size("effects.computed_steps_max")?,
            },
            skills: Skills {
                tenant_calls_per_minute: all.take_count("skills.tenant_calls_per_minute")?,
                host_calls_per_minute: all.take_count("skills.host_calls_per_minute")?,
                breaker_failures: all.take_count("skills.breaker_failures")?,
                breaker_wait: all.take_time("skills.breaker_wait")?,
                breaker_wait_max: all.take_time("skills.breaker_wait_max")?,
            },
            models: Models {
                file: Some(all.take_text("models.file")?).filter(|file| !file.is_empty()).map(PathBuf::from),
                cassette: Some(all.take_text("models.cassette")?).filter(|dir| !dir.is_empty()).map(PathBuf::from),
                cassette_mode: all.take_text("models.cassette_mode")?,
            },
            mcp: Mcp {
                commands: all.take_list("mcp.commands")?,
                hosts: all.take_list("mcp.hosts")?,
                memory_bytes_max: all.take_bytes("mcp.memory_bytes_max")?,
                idle_max: all.take_time("mcp.idle_max")?,
            },
            builds: Builds {
                time_max: all.take_time("builds.time_max")?,
                memory_bytes_max: all.take_bytes("builds.memory_bytes_max")?,
                seed_dir: Some(all.take_text("builds.seed_dir")?).filter(|dir| !dir.is_empty()).map(PathBuf::from),
            },
            pages: Pages {
                login_time: all.take_time("pages.login_time")?,
                session_time: all.take_time("pages.session_time")?,
            },
            telemetry: Telemetry {
                tenants_max: all.take_size("telemetry.tenants_max")?,
                path_sample_one_in: u32::try_from(all.take_count("telemetry.path_sample_one_in")?).unwrap_or(u32::MAX),
            },
            log: Log {
                filter: all.take_text("log.filter")?,
                format: if all.take_text("log.format")? == "json" { LogFormat::Json } else { LogFormat::Text },
            },
        };
        match all.left_over() {
            Some(name) => Err(ConfigError::Undeclared(name.to_owned())),
            None => Ok(config),
        }
    }
}

fn server(all: &mut Settings) -> Result<Server, ConfigError> {
    let listen_is_set = all.is_set("server.listen");
    let http_listen_is_set = all.is_set("server.http_listen");
    let listen = all.take_listen("server.listen")?;
    if listen_is_set {
        // Two nodes with their own `listen` must not meet on the page's default port.
        all.fill("server.http_listen", Value::Listen(SocketAddr::new(listen.ip(), 0)));
    }
    Ok(Server {
        listen,
        listen_is_set,
        http_listen: all.take_listen("server.http_listen")?,
        http_listen_is_set,
        allowed_hosts: all.take_list("server.allowed_hosts")?,
        drain_max: all.take_time("server.drain_max")?,
    })
}

/// Keys and sessions would travel in the clear: nobody beyond this machine may connect.
fn refuse_strangers(all: &Settings) -> Result<(), ConfigError> {
    let mistakes: Vec<Mistake> = all
        .all()
        .filter_map(|(key, setting)| match setting.value {
            Value::Listen(addr) if !addr.ip().is_loopback() => Some(Mistake {
                place: all.place(key.name),
                message: format!("`{}` cannot be `{addr}`: keys would travel in the clear", key.name),
                help: "listen on 127.0.0.1 or [::1], and put a proxy that ends TLS in front of it".to_owned(),
            }),
            _ => None,
        })
        .collect();
    if mistakes.is_empty() { Ok(()) } else { Err(ConfigError::Mistakes(mistakes)) }
}

/// A name that no command has would approve nothing in silence.
fn refuse_what_cannot_wait(all: &Settings) -> Result<(), ConfigError> {
    let mut mistakes = Vec::new();
    for (key, setting) in all.all().filter(|(key, _)| key.name == "policy.require_approval") {
        let Value::List(names) = &setting.value else { continue };
        for name in names.iter().filter(|name| !HOLDABLE.contains(&name.as_str())) {
            mistakes.push(Mistake {
                place: all.place(key.name),
                message: format!("`{name}` is no command that can wait for an approval"),
                help: format!("one of {} is expected", HOLDABLE.join(", ")),
            });
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(ConfigError::Mistakes(mistakes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(toml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> (tempfile::TempDir, Layers) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mesh.toml"), toml).unwrap();
        let layers = Layers {
            config: None,
            data: folder.path().to_owned(),
            environment: environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            flags: flags.iter().map(|(n, v)| ("--set".to_owned(), (*n).to_owned(), (*v).to_owned())).collect(),
        };
        (folder, layers)
    }

    fn told(layers: &Layers) -> String {
        let folder = layers.data.display().to_string();
        Config::load(layers).unwrap_err().to_string().replace(&folder, "DATA")
    }

    #[test]
    fn the_defaults_stand_and_every_key_is_used() {
        let (_folder, layers) = layers("", &[], &[]);
        let config = Config::load(&layers).unwrap();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:7400");
        assert!(!config.server.listen_is_set);
        assert_eq!(config.builds.seed_dir, None);
    }

    #[test]
    fn each_layer_lies_over_the_one_before() {
        let file = "[actors]\nsleep_after = \"1s\"\nmailbox_items_max = 100\n[tenants]\ncommands_burst = 7\n";
        let (_folder, layers) = layers(
            file,
            &[("MESH_ACTORS_SLEEP_AFTER", "2s"), ("MESH_ACTORS_MAILBOX_ITEMS_MAX", "200"), ("MESH_API_KEY", "x")],
            &[("actors.sleep_after", "3s")],
        );
        let config = Config::load(&layers).unwrap();
        assert_eq!(config.actors.sleep_after, Duration::from_secs(3));
        assert_eq!(config.actors.mailbox_items_max, 200);
        assert_eq!(config.tenants.commands_burst, 7);
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place_and_a_suggestion() {
        let file = "[sever]\nlisten = \"x\"\n\n[actors]\nmailbox_item_max = 5\nsleep_after = 3\n  awake_bytes_max = \"1 MiB\"\n";
        let (_folder, layers) = layers(file, &[("MESH_LOG_FORMT", "json")], &[("log.format", "xml")]);
        insta::assert_snapshot!(told(&layers), @r"
        DATA/mesh.toml:1:2: `sever` is no section
          help: did you mean `server`?
        DATA/mesh.toml:5:1: `mailbox_item_max` is no key of `actors`
          help: did you mean `mailbox_items_max`?
        DATA/mesh.toml:6:1: `actors.sleep_after` cannot be `3`: a time from 1s to 1d is expected
          help: the default is `1m`
        DATA/mesh.toml:7:3: `actors.awake_bytes_max` cannot be `1 MiB`: a size from 16 MiB to 1024 GiB is expected
          help: the default is `512 MiB`
        environment variable MESH_LOG_FORMT: `MESH_LOG_FORMT` is no setting
          help: did you mean `MESH_LOG_FORMAT`?
        flag --set: `log.format` cannot be `xml`: one of text, json is expected
          help: the default is `text`
        ");
    }

    #[test]
    fn a_command_that_cannot_wait_for_an_approval_is_refused() {
        let (_folder, some) = layers("[policy]\nrequire_approval = [\"CancelRun\", \"SubmitRun\"]\n", &[], &[]);
        assert_eq!(Config::load(&some).unwrap().policy.require_approval, ["CancelRun", "SubmitRun"]);
        let (_folder, layers) = layers("", &[("MESH_POLICY_REQUIRE_APPROVAL", "CancelRun,IssueKey")], &[]);
        insta::assert_snapshot!(told(&layers), @r"
        environment variable MESH_POLICY_REQUIRE_APPROVAL: `IssueKey` is no command that can wait for an approval
          help: one of ActivateAgent, ApplyBlueprint, CancelRun, CancelTask, PauseRun, PauseTask, PublishAgent, PublishDefinition, RedirectTask, ResumeRun, ResumeTask, RetryRun, RevokeKey, SetBudget, SignalRun, SubmitRun, TakeOverTask is expected
        ");
    }

    #[test]
    fn broken_toml_is_told_with_line_and_column() {
        let (_folder, layers) = layers("[server]\nlisten = 127.0.0.1:1\n", &[], &[]);
        assert!(told(&layers).starts_with("DATA/mesh.toml:2:"), "{}", told(&layers));
    }

    #[test]
    fn an_address_beyond_loopback_is_refused() {
        let (_folder, layers) = layers("", &[], &[("server.listen", "0.0.0.0:7400")]);
        insta::assert_snapshot!(told(&layers), @r"
        flag --set: `server.listen` cannot be `0.0.0.0:7400`: keys would travel in the clear
          help: listen on 127.0.0.1 or [::1], and put a proxy that ends TLS in front of it
        ");
    }

    #[test]
    fn a_named_file_must_exist() {
        let (folder, mut layers) = layers("", &[], &[]);
        layers.config = Some(folder.path().join("nowhere.toml"));
        assert!(told(&layers).contains("`DATA/nowhere.toml` cannot be read"), "{}", told(&layers));
    }

    #[test]
    fn who_sets_the_port_gets_a_free_one_for_the_page() {
        let (_folder, layers) = layers("", &[], &[("server.listen", "127.0.0.1:0")]);
        assert_eq!(Config::load(&layers).unwrap().server.http_listen.port(), 0);
    }
}
