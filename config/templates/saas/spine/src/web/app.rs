//! What all requests share.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use super::routes::{Route, Routes};
use crate::moment::{Clock, Moment};
use crate::store::lock;
use crate::{Error, Product, Store, pages};

/// Failed log-ins of one address before it must wait.
const FAILURES_MAX: u32 = 8;
/// How long it must wait, in seconds.
const WAIT_SECONDS: i64 = 15 * 60;
/// Most addresses whose failures are remembered.
const FAILURES_LEN_MAX: usize = 10_000;

/// A product that runs: its files, its clock, its routes.
#[derive(Debug)]
pub struct App {
    /// What it is.
    pub product: &'static Product,
    /// Its files.
    pub store: Store,
    /// Its clock.
    pub clock: Clock,
    /// Whether it is reached over HTTPS only, so that cookies may say so.
    pub https: bool,
    routes: Vec<Route>,
    failures: Mutex<HashMap<String, (u32, Moment)>>,
}

impl App {
    /// Opens a product's data folder.
    pub fn open(product: &'static Product, folder: &Path, clock: Clock, https: bool) -> Result<Self, Error> {
        let mut routes = Routes::default();
        pages::routes(&mut routes);
        (product.routes)(&mut routes);
        Ok(Self {
            product,
            store: Store::open(folder, product)?,
            clock,
            https,
            routes: routes.into_list(),
            failures: Mutex::new(HashMap::new()),
        })
    }

    /// Every route that is served, in the order of registration.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Refuses an address that has failed to log in too often of late.
    pub(crate) fn may_try(&self, email: &str) -> Result<(), Error> {
        let now = self.clock.now();
        let failures = lock(&self.failures);
        match failures.get(&email.to_lowercase()) {
            Some((count, until)) if *count >= FAILURES_MAX && *until > now => {
                let minutes = (until.0 - now.0) / 60 + 1;
                Err(Error::Throttled(u32::try_from(minutes).unwrap_or(1)))
            }
            _ => Ok(()),
        }
    }

    /// Remembers whether a log-in succeeded.
    pub(crate) fn tried(&self, email: &str, succeeded: bool) {
        let now = self.clock.now();
        let mut failures = lock(&self.failures);
        if succeeded {
            failures.remove(&email.to_lowercase());
            return;
        }
        if failures.len() >= FAILURES_LEN_MAX {
            failures.retain(|_, (_, until)| *until > now);
        }
        if failures.len() >= FAILURES_LEN_MAX {
            return;
        }
        let entry = failures.entry(email.to_lowercase()).or_insert((0, now));
        let count = if entry.1 < now { 1 } else { entry.0.saturating_add(1) };
        *entry = (count, now.plus(WAIT_SECONDS));
    }
}
