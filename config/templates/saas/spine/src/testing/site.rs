//! A product that runs in a folder of its own, without a socket.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use tokio::runtime::Runtime;

use super::Browser;
use crate::moment::Clock;
use crate::web::{App, router};
use crate::{Error, Product, new_id};

/// The password of everyone in tests.
pub const PASSWORD: &str = "a sentence to remember";

/// A product that runs; its folder is removed with it.
pub struct Site {
    /// What all requests share.
    pub app: Arc<App>,
    router: Router,
    runtime: Arc<Runtime>,
    folder: PathBuf,
}

impl Site {
    /// Starts a product in a fresh folder.
    pub fn start(product: &'static Product) -> Result<Self, Error> {
        let folder = std::env::temp_dir().join(new_id(product.name));
        let app = Arc::new(App::open(product, &folder, Clock::System, false)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Self {
            router: router(Arc::clone(&app)),
            app,
            runtime: Arc::new(runtime),
            folder,
        })
    }

    /// A browser that nobody has logged in with.
    pub fn browser(&self) -> Browser {
        Browser::new(self.router.clone(), Arc::clone(&self.runtime))
    }

    /// A browser of a new tenant's administrator, whose address is `NAME@example.com`.
    pub fn sign_up(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let email = format!("{name}@example.com");
        let tenant = format!("Tenant of {name}");
        let form = [
            ("tenant", tenant.as_str()),
            ("name", name),
            ("email", &email),
            ("password", PASSWORD),
        ];
        browser.post("/sign-up", &form);
        browser
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A folder that stays behind in the system's temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
