//! The first page: for visitors what this is, for members how things stand.

use maud::{Markup, html};

use crate::ui::{empty, frame, meter, public_frame, records, when};
use crate::web::{Reply, Request};
use crate::{Edition, Error, Scope, audit};

/// `GET /`.
pub(super) fn home(request: &Request) -> Result<Reply, Error> {
    if request.visitor().is_none() {
        return Ok(welcome(request));
    }
    request.read(|scope| {
        let mut cards = Vec::new();
        for entity in scope.product.entities {
            if scope.may(entity.permissions.read) {
                cards.push(card(scope, entity)?);
            }
        }
        let usage = usage(scope)?;
        let recent = recent(scope)?;
        Ok(frame(
            request,
            "Overview",
            html! {
                div.head { div {
                    h1 { "Hello, " (scope.who.name.split(' ').next().unwrap_or_default()) }
                    p.lead { (scope.product.description) }
                } }
                div.cards { @for card in &cards { (card) } }
                div.columns {
                    section.card { h2 { "Lately" } (recent) }
                    aside { section.card { div.card-head { h2 { "Plan: " (scope.edition.title) } a href="/plan" { "Plans" } } (usage) } }
                }
            },
        ))
    })
}

fn card(scope: &Scope<'_>, entity: &'static crate::entity::Entity) -> Result<Markup, Error> {
    let total = scope.count(entity.name)?;
    let counts = records::by_state(scope, entity)?;
    let states: Vec<_> = entity.states.iter().zip(counts).filter(|(_, count)| *count > 0).collect();
    Ok(html! {
        section.card.stat {
            a href={ "/" (entity.path) } { span { (entity.plural) } strong { (total) } }
            @if states.is_empty() {
                p { (entity.description) }
            } @else {
                div.bar aria-hidden="true" {
                    svg viewBox="0 0 100 4" preserveAspectRatio="none" {
                        @for (start, width, tone) in shares(&states, total) {
                            rect class=(tone) x=(start) y="0" width=(width) height="4" {}
                        }
                    }
                }
                ul.legend {
                    @for (state, count) in &states {
                        li { a href={ "/" (entity.path) "?state=" (state.name) } {
                            span class={ "dot " (state.tone) } aria-hidden="true" {}
                            (state.title) " " b { (count) }
                        } }
                    }
                }
            }
        }
    })
}

/// Where each part of the bar begins, how wide it is, and its colour.
fn shares<'a>(states: &[(&'a crate::entity::Choice, u32)], total: u32) -> Vec<(u32, u32, &'a str)> {
    let mut before = 0;
    let mut parts = Vec::new();
    for (state, count) in states {
        let start = before * 100 / total.max(1);
        before += count;
        parts.push((start, before * 100 / total.max(1) - start, state.tone));
    }
    parts
}

/// A meter for everything that the plan bounds.
pub(super) fn usage(scope: &Scope<'_>) -> Result<Markup, Error> {
    let people = u32::try_from(scope.members.len()).unwrap_or(u32::MAX);
    let mut meters = vec![meter("People", people, scope.edition.most("users"))];
    for entity in scope.product.entities {
        let bounded = scope.product.editions.iter().any(|edition| edition.most(entity.name).is_some());
        if bounded {
            let used = scope.count(entity.name)?;
            meters.push(meter(entity.plural, used, scope.edition.most(entity.name)));
        }
    }
    Ok(html! { @for meter in &meters { (meter) } })
}

fn recent(scope: &Scope<'_>) -> Result<Markup, Error> {
    let entries = audit::newest(scope, None, 8)?;
    Ok(html! {
        @if entries.is_empty() {
            (empty("A quiet start", "What you and others do here will be listed.", None))
        } @else {
            ol.history {
                @for entry in &entries {
                    li {
                        span { strong { (entry.who) } " " (entry.action) " " (entry.entity) " “" (entry.label) "”" }
                        time datetime=(entry.at) { (when(&entry.at)) }
                    }
                }
            }
        }
    })
}

fn welcome(request: &Request) -> Reply {
    let product = request.product();
    public_frame(
        request,
        "Welcome",
        html! {
            section.hero {
                h1 { (product.title) }
                p.lead { (product.description) }
                div.buttons {
                    a.button.primary.large href="/sign-up" { "Start with your " (product.tenant_noun) }
                    a.button.large href="/log-in" { "Log in" }
                }
            }
            section.kinds aria-label="What it keeps" {
                @for entity in product.entities {
                    div.card { h2 { (entity.plural) } p { (entity.description) } }
                }
            }
            section.plans aria-label="Plans" {
                h2 { "Plans" }
                div.cards { @for edition in product.editions { (offer(request, edition)) } }
            }
        },
    )
}

/// What a plan offers.
pub(super) fn offer(request: &Request, edition: &Edition) -> Markup {
    let product = request.product();
    html! {
        div.card.plan {
            h3 { (edition.title) }
            p.price { (edition.price) }
            p { (edition.description) }
            ul {
                @match edition.most("users") {
                    Some(most) => { li { (most) " people" } },
                    None => { li { "People without limit" } },
                }
                @for entity in product.entities {
                    @match edition.most(entity.name) {
                        Some(most) => { li { (most) " " (entity.plural.to_lowercase()) } },
                        None => { li { (entity.plural) " without limit" } },
                    }
                }
            }
        }
    }
}
