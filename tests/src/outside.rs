//! Plain HTTP, as any program can speak it.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// GETs `http://…` and answers status and body. A stream is read for as long as `at_most`.
///
/// # Errors
/// When nobody listens, or what answers is no HTTP.
pub async fn get(url: &str, key: Option<&str>, at_most: Duration) -> Result<(u16, String)> {
    ask("GET", url, key, "", at_most).await
}

/// POSTs a text to `http://…` and answers status and body.
///
/// # Errors
/// When nobody listens, or what answers is no HTTP.
pub async fn post(url: &str, key: Option<&str>, body: &str, at_most: Duration) -> Result<(u16, String)> {
    ask("POST", url, key, body, at_most).await
}

async fn ask(method: &str, url: &str, key: Option<&str>, body: &str, at_most: Duration) -> Result<(u16, String)> {
    let authorization = key.map(|key| format!("Bearer {key}"));
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
    send(method, url, &headers, body, at_most).await
}

/// Sends a request with these headers, among which `host` stands for another, and answers status and body.
///
/// # Errors
/// When nobody listens, or what answers is no HTTP.
pub async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
    at_most: Duration,
) -> Result<(u16, String)> {
    let rest = url.strip_prefix("http://").context("http:// is expected")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).await?;
    let asked = headers.iter().find(|(name, _)| *name == "host").map_or(host, |(_, host)| *host);
    let more = headers.iter().filter(|(name, _)| *name != "host");
    let more: String = more.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("{method} /{path} HTTP/1.1\r\nhost: {asked}\r\n{more}content-length: {length}");
    let request = format!("{head}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(at_most, stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
    Ok((status, text))
}
