//! Why a product is not rendered.

use std::path::PathBuf;

/// Why a product is not rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template's folder cannot be read.
    #[error("the template cannot be read at `{path}`: {cause}; check the folder and its permissions")]
    Template {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A template file does not fit the blueprint, or is not a template.
    #[error("the template file `{file}` cannot be rendered: {cause:#}")]
    Render {
        /// Which.
        file: String,
        /// Why, with the line.
        #[source]
        cause: Box<minijinja::Error>,
    },
    /// A template file that is to be rendered is not UTF-8.
    #[error("the template file `{0}` is not UTF-8; leave out its `.j2` to copy it as it is")]
    NotText(String),
    /// The template lacks a file.
    #[error("the template has no `{0}`; it is not a product's template")]
    Missing(&'static str),
    /// A path that would leave the folder.
    #[error("`{0}` would be written outside the product's folder; only plain relative paths are taken")]
    Outside(String),
    /// Something on the way is a link or not a folder.
    #[error("`{path}` goes through `{at}`, which is a link or no folder; remove it and render again")]
    InTheWay {
        /// The file to be written.
        path: String,
        /// What is in the way.
        at: PathBuf,
    },
    /// The file system refuses.
    #[error("`{path}` cannot be written: {cause}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}
