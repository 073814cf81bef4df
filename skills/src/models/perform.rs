//! The performer of model calls: from an entity's request to the command that tells its outcome.
//!
//! What is said is never logged, neither request nor answer; the library below logs bodies that it
//! cannot read under the target `async_openai`, which a node's subscriber turns off all the same
//! (`async_openai=off`), although no body of ours reaches it.
//!
//! Never here: retrying, or sending again what an earlier life may have sent.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mesh_kernel::{
    BoxFuture,
    entity::EffectRequest,
    envelope::TenantId,
    ports::{
        Clock, Effects, Outcome,
        effects::{Concurrency, EffectCall},
    },
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Amount, Bottomless, By, Config, EmbedCall, Embedded, Fault, HANDLER, MicroUnits, ModelCall, ModelOutcome,
    ModelResult, NoVectors, Price, Purse, Withheld,
    cassette::Cassette,
    chat::Usage,
    client::{Client, Done, Place, input_estimate},
    limits::{Gate, Permit},
    meter::{Asked, Meter, Operation},
    trouble::Trouble,
};

/// Sees the text of answers while they come, for whoever watches an agent work.
///
/// A later attempt begins anew: text of an attempt that failed is no part of any answer.
pub trait Watch: Send + Sync + 'static {
    /// The next piece of text. It must not wait.
    fn chunk(&self, effect: &EffectCall, call: &ModelCall, text: &str);
}

/// Nobody watches.
pub struct Silent;

impl Watch for Silent {
    fn chunk(&self, _: &EffectCall, _: &ModelCall, _: &str) {}
}

/// Performs the effects of handler `model`.
pub struct ModelEffects {
    client: Client,
    gates: BTreeMap<String, Arc<Gate>>,
    watch: Arc<dyn Watch>,
    purse: Arc<dyn Purse>,
    meter: Arc<Meter>,
}

impl ModelEffects {
    /// A performer with this configuration; `env` looks up environment variables, now and not later.
    pub fn new(config: Config, env: &dyn Fn(&str) -> Option<String>, clock: Arc<dyn Clock>) -> Self {
        Self::of(config, env, clock, None)
    }

    /// The same, with a cassette before the endpoints.
    pub fn with_cassette(
        config: Config,
        env: &dyn Fn(&str) -> Option<String>,
        clock: Arc<dyn Clock>,
        cassette: Cassette,
    ) -> Self {
        Self::of(config, env, clock, Some(cassette))
    }

    fn of(
        config: Config,
        env: &dyn Fn(&str) -> Option<String>,
        clock: Arc<dyn Clock>,
        cassette: Option<Cassette>,
    ) -> Self {
        let gates = config.endpoints.iter().map(|(name, endpoint)| (name.clone(), Gate::new(endpoint)));
        Self {
            gates: gates.collect(),
            client: Client::new(config, env, clock, cassette),
            watch: Arc::new(Silent),
            purse: Arc::new(Bottomless),
            meter: Arc::default(),
        }
    }

    /// What asking took, for whoever tells it.
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }

    /// The same, with somebody who sees the text of answers while they come.
    #[must_use]
    pub fn watched(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = watch;
        self
    }

    /// The same, with budgets above the tasks that ask.
    #[must_use]
    pub fn paid_by(mut self, purse: Arc<dyn Purse>) -> Self {
        self.purse = purse;
        self
    }

    /// Turns texts into vectors: one attempt, for callers that keep the vectors themselves.
    ///
    /// # Errors
    /// As a model call, with the same faults.
    ///
    /// **Cancel safety**: dropping it closes the connection.
    pub async fn embed(&self, tenant: &TenantId, call: &EmbedCall) -> Result<Embedded, NoVectors> {
        let no = |key: &str, trouble: &Trouble| NoVectors { failure: trouble.failure(key), fault: trouble.fault };
        let place = self.client.place(&call.class, call.candidate).map_err(|trouble| no("", &trouble))?;
        let embedded = async {
            let permit = self.enter(&place, tenant, call.estimate()).await?;
            let began = Instant::now();
            let embedded = self.client.embed(&place, call).await;
            let came = embedded.as_ref().map(|(_, usage)| usage).map_err(|trouble| trouble.fault);
            self.meter.count(asked(Operation::Embeddings, &place), began.elapsed(), came);
            let embedded = embedded?;
            permit.used(embedded.1.input_tokens);
            Ok(embedded)
        };
        let (vectors, usage) = embedded.await.map_err(|trouble| no(&place.endpoint.key, &trouble))?;
        let (by, cost) = self.paid(&place, &usage);
        Ok(Embedded { vectors, usage, by, cost })
    }

    async fn enter(&self, place: &Place<'_>, tenant: &TenantId, tokens: u64) -> Result<Permit, Trouble> {
        let Some(gate) = self.gates.get(place.name) else {
            return Err(Trouble::new(Fault::NoEndpoint, format!("no endpoint `{}`", place.name)));
        };
        let crowded = |_| Trouble::new(Fault::RateLimited, "too many tenants wait for this endpoint already");
        gate.enter(tenant, tokens).await.map_err(crowded)
    }

    async fn attempt(&self, effect: EffectCall) -> Option<Outcome> {
        let call: ModelCall = match serde_json::from_slice(&effect.request.input) {
            Ok(call) => call,
            Err(error) => return Some(outcome(&effect.request, Value::Null, unreadable(&error))),
        };
        if effect.asked_before {
            // It may have been paid for.
            self.purse.settle(&effect, None).await;
            return Some(outcome(&effect.request, call.echo, ModelResult::Unknown {}));
        }
        let Some(result) = effect.cancelled.run_until_cancelled(self.paying(&effect, &call)).await else {
            self.purse.settle(&effect, None).await;
            return None;
        };
        Some(outcome(&effect.request, call.echo, result))
    }

    /// Asks with what it may take set aside, and says what it took.
    async fn paying(&self, effect: &EffectCall, call: &ModelCall) -> ModelResult {
        let Ok(place) = self.client.place(&call.class, call.candidate) else {
            return self.result(effect, call).await;
        };
        let price = self.price(&place);
        let (input, output) = (input_estimate(&call.request), u64::from(call.request.max_tokens));
        let most = Amount { tokens: input.saturating_add(output), cost: price.at_most(input, output) };
        match self.purse.reserve(effect, call, most).await {
            Ok(()) => {}
            Err(Withheld::Spent { message, stops }) => return ModelResult::Withheld { message, stops },
            Err(Withheld::Unknown(message)) => {
                return self.failed(call, "", Trouble::new(Fault::Overloaded, message));
            }
        }
        let result = self.result(effect, call).await;
        self.purse.settle(effect, Some(took(&result, &price))).await;
        result
    }

    /// The dearest prices of a class's candidates: what its calls may cost is reserved by them.
    pub fn dearest(&self, class: &str) -> Price {
        let count = u32::try_from(self.client.config().candidates(class).len()).unwrap_or(u32::MAX);
        let places = (0..count).filter_map(|candidate| self.client.place(class, candidate).ok());
        places.map(|place| self.price(&place)).fold(Price::default(), Price::dearer)
    }

    fn price(&self, place: &Place<'_>) -> Price {
        self.client.config().prices.models.get(place.model).copied().unwrap_or_default()
    }

    async fn result(&self, effect: &EffectCall, call: &ModelCall) -> ModelResult {
        let place = match self.client.place(&call.class, call.candidate) {
            Ok(place) => place,
            Err(trouble) => return self.failed(call, "", trouble),
        };
        let asked = self.ask(effect, call, &place);
        let answered = match effect.request.timeout {
            Some(limit) => tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| {
                let message = format!("no answer within the {} ms that the step has", limit.as_millis());
                Err(Trouble::new(Fault::TimeoutTotal, message))
            }),
            None => asked.await,
        };
        match answered {
            Ok(done) => self.answered(&place, done),
            Err(trouble) => self.failed(call, &place.endpoint.key, trouble),
        }
    }

    async fn ask(&self, effect: &EffectCall, call: &ModelCall, place: &Place<'_>) -> Result<Done, Trouble> {
        let tokens = input_estimate(&call.request) + u64::from(call.request.max_tokens);
        let permit = self.enter(place, effect.scope.tenant(), tokens).await?;
        let mut on_text = |text: &str| self.watch.chunk(effect, call, text);
        let began = Instant::now();
        let done = self.client.ask(place, call, &mut on_text).await;
        let came = done.as_ref().map(|done| &done.answer.usage).map_err(|trouble| trouble.fault);
        self.meter.count(asked(Operation::Chat, place), began.elapsed(), came);
        let used = match &done {
            Ok(done) => Some(done.answer.usage),
            Err(trouble) => trouble.lost,
        };
        // A refusal used nothing.
        permit.used(used.map_or(0, |used| used.input_tokens.saturating_add(used.output_tokens)));
        done
    }

    fn answered(&self, place: &Place<'_>, done: Done) -> ModelResult {
        let (by, cost) = self.paid(place, &done.answer.usage);
        tracing::debug!(endpoint = by.endpoint, model = by.model, took = ?done.took, "a model answered");
        ModelResult::Answered {
            answer: done.answer,
            by,
            cost,
            took_ms: millis(done.took),
            first_token_ms: done.first_token.map(millis),
        }
    }

    fn paid(&self, place: &Place<'_>, usage: &Usage) -> (By, MicroUnits) {
        let prices = &self.client.config().prices;
        let price = prices.models.get(place.model);
        let by = By {
            endpoint: place.name.to_owned(),
            model: place.model.to_owned(),
            prices: price.map(|_| prices.version.clone()).unwrap_or_default(),
        };
        let cost = price.map_or(MicroUnits(0), |price| price.cost(usage));
        (by, cost)
    }

    fn failed(&self, call: &ModelCall, key: &str, trouble: Trouble) -> ModelResult {
        tracing::debug!(class = call.class, fault = %trouble.fault, "a model call failed");
        ModelResult::Failed {
            failure: trouble.failure(key),
            fault: trouble.fault,
            candidates: u32::try_from(self.client.config().candidates(&call.class).len()).unwrap_or(u32::MAX),
            lost: trouble.lost,
        }
    }
}

impl Effects for ModelEffects {
    fn handlers(&self) -> Vec<&'static str> {
        vec![HANDLER]
    }

    fn concurrency(&self) -> Concurrency {
        let config = self.client.config();
        Concurrency { total: config.at_once, per_tenant: config.at_once_per_tenant, ..Concurrency::default() }
    }

    fn perform(&self, call: EffectCall) -> BoxFuture<'_, Option<Outcome>> {
        Box::pin(self.attempt(call))
    }

    fn failed(&self, request: &EffectRequest, reason: &str) -> Option<Outcome> {
        let echo = serde_json::from_slice::<ModelCall>(&request.input).map(|call| call.echo).unwrap_or_default();
        let trouble = Trouble::new(Fault::Performer, format!("the performer of model calls failed: {reason}"));
        Some(outcome(request, echo, without_candidates(&trouble)))
    }
}

fn unreadable(error: &serde_json::Error) -> ModelResult {
    without_candidates(&Trouble::new(Fault::Performer, format!("the request for a model cannot be read: {error}")))
}

fn without_candidates(trouble: &Trouble) -> ModelResult {
    ModelResult::Failed { failure: trouble.failure(""), fault: trouble.fault, candidates: 0, lost: None }
}

/// What a call took, as far as it is known.
fn took(result: &ModelResult, price: &Price) -> Amount {
    let tokens = |usage: &Usage| usage.input_tokens.saturating_add(usage.output_tokens);
    let cost = |cost: MicroUnits| u64::try_from(cost.0).unwrap_or_default();
    match result {
        ModelResult::Answered { answer, cost: paid, .. } => Amount { tokens: tokens(&answer.usage), cost: cost(*paid) },
        ModelResult::Failed { lost: Some(lost), .. } => Amount { tokens: tokens(lost), cost: cost(price.cost(lost)) },
        _ => Amount::default(),
    }
}

fn asked(operation: Operation, place: &Place<'_>) -> Asked {
    Asked { operation, endpoint: place.name.to_owned(), model: place.model.to_owned() }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn outcome(request: &EffectRequest, echo: Value, result: ModelResult) -> Outcome {
    ModelOutcome { echo, key: request.key.clone(), attempt: request.attempt, result }.into_command()
}
