//! One connection: calls come in, outcomes go out and are kept until the node has them.

use std::{
    collections::HashMap,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use mesh_proto::{
    json::to_value,
    v1::{
        self, call_outcome, work_request::Message as Said, work_response::Message as Told,
        worker_service_client::WorkerServiceClient,
    },
};
use serde_json::Value;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::JoinHandle,
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{
    Call, Failure,
    call::{Handler, Outcome},
};

/// Bytes of one message: as much as the node takes and gives.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How often it says something when the node has not said how often.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// Lines of one call that wait to be told; more are lost.
const PROGRESS_MAX: usize = 256;

/// How a connection ended.
pub(crate) enum Ended {
    /// It was told to stop, and has done all that it had.
    Done,
    /// It worked for a while.
    Cut,
    /// It never stood.
    Lost(String),
    /// It will not do again either.
    Refused(Box<Status>),
}

impl Ended {
    /// Whether to dial again is in the code.
    pub(crate) fn of(status: Status) -> Self {
        match status.code() {
            Code::Unavailable
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::Aborted => Self::Lost(status.message().to_owned()),
            _ => Self::Refused(Box::new(status)),
        }
    }
}

/// What outlives a connection.
pub(crate) struct Desk {
    hello: v1::WorkerHello,
    handlers: HashMap<String, Handler>,
    /// Calls that are being done.
    running: HashMap<String, Running>,
    /// Outcomes that the node has not acknowledged.
    kept: HashMap<String, v1::CallOutcome>,
    done: Receiver<v1::CallOutcome>,
    tell_done: Sender<v1::CallOutcome>,
}

struct Running {
    cancelled: CancellationToken,
    task: JoinHandle<()>,
    /// Where its progress goes; another after each connection.
    said: Arc<Mutex<Sender<Said>>>,
}

impl Desk {
    pub(crate) fn new(hello: v1::WorkerHello, handlers: HashMap<String, Handler>) -> Self {
        let (tell_done, done) = mpsc::channel(hello.concurrency.max(1) as usize);
        Self { hello, handlers, running: HashMap::new(), kept: HashMap::new(), done, tell_done }
    }

    /// Whether it has nothing to do and nothing to tell.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.kept.is_empty()
    }

    /// Who it is, and what it still holds.
    fn hello(&self) -> v1::WorkerHello {
        let held_call_ids = self.running.keys().chain(self.kept.keys()).cloned().collect();
        v1::WorkerHello { held_call_ids, ..self.hello.clone() }
    }

    fn begin(&mut self, call: v1::SkillCall, said: &Sender<Said>) {
        let (id, cancelled) = (call.call_id.clone(), CancellationToken::new());
        let name = call.skill.as_ref().map(|skill| skill.name.clone()).unwrap_or_default();
        let handler = self.handlers.get(&name).cloned();
        let place = Arc::new(Mutex::new(said.clone()));
        let (progress, mut told) = mpsc::channel(PROGRESS_MAX);
        let call = Call::new(call, cancelled.clone(), progress);
        let (tell_done, to, call_id) = (self.tell_done.clone(), place.clone(), id.clone());
        #[expect(clippy::disallowed_methods, reason = "the desk owns it, and ends it with the call")]
        let task = tokio::spawn(async move {
            let work = Quiet(Box::pin(async move {
                match handler {
                    Some(handler) => handler(call).await,
                    None => Err(Failure::internal("worker.skill", format!("this worker has no `{name}`"))),
                }
            }));
            let mut work = std::pin::pin!(work);
            let result = loop {
                tokio::select! {
                    result = work.as_mut() => break result,
                    Some(message) = told.recv() => tell(&to, message).await,
                }
            };
            while let Ok(message) = told.try_recv() {
                tell(&to, message).await;
            }
            let result = Some(match result {
                Ok(output) => call_outcome::Result::Output(to_value(&output)),
                Err(Failure(failure)) => call_outcome::Result::Failure(failure),
            });
            let _gone = tell_done.send(v1::CallOutcome { call_id, result }).await;
        });
        self.running.insert(id, Running { cancelled, task, said: place });
    }

    /// Takes what it is told.
    fn hear(&mut self, told: Told, said: &Sender<Said>) {
        match told {
            Told::Welcome(_) => {}
            Told::Call(call) => self.begin(call, said),
            Told::Cancelled(call) => {
                if let Some(running) = self.running.get(&call.call_id) {
                    running.cancelled.cancel();
                }
            }
            Told::Acknowledged(ack) => {
                self.kept.remove(&ack.call_id);
                // Nobody waits for what it still does.
                if let Some(running) = self.running.remove(&ack.call_id) {
                    running.cancelled.cancel();
                    running.task.abort();
                }
            }
        }
    }

    /// A call is over: its outcome is kept, and told.
    async fn ended(&mut self, outcome: v1::CallOutcome, said: &Sender<Said>) {
        if self.running.remove(&outcome.call_id).is_some() {
            let _not_connected = said.send(Said::Outcome(outcome.clone())).await;
            self.kept.insert(outcome.call_id.clone(), outcome);
        }
    }
}

/// Works over one connection until it ends.
pub(crate) async fn connected(
    desk: &mut Desk,
    channel: Channel,
    key: &MetadataValue<Ascii>,
    stopping: &CancellationToken,
) -> Ended {
    let (said, saying) = mpsc::channel(2 * desk.hello.concurrency.max(1) as usize + 64);
    let _first = said.try_send(Said::Hello(desk.hello()));
    let messages = ReceiverStream::new(saying).map(|message| v1::WorkRequest { message: Some(message) });
    let mut request = Request::new(messages);
    request.metadata_mut().insert("authorization", key.clone());
    let mut client = WorkerServiceClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let mut told = match client.work(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ended::of(status),
    };
    for running in desk.running.values() {
        *running.said.lock().unwrap_or_else(PoisonError::into_inner) = said.clone();
    }
    for outcome in desk.kept.values() {
        let _not_connected = said.send(Said::Outcome(outcome.clone())).await;
    }
    let (mut every, mut is_stopping) = (BEAT_EVERY, false);
    let mut beat = tokio::time::interval(every);
    loop {
        tokio::select! {
            message = told.message() => match message {
                Ok(Some(message)) => {
                    if let Some(Told::Welcome(welcome)) = &message.message {
                        every = welcome.beat_every.and_then(|every| every.try_into().ok()).unwrap_or(every);
                        beat = tokio::time::interval(every);
                    }
                    message.message.into_iter().for_each(|message| desk.hear(message, &said));
                }
                // A node that was told to give nothing new ends the stream when nothing is left.
                Ok(None) if is_stopping && desk.is_idle() => return Ended::Done,
                Ok(None) => return Ended::Cut,
                Err(status) => {
                    tracing::warn!(why = status.message(), "the connection to the node is lost");
                    return Ended::Cut;
                }
            },
            Some(outcome) = desk.done.recv() => desk.ended(outcome, &said).await,
            _ = beat.tick() => drop(said.send(Said::Beat(v1::WorkerBeat {})).await),
            () = stopping.cancelled(), if !is_stopping => {
                is_stopping = true;
                let _not_connected = said.send(Said::Drain(v1::WorkerDrain {})).await;
            }
        }
    }
}

/// Says it where the connection is now.
async fn tell(place: &Mutex<Sender<Said>>, message: Said) {
    let said = place.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let _not_connected = said.send(message).await;
}

/// A handler's work; a panic of it is a failure.
struct Quiet(Outcome);

impl Future for Quiet {
    type Output = Result<Value, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let work = self.0.as_mut();
        std::panic::catch_unwind(AssertUnwindSafe(|| work.poll(context))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no message)");
            Poll::Ready(Err(Failure::internal("worker.panic", format!("the skill panicked: {text}"))))
        })
    }
}
