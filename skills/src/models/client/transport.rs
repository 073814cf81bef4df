//! Requests to endpoints and the bytes that come back: the one place below which there is a network,
//! and above which nobody can tell an endpoint from a cassette.
//!
//! INVARIANT: a request is sent at most once. No retries, no redirects; whoever asks again does so
//! by another call, which is journaled before.

use std::{collections::BTreeMap, time::Duration};

use crate::models::{
    Fault,
    cassette::{Asked, Cassette, Found},
    reply::{Body, Reply, told},
    trouble::Trouble,
};

/// Below what servers keep idle connections for, or a request meets one that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// A request on its way out.
pub(super) struct Outgoing {
    pub(super) request: reqwest::Request,
    /// How long connecting may take.
    pub(super) connect: Duration,
    /// The task for which it is sent.
    pub(super) task: String,
    /// The endpoint's name and the model.
    pub(super) to: (String, String),
    /// The endpoint's key, which no cassette may hold.
    pub(super) key: String,
}

/// The connections of the node, kept open between calls.
pub(super) struct Transport {
    /// By how long connecting may take: in most nodes one.
    clients: BTreeMap<Duration, Result<reqwest::Client, String>>,
    cassette: Option<Cassette>,
}

impl Transport {
    pub(super) fn new(connects: impl IntoIterator<Item = Duration>, cassette: Option<Cassette>) -> Self {
        // Somebody else may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clients = connects.into_iter().map(|connect| (connect, client(connect).map_err(told)));
        Self { clients: clients.collect(), cassette }
    }

    /// A client of this node, for building requests.
    pub(super) fn client(&self, connect: Duration) -> Result<&reqwest::Client, Trouble> {
        match self.clients.get(&connect) {
            Some(Ok(client)) => Ok(client),
            Some(Err(error)) => Err(Trouble::new(Fault::Connect, format!("no connection can be made: {error}"))),
            None => Err(Trouble::new(Fault::Performer, "no connections for this connect timeout")),
        }
    }

    /// Sends a request once and waits for the head of the answer; or plays what was recorded.
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<Reply, Trouble> {
        let Some(cassette) = &self.cassette else { return self.live(outgoing).await };
        let body = outgoing.request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let found = cassette.find(Asked {
            path: outgoing.request.url().path(),
            body,
            task: &outgoing.task,
            endpoint: &outgoing.to.0,
            model: &outgoing.to.1,
            secret: &outgoing.key,
        })?;
        match found {
            Found::Recorded(reply) => Ok(*reply),
            Found::Sent(mut recorder) => {
                let reply = self.live(outgoing).await?;
                recorder.head(reply.status, &reply.headers);
                Ok(reply.taped(recorder))
            }
        }
    }

    async fn live(&self, outgoing: Outgoing) -> Result<Reply, Trouble> {
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
