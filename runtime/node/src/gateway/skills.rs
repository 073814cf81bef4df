//! `SkillService`: what steps may call, and a call of one by itself.

use std::{collections::BTreeMap, sync::Arc};

use mesh_kernel::{
    entity::decode_tagged,
    envelope::{Address, ErrorKind, Refusal},
    path::Caller,
    ports::Digest,
};
use mesh_proto::v1::{self, skill_service_server::SkillService};
use mesh_skills::{
    catalogue::{self, Command, Entry, Event, is_dev},
    contract::{Failure, FailureClass, Manifest, Registered, check_manifest},
    pools::Host,
};
use mesh_workflows::{
    definition::{Known, to_json, validate},
    invocation::invocation,
};
use prost::Message as _;
use serde_json::json;
use tonic::{Request, Response, Status};

use crate::manifest::{self, brief};

use super::{
    GatewayState, Terms,
    auth::caller,
    convert, keys,
    page::Binding,
    status::{answer, refused_field},
    tenants::is_for_development,
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
        answer(list(&self.0, &caller, &request.into_inner()).await)
    }

    async fn get_skill(&self, request: Request<v1::GetSkillRequest>) -> Result<Response<v1::GetSkillResponse>, Status> {
        let caller = caller(&request)?;
        answer(get(&self.0, &caller, &request.get_ref().name).await)
    }

    async fn invoke_skill(
        &self,
        request: Request<v1::InvokeSkillRequest>,
    ) -> Result<Response<v1::InvokeSkillResponse>, Status> {
        let caller = caller(&request)?;
        answer(invoke(&self.0, &caller, request.into_inner()).await)
    }

    async fn register_skills(
        &self,
        request: Request<v1::RegisterSkillsRequest>,
    ) -> Result<Response<v1::RegisterSkillsResponse>, Status> {
        let caller = caller(&request)?;
        answer(register(&self.0, &caller, request.into_inner()).await)
    }

    async fn deprecate_skill(
        &self,
        request: Request<v1::DeprecateSkillRequest>,
    ) -> Result<Response<v1::DeprecateSkillResponse>, Status> {
        let caller = caller(&request)?;
        answer(deprecate(&self.0, &caller, request.into_inner()).await)
    }

    async fn withdraw_skill(
        &self,
        request: Request<v1::WithdrawSkillRequest>,
    ) -> Result<Response<v1::WithdrawSkillResponse>, Status> {
        let caller = caller(&request)?;
        answer(withdraw(&self.0, &caller, request.into_inner()).await)
    }
}

async fn list(
    state: &GatewayState,
    caller: &Caller,
    request: &v1::ListSkillsRequest,
) -> Result<v1::ListSkillsResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    state.mesh.admit_read(caller, "ListSkills")?;
    let binding = Binding::new(caller.scope(), "skills", "");
    let page = binding.request(request.page_size, &request.page_token)?;
    let after = page.after.unwrap_or_default();
    let own = state.skills.of(caller).await?;
    let mut all: BTreeMap<&str, v1::Skill> =
        own.all().map(|entry| (entry.manifest.name.as_str(), told(state, caller, entry))).collect();
    all.extend(state.skills.native().manifests().map(|manifest| (manifest.name.as_str(), brief(manifest))));
    let mut rest = all.into_iter().filter(|(name, _)| *name > after.as_str()).map(|(_, skill)| skill);
    let skills: Vec<_> = rest.by_ref().take(page.size).collect();
    let next = rest.next().and(skills.last()).map(|skill| skill.name.as_str());
    Ok(v1::ListSkillsResponse { next_page_token: binding.seal(next), skills })
}

fn told(state: &GatewayState, caller: &Caller, entry: &Entry) -> v1::Skill {
    let Manifest { name, version, .. } = entry.manifest.as_ref();
    convert::skill::registered(entry, state.skills.workers().having(caller.tenant(), name, version))
}

async fn get(state: &GatewayState, caller: &Caller, name: &str) -> Result<v1::GetSkillResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    state.mesh.admit_read(caller, "GetSkill")?;
    Ok(v1::GetSkillResponse { skill: Some(whole(state, caller, name).await?) })
}

async fn whole(state: &GatewayState, caller: &Caller, name: &str) -> Result<v1::Skill, Refusal> {
    let used_by = state.lists.users(caller.scope(), name).await?;
    let used_by = used_by.into_iter().map(|(definition, version)| v1::SkillUser { definition, version }).collect();
    let own = state.skills.of(caller).await?;
    let entry = own.latest(name).filter(|_| state.skills.native().get(name).is_none());
    let skill = match entry {
        Some(entry) => {
            let breakers = breakers(state, caller, &entry.manifest, false);
            v1::Skill { breakers, ..manifest::whole(told(state, caller, entry), &entry.manifest) }
        }
        None => {
            let native = find(state, caller, name).await?;
            let breakers = breakers(state, caller, native.manifest(), true);
            v1::Skill { breakers, ..manifest::whole(brief(native.manifest()), native.manifest()) }
        }
    };
    Ok(v1::Skill { used_by, ..skill })
}

fn breakers(state: &GatewayState, caller: &Caller, manifest: &Manifest, is_native: bool) -> Vec<v1::SkillBreaker> {
    let seen = state.skills.pools().seen(caller.tenant(), manifest, &Host::of(manifest, is_native));
    seen.into_iter().map(|(before, seen)| convert::skill::breaker(before, seen)).collect()
}

async fn find(state: &GatewayState, caller: &Caller, name: &str) -> Result<Arc<Registered>, Refusal> {
    match name {
        "" => Err(refused_field("name", "the name of a skill is expected")),
        _ => state.skills.find(caller, name).await,
    }
}

/// Skills that one request may register.
const REGISTERED_MAX: usize = 100;

/// MCP servers that one request may register.
const SERVERS_MAX: usize = 5;

async fn register(
    state: &GatewayState,
    caller: &Caller,
    request: v1::RegisterSkillsRequest,
) -> Result<v1::RegisterSkillsResponse, Refusal> {
    let terms = Terms::of("RegisterSkills", &request, &request.request_id, "")?;
    let caller = &state.mesh.charge(caller)?;
    let v1::RegisterSkillsRequest { skills, mcp_servers, validate_only, .. } = request;
    if skills.len() > REGISTERED_MAX || skills.is_empty() && mcp_servers.is_empty() {
        return Err(refused_field("skills", format!("1 to {REGISTERED_MAX} are taken at once")));
    }
    let mut manifests = Vec::with_capacity(skills.len());
    for (n, skill) in skills.into_iter().enumerate() {
        let at = format!("skills[{n}]");
        let manifest = convert::skill::manifest(skill, &at)?;
        check_manifest(&manifest).map_err(|error| refused_field(&at, error.to_string()))?;
        manifests.push(manifest);
    }
    let tools = tools_of(state, caller, mcp_servers).await?;
    let shown = tools.iter().map(brief).collect();
    manifests.extend(tools);
    if let Some(manifest) = manifests.iter().find(|manifest| state.skills.native().get(&manifest.name).is_some()) {
        let what = format!("`{}` is a skill of the node's own: choose another name", manifest.name);
        return Err(refused_field("skills", what));
    }
    let has_dev = manifests.iter().any(|manifest| is_dev(&manifest.version));
    let replaces_dev = has_dev && is_for_development(state, caller).await?;
    if validate_only {
        state.mesh.admit_read(caller, "RegisterSkills")?;
        let own = state.skills.of(caller).await?;
        let new = catalogue::check(&own.skills, &manifests, replaces_dev).map_err(|error| Refusal::from(&error))?;
        let registered = new.into_iter().map(|(name, version)| v1::SkillVersion { name, version }).collect();
        return Ok(v1::RegisterSkillsResponse { registered, position: 0, tools: shown });
    }
    let command = Command::RegisterSkills { manifests, replaces_dev };
    let reply = state.order(caller, address(caller)?, &command, terms).await?;
    let mut registered = Vec::new();
    for event in &reply.events {
        let event = decode_tagged(&event.event_type, &event.payload);
        if let Ok(Event::SkillRegistered { manifest, .. } | Event::SkillReplaced { manifest, .. }) = event {
            registered.push(v1::SkillVersion { name: manifest.name, version: manifest.version });
        }
    }
    Ok(v1::RegisterSkillsResponse { registered, position: reply.position.0, tools: shown })
}

/// What the tools of these servers would be as skills. Nobody is asked for a caller who may not register.
async fn tools_of(
    state: &GatewayState,
    caller: &Caller,
    servers: Vec<v1::McpServer>,
) -> Result<Vec<Manifest>, Refusal> {
    if servers.len() > SERVERS_MAX {
        return Err(refused_field("mcp_servers", format!("at most {SERVERS_MAX} are taken at once")));
    }
    if !servers.is_empty() {
        state.mesh.admit_read(caller, "RegisterSkills")?;
    }
    let mut manifests = Vec::new();
    for (n, server) in servers.into_iter().enumerate() {
        let at = format!("mcp_servers[{n}]");
        let declaration = convert::mcp::declaration(server, &at)?;
        let asked = state.skills.servers().skills_of(caller.tenant(), &declaration).await;
        manifests.extend(asked.map_err(|failure| unasked(&failure, &at))?);
    }
    Ok(manifests)
}

/// Why a server's tools can be no skills.
fn unasked(failure: &Failure, at: &str) -> Refusal {
    let kind = match failure.class {
        FailureClass::Validation => ErrorKind::FailedPrecondition,
        _ => ErrorKind::Unavailable,
    };
    Refusal::new("SKL-0015", kind, failure.to_string()).at(at, failure.message.clone())
}

async fn deprecate(
    state: &GatewayState,
    caller: &Caller,
    request: v1::DeprecateSkillRequest,
) -> Result<v1::DeprecateSkillResponse, Refusal> {
    let terms = Terms::of("DeprecateSkill", &request, &request.request_id, "")?;
    let caller = &state.mesh.charge(caller)?;
    if state.skills.native().get(&request.name).is_some() {
        return Err(refused_field("name", format!("`{}` is a skill of the node's own", request.name)));
    }
    let name = request.name.clone();
    let command = Command::DeprecateSkill { name: request.name, version: request.version, reason: request.reason };
    state.order(caller, address(caller)?, &command, terms).await?;
    Ok(v1::DeprecateSkillResponse { skill: Some(whole(state, caller, &name).await?) })
}

async fn withdraw(
    state: &GatewayState,
    caller: &Caller,
    request: v1::WithdrawSkillRequest,
) -> Result<v1::WithdrawSkillResponse, Refusal> {
    let terms = Terms::of("WithdrawSkill", &request, &request.request_id, "")?;
    let caller = &state.mesh.charge(caller)?;
    if state.skills.native().get(&request.name).is_some() {
        return Err(refused_field("name", format!("`{}` is a skill of the node's own", request.name)));
    }
    let (name, version, reason) = (request.name, request.version, request.reason);
    let command = Command::WithdrawSkill { name: name.clone(), version: version.clone(), reason: reason.clone() };
    state.order(caller, address(caller)?, &command, terms).await?;
    state.skills.workers().withdraw(caller.tenant(), &name, &version, &reason);
    Ok(v1::WithdrawSkillResponse { skill: Some(whole(state, caller, &name).await?) })
}

fn address(caller: &Caller) -> Result<Address, Refusal> {
    catalogue::address(caller.tenant())
        .map_err(|error| Refusal::new("SKL-0011", ErrorKind::Internal, error.to_string()))
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
    let skill = find(state, caller, &request.name).await?;
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
