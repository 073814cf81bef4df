//! Values of samples, examples and defaults: they fit their fields and name what there is.

use super::Check;
use crate::blueprint::model::{Entity, Field, FieldKind, Row};

impl Check<'_> {
    pub(super) fn samples(&mut self) {
        let blueprint = self.blueprint;
        self.tenants();
        let entities: Vec<&str> = blueprint.entities.iter().map(|entity| entity.name.as_str()).collect();
        for sample in &blueprint.sample.rows {
            let at = format!("/sample/rows/{}", sample.entity);
            self.known("entity", &sample.entity, &entities, &at);
            let Some(entity) = blueprint.entity(&sample.entity) else {
                continue;
            };
            for (index, row) in sample.rows.iter().enumerate() {
                self.row(entity, row, &format!("{at}/{index}"), Some(index));
                self.complete(entity, row, &format!("{at}/{index}"));
            }
        }
        for entity in &blueprint.entities {
            if !entity.name.is_empty() && blueprint.rows(&entity.name).is_empty() {
                let message = format!("there is no sample row of `{}`", entity.name);
                self.mistake("/sample/rows", message, "add one: tests and demo tenants begin with it");
            }
        }
    }

    fn tenants(&mut self) {
        let blueprint = self.blueprint;
        let editions: Vec<&str> = blueprint.editions.iter().map(|edition| edition.name.as_str()).collect();
        let tenants = &blueprint.sample.tenants;
        for (index, tenant) in tenants.iter().enumerate() {
            let at = format!("/sample/tenants/{index}");
            self.known("edition", &tenant.edition, &editions, &format!("{at}/edition"));
            for (text, key) in [(&tenant.name, "name"), (&tenant.person, "person")] {
                self.one_line(text, &format!("{at}/{key}"));
            }
            let (name, host) = tenant.email.split_once('@').unwrap_or_default();
            if !tenant.email.is_empty() && (name.is_empty() || !host.contains('.')) {
                let message = format!("`{}` is not an email address", tenant.email);
                self.mistake(&format!("{at}/email"), message, "write one like `ada@example.com`");
            }
        }
        let emails = tenants.iter().map(|tenant| tenant.email.as_str());
        self.distinct("email", "/sample/tenants", emails, "email");
        if tenants.len() == 1 {
            let message = "there is one sample tenant".to_owned();
            self.mistake(
                "/sample/tenants",
                message,
                "add a second: that tenants do not see each other is shown with two",
            );
        }
    }

    /// Every value of a row, by itself; `before` is the number of the row among the samples.
    pub(super) fn row(&mut self, entity: &Entity, row: &Row, at: &str, before: Option<usize>) {
        let mut names: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).collect();
        if entity.states.is_some() {
            names.push("state");
        }
        for (name, value) in row {
            let at = format!("{at}/{name}");
            self.known(&format!("field of `{}`", entity.name), name, &names, &at);
            match (entity.field(name), value) {
                (Some(field), Some(value)) => {
                    self.value(field, value, &at, before.map(|index| (entity.name.as_str(), index)));
                }
                (None, Some(value)) if name == "state" => {
                    self.known("state", value, &entity.state_names(), &at);
                }
                _ => {}
            }
        }
    }

    fn complete(&mut self, entity: &Entity, row: &Row, at: &str) {
        for field in entity.fields.iter().filter(|field| field.required) {
            let given = row.get(&field.name).is_some_and(Option::is_some);
            if !given && field.kind != FieldKind::Boolean {
                let message = format!("this row of `{}` has no `{}`, which is required", entity.name, field.name);
                self.mistake(at, message, &format!("add `{}: …`", field.name));
            }
        }
    }

    /// One value of a field; `place` is the sample row it stands in.
    pub(super) fn value(&mut self, field: &Field, value: &str, at: &str, place: Option<(&str, usize)>) {
        let refuse = match &field.kind {
            FieldKind::String | FieldKind::Text => {
                let len = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
                outside(field, len, " characters")
            }
            FieldKind::Integer => match value.parse() {
                Ok(number) => outside(field, number, ""),
                Err(_) => Some("is not a whole number".to_owned()),
            },
            FieldKind::Decimal => match hundredths(value) {
                Some(number) => outside(field, number.div_euclid(100), ""),
                None => Some("is not a number with two places, like `12.50` (in quotes)".to_owned()),
            },
            FieldKind::Boolean => (!matches!(value, "true" | "false")).then(|| "is not true or false".to_owned()),
            FieldKind::Date => (!is_date(value))
                .then(|| "is not a date: write `2026-01-31`, or one relative to today, like `+3d`".to_owned()),
            FieldKind::Datetime => (!is_datetime(value))
                .then(|| "is not a date with time: write `2026-01-31T14:00` or `+3d 14:00`".to_owned()),
            FieldKind::Enum { values } => {
                let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
                (!names.contains(&value)).then(|| format!("is none of: {}", names.join(", ")))
            }
            FieldKind::Member => (value != "@me").then(|| "is not `@me`, whoever signed up".to_owned()),
            FieldKind::Reference { to } => self.reference(to, value, place),
        };
        if let Some(refusal) = refuse {
            self.mistake(at, format!("`{value}` does not fit `{}`", field.name), &format!("it {refusal}"));
        }
    }

    fn reference(&self, to: &str, value: &str, place: Option<(&str, usize)>) -> Option<String> {
        let named = value.strip_prefix('@').and_then(|rest| rest.split_once(':'));
        let Some((entity, number)) = named.filter(|(entity, _)| *entity == to) else {
            return Some(format!("is not `@{to}:N`, the N-th sample row of `{to}`, from 0"));
        };
        let Ok(number) = number.parse::<usize>() else {
            return Some("does not end in the number of a row".to_owned());
        };
        let rows = self.blueprint.rows(entity).len();
        if number >= rows {
            return Some(format!("names row {number} of `{entity}`, which has {rows}, counted from 0"));
        }
        let itself = place.filter(|(owner, index)| *owner == entity && number >= *index);
        itself.map(|_| "names a row that comes later; swap the rows".to_owned())
    }
}

fn outside(field: &Field, number: i64, unit: &str) -> Option<String> {
    match (field.min, field.max) {
        (Some(min), _) if number < min => Some(format!("is less than {min}{unit}")),
        (_, Some(max)) if number > max => Some(format!("is more than {max}{unit}")),
        _ => None,
    }
}

/// A number with at most two places, in hundredths.
pub(in crate::blueprint) fn hundredths(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !numeric(whole) || !numeric(part) || part.len() > 2 {
        return None;
    }
    let hundredths = whole.parse::<i64>().ok()?.checked_mul(100)?;
    let value = hundredths.checked_add(format!("{part:0<2}").parse().ok()?)?;
    Some(if digits.len() < text.len() { -value } else { value })
}

fn is_date(text: &str) -> bool {
    relative(text) || absolute(text)
}

fn is_datetime(text: &str) -> bool {
    if let Some((date, time)) = text.split_once([' ', 'T']) {
        let day = if text.contains('T') { absolute(date) } else { relative(date) };
        return day && is_time(time);
    }
    text == "now"
}

fn relative(text: &str) -> bool {
    let days = text.strip_prefix(['+', '-']).and_then(|rest| rest.strip_suffix('d'));
    text == "today"
        || days.is_some_and(|days| !days.is_empty() && days.len() < 6 && days.bytes().all(|byte| byte.is_ascii_digit()))
}

fn absolute(text: &str) -> bool {
    let parts: Vec<Option<u32>> = text.split('-').map(|part| part.parse().ok()).collect();
    let [Some(_), Some(month), Some(day)] = parts.as_slice() else {
        return false;
    };
    text.len() == 10 && (1..=12).contains(month) && (1..=31).contains(day)
}

fn is_time(text: &str) -> bool {
    let parts: Vec<Option<u32>> = text.split(':').map(|part| part.parse().ok()).collect();
    matches!(parts.as_slice(), [Some(hours), Some(minutes)] if text.len() == 5 && *hours < 24 && *minutes < 60)
}
