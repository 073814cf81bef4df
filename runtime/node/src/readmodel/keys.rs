//! Who presents this credential: the authenticator, answered from memory.
//!
//! The ring holds SHA-256 hashes and never a secret. The projection feeds it after each transaction
//! and fills it from the read model when the node starts; so a revoked key stops within the time
//! that the projection needs to see the revocation.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use mesh_kernel::{
    envelope::{ErrorKind, Principal, Refusal, Role, TenantId},
    ports::{Authenticator, Credential, Digest, Identity},
};
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::login::LoginTokens;

/// One key that is accepted, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub roles: Vec<Role>,
}

/// Every key that is accepted now. Shared between the projection, which feeds it, and [`Keys`].
#[derive(Debug, Default)]
pub struct KeyRing(RwLock<Ring>, Notify);

#[derive(Debug, Default)]
struct Ring {
    by_hash: HashMap<Digest, Held>,
    names: HashSet<(TenantId, String)>,
    disabled: HashSet<TenantId>,
    deleting: BTreeSet<TenantId>,
}

/// A change of the ring, made after the transaction that stored it.
#[derive(Debug, Clone)]
pub(super) enum KeyChange {
    Issued(Digest, Held),
    Revoked(Digest),
    Disabled(TenantId),
    Enabled(TenantId),
    Deleted(TenantId),
}

impl KeyRing {
    pub(super) fn change(&self, changes: Vec<KeyChange>) {
        if changes.is_empty() {
            return;
        }
        let mut ring = self.0.write();
        for change in changes {
            if matches!(change, KeyChange::Deleted(_)) {
                self.1.notify_one();
            }
            ring.change(change);
        }
    }

    pub(super) fn clear(&self) {
        *self.0.write() = Ring::default();
    }

    /// Tenants whose deletion was asked for.
    pub(super) fn deleting(&self) -> BTreeSet<TenantId> {
        self.0.read().deleting.clone()
    }

    /// Waits until one more deletion was asked for.
    pub(super) async fn deletion(&self) {
        self.1.notified().await;
    }

    pub(super) fn is_deleted(&self, tenant: &TenantId) {
        self.0.write().deleting.remove(tenant);
    }

    fn by_hash(&self, hash: &Digest) -> Option<Identity> {
        let ring = self.0.read();
        let held = ring.by_hash.get(hash)?;
        (!ring.disabled.contains(&held.tenant)).then(|| held.identity())
    }

    /// Whether the key behind an identity is still accepted: a session ends with its key.
    fn stands(&self, identity: &Identity) -> bool {
        let ring = self.0.read();
        let name = identity.principal.name.clone();
        !ring.disabled.contains(&identity.tenant) && ring.names.contains(&(identity.tenant.clone(), name))
    }
}

impl Ring {
    fn change(&mut self, change: KeyChange) {
        match change {
            KeyChange::Issued(hash, held) => {
                self.names.insert((held.tenant.clone(), held.principal()));
                self.by_hash.insert(hash, held);
            }
            KeyChange::Revoked(hash) => {
                if let Some(held) = self.by_hash.remove(&hash) {
                    let same = |other: &Held| other.tenant == held.tenant && other.name == held.name;
                    if !self.by_hash.values().any(same) {
                        self.names.remove(&(held.tenant.clone(), held.principal()));
                    }
                }
            }
            KeyChange::Disabled(tenant) => {
                self.disabled.insert(tenant);
            }
            KeyChange::Enabled(tenant) => {
                self.disabled.remove(&tenant);
            }
            KeyChange::Deleted(tenant) => {
                self.by_hash.retain(|_, held| held.tenant != tenant);
                self.names.retain(|(of, _)| *of != tenant);
                self.disabled.remove(&tenant);
                self.deleting.insert(tenant);
            }
        }
    }
}

impl Held {
    fn principal(&self) -> String {
        format!("key:{}", self.name)
    }

    fn identity(&self) -> Identity {
        Identity {
            tenant: self.tenant.clone(),
            principal: Principal { name: self.principal(), roles: self.roles.clone(), on_behalf_of: None },
        }
    }
}

/// The authenticator: keys by their hash, sessions by what they were traded for.
#[derive(Clone)]
pub struct Keys {
    ring: Arc<KeyRing>,
    logins: Arc<LoginTokens>,
}

impl Keys {
    /// An authenticator over the ring that a projection feeds.
    pub fn new(ring: Arc<KeyRing>, logins: Arc<LoginTokens>) -> Self {
        Self { ring, logins }
    }
}

impl Authenticator for Keys {
    fn authenticate(&self, credential: &Credential) -> Result<Identity, Refusal> {
        let identity = match credential {
            Credential::ApiKey(secret) => self.ring.by_hash(&Digest::of(secret.as_bytes())),
            Credential::Session(session) => self.logins.session(session).filter(|identity| self.ring.stands(identity)),
        };
        identity.ok_or_else(unknown)
    }
}

/// The same words for every wrong credential: what was wrong with it is nobody's business.
fn unknown() -> Refusal {
    Refusal::new(
        "KEY-0001",
        ErrorKind::Unauthenticated,
        "the credential is not accepted: present an API key as `authorization: Bearer …` \
         (the command line takes it from `MESH_API_KEY` or from the data folder)",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::login::tests::{TestClock, logins};
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn held(tenant_name: &str, name: &str) -> Held {
        Held { tenant: tenant(tenant_name), name: name.to_owned(), roles: vec![Role::Admin] }
    }

    fn keys() -> (Arc<KeyRing>, Arc<LoginTokens>, Keys, Arc<TestClock>) {
        let (logins, clock) = logins(Duration::from_secs(60), Duration::from_secs(600));
        let ring = Arc::new(KeyRing::default());
        let logins = Arc::new(logins);
        (ring.clone(), logins.clone(), Keys::new(ring, logins), clock)
    }

    fn api_key(secret: &str) -> Credential {
        Credential::ApiKey(secret.to_owned())
    }

    #[test]
    fn a_key_is_accepted_until_it_is_revoked() {
        let (ring, _, keys, _) = keys();
        let hash = Digest::of(b"secret");
        assert!(keys.authenticate(&api_key("secret")).is_err());
        ring.change(vec![KeyChange::Issued(hash, held("acme", "ci"))]);
        let identity = keys.authenticate(&api_key("secret")).unwrap();
        assert_eq!((identity.tenant.as_str(), identity.principal.name.as_str()), ("acme", "key:ci"));
        assert!(keys.authenticate(&api_key("Secret")).is_err());
        ring.change(vec![KeyChange::Revoked(hash)]);
        assert_eq!(keys.authenticate(&api_key("secret")).unwrap_err().kind, ErrorKind::Unauthenticated);
    }

    #[test]
    fn a_disabled_tenant_takes_its_keys_along_and_no_others() {
        let (ring, _, keys, _) = keys();
        ring.change(vec![
            KeyChange::Issued(Digest::of(b"a"), held("acme", "ci")),
            KeyChange::Issued(Digest::of(b"b"), held("beta", "ci")),
            KeyChange::Disabled(tenant("acme")),
        ]);
        assert!(keys.authenticate(&api_key("a")).is_err());
        assert!(keys.authenticate(&api_key("b")).is_ok());
        ring.change(vec![KeyChange::Enabled(tenant("acme"))]);
        assert!(keys.authenticate(&api_key("a")).is_ok());
    }

    #[test]
    fn a_deleted_tenant_takes_its_keys_along_for_good_and_no_others() {
        let (ring, logins, keys, _) = keys();
        ring.change(vec![
            KeyChange::Issued(Digest::of(b"a"), held("acme", "ci")),
            KeyChange::Issued(Digest::of(b"b"), held("beta", "ci")),
        ]);
        let token = logins.issue(keys.authenticate(&api_key("a")).unwrap());
        let (session, _) = logins.redeem(&token).unwrap();
        ring.change(vec![KeyChange::Deleted(tenant("acme")), KeyChange::Enabled(tenant("acme"))]);
        assert!(keys.authenticate(&api_key("a")).is_err() && keys.authenticate(&Credential::Session(session)).is_err());
        assert!(keys.authenticate(&api_key("b")).is_ok());
        assert_eq!(ring.deleting().into_iter().collect::<Vec<_>>(), [tenant("acme")]);
    }

    #[test]
    fn a_session_ends_with_the_key_that_it_came_from() {
        let (ring, logins, keys, _) = keys();
        let hash = Digest::of(b"a");
        ring.change(vec![KeyChange::Issued(hash, held("acme", "ci"))]);
        let token = logins.issue(keys.authenticate(&api_key("a")).unwrap());
        let (session, _) = logins.redeem(&token).unwrap();
        let session = Credential::Session(session);
        assert_eq!(keys.authenticate(&session).unwrap().tenant.as_str(), "acme");
        ring.change(vec![KeyChange::Revoked(hash)]);
        assert!(keys.authenticate(&session).is_err());
    }

    #[test]
    fn a_name_stands_while_one_of_its_keys_does() {
        let (ring, logins, keys, _) = keys();
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        ring.change(vec![KeyChange::Issued(old, held("acme", "ci")), KeyChange::Issued(new, held("acme", "ci"))]);
        let token = logins.issue(keys.authenticate(&api_key("old")).unwrap());
        let (session, _) = logins.redeem(&token).unwrap();
        ring.change(vec![KeyChange::Revoked(old)]);
        assert!(keys.authenticate(&Credential::Session(session)).is_ok());
    }
}
