//! The content store port: bodies over 64 KB, by hash, a tenant's own.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    BoxFuture,
    envelope::{TenantScope, hex},
};

/// Bodies larger than this do not go into the journal. **Units**: bytes.
pub const INLINE_MAX: usize = 64 * 1024;

/// SHA-256 of a body: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 hexadecimal digits, without the prefix.
    pub fn hex(&self) -> String {
        hex::encode(&self.0)
    }

    /// The first 32 hexadecimal digits: 128 bits, enough to tell one thing from another.
    pub fn short(&self) -> String {
        self.hex().chars().take(32).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest: `sha256:` and 64 hexadecimal digits are expected")]
pub struct NoDigest(String);

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let no = || NoDigest(text.chars().take(80).collect());
        let digits = text.strip_prefix("sha256:").ok_or_else(no)?;
        let bytes = hex::decode(digits).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(no)
    }
}

impl TryFrom<String> for Digest {
    type Error = NoDigest;

    fn try_from(text: String) -> Result<Self, NoDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// Why a body could not be stored or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ContentError {
    /// This tenant has no body with this digest.
    #[error("no body `{0}` in this tenant")]
    NotFound(Digest),
    /// The bytes on disk are not the ones that were stored.
    #[error("the body `{0}` is damaged on disk; restore a backup")]
    Damaged(Digest),
    /// No room; nothing was stored.
    #[error("no room for a body of {bytes} bytes: free some space on the data folder's disk")]
    Full {
        /// Length of the body.
        bytes: u64,
    },
    /// The operating system refused.
    #[error("the content store cannot use `{path}`: {source}")]
    Io {
        /// The file, relative to the data folder.
        path: String,
        /// What the system said.
        #[source]
        source: std::sync::Arc<std::io::Error>,
    },
}

/// Bodies by hash, each in its tenant's own room. A tenant cannot tell whether another has a body.
pub trait ContentStore: Send + Sync + 'static {
    /// Stores a body; durable before it answers, so that an event may name it.
    ///
    /// # Errors
    /// [`ContentError`] when there is no room or the disk refuses; nothing is half stored.
    fn put<'a>(&'a self, scope: &'a TenantScope, body: Bytes) -> BoxFuture<'a, Result<Digest, ContentError>>;

    /// Reads a body and checks its digest.
    ///
    /// # Errors
    /// [`ContentError::NotFound`] also when only another tenant has it.
    fn get<'a>(&'a self, scope: &'a TenantScope, digest: Digest) -> BoxFuture<'a, Result<Bytes, ContentError>>;

    /// Removes a body that no event names any more. One that is not there is removed already.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    fn remove<'a>(&'a self, scope: &'a TenantScope, digest: Digest) -> BoxFuture<'a, Result<(), ContentError>>;

    /// Removes all bodies of a tenant. May be repeated.
    ///
    /// # Errors
    /// [`ContentError::Io`]; some may be gone by then.
    fn erase<'a>(&'a self, scope: &'a TenantScope) -> BoxFuture<'a, Result<(), ContentError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_its_text() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        for bad in ["", "sha256:", "md5:00", "sha256:zz", &format!("sha256:{}", "é".repeat(32))] {
            assert!(bad.parse::<Digest>().is_err(), "`{bad}` was taken");
        }
    }
}
