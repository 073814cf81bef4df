//! What an endpoint means when it refuses: from a status and a body to the name of a fault.
//!
//! Bodies come as OpenAI's error object, with integer codes, as `{"detail"}`, as text or as a page.
//! Words decide before the status does: some say "quota" with 429 and some with 403.

use hyper::header::HeaderMap;
use mesh_kernel::envelope::Timestamp;
use serde_json::{Value, json};

use super::later;
use crate::models::{Fault, trouble::Trouble};

/// Longest part of what the other side said that is repeated.
const SAID_CHARS_MAX: usize = 300;

/// What a status other than success means.
pub(super) fn by_status(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Trouble {
    let text = String::from_utf8_lossy(body);
    let value = serde_json::from_str::<Value>(&text).unwrap_or(Value::Null);
    let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(&value);
    let said = words(error).unwrap_or_else(|| page(&text));
    let fault = named(error, &said).unwrap_or_else(|| of_status(status));
    let mut trouble = Trouble::new(fault, format!("the endpoint answered {status}: {said}"));
    trouble.details = json!({"status": status});
    trouble.after = fault.again().then(|| later::asked_for(headers, now)).flatten();
    trouble
}

/// What an error under a status of success means.
pub(super) fn in_body(error: &Value) -> Trouble {
    let said = words(error).unwrap_or_else(|| cut(&error.to_string()));
    let fault = named(error, &said).or_else(|| {
        let code = error.get("code").or_else(|| error.get("status"))?;
        let status = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
        let status = u16::try_from(status).ok().filter(|status| (400..600).contains(status))?;
        Some(of_status(status))
    });
    Trouble::new(fault.unwrap_or(Fault::ErrorInBody), format!("the answer is an error: {said}"))
}

fn of_status(status: u16) -> Fault {
    match status {
        401 | 403 => Fault::Unauthorized,
        402 => Fault::InsufficientQuota,
        404 => Fault::NotFound,
        408 | 409 | 425 | 503 | 529 => Fault::Overloaded,
        413 => Fault::ContextLength,
        429 => Fault::RateLimited,
        500.. => Fault::ServerError,
        _ => Fault::BadRequest,
    }
}

/// The fault by the words of `code`, `type` and the message, where they are clear.
fn named(error: &Value, said: &str) -> Option<Fault> {
    let word = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let words = [word("code"), word("type")];
    let is = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    let said = said.to_ascii_lowercase();
    if is(&["insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"]) {
        return Some(Fault::InsufficientQuota);
    }
    if is(&["context_length_exceeded", "context_window_exceeded"]) || said.contains("maximum context length") {
        return Some(Fault::ContextLength);
    }
    if is(&["content_filter", "content_policy_violation"]) {
        return Some(Fault::ContentFilter);
    }
    if is(&["rate_limit_exceeded", "rate_limit_error", "too_many_requests"]) {
        return Some(Fault::RateLimited);
    }
    if is(&["invalid_api_key", "authentication_error", "permission_error"]) {
        return Some(Fault::Unauthorized);
    }
    if is(&["overloaded_error", "overloaded", "engine_overloaded"]) {
        return Some(Fault::Overloaded);
    }
    if is(&["model_not_found"]) {
        return Some(Fault::NotFound);
    }
    is(&["server_error", "internal_server_error", "api_error"]).then_some(Fault::ServerError)
}

/// The words for people in an error object.
fn words(error: &Value) -> Option<String> {
    if let Some(text) = error.as_str() {
        return Some(cut(text));
    }
    let text = ["message", "detail", "error", "msg"].into_iter().find_map(|key| error.get(key)?.as_str());
    text.map(cut)
}

/// The text of something that is no JSON, without its tags.
fn page(text: &str) -> String {
    let mut plain = String::new();
    let mut in_tag = false;
    for letter in text.chars().take(SAID_CHARS_MAX * 4) {
        match letter {
            '<' => in_tag = true,
            '>' => in_tag = false,
            letter if !in_tag => plain.push(letter),
            _ => {}
        }
    }
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if plain.is_empty() { "nothing that can be read".to_owned() } else { cut(&plain) }
}

fn cut(text: &str) -> String {
    text.chars().take(SAID_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, body: &str) -> Fault {
        by_status(status, &HeaderMap::new(), body.as_bytes(), Timestamp::from_unix_nanos(0)).fault
    }

    #[test]
    fn a_refusal_is_named_by_its_words_and_else_by_its_status() {
        for (status, body, expected) in [
            (429, r#"{"error":{"message":"slow down","type":"requests"}}"#, Fault::RateLimited),
            (429, r#"{"error":{"message":"x","code":429}}"#, Fault::RateLimited),
            (429, r#"{"detail":"too fast"}"#, Fault::RateLimited),
            (429, r#"{"error":{"message":"x","code":"insufficient_quota"}}"#, Fault::InsufficientQuota),
            (429, r#"{"error":{"message":"x","type":"insufficient_quota"}}"#, Fault::InsufficientQuota),
            (402, "pay", Fault::InsufficientQuota),
            (400, r#"{"error":{"message":"x","code":400}}"#, Fault::BadRequest),
            (400, r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#, Fault::ContextLength),
            (400, r#"{"message":"This model's maximum context length is 5 tokens"}"#, Fault::ContextLength),
            (400, r#"{"error":{"code":"content_filter"}}"#, Fault::ContentFilter),
            (403, "<html><body>Forbidden</body></html>", Fault::Unauthorized),
            (404, r#"{"error":"model not here"}"#, Fault::NotFound),
            (422, "", Fault::BadRequest),
            (408, "", Fault::Overloaded),
            (503, "busy", Fault::Overloaded),
            (502, "<html>Bad Gateway</html>", Fault::ServerError),
        ] {
            assert_eq!(fault(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_page_is_told_as_its_words() {
        let page = b"<html><head><title>502 Bad\nGateway</title></head></html>";
        let trouble = by_status(502, &HeaderMap::new(), page, Timestamp::from_unix_nanos(0));
        assert_eq!(trouble.message, "the endpoint answered 502: 502 Bad Gateway");
    }

    #[test]
    fn an_error_under_a_status_of_success_keeps_its_better_name() {
        for (error, expected) in [
            (json!("oops"), Fault::ErrorInBody),
            (json!({"message": "oops"}), Fault::ErrorInBody),
            (json!({"message": "later", "code": 503}), Fault::Overloaded),
            (json!({"message": "later", "code": "429"}), Fault::RateLimited),
            (json!({"message": "x", "type": "server_error"}), Fault::ServerError),
        ] {
            assert_eq!(in_body(&error).fault, expected, "{error}");
        }
    }
}
