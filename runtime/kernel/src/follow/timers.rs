//! Timers that are due become commands: `FireTimer { name, due }`, on the same path as all others.

use std::time::Duration;

use crate::{
    entity::TimerRequest,
    envelope::{Address, IdempotencyKey, Payload, Retry},
    path::Mesh,
    telemetry::ServiceMeter,
};

/// How many timers fire at once.
const AT_ONCE: usize = 256;

/// How long to wait before a timer that could not be fired is looked at again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Fires timers as they become due, until dropped.
pub async fn run_timers(mesh: &Mesh, meter: &ServiceMeter) {
    loop {
        mesh.timers().wait().await;
        loop {
            let due = mesh.timers().take_due(AT_ONCE);
            meter.holds(mesh.timers().len() + due.len());
            if due.is_empty() {
                break;
            }
            let number = due.len();
            let fired = due.into_iter().map(|due| fire(mesh, due.address, due.timer));
            futures_util::future::join_all(fired).await;
            meter.handled(number);
        }
    }
}

async fn fire(mesh: &Mesh, address: Address, timer: Option<TimerRequest>) {
    let Some(timer) = timer else {
        mesh.directory().wake(&address);
        return;
    };
    let payload = serde_json::json!({ "name": timer.name, "due": timer.due });
    let command =
        Payload { name: "FireTimer".into(), schema_version: 1, bytes: bytes::Bytes::from(payload.to_string()) };
    let key = IdempotencyKey::parse(&format!("timer:{}:{}", timer.due.unix_nanos(), plain(&timer.name)));
    let (Ok(Some(cause)), Ok(key)) = (mesh.last_event(&address).await, key) else { return };
    crate::failpoint::pass("timer");
    if let Err(refusal) = mesh.react("timers", &cause, address.clone(), command, key).await
        && refusal.retry != Retry::Never
    {
        tracing::warn!(%address, timer = %timer.name, %refusal, "a timer could not be fired: tried again");
        // Waking makes the entity arm what it still wants, this timer included.
        mesh.timers().wake_at(&address, mesh.now().plus(AGAIN_AFTER));
    }
}

/// A timer's name as a part of a key.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    name.chars().take(80).map(plain).collect()
}
