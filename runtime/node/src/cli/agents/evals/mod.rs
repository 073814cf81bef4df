//! `mesh agents evals`: an agent's cases, tried on a node that runs, graded, and compared with another version.

mod file;
mod grade;
mod report;
mod tally;
mod trial;

use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};

pub(super) use file::schema;

use self::{
    file::{Case, Suite},
    report::Heading,
    tally::{Change, Trial, Trials, Verdict},
    trial::Tried,
};
use crate::cli::{
    Failure,
    connect::Link,
    context::{Context, read_text, to_proto},
    output::clean,
};

/// What `mesh agents evals` takes.
#[derive(Debug, Args)]
pub(crate) struct Evals {
    /// The cases, in YAML or JSON; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Try this agent instead of the file's, as NAME or NAME@VERSION
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Try another version too, and fail only for cases that got worse: a number, or `previous`
    #[arg(long, value_name = "VERSION", value_parser = other)]
    against: Option<Other>,
    /// Only cases whose name holds this text; may be given several times
    #[arg(long = "case", value_name = "TEXT")]
    cases: Vec<String>,
    /// How many trials at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Write a report: JUnit's XML for a name that ends in .xml, JSON for any other; may be given several times
    #[arg(long = "report", value_name = "FILE")]
    reports: Vec<PathBuf>,
    /// Check the file and try nothing
    #[arg(long)]
    validate_only: bool,
}

/// The version that a version is compared with.
#[derive(Debug, Clone, Copy)]
enum Other {
    /// The one before it.
    Previous,
    /// This one.
    Number(u32),
}

fn other(text: &str) -> Result<Other, String> {
    match text {
        "previous" => Ok(Other::Previous),
        number => number
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .map(Other::Number)
            .ok_or_else(|| "a version is a whole number from 1, or `previous`".to_owned()),
    }
}

pub(super) async fn evals(args: Evals, context: Context) -> Result<(), Failure> {
    let file = args.file.display().to_string();
    let suite = file::parse(&read_text(&args.file)?, &file)
        .map_err(|mistakes| Failure::Mistakes(mistakes.into_iter().map(to_proto).collect()))?;
    if args.validate_only {
        return Ok(context.out.line(format!("{file} is valid: {} cases", suite.cases.len()))?);
    }
    let cases = chosen(&suite, &args.cases)?;
    let link = context.link().await?;
    let now = trial::version_of(&link, args.agent.as_deref().unwrap_or(&suite.agent)).await?;
    let before = match args.against {
        Some(other) => Some(compared(&link, &now, other).await?),
        None => None,
    };
    let verdicts = judged(&link, &cases, &now, before.as_ref(), usize::from(args.jobs)).await?;
    let heading = Heading { file, agent: now.name, version: now.version, against: before.map(|before| before.version) };
    for path in &args.reports {
        write(path, &heading, &verdicts)?;
    }
    told(&heading, &verdicts, &context)?;
    verdict(&heading, &verdicts)
}

fn chosen<'s>(suite: &'s Suite, texts: &[String]) -> Result<Vec<&'s Case>, Failure> {
    let is_meant = |case: &&Case| texts.is_empty() || texts.iter().any(|text| case.name.contains(text));
    let cases: Vec<&Case> = suite.cases.iter().filter(is_meant).collect();
    if cases.is_empty() {
        return Err(Failure::Usage(format!("no case has `{}` in its name", texts.join("` or `"))));
    }
    Ok(cases)
}

async fn compared(link: &Link, now: &Tried, other: Other) -> Result<Tried, Failure> {
    let (name, version) = (&now.name, now.version);
    let number = match other {
        Other::Number(number) => number,
        Other::Previous => version.saturating_sub(1),
    };
    if number == 0 {
        return Err(Failure::Usage(format!("`{name}@{version}` is the first version: there is none before it")));
    }
    if number == version {
        let message = format!("`{name}@{version}` would be compared with itself: say another version");
        return Err(Failure::Usage(message));
    }
    trial::version_of(link, &format!("{name}@{number}")).await
}

/// Tries everything, so many at once.
async fn judged<'c>(
    link: &Link,
    cases: &[&'c Case],
    now: &Tried,
    before: Option<&Tried>,
    jobs: usize,
) -> Result<Vec<Verdict<'c>>, Failure> {
    // What is compared is tried side by side, so that a provider's bad hour falls on both.
    let trials = cases.iter().enumerate().flat_map(|(at, &case)| {
        let both = [Some((now, false)), before.map(|before| (before, true))];
        let each = both.into_iter().flatten();
        (0..case.repeat).flat_map(move |_| each.clone().map(move |(agent, is_before)| (at, case, agent, is_before)))
    });
    let mut tried = stream::iter(trials)
        .map(|(at, case, agent, is_before)| async move {
            let seen = trial::tried(link, agent, case).await?;
            let problems = grade::problems(case, &seen);
            Ok::<_, Failure>((at, is_before, Trial { seen, problems }))
        })
        .buffer_unordered(jobs);
    let mut verdicts: Vec<Verdict<'_>> = cases
        .iter()
        .map(|&case| Verdict { case, now: Trials::default(), before: before.map(|_| Trials::default()) })
        .collect();
    while let Some((at, is_before, trial)) = tried.try_next().await? {
        let Some(verdict) = verdicts.get_mut(at) else { continue };
        match (&mut verdict.before, is_before) {
            (Some(before), true) => before.0.push(trial),
            _ => verdict.now.0.push(trial),
        }
    }
    Ok(verdicts)
}

fn write(path: &Path, heading: &Heading, verdicts: &[Verdict<'_>]) -> Result<(), Failure> {
    let is_xml = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml"));
    let text =
        if is_xml { report::junit(heading, verdicts) } else { format!("{:#}\n", report::whole(heading, verdicts)) };
    std::fs::write(path, text).map_err(|source| Failure::File { path: path.to_owned(), verb: "written", source })
}

fn told(heading: &Heading, verdicts: &[Verdict<'_>], context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        for verdict in verdicts {
            context.out.line(report::case_json(verdict).to_string())?;
        }
        return Ok(());
    }
    let table = if heading.against.is_some() { report::comparison(verdicts) } else { report::table(verdicts) };
    context.out.table(&table, "there are no cases")?;
    for line in report::why(verdicts, context.out.paint) {
        context.out.line(line)?;
    }
    Ok(())
}

/// Whether it went well: no case failed, or beside another version none got worse.
fn verdict(heading: &Heading, verdicts: &[Verdict<'_>]) -> Result<(), Failure> {
    let (agent, version, all) = (clean(&heading.agent), heading.version, verdicts.len());
    if let Some(before) = heading.against {
        let worse = verdicts.iter().filter(|verdict| verdict.change() == Some(Change::Worse)).count();
        let message = format!("{worse} of {all} cases got worse from {agent}@{before} to {agent}@{version}");
        return if worse == 0 { Ok(()) } else { Err(Failure::Failed(message)) };
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::Failed(format!("{failed} of {all} cases failed with {agent}@{version}")))
    }
}
