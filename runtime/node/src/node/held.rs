//! Commands that wait for an approval: what asks Governance on one side, and sends them on the other.
//!
//! A command lies whole in the tenant's content store before anybody is asked, and the approval keeps
//! its digest. The sending is an effect of the approval: it is asked for until what came of it is
//! recorded, and the command's own key makes it one deed however often that is.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use mesh_kernel::{
    BoxFuture,
    entity::{Decider, EffectRequest, encode_tagged},
    envelope::{Address, Envelope, ErrorKind, Refusal, Retry, TenantScope, decode, encode},
    path::{Caller, Command, Mesh},
    ports::{Approvals, Approved, ContentError, ContentStore, Digest, EffectCall, Effects, Outcome},
};
use mesh_platforms::governance::{
    machines::approval::{ApprovalMachine, RELEASE, Release},
    messages::{ApprovalCommand, Held, Request, Unsent},
};
use serde::Deserialize;
use serde_json::Value;

/// The first wait before a command that could not be sent now is sent again; doubled up to the longest.
const AGAIN_AFTER: Duration = Duration::from_millis(20);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

/// Both sides of the wait.
pub struct HeldCommands {
    mesh: OnceLock<Mesh>,
    content: Arc<dyn ContentStore>,
}

/// What an approval shows of a command that waits in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    approval: String,
    state: String,
    run: Address,
    digest: String,
    held: Option<Held>,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    decided_by: Vec<String>,
    release: Option<Sent>,
}

#[derive(Deserialize)]
struct Sent {
    refused: Option<Unsent>,
}

impl HeldCommands {
    /// Commands whose bodies lie in this store.
    pub fn new(content: Arc<dyn ContentStore>) -> Self {
        Self { mesh: OnceLock::new(), content }
    }

    /// Says where commands go. Once, when the kernel stands.
    pub fn connect(&self, mesh: Mesh) {
        if self.mesh.set(mesh).is_err() {
            tracing::error!("held commands were connected twice; the first kernel stays");
        }
    }

    fn mesh(&self) -> Result<&Mesh, Refusal> {
        self.mesh.get().ok_or_else(|| {
            Refusal::new("GTW-0050", ErrorKind::Unavailable, "the node is starting: try again")
                .after(Duration::from_millis(100))
        })
    }

    async fn asked(&self, scope: &TenantScope, command: Envelope, policy: String) -> Result<Approved, Refusal> {
        let mesh = self.mesh()?;
        let node = mesh.on_behalf("approvals", scope, &command);
        let at = approval_of(scope, &command)?;
        let held = Held { command: command.event_type.as_ref().to_owned(), request: request_of(&command), policy };
        let view = match mesh.query(&node, &at, "GetApproval", "").await {
            Ok(viewed) => viewed.view,
            Err(refusal) if refusal.kind == ErrorKind::NotFound => self.open(&node, at, &command, &held).await?,
            Err(refusal) => return Err(refusal),
        };
        let waiting = read(&view)?;
        if waiting.run != command.headers.subject || !waiting.held.as_ref().is_some_and(|known| same(known, &held)) {
            return Err(other(&held.command));
        }
        self.answer(scope, waiting, &held.command).await
    }

    /// Asks: the command first lies where nothing can lose it.
    async fn open(&self, node: &Caller, at: Address, command: &Envelope, held: &Held) -> Result<Value, Refusal> {
        let body = self.content.put(node.scope(), encode(command)).await.map_err(|error| unkept(&error))?;
        let subject = &command.headers.subject;
        let request = Request {
            run: subject.clone(),
            step: String::new(),
            title: format!("{} of {} `{}`", held.command, subject.kind(), subject.id()),
            description: format!(
                "`{}` asks for it; the policy `{}` wants a second person",
                command.headers.principal.answerable(),
                held.policy
            ),
            digest: body.to_string(),
            held: Some(Box::new(held.clone())),
            quorum: 1,
            roles: Vec::new(),
            barred: Vec::new(),
            escalate_at: None,
            expire_at: None,
        };
        let payload = encode_tagged(&ApprovalCommand::RequestApproval(request), 1)
            .map_err(|error| Refusal::new("GTW-0051", ErrorKind::Internal, error.to_string()))?;
        let mut question = Command::new(at, payload);
        question.trace = Some(command.trace_id.clone());
        question.correlation = Some(command.correlation_id.clone());
        question.causation = Some(command.event_id.clone());
        question.project.clone_from(&command.project_id);
        Ok(self.mesh()?.send(node, question).await?.view)
    }

    /// How the question stands.
    async fn answer(&self, scope: &TenantScope, waiting: Waiting, action: &str) -> Result<Approved, Refusal> {
        let id = &waiting.approval;
        let no = |message: String| Err(Refusal::new("GTW-0052", ErrorKind::FailedPrecondition, message));
        match waiting.state.as_str() {
            "pending" | "escalated" => Err(Approved::waits(action, id)),
            "approved" => match waiting.release.and_then(|sent| sent.refused) {
                Some(unsent) => no(format!(
                    "`{action}` was approved (`{id}`) and then refused: {} ({}); ask anew with another request id",
                    unsent.message, unsent.code
                )),
                None => self.fetch(scope, &waiting.digest, id).await,
            },
            "rejected" => no(format!(
                "`{action}` was not approved (`{id}`): {} said no: {}; ask anew with another request id",
                waiting.decided_by.join(", "),
                waiting.comment
            )),
            state => no(format!("the approval `{id}` of `{action}` is {state}; ask anew with another request id")),
        }
    }

    async fn fetch(&self, scope: &TenantScope, body: &str, approval: &str) -> Result<Approved, Refusal> {
        let broken = |what: String| {
            Refusal::new("GTW-0053", ErrorKind::Internal, format!("the command that waited cannot be read: {what}"))
        };
        let digest: Digest =
            body.parse().map_err(|error: mesh_kernel::ports::content::NoDigest| broken(error.to_string()))?;
        let bytes = self.content.get(scope, digest).await.map_err(|error| unkept(&error))?;
        let command = decode(&bytes).map_err(|error| broken(error.to_string()))?;
        Ok(Approved { command, approval: approval.to_owned() })
    }

    async fn release(&self, call: &EffectCall) -> Result<(), Refusal> {
        let wanted: Release = serde_json::from_slice(&call.request.input)
            .map_err(|error| Refusal::new("GTW-0054", ErrorKind::Internal, error.to_string()))?;
        let approved = self.fetch(&call.scope, &wanted.body, &wanted.approval).await?;
        self.mesh()?.release(&call.scope, approved).await.map(drop)
    }
}

impl Approvals for HeldCommands {
    fn ask<'a>(
        &'a self,
        scope: &'a TenantScope,
        command: Envelope,
        policy: String,
    ) -> BoxFuture<'a, Result<Approved, Refusal>> {
        Box::pin(self.asked(scope, command, policy))
    }
}

impl Effects for HeldCommands {
    fn handlers(&self) -> Vec<&'static str> {
        vec![RELEASE]
    }

    /// Sends the command until it was answered for good, or the node stops.
    fn perform(&self, call: EffectCall) -> BoxFuture<'_, Option<Outcome>> {
        Box::pin(async move {
            let mut backoff = AGAIN_AFTER;
            loop {
                let refusal = match self.release(&call).await {
                    Ok(()) => return outcome(None),
                    Err(refusal) => refusal,
                };
                let delay = match refusal.retry {
                    Retry::Never => return outcome(Some(&refusal)),
                    Retry::Now => Duration::ZERO,
                    Retry::After(delay) => delay,
                };
                tokio::select! {
                    () = call.cancelled.cancelled() => return None,
                    () = tokio::time::sleep(delay.max(backoff)) => {}
                }
                backoff = (backoff * 2).min(AGAIN_AFTER_MAX);
            }
        })
    }

    fn failed(&self, _request: &EffectRequest, reason: &str) -> Option<Outcome> {
        outcome(Some(&Refusal::new("GTW-0055", ErrorKind::Internal, format!("it could not be sent: {reason}"))))
    }
}

fn outcome(refused: Option<&Refusal>) -> Option<Outcome> {
    let refused = refused.map(|refusal| Unsent { code: refusal.code.clone(), message: refusal.message.clone() });
    encode_tagged(&ApprovalCommand::RecordRelease { refused }, 1).ok()
}

/// The approval of a command: the same caller's same key in the same tenant is the same question.
fn approval_of(scope: &TenantScope, command: &Envelope) -> Result<Address, Refusal> {
    let headers = &command.headers;
    let key = headers.idempotency_key.as_ref().map_or(command.event_id.as_str(), |key| key.as_str());
    let text = format!("{}\n{}\n{key}", scope.tenant(), headers.principal.name);
    let id = format!("appr-{}", Digest::of(text.as_bytes()).short());
    Address::new(scope.tenant(), ApprovalMachine::KIND, &id)
        .map_err(|error| Refusal::new("GTW-0056", ErrorKind::Internal, error.to_string()))
}

/// The request that the command was made of; of one that nobody made a request of, its content.
fn request_of(command: &Envelope) -> String {
    command.headers.request().map_or_else(|| Digest::of(&command.payload).short(), str::to_owned)
}

fn same(known: &Held, held: &Held) -> bool {
    known.command == held.command && known.request == held.request
}

fn read(view: &Value) -> Result<Waiting, Refusal> {
    Waiting::deserialize(view)
        .map_err(|error| Refusal::new("GTW-0057", ErrorKind::Internal, format!("the approval's view: {error}")))
}

fn other(command: &str) -> Refusal {
    let message =
        format!("this request id was used for another `{command}`: repeat that one as it was, or choose a new id");
    Refusal::new("KER-0081", ErrorKind::AlreadyExists, message).at("request_id", "choose one that was never used")
}

fn unkept(error: &ContentError) -> Refusal {
    let refusal = |kind| Refusal::new("GTW-0058", kind, format!("the command that waits: {error}"));
    match error {
        ContentError::NotFound(_) | ContentError::Damaged(_) => refusal(ErrorKind::Internal),
        ContentError::Full { .. } => refusal(ErrorKind::ResourceExhausted).after(Duration::from_secs(1)),
        ContentError::Io { .. } => refusal(ErrorKind::Unavailable).after(Duration::from_secs(1)),
    }
}
