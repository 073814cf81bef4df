//! A run's history grows: a step may not cost more because many came before it.

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::{head, point};
use crate::{options::Growth, ours::Ours, process::Meter, side::Side as _};

/// Each item is asked for and answered: two events.
const DEFINITION: &str = "name: items\nsteps:\n  - id: each\n    \
                          forEach: { items: '${input.items}', parallel: 4, skill: value.pass }\n    \
                          with: { value: '${item}' }\n";

/// Items in all runs of one size, so that short histories are measured as long.
const ITEMS: usize = 10_000;

pub(super) async fn run(options: &Growth, data: PathBuf) -> Result<Vec<Value>> {
    let mut ours = Ours::start_each(&options.mesh, data.clone()).await?;
    ours.publish(DEFINITION).await?;
    let mut points = Vec::new();
    head("events");
    for events in &options.events {
        let items = (events / 2).max(1);
        let input = json!({ "items": (0..items).collect::<Vec<_>>() });
        let runs = (ITEMS / items).max(1);
        let (meter, began) = (Meter::start(&ours.servers()), Instant::now());
        for _ in 0..runs {
            ours.run_of("items", &input).await?;
        }
        let rate = (runs * items) as f64 / began.elapsed().as_secs_f64();
        let cost = meter.stop();
        let disk = ours.data_bytes()?;
        ours.stop()?;
        ours = Ours::start_each(&options.mesh, data.clone()).await?;
        points.push(point(*events, rate, &cost, disk, ours.started));
    }
    Ok(points)
}
