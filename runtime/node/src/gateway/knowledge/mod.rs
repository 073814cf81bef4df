//! `KnowledgeService`: documents in, pieces of them out.

mod collections;
mod ingest;
mod search;

use mesh_kernel::envelope::Classification;
use mesh_proto::v1::{self, knowledge_service_server::KnowledgeService};
use tonic::{Request, Response, Status};

use super::{GatewayState, auth::caller, status::answer};

/// The service.
pub(super) struct Knowing(pub(super) GatewayState);

#[tonic::async_trait]
impl KnowledgeService for Knowing {
    async fn plan_ingest(
        &self,
        request: Request<v1::PlanIngestRequest>,
    ) -> Result<Response<v1::PlanIngestResponse>, Status> {
        let caller = caller(&request)?;
        answer(ingest::plan(&self.0, &caller, &request.into_inner()).await)
    }

    async fn ingest_documents(
        &self,
        request: Request<v1::IngestDocumentsRequest>,
    ) -> Result<Response<v1::IngestDocumentsResponse>, Status> {
        let caller = caller(&request)?;
        answer(ingest::take(&self.0, &caller, request.into_inner()).await)
    }

    async fn forget_documents(
        &self,
        request: Request<v1::ForgetDocumentsRequest>,
    ) -> Result<Response<v1::ForgetDocumentsResponse>, Status> {
        let caller = caller(&request)?;
        answer(ingest::forget(&self.0, &caller, request.into_inner()).await)
    }

    async fn list_collections(
        &self,
        request: Request<v1::ListCollectionsRequest>,
    ) -> Result<Response<v1::ListCollectionsResponse>, Status> {
        let caller = caller(&request)?;
        answer(collections::list(&self.0, &caller, request.get_ref()).await)
    }

    async fn get_collection(
        &self,
        request: Request<v1::GetCollectionRequest>,
    ) -> Result<Response<v1::GetCollectionResponse>, Status> {
        let caller = caller(&request)?;
        answer(collections::get(&self.0, &caller, &request.get_ref().collection).await)
    }

    async fn list_documents(
        &self,
        request: Request<v1::ListDocumentsRequest>,
    ) -> Result<Response<v1::ListDocumentsResponse>, Status> {
        let caller = caller(&request)?;
        answer(collections::documents(&self.0, &caller, request.get_ref()).await)
    }

    async fn search_knowledge(
        &self,
        request: Request<v1::SearchKnowledgeRequest>,
    ) -> Result<Response<v1::SearchKnowledgeResponse>, Status> {
        let caller = caller(&request)?;
        answer(search::search(&self.0, &caller, request.into_inner()).await)
    }

    async fn build_context(
        &self,
        request: Request<v1::BuildContextRequest>,
    ) -> Result<Response<v1::BuildContextResponse>, Status> {
        let caller = caller(&request)?;
        answer(search::build(&self.0, &caller, request.into_inner()).await)
    }

    async fn get_context(
        &self,
        request: Request<v1::GetContextRequest>,
    ) -> Result<Response<v1::GetContextResponse>, Status> {
        let caller = caller(&request)?;
        answer(search::package(&self.0, &caller, &request.get_ref().context_id).await)
    }
}

fn classification(said: v1::Classification) -> Option<Classification> {
    match said {
        v1::Classification::Unspecified => None,
        v1::Classification::Public => Some(Classification::Public),
        v1::Classification::Internal => Some(Classification::Internal),
        v1::Classification::Confidential => Some(Classification::Confidential),
        v1::Classification::Restricted => Some(Classification::Restricted),
    }
}
