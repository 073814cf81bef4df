//! Whether a node runs on the folder, and what it says of itself.

use std::{fs, io::Read as _, path::Path};

use mesh_journal::{EmbeddedJournal, Options};
use mesh_skills::product::http::Ask;

use crate::{
    cli::{connect, context::Context},
    config::{Config, DataFolder, Running},
    telemetry::{Finding, verified},
};

/// How long a node may take to read every byte of its journal.
const VERIFY_WITHIN: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Asks the node, or looks at what it left behind.
pub(super) async fn examine(findings: &mut Vec<Finding>, config: &Config, verify: bool, context: &Context) {
    let running = DataFolder::at(&config.data).running().ok().flatten();
    match (holder(&config.data), running) {
        (Some(pid), Some(running)) => {
            findings.push(Finding::ok("node", format!("runs as process {pid}, at {}", running.grpc)));
            ask(findings, &running, verify, context).await;
        }
        (Some(pid), None) => findings.push(Finding::warn(
            "node",
            format!("process {pid} has the journal and does not say where it answers"),
            "it starts or stops: look again in a moment; else end that process",
        )),
        (None, left) => {
            findings.push(match left {
                None => Finding::ok("node", "none runs here"),
                Some(_) => Finding::warn(
                    "node",
                    "none runs here, and the last one did not stop in order",
                    "nothing that was acknowledged is lost: start it again; its log says why it ended",
                ),
            });
            if verify {
                findings.push(verify_here(config).await);
            }
        }
    }
}

/// The process that has the journal's lock.
fn holder(data: &Path) -> Option<String> {
    let mut file = fs::File::open(data.join("journal/lock")).ok()?;
    // A lock that we get goes with the file, at the end of this function.
    matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)).then_some(())?;
    let mut pid = String::new();
    file.read_to_string(&mut pid).ok()?;
    Some(pid.trim().to_owned())
}

async fn ask(findings: &mut Vec<Finding>, running: &Running, verify: bool, context: &Context) {
    let advice = "its log says more; `mesh open` and `mesh tree` ask the same listeners";
    let unreachable = |what: String| Finding::fail("node answers", what, advice);
    let key = match connect::key(&context.global) {
        Ok(key) => key,
        Err(failure) => {
            let advice = "with an operator's key in MESH_API_KEY the node is asked too";
            return findings.push(Finding::warn("node answers", failure.to_string(), advice));
        }
    };
    let mut ask = Ask::get(format!("{}/doctor?verify={verify}", running.http));
    if verify {
        ask.within = VERIFY_WITHIN;
    }
    match ask.with("authorization", format!("Bearer {key}")).send().await {
        Err(failure) => findings.push(unreachable(failure.to_string())),
        Ok(answer) if answer.status == 200 => match serde_json::from_slice::<Vec<Finding>>(&answer.body) {
            Ok(told) => findings.extend(told),
            Err(error) => findings.push(unreachable(format!("it answers strangely: {error}"))),
        },
        Ok(answer) if matches!(answer.status, 401 | 403) => findings.push(Finding::warn(
            "node answers",
            format!("the key was not enough ({})", answer.status),
            "with an operator's key in MESH_API_KEY the node is asked too",
        )),
        Ok(answer) => findings.push(unreachable(format!("it answers {}", answer.status))),
    }
}

/// Opens the journal as a node would, and reads it.
async fn verify_here(config: &Config) -> Finding {
    let folder = config.data.join("journal");
    if !folder.exists() {
        return Finding::ok("verify", "no journal yet");
    }
    let options = Options { segment_bytes: config.journal.segment_bytes, ..Options::default() };
    let advice = "restore a backup; keep this folder as it is";
    let journal = match EmbeddedJournal::open(&folder, options) {
        Ok(journal) => journal,
        Err(error) => return Finding::fail("verify", error.to_string(), advice),
    };
    verified(&journal).await
}
