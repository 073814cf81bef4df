//! One record: its values, what may be done with it, what belongs to it, what has happened to it.

use maud::{Markup, html};

use super::frame::frame;
use super::parts::{badge, csrf, shown, when};
use super::records::{self, Plain};
use crate::audit;
use crate::entity::{Entity, Field, Kind, Record};
use crate::web::{Reply, Request};
use crate::{Error, Mistakes, Scope};

/// The page of a record; mistakes are those of a transition that was refused.
pub fn detail<T: Record>(
    request: &Request,
    scope: &Scope<'_>,
    record: &T,
    mistakes: &Mistakes,
) -> Result<Reply, Error> {
    let entity = record.entity();
    let label = record.label();
    let path = format!("/{}/{}", entity.path, record.id());
    let state = record.state().and_then(|state| entity.state(state));
    let facts = facts(scope, record)?;
    let related = related(scope, entity, record.id())?;
    let history = history(scope, record.id())?;
    let page = frame(
        request,
        &label,
        html! {
            nav.crumbs aria-label="Where you are" { a href={ "/" (entity.path) } { (entity.plural) } }
            div.head {
                div.title { h1 { (label) } @if let Some(state) = state { (badge(state)) } }
                @if scope.may(entity.permissions.update) {
                    a.button href={ (path) "/edit" } { "Edit" }
                }
            }
            (refused(mistakes))
            (moves(request, scope, record, &path))
            div.columns {
                div { (facts) (related) }
                aside {
                    (history)
                    @if scope.may(entity.permissions.delete) {
                        (removal(request, entity, &path))
                    }
                }
            }
        },
    );
    Ok(if mistakes.is_empty() { page } else { page.with_status(422) })
}

fn refused(mistakes: &Mistakes) -> Markup {
    html! {
        @if !mistakes.is_empty() {
            div.alert role="alert" {
                @for (name, message) in &mistakes.fields { p { strong { (name) } " " (message) } }
                @for rule in &mistakes.rules { p { (rule) } }
            }
        }
    }
}

/// A button for each transition that is open to who looks.
fn moves<T: Record>(request: &Request, scope: &Scope<'_>, record: &T, path: &str) -> Markup {
    let state = record.state().unwrap_or_default();
    let open = record.entity().transitions.iter();
    let open: Vec<_> =
        open.filter(|transition| transition.from.contains(&state) && scope.may(transition.roles)).collect();
    html! {
        @if !open.is_empty() {
            div.moves role="group" aria-label="What can be done now" {
                @for transition in open {
                    @let action = format!("{path}/{}", transition.name);
                    form method="post" action=(action) hx-post=(action) hx-target="#main"
                        hx-select="#main" hx-swap="outerHTML show:none" hx-select-oob="#status" {
                        (csrf(request))
                        button type="submit" { (transition.title) }
                    }
                }
            }
        }
    }
}

fn facts<T: Record>(scope: &Scope<'_>, record: &T) -> Result<Markup, Error> {
    let values = record.values();
    let mut lines = Vec::new();
    let fields = record.entity().fields.iter();
    for field in fields.filter(|field| field.name != record.entity().label) {
        let value = values.get(field.name).cloned().flatten();
        let wide = matches!(field.kind, Kind::Text);
        let shown = shown(scope, field, value.as_deref())?;
        lines.push(html! { div.wide[wide] { dt { (field.title) } dd { (shown) } } });
    }
    Ok(html! { section.card aria-label="Details" { dl.facts { @for line in &lines { (line) } } } })
}

/// The records of other entities that name this one.
fn related(scope: &Scope<'_>, entity: &Entity, id: &str) -> Result<Markup, Error> {
    let mut sections = Vec::new();
    for other in scope.product.entities {
        for field in other.fields {
            let ours = matches!(field.kind, Kind::Reference(to) if to == entity.name);
            if ours && scope.may(other.permissions.read) {
                let found = records::referring(scope, other, field.name, id)?;
                sections.push(section(scope, other, field, id, &found)?);
            }
        }
    }
    Ok(html! { @for section in &sections { (section) } })
}

fn section(scope: &Scope<'_>, other: &'static Entity, by: &Field, id: &str, found: &[Plain]) -> Result<Markup, Error> {
    let mut items = Vec::new();
    for record in found {
        items.push(item(scope, other, by, record)?);
    }
    let new = format!("/{}/new?{}={id}", other.path, by.name);
    Ok(html! {
        section.card.related {
            div.card-head {
                h2 { (other.plural) " " span.count { (found.len()) } }
                @if scope.may(other.permissions.create) {
                    a href=(new) { "Add " (other.title.to_lowercase()) }
                }
            }
            @if items.is_empty() { p.none { "None yet." } }
            @else { ul { @for item in &items { (item) } } }
        }
    })
}

fn item(scope: &Scope<'_>, other: &'static Entity, by: &Field, record: &Plain) -> Result<Markup, Error> {
    let label = record.values.get(other.label).cloned().flatten();
    let others = other.fields.iter();
    let others = others.filter(|field| field.name != other.label && field.name != by.name);
    let (mut rest, mut said) = (Vec::new(), None);
    for field in others {
        let Some(value) = record.values.get(field.name).and_then(Option::as_deref) else {
            continue;
        };
        match field.kind {
            Kind::Text => said = said.or(Some(value)),
            Kind::Boolean if value == "true" => rest.push(html! { (field.title) }),
            Kind::Boolean => {}
            Kind::Integer | Kind::Decimal => rest.push(html! { (field.title) ": " (value) }),
            _ => rest.push(shown(scope, field, Some(value))?),
        }
    }
    rest.truncate(3);
    let state = record.state.as_deref().and_then(|state| other.state(state));
    Ok(html! {
        li {
            a href={ "/" (other.path) "/" (record.id) } { (label.unwrap_or_else(|| record.id.clone())) }
            span.rest { @for value in &rest { span { (value) } } }
            @if let Some(state) = state { (badge(state)) }
            @if let Some(said) = said { p.said { (said) } }
        }
    })
}

fn history(scope: &Scope<'_>, id: &str) -> Result<Markup, Error> {
    let entries = audit::newest(scope, Some(id), 20)?;
    Ok(html! {
        section.card {
            h2 { "History" }
            @if entries.is_empty() { p.none { "Nothing has been recorded." } }
            ol.history {
                @for entry in &entries {
                    li {
                        span { strong { (entry.who) } " " (entry.action) }
                        time datetime=(entry.at) { (when(&entry.at)) }
                    }
                }
            }
        }
    })
}

fn removal(request: &Request, entity: &Entity, path: &str) -> Markup {
    let action = format!("{path}/delete");
    html! {
        details.danger {
            summary { "Delete this " (entity.title.to_lowercase()) }
            p { "It cannot be brought back." }
            form method="post" action=(action) {
                (csrf(request))
                button.bad type="submit" { "Delete for good" }
            }
        }
    }
}
