//! Defaults, file, environment, flags: each over the one before.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ConfigError, KEYS, Key, Mistake, Place, Setting, Value, file, keys::SECTIONS, setting::unknown};

/// What was given, before it is put together. The environment is passed in, never read here.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The file named by `--config`; it must exist.
    pub config: Option<PathBuf>,
    /// The data folder, whose `mesh.toml` is read when there is one.
    pub data: PathBuf,
    /// Variables of the environment.
    pub environment: Vec<(String, String)>,
    /// Flags: the flag's own name, the key, the value.
    pub flags: Vec<(String, String, String)>,
}

/// Every key with its value; taken apart by the typed configuration.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<&'static str, Setting>);

impl Layers {
    /// Puts the layers together.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake of every layer.
    pub fn settle(&self) -> Result<Settings, ConfigError> {
        let mut settings = BTreeMap::new();
        let mut mistakes = Vec::new();
        for key in KEYS {
            take(&mut settings, &mut mistakes, key, Setting::read(key, key.default, Place::Default));
        }
        if let Some((path, text)) = self.file()? {
            match file::read(&path, &text) {
                Ok(found) => settings.extend(found.into_iter().map(|(key, setting)| (key.name, setting))),
                Err(more) => mistakes.extend(more),
            }
        }
        self.take_environment(&mut settings, &mut mistakes);
        self.take_flags(&mut settings, &mut mistakes);
        if mistakes.is_empty() { Ok(Settings(settings)) } else { Err(ConfigError::Mistakes(mistakes)) }
    }

    fn file(&self) -> Result<Option<(PathBuf, String)>, ConfigError> {
        let path = self.config.clone().unwrap_or_else(|| self.data.join("mesh.toml"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) if self.config.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ConfigError::Unreadable { path, source }),
        }
    }

    fn take_environment(&self, settings: &mut BTreeMap<&'static str, Setting>, mistakes: &mut Vec<Mistake>) {
        for (name, text) in &self.environment {
            let place = Place::Environment(name.clone());
            if let Some(key) = KEYS.iter().find(|key| key.variable() == *name) {
                take(settings, mistakes, key, Setting::read(key, text, place));
            } else if in_a_section(name) {
                let variables = KEYS.iter().map(Key::variable);
                mistakes.push(unknown(place, "setting", name, variables));
            }
        }
    }

    fn take_flags(&self, settings: &mut BTreeMap<&'static str, Setting>, mistakes: &mut Vec<Mistake>) {
        for (flag, name, text) in &self.flags {
            let place = Place::Flag(flag.clone());
            match KEYS.iter().find(|key| key.name == name) {
                Some(key) => take(settings, mistakes, key, Setting::read(key, text, place)),
                None => mistakes.push(unknown(place, "key", name, KEYS.iter().map(|key| key.name))),
            }
        }
    }
}

fn take(
    settings: &mut BTreeMap<&'static str, Setting>,
    mistakes: &mut Vec<Mistake>,
    key: &Key,
    read: Result<Setting, Mistake>,
) {
    match read {
        Ok(setting) => {
            settings.insert(key.name, setting);
        }
        Err(mistake) => mistakes.push(mistake),
    }
}

/// Whether a variable means one of our sections; others beginning with `MESH_` are none of ours.
fn in_a_section(name: &str) -> bool {
    name.strip_prefix("MESH_").is_some_and(|rest| {
        SECTIONS.iter().any(|(section, _)| {
            rest.strip_prefix(section.to_uppercase().as_str()).is_some_and(|rest| rest.starts_with('_'))
        })
    })
}

impl Settings {
    /// Every key's setting, in the order of the keys.
    pub fn all(&self) -> impl Iterator<Item = (&'static Key, &Setting)> {
        KEYS.iter().filter_map(|key| self.0.get(key.name).map(|setting| (key, setting)))
    }

    /// Whether the key was set anywhere but in the defaults.
    pub fn is_set(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|setting| setting.place != Place::Default)
    }

    /// Sets a key that nobody set, because of another setting.
    pub(super) fn fill(&mut self, name: &'static str, value: Value) {
        if !self.is_set(name) {
            self.0.insert(name, Setting { value, place: Place::Default });
        }
    }

    /// Where the key was set.
    pub(super) fn place(&self, name: &str) -> Place {
        self.0.get(name).map_or(Place::Default, |setting| setting.place.clone())
    }

    pub(super) fn take_count(&mut self, name: &str) -> Result<u64, ConfigError> {
        match self.take(name) {
            Some(Value::Count(count)) => Ok(count),
            _ => Err(ConfigError::Undeclared(name.to_owned())),
        }
    }

    pub(super) fn take_size(&mut self, name: &str) -> Result<usize, ConfigError> {
        let amount = match self.take(name) {
            Some(Value::Count(amount) | Value::Bytes(amount)) => amount,
            _ => return Err(ConfigError::Undeclared(name.to_owned())),
        };
        Ok(usize::try_from(amount).unwrap_or(usize::MAX))
    }

    pub(super) fn take_bytes(&mut self, name: &str) -> Result<u64, ConfigError> {
        match self.take(name) {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            _ => Err(ConfigError::Undeclared(name.to_owned())),
        }
    }

    pub(super) fn take_time(&mut self, name: &str) -> Result<Duration, ConfigError> {
        match self.take(name) {
            Some(Value::Time(time)) => Ok(time),
            _ => Err(ConfigError::Undeclared(name.to_owned())),
        }
    }

    pub(super) fn take_listen(&mut self, name: &str) -> Result<SocketAddr, ConfigError> {
        match self.take(name) {
            Some(Value::Listen(addr)) => Ok(addr),
            _ => Err(ConfigError::Undeclared(name.to_owned())),
        }
    }

    pub(super) fn take_text(&mut self, name: &str) -> Result<String, ConfigError> {
        match self.take(name) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(ConfigError::Undeclared(name.to_owned())),
        }
    }

    pub(super) fn take_list(&mut self, name: &str) -> Result<Vec<String>, ConfigError> {
        match self.take(name) {
            Some(Value::List(items)) => Ok(items),
            _ => Err(ConfigError::Undeclared(name.to_owned())),
        }
    }

    /// The first key that nobody took, if any.
    pub(super) fn left_over(&self) -> Option<&'static str> {
        self.0.keys().next().copied()
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).map(|setting| setting.value)
    }
}

/// The file's path for messages, when one was read.
pub(super) fn file_of(layers: &Layers) -> Option<PathBuf> {
    let in_data: &Path = &layers.data.join("mesh.toml");
    layers.config.clone().or_else(|| in_data.exists().then(|| in_data.to_owned()))
}
