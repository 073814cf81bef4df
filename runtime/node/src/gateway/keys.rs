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

/// The idempotency key of a request with this id: of one method and id, whatever its content.
///
/// # Errors
/// As [`request_id`].
pub(super) fn key(method: &str, id: &str) -> Result<Option<IdempotencyKey>, Refusal> {
    let Some(id) = request_id(id)? else { return Ok(None) };
    Ok(IdempotencyKey::parse(&Digest::of(format!("{method}\n{id}").as_bytes()).hex()).ok())
}

/// The digest by which the same id with another content is told from a repeat.
///
/// It is of the message as it was read: what is minted for the command later is not a part of it.
pub(super) fn digest<M: Message>(body: &M) -> Digest {
    Digest::of(&body.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use mesh_proto::v1::SubmitRunRequest;

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
    fn a_key_is_of_one_method_and_id() {
        let of = |method, id| key(method, id).unwrap().unwrap();
        assert_eq!(of("PauseRun", "r1"), of("PauseRun", "r1"));
        assert_ne!(of("PauseRun", "r1"), of("PauseRun", "r2"));
        assert_ne!(of("PauseRun", "r1"), of("ResumeRun", "r1"));
        assert_eq!(key("PauseRun", "").unwrap(), None);
        assert!(key("PauseRun", "a b").is_err());
    }

    #[test]
    fn a_digest_is_of_the_content_and_not_of_the_order_of_its_labels() {
        let request = |names: [&str; 5]| SubmitRunRequest {
            labels: names.map(|name| (name.to_owned(), "x".to_owned())).into(),
            ..Default::default()
        };
        let one = digest(&request(["a", "b", "c", "d", "e"]));
        assert_eq!(one, digest(&request(["e", "d", "c", "b", "a"])));
        assert_ne!(one, digest(&request(["a", "b", "c", "d", "f"])));
    }
}
