//! A blueprint from a few words: drafted by an agent, shown, and taken when a person says so.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use mesh_proto::v1::{self, RunState};
use mesh_skills::blueprint;
use mesh_workflows::{form::struct_to_json, invocation::OUTPUT};
use serde_json::{Value, json};

use crate::cli::{
    Failure, clients,
    connect::Link,
    context::{Context, fresh_request_id},
    runs::{end_of, show},
};

/// The agent that drafts.
const PLANNER: &str = "planner";

/// Drafts of one name that are kept.
const DRAFTS_MAX: u32 = 1000;

/// Drafts a blueprint; `None` when it is not to be made now.
pub(super) async fn draft(
    intent: &str,
    link: &Link,
    context: &Context,
) -> Result<Option<v1::BlueprintSource>, Failure> {
    context.note(format!("drafting a blueprint: the agent `{PLANNER}` is asked"))?;
    let text = drafted(intent, link).await?;
    let path = kept(&text, &context.global.data)?;
    let file_name = path.display().to_string();
    if !context.out.terminal || context.out.is_json() || !io::stdin().is_terminal() {
        told(&file_name, context)?;
        return Ok(None);
    }
    context.out.line(format!("\n{text}\n"))?;
    context.out.line(format!("It is kept in {file_name}. Make this product? [y/N]"))?;
    if agreed().await? {
        return Ok(Some(v1::BlueprintSource { text, file_name }));
    }
    told(&file_name, context)?;
    Ok(None)
}

/// What the agent gives; the failure of its task is ours.
async fn drafted(intent: &str, link: &Link) -> Result<String, Failure> {
    let text = prost_types::value::Kind::StringValue(intent.to_owned());
    let fields = BTreeMap::from([("intent".to_owned(), prost_types::Value { kind: Some(text) })]);
    let request = v1::RunAgentRequest {
        name: PLANNER.to_owned(),
        goal: "Draft the blueprint.".to_owned(),
        input: Some(prost_types::Struct { fields }),
        request_id: fresh_request_id(),
        ..Default::default()
    };
    let answer = clients::agents(link.clone()).run_agent(request).await?.into_inner();
    let run = answer.run.ok_or(Failure::Lacking("run"))?;
    let run = end_of(run.run_id, clients::workflows(link.clone()), |_, _| Ok(())).await?;
    if run.state() != RunState::Succeeded {
        let why = run.failure.as_ref().map_or_else(|| show::state_label(&run), show::failure_text);
        return Err(Failure::Failed(format!("no blueprint was drafted: {why}")));
    }
    let outputs = run.outputs.as_ref().map(struct_to_json).unwrap_or_default();
    let text = outputs.pointer(&format!("/{OUTPUT}/blueprint")).and_then(Value::as_str);
    text.map(str::to_owned).ok_or(Failure::Lacking("blueprint"))
}

/// Writes the draft beside earlier ones, none of which is touched: somebody may have edited it.
fn kept(text: &str, data: &Path) -> Result<PathBuf, Failure> {
    let name = blueprint::parse(text, "draft").map_or_else(|_| "draft".to_owned(), |blueprint| blueprint.name);
    let folder = data.join("drafts");
    let wrong = |path: &Path, source| Failure::File { path: path.to_owned(), verb: "written", source };
    std::fs::create_dir_all(&folder).map_err(|error| wrong(&folder, error))?;
    for number in 1..=DRAFTS_MAX {
        let more = if number == 1 { String::new() } else { format!("-{number}") };
        let path = folder.join(format!("{name}{more}.yaml"));
        let opened = std::fs::File::create_new(&path);
        match opened.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes())) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrong(&path, error)),
        }
    }
    Err(Failure::Usage(format!("`{}` holds {DRAFTS_MAX} drafts of `{name}`: remove some", folder.display())))
}

fn told(file: &str, context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        return Ok(context.out.line(json!({ "draft": file }).to_string())?);
    }
    context.out.line(format!("a blueprint was drafted: {file}"))?;
    let data = &context.global.data;
    let more = if data == Path::new(".mesh") { String::new() } else { format!(" --data {}", data.display()) };
    Ok(context.out.line(format!("read it, change it, and go on with it:\n  mesh run {file}{more}"))?)
}

/// Asks beside everything else: Ctrl-C is heard meanwhile.
async fn agreed() -> Result<bool, Failure> {
    let asked = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = asked.await.map_err(io::Error::other)??;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_kept_beside_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        let text = include_str!("../../../../../config/blueprints/library.yaml");
        let first = kept(text, folder.path()).unwrap();
        assert!(first.ends_with("drafts/library.yaml"), "{first:?}");
        std::fs::write(&first, "edited").unwrap();
        let second = kept(text, folder.path()).unwrap();
        assert!(second.ends_with("drafts/library-2.yaml"), "{second:?}");
        assert_eq!(std::fs::read_to_string(&first).unwrap(), "edited");
        assert_eq!(std::fs::read_to_string(&second).unwrap(), text);
    }
}
