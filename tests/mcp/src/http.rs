//! The server over streamable HTTP: an answer is one JSON body, or a stream of events when more is to be said.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use super::Server;

/// A server that listens. Dropping it, it takes no new connections.
pub struct Listening {
    /// Where.
    pub at: SocketAddr,
    /// What was sent in `authorization`, request by request.
    pub seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    server: Server,
    seen: Arc<Mutex<Vec<String>>>,
    elsewhere: Option<String>,
}

impl Listening {
    /// Serves a folder on a free port of this machine; at an address that only leads elsewhere when one is given.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn begin(folder: &Path, elsewhere: Option<String>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (at, seen) = (listener.local_addr()?, Arc::<Mutex<Vec<String>>>::default());
        let shared = Shared { server: Server::new(folder), seen: seen.clone(), elsewhere };
        let router = Router::new().route("/mcp", post(hear)).with_state(Arc::new(shared));
        let task = mesh_kernel::task::spawn("mcp-server", async move {
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { at, seen, task })
    }

    /// The address.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.at)
    }
}

async fn hear(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(elsewhere) = &shared.elsewhere {
        return Redirect::temporary(elsewhere).into_response();
    }
    let key = headers.get(header::AUTHORIZATION).and_then(|key| key.to_str().ok()).unwrap_or_default();
    shared.seen.lock().push(key.to_owned());
    let Ok(message) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let server = shared.server.clone();
    let answered = tokio::task::spawn_blocking(move || {
        let told = Mutex::new(Vec::new());
        let answer = server.hear(&message, &|said| told.lock().push(said));
        (answer, told.into_inner())
    });
    match answered.await {
        Ok((None, _)) | Err(_) => StatusCode::ACCEPTED.into_response(),
        Ok((Some(answer), told)) if told.is_empty() => axum::Json(answer).into_response(),
        Ok((Some(answer), told)) => {
            let events: String = told.iter().chain([&answer]).map(|said| format!("data: {said}\n\n")).collect();
            ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
        }
    }
}
