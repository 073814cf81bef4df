//! The proof that someone may touch a tenant's data.

use super::TenantId;

/// The right to read and write one tenant's data.
///
/// It has no public constructor: the kernel makes it in `accept` from what the authenticator
/// proved, and in `follow` and on waking from a journal record's key. A handler that has none
/// cannot reach a store.
///
/// ```compile_fail
/// use mesh_kernel::envelope::{TenantId, TenantScope};
/// let tenant = TenantId::parse("acme").unwrap();
/// let scope = TenantScope { tenant }; // private field: forging a scope does not compile
/// ```
///
/// ```compile_fail
/// use mesh_kernel::envelope::{TenantId, TenantScope};
/// let scope = TenantScope::proven(TenantId::parse("acme").unwrap()); // only the kernel calls this
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantScope {
    tenant: TenantId,
}

impl TenantScope {
    pub(crate) fn proven(tenant: TenantId) -> Self {
        Self { tenant }
    }

    /// A scope that nothing proved: for the tests of stores and performers, and for nothing else.
    #[cfg(feature = "test-support")]
    pub fn unproven(tenant: TenantId) -> Self {
        Self { tenant }
    }

    /// The tenant whose data may be touched.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Whether this scope covers `tenant`.
    pub fn covers(&self, tenant: &TenantId) -> bool {
        self.tenant == *tenant
    }
}
