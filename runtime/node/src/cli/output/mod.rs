//! What the command line shows: tables for people, JSON for programs, colours on a terminal only.

mod json;
mod paint;
mod plain;
mod table;

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;

pub(crate) use json::to_json;
pub(crate) use paint::{Paint, Tone};
pub(crate) use plain::{age, clean, duration, instant, label, or_dash, span, tone_of};
pub(crate) use table::{Cell, Table};

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences, for people.
    #[default]
    Table,
    /// The contract's JSON, one message a line, for programs.
    Json,
}

/// Standard output, and how to write to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    /// How answers are shown.
    pub(crate) format: Format,
    /// Colours, where they can be seen.
    pub(crate) paint: Paint,
    /// Whether standard output is a terminal.
    pub(crate) terminal: bool,
}

impl Out {
    /// Standard output of this process.
    pub(crate) fn standard(format: Format) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { format, paint: Paint::for_terminal(terminal), terminal }
    }

    /// Whether answers are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes a line.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.as_ref())?;
        out.flush()
    }

    /// Writes a table, or a sentence when it has no rows.
    pub(crate) fn table(&self, table: &Table, empty: &str) -> io::Result<()> {
        if table.is_empty() {
            return self.line(empty);
        }
        let mut out = io::stdout().lock();
        write!(out, "{}", table.render(self.paint))?;
        out.flush()
    }

    /// Writes a message of the contract as one line of JSON.
    pub(crate) fn json<M: prost::Message>(&self, name: &str, message: &M) -> Result<(), super::Failure> {
        Ok(self.line(to_json(name, message)?.to_string())?)
    }
}
