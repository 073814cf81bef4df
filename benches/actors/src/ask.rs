//! A message that is answered: one after another, to an actor that is awake and idle.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use mesh_kernel::{actor::Handle, envelope::Envelope};
use ractor::ActorRef;
use tokio::{runtime::Runtime, sync::mpsc::channel};

use crate::{
    load::pool,
    measure::{cpu, median, micros, nanos, quantile},
    ours::{Stage, address},
    peers::{Got, Ractor},
};

/// Someone who asks, and holds what its side needs for that.
enum Asker {
    Ours(Handle, tokio::time::Instant),
    Ractor(ActorRef<Got>),
}

impl Asker {
    async fn ask(&mut self, message: Arc<Envelope>) -> Result<()> {
        match self {
            Self::Ours(there, until) => Stage::ask_there(there, message, *until).await,
            Self::Ractor(there) => Ractor::ask(there, message).await,
        }
    }
}

/// What one side took for an answer.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Nanoseconds of processor time for each ask, a number for each round.
    cpu: Vec<f64>,
    /// Microseconds until the answer, of every ask.
    wall: Vec<f64>,
}

impl Asked {
    /// **Units**: nanoseconds.
    pub(crate) fn cpu(&self) -> f64 {
        median(&self.cpu)
    }

    /// **Units**: microseconds.
    pub(crate) fn wall(&self, share: f64) -> f64 {
        quantile(&self.wall, share)
    }

    async fn round(&mut self, messages: &[Arc<Envelope>], number: usize, asker: &mut Asker) -> Result<()> {
        let before = cpu();
        for message in messages.iter().cycle().take(number) {
            let began = Instant::now();
            asker.ask(message.clone()).await?;
            self.wall.push(micros(began.elapsed()));
        }
        self.cpu.push(nanos(cpu().saturating_sub(before)) / number as f64);
        Ok(())
    }
}

/// Ours and theirs, round by round.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    pub(crate) ours: Asked,
    pub(crate) ractor: Asked,
}

impl Asks {
    /// The worse of theirs over ours: processor time for an ask, and the middle of the waits.
    pub(crate) fn ratio(&self) -> f64 {
        let each: Vec<f64> = self.ractor.cpu.iter().zip(&self.ours.cpu).map(|(theirs, own)| theirs / own).collect();
        median(&each).min(self.ractor.wall(0.5) / self.ours.wall(0.5))
    }
}

pub(crate) fn compare(runtime: &Runtime, number: usize, rounds: usize) -> Result<Asks> {
    runtime.block_on(async {
        // The asker is a task on a worker like everybody else, not the thread that waits for it.
        let asking = mesh_kernel::task::spawn("asker", async move {
            let (mut asks, messages) = (Asks::default(), pool(&address("receiver")?)?);
            let (stage, ractor) = (Stage::set(0, channel(1).0).await?, Ractor::set(0).await?);
            let until = tokio::time::Instant::now() + Duration::from_secs(600);
            let mut ours = Asker::Ours(stage.directory.to(&address("receiver")?)?, until);
            let mut theirs = Asker::Ractor(ractor.receiver.clone());
            for _ in 0..rounds {
                asks.ours.round(&messages, number, &mut ours).await?;
                asks.ractor.round(&messages, number, &mut theirs).await?;
            }
            ractor.strike();
            stage.strike().await;
            Ok(asks)
        });
        asking.await?
    })
}
