//! The performer of skills: from an entity's request to the command that tells its outcome.
//!
//! Around each call it resolves content references, checks both schemas, keeps the log, bounds the
//! time, turns a panic into a failure, and stores what is too large for the journal.
//!
//! Never here: retrying. An attempt is done once; whether there is another is the run's decision.

mod guard;
mod refs;
mod turns;

use std::{borrow::Borrow, sync::Arc, time::Duration};

use mesh_kernel::{
    BoxFuture,
    entity::EffectRequest,
    envelope::Headers,
    ports::{Clock, ContentStore, Effects, Outcome, effects::Concurrency, effects::EffectCall},
};
use serde_json::Value;

use crate::{
    contract::{Call, Failure, HANDLER, Manifest, Registered, Registry, SkillCall, SkillOutcome, SkillResult},
    logs::{LineKind, LogId, LogStore, LogWriter},
    pools::{Host, Pools, Settings},
};

pub use refs::{OUTPUT_BYTES_MAX, RESOLVED_BYTES_MAX, resolve};

/// Where skills are found that tenants have registered.
pub trait RegisteredSkills: Send + Sync + 'static {
    /// This version of a skill, or what a new call of this name uses.
    ///
    /// # Errors
    /// A validation failure when the tenant has no such skill; another when nobody can tell now.
    fn find<'a>(
        &'a self,
        effect: &'a EffectCall,
        name: &'a str,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Arc<Registered>, Failure>>;
}

/// Nobody has registered anything.
struct NoneRegistered(Registry);

impl RegisteredSkills for NoneRegistered {
    fn find<'a>(
        &'a self,
        _: &'a EffectCall,
        name: &'a str,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Arc<Registered>, Failure>> {
        Box::pin(std::future::ready(self.0.require(name).cloned()))
    }
}

/// Performs the effects of handler `skill`.
pub struct SkillEffects {
    registry: Registry,
    registered: Arc<dyn RegisteredSkills>,
    content: Arc<dyn ContentStore>,
    logs: Arc<LogStore>,
    concurrency: Concurrency,
    turns: turns::Turns,
    pools: Pools,
    clock: Arc<dyn Clock>,
}

impl SkillEffects {
    /// A performer of these skills.
    pub fn new(registry: impl Borrow<Registry>, content: Arc<dyn ContentStore>, logs: Arc<LogStore>) -> Self {
        Self {
            registry: registry.borrow().clone(),
            registered: Arc::new(NoneRegistered(registry.borrow().clone())),
            content,
            pools: Pools::new(logs.clock(), Settings::default()),
            clock: logs.clock(),
            logs,
            concurrency: Concurrency {
                // Time for a skill to notice (`guard::GRACE`) and for its outcome to be stored.
                grace: guard::GRACE + Duration::from_secs(5),
                ..Concurrency::default()
            },
            turns: turns::Turns::default(),
        }
    }

    /// The same, and those that tenants have registered; a native one goes before.
    #[must_use]
    pub fn with_registered(mut self, registered: Arc<dyn RegisteredSkills>) -> Self {
        self.registered = registered;
        self
    }

    /// The same with these rates and breakers, which others look at.
    #[must_use]
    pub fn paced(mut self, pools: Pools) -> Self {
        self.pools = pools;
        self
    }

    /// The same with other bounds on how much runs at once.
    #[must_use]
    pub fn bounded(mut self, total: usize, per_tenant: usize) -> Self {
        self.concurrency.total = total;
        self.concurrency.per_tenant = per_tenant;
        self
    }

    async fn attempt(&self, effect: EffectCall) -> Option<Outcome> {
        let request: SkillCall = match serde_json::from_slice(&effect.request.input) {
            Ok(request) => request,
            Err(error) => {
                let failure = unreadable(&error);
                return Some(outcome(&effect.request, Value::Null, Done::failed(failure), &LogWriter::silent()));
            }
        };
        let echo = request.echo.clone();
        let log = self.log(&effect, &request);
        let done = self.done(&effect, request, &log).await;
        let result = &done.result;
        if let Err(failure) = result {
            if effect.cancelled.is_cancelled() {
                log.line(LineKind::Failure, "cancelled");
                return None;
            }
            log.line(LineKind::Failure, &failure.to_string());
        }
        Some(outcome(&effect.request, echo, done, &log))
    }

    /// The log of the attempt; a silent one when the disk refuses, for no step fails because of it.
    fn log(&self, effect: &EffectCall, request: &SkillCall) -> LogWriter {
        let id = LogId {
            run: request.run.clone(),
            step: request.step.clone(),
            item: request.item,
            attempt: request.attempt,
        };
        if !effect.asked_before {
            return self.logs.first_writer(&effect.scope, id);
        }
        self.logs.writer(&effect.scope, &id).unwrap_or_else(|error| {
            tracing::warn!(%error, "a step runs without a log");
            LogWriter::silent()
        })
    }

    async fn done(&self, effect: &EffectCall, request: SkillCall, log: &LogWriter) -> Done {
        let found = match self.registry.get(&request.skill) {
            Some(native) => Ok(native.clone()),
            None => self.registered.find(effect, &request.skill, request.version.as_deref()).await,
        };
        match found {
            // What a failure says may be in the words of somebody outside, too.
            Ok(entry) => Done {
                tainted: entry.manifest().brings_taint(),
                result: self.result(effect, &entry, request, log).await,
            },
            Err(failure) => Done::failed(failure),
        }
    }

    async fn result(
        &self,
        effect: &EffectCall,
        entry: &Registered,
        request: SkillCall,
        log: &LogWriter,
    ) -> Result<Value, Failure> {
        may_be_given(entry.manifest(), &effect.cause.headers, &request.taint)?;
        let input = refs::resolve(self.content.as_ref(), &effect.scope, request.input).await?;
        entry.check_input(&input)?;
        let call = Call {
            scope: effect.scope.clone(),
            key: request.idempotency_key.unwrap_or_else(|| effect.request.key.clone()),
            attempt: effect.request.attempt,
            run: request.run,
            step: request.step,
            item: request.item,
            input,
            cause: effect.cause.clone(),
            log: log.clone(),
            cancelled: effect.cancelled.child_token(),
        };
        let (manifest, is_native) = (entry.manifest(), self.registry.get(&request.skill).is_some());
        let host = Host::of(manifest, is_native);
        let timeout = effect.request.timeout.unwrap_or(manifest.timeout);
        let left = self.pools.pace(manifest, &host, &call, timeout).await?;
        let (turn, left) = self.turns.wait(manifest, &call, left).await?;
        let (pass, spent) = self.pools.pass(manifest, &host, &call, request.waits.then_some(left)).await?;
        let left = left.saturating_sub(spent);
        let began = self.clock.monotonic();
        let mut result = guard::call(entry.skill().clone(), call, left).await;
        drop(turn);
        // A step that says a time ends the call itself when it is over, a moment before the guard would.
        let is_over = self.clock.monotonic().saturating_sub(began) >= left - left / 20;
        if is_over && effect.cancelled.is_cancelled() {
            result = result.map_err(Failure::late);
        }
        pass.ended(result.as_ref(), left >= timeout / 2);
        let output = result?;
        entry.check_output(&output)?;
        refs::store(self.content.as_ref(), &effect.scope, output).await
    }
}

impl Effects for SkillEffects {
    fn handlers(&self) -> Vec<&'static str> {
        vec![HANDLER]
    }

    fn concurrency(&self) -> Concurrency {
        self.concurrency
    }

    fn perform(&self, call: EffectCall) -> BoxFuture<'_, Option<Outcome>> {
        Box::pin(self.attempt(call))
    }

    fn failed(&self, request: &EffectRequest, reason: &str) -> Option<Outcome> {
        let echo = serde_json::from_slice::<SkillCall>(&request.input).map(|call| call.echo).unwrap_or_default();
        let failure = Failure::internal("skill.performer", format!("the performer of skills failed: {reason}"));
        Some(outcome(request, echo, Done::failed(failure), &LogWriter::silent()))
    }
}

/// Whether what asks for the call is within what the skill says it may be given.
///
/// A run that computes a pure step itself does not ask: nothing leaves the run then.
fn may_be_given(skill: &Manifest, cause: &Headers, read: &[String]) -> Result<(), Failure> {
    let Manifest { name, ceiling, .. } = skill;
    if !ceiling.holds(cause.classification) {
        let message = format!(
            "`{name}` may be given what is {} at most, and this run holds what is {}",
            ceiling.as_str(),
            format!("{:?}", cause.classification).to_lowercase(),
        );
        return Err(Failure::validation("skill.ceiling", message));
    }
    let taint: Vec<&str> = cause.taint.iter().chain(read).map(String::as_str).collect();
    if skill.is_careful() && !taint.is_empty() {
        let message = format!("`{name}` accepts only what is trusted, and this came from {}", taint.join(", "));
        return Err(Failure::validation("skill.tainted", message));
    }
    Ok(())
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::internal("skill.request", format!("the request for a skill cannot be read: {error}"))
}

/// How a call ended, and whether what is told of it may have been written outside.
struct Done {
    result: Result<Value, Failure>,
    tainted: bool,
}

impl Done {
    fn failed(failure: Failure) -> Self {
        Self { result: Err(failure), tainted: false }
    }
}

fn outcome(request: &EffectRequest, echo: Value, done: Done, log: &LogWriter) -> Outcome {
    let result = match done.result {
        Ok(output) => SkillResult::Ok { output },
        Err(failure) => SkillResult::Failed { failure },
    };
    let (key, attempt, log, tainted) = (request.key.clone(), request.attempt, log.so_far(), done.tainted);
    SkillOutcome { echo, key, attempt, result, log, tainted }.into_command()
}

#[cfg(test)]
mod tests;
