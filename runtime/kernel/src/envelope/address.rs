//! Addresses: `tenant/platform/kind/id`, and the shard that each falls into.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{IdError, TenantId};

/// What sort of entity an address names: the platform that owns it and the aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// The platform's token, such as `control-plane`.
    pub platform: &'static str,
    /// The aggregate, such as `run`.
    pub name: &'static str,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.platform, self.name)
    }
}

/// One of 64 groups of addresses, fixed when the store is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u8);

impl Shard {
    /// How many shards there are, in every store.
    pub const COUNT: u8 = 64;

    /// The shard with this number, when there is one.
    pub fn new(number: u8) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// Its number, 0 to 63.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not four parts.
    #[error("`{0}` is no address: four parts are expected, `tenant/platform/kind/id`")]
    Parts(String),
    /// The tenant is no slug.
    #[error("the tenant of an address: {0}")]
    Tenant(#[from] IdError),
    /// A part holds a character that it cannot have, or is too long.
    #[error("`{part}` in an address: 1 to 200 letters, digits, `-`, `_`, `.`, `:`, `@` are allowed")]
    Part {
        /// The part.
        part: String,
    },
}

#[derive(PartialEq, Eq)]
struct Inner {
    text: Box<str>,
    tenant: TenantId,
    /// Byte offsets of the three slashes.
    cuts: [usize; 3],
    hash: u64,
}

/// The address of an entity: `tenant/platform/kind/id`. Cheap to clone.
///
/// INVARIANT: two addresses with the same text are equal and fall into the same shard, on every
/// machine and in every version.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(Arc<Inner>);

impl Address {
    /// The address of the entity of `kind` with this id.
    ///
    /// # Errors
    /// [`AddressError::Part`] when the id holds a character that an address cannot.
    pub fn new(tenant: &TenantId, kind: Kind, id: &str) -> Result<Self, AddressError> {
        Self::build(tenant.clone(), kind.platform, kind.name, id)
    }

    fn build(tenant: TenantId, platform: &str, kind: &str, id: &str) -> Result<Self, AddressError> {
        for part in [platform, kind, id] {
            if !is_part(part) {
                return Err(AddressError::Part { part: part.chars().take(64).collect() });
            }
        }
        let text = format!("{tenant}/{platform}/{kind}/{id}");
        let first = tenant.as_str().len();
        let second = first + 1 + platform.len();
        let third = second + 1 + kind.len();
        let hash = stable_hash(text.as_bytes());
        Ok(Self(Arc::new(Inner { text: text.into_boxed_str(), tenant, cuts: [first, second, third], hash })))
    }

    /// The tenant that owns the entity.
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// The platform's token.
    pub fn platform(&self) -> &str {
        self.part(self.0.cuts[0] + 1, self.0.cuts[1])
    }

    /// The aggregate's name.
    pub fn kind(&self) -> &str {
        self.part(self.0.cuts[1] + 1, self.0.cuts[2])
    }

    /// The entity's own id.
    pub fn id(&self) -> &str {
        self.part(self.0.cuts[2] + 1, self.0.text.len())
    }

    /// Whether it names an entity of this kind.
    pub fn is(&self, kind: Kind) -> bool {
        self.platform() == kind.platform && self.kind() == kind.name
    }

    /// The whole address as text.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The shard that it falls into.
    pub fn shard(&self) -> Shard {
        Shard((self.0.hash % u64::from(Shard::COUNT)) as u8)
    }

    fn part(&self, from: usize, to: usize) -> &str {
        self.0.text.get(from..to).unwrap_or_default()
    }
}

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 200
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'@'))
}

/// FNV-1a, 64 bits, with a final mix: the same on every machine and in every version.
///
/// **Source**: Fowler, Noll, Vo; the finalizer is the one of SplitMix64.
fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut parts = text.splitn(4, '/');
        let (Some(tenant), Some(platform), Some(kind), Some(id)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(AddressError::Parts(text.chars().take(64).collect()));
        };
        Self::build(TenantId::parse(tenant)?, platform, kind, id)
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.text == other.0.text
    }
}

impl Eq for Address {}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.text.cmp(&other.0.text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_four_parts() {
        let address: Address = "acme/control-plane/run/run-1".parse().unwrap();
        assert_eq!(address.tenant().as_str(), "acme");
        assert_eq!(address.platform(), "control-plane");
        assert_eq!(address.kind(), "run");
        assert_eq!(address.id(), "run-1");
        for bad in ["", "a", "a/b/c", "a/b/c/d/e", "A/b/c/d", "a/b//d", "a/b/c/d e"] {
            assert!(bad.parse::<Address>().is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn a_shard_never_moves() {
        // Written into every journal: a change of the hash would lose entities.
        let shard = |text: &str| text.parse::<Address>().unwrap().shard().number();
        assert_eq!(shard("default/control-plane/run/run-1"), SHARDS[0]);
        assert_eq!(shard("acme/governance/approval/a-1"), SHARDS[1]);
    }

    const SHARDS: [u8; 2] = [54, 45];
}
