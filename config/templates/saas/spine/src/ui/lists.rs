//! The list of an entity's records: search, states, pages.

use maud::{Markup, html};

use super::frame::frame;
use super::parts::{badge, empty, shown};
use crate::entity::{Entity, Field, Kind, Record};
use crate::web::{Filter, Reply, Request};
use crate::{Error, Scope};

/// Most columns of a list.
const COLUMNS_MAX: usize = 5;

/// One page of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its records.
    pub records: Vec<T>,
    /// How many there are on all pages.
    pub total: u32,
}

/// The page that lists records.
pub fn list<T: Record>(
    request: &Request,
    scope: &Scope<'_>,
    entity: &'static Entity,
    page: &Page<T>,
) -> Result<Reply, Error> {
    let filter = request.filter();
    let new = scope.may(entity.permissions.create);
    let rows = rows(scope, entity, page, &filter)?;
    Ok(frame(
        request,
        entity.plural,
        html! {
            div.head {
                div { h1 { (entity.plural) } p.lead { (entity.description) } }
                @if new {
                    a.button.primary href={ "/" (entity.path) "/new" } { "New " (entity.title.to_lowercase()) }
                }
            }
            (tools(entity, &filter))
            (rows)
        },
    ))
}

fn tools(entity: &Entity, filter: &Filter) -> Markup {
    let path = format!("/{}", entity.path);
    html! {
        form.tools role="search" action=(path) method="get"
            hx-get=(path) hx-trigger="input delay:250ms, change, submit"
            hx-target="#rows" hx-select="#rows" hx-swap="outerHTML" hx-push-url="true" {
            div.search {
                label.hidden for="q" { "Search " (entity.plural.to_lowercase()) }
                input #q type="search" name="q" value=(filter.search)
                    placeholder={ "Search " (entity.plural.to_lowercase()) } autocomplete="off";
            }
            @if !entity.states.is_empty() {
                label.hidden for="state" { "State" }
                select #state name="state" {
                    option value="" { "Any state" }
                    @for state in entity.states {
                        option value=(state.name) selected[state.name == filter.state] { (state.title) }
                    }
                }
            }
            noscript { button type="submit" { "Search" } }
        }
    }
}

fn rows<T: Record>(
    scope: &Scope<'_>,
    entity: &'static Entity,
    page: &Page<T>,
    filter: &Filter,
) -> Result<Markup, Error> {
    let columns: Vec<&Field> = columns(entity);
    let mut lines = Vec::new();
    for record in &page.records {
        lines.push(line(scope, entity, &columns, record)?);
    }
    let new = format!("/{}/new", entity.path);
    let action = scope.may(entity.permissions.create).then_some((new.as_str(), "Add the first"));
    let searched = !filter.search.is_empty() || !filter.state.is_empty();
    Ok(html! {
        div #rows aria-live="polite" {
            @if lines.is_empty() && searched {
                (empty("Nothing matches", "Try other words, or look in any state.", None))
            } @else if lines.is_empty() {
                (empty(&format!("No {} yet", entity.plural.to_lowercase()), entity.description, action))
            } @else {
                div.table tabindex="0" role="region" aria-label=(entity.plural) {
                    table {
                        thead { tr {
                            @for field in &columns { th scope="col" { (field.title) } }
                            @if !entity.states.is_empty() { th scope="col" { "State" } }
                        } }
                        tbody { @for line in &lines { (line) } }
                    }
                }
                (pager(entity, filter, page.total))
            }
        }
    })
}

/// The label first, then the other short fields.
fn columns(entity: &'static Entity) -> Vec<&'static Field> {
    let label = entity.field(entity.label);
    let others = entity.fields.iter().filter(|field| field.name != entity.label && !matches!(field.kind, Kind::Text));
    label.into_iter().chain(others).take(COLUMNS_MAX).collect()
}

fn line<T: Record>(
    scope: &Scope<'_>,
    entity: &'static Entity,
    columns: &[&Field],
    record: &T,
) -> Result<Markup, Error> {
    let values = record.values();
    let mut cells = Vec::new();
    for field in columns {
        let value = values.get(field.name).cloned().flatten();
        cells.push(if field.name == entity.label {
            html! { th scope="row" { a href={ "/" (entity.path) "/" (record.id()) } { (record.label()) } } }
        } else {
            html! { td { (shown(scope, field, value.as_deref())?) } }
        });
    }
    let state = record.state().and_then(|state| entity.state(state));
    Ok(html! {
        tr {
            @for cell in &cells { (cell) }
            @if let Some(state) = state { td { (badge(state)) } }
        }
    })
}

fn pager(entity: &Entity, filter: &Filter, total: u32) -> Markup {
    let pages = total.div_ceil(Filter::PAGE_LEN).max(1);
    let address = |page: u32| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &filter.search);
        query.append_pair("state", &filter.state);
        query.append_pair("page", &page.to_string());
        format!("/{}?{}", entity.path, query.finish())
    };
    html! {
        nav.pager aria-label="Pages" {
            span { (total) " in all" }
            @if pages > 1 {
                span { "page " (filter.page + 1) " of " (pages) }
                @if filter.page > 0 { a href=(address(filter.page - 1)) rel="prev" { "Earlier" } }
                @if filter.page + 1 < pages { a href=(address(filter.page + 1)) rel="next" { "Later" } }
            }
        }
    }
}
