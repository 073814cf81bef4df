//! A call of a tool: a run of the mesh, waited for as long as a client waits.

use std::time::Duration;

use futures_util::StreamExt as _;
use mesh_kernel::path::Caller;
use mesh_proto::v1::{
    self, skill_service_server::SkillService as _, watch_runs_request::Target as Watched, watch_runs_response::Item,
    workflow_service_server::WorkflowService as _,
};
use mesh_workflows::{
    form::{struct_to_json, to_struct},
    invocation::OUTPUT,
};
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResult, ContentBlock, ProgressNotificationParam},
    service::RequestContext,
};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};

use super::list::{Target, from, target};
use crate::gateway::{GatewayState, skills::Skills, workflows::Workflows};

/// How long a call waits for the end of its run. Clients give up after a minute, and hosts of theirs earlier.
const WAIT_MAX: Duration = Duration::from_secs(45);

/// How often, and how many times, a run is looked at that has ended a moment ago.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS_MAX: u32 = 200;

/// Where in `_meta` a client makes its call repeatable.
const REQUEST_ID: &str = "agent-mesh/requestId";

/// Where in `_meta` a client says how long it waits. **Units**: milliseconds; [`WAIT_MAX`] at most.
const WAIT: &str = "agent-mesh/waitMs";

/// What a call came to.
enum Came {
    /// What the tool gives.
    Given(Value),
    /// It failed, or was refused.
    Failed(String, Value),
}

/// Calls the tool.
///
/// # Errors
/// When there is no such tool. What goes wrong in it is a result, so that whoever called it can read it.
pub(super) async fn call(
    state: &GatewayState,
    caller: &Caller,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let unknown = || ErrorData::invalid_params(format!("there is no tool `{}`", request.name), None);
    let arguments = Value::Object(request.arguments.unwrap_or_default());
    let request_id = context.meta.get(REQUEST_ID).and_then(Value::as_str).unwrap_or_default().to_owned();
    let calls = Calls { state, caller, context: &context };
    let came = match target(&request.name) {
        Target::Skill(name) => calls.skill(name, &arguments, request_id).await,
        Target::Workflow(name) => calls.workflow(name, &arguments, request_id).await,
        Target::Run => calls.run(arguments.get("runId").and_then(Value::as_str).unwrap_or_default()).await,
    };
    match came {
        Ok(came) => Ok(result(came)),
        // A run that is not there is an answer; a skill or a workflow is no tool then.
        Err(status) if status.code() == Code::NotFound && !matches!(target(&request.name), Target::Run) => {
            Err(unknown())
        }
        Err(status) => Ok(result(Came::Failed(status.message().to_owned(), Value::Null))),
    }
}

fn result(came: Came) -> CallToolResult {
    match came {
        Came::Given(value) => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(value.to_string())]);
            result.structured_content = value.is_object().then_some(value);
            result
        }
        Came::Failed(text, details) => {
            let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
            result.structured_content = details.is_object().then_some(details);
            result
        }
    }
}

struct Calls<'a> {
    state: &'a GatewayState,
    caller: &'a Caller,
    context: &'a RequestContext<RoleServer>,
}

impl Calls<'_> {
    async fn skill(&self, name: String, arguments: &Value, request_id: String) -> Result<Came, Status> {
        let request = v1::InvokeSkillRequest {
            name,
            input: to_struct(arguments),
            request_id,
            // Whoever calls a tool decides about calling it again.
            retry: Some(v1::Retry { max_attempts: 1, ..Default::default() }),
            ..Default::default()
        };
        let service = Skills(self.state.clone());
        let run = service.invoke_skill(from(self.caller, request)).await?.into_inner().run.unwrap_or_default();
        let Some(ended) = self.ended(&run.run_id, true).await? else {
            let message = format!("it is not done yet; the run `{}` goes on: ask `run__get`", run.run_id);
            return Ok(Came::Failed(message, Value::Null));
        };
        if let Some(failure) = failure(&ended) {
            // Nothing structured: that is held to the schema of what the skill gives.
            return Ok(Came::Failed(failure, Value::Null));
        }
        let outputs = ended.outputs.as_ref().map(struct_to_json).unwrap_or_default();
        Ok(Came::Given(outputs.get(OUTPUT).cloned().unwrap_or_default()))
    }

    async fn workflow(&self, definition: String, arguments: &Value, request_id: String) -> Result<Came, Status> {
        let input = to_struct(arguments);
        let request = v1::SubmitRunRequest { definition, input, request_id, ..Default::default() };
        let service = Workflows(self.state.clone());
        let run = service.submit_run(from(self.caller, request)).await?.into_inner().run.unwrap_or_default();
        match self.ended(&run.run_id, false).await? {
            Some(ended) => Ok(failure(&ended)
                .map_or_else(|| Came::Given(told(&ended)), |failure| Came::Failed(failure, told(&ended)))),
            None => self.run(&run.run_id).await,
        }
    }

    async fn run(&self, run_id: &str) -> Result<Came, Status> {
        Ok(Came::Given(told(&self.read(run_id).await?)))
    }

    async fn read(&self, run_id: &str) -> Result<v1::Run, Status> {
        let service = Workflows(self.state.clone());
        let request = v1::GetRunRequest { run_id: run_id.to_owned() };
        Ok(service.get_run(from(self.caller, request)).await?.into_inner().run.unwrap_or_default())
    }

    /// The run when it has ended; none when it goes on. One that nobody waits for any more is cancelled when it was
    /// begun for this call alone.
    async fn ended(&self, run_id: &str, is_ours: bool) -> Result<Option<v1::Run>, Status> {
        let service = Workflows(self.state.clone());
        let watched = v1::WatchRunsRequest { target: Some(Watched::RunId(run_id.to_owned())), ..Default::default() };
        let mut events = service.watch_runs(from(self.caller, watched)).await?.into_inner();
        let watching = async {
            let mut version = 0;
            while let Some(answer) = events.next().await {
                if let Some(Item::Event(event)) = answer?.item {
                    version = event.version;
                    self.progress(&event).await;
                }
            }
            Ok::<_, Status>(version)
        };
        let version = tokio::select! {
            watched = tokio::time::timeout(self.wait(), watching) => match watched {
                Ok(watched) => watched?,
                Err(_) => return Ok(None),
            },
            () = self.context.ct.cancelled() => {
                if is_ours {
                    let reason = "the client has cancelled its call".to_owned();
                    let request = v1::CancelRunRequest { run_id: run_id.to_owned(), reason, ..Default::default() };
                    let _ended = service.cancel_run(from(self.caller, request)).await;
                }
                return Ok(None);
            }
        };
        // The state moves after the record: a follower may have seen the end a moment earlier.
        for _ in 0..LOOKS_MAX {
            let run = self.read(run_id).await?;
            if run.version >= version {
                return Ok(Some(run));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(None)
    }

    fn wait(&self) -> Duration {
        let said = self.context.meta.get(WAIT).and_then(Value::as_u64).map(Duration::from_millis);
        said.unwrap_or(WAIT_MAX).min(WAIT_MAX)
    }

    /// Tells a client that has asked for it how far the run has come.
    async fn progress(&self, event: &v1::RunEvent) {
        let Some(token) = self.context.meta.get_progress_token() else { return };
        let what = [event.event_type.as_str(), event.step_id.as_str()].join(" ");
        let mut said =
            ProgressNotificationParam::new(token, f64::from(u32::try_from(event.version).unwrap_or(u32::MAX)));
        said.message = Some(what.trim().to_owned());
        let _gone = self.context.peer.notify_progress(said).await;
    }
}

fn failure(run: &v1::Run) -> Option<String> {
    let failure = run.failure.as_ref()?;
    Some(format!("{} ({}, {})", failure.message, failure.code, failure.failure_class))
}

/// What is told of a run.
fn told(run: &v1::Run) -> Value {
    let state = run.state().as_str_name().trim_start_matches("RUN_STATE_").to_lowercase();
    let mut told = Map::from_iter([("runId".to_owned(), json!(run.run_id)), ("state".to_owned(), json!(state))]);
    if let Some(outputs) = &run.outputs {
        told.insert("outputs".to_owned(), struct_to_json(outputs));
    }
    if let Some(failure) = &run.failure {
        let said = json!({
            "step": failure.step_id, "class": failure.failure_class, "code": failure.code, "message": failure.message,
        });
        told.insert("failure".to_owned(), said);
    }
    Value::Object(told)
}
