//! Puts the packages for skills' authors into the binary, so that `mesh skills new` needs nothing else.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// What is taken along: the packages, what the Rust one is made of, and the versions that its tests ran with.
const TAKEN: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "proto/Cargo.toml",
    "proto/build.rs",
    "proto/mesh",
    "proto/src",
    "proto/third_party",
    "skills/sdk/python",
    "skills/sdk/rust",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let mut files = Vec::new();
    for taken in TAKEN {
        println!("cargo:rerun-if-changed={}", root.join(taken).display());
        gather(&root.join(taken), &mut files)?;
    }
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
        writeln!(text, "    ({name:?}, include_str!({:?})),", file.display().to_string())?;
    }
    text.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("packages.rs"), text)?;
    Ok(())
}

/// Every text below `path`; what tools leave behind is none.
fn gather(path: &Path, into: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.starts_with("__") && path.is_dir()
        || ["build", "target"].contains(&name.as_str())
        || name.ends_with(".egg-info")
    {
        return Ok(());
    }
    if !path.is_dir() {
        into.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        gather(&entry?.path(), into)?;
    }
    Ok(())
}
