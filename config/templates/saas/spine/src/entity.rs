//! What the spine knows of a kind of record: enough for forms, lists, the API's description,
//! migrations and the export.

use std::collections::BTreeMap;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde_json::{Map, Value};

/// A kind of record.
#[derive(Debug)]
pub struct Entity {
    /// Its name in code, and of its table.
    pub name: &'static str,
    /// Its name for people: `Ticket`.
    pub title: &'static str,
    /// Many of them: `Tickets`.
    pub plural: &'static str,
    /// The part of an address that names them: `tickets`.
    pub path: &'static str,
    /// What it is, in a sentence.
    pub description: &'static str,
    /// The field by which people know one.
    pub label: &'static str,
    /// Its fields, in the order of forms.
    pub fields: &'static [Field],
    /// Where it is kept.
    pub table: &'static Table,
    /// Who may do what.
    pub permissions: Permissions,
    /// Its states, the first being the initial one; empty when it has none.
    pub states: &'static [Choice],
    /// How it gets from state to state.
    pub transitions: &'static [Transition],
}

/// A field of a record.
#[derive(Debug)]
pub struct Field {
    /// Its name in code, and of its column.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// A hint under the input; may be empty.
    pub help: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must have a value.
    pub required: bool,
    /// Whether no two records may have the same.
    pub unique: bool,
    /// Least number, or shortest text in characters.
    pub min: Option<i64>,
    /// Largest number, or longest text in characters.
    pub max: Option<i64>,
    /// What a new form shows; may be empty.
    pub default: &'static str,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One line of text.
    String,
    /// Lines of text.
    Text,
    /// A whole number.
    Integer,
    /// A number with two places, kept in hundredths.
    Decimal,
    /// Yes or no.
    Boolean,
    /// A day.
    Date,
    /// A day with hours and minutes, UTC.
    DateTime,
    /// One of these.
    Enum(&'static [Choice]),
    /// A record of the named entity.
    Reference(&'static str),
    /// A person of the tenant.
    Member,
}

/// One of several values or states.
#[derive(Debug)]
pub struct Choice {
    /// Its name in code and files.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// How its badge looks: `quiet`, `info`, `good`, `warn` or `bad`.
    pub tone: &'static str,
}

/// A way from some states to another.
#[derive(Debug)]
pub struct Transition {
    /// Its name in code and addresses.
    pub name: &'static str,
    /// Its name on a button.
    pub title: &'static str,
    /// The states it may begin in.
    pub from: &'static [&'static str],
    /// The state it ends in.
    pub to: &'static str,
    /// The roles that may do it.
    pub roles: &'static [&'static str],
}

/// The roles that may read, create, update and delete.
#[derive(Debug)]
pub struct Permissions {
    /// Who may see.
    pub read: &'static [&'static str],
    /// Who may add.
    pub create: &'static [&'static str],
    /// Who may change.
    pub update: &'static [&'static str],
    /// Who may remove.
    pub delete: &'static [&'static str],
}

/// A table; it also has `id`, `created_at` and `updated_at`.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its own columns.
    pub columns: &'static [Column],
}

/// A column.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type and constraints, the type first.
    pub sql: &'static str,
    /// Whether no two rows may have the same value.
    pub unique: bool,
    /// Whether it is searched by.
    pub indexed: bool,
}

impl Column {
    /// A column without an index.
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        Self { name, sql, unique: false, indexed: false }
    }

    /// The same column with a unique index.
    #[must_use]
    pub const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    /// The same column with an index.
    #[must_use]
    pub const fn indexed(self) -> Self {
        Self { indexed: true, ..self }
    }
}

/// A value or state with a name: the enums of a product.
pub trait Named: Copy + 'static {
    /// All of them, in the order of the blueprint.
    const ALL: &'static [Self];
    /// Its name in files and addresses.
    fn name(self) -> &'static str;

    /// The one of that name.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}

/// The value of a field as a text; an absent one has none.
pub trait Text {
    /// The text.
    fn text(&self) -> Option<String>;
}

impl Text for String {
    fn text(&self) -> Option<String> {
        Some(self.clone())
    }
}

impl Text for i64 {
    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Text for bool {
    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Text for Decimal {
    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl<T: Text> Text for Option<T> {
    fn text(&self) -> Option<String> {
        self.as_ref().and_then(Text::text)
    }
}

/// The values of a record by field, as texts; an absent one is empty.
pub type Values = BTreeMap<&'static str, Option<String>>;

/// What pages need of a typed record.
pub trait Record {
    /// The kind of record.
    fn entity(&self) -> &'static Entity;
    /// Its id.
    fn id(&self) -> &str;
    /// Its values as texts.
    fn values(&self) -> Values;
    /// Name of its state, if it has one.
    fn state(&self) -> Option<&'static str>;

    /// What it is called.
    fn label(&self) -> String {
        let label = self.values().remove(self.entity().label).flatten();
        label.unwrap_or_else(|| self.id().to_owned())
    }
}

/// A record as JSON: its id, its state, and its values by name.
pub fn to_json(record: &impl Record) -> Value {
    let mut object = Map::new();
    object.insert("id".to_owned(), Value::from(record.id()));
    if let Some(state) = record.state() {
        object.insert("state".to_owned(), Value::from(state));
    }
    let mut values = record.values();
    for field in record.entity().fields {
        let text = values.remove(field.name).flatten();
        let value = match (field.kind, text) {
            (_, None) => Value::Null,
            (Kind::Integer, Some(text)) => text.parse::<i64>().map_or(Value::Null, Value::from),
            (Kind::Boolean, Some(text)) => Value::from(text == "true"),
            (_, Some(text)) => Value::from(text),
        };
        object.insert(field.name.to_owned(), value);
    }
    Value::Object(object)
}

/// A named value in a column; one that the product no longer knows is an error of the file.
pub fn choice<T: Named>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    optional_choice(row, column)?.ok_or(rusqlite::Error::InvalidQuery)
}

/// A named value in a column that may be empty.
pub fn optional_choice<T: Named>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let name: Option<String> = row.get(column)?;
    Ok(name.as_deref().and_then(T::named))
}

impl Entity {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The state of that name.
    pub fn state(&self, name: &str) -> Option<&'static Choice> {
        self.states.iter().find(|state| state.name == name)
    }

    /// The transition of that name.
    pub fn transition(&self, name: &str) -> Option<&'static Transition> {
        let mut all = self.transitions.iter();
        all.find(|transition| transition.name == name)
    }
}

/// A number with two places, kept as hundredths: exact, and sorted as a whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(pub i64);

impl Decimal {
    /// Reads `12`, `12.5` or `-12.50`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let well_formed =
            !whole.is_empty() && part.len() <= 2 && whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit());
        if !well_formed {
            return None;
        }
        let hundredths: i64 = format!("{part:0<2}").parse().ok()?;
        let value = whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(hundredths)?;
        Some(Self(if digits.len() < text.len() { -value } else { value }))
    }
}

impl ToSql for Decimal {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for Decimal {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let hundredths = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn decimals_are_exact_and_written_with_two_places() {
        for (text, written) in [("12", "12.00"), ("0.5", "0.50"), ("-3.07", "-3.07"), ("-0.01", "-0.01")] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), written);
        }
        for text in ["", ".5", "1.234", "1e3", "1,5", "--1"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
