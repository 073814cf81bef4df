//! Pages: sizes within bounds, and tokens that nobody can read or use for another list.

use mesh_kernel::{
    envelope::{Refusal, TenantScope, hex},
    ports::Digest,
};

use super::{lists::PageRequest, status::refused_field};

/// Rows on a page when the request does not say.
const SIZE_DEFAULT: usize = 50;
/// Rows on a page at most.
const SIZE_MAX: usize = 500;
/// Bytes of the digest that binds a token to its list.
const BINDING_BYTES: usize = 8;

/// Which list a token belongs to: another tenant's, or the same with another filter, is another.
pub(super) struct Binding([u8; BINDING_BYTES]);

impl Binding {
    /// The list `list` of this tenant with this filter.
    pub(super) fn new(scope: &TenantScope, list: &str, filter: &str) -> Self {
        let text = format!("{}\n{list}\n{filter}", scope.tenant());
        let digest = Digest::of(text.as_bytes()).hex();
        let mut bytes = [0; BINDING_BYTES];
        for (to, from) in bytes.iter_mut().zip(digest.bytes()) {
            *to = from;
        }
        Self(bytes)
    }

    /// The page that a request asks for.
    ///
    /// # Errors
    /// A negative size, and a token that is not of this list.
    pub(super) fn request(&self, page_size: i32, page_token: &str) -> Result<PageRequest, Refusal> {
        Ok(PageRequest { size: size(page_size, SIZE_DEFAULT, SIZE_MAX)?, after: self.open(page_token)? })
    }

    /// The token of the page behind `key`; empty when there is none.
    pub(super) fn seal(&self, key: Option<&str>) -> String {
        key.map(|key| hex::encode(&[&self.0, key.as_bytes()].concat())).unwrap_or_default()
    }

    /// The key that [`Binding::seal`] was given.
    ///
    /// # Errors
    /// When the token is none of ours, or of another list.
    pub(super) fn open(&self, token: &str) -> Result<Option<String>, Refusal> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = hex::decode(token).unwrap_or_default();
        let key = bytes.strip_prefix(&self.0).and_then(|key| String::from_utf8(key.to_vec()).ok());
        key.map(Some).ok_or_else(|| {
            refused_field(
                "page_token",
                "not a token of this list: begin again without one, or keep the filter as it was",
            )
        })
    }
}

/// A page size within its bounds.
///
/// # Errors
/// When it is negative.
pub(super) fn size(asked: i32, default: usize, max: usize) -> Result<usize, Refusal> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(size) => Ok(size.min(max)),
        Err(_) => Err(refused_field("page_size", "must not be negative; 0 asks for the default")),
    }
}

#[cfg(test)]
mod tests {
    use mesh_kernel::envelope::TenantId;

    use super::*;

    fn binding(tenant: &str, filter: &str) -> Binding {
        let scope = TenantScope::unproven(TenantId::parse(tenant).unwrap());
        Binding::new(&scope, "runs", filter)
    }

    #[test]
    fn a_token_works_for_its_own_list_alone() {
        let token = binding("acme", "").seal(Some("2026|run-1"));
        assert_eq!(binding("acme", "").open(&token).unwrap().unwrap(), "2026|run-1");
        assert!(binding("zeta", "").open(&token).is_err());
        assert!(binding("acme", "state = FAILED").open(&token).is_err());
        for bad in ["x", "00", "zz", "é"] {
            assert!(binding("acme", "").open(bad).is_err(), "`{bad}` was taken");
        }
        assert_eq!(binding("acme", "").seal(None), "");
    }

    #[test]
    fn a_page_is_never_larger_than_its_bound() {
        for (asked, size) in [(0, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)] {
            assert_eq!(binding("acme", "").request(asked, "").unwrap().size, size);
        }
        assert!(binding("acme", "").request(-1, "").is_err());
    }
}
