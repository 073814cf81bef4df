//! Etags and request ids: how a caller acts on what was seen, and only once.

use mesh_kernel::{
    envelope::{IdempotencyKey, Refusal},
    ports::Digest,
};
use prost::Message;

use super::status::refused_field;

/// The etag of an entity at this version.
pub(super) fn etag(version: u64) -> String {
    format!("\"v{version}\"")
}

/// The version that an etag stands for; `None` when there is no etag.
///
/// # Errors
/// When it is none of ours.
pub(super) fn expected(etag: &str) -> Result<Option<u64>, Refusal> {
    if etag.is_empty() {
        return Ok(None);
    }
    etag.trim_matches('"')
        .strip_prefix('v')
        .and_then(|version| version.parse().ok())
        .map(Some)
        .ok_or_else(|| refused_field("etag", "not an etag of this entity: send back the one that was read with it"))
}

/// Checks a request id. `None` when the caller gave none.
///
/// # Errors
/// When it has characters or a length that it cannot have.
pub(super) fn request_id(text: &str) -> Result<Option<&str>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    IdempotencyKey::parse(text).map(|_| Some(text)).map_err(|error| refused_field("request_id", error.to_string()))
}

/// The idempotency key of a request with this id and content.
///
/// The content is part of it: the same id with another body is another command, which the entity
/// itself then takes or refuses, instead of an answer to something that was never asked.
///
/// # Errors
/// As [`request_id`].
pub(super) fn key<M: Message>(method: &str, id: &str, body: &M) -> Result<Option<IdempotencyKey>, Refusal> {
    let Some(id) = request_id(id)? else { return Ok(None) };
    let mut bytes = format!("{method}\n{id}\n").into_bytes();
    body.encode(&mut bytes).unwrap_or_default();
    Ok(IdempotencyKey::parse(&Digest::of(&bytes).hex()).ok())
}

#[cfg(test)]
mod tests {
    use mesh_proto::v1::PauseRunRequest;

    use super::*;

    #[test]
    fn an_etag_is_read_back() {
        assert_eq!(expected(&etag(7)).unwrap(), Some(7));
        assert_eq!(expected("v7").unwrap(), Some(7));
        assert_eq!(expected("").unwrap(), None);
        for bad in ["7", "x", "\"\"", "v", "v-1"] {
            assert!(expected(bad).is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn a_key_is_of_one_method_id_and_body() {
        let body = |run: &str| PauseRunRequest { run_id: run.into(), ..Default::default() };
        let of = |method, run| key(method, "r1", &body(run)).unwrap().unwrap();
        assert_eq!(of("PauseRun", "run-1"), of("PauseRun", "run-1"));
        assert_ne!(of("PauseRun", "run-1"), of("PauseRun", "run-2"));
        assert_ne!(of("PauseRun", "run-1"), of("ResumeRun", "run-1"));
        assert_eq!(key("PauseRun", "", &body("run-1")).unwrap(), None);
        assert!(key("PauseRun", "a b", &body("run-1")).is_err());
    }
}
