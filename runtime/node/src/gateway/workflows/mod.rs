//! `WorkflowService`: publishes definitions, and submits, watches and steers their runs.

mod content;
mod definitions;
mod history;
mod logs;
mod recent;
mod runs;
mod steer;
mod submit;
mod watch;

use std::pin::Pin;

use futures_util::Stream;
use mesh_kernel::{
    envelope::{Address, ErrorKind, Refusal},
    path::Caller,
};
use mesh_proto::v1::{self, workflow_service_server::WorkflowService};
use mesh_workflows::run;
use tonic::{Request, Response, Status};

use super::{GatewayState, address, auth::caller, status::answer};

pub(super) use content::refers;
pub(super) use definitions::faulty;
pub use recent::Recent;
pub(super) use recent::Submittable;
pub(super) use submit::{METHOD, Submission, Submitted, input, project, take};

/// The service.
pub(super) struct Workflows(pub(super) GatewayState);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl WorkflowService for Workflows {
    type WatchRunsStream = Answers<v1::WatchRunsResponse>;
    type WatchRunLogsStream = Answers<v1::WatchRunLogsResponse>;
    type ReadContentStream = Answers<v1::ReadContentResponse>;

    async fn publish_definition(
        &self,
        request: Request<v1::PublishDefinitionRequest>,
    ) -> Result<Response<v1::PublishDefinitionResponse>, Status> {
        let caller = caller(&request)?;
        answer(definitions::publish(&self.0, &caller, request.into_inner()).await)
    }

    async fn validate_definition(
        &self,
        request: Request<v1::ValidateDefinitionRequest>,
    ) -> Result<Response<v1::ValidateDefinitionResponse>, Status> {
        let caller = caller(&request)?;
        answer(definitions::validate(&self.0, &caller, request.into_inner()).await)
    }

    async fn list_definitions(
        &self,
        request: Request<v1::ListDefinitionsRequest>,
    ) -> Result<Response<v1::ListDefinitionsResponse>, Status> {
        let caller = caller(&request)?;
        answer(definitions::list(&self.0, &caller, request.into_inner()).await)
    }

    async fn get_definition(
        &self,
        request: Request<v1::GetDefinitionRequest>,
    ) -> Result<Response<v1::GetDefinitionResponse>, Status> {
        let caller = caller(&request)?;
        answer(definitions::get(&self.0, &caller, request.into_inner()).await)
    }

    async fn submit_run(
        &self,
        request: Request<v1::SubmitRunRequest>,
    ) -> Result<Response<v1::SubmitRunResponse>, Status> {
        let caller = caller(&request)?;
        answer(submit::submit(&self.0, &caller, request.into_inner()).await)
    }

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Result<Response<v1::GetRunResponse>, Status> {
        let caller = caller(&request)?;
        answer(runs::get(&self.0, &caller, request.into_inner()).await)
    }

    async fn list_runs(&self, request: Request<v1::ListRunsRequest>) -> Result<Response<v1::ListRunsResponse>, Status> {
        let caller = caller(&request)?;
        answer(runs::list(&self.0, &caller, request.into_inner()).await)
    }

    async fn signal_run(
        &self,
        request: Request<v1::SignalRunRequest>,
    ) -> Result<Response<v1::SignalRunResponse>, Status> {
        let caller = caller(&request)?;
        answer(steer::signal(&self.0, &caller, request.into_inner()).await)
    }

    async fn pause_run(&self, request: Request<v1::PauseRunRequest>) -> Result<Response<v1::PauseRunResponse>, Status> {
        let caller = caller(&request)?;
        answer(steer::pause(&self.0, &caller, request.into_inner()).await)
    }

    async fn resume_run(
        &self,
        request: Request<v1::ResumeRunRequest>,
    ) -> Result<Response<v1::ResumeRunResponse>, Status> {
        let caller = caller(&request)?;
        answer(steer::resume(&self.0, &caller, request.into_inner()).await)
    }

    async fn cancel_run(
        &self,
        request: Request<v1::CancelRunRequest>,
    ) -> Result<Response<v1::CancelRunResponse>, Status> {
        let caller = caller(&request)?;
        answer(steer::cancel(&self.0, &caller, request.into_inner()).await)
    }

    async fn retry_run(&self, request: Request<v1::RetryRunRequest>) -> Result<Response<v1::RetryRunResponse>, Status> {
        let caller = caller(&request)?;
        answer(steer::retry(&self.0, &caller, request.into_inner()).await)
    }

    async fn get_run_history(
        &self,
        request: Request<v1::GetRunHistoryRequest>,
    ) -> Result<Response<v1::GetRunHistoryResponse>, Status> {
        let caller = caller(&request)?;
        answer(history::read(&self.0, &caller, request.into_inner()).await)
    }

    async fn get_run_logs(
        &self,
        request: Request<v1::GetRunLogsRequest>,
    ) -> Result<Response<v1::GetRunLogsResponse>, Status> {
        let caller = caller(&request)?;
        answer(logs::read(&self.0, &caller, request.into_inner()).await)
    }

    async fn watch_runs(
        &self,
        request: Request<v1::WatchRunsRequest>,
    ) -> Result<Response<Self::WatchRunsStream>, Status> {
        let caller = caller(&request)?;
        answer(watch::watch(&self.0, &caller, request.into_inner()).await)
    }

    async fn watch_run_logs(
        &self,
        request: Request<v1::WatchRunLogsRequest>,
    ) -> Result<Response<Self::WatchRunLogsStream>, Status> {
        let caller = caller(&request)?;
        answer(logs::watch(&self.0, &caller, request.into_inner()).await)
    }

    async fn read_content(
        &self,
        request: Request<v1::ReadContentRequest>,
    ) -> Result<Response<Self::ReadContentStream>, Status> {
        let caller = caller(&request)?;
        answer(content::read(&self.0, &caller, request.into_inner()).await)
    }
}

/// What is told of a run whose events are gone.
fn archived(run: &str) -> Refusal {
    let shown: String = run.chars().take(80).collect();
    Refusal::new(
        "GTW-0041",
        ErrorKind::FailedPrecondition,
        format!("the run `{shown}` is archived: it can be read, and nothing of it goes on; submit another one"),
    )
}

fn is_archived(view: &serde_json::Value) -> bool {
    view.get("archivedAt").is_some()
}

/// The address of the caller's run.
fn run_address(caller: &Caller, run: &str) -> Result<Address, Refusal> {
    address(caller.tenant(), run::KIND, "run", run)
}
