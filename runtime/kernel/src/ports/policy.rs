//! The policy port: may this principal do this?

use crate::envelope::{Address, Principal, TenantScope};

/// What is asked of the policy.
#[derive(Debug)]
pub struct Request<'a> {
    /// The tenant under which it would happen.
    pub scope: &'a TenantScope,
    /// Who asks.
    pub principal: &'a Principal,
    /// The command or query, VerbNoun.
    pub action: &'a str,
    /// The entity that it is for.
    pub resource: &'a Address,
}

/// What the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may; the text rides in the envelope and is recorded with what it let in.
    Allow {
        /// Which policy said so.
        policy: String,
    },
    /// It may not.
    Deny {
        /// Why, in words for the caller.
        reason: String,
    },
    /// Only after someone approved it.
    RequiresApproval {
        /// Which policy said so.
        policy: String,
    },
}

/// Decides in process; never waits.
pub trait Policy: Send + Sync + 'static {
    /// The decision for one request.
    fn decide(&self, request: &Request<'_>) -> Decision;
}
