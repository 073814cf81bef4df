//! Who may see a page: the host that was asked for, and the caller.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use mesh_kernel::{
    envelope::{ErrorKind, Refusal},
    path::Caller,
    ports::Credential,
};

use super::{Pages, ROUTES, Who, render};

/// The session cookie.
pub(super) const COOKIE: &str = "mesh_session";

/// Refuses foreign Host headers (a page of another site cannot reach the node through a name of its
/// own), then asks for a session or a key, and sets the headers that every answer carries.
pub(super) async fn guard(State(pages): State<Arc<Pages>>, mut request: Request, next: Next) -> Response {
    if !known_host(&pages, request.headers()) {
        let message = "This node answers only under its own address.";
        return render::refused(&pages, StatusCode::MISDIRECTED_REQUEST, "Another host", message);
    }
    let path = request.uri().path().to_owned();
    let open = ROUTES.iter().any(|route| route.who == Who::Anybody && route.path == path);
    if !open {
        match caller(&pages, request.headers()) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
            }
            Err(_) => {
                let message = "Open the address that `mesh run` prints, or ask for a new one with `mesh open`: \
                               it carries a log-in that works once.";
                return render::refused(&pages, StatusCode::UNAUTHORIZED, "Please log in", message);
            }
        }
    }
    let mut response = next.run(request).await;
    harden(response.headers_mut());
    response
}

fn known_host(pages: &Pages, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    pages.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
}

fn caller(pages: &Pages, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let credential = credential(headers)
        .ok_or_else(|| Refusal::new("HTTP-0001", ErrorKind::Unauthenticated, "no key and no session"))?;
    pages.mesh.accept(&credential, headers.get("traceparent").and_then(|value| value.to_str().ok()))
}

fn credential(headers: &HeaderMap) -> Option<Credential> {
    if let Some(bearer) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        return bearer.strip_prefix("Bearer ").map(|key| Credential::ApiKey(key.trim().to_owned()));
    }
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies
        .split(';')
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, session)| Credential::Session(session.to_owned()))
}

fn harden(headers: &mut HeaderMap) {
    let all = [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src-attr 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ];
    for (name, value) in all {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// A refusal of the kernel as a page.
pub(super) fn page_of(pages: &Pages, refusal: &Refusal) -> Response {
    let status = match refusal.kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
        ErrorKind::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::AlreadyExists | ErrorKind::Aborted | ErrorKind::FailedPrecondition => StatusCode::CONFLICT,
        ErrorKind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let title = if status == StatusCode::NOT_FOUND { "Not found" } else { "That did not work" };
    render::refused(pages, status, title, &refusal.message).into_response()
}
