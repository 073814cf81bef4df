//! Every key that can be set: meaning, unit, default, range. `config/mesh.toml` is made from this.

use std::time::Duration;

use super::Form;

/// One key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// `section.key`.
    pub name: &'static str,
    /// What it sets, in a sentence or two; what happens at the bound.
    pub meaning: &'static str,
    /// The default as text; a test reads each.
    pub default: &'static str,
    /// Its form and range.
    pub form: Form,
}

impl Key {
    /// The part before the dot.
    pub fn section(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(section, _)| section)
    }

    /// The part after the dot.
    pub fn own_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, name)| name)
    }

    /// The default as the file spells it.
    pub fn default_toml(&self) -> String {
        self.form.read(self.default).map_or_else(|_| String::new(), |value| value.toml())
    }

    /// The variable of the environment that sets it.
    pub fn variable(&self) -> String {
        format!("MESH_{}", self.name.replace('.', "_").to_uppercase())
    }
}

/// What each section is about.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("server", "Who can reach the node. Loopback only: put a TLS proxy in front to serve others."),
    ("journal", "The durable record of events, in the folder `journal` of the data folder."),
    ("actors", "Entities that are awake, and their mailboxes."),
    ("tenants", "What one tenant may ask for, so that none starves another."),
    ("retention", "How long runs that have ended are kept whole; afterwards they are archived."),
    ("policy", "What a caller may do beside what its roles allow, and what is kept of what it may not."),
    ("budgets", "What agents may spend on models, for each tenant, project and run; no bound where nothing is said."),
    ("effects", "Work in the outside world: skills, builds, processes."),
    ("skills", "How often skills may be called, and when one is not called for a while."),
    ("models", "Who answers for agents."),
    (
        "mcp",
        "MCP servers whose tools are skills. A command is code that runs on this node: none is, unless it stands here.",
    ),
    ("builds", "Limits of the builds and tests of generated products."),
    ("pages", "The page that the node serves to a browser."),
    ("telemetry", "What the node tells to programs that watch it; traces are set by the standard `OTEL_*` variables."),
    ("log", "What the node writes to its standard error."),
];

const fn seconds(min: u64, max: u64) -> Form {
    Form::Time { min: Duration::from_secs(min), max: Duration::from_secs(max) }
}

const fn count(min: u64, max: u64) -> Form {
    Form::Count { min, max }
}

const fn mebibytes(min: u64, max: u64) -> Form {
    Form::Bytes { min: min << 20, max: max << 20 }
}

/// Shorthand for the table below.
const fn key(name: &'static str, default: &'static str, form: Form, meaning: &'static str) -> Key {
    Key { name, meaning, default, form }
}

/// All keys, section by section in the order of [`SECTIONS`].
pub const KEYS: &[Key] = &[
    key(
        "server.listen",
        "127.0.0.1:7400",
        Form::Listen,
        "Where gRPC is served. Only a loopback address is taken. `mesh run` takes a free port unless this is set.",
    ),
    key(
        "server.http_listen",
        "127.0.0.1:7401",
        Form::Listen,
        "Where the page and its event stream are served. Only a loopback address is taken.",
    ),
    key(
        "server.allowed_hosts",
        "",
        Form::List("host names without a port, such as mesh.example"),
        "Host headers that the page answers to beside `localhost` and loopback addresses; all others are refused, which stops rebinding.",
    ),
    key(
        "server.drain_max",
        "30s",
        seconds(1, 3_600),
        "How long a node that was told to stop waits for what is under way; the rest goes on at the next start.",
    ),
    key(
        "journal.segment_bytes",
        "64 MiB",
        mebibytes(16, 1_024),
        "The size of a segment file; it is filled with zeroes ahead of use.",
    ),
    key(
        "journal.free_bytes_min",
        "64 MiB",
        mebibytes(1, 1_048_576),
        "New work is refused while less than this is free on the disk; reads go on.",
    ),
    key(
        "journal.snapshot_every",
        "256",
        count(1, 1_000_000),
        "A sleeping entity is snapshotted when it has this many events since the last snapshot; it bounds the time to wake.",
    ),
    key(
        "actors.mailbox_items_max",
        "1024",
        count(8, 1_000_000),
        "Messages that wait for one entity; then senders wait, and are told to come back.",
    ),
    key(
        "actors.mailbox_bytes_max",
        "16 MiB",
        mebibytes(1, 4_096),
        "Bytes that wait for one entity; at least one message is always taken.",
    ),
    key("actors.sleep_after", "1m", seconds(1, 86_400), "An entity without work sleeps after this long."),
    key(
        "actors.awake_bytes_max",
        "512 MiB",
        mebibytes(16, 1_048_576),
        "Memory of all entities that are awake; above it the ones idle longest sleep first.",
    ),
    key(
        "actors.command_timeout",
        "30s",
        seconds(1, 600),
        "How long a command waits for its answer when its sender set no deadline.",
    ),
    key(
        "actors.abort_after",
        "10s",
        seconds(2, 3_600),
        "A node whose threads are all stuck for this long ends itself; nothing acknowledged is lost, and whoever runs it starts it again.",
    ),
    key(
        "tenants.commands_per_second",
        "1000",
        count(1, 10_000_000),
        "Commands that one tenant may send in a second, in the long run; then they are refused with a delay.",
    ),
    key("tenants.commands_burst", "2000", count(1, 10_000_000), "Commands that one tenant may send at once."),
    key(
        "tenants.streams_max",
        "256",
        count(1, 1_000_000),
        "Streams (watches, tails, logs, live pages) that one tenant may have open; then more are refused with a delay.",
    ),
    key(
        "retention.runs",
        "30d",
        seconds(1, 36_500 * 86_400),
        "A run that ended longer ago is archived: it stays in lists and can be read; its events, logs and large values are freed, and it can no longer be retried.",
    ),
    key(
        "retention.overrides",
        "",
        Form::List("TENANT=TIME or TENANT/DEFINITION=TIME, such as acme=7d or acme/nightly=1d"),
        "Other times for one tenant, or for one definition of it, which goes before its tenant's.",
    ),
    key("retention.check_every", "10m", seconds(1, 86_400), "How often it is looked for runs whose time is over."),
    key(
        "policy.require_approval",
        "",
        Form::List("names of commands that callers send, such as CancelRun"),
        "Commands of callers that wait until somebody else approved them; what the node sends itself does not wait.",
    ),
    key(
        "policy.denials_every",
        "10s",
        seconds(1, 3_600),
        "How often what callers were denied is recorded, as one event for each tenant; a killed node loses this much of it.",
    ),
    key(
        "budgets.tenant",
        "",
        Form::List("tokens=N, cost=MILLIONTHS, time=TIME"),
        "What the agents of each tenant may spend on models, where the tenant has set nothing by `mesh agents budget`.",
    ),
    key(
        "budgets.project",
        "",
        Form::List("tokens=N, cost=MILLIONTHS, time=TIME"),
        "The same for each project of a tenant.",
    ),
    key(
        "budgets.run",
        "",
        Form::List("tokens=N, cost=MILLIONTHS, time=TIME"),
        "The same for each run, such as tokens=200_000.",
    ),
    key(
        "budgets.then",
        "pause",
        Form::OneOf(&["pause", "stop"]),
        "What becomes of a task whose next call finds no room in one of these: it waits for a person, or it fails.",
    ),
    key(
        "effects.concurrent_max",
        "256",
        count(1, 100_000),
        "Effects under way at once in the node; the others wait their turn.",
    ),
    key("effects.tenant_concurrent_max", "128", count(1, 100_000), "Effects under way at once for one tenant."),
    key(
        "effects.computed_steps_max",
        "64",
        count(0, 1_000),
        "Steps of a run that are recorded together, in one append, when their skills are pure and answer at once; \
         with 0 every step is recorded by itself before the next begins.",
    ),
    key(
        "skills.tenant_calls_per_minute",
        "0",
        count(0, 1_000_000),
        "Calls of skills that one tenant may make a minute, a tenth of them at once; the others wait within their \
         timeout. With 0 there is no such limit. A manifest may say one for its skill: `resources.rate`.",
    ),
    key(
        "skills.host_calls_per_minute",
        "0",
        count(0, 1_000_000),
        "The same for one tenant's calls at one host: at its workers, and at each MCP server.",
    ),
    key(
        "skills.breaker_failures",
        "5",
        count(0, 1_000),
        "A tenant's skill, or its MCP server, is not called for a while when its host was lost or, for a skill, its \
         time was over this often in a row; with 0 never.",
    ),
    key(
        "skills.breaker_wait",
        "5s",
        seconds(1, 3_600),
        "How long it is not called before one call tries; it doubles with each try that fails.",
    ),
    key("skills.breaker_wait_max", "1m", seconds(1, 86_400), "The longest that it is not called before the next try."),
    key(
        "models.file",
        "",
        Form::Text("a file such as config/models.yaml; empty: one endpoint from OPENAI_BASE_URL and OPENAI_API_KEY"),
        "Which endpoints there are, which models have which capabilities, and what they cost.",
    ),
    key(
        "models.cassette",
        "",
        Form::Text(
            "a folder such as config/agents/cassettes/triage; empty: none, or the shipped one without an endpoint",
        ),
        "Recorded traffic with models: answers come from there, byte for byte, and no endpoint is asked.",
    ),
    key(
        "models.cassette_mode",
        "replay",
        Form::OneOf(&["replay", "record", "record-missing"]),
        "Whether answers come from the cassette alone, are all recorded anew, or are asked for where it has none.",
    ),
    key(
        "mcp.commands",
        "",
        Form::List(
            "command lines, such as /usr/bin/sums --safe; one that ends in ` *` may have any arguments behind it",
        ),
        "Programs that tenants may register as MCP servers. They run with the privileges of the node.",
    ),
    key(
        "mcp.hosts",
        "",
        Form::List("hosts, such as api.example.com, *.example.com or 127.0.0.1:8080"),
        "Hosts of MCP servers that tenants may register; the node connects to no others, and follows no redirect.",
    ),
    key("mcp.memory_bytes_max", "1 GiB", mebibytes(16, 1_048_576), "Data memory of each process of an MCP server."),
    key(
        "mcp.idle_max",
        "5m",
        seconds(1, 86_400),
        "How long a connection to an MCP server that nobody uses is kept; then its process ends.",
    ),
    key(
        "builds.time_max",
        "20m",
        seconds(10, 86_400),
        "One build or one test run of a product; then it is ended and the step fails.",
    ),
    key("builds.memory_bytes_max", "4 GiB", mebibytes(256, 1_048_576), "Address space of each process of a build."),
    key(
        "builds.seed_dir",
        "",
        Form::Text("a folder; empty: `agent-mesh/seeds` in the user's cache folder"),
        "Where dependency seeds lie: compiled once per machine, shared by all data folders, never by tenants' builds.",
    ),
    key(
        "pages.login_time",
        "10m",
        seconds(10, 86_400),
        "How long the single-use log-in of a printed address is good for.",
    ),
    key("pages.session_time", "12h", seconds(60, 2_592_000), "How long a browser stays logged in."),
    key(
        "telemetry.tenants_max",
        "100",
        count(0, 10_000),
        "Tenants that have a label of their own in `/metrics`: the first that had traffic; the others are told as one.",
    ),
    key(
        "telemetry.path_sample_one_in",
        "100",
        count(0, 1_000_000),
        "One trace in this many gets a span for each of the eight steps of each envelope; 1 takes all, 0 none.",
    ),
    key(
        "log.filter",
        "warn,mesh=info,rmcp=error",
        Form::Text("tracing directives, such as info or warn,mesh_kernel=debug"),
        "Which messages are written.",
    ),
    key("log.format", "text", Form::OneOf(&["text", "json"]), "How they are written."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_in_its_own_range_and_every_key_explained() {
        for key in KEYS {
            assert!(key.form.read(key.default).is_ok(), "{}: {}", key.name, key.default);
            assert!(key.meaning.ends_with('.'), "{}", key.name);
            assert!(SECTIONS.iter().any(|(name, _)| *name == key.section()), "{}", key.name);
        }
    }

    #[test]
    fn no_two_keys_have_one_name_or_one_variable() {
        let mut seen = std::collections::BTreeSet::new();
        for key in KEYS {
            assert!(seen.insert(key.variable()), "{}", key.name);
        }
    }

    #[test]
    fn a_section_stands_together() {
        let mut order: Vec<&str> = KEYS.iter().map(Key::section).collect();
        order.dedup();
        let sections: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(order, sections);
    }
}
