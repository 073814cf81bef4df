//! `mesh config`: what can be set, and what is in force.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::{Failure, args::Global, context::Context};
use crate::{
    config::{Config, ConfigError, Layers, default_file, show},
    telemetry::otlp::Otlp,
};

/// What can be shown of the settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Settings {
    /// Show what is in force, and where each setting was made
    Show(Given),
    /// Print a mesh.toml with every default explained
    Default,
}

/// Settings given on the command line.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Given {
    /// Read this file instead of mesh.toml in the data folder
    #[arg(long, value_name = "FILE", env = "MESH_CONFIG", hide_env = true)]
    pub(crate) config: Option<PathBuf>,
    /// Serve gRPC here; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Serve the page here; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) http_listen: Option<String>,
    /// Make any setting, such as --set log.filter=debug; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Given {
    /// All layers of settings, with these on top.
    ///
    /// # Errors
    /// When a `--set` is no `KEY=VALUE`.
    pub(crate) fn layers(&self, global: &Global) -> Result<Layers, Failure> {
        let mut flags: Vec<(String, String, String)> = Vec::new();
        for (flag, key, value) in
            [("--listen", "server.listen", &self.listen), ("--http-listen", "server.http_listen", &self.http_listen)]
        {
            flags.extend(value.iter().map(|value| (flag.to_owned(), key.to_owned(), value.clone())));
        }
        for pair in &self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Failure::Usage(format!("`--set {pair}`: KEY=VALUE is expected, as in log.format=json"))
            })?;
            flags.push(("--set".to_owned(), key.trim().to_owned(), value.to_owned()));
        }
        let text = |part: std::ffi::OsString| part.into_string().ok();
        Ok(Layers {
            config: self.config.clone(),
            data: global.data.clone(),
            environment: std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect(),
            flags,
        })
    }

    /// Where traces go, by the standard variables of the environment.
    ///
    /// # Errors
    /// When a variable says what cannot be done.
    pub(crate) fn otlp(layers: &Layers) -> Result<Option<Otlp>, Failure> {
        Ok(Otlp::read(&layers.environment).map_err(ConfigError::Mistakes)?)
    }
}

pub(super) fn dispatch(command: Settings, context: Context) -> Result<(), Failure> {
    match command {
        Settings::Default => Ok(context.out.line(default_file().trim_end())?),
        Settings::Show(given) => shown(&given, &context),
    }
}

fn shown(given: &Given, context: &Context) -> Result<(), Failure> {
    let layers = given.layers(&context.global)?;
    let settings = layers.settle()?;
    // What the parts together forbid is told here too, not only when the node starts.
    Config::from_settings(&layers, settings.clone())?;
    if !context.out.is_json() {
        return Ok(context.out.line(show(&settings).trim_end())?);
    }
    let mut all = Map::new();
    for (key, setting) in settings.all() {
        let told = serde_json::json!({ "value": setting.value.json(), "from": setting.place.to_string() });
        all.insert(key.name.to_owned(), told);
    }
    Ok(context.out.line(Value::Object(all).to_string())?)
}
