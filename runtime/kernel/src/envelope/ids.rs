//! Typed ids: every id is its own type, so none is taken for another.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::hex;

/// Why a text is not an id of the asked kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix is another one, or none.
    #[error("`{text}` is not a {what}: it must begin with `{prefix}`")]
    Prefix {
        /// What was asked for.
        what: &'static str,
        /// How it must begin.
        prefix: &'static str,
        /// What was given.
        text: String,
    },
    /// A character or a length that an id cannot have.
    #[error("`{text}` is not a {what}: 1 to {len_max} characters of {alphabet} are allowed")]
    Shape {
        /// What was asked for.
        what: &'static str,
        /// The longest allowed.
        len_max: usize,
        /// The allowed characters, in words.
        alphabet: &'static str,
        /// What was given, cut to a readable length.
        text: String,
    },
}

const ID_LEN_MAX: usize = 128;

fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= ID_LEN_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Declares one text id: its prefix is part of the type.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads an id that came from outside.
            ///
            /// # Errors
            /// [`IdError`] when the prefix or the characters are not this kind's.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if !text.starts_with($prefix) {
                    return Err(IdError::Prefix {
                        what: stringify!($name),
                        prefix: $prefix,
                        text: cut(text),
                    });
                }
                if !is_id(text) {
                    return Err(IdError::Shape {
                        what: stringify!($name),
                        len_max: ID_LEN_MAX,
                        alphabet: "letters, digits, `-`, `_`, `.`, `:`",
                        text: cut(text),
                    });
                }
                Ok(Self(Arc::from(text)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }
    };
}

text_id!(
    /// The unique instance of an envelope: `evt-` + UUIDv7, or a digest for derived ones.
    EventId,
    "evt-"
);
text_id!(
    /// The lineage key from intent to runtime signal: `trace-…`, minted once.
    TraceId,
    "trace-"
);
text_id!(
    /// A product being made: `proj-…`.
    ProjectId,
    "proj-"
);
text_id!(
    /// One deployable or library in a project: `module-…`.
    ModuleId,
    "module-"
);
text_id!(
    /// One workflow's activity: a run's id, or the id of the command when there is no run.
    CorrelationId,
    ""
);
text_id!(
    /// The same key is never done twice by the same entity.
    IdempotencyKey,
    ""
);

impl EventId {
    /// A fresh id from random bytes and the given time.
    pub fn fresh(at: super::Timestamp, random: [u8; 10]) -> Self {
        Self(Arc::from(format!("evt-{}", uuid_v7(at, random))))
    }

    /// The id of the `index`-th event that a command with this id caused.
    ///
    /// Derived and not drawn, so that deciding the same command again names the same events.
    pub fn derived(&self, index: usize) -> Self {
        Self(Arc::from(format!("{}.{index}", self.0)))
    }
}

impl TraceId {
    /// A fresh id from random bytes and the given time.
    pub fn fresh(at: super::Timestamp, random: [u8; 10]) -> Self {
        Self(Arc::from(format!("trace-{}", uuid_v7(at, random))))
    }
}

impl From<&EventId> for CorrelationId {
    fn from(id: &EventId) -> Self {
        Self(id.0.clone())
    }
}

impl IdempotencyKey {
    /// The key of a command that `handler` sends to `target` because of `cause`.
    ///
    /// **Source**: SHA-256 of `eventId:handler:target`, as the factory's workers define it.
    pub fn of(cause: &EventId, handler: &str, target: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(cause.as_str());
        hash.update(b":");
        hash.update(handler);
        hash.update(b":");
        hash.update(target);
        Self(Arc::from(hex::encode(&hash.finalize())))
    }
}

fn uuid_v7(at: super::Timestamp, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(at.unix_millis(), &random).into_uuid()
}

/// The isolation boundary: a slug of 1 to 63 lower-case letters, digits and `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Reads a tenant's slug.
    ///
    /// # Errors
    /// [`IdError::Shape`] when it is no slug.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let slug = !text.is_empty()
            && text.len() <= 63
            && !text.starts_with('-')
            && !text.ends_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if slug {
            Ok(Self(Arc::from(text)))
        } else {
            Err(IdError::Shape {
                what: "tenant",
                len_max: 63,
                alphabet: "lower-case letters, digits and `-` (not at an end)",
                text: cut(text),
            })
        }
    }

    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TenantId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> String {
        id.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_taken_and_anything_else_is_refused() {
        for good in ["default", "a", "acme-2"] {
            assert_eq!(TenantId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a/b", "a b", "ä", &"a".repeat(64)] {
            assert!(TenantId::parse(bad).is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn an_id_of_one_kind_is_refused_as_another() {
        assert!(EventId::parse("trace-1").is_err());
        assert!(TraceId::parse("trace-1").is_ok());
        assert!(EventId::parse("evt-a/b").is_err());
    }

    #[test]
    fn the_key_of_a_reaction_depends_on_cause_handler_and_target() {
        let cause = EventId::parse("evt-1").unwrap();
        let key = IdempotencyKey::of(&cause, "h", "t");
        assert_eq!(key, IdempotencyKey::of(&cause, "h", "t"));
        assert_ne!(key, IdempotencyKey::of(&cause, "h", "u"));
        assert_ne!(key, IdempotencyKey::of(&cause, "i", "t"));
        assert_eq!(key.as_str().len(), 64);
    }
}
