//! What stands between the socket and a handler: bounds, identity, forgery, and errors as pages.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::RawPathParams;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::routes::{Access, Handler};
use super::{App, Reply, Request};
use crate::control::{Session, Via, session_by_cookie, session_by_token};
use crate::form::{CSRF, Input};
use crate::{Error, pages, secret};

/// Largest request body, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Name of the session's cookie.
pub(crate) const COOKIE: &str = "session";

/// Answers one request.
pub(crate) async fn answer(
    app: Arc<App>,
    access: Access,
    handler: Handler,
    params: RawPathParams,
    request: axum::extract::Request,
) -> Response {
    let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        let text = format!("the request is larger than {BODY_BYTES_MAX} bytes, or it was cut short\n");
        return (StatusCode::PAYLOAD_TOO_LARGE, text).into_response();
    };
    let work = move || serve(app, access, handler, params, &parts, &body);
    match tokio::task::spawn_blocking(work).await {
        Ok(reply) => reply.into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "something failed inside\n").into_response(),
    }
}

/// Answers a request for which there is no route.
pub(crate) async fn lost(app: Arc<App>, request: axum::extract::Request) -> Response {
    let (parts, _) = request.into_parts();
    let work = move || serve(app, Access::Public, |_| Err(Error::NotFound), Vec::new(), &parts, b"");
    match tokio::task::spawn_blocking(work).await {
        Ok(reply) => reply.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn serve(
    app: Arc<App>,
    access: Access,
    handler: Handler,
    params: Vec<(String, String)>,
    parts: &Parts,
    body: &[u8],
) -> Reply {
    let mut request = Request::new(app, parts, params);
    let answer = prepare(&mut request, access, parts, body).and_then(|()| handler(&request));
    match answer {
        Ok(reply) => reply,
        Err(error) => refuse(&request, &error),
    }
}

/// Reads body and session; refuses strangers and forged forms.
fn prepare(request: &mut Request, access: Access, parts: &Parts, body: &[u8]) -> Result<(), Error> {
    request.session = identify(request, &parts.headers)?;
    let changes = !parts.method.is_safe();
    if changes && foreign(&parts.headers) {
        return Err(Error::Forged);
    }
    if access == Access::Member && request.session.is_none() {
        return Err(Error::LogInFirst);
    }
    if changes {
        request.input = read_body(&parts.headers, body)?;
        let bearer = matches!(&request.session, Some(session) if session.via == Via::Token);
        if access == Access::Member && !bearer && !proved(request, &parts.headers) {
            return Err(Error::Forged);
        }
    }
    Ok(())
}

fn identify(request: &Request, headers: &HeaderMap) -> Result<Option<Session>, Error> {
    let control = request.app.store.control();
    let authorization = text(headers, header::AUTHORIZATION.as_str());
    if let Some(token) = authorization.and_then(|value| value.strip_prefix("Bearer ")) {
        // A wrong token is refused even on a public route: whoever sends one expects to be known.
        return match session_by_token(&control, token.trim())? {
            Some(session) => Ok(Some(session)),
            None => Err(Error::LogInFirst),
        };
    }
    match request.cookie(COOKIE) {
        Some(cookie) => session_by_cookie(&control, cookie, request.now()),
        None => Ok(None),
    }
}

fn read_body(headers: &HeaderMap, body: &[u8]) -> Result<Input, Error> {
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind {
        _ if body.is_empty() => Ok(Input::default()),
        "application/json" => Input::from_json(body),
        "application/x-www-form-urlencoded" => Ok(Input::from_form(body)),
        _ => {
            Err(Error::BadRequest(format!("the content type `{kind}` is not read; send `application/json` or a form")))
        }
    }
}

/// Whether the browser says that another site has sent this.
fn foreign(headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, "sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return true;
    }
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    match text(headers, header::ORIGIN.as_str()) {
        Some(origin) => origin.split_once("://").map(|(_, host)| host) != Some(host),
        None => false,
    }
}

/// Whether the form or header carries the session's own secret.
fn proved(request: &Request, headers: &HeaderMap) -> bool {
    let Some(Session { via: Via::Cookie { csrf }, .. }) = &request.session else {
        return false;
    };
    let sent = text(headers, "x-csrf-token").or_else(|| request.input.get(CSRF));
    sent.is_some_and(|sent| secret::equal(sent, csrf))
}

fn refuse(request: &Request, error: &Error) -> Reply {
    if error.status() >= 500 {
        // The cause is for the operator's log; whoever asked is told only that it failed.
        eprintln!("{} {}: {error}: {error:?}", request.method, request.path);
    }
    if request.wants_json() {
        return Reply::error(error);
    }
    match error {
        Error::LogInFirst if request.method == "GET" => Reply::redirect(&format!("/log-in?next={}", request.path)),
        _ => pages::error(request, error),
    }
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
