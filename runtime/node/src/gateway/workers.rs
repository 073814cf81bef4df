//! `WorkerService`: processes of a tenant's own that do its skills' calls.

use std::{collections::HashSet, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use mesh_kernel::{
    envelope::{ErrorKind, Refusal},
    path::Caller,
};
use mesh_proto::v1::{
    self, call_outcome, work_request::Message as Said, work_response::Message as Told,
    worker_service_server::WorkerService,
};
use mesh_skills::{
    contract::{Failure, FailureClass},
    hosts::worker::{self, Session},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{
    GatewayState,
    auth::caller,
    convert::{
        json::{from_value, to_value},
        time::{duration, of_message},
    },
    open::kept_open,
    status::{refused_field, status},
};

/// How long a worker that has connected may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Longest name of a worker. **Units**: bytes.
const NAME_BYTES_MAX: usize = 128;
/// Skills of one worker.
const SKILLS_MAX: usize = 200;
/// Calls that one worker takes at once.
const CONCURRENCY_MAX: u32 = 1_000;
/// Calls that a worker may say it still has: those that it does, and outcomes that it keeps.
const HELD_MAX: usize = 2 * CONCURRENCY_MAX as usize;
/// Longest code of a failure. **Units**: bytes.
const CODE_BYTES_MAX: usize = 100;

/// The service.
pub(super) struct Workers(pub(super) GatewayState);

type Answers = Pin<Box<dyn Stream<Item = Result<v1::WorkResponse, Status>> + Send>>;

#[tonic::async_trait]
impl WorkerService for Workers {
    type WorkStream = Answers;

    async fn work(&self, request: Request<Streaming<v1::WorkRequest>>) -> Result<Response<Answers>, Status> {
        let caller = caller(&request)?;
        let mut said = request.into_inner();
        let permit = self.0.mesh.admit_stream(&caller, "ServeSkills").map_err(|refusal| status(&refusal))?;
        let first = tokio::time::timeout(HELLO_WITHIN, said.message()).await;
        let first = first.map_err(|_| status(&refused_field("hello", "it did not come within ten seconds")))??;
        let Some(Said::Hello(hello)) = first.and_then(|first| first.message) else {
            return Err(status(&refused_field("hello", "it is the first message of a worker")));
        };
        let charged = self.0.mesh.charge(&caller).map_err(|refusal| status(&refusal))?;
        let skills = known(&self.0, &charged, &hello).await.map_err(|refusal| status(&refusal))?;
        let host = self.0.skills.workers().clone();
        let (session, told) =
            host.welcome(caller.tenant(), &hello.worker_id, skills, hello.concurrency as usize, &hello.held_call_ids);
        tracing::info!(tenant = %caller.tenant(), worker = %hello.worker_id, sdk = %hello.sdk, "a worker has connected");
        let welcome = v1::WorkerWelcome { lease: duration(host.lease()), beat_every: duration(host.beat_every()) };
        let pump = pump(said, session, host.lease(), self.0.stopping.clone());
        mesh_kernel::task::spawn("worker", async move {
            let why = pump.await;
            tracing::info!(tenant = %caller.tenant(), worker = %hello.worker_id, %why, "a worker has gone");
        });
        let told = ReceiverStream::new(told).map(message);
        let all = stream::iter([Told::Welcome(welcome)]).chain(told);
        let all = all.map(|message| Ok(v1::WorkResponse { message: Some(message) }));
        Ok(Response::new(Box::pin(kept_open(all, permit))))
    }
}

/// The skills that a worker says it has.
///
/// # Errors
/// When it does not say who it is, or names what was never registered.
async fn known(
    state: &GatewayState,
    caller: &Caller,
    hello: &v1::WorkerHello,
) -> Result<HashSet<(String, String)>, Refusal> {
    if hello.worker_id.is_empty() || hello.worker_id.len() > NAME_BYTES_MAX {
        return Err(refused_field("hello.worker_id", format!("1 to {NAME_BYTES_MAX} characters are expected")));
    }
    if hello.skills.is_empty() || hello.skills.len() > SKILLS_MAX {
        return Err(refused_field("hello.skills", format!("1 to {SKILLS_MAX} are expected")));
    }
    if hello.concurrency == 0 || hello.concurrency > CONCURRENCY_MAX {
        return Err(refused_field("hello.concurrency", format!("1 to {CONCURRENCY_MAX} are expected")));
    }
    if hello.held_call_ids.len() > HELD_MAX {
        return Err(refused_field("hello.held_call_ids", format!("at most {HELD_MAX} are taken")));
    }
    let own = state.skills.of(caller).await?;
    for (n, skill) in hello.skills.iter().enumerate() {
        if !own.has(&skill.name, &skill.version) {
            let message = format!("`{}@{}` is not registered: register it first", skill.name, skill.version);
            let refusal = Refusal::new("SKL-0013", ErrorKind::FailedPrecondition, message);
            return Err(refusal.at(format!("hello.skills[{n}]"), "not registered"));
        }
    }
    Ok(hello.skills.iter().map(|skill| (skill.name.clone(), skill.version.clone())).collect())
}

/// Takes what a worker says until it goes, says nothing for a lease, or the node stops; tells why it ended.
async fn pump(
    mut said: Streaming<v1::WorkRequest>,
    session: Session,
    lease: Duration,
    stopping: CancellationToken,
) -> String {
    let mut is_draining = false;
    loop {
        if is_draining && session.open() == 0 {
            return "it has ended what it had".to_owned();
        }
        let message = tokio::select! {
            message = tokio::time::timeout(lease, said.message()) => message,
            () = stopping.cancelled() => return "the node stops".to_owned(),
            () = session.ended() => return "it does not read what it is told".to_owned(),
        };
        let message = match message {
            Ok(Ok(Some(message))) => message.message,
            Ok(Ok(None)) => return format!("it has ended, with {} calls open", session.open()),
            Ok(Err(status)) => return format!("the connection is lost: {}", status.message()),
            Err(_) => return format!("it has said nothing for {lease:?}"),
        };
        session.beats();
        match message {
            None | Some(Said::Beat(_) | Said::Hello(_)) => {}
            Some(Said::Drain(_)) => {
                session.drain();
                is_draining = true;
            }
            Some(Said::Progress(progress)) => {
                session.hear(worker::Said::Progress { id: progress.call_id, text: progress.text });
            }
            Some(Said::Outcome(outcome)) => session.hear(of_outcome(outcome)),
        }
    }
}

fn of_outcome(outcome: v1::CallOutcome) -> worker::Said {
    let unreadable = |what: String| Failure::internal("worker.outcome", format!("what the worker told: {what}"));
    let result = match outcome.result {
        Some(call_outcome::Result::Output(output)) => {
            from_value(&output, "outcome.output").map_err(|refusal| unreadable(refusal.message))
        }
        Some(call_outcome::Result::Failure(failure)) => Err(of_failure(failure)),
        None => Err(unreadable("neither `output` nor `failure`".to_owned())),
    };
    worker::Said::Outcome { id: outcome.call_id, result }
}

fn of_failure(failure: v1::CallFailure) -> Failure {
    // Only the node says that a call was cancelled, for then nobody waits for it.
    let class = failure.failure_class.parse().ok().filter(|class| *class != FailureClass::Cancelled);
    let code: String = failure.code.chars().filter(|c| c.is_ascii_graphic()).take(CODE_BYTES_MAX).collect();
    let code = if code.is_empty() { "worker.failed" } else { code.as_str() };
    let mut told = Failure::new(class.unwrap_or(FailureClass::Internal), code, failure.message);
    told.retry_after = failure.retry_after.and_then(of_message);
    let details = failure.details.as_ref().and_then(|details| from_value(details, "outcome.failure.details").ok());
    told.with(details.unwrap_or_default())
}

fn message(told: worker::Told) -> Told {
    match told {
        worker::Told::Call(asked) => Told::Call(v1::SkillCall {
            call_id: asked.id.clone(),
            skill: Some(v1::SkillVersion { name: asked.skill.clone(), version: asked.version.clone() }),
            input: Some(to_value(&asked.input)),
            idempotency_key: asked.key.clone(),
            attempt: asked.attempt,
            tenant_id: asked.tenant.to_string(),
            run_id: asked.run.clone(),
            step_id: asked.step.clone(),
            item: asked.item,
            traceparent: asked.traceparent.clone().unwrap_or_default(),
            trace_id: asked.trace.clone(),
        }),
        worker::Told::Cancel { id } => Told::Cancelled(v1::CallCancelled { call_id: id }),
        worker::Told::Ack { id, stale } => Told::Acknowledged(v1::OutcomeAcknowledged { call_id: id, stale }),
    }
}
