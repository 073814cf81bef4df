//! The figures, part by part: name, meaning, labels, where each comes from.

use std::{collections::BTreeMap, path::Path, time::Duration};

use mesh_journal::EmbeddedJournal;
use mesh_kernel::{
    path::Mesh,
    telemetry::{ActorKind, KindSums, Timed},
};
use mesh_skills::{
    hosts::worker::{WorkerFigures, Workers},
    models::meter::{Asked, Meter, Operation},
    pools::{Figures, Pools},
};

use super::{
    Followers, Requests, genai,
    otlp::Sink,
    tenants::Named,
    text::{Form, Labels, Text},
};
use crate::{
    backup::{BackUps, Last},
    gateway::lists::Lists,
    readmodel::Tally,
};

/// What is kept for long: the archive, and the last copy of everything.
pub(super) fn kept(text: &mut Text, archive: &Path, backups: &BackUps) {
    if let Ok(metadata) = std::fs::metadata(archive) {
        let help = "The file of archived runs.";
        text.family("mesh_archive_bytes", Form::Gauge, help).tell(&[], metadata.len());
    }
    if let Some(Last { taken, .. }) = backups.last() {
        let help = "When the last backup of this folder was taken, since the epoch.";
        let at = std::time::Duration::from_millis(taken.at.unix_millis());
        text.family("mesh_backup_last_timestamp_seconds", Form::Gauge, help).tell_time(&[], at);
        let help = "What the last backup holds.";
        text.family("mesh_backup_last_bytes", Form::Gauge, help).tell(&[], taken.bytes);
    }
}

/// Messages: counted by kind and tenant, timed by kind.
pub(super) fn messages(text: &mut Text, mesh: &Mesh, named: &Named) {
    let sums = mesh.directory().meters().sums();
    let help = "Messages by how their handling ended.";
    let mut by_kind = text.family("mesh_messages_total", Form::Counter, help);
    for (key, total) in totals(&sums, named) {
        for (outcome, count) in [("handled", total.handled), ("failed", total.failed), ("dead_letter", total.dead)] {
            by_kind.tell(&[("platform", key.0), ("kind", key.1), ("tenant", key.2), ("outcome", outcome)], count);
        }
    }
    let help = "Entities that were started again after a failure.";
    let mut restarts = text.family("mesh_entity_restarts_total", Form::Counter, help);
    for (key, total) in totals(&sums, named) {
        restarts.tell(&[("platform", key.0), ("kind", key.1), ("tenant", key.2)], total.restarts);
    }
    timings(text, "mesh_message_wait_seconds", "How long messages waited in a mailbox.", &sums, |sums| &sums.wait);
    timings(text, "mesh_message_handling_seconds", "How long messages were handled.", &sums, |sums| &sums.handle);

    let counts = mesh.directory().counts();
    text.family("mesh_mailboxes_accepted_total", Form::Counter, "Messages that were taken into a mailbox.")
        .tell(&[], counts.accepted);
    text.family("mesh_mailboxes_expired_total", Form::Counter, "Messages whose deadline passed before their turn.")
        .tell(&[], counts.expired);
}

#[derive(Default)]
struct Total {
    handled: u64,
    failed: u64,
    dead: u64,
    restarts: u64,
}

/// Sums by platform, kind and the tenant's label.
fn totals<'a>(sums: &'a [KindSums], named: &Named) -> BTreeMap<(&'a str, &'a str, &'a str), Total> {
    let mut totals: BTreeMap<_, Total> = BTreeMap::new();
    for sums in sums {
        let key = (sums.platform.as_ref(), sums.kind.as_ref(), named.label(&sums.tenant));
        let total = totals.entry(key).or_default();
        total.handled += sums.handled;
        total.failed += sums.failed;
        total.dead += sums.dead;
        total.restarts += sums.restarts;
    }
    totals
}

fn timings(text: &mut Text, name: &'static str, help: &str, sums: &[KindSums], of: impl Fn(&KindSums) -> &Timed) {
    let mut by_kind: BTreeMap<(&str, &str), Timed> = BTreeMap::new();
    for sums in sums {
        by_kind.entry((&sums.platform, &sums.kind)).or_default().add(of(sums));
    }
    let mut histograms = text.histograms(name, help);
    for ((platform, kind), timed) in &by_kind {
        histograms.tell(&[("platform", platform), ("kind", kind)], timed);
    }
}

/// Who is awake and what waits; services and how often they were started again.
pub(super) fn actors(text: &mut Text, mesh: &Mesh) {
    let load = mesh.directory().load();
    let mut gauge = |name, help: &str, of: fn(&mesh_kernel::actor::Load) -> usize| {
        let mut family = text.family(name, Form::Gauge, help);
        for ((platform, kind), load) in &load {
            family.tell(&[("platform", platform), ("kind", kind)], of(load) as u64);
        }
    };
    gauge("mesh_entities_awake", "Entities in memory.", |load| load.entities);
    gauge("mesh_entities_quarantined", "Entities that refuse messages until they are released.", |load| {
        load.quarantined
    });
    gauge("mesh_entities_wedged", "Entities whose handler was killed and does not end.", |load| load.wedged);
    gauge("mesh_mailbox_messages", "Messages that wait or are in hand.", |load| load.depth);
    gauge("mesh_mailbox_bytes", "Bytes that those messages are charged for.", |load| load.bytes);
    let mut ages = text.family("mesh_mailbox_oldest_seconds", Form::Gauge, "Age of the oldest message that waits.");
    for ((platform, kind), load) in &load {
        ages.tell_time(&[("platform", platform), ("kind", kind)], load.oldest_age);
    }
    let bytes = mesh.directory().counts().live_bytes as u64;
    text.family("mesh_entities_bytes", Form::Gauge, "Memory that awake entities are charged for.").tell(&[], bytes);

    let services = mesh.directory().services();
    let services = || services.iter().filter(|line| line.kind == ActorKind::Service);
    let mut restarts =
        text.family("mesh_service_restarts_total", Form::Counter, "Services that were started again after a failure.");
    for line in services() {
        restarts.tell(&[("service", &line.name)], u64::from(line.restarts));
    }
    text.family("mesh_effects_in_flight", Form::Gauge, "Effects that run or wait for a worker.")
        .tell(&[], mesh.workers().in_flight() as u64);
    let since = mesh.directory().unresponsive_for();
    text.family("mesh_runtime_unresponsive_seconds", Form::Gauge, "How long the runtime gave no sign of life.")
        .tell_time(&[], since);
}

/// The journal: what it recorded, how long flushes take, what room there is.
pub(super) fn journal(text: &mut Text, mesh: &Mesh, journal: &EmbeddedJournal) {
    let (figures, health) = (journal.figures(), mesh.journal().health());
    let mut appends = text.family("mesh_journal_appends_total", Form::Counter, "Appends by how they were answered.");
    appends.tell(&[("outcome", "recorded")], figures.appended);
    appends.tell(&[("outcome", "refused")], figures.refused);
    text.histograms("mesh_journal_flush_seconds", "How long a flush took; one covers everyone who waits.")
        .tell(&[], &figures.flushes);
    let mut gauge = |name, help: &str, value| text.family(name, Form::Gauge, help).tell(&[], value);
    gauge("mesh_journal_bytes", "Bytes that the log takes on the disk.", health.used_bytes);
    gauge("mesh_journal_segments", "Files of the log.", figures.segments);
    gauge("mesh_journal_entities", "Entities that have events.", health.entities);
    gauge("mesh_journal_disk_free_bytes", "Bytes free where the log is written.", health.free_bytes);
    let writable = u64::from(health.read_only.is_none());
    gauge("mesh_journal_writable", "1 while new work is taken, 0 while it is refused.", writable);
}

/// How far followers are behind. A reactor is told of once it has seen an event since the start.
pub(super) fn followers(text: &mut Text, journal: &EmbeddedJournal, followers: &dyn Followers, lists: &dyn Lists) {
    let help = "Bytes of the log that a follower has not seen yet.";
    let mut lag = text.family("mesh_follower_lag_bytes", Form::Gauge, help);
    lag.tell(&[("follower", "lists")], journal.behind(lists.position()));
    for (follower, position) in followers.positions() {
        lag.tell(&[("follower", &follower)], journal.behind(position));
    }
}

/// gRPC: counted by method and code, timed by method.
pub(super) fn requests(text: &mut Text, requests: &Requests) {
    let counted: Vec<_> = requests.counted().collect();
    let help = "gRPC requests that were answered; a stream is when it ends.";
    let mut codes = text.family("mesh_grpc_requests_total", Form::Counter, help);
    for method in &counted {
        for (code, count) in &method.codes {
            codes.tell(&[("method", method.method), ("code", code)], *count);
        }
    }
    let mut open = text.family("mesh_grpc_requests_open", Form::Gauge, "gRPC requests and streams under way.");
    for method in &counted {
        open.tell(&[("method", method.method)], method.open);
    }
    let help = "How long gRPC requests took; streams as long as they were open.";
    let mut took = text.histograms("mesh_grpc_request_seconds", help);
    for method in counted.iter().filter(|method| method.took.count() > 0) {
        took.tell(&[("method", method.method)], &method.took);
    }
}

/// Models: what asking them took, by the names of [`genai`].
pub(super) fn models(text: &mut Text, meter: &Meter) {
    let counted = meter.counted();
    let of = |asked: &Asked, more: &[(&str, &str)]| {
        let operation = match asked.operation {
            Operation::Chat => genai::CHAT,
            Operation::Embeddings => genai::EMBEDDINGS,
        };
        let mut labels = vec![
            (genai::label(genai::OPERATION_NAME), operation.to_owned()),
            (genai::label(genai::PROVIDER_NAME), genai::OPENAI.to_owned()),
            (genai::label(genai::REQUEST_MODEL), asked.model.clone()),
            ("mesh_endpoint".to_owned(), asked.endpoint.clone()),
        ];
        labels.extend(more.iter().map(|(name, value)| (genai::label(name), (*value).to_owned())));
        labels
    };
    let help = "Tokens of one attempt that was answered, as the provider counts them.";
    let mut usage = text.histograms(genai::TOKEN_USAGE_FAMILY, help);
    for (asked, took) in &counted {
        for (kind, tokens) in [(genai::INPUT, &took.input_tokens), (genai::OUTPUT, &took.output_tokens)] {
            let ends = tokens.tokens().into_iter().map(|(end, within)| (end.to_string(), within));
            if tokens.count > 0 {
                usage.tell_buckets(&of(asked, &[(genai::TOKEN_TYPE, kind)]), ends, (tokens.sum as f64, tokens.count));
            }
        }
    }
    let help = "How long one attempt to ask a model took, to the end of its answer or its fault.";
    let mut durations = text.histograms(genai::OPERATION_DURATION_FAMILY, help);
    for (asked, took) in &counted {
        for (fault, micros) in &took.micros {
            let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
            let ends = micros.micros().into_iter().map(|(end, within)| (seconds(end).to_string(), within));
            let fault: Vec<(&str, &str)> = fault.iter().map(|fault| (genai::ERROR_TYPE, *fault)).collect();
            durations.tell_buckets(&of(asked, &fault), ends, (seconds(micros.sum), micros.count));
        }
    }
}

/// The rates and breakers of skills' calls, by the tenant's label.
pub(super) fn pools(text: &mut Text, pools: &Pools, named: &Named) {
    let all = pools.figures();
    let mut by_tenant: BTreeMap<&str, Figures> = BTreeMap::new();
    for (tenant, figures) in &all {
        by_tenant.entry(named.label(tenant)).or_default().add(figures);
    }
    let help = "Skills and hosts that are not called for a while; one of several tries is still one.";
    let mut open = text.family("mesh_skill_breakers_open", Form::Gauge, help);
    for (tenant, figures) in &by_tenant {
        open.tell(&[("tenant", tenant), ("before", "skill")], figures.open_skills);
        open.tell(&[("tenant", tenant), ("before", "host")], figures.open_hosts);
    }
    let help = "How often a breaker has opened, or stayed open because a try has failed.";
    let mut opened = text.family("mesh_skill_breakers_opened_total", Form::Counter, help);
    for (tenant, figures) in &by_tenant {
        opened.tell(&[("tenant", tenant)], figures.tally.opened);
    }
    let help = "Calls of skills that a rate or a breaker has held back.";
    let mut held = text.family("mesh_skill_calls_held_total", Form::Counter, help);
    for (tenant, Figures { tally, .. }) in &by_tenant {
        for (by, outcome, count) in [
            ("rate", "waited", tally.rate_waited),
            ("rate", "refused", tally.rate_refused),
            ("breaker", "waited", tally.breaker_waited),
            ("breaker", "refused", tally.breaker_refused),
        ] {
            held.tell(&[("tenant", tenant), ("by", by), ("outcome", outcome)], count);
        }
    }
}

/// The workers that are connected and the calls for them, by the tenant's label.
pub(super) fn workers(text: &mut Text, workers: &Workers, named: &Named) {
    let all = workers.figures();
    let mut by_tenant: BTreeMap<&str, WorkerFigures> = BTreeMap::new();
    for (tenant, figures) in &all {
        by_tenant.entry(named.label(tenant)).or_default().add(figures);
    }
    let mut connected = text.family("mesh_skill_workers", Form::Gauge, "Workers that are connected.");
    for (tenant, figures) in &by_tenant {
        connected.tell(&[("tenant", tenant), ("state", "live")], figures.live);
        connected.tell(&[("tenant", tenant), ("state", "draining")], figures.draining);
    }
    let help = "Calls that a worker has, that none has yet, and that are kept for one that was lost.";
    let mut calls = text.family("mesh_skill_worker_calls", Form::Gauge, help);
    for (tenant, figures) in &by_tenant {
        for (state, count) in [("leased", figures.leased), ("waiting", figures.waiting), ("lost", figures.lost)] {
            calls.tell(&[("tenant", tenant), ("state", state)], count);
        }
    }
}

/// Traces: what the collector has.
pub(super) fn traces(text: &mut Text, sink: &Sink) {
    let sent = sink.sent();
    let mut spans = text.family("mesh_trace_spans_total", Form::Counter, "Spans by what became of them.");
    spans.tell(&[("outcome", "taken")], sent.taken);
    spans.tell(&[("outcome", "lost")], sent.lost);
    let help = "Requests to the collector that were tried again.";
    text.family("mesh_trace_retries_total", Form::Counter, help).tell(&[], sent.tried_again);
}

/// What the lists count.
pub(super) fn lists(text: &mut Text, tally: &Tally) {
    let mut family = |name, help: &str, label: &str, counts: &[(String, u64)]| {
        let mut family = text.family(name, Form::Gauge, help);
        for (state, count) in counts {
            let labels: Labels<'_> = &[(label, state)];
            family.tell(labels, *count);
        }
    };
    family("mesh_runs", "Runs by state.", "state", &tally.runs);
    family("mesh_approvals", "Approvals by state.", "state", &tally.approvals);
    family("mesh_products", "Products by the state of their process.", "state", &tally.products);
    text.family("mesh_tenants", Form::Gauge, "Tenants.").tell(&[], tally.tenants);
}
