//! What only a running node knows of its health: for `mesh doctor`.

use std::collections::HashSet;

use mesh_journal::EmbeddedJournal;
use mesh_kernel::{
    envelope::Address,
    ports::Wake,
    telemetry::{ActorInfo, ActorKind, ActorState},
};

use super::{Finding, Metrics, Sources};

/// A follower that is further behind than this is worth a look. **Units**: bytes of the log.
const LAG_BYTES: u64 = 64 * 1024 * 1024;

/// How many are named.
const NAMED: usize = 5;

impl Metrics {
    /// Looks at everything; with `verify` reads every byte of the journal too.
    ///
    /// **Cost**: a line for each awake entity; with `verify` one read of the whole log.
    pub async fn findings(&self, verify: bool) -> Vec<Finding> {
        let sources = self.sources();
        let lines = sources.mesh.directory().tree();
        let mut findings = vec![journal(sources), followers(sources), quarantined(&lines), services(&lines)];
        findings.push(dead_letters(sources));
        findings.push(asleep_for_ever(sources, &lines).await);
        findings.extend(sources.sink.as_ref().map(traces));
        if verify {
            findings.push(verified(&sources.journal).await);
        }
        findings
    }
}

fn journal(sources: &Sources) -> Finding {
    let health = sources.mesh.journal().health();
    match health.read_only {
        Some(reason) => {
            Finding::fail("journal", format!("new work is refused: {reason}"), "mend what it says; reads go on")
        }
        None => Finding::ok(
            "journal",
            format!(
                "takes new work; {} of log, {} entities, last flush {:?}",
                bytes(health.used_bytes),
                health.entities,
                health.last_flush
            ),
        ),
    }
}

fn followers(sources: &Sources) -> Finding {
    let lists = crate::gateway::lists::Lists::position(sources.lists.as_ref());
    let all = [("lists".to_owned(), lists)].into_iter().chain(sources.followers.positions());
    let lags: Vec<(String, u64)> = all.map(|(name, position)| (name, sources.journal.behind(position))).collect();
    let late: Vec<String> = lags
        .iter()
        .filter(|(_, lag)| *lag > LAG_BYTES)
        .map(|(name, lag)| format!("`{name}` by {}", bytes(*lag)))
        .collect();
    if late.is_empty() {
        let most = lags.iter().map(|(_, lag)| *lag).max().unwrap_or(0);
        return Finding::ok("followers", format!("{} follow the journal, at most {} behind", lags.len(), bytes(most)));
    }
    let advice = "look again in a minute; when it grows, the node's log says what the follower meets";
    Finding::warn("followers", format!("behind the journal: {}", late.join(", ")), advice)
}

fn quarantined(lines: &[ActorInfo]) -> Finding {
    let bad = |line: &&ActorInfo| matches!(line.state, ActorState::Quarantined | ActorState::Wedged);
    let found: Vec<&ActorInfo> = lines.iter().filter(bad).collect();
    if found.is_empty() {
        return Finding::ok("quarantine", "no entity refuses its messages");
    }
    let why = |line: &&ActorInfo| {
        let error = line.last_error.as_deref().unwrap_or("no reason was kept");
        format!("{} ({}: {error})", line.name, line.state.as_str())
    };
    let advice = "`mesh dead-letters list` has their messages whole: mend the cause, start the node again, replay them";
    Finding::fail("quarantine", some(&found.iter().map(why).collect::<Vec<_>>()), advice)
}

fn services(lines: &[ActorInfo]) -> Finding {
    let failed = |line: &&ActorInfo| line.kind == ActorKind::Service && line.restarts > 0;
    let why = |line: &ActorInfo| {
        format!(
            "{} {} times ({})",
            line.name,
            line.restarts,
            line.last_error.as_deref().unwrap_or("no reason was kept")
        )
    };
    let found: Vec<String> = lines.iter().filter(failed).map(why).collect();
    if found.is_empty() {
        return Finding::ok("services", "none was started again since the node started");
    }
    Finding::warn("services", format!("started again: {}", some(&found)), "the node's log says why each failed")
}

fn dead_letters(sources: &Sources) -> Finding {
    match sources.mesh.directory().counts().dead {
        0 => Finding::ok("dead letters", "none since the node started"),
        dead => Finding::warn(
            "dead letters",
            format!("{dead} since the node started"),
            "`mesh dead-letters list` says why, `mesh dead-letters replay` sends one again",
        ),
    }
}

/// A run whose steps are under way wants something of the outside world, so it is awake, or the
/// journal knows that it waits. One that is neither would wait for ever.
async fn asleep_for_ever(sources: &Sources, lines: &[ActorInfo]) -> Finding {
    let busy = match sources.lists.busy_runs().await {
        Ok(busy) => busy,
        Err(refusal) => {
            return Finding::warn("runs", format!("the lists cannot be read: {refusal}"), "the node's log says more");
        }
    };
    // The list first: what it says of a run that ends meanwhile is checked against what comes later.
    let awake: HashSet<&str> = lines.iter().map(|line| line.name.as_str()).collect();
    let unfinished = sources.mesh.journal().unfinished().await.unwrap_or_default();
    let waits: HashSet<&Address> =
        unfinished.iter().filter(|(_, wake)| *wake != Wake::Idle).map(|(address, _)| address).collect();
    let lost: Vec<String> = busy
        .iter()
        .filter(|run| !awake.contains(run.as_str()))
        .filter(|run| run.parse::<Address>().is_ok_and(|run| !waits.contains(&run)))
        .cloned()
        .collect();
    if lost.is_empty() {
        return Finding::ok("runs", format!("{} have steps under way, and all of them will be woken", busy.len()));
    }
    let advice = "`mesh runs resume` or `mesh runs retry` wakes one; keep the data folder: this is a bug";
    Finding::fail("runs", format!("nobody will wake {}", some(&lost)), advice)
}

fn traces(sink: &super::otlp::Sink) -> Finding {
    let sent = sink.sent();
    let told = format!("{} spans taken by the collector, {} lost", sent.taken, sent.lost);
    if sent.lost == 0 {
        return Finding::ok("traces", told);
    }
    Finding::warn("traces", told, "the node's log has the collector's answer; see OTEL_BSP_MAX_QUEUE_SIZE for samples")
}

/// Reads every byte of the journal.
pub(crate) async fn verified(journal: &EmbeddedJournal) -> Finding {
    match journal.verify().await {
        Ok(read) => {
            let found = format!(
                "every byte of the journal is as it was written: {} in {} events",
                bytes(read.bytes),
                read.events
            );
            Finding::ok("verify", found)
        }
        Err(error) => Finding::fail("verify", error.to_string(), "restore a backup; keep this folder as it is"),
    }
}

/// Some names, and how many more.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// An amount of bytes for people.
pub(crate) fn bytes(amount: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = amount as f64;
    let mut unit = units.iter();
    let mut name = unit.next().unwrap_or(&"B");
    while value >= 1024.0
        && let Some(next) = unit.next()
    {
        value /= 1024.0;
        name = next;
    }
    if amount < 1024 { format!("{amount} {name}") } else { format!("{value:.1} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_lists_are_short() {
        assert_eq!([0, 1023, 1536, 5 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
        let names: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        assert_eq!(some(&names), "0, 1, 2, 3, 4 and 2 more");
    }
}
