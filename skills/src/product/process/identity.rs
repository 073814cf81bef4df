//! Which process a number means: a pid alone is used again by the system.

use std::{fs, path::Path};

use rustix::{
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};
use tokio::io::{Interest, unix::AsyncFd};

/// A process, told from every other that ever had its pid.
///
/// **Source**: proc(5), field 22 of `/proc/PID/stat`, and `/proc/sys/kernel/random/boot_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessId {
    /// Its pid, which is also its process group's.
    pub pid: u32,
    /// When it was started. **Units**: clock ticks since the machine started.
    pub started: u64,
    /// Which start of the machine.
    pub boot: String,
}

impl ProcessId {
    /// The process that has this pid now; `None` when none is alive.
    pub fn of(pid: u32) -> Option<Self> {
        let started = start_of(pid)?;
        Some(Self { pid, started, boot: boot() })
    }

    /// Whether this very process is still alive; a zombie is not.
    pub fn is_alive(&self) -> bool {
        self.boot == boot() && start_of(self.pid) == Some(self.started)
    }

    /// A handle that means this process and no later one with its pid.
    fn handle(&self) -> Option<OwnedFd> {
        let fd = pidfd_open(self.raw()?, PidfdFlags::empty()).ok()?;
        // Asked after the handle was opened, so the handle is known to be this process.
        self.is_alive().then_some(fd)
    }

    fn raw(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.pid).ok()?)
    }

    /// Waits until it has ended; at once when it has.
    ///
    /// **Cancel safety**: a dropped future loses nothing.
    pub async fn ended(&self) {
        let Some(fd) = self.handle() else { return };
        #[expect(deprecated, reason = "its successor is `unsafe` for the sake of types that an `OwnedFd` is none of")]
        let registered = AsyncFd::try_with_interest(fd, Interest::READABLE);
        if let Ok(fd) = registered {
            // Readable means ended, whoever its parent is.
            let _ended = fd.readable().await;
        }
        while self.is_alive() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        if let Some(fd) = self.handle() {
            let _gone = pidfd_send_signal(fd, Signal::TERM);
        }
    }

    /// Ends it and everything in its process group.
    pub(super) fn kill_group(&self) {
        let Some(fd) = self.handle() else { return };
        if let Some(group) = self.raw() {
            let _gone = kill_process_group(group, Signal::KILL);
        }
        let _gone = pidfd_send_signal(fd, Signal::KILL);
    }
}

/// Field 22 of `/proc/PID/stat`, unless the process is a zombie or dead.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// The process whose standard input is this file: whoever holds the workload's lock.
pub(super) fn holder_of(lock: &Path) -> Option<ProcessId> {
    let lock = fs::canonicalize(lock).ok()?;
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stdin = fs::read_link(entry.path().join("fd/0")).ok()?;
        (stdin == lock).then(|| ProcessId::of(pid)).flatten()
    })
}

/// Every process that has a file of this folder as its standard input, output or error: what a
/// workload's process was, and what it has started.
pub(super) fn users_of(folder: &Path) -> Vec<ProcessId> {
    let (Ok(folder), Ok(all)) = (fs::canonicalize(folder), fs::read_dir("/proc")) else { return Vec::new() };
    let uses = |proc: &Path| {
        ["fd/0", "fd/1", "fd/2"]
            .iter()
            .any(|fd| fs::read_link(proc.join(fd)).is_ok_and(|file| file.starts_with(&folder)))
    };
    all.flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .filter(|(_, proc)| uses(proc))
        .filter_map(|(pid, _)| ProcessId::of(pid))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_is_used_again_is_another_process() {
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!ProcessId { started: me.started + 1, ..me.clone() }.is_alive());
        assert!(!ProcessId { boot: "another start".into(), ..me }.is_alive());
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        while start_of(pid).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(ProcessId::of(pid), None);
        child.wait().unwrap();
    }
}
