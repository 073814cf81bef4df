//! Replies.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::Markup;
use serde_json::{Value, json};

use crate::Error;

/// What pages may load and do: our own files, and nothing else.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; manifest-src 'self'";

/// An answer: status, headers, body.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// A page.
    pub fn page(page: Markup) -> Self {
        Self::new(200, "text/html; charset=utf-8", page.into_string().into_bytes())
            .with(header::CACHE_CONTROL, "no-store")
    }

    /// A JSON value.
    pub fn json(value: &Value) -> Self {
        Self::new(200, "application/json", value.to_string().into_bytes()).with(header::CACHE_CONTROL, "no-store")
    }

    /// An error as JSON: `{"error": {"code", "message", "fields", "rules"}}`.
    pub fn error(error: &Error) -> Self {
        let mut body = json!({"code": error.code(), "message": error.to_string()});
        if let (Error::Invalid(mistakes), Some(body)) = (error, body.as_object_mut()) {
            body.insert("fields".to_owned(), json!(mistakes.fields));
            body.insert("rules".to_owned(), json!(mistakes.rules));
        }
        Self::json(&json!({"error": body})).with_status(error.status())
    }

    /// Go and look there: what was asked for is done.
    pub fn redirect(path: &str) -> Self {
        Self::new(303, "text/plain; charset=utf-8", Vec::new()).with(header::LOCATION, path)
    }

    /// Nothing to say.
    pub fn nothing() -> Self {
        Self::new(204, "text/plain; charset=utf-8", Vec::new())
    }

    /// A file to keep.
    pub fn download(name: &str, content_type: &str, body: Vec<u8>) -> Self {
        Self::new(200, content_type, body)
            .with(header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}\""))
            .with(header::CACHE_CONTROL, "no-store")
    }

    /// A file of the product itself, which browsers may keep.
    pub fn file(content_type: &str, body: &'static [u8]) -> Self {
        Self::new(200, content_type, body.to_vec()).with(header::CACHE_CONTROL, "public, max-age=3600")
    }

    /// The same reply with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same reply with a cookie that scripts cannot read; no seconds end it.
    #[must_use]
    pub fn with_cookie(self, name: &str, value: &str, seconds: i64, https: bool) -> Self {
        let secure = if https { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
        self.with(header::SET_COOKIE, &cookie)
    }

    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let reply = Self { status, headers: Vec::new(), body };
        reply
            .with(header::CONTENT_TYPE, content_type)
            .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .with(header::REFERRER_POLICY, "same-origin")
            .with(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY)
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            // A value that is no header (a line break in a name) is left out, never sent raw.
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
