//! The blueprint as values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a product is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blueprint {
    /// Its name in files and addresses; it tells one product of a tenant from another.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Who its tenants are.
    pub tenancy: Tenancy,
    /// The roles; whoever signs up has the first.
    pub roles: Vec<Role>,
    /// The kinds of records.
    pub entities: Vec<Entity>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// The plans, from the smallest to the largest.
    pub editions: Vec<Edition>,
    /// Sample tenants and rows.
    pub sample: Sample,
}

/// Who the tenants are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenancy {
    /// What a tenant is called: `company`.
    pub noun: String,
}

/// What a person may be in a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name in code.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it is for.
    pub description: String,
}

/// A kind of record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Its name in code, and of its table.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Many of them, for people.
    pub plural: String,
    /// The part of an address that names them.
    pub path: String,
    /// What it is.
    pub description: String,
    /// The field by which people know one.
    pub label: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Its state machine, if it has one.
    pub states: Option<States>,
    /// Who may do what.
    pub permissions: Permissions,
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name in code, and of its column.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// A hint for whoever fills it in; may be empty.
    pub help: String,
    /// What it holds.
    #[serde(flatten)]
    pub kind: FieldKind,
    /// Whether it must have a value.
    pub required: bool,
    /// Whether no two records may have the same.
    pub unique: bool,
    /// Least number, or shortest text in characters.
    pub min: Option<i64>,
    /// Largest number, or longest text in characters.
    pub max: Option<i64>,
    /// What a new form shows.
    pub default: Option<String>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FieldKind {
    /// One line of text.
    String,
    /// Lines of text.
    Text,
    /// A whole number.
    Integer,
    /// A number with two places.
    Decimal,
    /// Yes or no.
    Boolean,
    /// A day.
    Date,
    /// A day with hours and minutes.
    Datetime,
    /// One of several values.
    Enum {
        /// The values.
        values: Vec<Choice>,
    },
    /// A record of another entity.
    Reference {
        /// Name of that entity.
        to: String,
    },
    /// A person of the tenant.
    Member,
}

/// A value of an enum, or a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its name in code.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// How its badge looks: `quiet`, `info`, `good`, `warn` or `bad`.
    pub tone: String,
}

/// A state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct States {
    /// The state of a new record.
    pub initial: String,
    /// The states.
    pub values: Vec<Choice>,
    /// The ways between them.
    pub transitions: Vec<Transition>,
}

/// A way from some states to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Its name in code.
    pub name: String,
    /// Its name on a button.
    pub title: String,
    /// Where it may begin.
    pub from: Vec<String>,
    /// Where it ends.
    pub to: String,
    /// Who may do it.
    pub roles: Vec<String>,
}

/// Names of the roles that may read, create, update and delete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Who may see.
    pub read: Vec<String>,
    /// Who may add.
    pub create: Vec<String>,
    /// Who may change.
    pub update: Vec<String>,
    /// Who may remove.
    pub delete: Vec<String>,
}

/// Values by field; none means that the field is empty.
pub type Row = BTreeMap<String, Option<String>>;

/// A rule: a sentence, a condition, and examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name in code, made from the sentence.
    pub name: String,
    /// What it says.
    pub sentence: String,
    /// The entity it is about.
    pub entity: String,
    /// The field it is shown at.
    pub field: Option<String>,
    /// When it is asked.
    pub on: Vec<Moment>,
    /// Who turns it into code.
    #[serde(default, skip_serializing_if = "Author::is_template")]
    pub by: Author,
    /// When it applies; always, when absent.
    pub when: Option<Condition>,
    /// What must then be true; always, when an agent writes it.
    pub require: Condition,
    /// Records that the examples need.
    pub given: Vec<Given>,
    /// An example that breaks it.
    pub refused: Row,
    /// An example that does not.
    pub accepted: Row,
}

/// Who turns a rule into code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// The template, from its condition.
    #[default]
    Template,
    /// An agent, from its sentence.
    Agent,
}

impl Author {
    fn is_template(&self) -> bool {
        *self == Self::Template
    }
}

/// When a rule is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// Before a record is added.
    Create,
    /// Before a record is changed.
    Update,
    /// Before a record is removed.
    Delete,
    /// Before the named transition.
    Transition(String),
}

/// Records of the rule's entity that stand before its examples are tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// How many.
    pub times: u32,
    /// Values that replace those of the first sample row.
    pub row: Row,
}

/// What can be asked of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// All of these.
    All(Vec<Condition>),
    /// At least one of these.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// A field has a value.
    IsSet(String),
    /// A field has no value.
    IsUnset(String),
    /// A field compares so to something; to an absent value nothing compares.
    Compare {
        /// The field, or `reference.field` of the record it names.
        field: String,
        /// How.
        op: Op,
        /// To what.
        to: Operand,
    },
    /// A field has one of these values.
    OneOf {
        /// The field, or `reference.field`.
        field: String,
        /// The values.
        values: Vec<String>,
    },
    /// The record is in one of these states.
    State(Vec<String>),
    /// No other record with the same values, in one of the states, overlaps in time; ends that
    /// touch do not overlap.
    NoOverlap {
        /// The fields that must be equal.
        same: Vec<String>,
        /// The field with the beginning.
        from: String,
        /// The field with the end.
        to: String,
        /// The states that count; all when empty.
        states: Vec<String>,
    },
    /// Fewer than so many other records have the same values and one of the states.
    Limit {
        /// How many there may be, this one included.
        most: u32,
        /// The fields that must be equal.
        same: Vec<String>,
        /// The states that count; all when empty.
        states: Vec<String>,
    },
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// They are the same.
    Equals,
    /// They differ.
    NotEquals,
    /// The first is less.
    LessThan,
    /// The first is not more.
    AtMost,
    /// The first is more.
    GreaterThan,
    /// The first is not less.
    AtLeast,
}

/// What a field is compared to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// A value.
    Value(String),
    /// Another field of the same record.
    Field(String),
    /// The present day or minute, as the field has it.
    Now,
    /// Whoever acts.
    Me,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// Its name in code.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it costs, as shown.
    pub price: String,
    /// What it is good for.
    pub description: String,
    /// How many there may be of `users` or an entity; what is not named has no bound.
    pub limits: BTreeMap<String, u32>,
}

/// Sample tenants and rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The tenants to try the product with.
    pub tenants: Vec<SampleTenant>,
    /// The rows that each of them has.
    pub rows: Vec<SampleRows>,
}

/// A tenant to try the product with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleTenant {
    /// Its name.
    pub name: String,
    /// Name of its administrator.
    pub person: String,
    /// The address to log in with.
    pub email: String,
    /// Its plan.
    pub edition: String,
}

/// The sample rows of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRows {
    /// Name of the entity.
    pub entity: String,
    /// Its rows; `state` stands among the fields.
    pub rows: Vec<Row>,
}

impl Blueprint {
    /// The entity of that name.
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.name == name)
    }

    /// The sample rows of an entity.
    pub fn rows(&self, entity: &str) -> &[Row] {
        let found = self.sample.rows.iter().find(|rows| rows.entity == entity);
        found.map_or(&[], |rows| &rows.rows)
    }

    /// The rules that an agent writes.
    pub fn written(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.by == Author::Agent)
    }

    /// The entities so ordered that each comes after those that it names.
    ///
    /// An entity that names itself, or a circle of entities, keeps the order of the file.
    pub fn entities_by_need(&self) -> Vec<&Entity> {
        let mut waiting: Vec<&Entity> = self.entities.iter().collect();
        let mut ordered: Vec<&Entity> = Vec::new();
        while !waiting.is_empty() {
            let free = waiting.iter().position(|entity| {
                let mut needs = entity.references().filter(|to| *to != entity.name);
                !needs.any(|to| waiting.iter().any(|other| other.name == to))
            });
            ordered.push(waiting.remove(free.unwrap_or(0)));
        }
        ordered
    }
}

impl Entity {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Names of the entities that its fields refer to.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter_map(|field| match &field.kind {
            FieldKind::Reference { to } => Some(to.as_str()),
            _ => None,
        })
    }

    /// Names of its states.
    pub fn state_names(&self) -> Vec<&str> {
        let values = self.states.iter().flat_map(|states| &states.values);
        values.map(|state| state.name.as_str()).collect()
    }
}
