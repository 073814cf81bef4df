//! Where the node's own messages go.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::Failure;
use crate::{
    config::{Config, DataFolder, Log, LogFormat},
    node::clock::SystemClock,
    telemetry::otlp::{OnlyPath, Otlp, PathLayer, Traces},
};

/// The log of a `mesh run` is put aside when it is longer, so that it does not grow for ever.
const LOG_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// Messages go to standard error: for `mesh up`. With `otlp`, spans of the path are gathered too.
pub(super) fn to_stderr(config: &Config, otlp: Option<Otlp>) -> Result<Option<Traces>, Failure> {
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    install(config, otlp, std::io::stderr, colours)
}

/// Messages go to a file in the data folder: for `mesh run`, whose terminal shows something else.
pub(super) fn to_file(config: &Config, otlp: Option<Otlp>) -> Result<Option<Traces>, Failure> {
    let data = DataFolder::at(&config.data);
    let path = data.log();
    let failed = |source| Failure::File { path: path.clone(), verb: "written", source };
    fs::create_dir_all(data.path()).map_err(failed)?;
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        fs::rename(&path, path.with_extension("log.old")).map_err(failed)?;
    }
    let file = fs::OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
    install(config, otlp, Mutex::new(file), false)
}

fn install<W>(config: &Config, otlp: Option<Otlp>, writer: W, colours: bool) -> Result<Option<Traces>, Failure>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(&config.log)?;
    let lines = fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log.format {
        LogFormat::Text => lines.with_ansi(colours).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    let (layer, traces) = otlp
        .map(|otlp| {
            let (layer, path) = PathLayer::new(&otlp, Arc::new(SystemClock::default()));
            (layer.with_filter(OnlyPath), Traces { otlp, path: Some(path) })
        })
        .unzip();
    let set = tracing_subscriber::registry().with(lines).with(layer).try_init();
    set.map_err(|error| Failure::Node(anyhow::anyhow!("the log cannot be set up: {error}")))?;
    Ok(traces)
}

fn filter(log: &Log) -> Result<EnvFilter, Failure> {
    // The client of models writes whole bodies that it cannot read: prompts and customers' data.
    EnvFilter::try_new(format!("{},async_openai=off", log.filter)).map_err(|error| {
        Failure::Usage(format!("`log.filter` cannot be `{}`: {error}; `info` is a filter", log.filter))
    })
}
