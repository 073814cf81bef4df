//! `TelemetryService`: what actors do, for observers.

mod tail;
mod tree;

use std::pin::Pin;

use futures_util::Stream;
use mesh_kernel::envelope::Role;
use mesh_proto::v1::{self, tail_request::Source, telemetry_service_server::TelemetryService};
use tonic::{Request, Response, Status};

use super::{
    GatewayState,
    auth::caller,
    open::kept_open,
    status::{bad_field, status},
};

/// The service.
pub(super) struct Telemetry(pub(super) GatewayState);

#[tonic::async_trait]
impl TelemetryService for Telemetry {
    type TailStream = Pin<Box<dyn Stream<Item = Result<v1::TailResponse, Status>> + Send>>;

    async fn tail(&self, request: Request<v1::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let caller = caller(&request)?;
        let permit = self.0.mesh.admit_stream(&caller, "Tail").map_err(|refusal| status(&refusal))?;
        let stream: Self::TailStream = match request.into_inner().source {
            Some(Source::Journal(asked)) => {
                let tail = tail::journal(&self.0, &caller, asked).map_err(|refusal| status(&refusal))?;
                Box::pin(kept_open(tail, permit))
            }
            Some(Source::Signals(asked)) => Box::pin(kept_open(tail::signals(&self.0, &caller, asked), permit)),
            None => return Err(bad_field("source", "`journal` or `signals` is expected")),
        };
        Ok(Response::new(stream))
    }

    async fn get_actor_tree(
        &self,
        request: Request<v1::GetActorTreeRequest>,
    ) -> Result<Response<v1::GetActorTreeResponse>, Status> {
        let caller = caller(&request)?;
        self.0.mesh.admit_read(&caller, "GetActorTree").map_err(|refusal| status(&refusal))?;
        let asked = request.into_inner();
        let lines = self.0.mesh.directory().tree();
        let sees_all = caller.principal().has(Role::Operator);
        let mut root = tree::build(&lines, caller.tenant(), sees_all, asked.view(), asked.supervisors_only);
        let workers = self.0.skills.workers().seen((!sees_all).then_some(caller.tenant()));
        root.children.extend(tree::workers(&workers, asked.supervisors_only));
        Ok(Response::new(v1::GetActorTreeResponse { root: Some(root), read_time: Some(self.0.clock.now().into()) }))
    }
}
