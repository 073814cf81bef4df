//! A product that runs in a folder of its own, without a socket.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{Answer, Browser};
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
    folder: Option<PathBuf>,
}

impl Site {
    /// Starts a product in a fresh folder.
    pub fn start(product: &'static Product) -> Result<Self, Error> {
        let folder = std::env::temp_dir().join(new_id(product.name));
        let mut site = Self::of(App::open(product, &folder, Clock::System, false)?)?;
        site.folder = Some(folder);
        Ok(site)
    }

    /// Serves an app whose folder the caller keeps.
    pub fn of(app: App) -> Result<Self, Error> {
        let app = Arc::new(app);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { router: router(Arc::clone(&app)), app, runtime: Arc::new(runtime), folder: None })
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
        let form = [("tenant", tenant.as_str()), ("name", name), ("email", &email), ("password", PASSWORD)];
        browser.post("/sign-up", &form);
        browser
    }

    /// A browser that somebody who has an account has logged in with.
    pub fn browser_of(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let email = format!("{name}@example.com");
        browser.post("/log-in", &[("email", &email), ("password", PASSWORD)]);
        browser
    }

    /// A program's way in for the administrator of a new tenant.
    pub fn program(&self, name: &str) -> Program {
        self.sign_up(name);
        let mut browser = self.browser();
        let token = browser.token(&format!("{name}@example.com"));
        let me = browser.call(&token, "GET", "/api/me", &Value::Null).json();
        let me = me.get("person").and_then(Value::as_str).unwrap_or_default().to_owned();
        Program { browser, token, me }
    }
}

/// A program that uses the API as one person.
pub struct Program {
    browser: Browser,
    token: String,
    /// The id of the person.
    pub me: String,
}

impl Program {
    /// Sends a request.
    pub fn call(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        self.browser.call(&self.token, method, path, body)
    }

    /// The id of the first record of a list; empty when there is none.
    pub fn first(&mut self, path: &str) -> String {
        let list = self.call("GET", path, &Value::Null).json();
        let id = list.pointer("/items/0/id").and_then(Value::as_str);
        id.unwrap_or_default().to_owned()
    }

    /// Makes a record and returns its id, or the error as it came.
    pub fn make(&mut self, path: &str, body: &Value) -> Result<String, String> {
        let answer = self.call("POST", path, body);
        match answer.json().get("id").and_then(Value::as_str) {
            Some(id) => Ok(id.to_owned()),
            None => Err(answer.body),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A folder that stays behind in the system's temporary folder harms nobody.
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
