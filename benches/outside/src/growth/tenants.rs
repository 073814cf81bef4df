//! Tenants grow, and the same work is spread over all of them.

use std::{cell::Cell, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{head, point};
use crate::{measure::closed_loop, options::Growth, ours::Ours, process::Meter, side::Side as _};

pub(super) async fn run(options: &Growth, data: PathBuf) -> Result<Vec<Value>> {
    let mut ours = Ours::start(&options.mesh, data.clone()).await?;
    let (mut keys, mut points) = (Vec::new(), Vec::new());
    head("tenants");
    for tenants in &options.tenants {
        while keys.len() < *tenants {
            keys.push(ours.tenant(&format!("tenant-{}", keys.len())).await?);
        }
        let mut seats = Vec::new();
        for key in &keys {
            seats.push(ours.seat(key).await?);
        }
        let turn = Cell::new(0_usize);
        let once = || {
            turn.set(turn.get() + 1);
            let seat = seats.get(turn.get() % seats.len());
            async move { seat.context("there is no tenant")?.run_once().await }
        };
        let meter = Meter::start(&ours.servers());
        let slot = closed_loop(options.in_flight, Duration::from_secs(options.seconds), once).await?;
        let cost = meter.stop();
        drop(seats);
        let disk = ours.data_bytes()?;
        ours.stop()?;
        ours = Ours::start(&options.mesh, data.clone()).await?;
        points.push(point(*tenants, slot.steps_per_second(), &cost, disk, ours.started));
    }
    Ok(points)
}
