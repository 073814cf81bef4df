//! Where a product's files lie in the data folder. One place says it.

use std::path::{Path, PathBuf};

use mesh_kernel::envelope::{IdempotencyKey, TenantScope};

use crate::contract::Failure;

/// The files of one product of one tenant: `tenants/TENANT/products/NAME/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The place of a tenant's product below the data folder. Nothing is made.
    ///
    /// # Errors
    /// A validation failure when the name is no slug, so that no name leaves the folder.
    pub fn of(data: &Path, scope: &TenantScope, product: &str) -> Result<Self, Failure> {
        let slug = !product.is_empty()
            && product.len() <= 63
            && !product.starts_with('-')
            && product.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
        if !slug {
            let shown: String = product.chars().take(64).collect();
            return Err(Failure::validation(
                "product.name",
                format!("`{shown}` is no product name: 1 to 63 lower-case letters, digits, `-` and `_` are expected"),
            ));
        }
        let root = data.join("tenants").join(scope.tenant().as_str()).join("products").join(product);
        Ok(Self { root })
    }

    /// Everything of the product.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was rendered, by the digest of the rendered files.
    pub fn rendered(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        let safe: String = hex.chars().filter(char::is_ascii_hexdigit).collect();
        self.root.join("rendered").join(safe)
    }

    /// Names what was rendered last, for checks of what shall become part of it.
    pub fn latest(&self) -> PathBuf {
        self.root.join("rendered").join("latest")
    }

    /// Where the call of this key renders, before that is moved into place.
    pub fn staging(&self, key: &IdempotencyKey) -> PathBuf {
        self.root.join(format!("rendering-{}", key.as_str().replace([':', '.'], "-")))
    }

    /// The bare repository; `git clone` takes it.
    pub fn repository(&self) -> PathBuf {
        self.root.join("repository.git")
    }

    /// The folder in which commits are built: `source/` and `target/`.
    pub fn build(&self) -> PathBuf {
        self.root.join("build")
    }

    /// The programs of a commit, apart from the build, so that a build never writes what runs.
    pub fn release(&self, commit: &str) -> PathBuf {
        let safe: String = commit.chars().filter(char::is_ascii_hexdigit).collect();
        self.root.join("releases").join(safe)
    }

    /// The product's own data: its tenants' files.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Lock, record and output of its process.
    pub fn process(&self) -> PathBuf {
        self.root.join("process")
    }

    /// Home and temporary folder of the processes that build it.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::scope;

    #[test]
    fn no_name_leaves_the_tenants_products() {
        let data = Path::new("/data");
        for bad in ["", "..", "a/b", "/etc", "A", "a b", "-a", "ä", &"x".repeat(64)] {
            assert!(Layout::of(data, &scope("acme"), bad).is_err(), "`{bad}` was taken");
        }
        let layout = Layout::of(data, &scope("acme"), "help-desk").unwrap();
        assert_eq!(layout.root(), Path::new("/data/tenants/acme/products/help-desk"));
        assert_eq!(layout.rendered("sha256:../ab"), layout.root().join("rendered/ab"));
        assert_eq!(layout.release("../../ab"), layout.root().join("releases/ab"));
    }
}
