//! What lies in the data folder.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use mesh_journal::Formats;

use crate::{
    archive::look_through,
    backup::{self, Last, pause},
    config::{Config, DataFolder},
    telemetry::{Finding, bytes},
};

/// Whether the folder is there, and who can look into it.
pub(super) fn there(findings: &mut Vec<Finding>, config: &Config) -> bool {
    let shown = config.data.display();
    let metadata = match fs::metadata(&config.data) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            findings.push(Finding::fail("data folder", format!("{shown} is no folder"), "name another with `--data`"));
            return false;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.push(Finding::ok("data folder", format!("{shown} is not there yet: the first start makes it")));
            return false;
        }
        Err(error) => {
            let advice = "name another with `--data`, or give the node's user the right to use it";
            findings.push(Finding::fail("data folder", format!("{shown} cannot be read: {error}"), advice));
            return false;
        }
    };
    findings.push(match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 == 0 => Finding::ok("data folder", format!("{shown}, for its owner alone")),
        mode => {
            let found = format!("{shown} can be used by others than its owner (mode {mode:o})");
            Finding::warn("data folder", found, format!("`chmod 700 {shown}`"))
        }
    });
    true
}

/// Room, keys, formats.
pub(super) fn inside(findings: &mut Vec<Finding>, config: &Config) {
    findings.push(room(config));
    findings.push(key(&DataFolder::at(&config.data)));
    findings.push(formats(&config.data));
    findings.extend(archive(&config.data));
    findings.push(backup(&config.data));
    findings.extend(paused(&config.data));
}

/// Nothing before the first start, which makes it.
fn archive(data: &Path) -> Option<Finding> {
    let path = data.join("archive.sqlite");
    path.exists().then(|| match look_through(&path) {
        Ok(runs) => Finding::ok("archive", format!("{runs} archived runs, every page can be read")),
        Err(error) => Finding::fail("archive", error.to_string(), "restore a backup; keep this folder"),
    })
}

fn backup(data: &Path) -> Finding {
    match backup::last(data) {
        Some(Last { taken, folder }) => {
            let found = format!("the last of {}, {} in {}", taken.at, bytes(taken.bytes), folder.display());
            Finding::ok("backup", found)
        }
        None => Finding::ok("backup", "none was taken of this folder: `mesh backup DIR` takes one while it works"),
    }
}

/// Nothing when it is not: a restored folder alone can be.
fn paused(data: &Path) -> Option<Finding> {
    let found = "restored from a backup and paused: its node shows what there is and does nothing";
    let advice = "when no other copy lives: stop the node, `mesh resume-node`, and start it again";
    pause::is(data).then(|| Finding::warn("paused", found, advice))
}

fn room(config: &Config) -> Finding {
    let stat = match rustix::fs::statvfs(&config.data) {
        Ok(stat) => stat,
        Err(error) => {
            return Finding::fail("disk", format!("its room cannot be told: {error}"), "look at the file system");
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let least = config.journal.free_bytes_min;
    let found = format!("{} free; new work is refused below {}", bytes(free), bytes(least));
    let advice = "make room: old products' folders, old runs' logs, other programs' files";
    if free < least {
        Finding::fail("disk", found, advice)
    } else if free < least.saturating_mul(8).max(1 << 30) {
        Finding::warn("disk", found, advice)
    } else {
        Finding::ok("disk", found)
    }
}

fn key(data: &DataFolder) -> Finding {
    match data.read_operator_key() {
        Ok(Some(_)) => Finding::ok("first key", "there, for its owner alone"),
        Ok(None) => Finding::ok("first key", "not there: the first start makes it"),
        Err(error) => {
            let advice = "until then the command line does not use it; `mesh keys revoke` ends a key that was seen";
            Finding::fail("first key", error.to_string(), advice)
        }
    }
}

fn formats(data: &Path) -> Finding {
    let program = env!("CARGO_PKG_VERSION");
    match Formats::of(&data.join("journal")) {
        Ok(None) => Finding::ok("formats", format!("no journal yet; this is mesh {program}")),
        Ok(Some(formats)) if formats.is_readable() => {
            let found = format!("journal format {}, mesh {program} writes {}", formats.found, formats.ours);
            Finding::ok("formats", found)
        }
        Ok(Some(formats)) => {
            let found = format!(
                "the journal needs a program that reads format {}, and mesh {program} reads up to {}",
                formats.min_reader, formats.ours
            );
            Finding::fail("formats", found, "use the newer mesh that wrote it, or restore a backup from before")
        }
        Err(error) => Finding::fail("formats", format!("the journal: {error}"), "restore a backup; keep this folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Layers, telemetry::State};

    fn config(data: &Path) -> Config {
        Config::load(&Layers { data: data.to_owned(), ..Layers::default() }).unwrap()
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn states(config: &Config) -> Vec<(String, State)> {
        let mut findings = Vec::new();
        if there(&mut findings, config) {
            inside(&mut findings, config);
        }
        findings.into_iter().map(|finding| (finding.check, finding.state)).collect()
    }

    fn is(states: &[(String, State)], check: &str, state: State) -> bool {
        states.contains(&(check.to_owned(), state))
    }

    #[test]
    fn what_others_can_read_or_nobody_can_use_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is(&states(&config(&folder.path().join("new"))), "data folder", State::Ok));
        mode(folder.path(), 0o755);
        fs::write(folder.path().join("operator.key"), "secret").unwrap();
        mode(&folder.path().join("operator.key"), 0o644);
        fs::create_dir(folder.path().join("journal")).unwrap();
        let mut newer = [0_u8; 64];
        newer[..8].copy_from_slice(b"MESHSTOR");
        newer[12] = 99;
        fs::write(folder.path().join("journal/store"), newer).unwrap();
        let told = states(&config(folder.path()));
        assert!(is(&told, "data folder", State::Warn), "{told:?}");
        assert!(is(&told, "first key", State::Fail) && is(&told, "formats", State::Fail), "{told:?}");
        mode(folder.path(), 0o700);
        mode(&folder.path().join("operator.key"), 0o600);
        let told = states(&config(folder.path()));
        assert!(is(&told, "data folder", State::Ok) && is(&told, "first key", State::Ok), "{told:?}");
        assert!(!told.iter().any(|(check, _)| check == "paused"), "{told:?}");
        fs::write(folder.path().join(pause::FILE), "").unwrap();
        assert!(is(&states(&config(folder.path())), "paused", State::Warn));
        let mut full = config(folder.path());
        full.journal.free_bytes_min = u64::MAX;
        assert!(is(&states(&full), "disk", State::Fail));
    }
}
