//! `ApprovalService`: decisions that a person must make before a run goes on, or a command is sent.

use mesh_kernel::{
    entity::Decider,
    envelope::{Address, ErrorKind, Refusal, decode, payload_json},
    path::Caller,
    ports::{Digest, content::NoDigest},
};
use mesh_platforms::governance::{
    machines::approval::ApprovalMachine,
    messages::{ApprovalCommand, Decision},
};
use mesh_proto::v1::{self, approval_service_server::ApprovalService};
use serde_json::Value;
use tonic::{Request, Response, Status};

use super::{
    GatewayState, Terms, address,
    auth::caller,
    convert::{
        json,
        view::{ApprovalView, read},
    },
    filter,
    lists::ApprovalRow,
    page::Binding,
    status::{refused_field, status},
};

/// The service.
pub(super) struct Approvals(pub(super) GatewayState);

#[tonic::async_trait]
impl ApprovalService for Approvals {
    async fn list_approvals(
        &self,
        request: Request<v1::ListApprovalsRequest>,
    ) -> Result<Response<v1::ListApprovalsResponse>, Status> {
        let caller = caller(&request)?;
        let listed = self.list(&caller, request.into_inner()).await;
        listed.map(Response::new).map_err(|refusal| status(&refusal))
    }

    async fn get_approval(
        &self,
        request: Request<v1::GetApprovalRequest>,
    ) -> Result<Response<v1::GetApprovalResponse>, Status> {
        let caller = caller(&request)?;
        let read = self.get(&caller, request.into_inner()).await;
        read.map(Response::new).map_err(|refusal| status(&refusal))
    }

    async fn decide_approval(
        &self,
        request: Request<v1::DecideApprovalRequest>,
    ) -> Result<Response<v1::DecideApprovalResponse>, Status> {
        let caller = caller(&request)?;
        let decided = self.decide(&caller, request.into_inner()).await;
        decided.map(Response::new).map_err(|refusal| status(&refusal))
    }
}

impl Approvals {
    async fn list(
        &self,
        caller: &Caller,
        request: v1::ListApprovalsRequest,
    ) -> Result<v1::ListApprovalsResponse, Refusal> {
        self.0.mesh.admit_read(caller, "ListApprovals")?;
        let filter = filter::approvals(&request.filter)?;
        let binding = Binding::new(caller.scope(), "approvals", &request.filter);
        let page = binding.request(request.page_size, &request.page_token)?;
        self.0.reach(request.min_position).await?;
        let page = self.0.lists.approvals(caller.scope(), filter, page).await?;
        Ok(v1::ListApprovalsResponse {
            approvals: page.rows.into_iter().map(of_row).collect(),
            next_page_token: binding.seal(page.next.as_deref()),
            position: page.position.0,
        })
    }

    async fn get(&self, caller: &Caller, request: v1::GetApprovalRequest) -> Result<v1::GetApprovalResponse, Refusal> {
        let address = address(caller.tenant(), ApprovalMachine::KIND, "approval", &request.approval_id)?;
        let viewed = self.0.mesh.query(caller, &address, "GetApproval", "").await?;
        let view: ApprovalView = read(&viewed.view)?;
        let subject = self.subject(caller, &view, &request.approval_id).await?;
        let approval = v1::Approval { subject, ..view.message(viewed.version) };
        Ok(v1::GetApprovalResponse { approval: Some(approval) })
    }

    /// What is to be approved: the command that waits, or what the run said when it asked for the digest
    /// that counts.
    ///
    /// **Cost**: reads the command's body, or the run's history.
    async fn subject(
        &self,
        caller: &Caller,
        view: &ApprovalView,
        approval: &str,
    ) -> Result<Option<prost_types::Value>, Refusal> {
        if view.held.is_some() {
            return self.held(caller, view).await;
        }
        let Ok(run) = view.run.parse::<Address>() else { return Ok(None) };
        let past = match self.0.mesh.history(caller, &run, 1).await {
            Ok(past) => past,
            Err(refusal) if refusal.kind == ErrorKind::NotFound => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let asked = past.iter().rev().filter(|past| &*past.envelope.event_type == "ApprovalRequested");
        let found = asked.map(|past| payload_json(&past.envelope)).find(|asked| {
            asked.get("approval").and_then(Value::as_str) == Some(approval)
                && asked.get("digest").and_then(Value::as_str) == Some(view.digest.as_str())
        });
        Ok(found.as_ref().and_then(|asked| asked.get("subject")).map(json::to_value))
    }

    /// A command that waits, as people see it.
    async fn held(&self, caller: &Caller, view: &ApprovalView) -> Result<Option<prost_types::Value>, Refusal> {
        let broken = |error: String| Refusal::new("GTW-0011", ErrorKind::Internal, format!("what waits: {error}"));
        let digest: Digest = view.digest.parse().map_err(|error: NoDigest| broken(error.to_string()))?;
        let body = self.0.content.get(caller.scope(), digest).await.map_err(|error| broken(error.to_string()))?;
        let command = decode(&body).map_err(|error| broken(error.to_string()))?;
        let shown = serde_json::json!({
            "command": command.event_type.as_ref(),
            "to": command.headers.subject.as_str(),
            "by": command.headers.principal.name,
            "policy": view.held.as_ref().map(|held| held.policy.as_str()),
            "payload": payload_json(&command),
        });
        Ok(Some(json::to_value(&shown)))
    }

    async fn decide(
        &self,
        caller: &Caller,
        request: v1::DecideApprovalRequest,
    ) -> Result<v1::DecideApprovalResponse, Refusal> {
        let decision = match request.decision() {
            v1::ApprovalDecision::Approve => Decision::Approve,
            v1::ApprovalDecision::Reject => Decision::Reject,
            v1::ApprovalDecision::Unspecified => {
                return Err(refused_field(
                    "decision",
                    "APPROVAL_DECISION_APPROVE or APPROVAL_DECISION_REJECT is expected",
                ));
            }
        };
        if request.digest.is_empty() {
            return Err(refused_field(
                "digest",
                "the digest of what you have seen is expected: `GetApproval` shows it",
            ));
        }
        let terms = Terms::of("DecideApproval", &request, &request.request_id, &request.etag)?;
        let address = address(caller.tenant(), ApprovalMachine::KIND, "approval", &request.approval_id)?;
        // A guess at an id wakes nobody; and a decision belongs to what it is about.
        let known: ApprovalView = read(&self.0.mesh.query(caller, &address, "GetApproval", "").await?.view)?;
        let terms = Terms { trace: known.trace_id, ..terms };
        let command = ApprovalCommand::DecideApproval { decision, digest: request.digest, comment: request.comment };
        let reply = self.0.tell(caller, address, &command, terms).await?;
        let view: ApprovalView = read(&reply.view)?;
        Ok(v1::DecideApprovalResponse { approval: Some(view.message(reply.version)), position: reply.position.0 })
    }
}

fn of_row(row: ApprovalRow) -> v1::Approval {
    v1::Approval {
        approval_id: row.approval_id,
        title: row.title,
        state: row.state.into(),
        digest: row.digest,
        run_id: row.run_id,
        step_id: row.step_id,
        requested_by: row.requested_by,
        quorum: row.quorum,
        roles: row.roles,
        create_time: Some(row.created_at.into()),
        end_time: row.ended_at.map(Into::into),
        escalate_time: row.escalate_at.map(Into::into),
        expire_time: row.expire_at.map(Into::into),
        escalated: row.escalated,
        etag: super::keys::etag(row.version),
        ..Default::default()
    }
}
