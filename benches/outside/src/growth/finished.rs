//! Finished runs pile up: the start may not grow with them.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use serde_json::Value;

use super::{head, point};
use crate::{options::Growth, ours::Ours, process::Meter, side::Side as _};

pub(super) async fn run(options: &Growth, data: PathBuf) -> Result<Vec<Value>> {
    let mut ours = Ours::start(&options.mesh, data.clone()).await?;
    let (mut done, mut points) = (0, Vec::new());
    head("finished");
    for runs in &options.runs {
        ours.execute(runs.saturating_sub(done), options.in_flight).await?;
        let meter = Meter::start(&ours.servers());
        let slot = ours.measure(options.in_flight, Duration::from_secs(options.seconds)).await?;
        let cost = meter.stop();
        done = runs.max(&done) + slot.ended;
        let disk = ours.data_bytes()?;
        ours.stop()?;
        ours = Ours::start(&options.mesh, data.clone()).await?;
        points.push(point(done, slot.steps_per_second(), &cost, disk, ours.started));
    }
    Ok(points)
}
