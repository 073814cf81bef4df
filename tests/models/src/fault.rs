//! Faults: refusals, broken and stalled answers, and answers that are none.

use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::{Value, json};

use crate::{
    chat::chunks,
    reply::{Piece, Reply, done, event, raw},
    script::Answer,
    seen::header,
};

/// The names after `fault:`.
pub const FAULTS: [&str; 41] = [
    "429",
    "429-integer-code",
    "429-detail",
    "429-text",
    "429-retry-after",
    "429-retry-after-ms",
    "429-http-date",
    "429-retry-after-huge",
    "429-quota-code",
    "429-quota-type",
    "400-integer-code",
    "400-context-length",
    "400-content-filter",
    "401",
    "403-text",
    "404",
    "408",
    "409",
    "500",
    "502-html",
    "503",
    "529",
    "redirect",
    "close",
    "cut",
    "cut-at-once",
    "cut-json",
    "ends-early",
    "ends-early-done",
    "broken-chunk",
    "stall-head",
    "stall-first",
    "stall-comments",
    "stall-idle",
    "for-ever",
    "html",
    "not-json",
    "error-in-body",
    "error-event",
    "empty",
    "too-large",
];

pub(crate) fn reply(name: &str, headers: &HeaderMap) -> Reply {
    let (status, rest) = name.split_once('-').unwrap_or((name, ""));
    match status.parse() {
        Ok(status) => refusal(status, rest, headers),
        Err(_) => broken(name),
    }
}

fn refusal(status: u16, how: &str, headers: &HeaderMap) -> Reply {
    let error = |kind: &str, code: Value| json!({"error": {"message": "it cannot be done", "type": kind, "param": null, "code": code}});
    match (status, how) {
        (_, "integer-code") => Reply::json(status, &error("x", status.into())),
        (_, "detail") => Reply::json(status, &json!({"detail": "slow down"})),
        (_, "text") => Reply::text(status, "text/plain", "no"),
        (_, "html") => Reply::text(status, "text/html", "<html><body>Bad Gateway</body></html>"),
        (_, "retry-after") => Reply::json(status, &error("x", Value::Null)).with("retry-after", "2"),
        (_, "retry-after-ms") => Reply::json(status, &error("x", Value::Null)).with("retry-after-ms", "1500"),
        (_, "http-date") => {
            Reply::json(status, &error("x", Value::Null)).with("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT")
        }
        (_, "retry-after-huge") => Reply::json(status, &error("x", Value::Null)).with("retry-after", "86400"),
        (_, "quota-code") => Reply::json(status, &error("x", "insufficient_quota".into())),
        (_, "quota-type") => Reply::json(status, &error("insufficient_quota", Value::Null)),
        (_, "context-length") => Reply::json(status, &error("x", "context_length_exceeded".into())),
        (_, "content-filter") => Reply::json(status, &error("x", "content_filter".into())),
        // As some do, the key is repeated to whoever reads the error.
        (401, _) => {
            let key = header(headers, "authorization");
            Reply::json(401, &json!({"error": {"message": format!("incorrect key provided: {key}"), "code": null}}))
        }
        _ => Reply::json(status, &error("x", Value::Null)),
    }
}

fn broken(name: &str) -> Reply {
    let chunks = || chunks(&Answer { text: "never at its end".into(), pieces: 8, ..Answer::default() }, "fault");
    let begun = || chunks().iter().take(3).map(event).collect::<Vec<_>>();
    let then = |rest: Vec<Piece>| Reply::events(begun().into_iter().chain(rest).collect());
    match name {
        "redirect" => Reply::text(307, "text/plain", "").with("location", "http://127.0.0.1:1/elsewhere"),
        "close" => Reply::Closed,
        "cut" => then(vec![Piece::Wait(Duration::from_millis(30)), Piece::Break]),
        "cut-at-once" => Reply::events(vec![raw(": hello\n\n"), Piece::Wait(Duration::from_millis(30)), Piece::Break]),
        "cut-json" => Reply::Answer {
            status: 200,
            headers: vec![("content-type", "application/json".into())],
            pieces: vec![raw("{\"choices\": [{"), Piece::Wait(Duration::from_millis(30)), Piece::Break],
        },
        "ends-early" => then(Vec::new()),
        "ends-early-done" => then(vec![done()]),
        "broken-chunk" => then(vec![raw("data: {\"choices\": [{\"delta\"\n\n"), done()]),
        "stall-head" => Reply::Silent,
        "stall-first" => Reply::events(vec![Piece::Hang]),
        "stall-comments" => Reply::events(repeat(raw(": still here\n\n"))),
        "stall-idle" => then(vec![Piece::Hang]),
        "for-ever" => Reply::events(chunks().get(2).map(|chunk| repeat(event(chunk))).unwrap_or_default()),
        "html" => Reply::text(200, "text/html; charset=utf-8", "<html>log in</html>"),
        "not-json" => Reply::text(200, "application/json", "{\"choices\": oops"),
        "error-in-body" => Reply::json(200, &json!({"error": {"message": "something happened", "code": "odd"}})),
        "error-event" => then(vec![event(&json!({"error": {"message": "something happened"}})), done()]),
        "empty" => {
            Reply::events(crate::chat::chunks(&Answer::default(), "fault").iter().map(event).chain([done()]).collect())
        }
        "too-large" => Reply::events(vec![Piece::Bytes(Bytes::from(vec![b'x'; 17 * 1024 * 1024]))]),
        other => Reply::json(400, &json!({"error": {"message": format!("no fault `{other}`")}})),
    }
}

/// Every 20 ms for half a minute.
fn repeat(piece: Piece) -> Vec<Piece> {
    (0..1500).flat_map(|_| [Piece::Wait(Duration::from_millis(20)), piece.clone()]).collect()
}
