//! A scripted model server: an endpoint that speaks chat completions and embeddings over HTTP, and
//! answers, deviates and fails as it is told. For tests; it stands in for a paid service.
//!
//! | request | what it does |
//! | --- | --- |
//! | `POST /script` | sets the answers for a model (or all): [`Script`] |
//! | `POST /v1/chat/completions` | answers by the script; `deviate:…` and `fault:…` as a model's name choose one of [`DEVIATIONS`] and [`FAULTS`] |
//! | `POST /v1/embeddings` | a vector for each input, the same for the same text |
//! | `GET /seen` | `requests`: every chat and embeddings request so far, as [`Seen`]; `open`: how many answers are being written; `connections`: how many were made |
//!
//! A test of another package gives [`serve`] a listener of its own: the binary that such a test would
//! find may be an old one.
//!
//! Which answer of a script is given depends on the request alone (on how many assistant messages
//! it has), so that a client that was killed gets the same turn again.

mod chat;
mod deviate;
mod embeddings;
mod fault;
mod reply;
mod script;
mod seen;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{Method, Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use mesh_kernel::task;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

pub use self::{
    deviate::{DEVIATIONS, TEXT},
    fault::FAULTS,
    script::{Answer, Script, ToolCall},
    seen::Seen,
};
use self::{reply::Reply, script::Scripts};

/// What the server knows.
struct State {
    begun: Instant,
    scripts: Mutex<Scripts>,
    seen: Mutex<Vec<Seen>>,
    /// One more for each answer that is being written.
    open: Arc<()>,
    connections: AtomicUsize,
}

impl State {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            scripts: Mutex::default(),
            seen: Mutex::default(),
            open: Arc::default(),
            connections: AtomicUsize::new(0),
        })
    }
}

/// A server in the process of a test whose node is another one.
#[derive(Clone)]
pub struct Server {
    state: Arc<State>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts it on any port.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (state, address) = (State::new(), listener.local_addr()?);
        drop(task::spawn("model-server", accept(state.clone(), listener)));
        Ok(Self { state, address })
    }

    /// The base of its API.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Sets the answers for a model.
    pub fn script(&self, script: Script) {
        self.state.scripts.lock().set(script);
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().clone()
    }
}

/// Serves for as long as it is not dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    accept(State::new(), listener).await
}

async fn accept(state: Arc<State>, listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        state.connections.fetch_add(1, Ordering::Relaxed);
        drop(task::spawn("model-server", connection(state.clone(), stream)));
    }
}

async fn connection(state: Arc<State>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { answer(&state, request).await.into_response(&state.open).await }
    });
    // A client that goes away is its own business.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(state: &State, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Reply::Closed,
    };
    match (head.method, head.uri.path()) {
        (Method::POST, "/script") => match serde_json::from_slice::<Script>(&body) {
            Ok(script) => {
                state.scripts.lock().set(script);
                Reply::json(200, &json!({}))
            }
            Err(error) => Reply::json(400, &json!({"error": {"message": format!("no script: {error}")}})),
        },
        (Method::GET, "/seen") => {
            let open = Arc::strong_count(&state.open) - 1;
            let connections = state.connections.load(Ordering::Relaxed);
            Reply::json(200, &json!({"requests": *state.seen.lock(), "open": open, "connections": connections}))
        }
        (Method::POST, path) if path.ends_with("/chat/completions") => chat(state, &head.headers, &body),
        (Method::POST, path) if path.ends_with("/embeddings") => {
            see(state, &head.headers, &body, &json!({}));
            embeddings::answer(&body)
        }
        (method, path) => Reply::json(404, &json!({"error": {"message": format!("no {method} {path} here")}})),
    }
}

fn chat(state: &State, headers: &hyper::HeaderMap, body: &Bytes) -> Reply {
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return Reply::json(400, &json!({"error": {"message": "the body is not JSON"}}));
    };
    see(state, headers, body, &request);
    let model = request.get("model").and_then(Value::as_str).unwrap_or_default();
    let streams = request.get("stream").and_then(Value::as_bool).unwrap_or(false);
    if let Some(name) = model.strip_prefix("deviate:") {
        return deviate::reply(name, streams);
    }
    if let Some(name) = model.strip_prefix("fault:") {
        return fault::reply(name, headers);
    }
    let key = seen::header(headers, "idempotency-key");
    match state.scripts.lock().answer(&request, model, &key) {
        Ok(script::Turn::Answer(answer)) => chat::reply(&answer, model, streams),
        Ok(script::Turn::Fault(name)) => fault::reply(&name, headers),
        Err(message) => Reply::json(400, &json!({"error": {"message": message}})),
    }
}

fn see(state: &State, headers: &hyper::HeaderMap, body: &Bytes, request: &Value) {
    let seen = Seen::of(headers, body, request, state.begun.elapsed());
    state.seen.lock().push(seen);
}

/// How a connection ends without an answer.
type Closed = io::Error;

impl Reply {
    async fn into_response(self, open: &Arc<()>) -> Result<hyper::Response<reply::Body>, Closed> {
        match self {
            Self::Closed => Err(io::Error::other("closed without an answer, as told")),
            Self::Silent => std::future::pending::<Result<_, Infallible>>().await.map_err(|never| match never {}),
            Self::Answer { status, headers, pieces } => reply::response(status, headers, pieces, open),
        }
    }
}
