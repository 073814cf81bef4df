//! Submitting a run: which version, under which id, with which input.

use std::collections::BTreeMap;

use mesh_kernel::{
    envelope::{Address, CorrelationId, ErrorKind, ProjectId, Refusal},
    path::Caller,
};
use mesh_proto::v1;
use mesh_workflows::{
    definition::{digest_of, from_json},
    plan::compile,
    run::{Command, DefinitionRef, SubmitRun, check_input, check_whole, run_id},
};
use serde_json::{Value, json};

use super::{
    content::{refers, set_aside, store, whole},
    definitions::{Published, definition_address, no_version},
    recent::Submittable,
    run_address,
};
use crate::gateway::{GatewayState, Terms, convert, keys, status::refused_field};

/// How the kernel refuses what would be recorded of an entity that has ended.
const RETIRED: &str = "KER-0092";

/// What the policy is asked about the definition.
const ACTION: &str = "ListDefinitions";

/// Which method's request ids name runs: all methods that submit one share them.
pub(in crate::gateway) const METHOD: &str = "SubmitRun";

/// A run as it is asked for, whatever method it came by.
pub(in crate::gateway) struct Submission {
    pub(in crate::gateway) name: String,
    pub(in crate::gateway) submittable: Submittable,
    pub(in crate::gateway) input: Value,
    /// What the caller sent, without what is minted for it: the same again is a repeat.
    pub(in crate::gateway) body: Value,
    pub(in crate::gateway) request_id: Option<String>,
    pub(in crate::gateway) project: Option<ProjectId>,
    pub(in crate::gateway) labels: BTreeMap<String, String>,
    pub(in crate::gateway) validate_only: bool,
}

/// What became of a [`Submission`].
#[derive(Default)]
pub(in crate::gateway) struct Submitted {
    /// The run, in summary; none when it was only validated.
    pub(in crate::gateway) run: Option<v1::Run>,
    pub(in crate::gateway) repeated: bool,
    pub(in crate::gateway) position: u64,
}

/// Submits a run, or answers with the one that the same request submitted before.
///
/// # Errors
/// `NotFound` when there is no such definition, `InvalidArgument` when the input does not fit it,
/// `AlreadyExists` when the request id was used with another body.
pub(super) async fn submit(
    state: &GatewayState,
    caller: &Caller,
    request: v1::SubmitRunRequest,
) -> Result<v1::SubmitRunResponse, Refusal> {
    let terms = Terms::of(METHOD, &request, &request.request_id, "")?;
    let request_id = keys::request_id(&request.request_id)?.map(str::to_owned);
    let project = project(&request.project_id)?;
    let input = input(request.input.as_ref())?;
    let body = json!({
        "definition": request.definition, "version": request.version, "input": input,
        "project": request.project_id, "labels": request.labels,
    });
    let caller = &state.mesh.charge(caller)?;
    let submission = Submission {
        submittable: definition(state, caller, &request).await?,
        name: request.definition,
        input,
        body,
        request_id,
        project,
        labels: request.labels,
        validate_only: request.validate_only,
    };
    let Submitted { run, repeated, position } = take(state, caller, terms, submission).await?;
    Ok(v1::SubmitRunResponse { run, repeated, position })
}

/// The input of a run as a request carries it; an empty object when it carries none.
pub(in crate::gateway) fn input(given: Option<&prost_types::Struct>) -> Result<Value, Refusal> {
    given.map_or_else(|| Ok(json!({})), |input| convert::json::from_struct(input, "input"))
}

/// Submits it.
///
/// # Errors
/// As [`submit`], but for what the name stands for.
pub(in crate::gateway) async fn take(
    state: &GatewayState,
    caller: &Caller,
    mut terms: Terms,
    submission: Submission,
) -> Result<Submitted, Refusal> {
    let Submission { name, submittable, input, body, request_id, project, labels, validate_only } = submission;
    let (kept, bodies) = set_aside(&input)?;
    // The entity checks what it is given; what stands elsewhere can only be looked into here.
    if validate_only || refers(&kept) {
        let whole = whole(state.content.as_ref(), caller.scope(), input).await?;
        check(&submittable.workflow.value(), &whole, &kept)?;
    }
    if validate_only {
        return Ok(Submitted::default());
    }
    let large = !bodies.is_empty();
    store(state.content.as_ref(), caller.scope(), bodies).await?;
    if large {
        mesh_kernel::failpoint::pass("content");
    }
    let id = run_id(caller.tenant(), request_id.as_deref().unwrap_or(state.mesh.fresh_id().as_str()));
    let to = run_address(caller, &id)?;
    let command = Command::SubmitRun(Box::new(SubmitRun {
        definition: DefinitionRef { name, version: submittable.version, digest: submittable.digest },
        workflow: submittable.workflow,
        input: kept,
        request_id,
        body: Some(digest_of(&body)),
        project: project.as_ref().map(|project| project.as_str().to_owned()),
        labels,
        parent: None,
        submitted_by: None,
    }));
    terms.project = project;
    terms.correlation = CorrelationId::parse(&id).ok();
    let same = terms.request.map(|request| request.short());
    let reply = match state.send(caller, to.clone(), &command, terms, Some("summary".to_owned())).await {
        Err(refusal) if refusal.code == RETIRED => return archived(state, caller, &to, same.as_deref()).await,
        reply => reply?,
    };
    Ok(Submitted {
        run: Some(convert::run::message(&reply.view, reply.version)?),
        repeated: reply.repeated || reply.events.is_empty(),
        position: reply.position.0,
    })
}

/// The run that the same request submitted so long ago that it is archived.
async fn archived(
    state: &GatewayState,
    caller: &Caller,
    address: &Address,
    request: Option<&str>,
) -> Result<Submitted, Refusal> {
    let viewed = state.mesh.query(caller, address, "GetRun", "").await?;
    if viewed.view.get("requestDigest").and_then(Value::as_str) != request {
        let message = "this request id has submitted another run, which is archived: choose another id";
        return Err(Refusal::new("GTW-0042", ErrorKind::AlreadyExists, message));
    }
    let run = Some(convert::run::message(&viewed.view, viewed.version)?);
    Ok(Submitted { run, repeated: true, position: viewed.position.0 })
}

/// The version that a request names, or the latest.
async fn definition(
    state: &GatewayState,
    caller: &Caller,
    request: &v1::SubmitRunRequest,
) -> Result<Submittable, Refusal> {
    let (name, version) = (&request.definition, request.version);
    if name.is_empty() {
        return Err(refused_field("definition", "the name of a published definition is expected"));
    }
    let address = definition_address(caller, name)?;
    let stands = state.mesh.version(caller, &address, ACTION).await?;
    if let Some(known) = state.recent.get(&address, version, stands) {
        return Ok(known);
    }
    let found = Published::find(state, caller, name, version, ACTION).await?;
    let found = found.ok_or_else(|| no_version(name, version))?;
    let submittable =
        Submittable { version: found.version, digest: found.digest, workflow: (&found.definition).into() };
    state.recent.keep(address, version, found.entity_version, &submittable);
    Ok(submittable)
}

/// The project that a request names.
pub(in crate::gateway) fn project(text: &str) -> Result<Option<ProjectId>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    ProjectId::parse(text).map(Some).map_err(|error| refused_field("project_id", error.to_string()))
}

/// What a submit would be refused for, without one: the input as it is, and as it would be kept.
fn check(definition: &Value, whole: &Value, kept: &Value) -> Result<(), Refusal> {
    let broken =
        |what: String| Refusal::new("GTW-0040", ErrorKind::Internal, format!("the published definition: {what}"));
    let message = from_json(definition).map_err(|mistakes| broken(format!("{} mistakes", mistakes.len())))?;
    let plan = compile(&message).map_err(|faults| broken(format!("{} faults", faults.len())))?;
    check_input(&plan, kept).and_then(|()| check_whole(&plan, whole)).map_err(|error| Refusal::from(&error))
}
