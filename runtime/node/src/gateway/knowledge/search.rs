//! Pieces that are found, and packages made of them.

use mesh_kernel::{envelope::Refusal, path::Caller};
use mesh_proto::v1;

use super::classification;
use crate::{
    gateway::{GatewayState, Terms, convert, page, status::refused_field},
    knowledge::{Ask, Asked, ceiling_of, told},
};

/// Matches when the request does not say.
const MATCHES_DEFAULT: usize = 10;
/// Matches at most.
const MATCHES_MAX: usize = 100;

pub(super) async fn search(
    state: &GatewayState,
    caller: &Caller,
    request: v1::SearchKnowledgeRequest,
) -> Result<v1::SearchKnowledgeResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    let may = ceiling_of(caller);
    let asked = Asked {
        ceiling: classification(request.ceiling()).unwrap_or(may).min(may),
        collections: request.collections,
        text: request.query,
        sources: request.sources,
        path_prefix: request.path_prefix,
        inside_only: false,
        count: page::size(request.page_size, MATCHES_DEFAULT, MATCHES_MAX)?,
        action: "SearchKnowledge",
        field: "query",
    };
    let found = state.knowledge.find(caller, &asked).await?;
    Ok(v1::SearchKnowledgeResponse { matches: found.into_iter().map(told).collect() })
}

pub(super) async fn build(
    state: &GatewayState,
    caller: &Caller,
    request: v1::BuildContextRequest,
) -> Result<v1::BuildContextResponse, Refusal> {
    let terms = Terms::of("BuildContext", &request, &request.request_id, "")?;
    let caller = &state.mesh.charge(caller)?;
    let ttl = match request.ttl {
        None => None,
        Some(ttl) => Some(
            convert::time::of_message(ttl).ok_or_else(|| refused_field("ttl", "a duration from now on is expected"))?,
        ),
    };
    let ask = Ask {
        ceiling: classification(request.ceiling()),
        intent: request.intent,
        collections: request.collections,
        sources: request.sources,
        token_budget: request.token_budget,
        max_sources: request.max_sources,
        model: request.model,
        ttl,
        inside_only: false,
    };
    let key = terms.key.clone();
    let sending = |command| mesh_kernel::path::Command { key: terms.key, request: terms.request, ..command };
    let (package, position) = state.knowledge.build(caller, ask, key.as_ref(), sending).await?;
    Ok(v1::BuildContextResponse { package: Some(package), position: position.0 })
}

pub(super) async fn package(
    state: &GatewayState,
    caller: &Caller,
    id: &str,
) -> Result<v1::GetContextResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    Ok(v1::GetContextResponse { package: Some(state.knowledge.package(caller, id, "GetContext").await?) })
}
