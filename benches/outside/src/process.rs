//! What processes cost, read from `/proc`; and children that end with their owner.

use std::{
    fs,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};

/// Linux counts the time of processes in these. **Units**: per second.
const TICKS: f64 = 100.0;
const PAGE: u64 = 4096;

/// Time on a processor that a process has used so far, all threads. **Units**: seconds.
pub(crate) fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / TICKS
}

/// Resident memory of processes together. **Units**: bytes.
pub(crate) fn resident(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * PAGE
    };
    pids.iter().map(of).sum()
}

/// The most resident memory that a process ever had. **Units**: bytes.
pub(crate) fn peak_resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

/// The mean number of processes that wanted to run in the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// A port of this machine that nobody listens on.
///
/// # Errors
/// When there is none.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("no free port")?.local_addr()?.port())
}

/// What some processes use while this lives.
pub(crate) struct Meter {
    pids: Vec<u32>,
    cpu_before: f64,
    own_before: f64,
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    sampler: Option<JoinHandle<()>>,
}

/// What a [`Meter`] saw.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Time on processors of the metered processes. **Units**: seconds.
    pub(crate) cpu: f64,
    /// Time on a processor of this process, which drives them. **Units**: seconds.
    pub(crate) driver_cpu: f64,
    /// The most memory that they had together. **Units**: bytes.
    pub(crate) peak: u64,
}

impl Cost {
    /// The cost of two measurements.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            driver_cpu: self.driver_cpu + other.driver_cpu,
            peak: self.peak.max(other.peak),
        }
    }
}

impl Meter {
    /// Begins: memory is looked at every 50 ms.
    pub(crate) fn start(pids: &[u32]) -> Self {
        let (peak, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stopped, of) = (peak.clone(), stop.clone(), pids.to_vec());
        let sampler = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                seen.fetch_max(resident(&of), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(50));
            }
        });
        let own_before = cpu(std::process::id());
        let cpu_before = pids.iter().copied().map(cpu).sum();
        Self { pids: pids.to_vec(), cpu_before, own_before, peak, stop, sampler: Some(sampler) }
    }

    /// Ends.
    pub(crate) fn stop(mut self) -> Cost {
        let cpu = self.pids.iter().copied().map(cpu).sum::<f64>() - self.cpu_before;
        let driver_cpu = self::cpu(std::process::id()) - self.own_before;
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sampler) = self.sampler.take() {
            let _ = sampler.join();
        }
        Cost { cpu, driver_cpu, peak: self.peak.load(Ordering::Relaxed).max(resident(&self.pids)) }
    }
}
