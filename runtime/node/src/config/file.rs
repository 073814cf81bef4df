//! Reading `mesh.toml`: every entry with its line, every mistake told.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{KEYS, Key, Mistake, Place, Setting, keys::SECTIONS, setting::unknown};

/// Reads the text of a file into settings.
///
/// # Errors
/// Every mistake in it.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<(&'static Key, Setting)>, Vec<Mistake>> {
    let at = |offset: usize| place(path, text, offset);
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        vec![Mistake { place: at(offset), message: error.message().to_owned(), help: String::new() }]
    })?;
    let mut found = Vec::new();
    let mut mistakes = Vec::new();
    for (name, value) in table.get_ref() {
        let section = name.get_ref().as_ref();
        if !SECTIONS.iter().any(|(known, _)| *known == section) {
            mistakes.push(unknown(at(name.span().start), "section", section, SECTIONS.iter().map(|(name, _)| *name)));
            continue;
        }
        let DeValue::Table(entries) = value.get_ref() else {
            mistakes.push(Mistake {
                place: at(name.span().start),
                message: format!("`{section}` is a section"),
                help: format!("write `[{section}]` on a line of its own and its keys below"),
            });
            continue;
        };
        for (name, value) in entries {
            match entry(section, name.get_ref(), value.get_ref(), at(name.span().start)) {
                Ok(setting) => found.push(setting),
                Err(mistake) => mistakes.push(mistake),
            }
        }
    }
    mistakes.sort_by_key(line);
    if mistakes.is_empty() { Ok(found) } else { Err(mistakes) }
}

fn entry(section: &str, name: &str, value: &DeValue<'_>, place: Place) -> Result<(&'static Key, Setting), Mistake> {
    let Some(key) = KEYS.iter().find(|key| key.section() == section && key.own_name() == name) else {
        let names = KEYS.iter().filter(|key| key.section() == section).map(Key::own_name);
        return Err(unknown(place, &format!("key of `{section}`"), name, names));
    };
    let text = plain(value).ok_or_else(|| Mistake {
        place: place.clone(),
        message: format!("`{}`: {} is expected", key.name, key.form.range()),
        help: format!("the default is `{name} = {}`", key.default_toml()),
    })?;
    Setting::read(key, &text, place).map(|setting| (key, setting))
}

/// A TOML value as the text that a flag would have given.
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.as_ref().to_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}

fn line(mistake: &Mistake) -> usize {
    if let Place::File { line, .. } = mistake.place { line } else { 0 }
}

fn place(path: &Path, text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    Place::File { path: path.to_owned(), line, column }
}
