//! Planning and applying: the same steps up to the command, which only applying sends.

use bytes::Bytes;
use mesh_kernel::{
    entity::Decider,
    envelope::{ErrorKind, Refusal},
    path::{Caller, Reply},
    ports::{Digest, content::INLINE_MAX},
};
use mesh_platforms::control_plane::{
    machines::blueprint::BlueprintMachine,
    messages::{BlueprintCommand, RunState, Source},
};
use mesh_proto::v1::{self, ApplyOutcome, BlueprintChange};
use mesh_skills::blueprint::{Change, compare, parse};
use mesh_workflows::run;

use super::{
    read::{BlueprintView, SourceView, look, product, shown, text},
    source::{Checked, check},
};
use crate::gateway::{GatewayState, Terms, address, convert, convert::view, keys::etag, status::refused_field};

/// A blueprint beside what is applied now.
struct Compared {
    current: Option<Digest>,
    /// What tenants' files look like.
    released: Option<Digest>,
    change: Change,
    latest_run: Option<RunState>,
    version: u64,
}

/// What applying would change.
///
/// # Errors
/// Every mistake of the text.
pub(super) async fn plan(
    state: &GatewayState,
    caller: &Caller,
    request: v1::PlanBlueprintRequest,
) -> Result<v1::PlanBlueprintResponse, Refusal> {
    let checked = check(request.source)?;
    let compared = beside(state, caller, &checked).await?;
    let (additions, refusals) = told(&compared.change);
    Ok(v1::PlanBlueprintResponse {
        current_digest: compared.current.map(|digest| digest.to_string()).unwrap_or_default(),
        digest: checked.digest.to_string(),
        change: kind(&compared, checked.digest).into(),
        outcome: would_do(&compared, checked.digest).into(),
        additions,
        refusals,
        etag: if compared.version == 0 { String::new() } else { etag(compared.version) },
        name: checked.blueprint.name,
    })
}

/// Applies a blueprint: its product is made, or its latest run goes on.
///
/// # Errors
/// Every mistake of the text; a change that the product cannot follow; a run that is still going.
pub(super) async fn apply(
    state: &GatewayState,
    caller: &Caller,
    mut request: v1::ApplyBlueprintRequest,
) -> Result<v1::ApplyBlueprintResponse, Refusal> {
    let terms = Terms::of("ApplyBlueprint", &request, &request.request_id, &request.etag)?;
    let checked = check(request.source.take())?;
    let compared = beside(state, caller, &checked).await?;
    if let Change::Refused { reasons } = &compared.change {
        return Err(cannot_follow(&checked.blueprint.name, reasons));
    }
    if request.validate_only {
        let outcome = would_do(&compared, checked.digest).into();
        return Ok(v1::ApplyBlueprintResponse { outcome, ..Default::default() });
    }
    let name = checked.blueprint.name.clone();
    let command = BlueprintCommand::ApplyBlueprint {
        name: name.clone(),
        digest: checked.digest,
        source: keep(state, caller, checked.text).await?,
        base: compared.released,
        sentences: checked.blueprint.written().map(|rule| rule.sentence.clone()).collect(),
    };
    let to = address(caller.tenant(), BlueprintMachine::KIND, "blueprint", &name)?;
    let reply = state.tell(caller, to, &command, terms).await?;
    answer(state, caller, &name, checked.blueprint.title, &reply).await
}

async fn answer(
    state: &GatewayState,
    caller: &Caller,
    name: &str,
    title: String,
    reply: &Reply,
) -> Result<v1::ApplyBlueprintResponse, Refusal> {
    let view: BlueprintView = view::read(&reply.view)?;
    let mut blueprint = shown(name, &view, reply.version);
    blueprint.title = title;
    let outcome = done(reply);
    let run = run_of(state, caller, &blueprint.run_id).await?;
    let resumed = match outcome {
        ApplyOutcome::Submitted | ApplyOutcome::Unspecified => 0,
        _ => run.progress.as_ref().map(|progress| progress.done).unwrap_or_default(),
    };
    blueprint.product = product(state, caller, name).await?;
    Ok(v1::ApplyBlueprintResponse {
        blueprint: Some(blueprint),
        run: Some(run),
        outcome: outcome.into(),
        steps_resumed: resumed,
        position: reply.position.0,
    })
}

/// The run; when its submission is still under way, no more than its name.
async fn run_of(state: &GatewayState, caller: &Caller, id: &str) -> Result<v1::Run, Refusal> {
    match look(state, caller, run::KIND, id, "GetRun", "").await? {
        Some(viewed) => convert::run::message(&viewed.view, viewed.version),
        None => Ok(v1::Run { run_id: id.to_owned(), state: v1::RunState::Created.into(), ..Default::default() }),
    }
}

async fn beside(state: &GatewayState, caller: &Caller, checked: &Checked) -> Result<Compared, Refusal> {
    let name = &checked.blueprint.name;
    let look_at = |what| look(state, caller, BlueprintMachine::KIND, name, "PlanBlueprint", what);
    let Some(viewed) = look_at("source").await? else {
        return Ok(Compared { current: None, released: None, change: nothing_new(), latest_run: None, version: 0 });
    };
    let texts: SourceView = view::read(&viewed.view)?;
    let usual = look_at("").await?.map(|usual| view::read::<BlueprintView>(&usual.view)).transpose()?;
    let latest_run = usual.and_then(|usual| usual.latest?.run).map(|run| run.state);
    let (released, change) = match texts.released {
        Some(released) => {
            let change = match released.source {
                Some(source) => since(name, &text(state, caller, source).await?, checked)?,
                None => nothing_new(),
            };
            (Some(released.digest), change)
        }
        None => (None, nothing_new()),
    };
    let current = texts.latest.map(|latest| latest.digest);
    Ok(Compared { current, released, change, latest_run, version: viewed.version })
}

fn since(name: &str, released: &str, checked: &Checked) -> Result<Change, Refusal> {
    let released = parse(released, name).map_err(|mistakes| {
        let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
        Refusal::new(
            "GTW-0032",
            ErrorKind::Internal,
            format!("the released blueprint cannot be read any more: {first}"),
        )
    })?;
    Ok(compare(&released, &checked.blueprint))
}

/// Nothing was released that one could differ from.
fn nothing_new() -> Change {
    Change::Additive { entities: Vec::new(), fields: Vec::new(), rules: Vec::new(), transitions: Vec::new() }
}

fn kind(compared: &Compared, digest: Digest) -> BlueprintChange {
    match (&compared.change, compared.current) {
        (Change::Refused { .. }, _) => BlueprintChange::Refused,
        (_, Some(current)) if current == digest => BlueprintChange::None,
        (_, None) => BlueprintChange::Create,
        (_, Some(_)) if compared.released.is_none() => BlueprintChange::Create,
        (Change::Same | Change::Additive { .. }, Some(_)) => BlueprintChange::Add,
    }
}

fn would_do(compared: &Compared, digest: Digest) -> ApplyOutcome {
    if matches!(compared.change, Change::Refused { .. }) {
        return ApplyOutcome::Unspecified;
    }
    match compared.latest_run.filter(|_| compared.current == Some(digest)) {
        None | Some(RunState::Cancelled) => ApplyOutcome::Submitted,
        Some(RunState::Running) => ApplyOutcome::Continued,
        Some(RunState::Failed) => ApplyOutcome::Retried,
        Some(RunState::Succeeded) => ApplyOutcome::Served,
    }
}

/// What the blueprint's entity asked for.
fn done(reply: &Reply) -> ApplyOutcome {
    let said = |name: &str| reply.events.iter().any(|event| &*event.event_type == name);
    if said("ProductRunRequested") {
        ApplyOutcome::Submitted
    } else if said("ProductRunRetryRequested") {
        ApplyOutcome::Retried
    } else if said("ProductServingRequested") {
        ApplyOutcome::Served
    } else {
        ApplyOutcome::Continued
    }
}

fn told(change: &Change) -> (Vec<String>, Vec<String>) {
    match change {
        Change::Same => (Vec::new(), Vec::new()),
        Change::Additive { entities, fields, rules, transitions } => {
            let lines = |what: &'static str, names: &[String]| {
                names.iter().map(move |name| format!("{what} `{name}`")).collect::<Vec<_>>()
            };
            let additions = [
                lines("entity", entities),
                lines("field", fields),
                lines("rule", rules),
                lines("transition", transitions),
            ];
            (additions.concat(), Vec::new())
        }
        Change::Refused { reasons } => (Vec::new(), reasons.iter().map(ToString::to_string).collect()),
    }
}

fn cannot_follow(name: &str, reasons: &[mesh_skills::blueprint::Refusal]) -> Refusal {
    let first = reasons.first().map(ToString::to_string).unwrap_or_default();
    let refusal = Refusal::new(
        "CTL-0034",
        ErrorKind::FailedPrecondition,
        format!("the product of `{name}` cannot follow {} of the changes, the first: {first}", reasons.len()),
    );
    reasons.iter().fold(refusal, |refusal, reason| refusal.at("source", reason.to_string()))
}

/// The text as the entity keeps it: itself, or where it lies when it is too long for the journal.
async fn keep(state: &GatewayState, caller: &Caller, text: String) -> Result<Source, Refusal> {
    if text.len() <= INLINE_MAX {
        return Ok(Source::Inline(text));
    }
    let bytes = Bytes::from(serde_json::Value::String(text).to_string());
    let length = bytes.len() as u64;
    let body =
        state.content.put(caller.scope(), bytes).await.map_err(|error| refused_field("source", error.to_string()))?;
    Ok(Source::Stored { body, bytes: length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(current: Option<&str>, released: Option<&str>, run: Option<RunState>) -> Compared {
        let digest = |text: &str| Digest::of(text.as_bytes());
        Compared {
            current: current.map(digest),
            released: released.map(digest),
            change: nothing_new(),
            latest_run: run,
            version: 1,
        }
    }

    #[test]
    fn a_plan_says_what_applying_does() {
        use RunState::{Cancelled, Failed, Running, Succeeded};
        let table = [
            (compared(None, None, None), BlueprintChange::Create, ApplyOutcome::Submitted),
            (compared(Some("new"), None, Some(Running)), BlueprintChange::None, ApplyOutcome::Continued),
            (compared(Some("new"), None, Some(Failed)), BlueprintChange::None, ApplyOutcome::Retried),
            (compared(Some("new"), None, Some(Cancelled)), BlueprintChange::None, ApplyOutcome::Submitted),
            (compared(Some("new"), Some("new"), Some(Succeeded)), BlueprintChange::None, ApplyOutcome::Served),
            (compared(Some("old"), Some("old"), Some(Succeeded)), BlueprintChange::Add, ApplyOutcome::Submitted),
            // Nobody has data of a version that was never released.
            (compared(Some("old"), None, Some(Failed)), BlueprintChange::Create, ApplyOutcome::Submitted),
        ];
        for (index, (compared, change, outcome)) in table.into_iter().enumerate() {
            let digest = Digest::of(b"new");
            assert_eq!(kind(&compared, digest), change, "row {index}");
            assert_eq!(would_do(&compared, digest), outcome, "row {index}");
        }
    }
}
