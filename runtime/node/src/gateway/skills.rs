//! `SkillService`: what steps may call, and a call of one by itself.

use mesh_kernel::{
    envelope::{ErrorKind, Refusal},
    path::Caller,
    ports::Digest,
};
use mesh_proto::v1::{self, skill_service_server::SkillService};
use mesh_skills::contract::{Registered, Registry};
use mesh_workflows::{
    definition::{Known, to_json, validate},
    invocation::invocation,
};
use prost::Message as _;
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{
    GatewayState, Terms,
    auth::caller,
    convert, keys,
    page::Binding,
    status::{refused_field, status},
    workflows::{METHOD, Submission, Submittable, Submitted, faulty, input, project, refers, take},
};

/// The service.
pub(super) struct Skills(pub(super) GatewayState);

#[tonic::async_trait]
impl SkillService for Skills {
    async fn list_skills(
        &self,
        request: Request<v1::ListSkillsRequest>,
    ) -> Result<Response<v1::ListSkillsResponse>, Status> {
        let caller = caller(&request)?;
        answer(list(&self.0, &caller, &request.into_inner()))
    }

    async fn get_skill(&self, request: Request<v1::GetSkillRequest>) -> Result<Response<v1::GetSkillResponse>, Status> {
        let caller = caller(&request)?;
        answer(get(&self.0, &caller, &request.get_ref().name))
    }

    async fn invoke_skill(
        &self,
        request: Request<v1::InvokeSkillRequest>,
    ) -> Result<Response<v1::InvokeSkillResponse>, Status> {
        let caller = caller(&request)?;
        answer(invoke(&self.0, &caller, request.into_inner()).await)
    }
}

fn answer<T>(result: Result<T, Refusal>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|refusal| status(&refusal))
}

fn list(
    state: &GatewayState,
    caller: &Caller,
    request: &v1::ListSkillsRequest,
) -> Result<v1::ListSkillsResponse, Refusal> {
    state.mesh.admit_read(caller, "ListSkills")?;
    let binding = Binding::new(caller.scope(), "skills", "");
    let page = binding.request(request.page_size, &request.page_token)?;
    let after = page.after.unwrap_or_default();
    let mut manifests = state.skills.manifests().filter(|manifest| manifest.name > after);
    let skills: Vec<_> = manifests.by_ref().take(page.size).map(convert::skill::brief).collect();
    let next = manifests.next().and(skills.last()).map(|skill| skill.name.as_str());
    Ok(v1::ListSkillsResponse { next_page_token: binding.seal(next), skills })
}

fn get(state: &GatewayState, caller: &Caller, name: &str) -> Result<v1::GetSkillResponse, Refusal> {
    state.mesh.admit_read(caller, "GetSkill")?;
    let skill = find(&state.skills, name)?;
    Ok(v1::GetSkillResponse { skill: Some(convert::skill::whole(skill.manifest())) })
}

fn find<'a>(skills: &'a Registry, name: &str) -> Result<&'a Registered, Refusal> {
    match name {
        "" => Err(refused_field("name", "the name of a skill is expected")),
        _ => skills.require(name).map_err(|failure| Refusal::new("GTW-0006", ErrorKind::NotFound, failure.message)),
    }
}

/// Calls a skill by itself, as a run of one step.
///
/// # Errors
/// `NotFound` when there is no such skill, `InvalidArgument` when the input does not fit it, `AlreadyExists`
/// when the request id was used with another body.
async fn invoke(
    state: &GatewayState,
    caller: &Caller,
    request: v1::InvokeSkillRequest,
) -> Result<v1::InvokeSkillResponse, Refusal> {
    let terms = Terms::of(METHOD, &request, &request.request_id, "")?;
    if request.timeout.is_some_and(|timeout| timeout.seconds < 0 || timeout.nanos < 0) {
        return Err(refused_field("timeout", "must not be negative; without one the skill's own holds"));
    }
    let request_id = keys::request_id(&request.request_id)?.map(str::to_owned);
    let project = project(&request.project_id)?;
    let input = input(request.input.as_ref())?;
    let retry = request.retry.as_ref().map(|retry| Digest::of(&retry.encode_to_vec()).to_string());
    let body = json!({
        "skill": request.name, "input": input, "timeout": request.timeout.map(|timeout| timeout.to_string()), "retry": retry,
        "project": request.project_id, "labels": request.labels,
    });
    let caller = &state.mesh.charge(caller)?;
    // Who may not submit is told nothing of the skill but what everybody may read.
    state.mesh.admit_read(caller, "GetSkill")?;
    let skill = find(&state.skills, &request.name)?;
    if !refers(&input) {
        skill.check_input(&input).map_err(|failure| refused_field("input", failure.message))?;
    }
    let invocation = invocation(skill.manifest(), &input, request.timeout, request.retry);
    let checked = validate(&invocation, &Known::default()).map_err(|faults| faulty(&faults))?;
    let workflow = (&to_json(&checked.message)).into();
    let submission = Submission {
        submittable: Submittable { version: 0, digest: checked.digest, workflow },
        name: checked.message.name,
        input,
        body,
        request_id,
        project,
        labels: request.labels,
        validate_only: request.validate_only,
    };
    let Submitted { run, repeated, position } = take(state, caller, terms, submission).await?;
    Ok(v1::InvokeSkillResponse { run, repeated, position })
}
