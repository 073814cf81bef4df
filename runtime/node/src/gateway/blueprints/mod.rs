//! `BlueprintService`: turns a blueprint into a running product.

mod apply;
mod read;
mod source;

use mesh_kernel::{envelope::Refusal, path::Caller};
use mesh_proto::v1::{self, blueprint_service_server::BlueprintService};
use tonic::{Request, Response, Status};

use super::{
    GatewayState, auth::caller, convert, filter, keys::etag, lists::BlueprintRow, page::Binding, status::answer,
};

/// The service.
pub(super) struct Blueprints(pub(super) GatewayState);

#[tonic::async_trait]
impl BlueprintService for Blueprints {
    async fn validate_blueprint(
        &self,
        request: Request<v1::ValidateBlueprintRequest>,
    ) -> Result<Response<v1::ValidateBlueprintResponse>, Status> {
        let caller = caller(&request)?;
        let admitted = self.0.mesh.admit_read(&caller, "ValidateBlueprint");
        answer(admitted.map(|()| source::validate(request.into_inner())))
    }

    async fn plan_blueprint(
        &self,
        request: Request<v1::PlanBlueprintRequest>,
    ) -> Result<Response<v1::PlanBlueprintResponse>, Status> {
        let caller = caller(&request)?;
        answer(apply::plan(&self.0, &caller, request.into_inner()).await)
    }

    async fn apply_blueprint(
        &self,
        request: Request<v1::ApplyBlueprintRequest>,
    ) -> Result<Response<v1::ApplyBlueprintResponse>, Status> {
        let caller = caller(&request)?;
        answer(apply::apply(&self.0, &caller, request.into_inner()).await)
    }

    async fn get_blueprint(
        &self,
        request: Request<v1::GetBlueprintRequest>,
    ) -> Result<Response<v1::GetBlueprintResponse>, Status> {
        let caller = caller(&request)?;
        let blueprint = read::blueprint(&self.0, &caller, &request.get_ref().name).await;
        answer(blueprint.map(|blueprint| v1::GetBlueprintResponse { blueprint: Some(blueprint) }))
    }

    async fn list_blueprints(
        &self,
        request: Request<v1::ListBlueprintsRequest>,
    ) -> Result<Response<v1::ListBlueprintsResponse>, Status> {
        let caller = caller(&request)?;
        answer(self.list(&caller, request.into_inner()).await)
    }
}

impl Blueprints {
    async fn list(
        &self,
        caller: &Caller,
        request: v1::ListBlueprintsRequest,
    ) -> Result<v1::ListBlueprintsResponse, Refusal> {
        self.0.mesh.admit_read(caller, "ListBlueprints")?;
        let name = filter::name(&request.filter)?;
        let binding = Binding::new(caller.scope(), "blueprints", &request.filter);
        let page = binding.request(request.page_size, &request.page_token)?;
        self.0.reach(request.min_position).await?;
        let page = self.0.lists.blueprints(caller.scope(), name, page).await?;
        Ok(v1::ListBlueprintsResponse {
            blueprints: page.rows.into_iter().map(of_row).collect(),
            next_page_token: binding.seal(page.next.as_deref()),
            position: page.position.0,
        })
    }
}

fn of_row(row: BlueprintRow) -> v1::Blueprint {
    v1::Blueprint {
        name: row.name,
        version: row.version,
        digest: row.digest,
        title: row.title,
        apply_time: Some(row.applied_at.into()),
        applied_by: row.applied_by,
        run_id: row.run_id.unwrap_or_default(),
        source: None,
        product: row.product.map(convert::product::of_row),
        etag: etag(row.entity_version),
    }
}
