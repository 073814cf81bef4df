//! Whether a product may grow from one blueprint into another.
//!
//! Tenants have data and people have habits: what is there stays. New entities, optional fields,
//! rules and transitions are taken in; so are other sample rows, which only new tenants see.

use serde::{Deserialize, Serialize};

use super::model::{Blueprint, Entity, Field, FieldKind, States};

/// What a new blueprint means for a product of the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// Both are the same.
    Same,
    /// It only adds.
    Additive {
        /// Names of new entities.
        entities: Vec<String>,
        /// New optional fields, as `entity.field`.
        fields: Vec<String>,
        /// Sentences of new rules.
        rules: Vec<String>,
        /// New transitions, as `entity.transition`.
        transitions: Vec<String>,
    },
    /// It does more than add.
    Refused {
        /// All that is too much.
        reasons: Vec<Refusal>,
    },
}

/// Something that a product with tenants cannot take in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What: `ticket.priority`.
    pub what: String,
    /// Why not.
    pub reason: String,
    /// How to mend it.
    pub help: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {} ({})", self.what, self.reason, self.help)
    }
}

/// Compares a product's blueprint with a newer one.
pub fn compare(old: &Blueprint, new: &Blueprint) -> Change {
    if old == new {
        return Change::Same;
    }
    let mut growth = Growth::default();
    growth.product(old, new);
    for before in &old.entities {
        match new.entity(&before.name) {
            Some(after) => growth.entity(before, after),
            None => growth.refuse(&before.name, "is gone", "put the entity back, or give the blueprint another `name`"),
        }
    }
    let added = new.entities.iter().filter(|entity| old.entity(&entity.name).is_none());
    growth.entities = added.map(|entity| entity.name.clone()).collect();
    growth.rules(old, new);
    growth.editions(old, new);
    if growth.reasons.is_empty() {
        return Change::Additive {
            entities: growth.entities,
            fields: growth.fields,
            rules: growth.sentences,
            transitions: growth.transitions,
        };
    }
    Change::Refused { reasons: growth.reasons }
}

#[derive(Default)]
struct Growth {
    entities: Vec<String>,
    fields: Vec<String>,
    sentences: Vec<String>,
    transitions: Vec<String>,
    reasons: Vec<Refusal>,
}

impl Growth {
    fn product(&mut self, old: &Blueprint, new: &Blueprint) {
        for (what, same) in [
            ("name", old.name == new.name),
            ("title", old.title == new.title),
            ("description", old.description == new.description),
            ("tenancy", old.tenancy == new.tenancy),
            ("roles", old.roles == new.roles),
            ("sample.tenants", old.sample.tenants == new.sample.tenants),
        ] {
            if !same {
                self.changed(what);
            }
        }
    }

    fn entity(&mut self, before: &Entity, after: &Entity) {
        for (what, same) in [
            ("title", before.title == after.title),
            ("plural", before.plural == after.plural),
            ("path", before.path == after.path),
            ("description", before.description == after.description),
            ("label", before.label == after.label),
            ("permissions", before.permissions == after.permissions),
        ] {
            if !same {
                self.changed(&format!("{}.{what}", before.name));
            }
        }
        for field in &before.fields {
            let what = format!("{}.{}", before.name, field.name);
            match after.field(&field.name) {
                None => self.refuse(&what, "is gone, and tenants have values in it", "put the field back"),
                Some(now) => self.field(&what, field, now),
            }
        }
        for field in after.fields.iter().filter(|field| before.field(&field.name).is_none()) {
            let what = format!("{}.{}", before.name, field.name);
            if field.required {
                self.refuse(
                    &what,
                    "is new and required, and the records there are have no value for it",
                    "make it `required: false`",
                );
            } else {
                self.fields.push(what);
            }
        }
        self.states(&before.name, before.states.as_ref(), after.states.as_ref());
    }

    fn field(&mut self, what: &str, before: &Field, after: &Field) {
        if before == after {
            return;
        }
        if let (FieldKind::Reference { to: old }, FieldKind::Reference { to: new }) = (&before.kind, &after.kind)
            && old != new
        {
            self.refuse(
                what,
                &format!("names `{new}` now, and the records there are name `{old}`"),
                "add another field",
            );
            return;
        }
        if std::mem::discriminant(&before.kind) != std::mem::discriminant(&after.kind) {
            self.refuse(
                what,
                "has another type, and tenants have values of the old one",
                "keep the type and add another field",
            );
            return;
        }
        if after.required && !before.required {
            self.refuse(
                what,
                "is required now, and some records may have no value",
                "leave it optional and add a rule for new records",
            );
            return;
        }
        self.changed(what);
    }

    fn states(&mut self, entity: &str, before: Option<&States>, after: Option<&States>) {
        let (before, after) = match (before, after) {
            (None, None) => return,
            (Some(before), Some(after)) => (before, after),
            _ => {
                self.refuse(&format!("{entity}.states"), "began or ceased to exist", "put them back as they were");
                return;
            }
        };
        if before.values != after.values || before.initial != after.initial {
            self.changed(&format!("{entity}.states"));
        }
        for transition in &before.transitions {
            if !after.transitions.contains(transition) {
                self.changed(&format!("{entity}.{}", transition.name));
            }
        }
        for transition in &after.transitions {
            let known = before.transitions.iter().any(|old| old.name == transition.name);
            if !known {
                self.transitions.push(format!("{entity}.{}", transition.name));
            }
        }
    }

    fn rules(&mut self, old: &Blueprint, new: &Blueprint) {
        for rule in &old.rules {
            match new.rules.iter().find(|now| now.name == rule.name) {
                None => self.refuse(&rule.sentence, "is gone, and people rely on it", "put the rule back"),
                Some(now) if now != rule => self.changed(&rule.sentence),
                Some(_) => {}
            }
        }
        let known = |name: &str| old.rules.iter().any(|rule| rule.name == name);
        let added = new.rules.iter().filter(|rule| !known(&rule.name));
        self.sentences = added.map(|rule| rule.sentence.clone()).collect();
    }

    /// An edition may only get limits of entities that are new.
    fn editions(&mut self, old: &Blueprint, new: &Blueprint) {
        let mut after = new.editions.clone();
        for edition in &mut after {
            edition.limits.retain(|name, _| name == "users" || old.entity(name).is_some());
        }
        if old.editions != after {
            self.changed("editions");
        }
    }

    fn changed(&mut self, what: &str) {
        self.refuse(
            what,
            "is not as it was",
            "put it back; only new entities, optional fields, rules and transitions are taken in",
        );
    }

    fn refuse(&mut self, what: &str, reason: &str, help: &str) {
        self.reasons.push(Refusal { what: what.to_owned(), reason: reason.to_owned(), help: help.to_owned() });
    }
}
