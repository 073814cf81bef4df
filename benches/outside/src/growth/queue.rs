//! A queue grows: runs that wait for their turn under a concurrency limit, and then take it one by one.

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::{head, point};
use crate::{options::Growth, ours::Ours, process::Meter, side::Side as _};

/// The first run holds the only place until it is told to go.
const DEFINITION: &str = "name: queued\nconcurrency: { limit: 1 }\nsteps:\n  \
                          - { id: hold, when: input.hold, signal: go }\n  \
                          - { id: pass, when: 'true', needs: hold, skill: value.pass, with: { value: 1 } }\n";

pub(super) async fn run(options: &Growth, data: PathBuf) -> Result<Vec<Value>> {
    let mut ours = Ours::start(&options.mesh, data.clone()).await?;
    ours.publish(DEFINITION).await?;
    let mut points = Vec::new();
    head("queued");
    for queued in &options.queued {
        let holder = ours.submit_one("queued", &json!({ "hold": true })).await?;
        let meter = Meter::start(&ours.servers());
        let names = ours.submit_all("queued", &json!({ "hold": false }), *queued, 64).await?;
        let cost = meter.stop();
        // A start with the whole queue: who waits is not woken.
        ours.stop()?;
        ours = Ours::start(&options.mesh, data.clone()).await?;
        let started = ours.started;
        let (meter, began) = (Meter::start(&ours.servers()), Instant::now());
        ours.signal(&holder, "go").await?;
        ours.ended(names).await?;
        let rate = *queued as f64 / began.elapsed().as_secs_f64();
        let drained = meter.stop();
        let (peak, disk) = (if drained.peak > cost.peak { &drained } else { &cost }, ours.data_bytes()?);
        points.push(point(*queued, rate, peak, disk, started));
    }
    Ok(points)
}
