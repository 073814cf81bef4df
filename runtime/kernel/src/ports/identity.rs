//! The authenticator port: from a credential to a tenant and a principal.

use crate::envelope::{Principal, Refusal, TenantId};

/// What a caller presented.
#[derive(Clone)]
pub enum Credential {
    /// An API key, as in `authorization: Bearer …`.
    ApiKey(String),
    /// A session that a single-use log-in token was traded for.
    Session(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ApiKey(_) => f.write_str("ApiKey(…)"),
            Self::Session(_) => f.write_str("Session(…)"),
        }
    }
}

/// What a credential proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The tenant that the credential belongs to.
    pub tenant: TenantId,
    /// Who it is, with roles.
    pub principal: Principal,
}

/// Turns credentials into identities.
pub trait Authenticator: Send + Sync + 'static {
    /// Who presents this credential.
    ///
    /// # Errors
    /// A refusal of kind `Unauthenticated` that does not say which part was wrong.
    fn authenticate(&self, credential: &Credential) -> Result<Identity, Refusal>;
}
