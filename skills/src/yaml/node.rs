//! The tree: values with their places.

use serde_json::{Map, Number, Value};

/// Where something stands in its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value begins.
    pub span: Span,
    /// The value.
    pub kind: Kind,
}

/// A key of a mapping and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where the key begins.
    pub span: Span,
    /// Its text; `1:` and `true:` are the texts `1` and `true`.
    pub name: String,
}

/// The value of a node: YAML's core schema, which is JSON's.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`; `yes` and `on` are strings.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    String(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping in the order of the text; its keys are distinct.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The same value as JSON; infinities and NaN, which JSON does not have, become null.
    ///
    /// A later equal key cannot occur: the reader refuses duplicates.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::Number((*value).into()),
            Kind::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Kind::String(value) => Value::String(value.clone()),
            Kind::Seq(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(entries) => Value::Object(
                entries.iter().map(|(key, value)| (key.name.clone(), value.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The node at a JSON pointer (RFC 6901): `/steps/0/name`; the empty pointer is the node itself.
    pub fn at(&self, json_pointer: &str) -> Option<&Self> {
        if json_pointer.is_empty() {
            return Some(self);
        }
        let mut node = self;
        for part in json_pointer.strip_prefix('/')?.split('/') {
            let name = part.replace("~1", "/").replace("~0", "~");
            node = node.child(&name)?;
        }
        Some(node)
    }

    /// The deepest node on the way to a JSON pointer: where to show a mistake about something
    /// that is missing.
    pub fn nearest(&self, json_pointer: &str) -> &Self {
        let mut pointer = json_pointer;
        loop {
            if let Some(node) = self.at(pointer) {
                return node;
            }
            match pointer.rfind('/') {
                Some(cut) => pointer = pointer.get(..cut).unwrap_or(""),
                None => return self,
            }
        }
    }

    /// The value under a key of a mapping.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|(_, value)| value)
    }

    /// Key and value of an entry of a mapping.
    pub fn entry(&self, name: &str) -> Option<(&Key, &Self)> {
        let entries = self.as_map()?;
        let (key, value) = entries.iter().find(|(key, _)| key.name == name)?;
        Some((key, value))
    }

    /// The text, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number, when this is one.
    pub fn as_int(&self) -> Option<i64> {
        match &self.kind {
            Kind::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The truth value, when this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.kind {
            Kind::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The items, when this is a list.
    pub fn as_seq(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, when this is a mapping.
    pub fn as_map(&self) -> Option<&[(Key, Self)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// What this is, for a message: `a list`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Int(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::String(_) => "a text",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    fn child(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(_) => self.get(name),
            Kind::Seq(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        }
    }
}
