//! A hundred thousand runs that wait for a place: whoever submits too fast is told to wait, memory stays
//! within its bound, and every run that was taken ends. (Who waits for an answer for longer than the skill does
//! is asked again with the same key.)

use std::{
    cell::Cell,
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::{rpc, v1};
use mesh_tests::{Client, Recorder, object};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::{
    k6::{self, K6, Submits, Told},
    measure::closed_count,
    options::Load,
    ours::Ours,
    process::{Meter, load},
    report::{MIB, rounded},
    side::Side as _,
};

/// A run whose one step waits for a place to work, and then for an answer from outside.
const QUEUED: &str = "name: queued\ntitle: Waits for a place\nsteps:\n  - id: post\n    skill: http.post\n    \
                      timeout: 2h\n    with: { url: '${input.url}', body: { name: '${run.id}' } }\n";

/// What the tenant may ask for, so that both of those who submit are too fast. **Units**: commands per second.
const QUOTA: &str = "1000";
/// **Units**: runs per second.
const K6_RATE: u32 = 4_000;
const IN_FLIGHT: usize = 64;
const WATCHDOG: Duration = Duration::from_secs(1_800);

/// Measures and reports.
///
/// # Errors
/// A node that does not start, a run that is lost.
pub(crate) async fn run(options: &Load) -> Result<()> {
    std::fs::create_dir_all(&options.work)?;
    let work = tempfile::tempdir_in(&options.work)?;
    let before = load();
    let recorder = Recorder::start(Duration::ZERO).await?;
    recorder.hold();
    let quota = ["MESH_TENANTS_COMMANDS_PER_SECOND", "MESH_TENANTS_COMMANDS_BURST"].map(|name| (name, QUOTA));
    let mut ours = Ours::start_with(&options.mesh, work.path().join("ours"), &quota).await?;
    ours.publish(QUEUED).await?;
    let meter = Meter::start(&ours.servers());

    let began = Instant::now();
    let input = json!({ "url": recorder.url() });
    let told = submit(options, &ours, &input).await?;
    let queued = began.elapsed();
    ensure!(told.k6.to_wait + told.driver.to_wait > 0, "nobody was told to wait");
    let waiting = crate::process::resident(&ours.servers()) as f64 / MIB;
    println!(
        "{} runs queued in {:.0} s, {} requests told to wait; k6 alone: {:?}",
        options.runs,
        queued.as_secs_f64(),
        told.driver.to_wait + told.k6.to_wait,
        told.k6
    );

    recorder.release();
    let released = Instant::now();
    while ours.has_any(&["CREATED", "RUNNING", "WAITING"]).await? {
        ensure!(released.elapsed() < WATCHDOG, "not all runs ended within half an hour");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let drained = released.elapsed();
    let cost = meter.stop();
    let succeeded = ours.succeeded().await?;
    let keys = recorder.records();
    let distinct: HashSet<&str> = keys.iter().map(|record| record.key.as_str()).collect();
    let peak = cost.peak as f64 / MIB;
    println!(
        "all ended in {:.0} s; {waiting:.0} MiB with all of them queued, {peak:.0} MiB at most, {} are allowed; {} of {} \
         ended well, {} keys outside, {} times asked again",
        drained.as_secs_f64(),
        options.mib,
        succeeded,
        options.runs,
        distinct.len(),
        keys.len() - distinct.len()
    );
    ensure!(succeeded == options.runs as u64, "{succeeded} of {} runs ended well", options.runs);
    ensure!(distinct.len() == options.runs, "{} effects of {} runs", distinct.len(), options.runs);
    println!(
        "{}",
        json!({
            "bench": "load", "versions": {"ours": ours.version(), "k6": k6::version(&options.k6)?},
            "load": {"before": before, "after": load()}, "work": {"ours": succeeded, "peers": {}},
            "ours": {
                "queuedSeconds": rounded(queued.as_secs_f64(), 1), "drainedSeconds": rounded(drained.as_secs_f64(), 1),
                "toldToWait": told.driver.to_wait + told.k6.to_wait, "lost": 0, "askedAgain": keys.len() - distinct.len(),
                "queuedMib": rounded(waiting, 0), "peakMib": rounded(peak, 0), "cpuSeconds": rounded(cost.cpu, 1),
            },
            "peers": {"k6": {"taken": told.k6.taken, "toldToWait": told.k6.to_wait, "failed": told.k6.failed}},
            "ratio": {}, "limit": {"memory": rounded(peak / options.mib as f64, 2)},
        })
    );
    Ok(())
}

struct Both {
    k6: Told,
    driver: Told,
}

/// k6 submits as fast as it is told, without a thought for who tells it to wait; then the driver submits
/// what is missing, and waits as long as it is told to.
async fn submit(options: &Load, ours: &Ours, input: &Value) -> Result<Both> {
    let door = ours.door()?;
    let k6 = K6::start(&Submits {
        k6: &options.k6,
        script: &options.script,
        door: door.clone(),
        definition: "queued",
        input: input.clone(),
        rate: K6_RATE,
        seconds: options.seconds,
    })?;
    let k6 = k6.end().await?;
    ensure!(k6.failed == 0, "k6: {k6:?}");
    let client = Client::connect(&door.0, &door.1).await?;
    let (to_wait, number) = (Cell::new(0), Cell::new(0_u64));
    let missing = options.runs.checked_sub(k6.taken as usize).context("k6 submitted more than was wanted")?;
    let once = || async {
        number.set(number.get() + 1);
        let told = insist(client.clone(), number.get(), input).await?;
        to_wait.set(to_wait.get() + told);
        Ok(())
    };
    closed_count(missing, IN_FLIGHT, once).await?;
    Ok(Both { k6, driver: Told { taken: missing as u64, to_wait: to_wait.get(), failed: 0 } })
}

/// Submits until it is taken; answers how often it was told to wait.
async fn insist(mut client: Client, number: u64, input: &Value) -> Result<u64> {
    let request = v1::SubmitRunRequest {
        definition: "queued".to_owned(),
        request_id: format!("driver-{number}"),
        input: Some(object(input)),
        ..Default::default()
    };
    let mut told = 0;
    while let Err(status) = client.workflows.submit_run(request.clone()).await {
        ensure!(status.code() == Code::ResourceExhausted, "{status:?}");
        told += 1;
        tokio::time::sleep(retry_delay(&status).context("told to wait without a delay")?).await;
    }
    Ok(told)
}

fn retry_delay(status: &Status) -> Option<Duration> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let told = details.iter().find(|any| any.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = rpc::RetryInfo::decode(told.value.as_slice()).ok()?.retry_delay?;
    Duration::try_from(delay).ok()
}
