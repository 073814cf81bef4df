//! A browser as far as tests need one: it keeps the cookie, sends forms, and shows answers.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::form::CSRF;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its status; 0 when there was none.
    pub status: u16,
    /// Where it sends the browser.
    pub location: String,
    /// The cookie that it sets, with its attributes.
    pub cookie: String,
    /// What it says.
    pub body: String,
}

impl Answer {
    /// What it says as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Keeps a session's cookie and sends requests through the real router.
pub struct Browser {
    router: Router,
    runtime: Arc<Runtime>,
    cookie: String,
}

impl Browser {
    pub(super) fn new(router: Router, runtime: Arc<Runtime>) -> Self {
        Self { router, runtime, cookie: String::new() }
    }

    /// Opens a page.
    pub fn get(&mut self, path: &str) -> Answer {
        self.send(self.request("GET", path), Body::empty())
    }

    /// Sends a form, with the session's secret taken from a page as a browser would.
    pub fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf();
        self.post_with(path, form, &csrf)
    }

    /// Sends a form with a given secret, right or wrong.
    pub fn post_with(&mut self, path: &str, form: &[(&str, &str)], csrf: &str) -> Answer {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form).append_pair(CSRF, csrf);
        let request = self.request("POST", path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, Body::from(body.finish()))
    }

    /// Sends JSON as a program does, with a token instead of a session.
    pub fn call(&mut self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json");
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(request, Body::from(body))
    }

    /// Sends anything, with the session's cookie and further headers.
    pub fn raw(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request, Body::from(body.to_owned()))
    }

    /// An API token of whoever is known by an address and the password of tests.
    pub fn token(&mut self, email: &str) -> String {
        let body = serde_json::json!({"email": email, "password": super::PASSWORD});
        let answer = self.call("", "POST", "/api/log-in", &body).json();
        let token = answer.get("token").and_then(Value::as_str);
        token.unwrap_or_default().to_owned()
    }

    /// The secret that forms of this session carry; empty when nobody is logged in.
    pub fn csrf(&mut self) -> String {
        if self.cookie.is_empty() {
            return String::new();
        }
        let page = self.get("/account").body;
        let after = page.split_once("name=\"_csrf\" value=\"");
        let value = after.and_then(|(_, rest)| rest.split_once('"'));
        value.map_or_else(String::new, |(value, _)| value.to_owned())
    }

    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::COOKIE, &self.cookie)
    }

    fn send(&mut self, request: axum::http::request::Builder, body: Body) -> Answer {
        let Ok(request) = request.body(body) else {
            return Answer::default();
        };
        let router = self.router.clone();
        let response = self.runtime.block_on(async move {
            let Ok(response) = router.oneshot(request).await;
            let (parts, body) = response.into_parts();
            (parts, to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default())
        });
        let (parts, body) = response;
        let text = |name| {
            let value: Option<&axum::http::HeaderValue> = parts.headers.get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        if let Some((cookie, rest)) = text(header::SET_COOKIE).split_once(';') {
            let ends = rest.contains("Max-Age=0");
            self.cookie = if ends { String::new() } else { cookie.to_owned() };
        }
        Answer {
            status: parts.status.as_u16(),
            location: text(header::LOCATION).to_owned(),
            cookie: text(header::SET_COOKIE).to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}
