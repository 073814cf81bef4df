//! Lives: how long a restart takes and what it loses, what a wake costs, what one awake entity weighs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mesh_kernel::actor::Lane;
use ractor::Actor as _;
use tokio::{runtime::Runtime, sync::mpsc::channel};

use crate::{
    load::envelope,
    measure::{cpu, micros, resident},
    ours::{Stage, address},
    peers::Receiver,
};

/// Restarts with a thousand messages in the mailbox.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// Microseconds from the panic to the first message that the next incarnation handles.
    pub(crate) took: Vec<f64>,
    /// Messages that were accepted and are neither handled nor dead letters.
    pub(crate) lost: u64,
}

/// An entity of its own for each restart, so that none has a past.
pub(crate) fn restarts(runtime: &Runtime, rounds: u64, queued: u64) -> Result<Restarts> {
    runtime.block_on(async {
        // Two are told in each round, and heard before the next.
        let (tell, mut told) = channel(8);
        let stage = Stage::set(0, tell).await?;
        let mut restarts = Restarts::default();
        for round in 0..rounds {
            let to = address(&format!("restart-{round}"))?;
            stage.shared.tally.expect(queued + 1);
            let mut there = stage.directory.to(&to)?;
            for number in 0..=queued {
                let kind = if number == queued / 2 { "Panic" } else { "DoNothing" };
                let item = mesh_kernel::actor::Item::new(envelope(&to, kind, number as usize)?, None);
                there.try_tell(item, Lane::Work).map_err(|undelivered| anyhow::anyhow!("{undelivered}"))?;
            }
            // The one that panics is handled at its second try.
            let _ = tokio::time::timeout(Duration::from_secs(30), stage.shared.tally.reached()).await;
            restarts.lost += (queued + 1).saturating_sub(stage.shared.tally.count() + stage.shared.dead.count());
            let (died, lives): (Instant, Instant) =
                (told.recv().await.context("a panic")?, told.recv().await.context("a next incarnation")?);
            restarts.took.push(micros(lives.saturating_duration_since(died)));
        }
        stage.strike().await;
        Ok(restarts)
    })
}

/// What waking and being awake cost.
#[derive(Debug, Default)]
pub(crate) struct Awake {
    /// Microseconds until a sleeping entity has answered, without a journal to read.
    pub(crate) wake: Vec<f64>,
    /// Microseconds of processor time for each.
    pub(crate) wake_cpu: f64,
    /// The same for a ractor actor that is started and asked.
    pub(crate) spawn_cpu: f64,
    /// Bytes of resident memory for each entity awake, and for each bare ractor actor.
    pub(crate) live_bytes: f64,
    pub(crate) ractor_bytes: f64,
    /// Slots that are left once all sleep.
    pub(crate) slots_asleep: usize,
}

pub(crate) fn awake(runtime: &Runtime, number: usize) -> Result<Awake> {
    runtime.block_on(async {
        let mut awake = Awake::default();
        // Ractor's first: what it frees is used again, which makes ours look smaller by nothing.
        let (memory, before) = (resident(), cpu());
        let mut actors = Vec::new();
        for _ in 0..number {
            let (actor, _) = Receiver::spawn(None, Receiver, std::sync::Arc::default()).await?;
            let message = envelope(&address("receiver")?, "DoNothing", 0)?;
            actor.call(|reply| crate::peers::Got::Asked(message, reply), None).await?;
            actors.push(actor);
        }
        awake.spawn_cpu = micros(cpu().saturating_sub(before)) / number as f64;
        awake.ractor_bytes = resident().saturating_sub(memory) as f64 / number as f64;
        let stage = Stage::set(0, channel(1).0).await?;
        let (memory, before) = (resident(), cpu());
        for entity in 0..number {
            let message = envelope(&address(&format!("awake-{entity}"))?, "DoNothing", entity)?;
            let began = Instant::now();
            stage.ask(message).await?;
            awake.wake.push(micros(began.elapsed()));
        }
        awake.wake_cpu = micros(cpu().saturating_sub(before)) / number as f64;
        awake.live_bytes = resident().saturating_sub(memory) as f64 / number as f64;
        stage.directory.drain(Duration::from_secs(30)).await;
        awake.slots_asleep = stage.slots();
        actors.iter().for_each(|actor| actor.stop(None));
        stage.strike().await;
        Ok(awake)
    })
}
