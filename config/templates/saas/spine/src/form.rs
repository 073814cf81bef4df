//! From what was sent to the typed fields of a record, with every mistake told at once.

use std::collections::BTreeMap;

use rusqlite::params;

use crate::entity::{Decimal, Entity, Field, Kind, Named, Values};
use crate::moment::{is_date, is_date_time};
use crate::{Error, Mistakes, Scope};

/// What was sent, by name: a form and a JSON object look the same from here. Empty is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input(BTreeMap<String, Option<String>>);

/// Most fields that one request may send.
const FIELDS_MAX: usize = 200;

impl Input {
    /// Reads a submitted form; of a name that is sent twice the last counts, so that a hidden
    /// `false` may precede a checkbox.
    pub fn from_form(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body).take(FIELDS_MAX);
        Self(pairs.map(|(name, value)| (name.into_owned(), filled(&value))).collect())
    }

    /// Reads a JSON object of plain values.
    pub fn from_json(body: &[u8]) -> Result<Self, Error> {
        let wrong = |what: &str| Error::BadRequest(format!("{what}; send a JSON object of plain values"));
        let value: serde_json::Value =
            serde_json::from_slice(body).map_err(|error| wrong(&format!("this is not JSON: {error}")))?;
        let serde_json::Value::Object(entries) = value else {
            return Err(wrong("this is not an object"));
        };
        let mut input = Self::default();
        for (name, value) in entries.into_iter().take(FIELDS_MAX) {
            let text = match value {
                serde_json::Value::Null => None,
                serde_json::Value::Bool(value) => Some(value.to_string()),
                serde_json::Value::Number(value) => Some(value.to_string()),
                serde_json::Value::String(value) => filled(&value),
                serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                    return Err(wrong(&format!("`{name}` is not a plain value")));
                }
            };
            input.0.insert(name, text);
        }
        Ok(input)
    }

    /// The text under a name, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Option::as_deref)
    }

    /// The text under a name; empty when absent.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// Sets a value, as a test or a sample does.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.0.insert(name.to_owned(), value.and_then(filled));
    }

    /// Takes a value out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).flatten()
    }

    /// The same input, with the given values where it says nothing.
    #[must_use]
    pub fn over(&self, values: &Values) -> Self {
        let mut merged: BTreeMap<_, _> =
            values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        merged.extend(self.0.clone());
        Self(merged)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<'a> FromIterator<(&'a str, Option<&'a str>)> for Input {
    fn from_iter<I: IntoIterator<Item = (&'a str, Option<&'a str>)>>(pairs: I) -> Self {
        let mut input = Self::default();
        for (name, value) in pairs {
            input.set(name, value);
        }
        input
    }
}

fn filled(text: &str) -> Option<String> {
    let text = text.trim().replace("\r\n", "\n");
    (!text.is_empty()).then_some(text)
}

/// Reads the fields of one entity and gathers what is wrong with them.
pub struct Form<'a> {
    scope: &'a Scope<'a>,
    entity: &'static Entity,
    input: &'a Input,
    mistakes: Mistakes,
}

impl<'a> Form<'a> {
    /// Begins to read; a name that the entity does not have is a mistake.
    pub fn new(scope: &'a Scope<'a>, entity: &'static Entity, input: &'a Input) -> Self {
        let mut mistakes = Mistakes::default();
        for name in input.names() {
            if name != CSRF && entity.field(name).is_none() {
                let message = format!("is not a field of `{}`", entity.name);
                mistakes.fields.insert(name.to_owned(), message);
            }
        }
        Self { scope, entity, input, mistakes }
    }

    /// The value of a text, a choice, a date, a reference or a member.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let (field, text) = self.sent(name)?;
        match wrong(self.scope, field, &text) {
            Ok(None) => Some(text),
            Ok(Some(message)) => self.mistake(name, message),
            Err(_) => self.mistake(name, "cannot be checked now; try again".to_owned()),
        }
    }

    /// The value of a choice.
    pub fn choice<T: Named>(&mut self, name: &'static str) -> Option<T> {
        self.text(name).and_then(|text| T::named(&text))
    }

    /// The value of a whole number.
    pub fn integer(&mut self, name: &'static str) -> Option<i64> {
        let (field, text) = self.sent(name)?;
        let Ok(number) = text.parse() else {
            return self.mistake(name, "must be a whole number, like 12".to_owned());
        };
        self.within(field, number, number)
    }

    /// The value of a number with two places.
    pub fn decimal(&mut self, name: &'static str) -> Option<Decimal> {
        let (field, text) = self.sent(name)?;
        let Some(number) = Decimal::parse(&text) else {
            return self.mistake(name, "must be a number, like 12.50".to_owned());
        };
        self.within(field, number.0.div_euclid(100), number)
    }

    /// The value of a yes or no; absent is no.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let Some(text) = self.input.get(name) else {
            return Some(false);
        };
        match text {
            "true" | "on" => Some(true),
            "false" => Some(false),
            _ => self.mistake(name, "must be true or false".to_owned()),
        }
    }

    /// Ends the reading: the record, or everything that is wrong.
    pub fn finish<T>(mut self, id: &str, record: T) -> Result<T, Error> {
        for field in self.entity.fields.iter().filter(|field| field.unique) {
            if let Some(text) = self.input.get(field.name)
                && self.taken(field, text, id)?
            {
                let message = "is already taken; choose another".to_owned();
                self.mistake::<()>(field.name, message);
            }
        }
        if self.mistakes.is_empty() {
            return Ok(record);
        }
        Err(Error::Invalid(self.mistakes))
    }

    fn sent(&mut self, name: &'static str) -> Option<(&'static Field, String)> {
        let field = self.entity.field(name)?;
        match self.input.get(name) {
            // Programs may say `+3d 14:00` or `today`; forms send what the calendar says.
            Some(text) if matches!(field.kind, Kind::Date | Kind::DateTime) => {
                Some((field, self.scope.now.resolve(text)))
            }
            Some(text) => Some((field, text.to_owned())),
            None if field.required => self.mistake(name, "is needed".to_owned()),
            None => None,
        }
    }

    fn within<T>(&mut self, field: &'static Field, number: i64, value: T) -> Option<T> {
        match out_of_bounds(field, number, "") {
            Some(message) => self.mistake(field.name, message),
            None => Some(value),
        }
    }

    fn taken(&self, field: &Field, text: &str, id: &str) -> Result<bool, Error> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM \"{}\" WHERE \"{}\" = ?1 AND id <> ?2)",
            self.entity.name, field.name
        );
        Ok(self.scope.db.query_row(&sql, params![text, id], |row| row.get(0))?)
    }

    fn mistake<T>(&mut self, name: &str, message: String) -> Option<T> {
        self.mistakes.fields.entry(name.to_owned()).or_insert(message);
        None
    }
}

/// What a new record of an entity begins with: the defaults of its fields.
pub fn defaults(scope: &Scope<'_>, entity: &Entity) -> Values {
    let given = entity.fields.iter().filter(|field| !field.default.is_empty());
    given
        .map(|field| {
            let value = match field.default {
                "@me" => scope.who.id.clone(),
                text => scope.now.resolve(text),
            };
            (field.name, Some(value))
        })
        .collect()
}

/// Name of the hidden field that proves a form is ours.
pub const CSRF: &str = "_csrf";

/// What is wrong with a text, if anything.
fn wrong(scope: &Scope<'_>, field: &Field, text: &str) -> Result<Option<String>, Error> {
    Ok(match field.kind {
        Kind::String if text.contains('\n') => Some("must be one line".to_owned()),
        Kind::String | Kind::Text => {
            let len = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            out_of_bounds(field, len, " characters")
        }
        Kind::Date => (!is_date(text)).then(|| "must be a date, like 2026-01-31".to_owned()),
        Kind::DateTime => (!is_date_time(text)).then(|| "must be a date with time, like 2026-01-31T14:00".to_owned()),
        Kind::Enum(choices) => {
            let known = choices.iter().any(|choice| choice.name == text);
            let names: Vec<_> = choices.iter().map(|choice| choice.name).collect();
            (!known).then(|| format!("must be one of: {}", names.join(", ")))
        }
        Kind::Reference(entity) => {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM \"{entity}\" WHERE id = ?1)");
            let known: bool = scope.db.query_row(&sql, [text], |row| row.get(0))?;
            (!known).then(|| format!("must be the id of a {entity} of yours"))
        }
        Kind::Member => {
            let known = scope.members.iter().any(|member| member.id == text);
            (!known).then(|| "must be one of your people".to_owned())
        }
        Kind::Integer | Kind::Decimal | Kind::Boolean => None,
    })
}

fn out_of_bounds(field: &Field, number: i64, unit: &str) -> Option<String> {
    match (field.min, field.max) {
        (Some(min), _) if number < min => Some(format!("must be at least {min}{unit}")),
        (_, Some(max)) if number > max => Some(format!("must be at most {max}{unit}")),
        _ => None,
    }
}
