//! The programs that making products needs, and the dependencies that are compiled already.

use std::{fs, path::Path, process::Command};

use mesh_skills::product::seed::Seeds;

use crate::{
    config::Config,
    telemetry::{Finding, bytes},
};

/// The oldest Rust that products and their spine are built with.
const RUST: (u32, u32) = (1, 95);

/// What `mesh run` needs.
pub(super) fn all(findings: &mut Vec<Finding>, config: &Config) {
    let only = "only `mesh run` needs it; everything else works without";
    findings.push(match version("cargo") {
        None => Finding::warn("cargo", "not in the PATH", format!("install Rust from rustup.rs; {only}")),
        Some(text) if is_older(&text, RUST) => {
            let (major, minor) = RUST;
            Finding::warn("cargo", text, format!("products are built with {major}.{minor} or later: `rustup update`"))
        }
        Some(text) => Finding::ok("cargo", text),
    });
    for (program, package) in [("git", "git"), ("cc", "a C compiler, such as gcc")] {
        findings.push(match version(program) {
            None => Finding::warn(program, "not in the PATH", format!("install {package}; {only}")),
            Some(text) => Finding::ok(program, text),
        });
    }
    findings.push(seeds(config.builds.seed_dir.as_deref().unwrap_or(&Seeds::default_root())));
}

/// The first line of what a program says of its version.
fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

/// Whether `cargo 1.84.0 (…)` is older than that; what cannot be read is not.
fn is_older(text: &str, than: (u32, u32)) -> bool {
    let mut numbers = text.split_whitespace().nth(1).unwrap_or_default().split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < than,
        _ => false,
    }
}

fn seeds(root: &Path) -> Finding {
    let folders = fs::read_dir(root).map(|entries| entries.flatten().filter(|entry| entry.path().is_dir()).count());
    match folders {
        Ok(found) if found > 0 => {
            let free = rustix::fs::statvfs(root).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)).unwrap_or(0);
            Finding::ok("seeds", format!("{found} in {}, {} free there", root.display(), bytes(free)))
        }
        _ => Finding::ok("seeds", format!("none in {}: the first product takes some minutes more", root.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_compiler_is_known_by_what_it_says() {
        assert!(is_older("cargo 1.84.0 (66221abde 2024-11-19)", RUST));
        assert!(!is_older("cargo 1.95.0 (x)", RUST) && !is_older("cargo 2.0.0", RUST));
        assert!(!is_older("something else", RUST));
    }
}
