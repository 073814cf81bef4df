//! What nobody can beat: the flush of the disk, bare, with as many bytes as ours writes.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::measure::{Slot, closed_loop};

const ZEROS: u64 = 64 << 20;

/// One thread that writes so many bytes and flushes them, again and again, over a file of zeros.
/// Each entry of the answer is one flush.
///
/// # Errors
/// What the disk says.
pub(crate) fn bare_flush(work: &Path, bytes: usize, length: Duration) -> Result<Slot> {
    let file = zeros(&work.join("bare-flush"))?;
    let record = vec![1; bytes];
    let (mut at, mut took) = (0, Vec::new());
    let began = Instant::now();
    while began.elapsed() < length {
        let start = Instant::now();
        file.write_all_at(&record, at)?;
        file.sync_data()?;
        took.push(start.elapsed());
        at = (at + bytes as u64) % (ZEROS - bytes as u64);
    }
    Ok(Slot { ended: took.len(), runs: took, time: began.elapsed() })
}

/// So many writers that each wait until their bytes are flushed before they come again; one thread
/// flushes for all who wait. Each entry of the answer is one append.
///
/// # Errors
/// What the disk says.
pub(crate) async fn bare_group(work: &Path, bytes: usize, writers: usize, length: Duration) -> Result<Slot> {
    let waiting = Arc::new(Waiting::default());
    let committer = start(zeros(&work.join("bare-group"))?, waiting.clone());
    let record: Arc<[u8]> = vec![1; bytes].into();
    let slot = closed_loop(writers, length, || append(&waiting, &record)).await;
    waiting.queue.lock().closed = true;
    waiting.arrived.notify_one();
    committer.join().ok().context("the committer has panicked")??;
    slot
}

async fn append(waiting: &Waiting, record: &Arc<[u8]>) -> Result<()> {
    let (tell, told) = oneshot::channel();
    waiting.queue.lock().records.push((record.clone(), tell));
    waiting.arrived.notify_one();
    told.await.context("the committer has ended")
}

#[derive(Default)]
struct Waiting {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

/// Bounded by the writers: each has one record in it at most.
#[derive(Default)]
struct Queue {
    records: Vec<(Arc<[u8]>, oneshot::Sender<()>)>,
    closed: bool,
}

fn start(file: File, waiting: Arc<Waiting>) -> JoinHandle<Result<()>> {
    thread::spawn(move || {
        let (mut batch, mut buffer, mut at) = (Vec::new(), Vec::new(), 0);
        loop {
            let mut queue = waiting.queue.lock();
            while queue.records.is_empty() {
                if queue.closed {
                    return Ok(());
                }
                waiting.arrived.wait(&mut queue);
            }
            std::mem::swap(&mut queue.records, &mut batch);
            drop(queue);
            buffer.clear();
            batch.iter().for_each(|(record, _)| buffer.extend_from_slice(record));
            if at + buffer.len() as u64 > ZEROS {
                at = 0;
            }
            file.write_all_at(&buffer, at)?;
            file.sync_data()?;
            at += buffer.len() as u64;
            for (_, tell) in batch.drain(..) {
                let _gone = tell.send(());
            }
        }
    })
}

fn zeros(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    let part = vec![0; 1 << 20];
    for at in (0..ZEROS).step_by(part.len()) {
        file.write_all_at(&part, at)?;
    }
    file.sync_all()?;
    Ok(file)
}
