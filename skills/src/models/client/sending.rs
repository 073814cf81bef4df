//! Sends a request: async-openai builds it, the transport sends it, and the reply comes to us.

use std::sync::Arc;

use async_openai::{config::Config as Api, error::OpenAIError, middleware::HttpRequestFactory};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use mesh_kernel::envelope::hex;
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Client, Place, transport::Outgoing};
use crate::models::{Fault, ModelCall, reply::Reply, trouble::Trouble};

const ATTEMPT: HeaderName = HeaderName::from_static("x-client-request-id");
const IDEMPOTENCY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a request is for.
pub(super) struct Errand<'a> {
    pub(super) wants: Wants,
    pub(super) step_id: &'a str,
    pub(super) attempt_id: &'a str,
    pub(super) candidate: u32,
}

/// Which of an endpoint's services is asked.
#[derive(Clone, Copy)]
pub(super) enum Wants {
    Chat,
    Embeddings,
}

impl<'a> From<&'a ModelCall> for Errand<'a> {
    fn from(call: &'a ModelCall) -> Self {
        let ModelCall { step_id, attempt_id, candidate, .. } = call;
        Self { wants: Wants::Chat, step_id, attempt_id, candidate: *candidate }
    }
}

impl Client {
    /// Sends the request through async-openai and takes the reply out of its hands.
    pub(super) async fn send(&self, place: &Place<'_>, errand: &Errand<'_>, body: &Value) -> Result<Reply, Trouble> {
        let slot: Arc<Mutex<Option<Result<Reply, Trouble>>>> = Arc::default();
        let connect = place.endpoint.settings.timeouts.connect;
        let marks = Marks::of(place, errand)?;
        let (transport, filled) = (self.transport.clone(), slot.clone());
        let task = errand.step_id.split('/').next().unwrap_or_default().to_owned();
        let (to, key) = ((place.name.to_owned(), place.model.to_owned()), place.endpoint.key.clone());
        let service = tower::service_fn(move |factory: HttpRequestFactory| {
            let (transport, filled, marks) = (transport.clone(), filled.clone(), marks.clone());
            let (task, to, key) = (task.clone(), to.clone(), key.clone());
            async move {
                let mut request = factory.build().await?;
                marks.put(&mut request);
                let reply = transport.send(Outgoing { request, connect, task, to, key }).await;
                *filled.lock() = Some(reply);
                Ok::<_, OpenAIError>(nothing())
            }
        });
        let api: Arc<dyn Api> = place.endpoint.api.clone();
        let client =
            async_openai::Client::build(self.transport.client(connect)?.clone(), api).with_http_service(service);
        let sent = match errand.wants {
            Wants::Chat => client.chat().create_byot::<_, Value>(body).await,
            Wants::Embeddings => client.embeddings().create_byot::<_, Value>(body).await,
        };
        let reply = slot.lock().take();
        reply.unwrap_or_else(|| {
            let why = sent.err().map(|error| error.to_string()).unwrap_or_default();
            Err(Trouble::new(Fault::NoEndpoint, format!("the request cannot be built: {why}")))
        })
    }
}

/// The headers by which an attempt is known outside.
#[derive(Clone)]
struct Marks {
    attempt: HeaderValue,
    idempotency: HeaderValue,
    has_key: bool,
}

impl Marks {
    fn of(place: &Place<'_>, errand: &Errand<'_>) -> Result<Self, Trouble> {
        let attempt = HeaderValue::from_str(errand.attempt_id)
            .map_err(|_| Trouble::new(Fault::Performer, "the attempt's id holds signs that no header may hold"))?;
        let mut digest = Sha256::new();
        digest.update(errand.step_id.as_bytes());
        digest.update([0]);
        digest.update(errand.candidate.to_be_bytes());
        let key = hex::encode(&digest.finalize());
        let idempotency = HeaderValue::from_str(&key).unwrap_or(HeaderValue::from_static("none"));
        Ok(Self { attempt, idempotency, has_key: !place.endpoint.key.is_empty() })
    }

    fn put(self, request: &mut reqwest::Request) {
        let headers = request.headers_mut();
        headers.insert(ATTEMPT, self.attempt);
        headers.insert(IDEMPOTENCY, self.idempotency);
        if !self.has_key {
            headers.remove(AUTHORIZATION);
        } else if let Some(key) = headers.get_mut(AUTHORIZATION) {
            key.set_sensitive(true);
        }
    }
}

/// What async-openai is given to read in place of the answer.
fn nothing() -> reqwest::Response {
    hyper::Response::new("null").into()
}
