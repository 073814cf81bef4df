//! What one tenant notices of another's flood, and what a node notices of tenants that do nothing.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    k6::{self, K6, Submits, Told},
    measure::{Slot, closed_loop},
    options::Fairness,
    ours::{Ours, Seat, TEXT},
    process::{cpu, load, resident},
    report::{MIB, rounded},
    side::Side as _,
};

/// How long the quiet tenant rests between its runs, and how long idleness is looked at.
const REST: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(10);

/// Measures and reports.
///
/// # Errors
/// A node that does not start, and a run that fails.
pub(crate) async fn run(options: &Fairness) -> Result<()> {
    std::fs::create_dir_all(&options.work)?;
    let work = tempfile::tempdir_in(&options.work)?;
    let before = load();
    let quota = options.quota.map(|quota| quota.to_string());
    let mut settings = vec![("MESH_ACTORS_SLEEP_AFTER", "1s")];
    for name in ["MESH_TENANTS_COMMANDS_PER_SECOND", "MESH_TENANTS_COMMANDS_BURST"] {
        settings.extend(quota.as_deref().map(|quota| (name, quota)));
    }
    let mut ours = Ours::start_with(&options.mesh, work.path().join("ours"), &settings).await?;
    let (flooding, quiet) = (ours.tenant("flooding").await?, ours.tenant("quiet").await?);
    let seat = ours.seat(&quiet).await?;

    let alone = idle(&ours).await;
    for n in 0..options.idle {
        ours.tenant(&format!("idle-{n}")).await?;
    }
    let among = idle(&ours).await;
    println!(
        "{} tenants that do nothing: {:.1} MiB more, {:.2} s CPU in {} s instead of {:.2} s",
        options.idle,
        among.mib - alone.mib,
        among.cpu,
        IDLE.as_secs(),
        alone.cpu
    );

    let (mut calm, mut flooded, mut told) = (Slot::default(), Slot::default(), Told::default());
    for _ in 0..options.rounds {
        calm.add(measure(&seat, options).await?);
        let flood = K6::start(&Submits {
            k6: &options.k6,
            script: &options.script,
            door: (ours.door()?.0, flooding.clone()),
            definition: "ten-steps",
            input: json!({ "text": TEXT }),
            rate: options.rate,
            seconds: options.seconds + 4,
        })?;
        // Until it is in full flood.
        tokio::time::sleep(Duration::from_secs(3)).await;
        flooded.add(measure(&seat, options).await?);
        let ended = flood.end().await?;
        told.taken += ended.taken;
        told.to_wait += ended.to_wait;
        told.failed += ended.failed;
        // What was taken is done before it is quiet again.
        while ours.node_is_busy() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    report(options, &ours, before, [&calm, &flooded], [&alone, &among], told)
}

/// What a node costs that has nothing to do.
struct Idle {
    mib: f64,
    cpu: f64,
}

async fn idle(ours: &Ours) -> Idle {
    // Everybody falls asleep first.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let servers = ours.servers();
    let used = || servers.iter().copied().map(cpu).sum::<f64>();
    let before = used();
    tokio::time::sleep(IDLE).await;
    Idle { mib: resident(&servers) as f64 / MIB, cpu: used() - before }
}

/// One run after the other, each with a rest behind it that is not counted.
async fn measure(seat: &Seat, options: &Fairness) -> Result<Slot> {
    let once = || async {
        tokio::time::sleep(REST).await;
        seat.run_once().await
    };
    let mut slot = closed_loop(1, Duration::from_secs(options.seconds), once).await?;
    slot.runs.iter_mut().for_each(|run| *run = run.saturating_sub(REST));
    Ok(slot)
}

fn report(
    options: &Fairness,
    ours: &Ours,
    before: f64,
    [calm, flooded]: [&Slot; 2],
    [alone, among]: [&Idle; 2],
    told: Told,
) -> Result<()> {
    let side = |slot: &Slot| -> Value {
        json!({
            "runs": slot.runs.len(),
            "runP50Ms": rounded(slot.step_ms(0.5) * 10.0, 2), "runP99Ms": rounded(slot.step_ms(0.99) * 10.0, 2),
        })
    };
    println!("{:<10} {:>8} {:>12} {:>12}", "", "runs", "run p50, ms", "run p99, ms");
    for (name, slot) in [("quiet", calm), ("flooded", flooded)] {
        println!(
            "{name:<10} {:>8} {:>12.2} {:>12.2}",
            slot.runs.len(),
            slot.step_ms(0.5) * 10.0,
            slot.step_ms(0.99) * 10.0
        );
    }
    println!("the flood: {} runs of ten steps taken, {} told to wait", told.taken, told.to_wait);
    println!(
        "{}",
        json!({
            "bench": "fairness", "versions": {"ours": ours.version(), "k6": k6::version(&options.k6)?},
            "load": {"before": before, "after": load()},
            "work": {"ours": calm.ended + flooded.ended, "peers": {}},
            "ours": {
                "quiet": side(calm), "flooded": side(flooded),
                "idle": {
                    "tenants": options.idle, "mib": rounded(among.mib - alone.mib, 1),
                    "cpuSeconds": rounded(among.cpu, 2), "cpuSecondsWithout": rounded(alone.cpu, 2),
                },
            },
            "peers": {"k6": {"taken": told.taken, "toldToWait": told.to_wait, "failed": told.failed}},
            "ratio": {}, "limit": {"p99": rounded(flooded.step_ms(0.99) / calm.step_ms(0.99), 2)},
        })
    );
    Ok(())
}
