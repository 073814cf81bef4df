//! The command line as a whole: its words are a promise to scripts.

use clap::{CommandFactory, Parser};

use super::args::Cli;

fn help(path: &[&str]) -> String {
    let mut command = Cli::command();
    command.build();
    let mut found = &mut command;
    for name in path {
        found = found.find_subcommand_mut(name).unwrap();
    }
    found.clone().term_width(100).render_help().to_string()
}

#[test]
fn the_commands_are_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn the_help_of_the_whole() {
    insta::assert_snapshot!(help(&[]), @r"
    Agent Mesh: one binary that turns a blueprint into a running multi-tenant product

    Usage: mesh [OPTIONS] <COMMAND>

    Commands:
      up            Start a node and stay in the foreground
      run           Make a product from a blueprint, and serve it
      tail          Follow what happens: the journal's events, or live signals
      tree          Show the tree of supervised actors
      open          Print the address of a page, with a log-in that works once
      logs          Show what the attempts of a run's steps have written
      runs          Submit, watch and steer runs
      approvals     Decide what waits for a person
      definitions   Check and publish workflow definitions
      skills        Look at skills, call one by itself, run their examples
      agents        Publish agents, give them tasks, and steer these
      knowledge     Take documents in, find pieces of them, build context packages
      lineage       Ask what came from what: why, and what came of it
      blueprints    Check and apply blueprints
      tenants       Make, disable and delete tenants
      keys          Make and revoke API keys
      dead-letters  Look at messages that could not be delivered, and send them again
      config        Show the settings
      doctor        Check whether a node can live here, and say what to do
      backup        Copy the data folder, while its node works
      restore       Make a data folder of a backup; its node is paused
      resume-node   End the pause of a restored data folder, for the next start of its node
      completions   Print a completion script for a shell
      help          Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    For every command:
          --data <DIR>       The data folder: the node's own, where its address and first key are found [default: .mesh]
          --server <URL>     Talk to this node instead; the key is taken from MESH_API_KEY
          --ca <PEM>         Trust this certificate authority for an https server
          --output <FORMAT>  How answers are shown [default: table] [possible values: table, json]

    Exit codes: 0 done, 1 what it watched failed, 2 usage, 3 refused, 4 not found, 5 not allowed, 6 no node answers, 7 try again later, 70 a bug.
    ");
}

#[test]
fn the_help_of_run() {
    insta::assert_snapshot!(help(&["run"]), @r"
    Make a product from a blueprint, and serve it

    Usage: mesh run [OPTIONS] [FILE]

    Arguments:
      [FILE]  The blueprint

    Options:
          --intent <TEXT>       Draft a blueprint from these words with a model, show it, and go on when you say so
          --exit                Stop everything that was started when the product is made; 0 when its build, tests and smoke test passed
          --config <FILE>       Read this file instead of mesh.toml in the data folder
          --listen <ADDR>       Serve gRPC here; port 0 takes a free one
          --http-listen <ADDR>  Serve the page here; port 0 takes a free one
          --set <KEY=VALUE>     Make any setting, such as --set log.filter=debug; may be given several times
      -h, --help                Print help (see more with '--help')
      -V, --version             Print version

    For every command:
          --data <DIR>       The data folder: the node's own, where its address and first key are found [default: .mesh]
          --server <URL>     Talk to this node instead; the key is taken from MESH_API_KEY
          --ca <PEM>         Trust this certificate authority for an https server
          --output <FORMAT>  How answers are shown [default: table] [possible values: table, json]
    ");
}

#[test]
fn the_help_of_a_list() {
    insta::assert_snapshot!(help(&["runs", "list"]), @r"
    List runs, the newest first

    Usage: mesh runs list [OPTIONS]

    Options:
          --state <STATE>      Only in this state; may be given several times [possible values: created, running, waiting, paused, compensating, succeeded, failed, cancelled]
          --failed             Only failed ones
          --definition <NAME>  Only of this definition
          --project <ID>       Only of this project
          --since <TIME>       Only submitted in the last while, such as 30m or 7d
          --filter <FILTER>    A filter in the contract's own words, such as 'state = FAILED'
          --limit <N>          How many at most [default: 50]
          --page <TOKEN>       Go on behind the page that printed this token
      -h, --help               Print help (see more with '--help')
      -V, --version            Print version

    For every command:
          --data <DIR>       The data folder: the node's own, where its address and first key are found [default: .mesh]
          --server <URL>     Talk to this node instead; the key is taken from MESH_API_KEY
          --ca <PEM>         Trust this certificate authority for an https server
          --output <FORMAT>  How answers are shown [default: table] [possible values: table, json]
    ");
}

/// Every command that scripts may rely on; one that is missing or renamed fails here.
#[test]
fn every_noun_has_its_verbs() {
    let command = Cli::command();
    let mut lines = Vec::new();
    for noun in command.get_subcommands() {
        let verbs: Vec<&str> = noun.get_subcommands().map(clap::Command::get_name).collect();
        lines.push(format!("{} {}", noun.get_name(), verbs.join(" ")).trim_end().to_owned());
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    up
    run
    tail
    tree
    open
    logs
    runs list get submit watch signal pause resume cancel retry history
    approvals list get decide
    definitions validate publish get list schema test
    skills list describe invoke new register schema deprecate withdraw test
    agents list describe validate publish activate run evals tasks task pause resume redirect take-over cancel budgets budget schema
    knowledge ingest search context sources documents forget status
    lineage why impact path common diff get export
    blueprints validate plan apply get list
    tenants create list get disable enable delete
    keys create list revoke
    dead-letters list get replay
    config show default
    doctor
    backup
    restore
    resume-node
    completions
    ");
}

#[test]
fn what_the_documentation_shows_is_taken() {
    for line in [
        "mesh up --data x --output json --listen 127.0.0.1:0",
        "mesh run config/blueprints/helpdesk.yaml",
        "mesh run --intent helpdesk --exit",
        "mesh run shop.yaml --exit --output json --set builds.time_max=5m",
        "mesh tail --type RunSubmitted --no-follow",
        "mesh tree --by tenant",
        "mesh logs run-1 build -f",
        "mesh runs list --failed --since 7d --limit 500",
        "mesh runs submit deploy@2 -i n=3 -i name=acme --watch",
        "mesh runs signal run-1 go --payload {}",
        "mesh runs retry run-1 --from-step build",
        "mesh approvals decide appr-1 --approve --digest sha256:1",
        "mesh approvals decide appr-1 --approve",
        "mesh runs submit hello --input {\"name\":\"Ada\"}",
        "mesh keys create ci --role developer --role viewer",
        "mesh --server http://127.0.0.1:7400 runs list",
        "mesh definitions test flow.yaml",
        "mesh skills new acme.hello --lang python hello",
        "mesh skills register shop.yaml ./pdf-forms --validate-only",
        "mesh agents run triage@2 -g sort -i letter=hello --timeout 5m",
        "mesh agents evals config/evals/triage.yaml --against previous --jobs 8 --report evals.xml",
        "mesh agents evals cases.yaml --agent triage@2 --against 1 --case invoice --output json",
        "mesh agents schema --evals",
        "mesh lineage why run-1 --all --kind Approval --as-of 2h",
        "mesh lineage impact model/local/tiny --along USED --depth 3",
        "mesh lineage common run-1 run-2 run-3",
        "mesh lineage export run-1 --form prov --impact",
        "mesh agents resume task-1 --tokens 1000",
        "mesh agents take-over task-1 {\"n\":1}",
        "mesh agents tasks --waiting --agent triage",
        "mesh agents tasks --state failed --state timed-out --run run-1",
        "mesh agents budget tenant --tokens 5000000 --cost 20000000 --time 2h",
        "mesh agents budget run/run-1 --restart",
        "mesh completions bash",
    ] {
        let parsed = Cli::try_parse_from(line.split(' '));
        assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|error| error.to_string()).unwrap_or_default());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "mesh approvals decide appr-1",
        "mesh approvals decide appr-1 --approve --reject --digest sha256:1",
        "mesh runs list --failed --state running",
        "mesh runs list --limit 501",
        "mesh keys create ci",
        "mesh keys create ci --role king",
        "mesh runs watch run-1 --failed",
        "mesh tail --signals --beginning",
        "mesh skills register",
        "mesh skills new acme.hello --lang cobol",
        "mesh lineage common run-1",
        "mesh lineage export run-1 --form xml",
        "mesh agents evals cases.yaml --against 0",
        "mesh agents evals cases.yaml --jobs 0",
        "mesh agents budget tenant",
        "mesh agents budget tenant --tokens 0",
        "mesh agents budget tenant --lift --tokens 5",
    ] {
        let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

/// The table of exit codes in the documentation says what the code does.
#[test]
fn the_documentation_names_every_exit_code() {
    use super::failure::exit;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let text = std::fs::read_to_string(path).unwrap();
    for code in [
        exit::FAILED,
        exit::USAGE,
        exit::REFUSED,
        exit::NOT_FOUND,
        exit::NOT_ALLOWED,
        exit::UNREACHABLE,
        exit::LATER,
        exit::INTERNAL,
    ] {
        assert!(text.contains(&format!("\n| {code} | ")), "{code}");
    }
}

/// Every command stands in the documentation's table.
#[test]
fn the_documentation_names_every_command() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let text = std::fs::read_to_string(path).unwrap();
    for noun in Cli::command().get_subcommands() {
        let name = noun.get_name();
        let line = text.lines().find(|line| line.starts_with(&format!("| `mesh {name}"))).unwrap_or_default();
        assert!(!line.is_empty(), "{name}");
        for verb in noun.get_subcommands() {
            assert!(line.contains(&format!("`{}`", verb.get_name())), "{name} {}", verb.get_name());
        }
    }
}
