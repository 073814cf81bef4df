//! The outside world: a server that remembers every effect that reached it.
//!
//! It lives in the test's own process, so it survives whatever happens to the node. It is the truth
//! about effects; the node's own counters are not asked.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use anyhow::Result;
use axum::{Router, extract::State, http::HeaderMap, routing::post};
use parking_lot::Mutex;
use tokio::sync::watch;

/// One request that reached the recorder.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its `Idempotency-Key`.
    pub key: String,
    /// When it came.
    pub came: SystemTime,
    /// When it was answered; `None` when the caller had gone.
    pub answered: Option<SystemTime>,
    /// Its body.
    pub body: serde_json::Value,
}

#[derive(Default)]
struct Shared {
    records: Mutex<Vec<Recorded>>,
    open: AtomicUsize,
    delay: Mutex<Duration>,
    failures: Mutex<HashMap<String, u32>>,
    held: watch::Sender<bool>,
}

/// The running recorder.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Recorder {
    /// Starts a recorder that answers after `delay`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(delay: Duration) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        *shared.delay.lock() = delay;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/effect", post(effect)).with_state(shared.clone());
        #[expect(clippy::disallowed_methods, reason = "the recorder belongs to the test, not to a kernel")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { shared, address })
    }

    /// Where effects are sent.
    pub fn url(&self) -> String {
        format!("http://{}/effect", self.address)
    }

    /// Requests that came and were not answered yet.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Everything that reached it so far.
    pub fn records(&self) -> Vec<Recorded> {
        self.shared.records.lock().clone()
    }

    /// Everything that reached it, by idempotency key.
    pub fn by_key(&self) -> HashMap<String, Vec<Recorded>> {
        let mut by_key: HashMap<String, Vec<Recorded>> = HashMap::new();
        for record in self.records() {
            by_key.entry(record.key.clone()).or_default().push(record);
        }
        by_key
    }

    /// Answers nobody until [`Recorder::release`].
    pub fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Answers everybody who was held back, and whoever comes.
    pub fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// Answers 503 to the next `times` requests whose body says `"name": name`.
    pub fn fail(&self, name: &str, times: u32) {
        self.shared.failures.lock().insert(name.to_owned(), times);
    }
}

/// Counts a request as open until it is answered or its caller has gone.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn effect(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<serde_json::Value>,
) -> (axum::http::StatusCode, axum::Json<serde_json::Value>) {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let index = {
        let mut records = shared.records.lock();
        records.push(Recorded { key: key.clone(), came: now(), answered: None, body: body.clone() });
        records.len() - 1
    };
    shared.open.fetch_add(1, Ordering::SeqCst);
    let _open = Open(shared.clone());
    let delay = *shared.delay.lock();
    tokio::time::sleep(delay).await;
    // The sender is in what this task holds: it cannot be gone.
    let _ = shared.held.subscribe().wait_for(|held| !held).await;
    if let Some(record) = shared.records.lock().get_mut(index) {
        record.answered = Some(now());
    }
    let name = body.get("name").and_then(|name| name.as_str()).unwrap_or_default();
    let mut failures = shared.failures.lock();
    if let Some(left) = failures.get_mut(name).filter(|left| **left > 0) {
        *left -= 1;
        return (axum::http::StatusCode::SERVICE_UNAVAILABLE, axum::Json(serde_json::json!({ "error": "not now" })));
    }
    (axum::http::StatusCode::OK, axum::Json(serde_json::json!({ "key": key, "count": index })))
}

#[expect(clippy::disallowed_methods, reason = "the recorder's times are compared with the history's")]
fn now() -> SystemTime {
    SystemTime::now()
}
