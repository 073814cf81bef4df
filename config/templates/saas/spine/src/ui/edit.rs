//! The form of a record: labels, hints, and each mistake beside its input.

use maud::{Markup, html};

use super::frame::frame;
use super::parts::{csrf, field_error};
use super::records;
use crate::entity::{Entity, Field, Kind};
use crate::form::Input;
use crate::web::{Reply, Request};
use crate::{Error, Mistakes, Scope};

/// What a form shows.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The kind of record.
    pub entity: &'static Entity,
    /// The id of the record that is changed; `None` makes a new one.
    pub id: Option<&'a str>,
    /// What stands in the inputs.
    pub input: &'a Input,
    /// What is wrong with it.
    pub mistakes: &'a Mistakes,
}

/// The page with the form of a record.
pub fn edit(request: &Request, scope: &Scope<'_>, draft: &Draft<'_>) -> Result<Reply, Error> {
    let entity = draft.entity;
    let (title, action, back) = match draft.id {
        Some(id) => {
            let path = format!("/{}/{id}", entity.path);
            (format!("Edit {}", entity.title.to_lowercase()), path.clone(), path)
        }
        None => {
            let path = format!("/{}", entity.path);
            (format!("New {}", entity.title.to_lowercase()), path.clone(), path)
        }
    };
    let mut inputs = Vec::new();
    for field in entity.fields {
        inputs.push(labelled(scope, field, draft)?);
    }
    let page = frame(
        request,
        &title,
        html! {
            nav.crumbs aria-label="Where you are" { a href={ "/" (entity.path) } { (entity.plural) } }
            h1 { (title) }
            form.card.record method="post" action=(action) novalidate {
                (csrf(request))
                (summary(draft))
                @for input in &inputs { (input) }
                div.buttons {
                    button.primary type="submit" { (if draft.id.is_some() { "Save" } else { "Create" }) }
                    a.button.quiet href=(back) { "Cancel" }
                }
            }
        },
    );
    Ok(if draft.mistakes.is_empty() { page } else { page.with_status(422) })
}

fn summary(draft: &Draft<'_>) -> Markup {
    html! {
        @if !draft.mistakes.is_empty() {
            div.alert role="alert" {
                p { strong { "Please look at this again." } }
                @for rule in &draft.mistakes.rules { p { (rule) } }
                @for (name, message) in &draft.mistakes.fields {
                    @match draft.entity.field(name) {
                        Some(field) => p { a href={ "#" (field.name) } { (field.title) } ": " (message) },
                        None => p { (name) " " (message) },
                    }
                }
            }
        }
    }
}

fn labelled(scope: &Scope<'_>, field: &'static Field, draft: &Draft<'_>) -> Result<Markup, Error> {
    let control = control(scope, field, draft)?;
    let boolean = matches!(field.kind, Kind::Boolean);
    Ok(html! {
        div.field.check[boolean] {
            @if boolean { (control) }
            label for=(field.name) {
                (field.title)
                @if !field.required && !boolean { span.optional { "optional" } }
            }
            @if !boolean { (control) }
            @if !field.help.is_empty() {
                p.hint id={ (field.name) "-hint" } { (field.help) }
            }
            (field_error(field.name, draft.mistakes))
        }
    })
}

fn control(scope: &Scope<'_>, field: &'static Field, draft: &Draft<'_>) -> Result<Markup, Error> {
    let value = draft.input.text(field.name);
    let wrong = draft.mistakes.fields.contains_key(field.name).then_some("true");
    let about = format!("{0}-hint {0}-error", field.name);
    let plain = |kind: &str, step: Option<&str>| {
        let text = matches!(field.kind, Kind::String);
        let number = matches!(field.kind, Kind::Integer | Kind::Decimal);
        html! {
            input id=(field.name) name=(field.name) type=(kind) value=(value) required[field.required]
                step=[step] autocomplete="off" aria-invalid=[wrong] aria-describedby=(about)
                minlength=[field.min.filter(|_| text)] maxlength=[field.max.filter(|_| text)]
                min=[field.min.filter(|_| number)] max=[field.max.filter(|_| number)];
        }
    };
    Ok(match field.kind {
        Kind::String => plain("text", None),
        Kind::Integer => plain("number", Some("1")),
        Kind::Decimal => plain("number", Some("0.01")),
        Kind::Date => plain("date", None),
        Kind::DateTime => plain("datetime-local", None),
        Kind::Text => html! {
            textarea id=(field.name) name=(field.name) rows="5" required[field.required]
                maxlength=[field.max] aria-invalid=[wrong] aria-describedby=(about) { (value) }
        },
        Kind::Boolean => html! {
            input type="hidden" name=(field.name) value="false";
            input id=(field.name) name=(field.name) type="checkbox" value="true"
                checked[value == "true"] aria-describedby=(about);
        },
        Kind::Enum(choices) => {
            let options = choices.iter();
            let options = options.map(|choice| (choice.name.to_owned(), choice.title.to_owned()));
            select(field, value, wrong, &about, &options.collect::<Vec<_>>())
        }
        Kind::Reference(entity) => {
            let mut options = records::choices(scope, entity)?;
            // A list that is cut short must not lose what is chosen already.
            if !options.iter().any(|(id, _)| id == value)
                && let Some(label) = records::label(scope, entity, value)?
            {
                options.push((value.to_owned(), label));
            }
            select(field, value, wrong, &about, &options)
        }
        Kind::Member => {
            let options = scope.members.iter();
            let options = options.map(|member| (member.id.clone(), member.name.clone()));
            select(field, value, wrong, &about, &options.collect::<Vec<_>>())
        }
    })
}

fn select(field: &Field, value: &str, wrong: Option<&str>, about: &str, options: &[(String, String)]) -> Markup {
    html! {
        select id=(field.name) name=(field.name) required[field.required]
            aria-invalid=[wrong] aria-describedby=(about) {
            option value="" { (if field.required { "Choose…" } else { "None" }) }
            @for (id, label) in options {
                option value=(id) selected[id == value] { (label) }
            }
        }
    }
}
