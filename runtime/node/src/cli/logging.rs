//! Where the node's own messages go.

use std::{fs, sync::Mutex};

use tracing_subscriber::{EnvFilter, fmt};

use super::Failure;
use crate::config::{DataFolder, Log, LogFormat};

/// The log of a `mesh run` is put aside when it is longer, so that it does not grow for ever.
const LOG_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// Messages go to standard error: for `mesh up`.
pub(super) fn to_stderr(log: &Log) -> Result<(), Failure> {
    let builder = fmt().with_env_filter(filter(log)?).with_writer(std::io::stderr);
    let set = match log.format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    set.map_err(|error| Failure::Node(anyhow::anyhow!("the log cannot be set up: {error}")))
}

/// Messages go to a file in the data folder: for `mesh run`, whose terminal shows something else.
pub(super) fn to_file(log: &Log, data: &DataFolder) -> Result<(), Failure> {
    let path = data.log();
    let failed = |source| Failure::File { path: path.clone(), verb: "written", source };
    fs::create_dir_all(data.path()).map_err(failed)?;
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        fs::rename(&path, path.with_extension("log.old")).map_err(failed)?;
    }
    let file = fs::OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
    let builder = fmt().with_env_filter(filter(log)?).with_ansi(false).with_writer(Mutex::new(file));
    let set = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    set.map_err(|error| Failure::Node(anyhow::anyhow!("the log cannot be set up: {error}")))
}

fn filter(log: &Log) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(&log.filter).map_err(|error| {
        Failure::Usage(format!("`log.filter` cannot be `{}`: {error}; `info` is a filter", log.filter))
    })
}
