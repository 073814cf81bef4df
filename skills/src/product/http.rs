//! A small HTTP/1.1 client for servers on this machine: probes, smoke tests, callbacks.
//!
//! Never here: TLS, proxies, redirects, other machines. What leaves the machine goes through the
//! platform that is the door outward.

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, Uri, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::contract::Failure;

/// Largest answer that is read. **Units**: bytes.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What to ask.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// `http://` and an address of this machine.
    pub url: String,
    /// Headers beside `Host` and `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// How long all of it may take.
    pub within: Duration,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The first header with this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All headers with this name (lower case).
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, cut to a readable length.
    pub fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(500).collect()
    }
}

impl Ask {
    /// A GET that may take ten seconds.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            within: Duration::from_secs(10),
        }
    }

    /// A POST of JSON that may take ten seconds.
    pub fn post_json(url: impl Into<String>, body: &serde_json::Value) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Self { method: Method::POST, body, ..Self::get(url) }.with("content-type", "application/json")
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Asks, once.
    ///
    /// # Errors
    /// A validation failure for an address that is none of this machine's, an external or timeout
    /// one when nobody answers. A status is no error here.
    pub async fn send(self) -> Result<Answer, Failure> {
        let (within, url) = (self.within, self.url.clone());
        tokio::time::timeout(within, exchange(self))
            .await
            .unwrap_or_else(|_| Err(Failure::timeout("http.time", format!("`{url}` did not answer within {within:?}"))))
    }
}

async fn exchange(ask: Ask) -> Result<Answer, Failure> {
    let target = Target::parse(&ask.url)?;
    let lost = |error: &dyn std::fmt::Display| Failure::external("http.lost", format!("`{}`: {error}", ask.url));
    let stream = TcpStream::connect((target.host, target.port))
        .await
        .map_err(|error| Failure::external("http.refused", format!("nobody answers at `{}`: {error}", ask.url)))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| lost(&e))?;
    // It ends with the exchange: dropping the sender closes the connection.
    let connection = mesh_kernel::task::spawn("http connection", connection);
    let mut request =
        Request::builder().method(ask.method.clone()).uri(target.path).header(header::HOST, target.authority);
    for (name, value) in &ask.headers {
        request = request.header(*name, value);
    }
    let request = request
        .body(Full::new(ask.body.clone()))
        .map_err(|error| Failure::validation("http.request", format!("no HTTP request: {error}")))?;
    let answer = sender.send_request(request).await.map_err(|e| lost(&e))?;
    let answer = read(answer).await.map_err(|e| lost(&e));
    connection.abort();
    answer
}

async fn read(answer: hyper::Response<Incoming>) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await?.to_bytes();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Ok(Answer { status: head.status.as_u16(), headers, body })
}

/// Where a request goes: always this machine.
struct Target {
    host: IpAddr,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, Failure> {
        let shown: String = url.chars().take(200).collect();
        let no = |why: &str| {
            Failure::validation(
                "http.url",
                format!(
                    "`{shown}` {why}: `http://` and an address of this machine are expected, such as `http://127.0.0.1:8080/path`"
                ),
            )
        };
        let uri: Uri = url.parse().map_err(|_| no("is no address"))?;
        if uri.scheme_str() != Some("http") {
            return Err(no("does not begin with `http://`"));
        }
        let authority = uri.authority().ok_or_else(|| no("names no host"))?;
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        // Only literal addresses and one name that is never looked up: no name can be made to
        // point somewhere else between the check and the connection.
        let host = match name {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            literal => literal.parse().map_err(|_| no("names another machine"))?,
        };
        if !host.is_loopback() {
            return Err(no("is an address of another machine"));
        }
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::FailureClass;

    #[test]
    fn only_this_machine_is_asked() {
        for good in ["http://127.0.0.1:80/x?y=1", "http://localhost", "http://[::1]:9/"] {
            assert!(Target::parse(good).is_ok(), "`{good}` was refused");
        }
        for bad in [
            "https://127.0.0.1/",
            "http://example.org/",
            "http://169.254.169.254/latest",
            "http://0.0.0.0/",
            "http://localhost.example.org/",
            "127.0.0.1",
            "",
        ] {
            assert!(Target::parse(bad).is_err(), "`{bad}` was taken");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_an_external_failure() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let failure = Ask::get(url).send().await.unwrap_err();
        assert_eq!((failure.class, failure.code.as_str()), (FailureClass::External, "http.refused"));
    }

    #[tokio::test]
    async fn one_who_never_answers_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ask = Ask::get(format!("http://{}", listener.local_addr().unwrap()));
        ask.within = Duration::from_millis(100);
        assert_eq!(ask.send().await.unwrap_err().class, FailureClass::Timeout);
    }
}
