//! The embedded engine passes the port's suite, on real files and on simulated ones.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use mesh_journal::{
    EmbeddedJournal, Options,
    conformance::{self, Engine},
    files::SimFiles,
};
use mesh_kernel::{
    BoxFuture,
    envelope::{TenantId, TenantScope},
    ports::Journal,
};
use parking_lot::Mutex;

struct OnDisk {
    folder: PathBuf,
    options: Options,
}

impl Engine for OnDisk {
    fn open<'a>(&'a self, store: &'a str) -> BoxFuture<'a, Arc<dyn Journal>> {
        let journal = EmbeddedJournal::open(&self.folder.join(store), self.options.clone()).unwrap();
        Box::pin(std::future::ready(journal as Arc<dyn Journal>))
    }

    fn scope(&self, tenant: TenantId) -> TenantScope {
        TenantScope::unproven(tenant)
    }
}

#[derive(Default)]
struct Simulated {
    stores: Mutex<HashMap<String, SimFiles>>,
}

impl Engine for Simulated {
    fn open<'a>(&'a self, store: &'a str) -> BoxFuture<'a, Arc<dyn Journal>> {
        let files = self.stores.lock().entry(store.to_owned()).or_default().clone();
        let journal = EmbeddedJournal::open_on(Arc::new(files), Options::simulation()).unwrap();
        Box::pin(std::future::ready(journal as Arc<dyn Journal>))
    }

    fn scope(&self, tenant: TenantId) -> TenantScope {
        TenantScope::unproven(tenant)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_engine_keeps_the_promises_of_the_port() {
    let folder = tempfile::tempdir().unwrap();
    conformance::run(&OnDisk { folder: folder.path().to_owned(), options: Options::default() }).await;
}

#[tokio::test]
async fn it_keeps_them_with_small_segments_as_well() {
    conformance::run(&Simulated::default()).await;
}
