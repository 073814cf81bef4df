//! What a blueprint means: names that exist, are free, are told apart, and fit each other.
//!
//! Works on whatever could be read. An empty name was told by the reader and is passed over.

mod machines;
mod rows;
mod rules;

use std::collections::BTreeMap;

use super::model::{Blueprint, Entity, Field, FieldKind};
use super::names::{Use, wrong};
use crate::yaml::{Mistake, Node, suggest};

/// Everything that is wrong with what a blueprint says.
pub(super) fn blueprint(blueprint: &Blueprint, root: &Node) -> Vec<Mistake> {
    let mut check = Check { blueprint, root, mistakes: Vec::new() };
    check.name(&blueprint.name, Use::Product, "/name");
    check.one_line(&blueprint.title, "/title");
    check.one_line(&blueprint.tenancy.noun, "/tenancy/noun");
    check.roles();
    for (index, entity) in blueprint.entities.iter().enumerate() {
        check.entity(entity, &format!("/entities/{index}"));
    }
    let entities = &blueprint.entities;
    check.distinct("entity", "/entities", entities.iter().map(|entity| entity.name.as_str()), "name");
    check.distinct("path", "/entities", entities.iter().map(|entity| entity.path.as_str()), "path");
    check.rules();
    check.editions();
    check.samples();
    check.mistakes
}

struct Check<'a> {
    blueprint: &'a Blueprint,
    root: &'a Node,
    mistakes: Vec<Mistake>,
}

impl Check<'_> {
    fn roles(&mut self) {
        let roles = &self.blueprint.roles;
        for (index, role) in roles.iter().enumerate() {
            self.name(&role.name, Use::Word, &format!("/roles/{index}/name"));
            self.one_line(&role.title, &format!("/roles/{index}/title"));
            self.one_line(&role.description, &format!("/roles/{index}/description"));
        }
        self.distinct("role", "/roles", roles.iter().map(|role| role.name.as_str()), "name");
    }

    fn entity(&mut self, entity: &Entity, at: &str) {
        self.name(&entity.name, Use::Entity, &format!("{at}/name"));
        self.name(&entity.path, Use::Path, &format!("{at}/path"));
        for (text, key) in [(&entity.title, "title"), (&entity.plural, "plural")] {
            self.one_line(text, &format!("{at}/{key}"));
        }
        for (index, field) in entity.fields.iter().enumerate() {
            self.field(field, &format!("{at}/fields/{index}"));
        }
        let names: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).collect();
        self.distinct("field", &format!("{at}/fields"), names.iter().copied(), "name");
        self.known("field", &entity.label, &names, &format!("{at}/label"));
        let label = entity.field(&entity.label);
        if let Some(field) = label
            && (field.kind != FieldKind::String || !field.required)
        {
            let message = format!("the label `{}` is not a required string", field.name);
            self.mistake(
                &format!("{at}/label"),
                message,
                "people know a record by it: make it `type: string` and `required: true`",
            );
        }
        let permissions = &entity.permissions;
        for (roles, key) in [
            (&permissions.read, "read"),
            (&permissions.create, "create"),
            (&permissions.update, "update"),
            (&permissions.delete, "delete"),
        ] {
            self.known_roles(roles, &format!("{at}/permissions/{key}"));
        }
        self.machine(entity, at);
    }

    fn field(&mut self, field: &Field, at: &str) {
        self.name(&field.name, Use::Field, &format!("{at}/name"));
        self.one_line(&field.title, &format!("{at}/title"));
        self.one_line(&field.help, &format!("{at}/help"));
        match &field.kind {
            FieldKind::Enum { values } => {
                for (index, value) in values.iter().enumerate() {
                    self.name(&value.name, Use::Word, &format!("{at}/values/{index}"));
                    self.one_line(&value.title, &format!("{at}/values/{index}"));
                }
                self.distinct("value", &format!("{at}/values"), values.iter().map(|value| value.name.as_str()), "name");
            }
            FieldKind::Reference { to } => {
                let names: Vec<&str> = self.blueprint.entities.iter().map(|entity| entity.name.as_str()).collect();
                self.known("entity", to, &names, &format!("{at}/to"));
            }
            _ => {}
        }
        self.bounds(field, at);
        if field.unique && !matches!(field.kind, FieldKind::String | FieldKind::Integer) {
            let message = format!("`{}` cannot be unique", field.name);
            self.mistake(&format!("{at}/unique"), message, "only a string or an integer can be unique");
        }
        if let Some(default) = &field.default {
            self.value(field, default, &format!("{at}/default"), None);
        }
    }

    fn bounds(&mut self, field: &Field, at: &str) {
        let bounded =
            matches!(field.kind, FieldKind::String | FieldKind::Text | FieldKind::Integer | FieldKind::Decimal);
        let key = if field.min.is_some() { "min" } else { "max" };
        if !bounded && (field.min.is_some() || field.max.is_some()) {
            let message = format!("`{}` has no length and is no number", field.name);
            self.mistake(&format!("{at}/{key}"), message, "remove `min` and `max`");
        }
        if let (Some(min), Some(max)) = (field.min, field.max)
            && min > max
        {
            let message = format!("`min` is {min} and `max` is {max}");
            self.mistake(&format!("{at}/min"), message, "swap them");
        }
    }

    fn editions(&mut self) {
        let blueprint = self.blueprint;
        let mut bounded: Vec<&str> = vec!["users"];
        bounded.extend(blueprint.entities.iter().map(|entity| entity.name.as_str()));
        for (index, edition) in blueprint.editions.iter().enumerate() {
            let at = format!("/editions/{index}");
            self.name(&edition.name, Use::Word, &format!("{at}/name"));
            for (text, key) in
                [(&edition.title, "title"), (&edition.price, "price"), (&edition.description, "description")]
            {
                self.one_line(text, &format!("{at}/{key}"));
            }
            for name in edition.limits.keys() {
                self.known("`users` or entity", name, &bounded, &format!("{at}/limits/{name}"));
            }
        }
        let names = blueprint.editions.iter().map(|edition| edition.name.as_str());
        self.distinct("edition", "/editions", names, "name");
    }

    /// Tells a name that cannot be used so.
    fn name(&mut self, name: &str, usage: Use, at: &str) {
        if name.is_empty() {
            return;
        }
        if let Some((message, help)) = wrong(name, usage) {
            self.mistake(at, message, &help);
        }
    }

    /// Tells a name that is not among those there are.
    fn known(&mut self, what: &str, name: &str, names: &[&str], at: &str) {
        if name.is_empty() || names.contains(&name) {
            return;
        }
        let help = match suggest(name, names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if names.is_empty() => "there is none".to_owned(),
            None => format!("known are: {}", names.join(", ")),
        };
        self.mistake(at, format!("there is no {what} `{name}`"), &help);
    }

    fn known_roles(&mut self, roles: &[String], at: &str) {
        let blueprint = self.blueprint;
        let names: Vec<&str> = blueprint.roles.iter().map(|role| role.name.as_str()).collect();
        for (index, role) in roles.iter().enumerate() {
            self.known("role", role, &names, &format!("{at}/{index}"));
        }
    }

    /// Tells names that stand twice.
    fn distinct<'n>(&mut self, what: &str, at: &str, names: impl Iterator<Item = &'n str>, key: &str) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, name) in names.enumerate() {
            if name.is_empty() {
                continue;
            }
            if let Some(first) = seen.insert(name, index) {
                let line = self.root.nearest(&format!("{at}/{first}/{key}")).span.line;
                let message = format!("the {what} `{name}` stands here twice, first on line {line}");
                self.mistake(&format!("{at}/{index}/{key}"), message, "remove or rename one of them");
            }
        }
    }

    /// Tells a text that would break the line it is put on.
    fn one_line(&mut self, text: &str, at: &str) {
        if text.chars().any(char::is_control) {
            self.mistake(at, "this text has more than one line".to_owned(), "write it on one line");
        }
    }

    fn mistake(&mut self, at: &str, message: String, help: &str) {
        let span = self.root.nearest(at).span;
        self.mistakes.push(Mistake::new(span, message).with_help(help));
    }
}
