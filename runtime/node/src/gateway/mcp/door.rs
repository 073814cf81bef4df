//! Who asks: the key, before anything is read.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use mesh_kernel::path::Mesh;
use tonic::metadata::MetadataMap;

use crate::gateway::auth::credential;

/// Puts the caller that the key proves into the request, or answers that a key is needed. A session of a browser is
/// none: a page of another site could use it.
pub(super) async fn authenticate(State(mesh): State<Mesh>, mut request: Request, next: Next) -> Response {
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let caller = credential(&MetadataMap::from_headers(request.headers().clone()))
        .and_then(|credential| mesh.accept(&credential, traceparent));
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => {
            let mut response = (StatusCode::UNAUTHORIZED, format!("{refusal}\n")).into_response();
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
    }
}
