//! `AgentService`: publishes agents, gives them tasks, and steers these.

use std::{collections::BTreeMap, sync::Arc};

use mesh_agents::{
    catalogue::{self, Command, Event, Version, Versions},
    definition::{self, Agent},
    task,
};
use mesh_kernel::{
    entity::decode_tagged,
    envelope::{Address, CorrelationId, ErrorKind, Refusal},
    path::Caller,
};
use mesh_proto::v1::{self, agent_service_server::AgentService, steer_task_request::Action};
use mesh_workflows::{
    definition::{Known, to_json, validate},
    invocation::task as task_definition,
};
use serde_json::{Value, json};
use tonic::{Request, Response, Status};

use super::{
    GatewayState, Terms,
    auth::caller,
    budgets, convert, keys, not_found,
    page::Binding,
    status::{answer, refused_field},
    tasks,
    workflows::{METHOD, Submission, Submittable, Submitted, faulty, input, project, take},
};

/// The service.
pub(super) struct AgentsService(pub(super) GatewayState);

/// Longest goal. **Units**: bytes.
const GOAL_BYTES_MAX: usize = 64 * 1024;

/// How the agents' definitions are refused.
const MISTAKES: &str = "AGT-0015";

#[tonic::async_trait]
impl AgentService for AgentsService {
    async fn publish_agent(
        &self,
        request: Request<v1::PublishAgentRequest>,
    ) -> Result<Response<v1::PublishAgentResponse>, Status> {
        let caller = caller(&request)?;
        answer(publish(&self.0, &caller, request.into_inner()).await)
    }

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let caller = caller(&request)?;
        answer(list(&self.0, &caller, &request.into_inner()).await)
    }

    async fn get_agent(&self, request: Request<v1::GetAgentRequest>) -> Result<Response<v1::GetAgentResponse>, Status> {
        let caller = caller(&request)?;
        answer(get(&self.0, &caller, request.get_ref()).await)
    }

    async fn activate_agent(
        &self,
        request: Request<v1::ActivateAgentRequest>,
    ) -> Result<Response<v1::ActivateAgentResponse>, Status> {
        let caller = caller(&request)?;
        answer(activate(&self.0, &caller, request.into_inner()).await)
    }

    async fn run_agent(&self, request: Request<v1::RunAgentRequest>) -> Result<Response<v1::RunAgentResponse>, Status> {
        let caller = caller(&request)?;
        answer(run(&self.0, &caller, request.into_inner()).await)
    }

    async fn get_task(&self, request: Request<v1::GetTaskRequest>) -> Result<Response<v1::GetTaskResponse>, Status> {
        let caller = caller(&request)?;
        answer(get_task(&self.0, &caller, &request.get_ref().task_id).await)
    }

    async fn steer_task(
        &self,
        request: Request<v1::SteerTaskRequest>,
    ) -> Result<Response<v1::SteerTaskResponse>, Status> {
        let caller = caller(&request)?;
        answer(steer(&self.0, &caller, request.into_inner()).await)
    }

    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        let caller = caller(&request)?;
        answer(tasks::list(&self.0, &caller, request.into_inner()).await)
    }

    async fn list_budgets(
        &self,
        request: Request<v1::ListBudgetsRequest>,
    ) -> Result<Response<v1::ListBudgetsResponse>, Status> {
        let caller = caller(&request)?;
        answer(budgets::list(&self.0, &caller, request.get_ref()).await)
    }

    async fn set_budget(
        &self,
        request: Request<v1::SetBudgetRequest>,
    ) -> Result<Response<v1::SetBudgetResponse>, Status> {
        let caller = caller(&request)?;
        answer(budgets::set(&self.0, &caller, request.into_inner()).await)
    }
}

fn address(caller: &Caller) -> Result<Address, Refusal> {
    catalogue::address(caller.tenant())
        .map_err(|error| Refusal::new("AGT-0011", ErrorKind::Internal, error.to_string()))
}

async fn publish(
    state: &GatewayState,
    caller: &Caller,
    request: v1::PublishAgentRequest,
) -> Result<v1::PublishAgentResponse, Refusal> {
    let terms = Terms::of("PublishAgent", &request, &request.request_id, "")?;
    let caller = &state.mesh.charge(caller)?;
    let file = if request.file.is_empty() { "agent.yaml" } else { &request.file };
    let agent = definition::parse(&request.source, Some(file))
        .map_err(|mistakes| convert::mistake::refused(MISTAKES, "source", "the agent", &mistakes))?;
    state.mesh.admit_read(caller, "GetAgent")?;
    let unknown = |refusal: Refusal| match refusal.kind {
        ErrorKind::NotFound | ErrorKind::FailedPrecondition => refused_field("source", refusal.message),
        _ => refusal,
    };
    state.agents.bound(caller, &agent).await.map_err(unknown)?;
    state.agents.helpers(caller, &agent).await.map_err(unknown)?;
    let (name, digest) = (agent.name.clone(), agent.digest());
    if request.validate_only {
        state.mesh.admit_read(caller, "PublishAgent")?;
        return Ok(v1::PublishAgentResponse { name, digest: digest.to_string(), ..Default::default() });
    }
    let command = Command::PublishAgent { agent: Box::new(agent), source: request.source };
    let reply = state.order(caller, address(caller)?, &command, terms).await?;
    let said = reply.events.iter().find_map(|event| match decode_tagged(&event.event_type, &event.payload) {
        Ok(Event::AgentPublished { version, .. } | Event::AgentActivated { version, .. }) => Some(version),
        Err(_) => None,
    });
    let version = match said {
        Some(version) => version,
        None => state.agents.find(caller, &name, 0).await?.0,
    };
    Ok(v1::PublishAgentResponse { name, version, digest: digest.to_string(), position: reply.position.0 })
}

async fn list(
    state: &GatewayState,
    caller: &Caller,
    request: &v1::ListAgentsRequest,
) -> Result<v1::ListAgentsResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    state.mesh.admit_read(caller, "ListAgents")?;
    let binding = Binding::new(caller.scope(), "agents", "");
    let page = binding.request(request.page_size, &request.page_token)?;
    let after = page.after.unwrap_or_default();
    let all = state.agents.of(caller).await?;
    // A tenant's own goes before a shipped one of the same name.
    let shipped = state.agents.shipped().iter().map(|(name, agent)| (name.as_str(), described(agent)));
    let own = all.agents.iter().filter_map(|(name, versions)| Some((name.as_str(), brief(versions, 0)?)));
    let listed: BTreeMap<&str, v1::Agent> = shipped.chain(own).collect();
    let mut rest = listed.into_iter().filter(|(name, _)| *name > after.as_str()).map(|(_, agent)| agent);
    let agents: Vec<v1::Agent> = rest.by_ref().take(page.size).collect();
    let next = rest.next().and(agents.last()).map(|agent| agent.name.as_str());
    Ok(v1::ListAgentsResponse { next_page_token: binding.seal(next), agents })
}

fn brief(versions: &Versions, version: u32) -> Option<v1::Agent> {
    let (version, Version { agent, .. }) = versions.get(version)?;
    Some(v1::Agent { active_version: versions.active, version, ..described(agent) })
}

fn described(agent: &Agent) -> v1::Agent {
    v1::Agent {
        name: agent.name.clone(),
        title: agent.title.clone(),
        description: agent.description.clone(),
        cluster: agent.cluster.clone(),
        model_class: agent.model.class.clone(),
        skills: agent.skills.iter().map(|binding| binding.skill.clone()).collect(),
        ..Default::default()
    }
}

async fn get(
    state: &GatewayState,
    caller: &Caller,
    request: &v1::GetAgentRequest,
) -> Result<v1::GetAgentResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    Ok(v1::GetAgentResponse { agent: Some(whole(state, caller, &request.name, request.version).await?) })
}

async fn whole(state: &GatewayState, caller: &Caller, name: &str, version: u32) -> Result<v1::Agent, Refusal> {
    let (_, agent) = state.agents.find(caller, name, version).await?;
    let all = state.agents.of(caller).await?;
    let Some(versions) = all.agents.get(name) else {
        // A shipped one: no version of it was published.
        let definition = convert::json::to_struct(&agent.to_json());
        return Ok(v1::Agent { definition, ..described(&agent) });
    };
    let brief = brief(versions, version).ok_or_else(|| not_found("agent", name))?;
    let (_, shown) = versions.get(version).ok_or_else(|| not_found("agent", name))?;
    let told = (1..).zip(&versions.versions).map(|(number, version)| v1::AgentVersion {
        version: number,
        digest: version.digest.to_string(),
        publish_time: Some(version.published_at.into()),
        published_by: version.by.clone(),
    });
    Ok(v1::Agent {
        versions: told.collect(),
        definition: convert::json::to_struct(&shown.agent.to_json()),
        source: shown.source.clone(),
        ..brief
    })
}

async fn activate(
    state: &GatewayState,
    caller: &Caller,
    request: v1::ActivateAgentRequest,
) -> Result<v1::ActivateAgentResponse, Refusal> {
    let terms = Terms::of("ActivateAgent", &request, &request.request_id, "")?;
    let caller = &state.mesh.charge(caller)?;
    let command = Command::ActivateAgent { name: request.name.clone(), version: request.version };
    state.order(caller, address(caller)?, &command, terms).await?;
    Ok(v1::ActivateAgentResponse { agent: Some(whole(state, caller, &request.name, 0).await?) })
}

/// Gives an agent one task, as a run of one step.
///
/// # Errors
/// `NotFound` when there is no such agent, `InvalidArgument` when the input does not fit it, `AlreadyExists` when the
/// request id was used with another body.
async fn run(
    state: &GatewayState,
    caller: &Caller,
    request: v1::RunAgentRequest,
) -> Result<v1::RunAgentResponse, Refusal> {
    let terms = Terms::of(METHOD, &request, &request.request_id, "")?;
    if request.timeout.is_some_and(|timeout| timeout.seconds < 0 || timeout.nanos < 0) {
        return Err(refused_field("timeout", "must not be negative; without one the agent's own limits hold"));
    }
    if request.goal.len() > GOAL_BYTES_MAX {
        return Err(refused_field("goal", format!("at most {GOAL_BYTES_MAX} bytes are taken")));
    }
    let request_id = keys::request_id(&request.request_id)?.map(str::to_owned);
    let project = project(&request.project_id)?;
    let given = input(request.input.as_ref())?;
    let body = json!({
        "agent": request.name, "version": request.version, "goal": request.goal, "input": given,
        "timeout": request.timeout.map(|timeout| timeout.to_string()), "project": request.project_id,
        "labels": request.labels,
    });
    let caller = &state.mesh.charge(caller)?;
    let (_, agent) = state.agents.find(caller, &request.name, request.version).await?;
    fits(&agent, &given)?;
    let definition = task_definition(&request.name, request.version, &given, request.timeout);
    let checked = validate(&definition, &Known::default()).map_err(|faults| faulty(&faults))?;
    let workflow = (&to_json(&checked.message)).into();
    let submission = Submission {
        submittable: Submittable { version: 0, digest: checked.digest, workflow },
        name: checked.message.name,
        input: json!({ "goal": request.goal, "input": given }),
        body,
        request_id,
        project,
        labels: request.labels,
        validate_only: request.validate_only,
    };
    let Submitted { run, repeated, position } = take(state, caller, terms, submission).await?;
    Ok(v1::RunAgentResponse { run, repeated, position })
}

/// Whether an agent takes this, told where the caller is; the task looks again.
fn fits(agent: &Arc<Agent>, given: &Value) -> Result<(), Refusal> {
    match agent.input.as_ref().and_then(|schema| definition::mistakes(schema, given)) {
        None => Ok(()),
        Some(mistakes) => Err(refused_field("input", format!("agent `{}` does not take it: {mistakes}", agent.name))),
    }
}

fn task_address(caller: &Caller, task: &str) -> Result<Address, Refusal> {
    super::address(caller.tenant(), task::KIND, "task", task)
}

async fn get_task(state: &GatewayState, caller: &Caller, task: &str) -> Result<v1::GetTaskResponse, Refusal> {
    let viewed = state.mesh.query(caller, &task_address(caller, task)?, "GetTask", "").await?;
    Ok(v1::GetTaskResponse { task: Some(convert::task::message(&viewed.view)?) })
}

async fn steer(
    state: &GatewayState,
    caller: &Caller,
    request: v1::SteerTaskRequest,
) -> Result<v1::SteerTaskResponse, Refusal> {
    let terms = Terms::of("SteerTask", &request, &request.request_id, "")?;
    let address = task_address(caller, &request.task_id)?;
    let action = request.action.ok_or_else(|| {
        refused_field("action", "one of `pause`, `resume`, `redirect`, `take_over`, `cancel` is expected")
    })?;
    let command = match action {
        Action::Pause(pause) => task::Command::PauseTask { reason: pause.reason },
        Action::Resume(resume) => task::Command::ResumeTask { tokens: resume.tokens, cost: resume.cost_micros },
        Action::Redirect(redirect) => task::Command::RedirectTask { note: redirect.note },
        Action::TakeOver(done) => {
            let output = done.output.unwrap_or_default();
            task::Command::TakeOverTask { output: convert::json::from_value(&output, "take_over.output")? }
        }
        Action::Cancel(cancel) => task::Command::CancelTask { reason: cancel.reason },
    };
    let known = state.mesh.query(caller, &address, "GetTask", "").await?;
    let run = known.view.get("run").and_then(Value::as_str);
    let terms = Terms { correlation: run.and_then(|run| CorrelationId::parse(run).ok()), ..terms };
    let reply = state.tell(caller, address, &command, terms).await?;
    Ok(v1::SteerTaskResponse { task: Some(convert::task::message(&reply.view)?), position: reply.position.0 })
}
