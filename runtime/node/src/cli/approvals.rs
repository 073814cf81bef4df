//! `mesh approvals`: what waits for a person's decision.

use std::io::{self, IsTerminal};

use clap::{Args, Subcommand};
use mesh_kernel::envelope::Timestamp;
use mesh_proto::v1::{self, ApprovalDecision, approval_service_client::ApprovalServiceClient};

use super::{
    Failure,
    args::PageArgs,
    clients,
    connect::Link,
    context::{Context, fresh_request_id},
    output::{Cell, Table, age, clean, instant, label, or_dash, to_json, tone_of},
};

/// What can be done with approvals.
#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// List approvals, the newest first; without a filter those that wait
    List(List),
    /// Show an approval with what is to be approved
    Get(Get),
    /// Approve or reject
    Decide(Decide),
}

/// What `mesh approvals list` takes.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only in this state; may be given several times
    #[arg(long, value_name = "STATE", default_value = "pending", value_parser = [
        "pending", "granted", "rejected", "expired", "cancelled",
    ])]
    state: Vec<String>,
    /// In every state
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only of this run
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

/// What `mesh approvals get` takes.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The approval
    #[arg(value_name = "APPROVAL")]
    approval: String,
}

/// What `mesh approvals decide` takes.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("decision").required(true).args(["approve", "reject"]))]
pub(crate) struct Decide {
    /// The approval
    #[arg(value_name = "APPROVAL")]
    approval: String,
    /// Say yes
    #[arg(long)]
    approve: bool,
    /// Say no
    #[arg(long)]
    reject: bool,
    /// The digest of what you have seen, as `mesh approvals get` shows it; on a terminal it is shown and asked
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    comment: String,
}

pub(super) async fn dispatch(command: Approvals, context: Context) -> Result<(), Failure> {
    match command {
        Approvals::List(args) => list(args, context).await,
        Approvals::Get(args) => get(args, context).await,
        Approvals::Decide(args) => decide(args, context).await,
    }
}

async fn list(args: List, context: Context) -> Result<(), Failure> {
    let mut terms: Vec<String> = Vec::new();
    if !args.all {
        terms.extend(args.state.iter().map(|state| format!("state = {}", state.to_uppercase())));
    }
    terms.extend(args.run.map(|run| format!("run_id = {}", serde_json::Value::from(run))));
    let request = v1::ListApprovalsRequest {
        page_size: args.page.limit,
        page_token: args.page.page,
        filter: terms.join(" AND "),
        min_position: 0,
    };
    let answer = clients::approvals(context.link().await?).list_approvals(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListApprovalsResponse", &answer);
    }
    context.out.table(&table(&answer.approvals, context.now()), "no approvals")?;
    context.more(&answer.next_page_token)
}

fn table(approvals: &[v1::Approval], now: Timestamp) -> Table {
    let mut table = Table::new(&["APPROVAL", "STATE", "ASKED", "RUN", "STEP", "ASKED BY", "TITLE"]);
    for approval in approvals {
        let state = state_label(approval);
        table.row([
            approval.approval_id.as_str().into(),
            Cell::toned(&state, tone_of(&state)),
            age(approval.create_time, now).into(),
            or_dash(&approval.run_id).into(),
            or_dash(&approval.step_id).into(),
            or_dash(&approval.requested_by).into(),
            approval.title.as_str().into(),
        ]);
    }
    table
}

fn state_label(approval: &v1::Approval) -> String {
    label(approval.state().as_str_name(), "APPROVAL_STATE")
}

async fn get(args: Get, context: Context) -> Result<(), Failure> {
    let request = v1::GetApprovalRequest { approval_id: args.approval };
    let answer = clients::approvals(context.link().await?).get_approval(request).await?.into_inner();
    shown(answer.approval, &context)
}

async fn decide(args: Decide, context: Context) -> Result<(), Failure> {
    let decision = if args.approve { ApprovalDecision::Approve } else { ApprovalDecision::Reject };
    let mut client = clients::approvals(context.link().await?);
    let digest = match args.digest {
        Some(digest) => digest,
        None => seen(&mut client, &args.approval, &context).await?,
    };
    let request = v1::DecideApprovalRequest {
        approval_id: args.approval,
        decision: decision.into(),
        digest,
        comment: args.comment,
        request_id: fresh_request_id(),
        etag: String::new(),
    };
    let answer = client.decide_approval(request).await?.into_inner();
    shown(answer.approval, &context)
}

/// Shows what is to be decided, asks, and answers the digest of what was shown.
async fn seen(client: &mut ApprovalServiceClient<Link>, id: &str, context: &Context) -> Result<String, Failure> {
    if !context.out.terminal || !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "`--digest` is missing: a decision names what was seen; `mesh approvals get {id}` shows it"
        )));
    }
    let request = v1::GetApprovalRequest { approval_id: id.to_owned() };
    let approval = client.get_approval(request).await?.into_inner().approval.ok_or(Failure::Lacking("approval"))?;
    for line in lines(&approval, context.now())? {
        context.out.line(line)?;
    }
    context.out.line("\ndecide on this? [y/N]")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(approval.digest),
        _ => Err(Failure::Usage("nothing was decided".to_owned())),
    }
}

fn shown(approval: Option<v1::Approval>, context: &Context) -> Result<(), Failure> {
    let approval = approval.ok_or(Failure::Lacking("approval"))?;
    if context.out.is_json() {
        return context.out.json("Approval", &approval);
    }
    for line in lines(&approval, context.now())? {
        context.out.line(line)?;
    }
    Ok(())
}

fn lines(approval: &v1::Approval, now: Timestamp) -> Result<Vec<String>, Failure> {
    let mut lines = vec![
        format!("approval    {}", approval.approval_id),
        format!("title       {}", approval.title),
        format!("state       {}", state_label(approval)),
        format!(
            "asked       {} ({}) by {}",
            instant(approval.create_time),
            age(approval.create_time, now),
            approval.requested_by
        ),
        format!("run         {} step {}", or_dash(&approval.run_id), or_dash(&approval.step_id)),
        format!("may decide  {} of: {}", approval.quorum.max(1), or_dash(&approval.roles.join(", "))),
        format!("expires     {}", instant(approval.expire_time)),
        format!("digest      {}", approval.digest),
    ];
    for vote in &approval.votes {
        let way = label(vote.decision().as_str_name(), "APPROVAL_DECISION");
        lines.push(format!("vote        {} {way} {}", vote.principal, vote.comment));
    }
    let mut lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
    if approval.subject.is_some() {
        let json = to_json("Approval", approval)?;
        let subject = json.get("subject").map(|subject| serde_json::to_string_pretty(subject).unwrap_or_default());
        lines.push(format!("\nto be approved\n{}", subject.unwrap_or_default()));
    }
    if approval.state() == v1::ApprovalState::Pending {
        lines.push(format!(
            "\nto decide: mesh approvals decide {} --approve --digest {}",
            clean(&approval.approval_id),
            clean(&approval.digest)
        ));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_that_waits_says_how_to_decide_it() {
        let approval = v1::Approval {
            approval_id: "appr-1".into(),
            title: "Ship it?".into(),
            state: v1::ApprovalState::Pending as i32,
            digest: "sha256:12".into(),
            run_id: "run-1".into(),
            step_id: "ask".into(),
            requested_by: "key:ci".into(),
            quorum: 2,
            roles: vec!["approver".into(), "admin".into()],
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 5 }),
            ..Default::default()
        };
        let text = lines(&approval, Timestamp::from_unix_nanos(60_000_000_000)).unwrap().join("\n");
        insta::assert_snapshot!(text, @r"
        approval    appr-1
        title       Ship it?
        state       pending
        asked       1970-01-01T00:00:00Z (59s ago) by key:ci
        run         run-1 step ask
        may decide  2 of: approver, admin
        expires     -
        digest      sha256:12

        to decide: mesh approvals decide appr-1 --approve --digest sha256:12
        ");
    }
}
