//! Commands and events as serde enums: the variant is the type's name, its content the payload.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::envelope::Payload;

/// Why a payload is none of a kind's messages.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The JSON does not fit the message.
    #[error("payload of `{name}`: {source}")]
    Json {
        /// The message's type name.
        name: String,
        /// What serde says, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// The value is no enum variant with content.
    #[error("`{0}` is encoded as no variant with content")]
    Shape(&'static str),
    /// No such message in this kind.
    #[error("`{0}` is no message of this kind")]
    Unknown(String),
}

/// Encodes an externally tagged enum: `RunSubmitted { … }` becomes name and JSON object.
///
/// **Cost**: one serialisation; the name is cut out of the text, not serialised twice.
///
/// # Errors
/// [`CodecError::Shape`] for anything but a variant.
pub fn encode_tagged<T: Serialize>(message: &T, schema_version: u32) -> Result<Payload, CodecError> {
    let shape = || CodecError::Shape(std::any::type_name::<T>());
    let text = serde_json::to_vec(message)
        .map_err(|source| CodecError::Json { name: std::any::type_name::<T>().to_owned(), source })?;
    let text = Bytes::from(text);
    let quoted = text.get(1..).ok_or_else(shape)?;
    if text.first() == Some(&b'"') {
        // A unit variant: `"RunPaused"`.
        let name = quoted.strip_suffix(b"\"").ok_or_else(shape)?;
        let name = std::str::from_utf8(name).map_err(|_| shape())?;
        return Ok(Payload { name: name.into(), schema_version, bytes: Bytes::from_static(b"null") });
    }
    // `{"Name":content}`
    let inner = text.strip_prefix(b"{\"").ok_or_else(shape)?;
    let end = inner.iter().position(|b| *b == b'"').ok_or_else(shape)?;
    let name = std::str::from_utf8(inner.get(..end).ok_or_else(shape)?).map_err(|_| shape())?;
    let from = 2 + end + 2;
    let to = text.len().checked_sub(1).filter(|to| from <= *to).ok_or_else(shape)?;
    Ok(Payload { name: name.into(), schema_version, bytes: text.slice(from..to) })
}

/// Decodes what [`encode_tagged`] made.
///
/// # Errors
/// [`CodecError::Json`] when the name or the content does not fit.
pub fn decode_tagged<T: DeserializeOwned>(name: &str, payload: &[u8]) -> Result<T, CodecError> {
    let json = |source| CodecError::Json { name: name.to_owned(), source };
    if payload.is_empty() || payload == b"null" {
        let text = format!("\"{name}\"");
        return serde_json::from_str(&text).map_err(json);
    }
    let mut text = Vec::with_capacity(payload.len() + name.len() + 6);
    text.extend_from_slice(b"{\"");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
    text.extend_from_slice(payload);
    text.push(b'}');
    serde_json::from_slice(&text).map_err(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    enum Message {
        Paused,
        Submitted { id: String, count: u32 },
        Named(String),
    }

    #[test]
    fn a_message_survives_its_payload() {
        for (message, name) in [
            (Message::Paused, "Paused"),
            (Message::Submitted { id: "a\"}b".into(), count: 3 }, "Submitted"),
            (Message::Named("x".into()), "Named"),
        ] {
            let payload = encode_tagged(&message, 1).unwrap();
            assert_eq!(payload.name.as_ref(), name);
            assert_eq!(decode_tagged::<Message>(name, &payload.bytes).unwrap(), message);
        }
    }

    #[test]
    fn a_payload_of_another_message_is_refused_by_name() {
        let error = decode_tagged::<Message>("Submitted", b"{\"id\":1}").unwrap_err();
        assert!(error.to_string().contains("`Submitted`"), "{error}");
        assert!(decode_tagged::<Message>("Nothing", b"{}").is_err());
        // A name from outside cannot smuggle JSON in.
        assert!(decode_tagged::<Message>("Paused\":1,\"x", b"{}").is_err());
    }
}
