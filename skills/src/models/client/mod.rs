//! Asks endpoints: builds the request, sends it once, reads the answer to its end.
//!
//! async-openai knows addresses, keys, paths and how a request is built; it is asked for `Value`s
//! only (its typed answers refuse most servers that are merely compatible), its retries are replaced
//! by a transport that sends once, and the answer's bytes are read by us ([`reading`] says why).

mod assembler;
mod body;
mod embed;
mod endpoint;
mod later;
mod reading;
mod refused;
mod sending;
mod sse;
mod transport;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mesh_kernel::ports::Clock;
use tokio::time::{Instant, timeout_at};

use self::{
    assembler::Assembler,
    reading::{Form, Reading, form, refusal, too_slow},
    transport::Transport,
};
use super::{
    Fault, ModelCall,
    cassette::Cassette,
    chat::Answer,
    config::{Candidate, Config, Endpoint, Text},
    reply::Reply,
    trouble::Trouble,
};

pub(super) use self::{body::input_estimate, endpoint::Resolved};

/// Asks the endpoints of a configuration.
pub(super) struct Client {
    config: Config,
    endpoints: BTreeMap<String, Result<Resolved, String>>,
    models: BTreeMap<String, String>,
    transport: Arc<Transport>,
    clock: Arc<dyn Clock>,
}

/// Where a call goes.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) endpoint: &'a Resolved,
    pub(super) model: &'a str,
    candidate: &'a Candidate,
}

/// An answer and how long it took.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) answer: Answer,
    pub(super) took: Duration,
    pub(super) first_token: Option<Duration>,
}

impl Client {
    /// A client of these endpoints, or of a cassette; `env` looks up environment variables, once.
    pub(super) fn new(
        config: Config,
        env: &dyn Fn(&str) -> Option<String>,
        clock: Arc<dyn Clock>,
        cassette: Option<Cassette>,
    ) -> Self {
        let is_closed = cassette.as_ref().is_some_and(Cassette::is_closed);
        let resolve = |(name, settings): (&String, &Endpoint)| {
            // What is only replayed needs neither address nor key.
            let endpoint = if is_closed { endpoint::nowhere(settings) } else { settings.clone() };
            (name.clone(), endpoint::resolve(name, &endpoint, env))
        };
        let models = config.classes.values().flatten().filter_map(|candidate| match &candidate.model {
            Text::From(variable) => Some((variable.clone(), endpoint::text(&candidate.model, env)?)),
            Text::Given(_) => None,
        });
        let connects = config.endpoints.values().map(|endpoint| endpoint.timeouts.connect);
        Self {
            endpoints: config.endpoints.iter().map(resolve).collect(),
            models: models.collect(),
            transport: Arc::new(Transport::new(connects, cassette)),
            clock,
            config,
        }
    }

    /// What it was made of.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Where a call goes by its class and candidate.
    pub(super) fn place(&self, class: &str, candidate: u32) -> Result<Place<'_>, Trouble> {
        let candidates = self.config.candidates(class);
        let Some(candidate) = usize::try_from(candidate).ok().and_then(|place| candidates.get(place)) else {
            let has = candidates.len();
            let message =
                format!("the class `{class}` has {has} candidates, and number {candidate} (from 0) is wanted");
            return Err(Trouble::new(Fault::NoCandidate, message));
        };
        let endpoint = match self.endpoints.get(&candidate.endpoint) {
            Some(Ok(endpoint)) => endpoint,
            Some(Err(why)) => return Err(Trouble::new(Fault::NoEndpoint, why)),
            None => return Err(Trouble::new(Fault::NoEndpoint, format!("no endpoint `{}`", candidate.endpoint))),
        };
        let model = match &candidate.model {
            Text::Given(model) => model,
            Text::From(variable) => self.models.get(variable).ok_or_else(|| {
                let message = format!("the model is not set: set `{variable}` to its name");
                Trouble::new(Fault::NoEndpoint, message)
            })?,
        };
        Ok(Place { name: &candidate.endpoint, endpoint, model, candidate })
    }

    /// Asks once and reads the answer to its end; `on_text` is given the text as it comes.
    ///
    /// **Cancel safety**: dropping it closes the connection, which ends the generation.
    pub(super) async fn ask(
        &self,
        place: &Place<'_>,
        call: &ModelCall,
        on_text: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Done, Trouble> {
        let settings = &place.endpoint.settings;
        let body = body::of(&call.request, settings, place.model, &place.candidate.extra);
        let started = Instant::now();
        let (patience, fault) = if settings.stream && settings.timeouts.first_token < settings.timeouts.total {
            (settings.timeouts.first_token, Fault::TimeoutFirstToken)
        } else {
            (settings.timeouts.total, Fault::TimeoutTotal)
        };
        let reply = timeout_at(started + patience, self.send(place, &call.into(), &body))
            .await
            .unwrap_or_else(|_| Err(too_slow(fault, &settings.timeouts)))?;
        let reply = self.accepted(reply, settings).await?;
        let assembler = Assembler::new(input_estimate(&call.request));
        let reading = Reading::new(started, settings.timeouts, assembler, on_text);
        let (answer, first_token) = match form(&reply.headers, settings.stream)? {
            Form::Stream => reading.stream(reply.body).await?,
            Form::Json => (reading.json(reply.body).await?, None),
        };
        Ok(Done { answer, took: started.elapsed(), first_token })
    }

    /// The reply, unless it is a refusal.
    async fn accepted(&self, reply: Reply, settings: &Endpoint) -> Result<Reply, Trouble> {
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        let said = refusal(reply.body, Instant::now() + settings.timeouts.idle).await;
        Err(refused::by_status(reply.status, &reply.headers, &said, self.clock.now()))
    }
}
