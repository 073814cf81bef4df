//! What every command is handed: where to write, where the node is, what time it is.

use std::{io::Write, path::Path};

use mesh_kernel::{envelope::Timestamp, ports::Clock};

use super::{
    Failure,
    args::Global,
    connect::{self, Link},
    output::Out,
};
use crate::{config::DataFolder, node::clock::SystemClock};

/// What every command is handed.
pub(crate) struct Context {
    /// What all commands take.
    pub(crate) global: Global,
    /// Standard output.
    pub(crate) out: Out,
    clock: SystemClock,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        let out = Out::standard(global.output);
        Self { global, out, clock: SystemClock::default() }
    }

    /// The data folder.
    pub(crate) fn data(&self) -> DataFolder {
        DataFolder::at(&self.global.data)
    }

    /// A connection to the node, with the key.
    pub(crate) async fn link(&self) -> Result<Link, Failure> {
        connect::link(&self.global).await
    }

    /// Says how to get the next page, when there is one.
    pub(crate) fn more(&self, next_page_token: &str) -> Result<(), Failure> {
        if next_page_token.is_empty() {
            return Ok(());
        }
        Ok(self.out.line(format!("there are more: --page {next_page_token}"))?)
    }

    /// A line beside the answer: with JSON it goes to standard error, so that a program can read the rest.
    pub(crate) fn note(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.out.is_json() {
            return Ok(writeln!(std::io::stderr().lock(), "{}", text.as_ref())?);
        }
        Ok(self.out.line(text)?)
    }

    /// Now, for ages.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The text of a file that the user named; `-` is standard input.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let text =
        if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    text.map_err(|source| Failure::File { path: path.to_owned(), verb: "read", source })
}

/// An id that makes a request repeatable within this command.
pub(crate) fn fresh_request_id() -> String {
    format!("cli-{}", uuid::Uuid::new_v4().simple())
}

/// A mistake that was found here, in the contract's form.
pub(crate) fn to_proto(mistake: mesh_skills::yaml::Mistake) -> mesh_proto::v1::Mistake {
    mesh_proto::v1::Mistake {
        file: mistake.file.unwrap_or_default(),
        line: mistake.line,
        column: mistake.column,
        message: mistake.message,
        help: mistake.help.unwrap_or_default(),
    }
}
