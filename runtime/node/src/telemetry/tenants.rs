//! Which tenants are named in figures: a bounded number, and the rest together.

use std::collections::BTreeSet;

use mesh_kernel::envelope::TenantId;
use parking_lot::Mutex;

/// What all tenants that are not named are called: in a way that no tenant can be.
const OTHERS: &str = "_other";

/// The tenants that have a label of their own.
///
/// The first ones that had traffic, for as long as the process lives: a tenant that moved between a
/// label of its own and the common one would make sums go down.
#[derive(Debug)]
pub(super) struct Named {
    max: usize,
    named: Mutex<BTreeSet<TenantId>>,
}

impl Named {
    /// At most `max` names.
    pub(super) fn new(max: usize) -> Self {
        Self { max, named: Mutex::default() }
    }

    /// The label of this tenant.
    pub(super) fn label<'t>(&self, tenant: &'t TenantId) -> &'t str {
        let mut named = self.named.lock();
        if !named.contains(tenant) {
            if named.len() >= self.max {
                return OTHERS;
            }
            named.insert(tenant.clone());
        }
        tenant.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_tenants_are_named_than_allowed_and_none_loses_its_name() {
        let named = Named::new(2);
        let [a, b, c] = ["aaa", "bbb", "ccc"].map(|name| TenantId::parse(name).unwrap());
        assert_eq!([&a, &b, &c, &a].map(|tenant| named.label(tenant)), ["aaa", "bbb", OTHERS, "aaa"]);
        assert!(TenantId::parse(OTHERS).is_err(), "a tenant can be called so");
    }
}
