//! Requests to endpoints and the bytes that come back: the one place below which there is a network,
//! and above which nobody can tell an endpoint from a cassette.
//!
//! INVARIANT: a request is sent at most once. No retries, no redirects; whoever asks again does so
//! by another call, which is journaled before.

use std::{collections::BTreeMap, error::Error as _, time::Duration};

use bytes::Bytes;
use hyper::header::HeaderMap;

use super::trouble::Trouble;
use crate::models::Fault;

/// Below what servers keep idle connections for, or a request meets one that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// A request on its way out.
pub(in crate::models) struct Outgoing {
    pub(in crate::models) request: reqwest::Request,
    /// How long connecting may take.
    pub(in crate::models) connect: Duration,
}

/// What came back; the body is still on its way.
pub(in crate::models) struct Reply {
    pub(in crate::models) status: u16,
    pub(in crate::models) headers: HeaderMap,
    pub(in crate::models) body: Body,
}

/// A body that is read piece by piece, so that a slow reader slows the sender.
pub(in crate::models) enum Body {
    /// From an endpoint.
    Live(reqwest::Response),
}

impl Body {
    /// The next bytes; none at the end.
    ///
    /// **Cancel safety**: no bytes are lost when it is dropped while it waits.
    pub(in crate::models) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        match self {
            Self::Live(response) => response.chunk().await.map_err(|error| {
                Trouble::new(Fault::CutOff, format!("the connection broke within the answer: {}", told(error)))
            }),
        }
    }
}

/// The connections of the node, kept open between calls.
pub(in crate::models) struct Transport {
    /// By how long connecting may take: in most nodes one.
    clients: BTreeMap<Duration, Result<reqwest::Client, String>>,
}

impl Transport {
    pub(in crate::models) fn new(connects: impl IntoIterator<Item = Duration>) -> Self {
        // Somebody else may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clients = connects.into_iter().map(|connect| (connect, client(connect).map_err(told)));
        Self { clients: clients.collect() }
    }

    /// A client of this node, for building requests.
    pub(super) fn client(&self, connect: Duration) -> Result<&reqwest::Client, Trouble> {
        match self.clients.get(&connect) {
            Some(Ok(client)) => Ok(client),
            Some(Err(error)) => Err(Trouble::new(Fault::Connect, format!("no connection can be made: {error}"))),
            None => Err(Trouble::new(Fault::Performer, "no connections for this connect timeout")),
        }
    }

    /// Sends a request once and waits for the head of the answer.
    pub(in crate::models) async fn send(&self, outgoing: Outgoing) -> Result<Reply, Trouble> {
        let response = self.client(outgoing.connect)?.execute(outgoing.request).await.map_err(|error| {
            // Nothing was sent before there was a connection.
            let (fault, what) = if error.is_connect() {
                (Fault::Connect, "no connection to the endpoint")
            } else {
                (Fault::CutOff, "the connection broke before the answer began")
            };
            Trouble::new(fault, format!("{what}: {}", told(error)))
        })?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, body: Body::Live(response) })
    }
}

fn client(connect: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .retry(reqwest::retry::never())
        // A redirect would send the conversation, and perhaps the key, to somebody else.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true)
        .build()
}

/// An error and its causes, without the address: that may hold a secret.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
