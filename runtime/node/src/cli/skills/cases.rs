//! `mesh skills test`: the examples of skills, called, and compared with what they say.

use std::time::{Duration, Instant};

use clap::Args;
use mesh_proto::v1::{self, skill_example::Gives as Told};
use mesh_skills::contract::{FailureClass, Gives};
use mesh_workflows::form::value_to_json;
use prost_types::value::Kind;
use serde_json::{Value, json};

use super::{at_most, call, gave, get, why};
use crate::cli::{
    Failure, clients,
    connect::Link,
    context::{Context, fresh_request_id},
    output::{Cell, Table, Tone, clean, duration},
};

/// What `mesh skills test` takes.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The skills; all of them when none is named
    #[arg(value_name = "SKILL")]
    names: Vec<String>,
}

/// What came of an example.
struct Case {
    skill: String,
    title: String,
    /// Why it is not what was said; nothing when it is.
    problem: Option<String>,
    took: Duration,
}

pub(super) async fn test(args: Test, context: Context) -> Result<(), Failure> {
    let link = context.link().await?;
    let names = if args.names.is_empty() { every_name(link.clone()).await? } else { args.names };
    let mut cases = Vec::new();
    for name in names {
        let skill = get(link.clone(), name).await?;
        for example in skill.examples.iter().filter(|example| example.alone) {
            let began = Instant::now();
            let problem = tried(&link, &skill.name, example).await?;
            let case = Case { skill: skill.name.clone(), title: example.title.clone(), problem, took: began.elapsed() };
            if context.out.is_json() {
                context.out.line(case_json(&case).to_string())?;
            }
            cases.push(case);
        }
    }
    if !context.out.is_json() {
        context.out.table(&case_table(&cases), "there is no example that can be called by itself")?;
    }
    let failed: Vec<_> = cases.iter().filter_map(|case| Some((case, case.problem.as_ref()?))).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let told = failed.iter().map(|(case, problem)| format!("\n  {}: {}: {problem}", case.skill, case.title));
    Err(Failure::Failed(format!("{} of {} examples failed{}", failed.len(), cases.len(), told.collect::<String>())))
}

async fn every_name(link: Link) -> Result<Vec<String>, Failure> {
    let (mut names, mut client, mut page_token) = (Vec::new(), clients::skills(link), String::new());
    loop {
        let request = v1::ListSkillsRequest { page_size: 500, page_token };
        let answer = client.list_skills(request).await?.into_inner();
        names.extend(answer.skills.into_iter().map(|skill| skill.name));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(names);
        }
    }
}

/// Why what came of an example is not what it says.
async fn tried(link: &Link, name: &str, example: &v1::SkillExample) -> Result<Option<String>, Failure> {
    let Some(Kind::StructValue(input)) = example.input.as_ref().and_then(|input| input.kind.clone()) else {
        return Ok(Some("its input is no object, so no run can be given it".to_owned()));
    };
    let Some(gives) = example.gives.as_ref().and_then(said) else {
        return Ok(Some("it does not say what comes of it".to_owned()));
    };
    let request = v1::InvokeSkillRequest {
        name: name.to_owned(),
        input: Some(input),
        request_id: fresh_request_id(),
        retry: Some(at_most(1)),
        ..Default::default()
    };
    let run = match call(link, request).await {
        Ok(run) => run.ok_or(Failure::Lacking("run"))?,
        // The input is refused before anything is called: that may be what the example shows.
        Err(Failure::Refused(status)) if status.code() == tonic::Code::InvalidArgument => {
            let problem = format!("it was refused: {}", status.message());
            return Ok((!gives.fits(Err(FailureClass::Validation))).then_some(problem));
        }
        Err(failure) => return Err(failure),
    };
    let output = gave(&run);
    let class = run.failure.as_ref().and_then(|failure| failure.failure_class.parse().ok());
    let came = class.map_or(Ok(&output), Err);
    let is_as_said = gives.fits(came) && (came.is_err() || run.state() == v1::RunState::Succeeded);
    Ok((!is_as_said).then(|| if came.is_err() { why(&run) } else { format!("it gave {output}") }))
}

fn said(told: &Told) -> Option<Gives> {
    Some(match told {
        Told::Output(output) => Gives::Output(value_to_json(output)),
        Told::FailureClass(class) => Gives::Failure(class.parse().ok()?),
    })
}

fn case_json(case: &Case) -> Value {
    json!({
        "skill": case.skill,
        "example": case.title,
        "passed": case.problem.is_none(),
        "problem": case.problem,
        "seconds": case.took.as_secs_f64(),
    })
}

fn case_table(cases: &[Case]) -> Table {
    let mut table = Table::new(&["SKILL", "EXAMPLE", "RESULT", "TOOK"]);
    for case in cases {
        let result = match case.problem {
            None => Cell::toned("passed", Tone::Good),
            Some(_) => Cell::toned("failed", Tone::Bad),
        };
        table.row([case.skill.as_str().into(), clean(&case.title).into(), result, duration(case.took).into()]);
    }
    table
}
