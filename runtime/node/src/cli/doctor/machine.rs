//! What the machine gives: files, a clock, a disk that flushes.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use mesh_kernel::{envelope::Timestamp, ports::Clock};
use rustix::process::{Resource, getrlimit};

use crate::{node::clock::SystemClock, telemetry::Finding};

/// Flushes that are timed, and the bytes before each.
const FLUSHES: usize = 50;
const FLUSH_BYTES: usize = 4 * 1024;

/// The most that a flush may take, for one in a hundred, without being worth a look.
const FLUSH_SLOW: Duration = Duration::from_millis(50);

/// Two clocks that drift apart by more than this in a moment: somebody set one.
const JUMP: Duration = Duration::from_millis(50);

/// 2024-01-01 and 2100-01-01, in seconds since the epoch.
const SANE: std::ops::Range<i64> = 1_704_067_200..4_102_444_800;

/// How many files may be open: connections, segments, products' pipes.
pub(super) fn files() -> Finding {
    let advice = "raise it for the node: `ulimit -n 65536`, or LimitNOFILE= in its unit";
    match getrlimit(Resource::Nofile).current {
        Some(most) if most < 256 => Finding::fail("files", format!("only {most} may be open at once"), advice),
        Some(most) if most < 4_096 => Finding::warn("files", format!("{most} may be open at once"), advice),
        Some(most) => Finding::ok("files", format!("{most} may be open at once")),
        None => Finding::ok("files", "as many may be open as there is room for"),
    }
}

/// Whether the clock tells a time that can be, goes on as it should, and is not behind what was
/// written here before.
pub(super) async fn clock(data: &Path, now: Timestamp) -> Finding {
    let advice = "let NTP keep the machine's clock; timers and time limits go by it";
    if !SANE.contains(&(now.unix_nanos() / 1_000_000_000)) {
        return Finding::fail("clock", format!("it says {now}"), advice);
    }
    let clock = SystemClock::default();
    let (wall, steady) = (clock.now(), clock.monotonic());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let passed = clock.monotonic().saturating_sub(steady);
    let told = clock.now().unix_nanos() - wall.unix_nanos();
    let drift = (told - i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX)).unsigned_abs();
    if drift > u64::try_from(JUMP.as_nanos()).unwrap_or(u64::MAX) {
        let drift = Duration::from_nanos(drift);
        return Finding::warn("clock", format!("it jumped by {drift:?} while {passed:?} passed"), advice);
    }
    if let Some(ahead) = newest(data).and_then(|at| ahead(at, now)).filter(|ahead| *ahead > Duration::from_secs(60)) {
        let found = format!("files in the data folder were written {ahead:?} from now: the clock was set back");
        return Finding::warn("clock", found, "what was due in between is due when the clock comes there again");
    }
    Finding::ok("clock", format!("it says {now} and goes on steadily"))
}

fn newest(data: &Path) -> Option<std::time::SystemTime> {
    let entries = fs::read_dir(data.join("journal")).ok()?;
    entries.flatten().filter_map(|entry| entry.metadata().ok()?.modified().ok()).max()
}

fn ahead(at: std::time::SystemTime, now: Timestamp) -> Option<Duration> {
    let at = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    at.checked_sub(Duration::from_nanos(u64::try_from(now.unix_nanos()).ok()?))
}

/// How long the disk takes to make bytes last: what every acknowledged command waits for.
pub(super) fn flushes(data: &Path) -> Finding {
    let file = data.join("doctor.tmp");
    let timed = time_flushes(&file);
    let _best_effort = fs::remove_file(&file);
    match timed {
        Err(error) => {
            let advice = "the node writes here: give it room and rights";
            Finding::fail("flush", format!("{} cannot be written: {error}", file.display()), advice)
        }
        Ok(mut took) => {
            took.sort();
            let of = |percent: usize| {
                took.get((took.len() * percent / 100).min(took.len() - 1)).copied().unwrap_or_default()
            };
            let (half, most) = (of(50), of(99));
            let found = format!("{FLUSHES} flushes of 4 KiB: half within {half:?}, 99 of 100 within {most:?}");
            if most <= FLUSH_SLOW {
                return Finding::ok("flush", found);
            }
            let advice =
                "every answer waits for a flush: a local SSD does it in well under 10 ms; look who else writes";
            Finding::warn("flush", found, advice)
        }
    }
}

fn time_flushes(path: &Path) -> io::Result<Vec<Duration>> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    // As the journal does: the room is made before, so that a flush changes no metadata.
    file.write_all_at(&vec![0; FLUSHES * FLUSH_BYTES], 0)?;
    file.sync_all()?;
    let block = [0xa5; FLUSH_BYTES];
    (0..FLUSHES)
        .map(|nth| {
            let began = Instant::now();
            file.write_all_at(&block, (nth * FLUSH_BYTES) as u64)?;
            file.sync_data()?;
            Ok(began.elapsed())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::State;

    #[tokio::test]
    async fn a_clock_that_cannot_be_right_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |seconds: i64| Timestamp::from_unix_nanos(seconds * 1_000_000_000);
        assert_eq!(clock(folder.path(), at(0)).await.state, State::Fail);
        fs::create_dir(folder.path().join("journal")).unwrap();
        fs::write(folder.path().join("journal/1.log"), "x").unwrap();
        let back = clock(folder.path(), at(1_750_000_000)).await;
        assert!(back.state == State::Warn && back.found.contains("set back"), "{back:?}");
    }

    #[test]
    fn flushes_are_timed_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert!(flushes(folder.path()).found.contains("50 flushes of 4 KiB"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(flushes(&folder.path().join("nowhere")).state, State::Fail);
    }
}
