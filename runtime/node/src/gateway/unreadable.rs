//! What is no request: bytes that are not its message, a frame that is cut, no message at all.
//!
//! The library answers those with `INTERNAL` before any method of ours is asked, and so would say that the
//! node has a bug. Whoever sent them can mend them.

use axum::response::{IntoResponse, Response};
use mesh_kernel::envelope::{ErrorKind, Refusal};
use tonic::{Code, Status};

use super::status::status;

/// Says `INVALID_ARGUMENT` in place of an `INTERNAL` that is not ours. Ours carry details.
pub(super) async fn blamed(response: Response) -> Response {
    // Everything but a refusal has its status behind its messages.
    if !response.headers().contains_key("grpc-status") {
        return response;
    }
    match Status::from_header_map(response.headers()) {
        Some(said) if said.code() == Code::Internal && said.details().is_empty() => {
            let message = format!("the request cannot be read: {}", said.message());
            let refusal = Refusal::new("GTW-0008", ErrorKind::InvalidArgument, message);
            status(&refusal).into_http::<axum::body::Body>().into_response()
        }
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn code(status: Status) -> Code {
        let response = blamed(status.into_http::<axum::body::Body>()).await;
        Status::from_header_map(response.headers()).unwrap().code()
    }

    #[tokio::test]
    async fn only_an_internal_error_that_is_not_ours_blames_the_request() {
        assert_eq!(code(Status::internal("failed to decode Protobuf message")).await, Code::InvalidArgument);
        let ours = status(&Refusal::new("X-1", ErrorKind::Internal, "a bug"));
        assert_eq!(code(ours).await, Code::Internal);
        assert_eq!(code(Status::unimplemented("no such method")).await, Code::Unimplemented);
        assert!(blamed(Response::new(axum::body::Body::empty())).await.headers().is_empty());
    }
}
