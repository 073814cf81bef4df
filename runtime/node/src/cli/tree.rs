//! `mesh tree`: who supervises whom, and how each is.

use std::time::Duration;

use clap::{Args, ValueEnum};
use mesh_proto::v1::{self, ActorTreeView};

use super::{
    Failure, clients,
    context::Context,
    output::{Paint, Tone, clean, duration, tone_of},
};

/// What `mesh tree` takes.
#[derive(Debug, Args)]
pub(crate) struct Tree {
    /// How to look at it
    #[arg(long, value_enum, default_value_t, value_name = "VIEW")]
    by: View,
    /// Leave out entities; only supervisors and counts
    #[arg(long)]
    supervisors: bool,
}

/// How to look at the tree.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum View {
    /// Node, planes, platforms, shards, entities: who restarts whom
    #[default]
    Supervision,
    /// Tenants, and the awake entities of each
    Tenant,
}

pub(super) async fn tree(args: Tree, context: Context) -> Result<(), Failure> {
    let view = match args.by {
        View::Supervision => ActorTreeView::Supervision,
        View::Tenant => ActorTreeView::Tenant,
    };
    let request = v1::GetActorTreeRequest { view: view.into(), supervisors_only: args.supervisors };
    let answer = clients::telemetry(context.link().await?).get_actor_tree(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("GetActorTreeResponse", &answer);
    }
    let root = answer.root.ok_or(Failure::Lacking("root"))?;
    Ok(context.out.line(drawn(&root, context.out.paint).join("\n"))?)
}

fn drawn(root: &v1::ActorNode, paint: Paint) -> Vec<String> {
    let mut lines = vec![described(root, paint)];
    branch(root, "", paint, &mut lines);
    lines
}

fn branch(node: &v1::ActorNode, indent: &str, paint: Paint, lines: &mut Vec<String>) {
    let last = node.children.len().saturating_sub(1);
    for (index, child) in node.children.iter().enumerate() {
        let (corner, below) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push(format!("{indent}{corner}{}", described(child, paint)));
        branch(child, &format!("{indent}{below}"), paint, lines);
    }
}

/// The name, then only what says something: a quiet actor is a short line.
fn described(node: &v1::ActorNode, paint: Paint) -> String {
    let mut parts = vec![clean(&node.name)];
    if !matches!(node.state.as_str(), "" | "live" | "running") {
        parts.push(paint.tone(tone_of(&node.state), &clean(&node.state)));
    }
    if node.awake > 0 && node.kind != "entity" {
        parts.push(format!("{} awake", node.awake));
    }
    if let Some(worker) = &node.worker {
        parts.push(clean(&worker.skills.join(", ")));
        parts.push(format!("{} of {} calls", worker.leased, worker.concurrency));
        parts.push(paint.tone(Tone::Faint, &format!("heard {} ago", told(worker.heard))));
    }
    if node.restarts > 0 {
        parts.push(paint.tone(Tone::Waits, &format!("{} restarts", node.restarts)));
    }
    if node.mailbox_depth > 0 {
        parts.push(format!("{} waiting, oldest {}", node.mailbox_depth, told(node.oldest_age)));
    }
    if node.handled > 0 {
        parts.push(paint.tone(
            Tone::Faint,
            &format!("{} handled, p50 {}, p99 {}", node.handled, told(node.handle_p50), told(node.handle_p99)),
        ));
    }
    if node.failed > 0 {
        parts.push(paint.tone(Tone::Bad, &format!("{} failed", node.failed)));
    }
    if !node.last_error.is_empty() {
        parts.push(paint.tone(Tone::Bad, &clean(&node.last_error)));
    }
    parts.join("  ")
}

fn told(time: Option<prost_types::Duration>) -> String {
    let time = time.and_then(|time| Duration::try_from(time).ok()).unwrap_or_default();
    if time < Duration::from_millis(1) { format!("{}µs", time.as_micros()) } else { duration(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_drawn_with_what_says_something() {
        let node = |name: &str, kind: &str, children| v1::ActorNode {
            name: name.into(),
            kind: kind.into(),
            state: "live".into(),
            children,
            ..Default::default()
        };
        let mut sick = node("acme/control-plane/run/run-1", "entity", vec![]);
        sick.state = "quarantined".into();
        sick.restarts = 3;
        sick.last_error = "position 7 cannot be decoded".into();
        let mut busy = node("acme/control-plane/run/run-2", "entity", vec![]);
        busy.handled = 12;
        busy.mailbox_depth = 2;
        busy.oldest_age = Some(prost_types::Duration { seconds: 1, nanos: 0 });
        busy.handle_p50 = Some(prost_types::Duration { seconds: 0, nanos: 80_000 });
        busy.handle_p99 = Some(prost_types::Duration { seconds: 0, nanos: 9_000_000 });
        let mut shard = node("shard 7", "shard", vec![sick, busy]);
        shard.awake = 2;
        let platform = node("control-plane", "platform", vec![shard]);
        let mut worker = node("acme/w-1", "worker", vec![]);
        worker.state = "draining".into();
        worker.worker = Some(v1::SkillWorker {
            tenant: "acme".into(),
            skills: vec!["acme.shout@1.0.0".into()],
            leased: 2,
            concurrency: 8,
            heard: Some(prost_types::Duration { seconds: 3, nanos: 0 }),
            connected: None,
        });
        let mut workers = node("workers", "workers", vec![worker]);
        workers.awake = 1;
        let planes = [node("control", "plane", vec![platform]), node("work", "plane", vec![]), workers];
        let root = node("node", "node", planes.into());
        insta::assert_snapshot!(drawn(&root, Paint::NONE).join("\n"), @r"
        node
        ├─ control
        │  └─ control-plane
        │     └─ shard 7  2 awake
        │        ├─ acme/control-plane/run/run-1  quarantined  3 restarts  position 7 cannot be decoded
        │        └─ acme/control-plane/run/run-2  2 waiting, oldest 1s  12 handled, p50 80µs, p99 9ms
        ├─ work
        └─ workers  1 awake
           └─ acme/w-1  draining  acme.shout@1.0.0  2 of 8 calls  heard 3s ago
        ");
    }
}
