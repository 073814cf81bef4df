//! From a blueprint to the files of a product.
//!
//! A template is a folder: a spine that is copied unchanged, a domain whose `.j2` files are
//! rendered with minijinja, and a lock file. It is embedded in the binary; a folder can stand in
//! for it. The same template and blueprint give the same bytes, and nothing is written outside the
//! given folder.
//!
//! Never here: building, git, or what a rule means (see `rust.rs` for how one is written in Rust).

mod context;
mod demo;
mod error;
mod format;
mod place;
mod product;
mod rules;
mod source;
mod words;
mod written;

pub use demo::{DEMO_PASSWORD, demo_accounts};
pub use error::Error;
pub use source::TemplateSource;
pub(crate) use words::turns;
pub use written::{Sentence, rule_file, sentences};

use std::collections::BTreeMap;
use std::path::Path;

use mesh_kernel::ports::Digest;

use crate::blueprint::Blueprint;

/// What was rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The files by path, each with the digest of its content, `sha256:…`; sorted by path.
    pub files: Vec<(String, String)>,
    /// The digest of all paths and contents, `sha256:…`.
    pub digest: String,
}

/// Writes the product of a blueprint; `source` is the blueprint's text, which goes with it.
///
/// Files that are there already and are not part of the product are left alone.
///
/// **Errors**: a template that cannot be read or rendered; a path that would leave `into`, or a
/// link on its way; a disk that is full. Files written before the error stay.
///
/// **Cost** grows with the size of the template and of the blueprint. Blocking.
pub fn render(template: &TemplateSource, blueprint: &Blueprint, source: &str, into: &Path) -> Result<Rendered, Error> {
    render_with(template, blueprint, source, Files::new(), into)
}

/// The same with files that an agent has written, by path. A product whose blueprint has [`sentences`] does not
/// compile without the file of each: there is no stub that somebody could forget.
///
/// **Errors**: as [`render`].
pub fn render_with(
    template: &TemplateSource,
    blueprint: &Blueprint,
    source: &str,
    written: Files,
    into: &Path,
) -> Result<Rendered, Error> {
    let mut files = product::files(&template.files()?, blueprint, source)?;
    files.extend(written);
    write(&files, into)
}

/// Writes a product without a domain: what a dependency seed builds.
///
/// **Errors**: as [`render`].
pub fn seed_project(template: &TemplateSource, into: &Path) -> Result<Rendered, Error> {
    let files = product::seed(&template.files()?);
    write(&files, into)
}

/// The digest of all files of the template, its lock file included: `sha256:…`.
///
/// **Errors**: a template that cannot be read.
pub fn template_digest(template: &TemplateSource) -> Result<String, Error> {
    Ok(digest_of(&template.files()?))
}

/// Paths and contents.
pub type Files = BTreeMap<String, Vec<u8>>;

fn write(files: &Files, into: &Path) -> Result<Rendered, Error> {
    for (path, content) in files {
        place::write(into, path, content)?;
    }
    let listed = files.iter().map(|(path, content)| (path.clone(), sha256(content)));
    Ok(Rendered { files: listed.collect(), digest: digest_of(files) })
}

/// Digest of the list of paths and digests, so that no two sets of files look alike.
fn digest_of(files: &Files) -> String {
    let list: String = files.iter().map(|(path, content)| format!("{path}\0{}\n", sha256(content))).collect();
    sha256(list.as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

#[cfg(test)]
mod tests;
