//! A crate asks for nothing that it does not use: each dependency costs everybody compile time.

#![expect(clippy::expect_used, reason = "these are tests and their helpers")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Dependencies that only generated code names.
const GENERATED: &[(&str, &str)] = &[("proto", "prost-types"), ("proto", "tonic-prost")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// The members that the workspace's manifest names.
fn members() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let list = manifest.split_once("members = [").and_then(|(_, rest)| rest.split_once(']')).expect("members").0;
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names in the tables of dependencies of a manifest, and the paths of its targets.
fn asked(manifest: &str) -> (Vec<String>, Vec<String>) {
    let (mut dependencies, mut paths, mut within) = (Vec::new(), Vec::new(), false);
    for line in manifest.lines() {
        if line.starts_with('[') {
            within = line.ends_with("dependencies]");
        } else if let Some((name, value)) = line.split_once('=') {
            let name = name.trim().trim_end_matches(".workspace");
            match name {
                "path" => paths.push(value.trim().trim_matches('"').to_owned()),
                _ if within && !name.starts_with('#') => dependencies.push(name.to_owned()),
                _ => {}
            }
        }
    }
    (dependencies, paths)
}

/// All Rust below a folder, in one text.
fn rust(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            rust(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
}

fn names(text: &str, crate_name: &str) -> bool {
    let name = crate_name.replace('-', "_");
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(&name).any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        !before.ends_with(part) && !rest.strip_prefix(name.as_str()).is_some_and(|after| after.starts_with(part))
    })
}

#[test]
fn every_dependency_of_a_crate_is_named_in_its_code() {
    let (mut asked_for, mut unused) = (0, Vec::new());
    for member in members() {
        let folder = root().join(&member);
        let (dependencies, paths) = asked(&fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest"));
        let mut text = String::new();
        rust(&folder, &mut text);
        for path in paths {
            text.push_str(&fs::read_to_string(folder.join(path)).unwrap_or_default());
        }
        asked_for += dependencies.len();
        let generated = |name: &String| GENERATED.contains(&(member.as_str(), name.as_str()));
        unused.extend(
            dependencies
                .into_iter()
                .filter(|name| !generated(name) && !names(&text, name))
                .map(|name| format!("{member} does not use {name}: take it out of its Cargo.toml")),
        );
    }
    assert!(asked_for > 50, "the manifests were not read: {asked_for} dependencies");
    assert!(unused.is_empty(), "{unused:#?}");
}
