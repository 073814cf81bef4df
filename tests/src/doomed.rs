//! A dead letter that is a real one, provoked from outside.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::v1;

use crate::{Client, Damage, flip};

const WATCHDOG: Duration = Duration::from_secs(60);

const DEFINITION: &str = r"
name: doomed
inputSchema: { type: object, required: [mark], properties: { mark: { type: string } } }
steps:
  - id: ship
    approval: { title: 'Ship it?' }
  - id: done
    needs: [ship]
    skill: value.pass
    with: { value: '${ input.mark }' }
";

/// A run that sleeps on a damaged record while its approval was granted: it cannot be told, so what
/// it was to be told lies among the dead letters.
#[derive(Debug)]
pub struct Doomed {
    /// The run.
    pub run_id: String,
    /// The letters about it, newest first.
    pub letters: Vec<v1::DeadLetter>,
    /// What keeps the run from being read.
    pub damage: Damage,
}

impl Doomed {
    /// Provokes it on a node whose entities fall asleep soon. `mark` must stand nowhere else;
    /// `approver` is somebody else of the same tenant.
    ///
    /// # Errors
    /// When no letter comes.
    pub async fn provoke(
        data: &Path,
        tenant: &str,
        client: &mut Client,
        approver: &mut Client,
        mark: &str,
    ) -> Result<Self> {
        client.publish(DEFINITION).await?;
        let run_id = client.submit("doomed", mark, &serde_json::json!({ "mark": mark })).await?;
        let approval = asked(approver, &run_id).await?;
        client.wait_for_sleep(&format!("{tenant}/control-plane/run/{run_id}"), WATCHDOG).await?;
        let damage = flip(&data.join("journal"), mark)?;
        let request = v1::DecideApprovalRequest {
            approval_id: approval.approval_id,
            decision: v1::ApprovalDecision::Approve.into(),
            digest: approval.digest,
            ..Default::default()
        };
        approver.approvals.decide_approval(request).await?;
        let letters = letters(client, &run_id).await?;
        Ok(Self { run_id, letters, damage })
    }
}

/// The approval that the run has asked for.
async fn asked(approver: &mut Client, run_id: &str) -> Result<v1::Approval> {
    let began = Instant::now();
    loop {
        let listed = approver.approvals.list_approvals(v1::ListApprovalsRequest::default()).await?.into_inner();
        if let Some(approval) = listed.approvals.into_iter().find(|approval| approval.run_id == run_id) {
            return Ok(approval);
        }
        ensure!(began.elapsed() < WATCHDOG, "`{run_id}` asks for no approval");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn letters(client: &mut Client, run_id: &str) -> Result<Vec<v1::DeadLetter>> {
    let began = Instant::now();
    loop {
        let request = v1::ListDeadLettersRequest::default();
        let mut letters = client.dead_letters.list_dead_letters(request).await?.into_inner().dead_letters;
        letters.retain(|letter| letter.subject.ends_with(run_id));
        if !letters.is_empty() {
            return Ok(letters);
        }
        ensure!(began.elapsed() < WATCHDOG, "no letter about `{run_id}` came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Client {
    /// The secret of a new key of the caller's tenant, once it is accepted.
    ///
    /// # Errors
    /// The service's status.
    pub async fn issue(&mut self, name: &str, roles: &[&str]) -> Result<String> {
        let request = v1::CreateApiKeyRequest {
            name: name.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..Default::default()
        };
        let made = self.tenants.create_api_key(request).await?.into_inner();
        // The key is known where lists are: wait until they have come so far.
        let request = v1::ListApiKeysRequest { min_position: made.position, ..Default::default() };
        self.tenants.list_api_keys(request).await.context("waiting for the key")?;
        Ok(made.secret)
    }
}
