//! The way to a server over streamable HTTP: bounded, without redirects, each request sent once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rmcp::transport::{
    StreamableHttpClientTransport, common::client_side_sse::SseRetryPolicy,
    streamable_http_client::StreamableHttpClientTransportConfig,
};

use super::reach::{Secret, url_of};
use crate::contract::{Failure, McpServer};

/// Longest message of a server. **Units**: bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A stream of answers that has broken is asked to go on where it was, a few times: that sends no call again. A server
/// that never does would otherwise be asked for ever.
#[derive(Debug)]
struct Resumes;

/// How often a broken stream is resumed.
const RESUMES_MAX: usize = 3;

impl SseRetryPolicy for Resumes {
    fn retry(&self, times: usize) -> Option<Duration> {
        (times < RESUMES_MAX).then(|| Duration::from_millis(250) * (1 << times.min(RESUMES_MAX)))
    }
}

/// The way to a server over streamable HTTP.
///
/// # Errors
/// When an address or a header is none.
pub(super) fn http(
    server: &McpServer,
    url: &str,
    headers: Vec<(String, Secret)>,
    calls_max: usize,
) -> Result<StreamableHttpClientTransport<reqwest::Client>, Failure> {
    let wrong = |what: &str| Failure::validation("mcp.header", format!("the MCP server `{}`: {what}", server.name));
    let mut custom = HashMap::new();
    for (name, secret) in headers {
        let name =
            reqwest::header::HeaderName::try_from(&name).map_err(|_| wrong(&format!("`{name}` is no header")))?;
        let value = reqwest::header::HeaderValue::try_from(&secret.whole);
        let mut value = value.map_err(|_| wrong(&format!("what `{name}` refers to cannot stand in a header")))?;
        value.set_sensitive(true);
        custom.insert(name, value);
    }
    // Somebody else may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .retry(reqwest::retry::never())
        // A redirect would lead, with its headers, where nobody has allowed it.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .tcp_nodelay(true)
        .build()
        .map_err(|error| wrong(&chain(&error)))?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url_of(&server.name, url)?.as_str())
        .custom_headers(custom)
        .max_concurrent_requests(calls_max)
        .max_sse_event_size(MESSAGE_BYTES_MAX)
        .max_json_response_size(MESSAGE_BYTES_MAX)
        // A call that was sent once is not sent again behind our back; the next one connects anew.
        .reinit_on_expired_session(false);
    config.retry_config = Arc::new(Resumes);
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

/// An error with its causes. None holds a header, for the transport keeps those to itself.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}
