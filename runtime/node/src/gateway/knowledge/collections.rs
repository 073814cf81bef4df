//! What there is.

use mesh_kernel::{envelope::Refusal, path::Caller};
use mesh_platforms::knowledge::machines::collection::{Known, Status};
use mesh_proto::v1;

use super::ingest;
use crate::{
    gateway::{GatewayState, not_found, page::Binding},
    knowledge::{SourceFigures, said},
};

pub(super) async fn list(
    state: &GatewayState,
    caller: &Caller,
    request: &v1::ListCollectionsRequest,
) -> Result<v1::ListCollectionsResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    state.mesh.admit_read(caller, "ListCollections")?;
    let binding = Binding::new(caller.scope(), "collections", "");
    let page = binding.request(request.page_size, &request.page_token)?;
    let page = state.lists.collections(caller.scope(), page).await?;
    let next_page_token = binding.seal(page.next.as_deref());
    Ok(v1::ListCollectionsResponse { collections: page.rows, next_page_token })
}

pub(super) async fn get(
    state: &GatewayState,
    caller: &Caller,
    collection: &str,
) -> Result<v1::GetCollectionResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    let figures = state.knowledge.figures(caller, collection, "GetCollection").await?;
    let chunks = figures.sources.iter().map(|source| source.chunks).sum();
    let collection = v1::Collection {
        name: figures.name,
        sources: figures.sources.into_iter().map(source).collect(),
        pending: figures.pending,
        problem: figures.problem,
        model: Some(state.knowledge.told_model()),
        chunks,
    };
    Ok(v1::GetCollectionResponse { collection: Some(collection) })
}

fn source(figures: SourceFigures) -> v1::SourceFigures {
    let SourceFigures { origin, documents, bytes, chunks, pending, skipped, changed_at } = figures;
    v1::SourceFigures {
        source: Some(v1::KnowledgeSource {
            name: origin.name,
            uri: origin.uri,
            kind: origin.kind,
            classification: said(origin.classification).into(),
            outside: origin.outside,
        }),
        documents,
        bytes,
        chunks,
        pending,
        skipped,
        changed_at: Some(changed_at.into()),
    }
}

pub(super) async fn documents(
    state: &GatewayState,
    caller: &Caller,
    request: &v1::ListDocumentsRequest,
) -> Result<v1::ListDocumentsResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    let v1::ListDocumentsRequest { collection, source, skipped_only, .. } = request;
    let filter = format!("{collection}\n{source}\n{skipped_only}");
    let binding = Binding::new(caller.scope(), "documents", &filter);
    let page = binding.request(request.page_size, &request.page_token)?;
    let known = ingest::source(state, caller, collection, source, "ListDocuments").await?;
    let known = known.ok_or_else(|| not_found("source", source))?;
    let after = page.after.unwrap_or_default();
    let is_asked = |known: &Known| !skipped_only || matches!(known.status, Status::Skipped { .. });
    let mut rest = known.documents.into_iter().filter(|(path, known)| *path > after && is_asked(known));
    let documents: Vec<_> = rest.by_ref().take(page.size).map(document).collect();
    let next = rest.next().and(documents.last()).map(|document| document.path.as_str());
    Ok(v1::ListDocumentsResponse { next_page_token: binding.seal(next), documents })
}

fn document((path, known): (String, Known)) -> v1::Document {
    let (pending, chunks, skipped) = match known.status {
        Status::Pending => (true, 0, String::new()),
        Status::Indexed { chunks } => (false, chunks, String::new()),
        Status::Skipped { reason } => (false, 0, reason),
    };
    let digest = known.content.to_string();
    v1::Document { path, digest, bytes: known.bytes, revision: known.revision, pending, chunks, skipped }
}
