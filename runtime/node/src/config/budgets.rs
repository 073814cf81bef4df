//! Section `budgets`.

use mesh_agents::budget::{Defaults, Limit, Then};

use super::{ConfigError, Mistake, Settings, Value, read_time};

/// The keys, and what `Defaults` has of them.
const LEVELS: [&str; 3] = ["budgets.tenant", "budgets.project", "budgets.run"];

/// What each tenant, project and run may spend on models where nothing else is set.
pub(super) fn take(all: &mut Settings) -> Result<Defaults, ConfigError> {
    refuse_unreadable(all)?;
    let then = if all.take_text("budgets.then")? == "stop" { Then::Stop } else { Then::Pause };
    let mut limit = |name: &str| -> Result<Limit, ConfigError> {
        let texts = all.take_list(name)?;
        let limit = Limit { then, ..Limit::default() };
        Ok(texts.iter().filter_map(|text| read(text).ok()).fold(limit, |limit, part| part.of(limit)))
    };
    let [tenant, project, run] = LEVELS;
    Ok(Defaults { tenant: limit(tenant)?, project: limit(project)?, run: limit(run)? })
}

/// One bound.
enum Part {
    Tokens(u64),
    Cost(u64),
    TimeMs(u64),
}

impl Part {
    fn of(self, limit: Limit) -> Limit {
        match self {
            Self::Tokens(tokens) => Limit { tokens: Some(tokens), ..limit },
            Self::Cost(cost) => Limit { cost: Some(cost), ..limit },
            Self::TimeMs(time) => Limit { time_ms: Some(time), ..limit },
        }
    }
}

fn read(text: &str) -> Result<Part, &'static str> {
    let (unit, amount) = text.split_once('=').ok_or("a `=` is expected in it")?;
    let amount = amount.trim();
    let count = || amount.replace('_', "").parse().ok().filter(|count| *count > 0).ok_or("a number from 1 is expected");
    match unit.trim() {
        "tokens" => count().map(Part::Tokens),
        "cost" => count().map(Part::Cost),
        "time" => {
            let time = read_time(amount).map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            time.filter(|time| *time > 0).map(Part::TimeMs).ok_or("a time such as 2h is expected")
        }
        _ => Err("`tokens`, `cost` or `time` is expected before `=`"),
    }
}

/// What cannot be read would bound nothing in silence.
fn refuse_unreadable(all: &Settings) -> Result<(), ConfigError> {
    let mut mistakes = Vec::new();
    for (key, setting) in all.all().filter(|(key, _)| LEVELS.contains(&key.name)) {
        let Value::List(texts) = &setting.value else { continue };
        for (text, why) in texts.iter().filter_map(|text| Some((text, read(text).err()?))) {
            mistakes.push(Mistake {
                place: all.place(key.name),
                message: format!("`{text}` is no budget: {why}"),
                help: "`tokens=N`, `cost=MILLIONTHS` or `time=TIME` is expected, such as tokens=5_000_000".to_owned(),
            });
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(ConfigError::Mistakes(mistakes)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers};

    fn load(tenant: &str, then: &str) -> Result<Defaults, String> {
        let folder = tempfile::tempdir().unwrap();
        let environment = [("MESH_BUDGETS_TENANT", tenant), ("MESH_BUDGETS_THEN", then)];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let layers = Layers { data: folder.path().to_owned(), environment, ..Layers::default() };
        Config::load(&layers).map(|config| config.budgets).map_err(|error| error.to_string())
    }

    #[test]
    fn a_budget_bounds_what_it_names_and_nothing_else() {
        let defaults = load("tokens=5_000_000, time=2h", "stop").unwrap();
        let expected = Limit { tokens: Some(5_000_000), cost: None, time_ms: Some(7_200_000), then: Then::Stop };
        assert_eq!(defaults.tenant, expected);
        assert!(defaults.are_bound() && !defaults.run.is_bound());
        assert!(!load("", "pause").unwrap().are_bound());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for bad in ["tokens", "tokens=0", "tokens=many", "money=1", "time=soon", "time=0s", "cost=-1"] {
            let told = load(bad, "pause").unwrap_err();
            assert!(told.contains("MESH_BUDGETS_TENANT") && told.contains(bad), "`{bad}`: {told}");
        }
    }
}
