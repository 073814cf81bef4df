//! The eight steps as an observer sees them. Alone in its process, for the subscriber is the process's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that fails shall panic, and its tasks end with it"
)]

mod support;

use std::sync::{Arc, Mutex};

use mesh_kernel::path::Settings;
use support::{Ask, Kernel, address, ask, until};
use tracing_subscriber::{Layer, layer::SubscriberExt};

/// Keeps the names of the path's spans in the order in which they were made.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<&'static str>>>);

impl<S: tracing::Subscriber> Layer<S> for Names {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _id: &tracing::span::Id,
        _context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        if attributes.metadata().target() == "mesh::path" {
            self.0.lock().unwrap().push(attributes.metadata().name());
        }
    }
}

#[test]
fn an_envelope_takes_the_eight_steps_in_order_and_leaves_no_span_when_it_is_not_sampled() {
    let names = Names::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(names.clone())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let kernel = Kernel::start(folder.path()).await;
        let caller = kernel.caller("acme:admin");
        let reply = kernel.mesh.send(&caller, ask("acme", "spans", &Ask::AddCount { by: 2 })).await.unwrap();
        assert_eq!(reply.version, 1);
        until("the last step", || names.0.lock().unwrap().last() == Some(&"announce")).await;
        let steps = ["accept", "admit", "route", "deliver", "decide", "record", "apply", "announce"];
        assert_eq!(*names.0.lock().unwrap(), steps);
        names.0.lock().unwrap().clear();
        // A query takes the first two and reads; it never enters a mailbox.
        let seen = kernel.mesh.query(&caller, &address("acme", "spans"), "GetCounter", "").await.unwrap();
        assert_eq!(seen.view["count"], 2);
        assert!(names.0.lock().unwrap().iter().all(|name| *name == "admit"));
        drop(kernel);

        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { sample_one_in: 0, ..Settings::default() };
        let unsampled = Kernel::start_with(folder.path(), settings).await;
        names.0.lock().unwrap().clear();
        let caller = unsampled.caller("acme:admin");
        let before = unsampled.mesh.send(&caller, ask("acme", "spans", &Ask::AddCount { by: 2 })).await.unwrap();
        // When the second is answered, the first was announced.
        let reply = unsampled.mesh.send(&caller, ask("acme", "spans", &Ask::AddCount { by: 2 })).await.unwrap();
        assert_eq!((before.version, reply.version), (1, 2));
        assert_eq!(*names.0.lock().unwrap(), [""; 0]);
    });
}
