//! `mesh doctor`: whether a node can live here, and what to do when it cannot. Works with the node up
//! or down.

mod folder;
mod machine;
mod node;
mod tools;

use clap::Args;

use super::{
    Failure,
    context::Context,
    output::{Cell, Table, Tone},
    settings::Given,
};
use crate::{
    config::Config,
    telemetry::{Finding, State},
};

/// What `mesh doctor` takes.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Read every byte of the journal too, and check that it is as it was written
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    given: Given,
}

pub(super) async fn doctor(args: Doctor, context: Context) -> Result<(), Failure> {
    let mut findings = Vec::new();
    match Config::load(&args.given.layers(&context.global)?) {
        Ok(config) => examine(&mut findings, &config, &args, &context).await,
        Err(error) => findings.push(Finding::fail("settings", error.to_string(), "mend what it names")),
    }
    show(&findings, &context)?;
    let bad = findings.iter().filter(|finding| finding.state == State::Fail).count();
    match bad {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 check failed".to_owned())),
        bad => Err(Failure::Failed(format!("{bad} checks failed"))),
    }
}

async fn examine(findings: &mut Vec<Finding>, config: &Config, args: &Doctor, context: &Context) {
    let file = config.file.as_ref().map_or("defaults".to_owned(), |path| format!("read from {}", path.display()));
    findings.push(Finding::ok("settings", file));
    findings.push(machine::files());
    findings.push(machine::clock(&config.data, context.now()).await);
    let there = folder::there(findings, config);
    if there {
        folder::inside(findings, config);
        findings.push(machine::flushes(&config.data));
    }
    tools::all(findings, config);
    if there {
        node::examine(findings, config, args.verify, context).await;
    }
}

fn show(findings: &[Finding], context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        let text = serde_json::to_string(findings).map_err(|error| Failure::Node(error.into()))?;
        return Ok(context.out.line(text)?);
    }
    let mut table = Table::new(&["", "CHECK", "FOUND"]);
    for finding in findings {
        let state = match finding.state {
            State::Ok => Cell::toned("ok", Tone::Good),
            State::Warn => Cell::toned("warn", Tone::Waits),
            State::Fail => Cell::toned("fail", Tone::Bad),
        };
        table.row([state, finding.check.as_str().into(), finding.found.as_str().into()]);
        if !finding.advice.is_empty() {
            let advice = format!("-> {}", finding.advice);
            table.row(["".into(), "".into(), Cell::toned(advice, Tone::Faint)]);
        }
    }
    Ok(context.out.table(&table, "nothing was looked at")?)
}
