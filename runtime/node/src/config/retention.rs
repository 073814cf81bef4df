//! Section `retention`.

use std::{collections::BTreeMap, time::Duration};

use mesh_kernel::envelope::TenantId;

use super::{ConfigError, Mistake, Settings, Value, read_time};

const OVERRIDES: &str = "retention.overrides";
const LEAST: Duration = Duration::from_secs(1);

/// How long ended runs are kept whole.
#[derive(Debug, Clone)]
pub struct Retention {
    /// When nothing else is said.
    pub runs: Duration,
    /// Time between two looks.
    pub check_every: Duration,
    /// For one tenant, or for one definition of it.
    overrides: BTreeMap<(TenantId, Option<String>), Duration>,
}

impl Retention {
    pub(super) fn take(all: &mut Settings) -> Result<Self, ConfigError> {
        refuse_unreadable(all)?;
        let overrides = all.take_list(OVERRIDES)?;
        Ok(Self {
            runs: all.take_time("retention.runs")?,
            check_every: all.take_time("retention.check_every")?,
            overrides: overrides.iter().filter_map(|text| read(text).ok()).collect(),
        })
    }

    /// How long runs of a definition are kept whole.
    pub fn of(&self, tenant: &TenantId, definition: &str) -> Duration {
        let own = self.overrides.get(&(tenant.clone(), Some(definition.to_owned())));
        own.or_else(|| self.overrides.get(&(tenant.clone(), None))).copied().unwrap_or(self.runs)
    }

    /// The shortest of all: no run that ended later is over.
    pub fn shortest(&self) -> Duration {
        self.overrides.values().copied().min().unwrap_or(self.runs).min(self.runs)
    }
}

fn read(text: &str) -> Result<((TenantId, Option<String>), Duration), String> {
    let (whose, time) = text.split_once('=').ok_or("a `=` is expected in it")?;
    let time = read_time(time.trim()).filter(|time| *time >= LEAST).ok_or("a time from 1s is expected behind `=`")?;
    let (tenant, definition) = match whose.trim().split_once('/') {
        Some((_, "")) => return Err("a definition's name is expected behind `/`".to_owned()),
        Some((tenant, definition)) => (tenant, Some(definition.to_owned())),
        None => (whose.trim(), None),
    };
    let tenant = TenantId::parse(tenant).map_err(|error| error.to_string())?;
    Ok(((tenant, definition), time))
}

/// What cannot be read would keep or free in silence what nobody meant.
fn refuse_unreadable(all: &Settings) -> Result<(), ConfigError> {
    let mut mistakes = Vec::new();
    for (key, setting) in all.all().filter(|(key, _)| key.name == OVERRIDES) {
        let Value::List(texts) = &setting.value else { continue };
        for (text, why) in texts.iter().filter_map(|text| Some((text, read(text).err()?))) {
            mistakes.push(Mistake {
                place: all.place(key.name),
                message: format!("`{text}` is no retention: {why}"),
                help: "`TENANT=TIME` or `TENANT/DEFINITION=TIME` is expected, such as acme=7d".to_owned(),
            });
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(ConfigError::Mistakes(mistakes)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers};

    fn load(overrides: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let environment = [("MESH_RETENTION_OVERRIDES".to_owned(), overrides.to_owned())].into();
        let layers = Layers { data: folder.path().to_owned(), environment, ..Layers::default() };
        Config::load(&layers).map_err(|error| error.to_string())
    }

    #[test]
    fn a_definition_goes_before_its_tenant_and_a_tenant_before_the_node() {
        let retention = load("acme=7d, acme/nightly=1h").unwrap().retention;
        let (acme, beta) = (TenantId::parse("acme").unwrap(), TenantId::parse("beta").unwrap());
        let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
        assert_eq!(retention.of(&acme, "nightly"), hour);
        assert_eq!(retention.of(&acme, "weekly"), 7 * day);
        assert_eq!(retention.of(&beta, "nightly"), 30 * day);
        assert_eq!(retention.shortest(), hour);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for bad in ["acme", "acme=", "acme=soon", "acme=0s", "ACME=1d", "acme/=1d", "=1d"] {
            let told = load(bad).unwrap_err();
            assert!(told.contains("MESH_RETENTION_OVERRIDES") && told.contains(bad), "`{bad}`: {told}");
        }
    }
}
