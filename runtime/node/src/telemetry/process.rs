//! The process as the system sees it, under the names that every exporter uses.

use std::{fs, time::Duration};

use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use super::text::{Form, Text};

/// Tells CPU time, memory, files and threads of this process.
pub(super) fn tell(text: &mut Text, started: Duration) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = Duration::new(u64::try_from(cpu.tv_sec).unwrap_or(0), u32::try_from(cpu.tv_nsec).unwrap_or(0));
    text.family("process_cpu_seconds_total", Form::Counter, "CPU time, user and system.").tell_time(&[], cpu);
    text.family("process_start_time_seconds", Form::Gauge, "When the node started, since the epoch.")
        .tell_time(&[], started);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut of_status = |name, help: &str, field, unit: u64| {
        if let Some(value) = field_of(&status, field) {
            text.family(name, Form::Gauge, help).tell(&[], value * unit);
        }
    };
    of_status("process_resident_memory_bytes", "Memory that is resident.", "VmRSS:", 1024);
    of_status("process_virtual_memory_bytes", "Address space.", "VmSize:", 1024);
    of_status("process_threads", "Threads.", "Threads:", 1);
    if let Some(open) = open_files() {
        text.family("process_open_fds", Form::Gauge, "Files that are open.").tell(&[], open);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        text.family("process_max_fds", Form::Gauge, "Files that may be open.").tell(&[], most);
    }
}

/// Files that this process has open.
pub(crate) fn open_files() -> Option<u64> {
    fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64)
}

/// A number of `/proc/…/status`.
fn field_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found() {
        let mut text = Text::default();
        tell(&mut text, Duration::from_secs(1));
        let text = text.done();
        for name in ["cpu_seconds_total", "resident_memory_bytes", "threads", "open_fds", "max_fds"] {
            let line = text.lines().find(|line| line.starts_with(&format!("process_{name} ")));
            let value: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value > 0.0, "{name}");
        }
    }
}
