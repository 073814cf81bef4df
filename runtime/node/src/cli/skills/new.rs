//! `mesh skills new`: a skill of one's own, begun from the example that the tests run.
//!
//! The folder holds the package beside the example, as it stands in this binary, so that nothing has to be
//! published or cloned for the two to fit.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use mesh_skills::contract::{Manifest, check_manifest};

use crate::cli::{Failure, context::Context, output::clean};

/// The packages for skills' authors: their paths in the source tree, and what they hold.
const PACKAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/packages.rs"));

/// The skill of the examples.
const SHOUT: &str = "acme.shout";

/// What `mesh skills new` takes.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The skill, as AREA.VERB
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is written in
    #[arg(long, value_enum)]
    lang: Language,
    /// The folder to make; the skill's name with `-` when not given
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    Rust,
    Python,
}

pub(super) fn new(args: New, context: &Context) -> Result<(), Failure> {
    check_manifest(&Manifest::new(&args.name, "x")).map_err(|error| Failure::Usage(error.to_string()))?;
    let folder = args.folder.unwrap_or_else(|| PathBuf::from(args.name.replace('.', "-")));
    let failed = |path: &Path, source| Failure::File { path: path.to_owned(), verb: "written", source };
    let is_taken = fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
    if is_taken {
        return Err(Failure::Usage(format!("`{}` is there and not empty: name another folder", folder.display())));
    }
    let files = match args.lang {
        Language::Rust => rust(&args.name),
        Language::Python => python(&args.name),
    };
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&folder)).map_err(|source| failed(&folder, source))?;
        fs::write(&path, text).map_err(|source| failed(&path, source))?;
    }
    let (begun, name) = (clean(&folder.display().to_string()), clean(&args.name));
    let start = match args.lang {
        Language::Rust => format!("cd {begun} && cargo run -- http://127.0.0.1:7400 \"$MESH_API_KEY\""),
        Language::Python => format!(
            "cd {begun} && python3 -m venv venv && venv/bin/pip install ./mesh-worker && \
             venv/bin/python worker.py http://127.0.0.1:7400"
        ),
    };
    context
        .note(format!("{begun} holds {name}. With the node's address and a key in MESH_API_KEY, this starts it:"))?;
    context.out.line(start)?;
    context.note("and this calls it:")?;
    Ok(context.out.line(format!("mesh skills invoke {name} -i text=hello"))?)
}

/// The files below a folder of the source tree, with their paths there.
fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    PACKAGES.iter().filter_map(move |(path, text)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, *text)))
}

fn file(path: &str) -> &'static str {
    PACKAGES.iter().find(|(known, _)| *known == path).map_or("", |(_, text)| *text)
}

fn python(name: &str) -> Vec<(String, String)> {
    let package = below("skills/sdk/python").filter(|(path, _)| !path.starts_with("examples/"));
    let mut files: Vec<_> = package.map(|(path, text)| (format!("mesh-worker/{path}"), text.to_owned())).collect();
    files.push(("worker.py".to_owned(), file("skills/sdk/python/examples/shout.py").replace(SHOUT, name)));
    files
}

fn rust(name: &str) -> Vec<(String, String)> {
    let worker = below("skills/sdk/rust").filter(|(path, _)| !path.starts_with("examples/"));
    let worker = worker.map(|(path, text)| (format!("mesh-worker/{path}"), text.to_owned()));
    let proto = below("proto").map(|(path, text)| (format!("mesh-proto/{path}"), text.to_owned()));
    let mut files: Vec<_> = worker.chain(proto).collect();
    files.push(("src/main.rs".to_owned(), main(name)));
    files.push(("Cargo.toml".to_owned(), workspace(name)));
    files.push(("Cargo.lock".to_owned(), file("Cargo.lock").to_owned()));
    files.push((".gitignore".to_owned(), "/target\n".to_owned()));
    files
}

/// The example; its first line says how it is started in our own tree.
fn main(name: &str) -> String {
    let example = file("skills/sdk/rust/examples/shout.rs").replace(SHOUT, name);
    let code = example.split_once('\n').map_or("", |(_, code)| code);
    format!("//! A worker with one skill: `cargo run -- http://127.0.0.1:7400 KEY`.\n{code}")
}

/// A workspace of the example and the two packages, with our own versions of what they need.
fn workspace(name: &str) -> String {
    let packages = ["skills/sdk/rust/Cargo.toml", "proto/Cargo.toml"];
    let needed: Vec<&str> = packages.iter().flat_map(|path| file(path).lines()).filter_map(dependency).collect();
    let mut kept = String::new();
    let mut section = "";
    for line in file("Cargo.toml").lines() {
        if line.starts_with('[') {
            section = line;
        }
        let is_kept = match section {
            "[workspace.package]" => true,
            "[workspace.dependencies]" => {
                let own =
                    line.split(' ').next().is_some_and(|name| needed.contains(&name) && !name.starts_with("mesh-"));
                own || line == section
            }
            _ => section.starts_with("[workspace.lints"),
        };
        if is_kept && !line.is_empty() {
            kept.push_str(if line.starts_with('[') { "\n" } else { "" });
            kept.push_str(line);
            kept.push('\n');
        }
        if line == "[workspace.dependencies]" {
            kept.push_str("mesh-proto = { path = \"mesh-proto\" }\nmesh-worker = { path = \"mesh-worker\" }\n");
        }
    }
    format!(
        "[package]\nname = \"{}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\nmesh-worker = {{ workspace = true }}\nserde_json = {{ workspace = true }}\n\
         tokio = {{ workspace = true }}\n\n[workspace]\nresolver = \"3\"\nmembers = [\"mesh-proto\", \"mesh-worker\"]\n{kept}",
        name.replace('.', "-"),
    )
}

/// The name of a dependency that a package takes from its workspace.
fn dependency(line: &'static str) -> Option<&'static str> {
    line.contains("workspace = true").then(|| line.split(' ').next()).flatten()
}
