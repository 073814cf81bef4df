//! The frame around every page.

use maud::{DOCTYPE, Markup, html};

use super::parts::{csrf, note};
use crate::control::Session;
use crate::web::{Reply, Request};

/// A page for whoever is logged in: navigation, and the given content as main part.
pub fn frame(request: &Request, title: &str, main: Markup) -> Reply {
    let Some(session) = request.visitor() else {
        return public_frame(request, title, main);
    };
    let headers = serde_json::json!({"X-CSRF-Token": request.csrf()}).to_string();
    Reply::page(document(
        request,
        title,
        html! {
            body hx-headers=(headers) {
                a.skip href="#main" { "Skip to content" }
                div.shell {
                    (sidebar(request, session))
                    div.content {
                        (note(request))
                        main #main tabindex="-1" { (main) }
                    }
                }
            }
        },
    ))
}

/// A page for everyone.
pub fn public_frame(request: &Request, title: &str, main: Markup) -> Reply {
    let product = request.product();
    Reply::page(document(
        request,
        title,
        html! {
            body.public {
                a.skip href="#main" { "Skip to content" }
                header.top {
                    a.brand href="/" { (mark()) span { (product.title) } }
                    nav aria-label="Account" {
                        a href="/log-in" { "Log in" }
                        a.button.primary href="/sign-up" { "Sign up" }
                    }
                }
                main #main tabindex="-1" { (main) }
                footer { p { (product.title) " · each " (product.tenant_noun) "'s data in a file of its own" } }
            }
        },
    ))
}

fn document(request: &Request, title: &str, body: Markup) -> Markup {
    let config = r#"{"includeIndicatorStyles":false,"allowEval":false,"selfRequestsOnly":true}"#;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(config);
                title { (title) " · " (request.product().title) }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/app.css";
                script src="/assets/htmx.min.js" defer {}
                script src="/assets/app.js" defer {}
            }
            (body)
        }
    }
}

fn sidebar(request: &Request, session: &Session) -> Markup {
    let product = request.product();
    let first = session.person.role == product.first_role();
    let role = product.role(&session.person.role);
    html! {
        header.side {
            a.brand href="/" { (mark()) span { (product.title) } }
            p.tenant title="You work here" { (session.tenant.name) }
            nav aria-label="Main" {
                (link(request, "/", "Overview"))
                @for entity in product.entities {
                    @if entity.permissions.read.contains(&session.person.role.as_str()) {
                        (link(request, &format!("/{}", entity.path), entity.plural))
                    }
                }
                p.nav-title { (product.tenant_noun) }
                (link(request, "/people", "People"))
                (link(request, "/plan", "Plan"))
                (link(request, "/activity", "Activity"))
                @if first {
                    (link(request, "/settings", "Settings"))
                }
            }
            div.who {
                a href="/account" title="Your account" {
                    span.avatar aria-hidden="true" { (initials(&session.person.name)) }
                    span {
                        strong { (session.person.name) }
                        small { (role.map_or(session.person.role.as_str(), |role| role.title)) }
                    }
                }
                form method="post" action="/log-out" {
                    (csrf(request))
                    button.quiet type="submit" { "Log out" }
                }
            }
        }
    }
}

fn link(request: &Request, path: &str, label: &str) -> Markup {
    let here = if path == "/" {
        request.path == "/"
    } else {
        request.path == path || request.path.starts_with(&format!("{path}/"))
    };
    html! { a.nav href=(path) aria-current=[here.then_some("page")] { (label) } }
}

fn initials(name: &str) -> String {
    let words = name.split_whitespace().filter_map(|word| word.chars().next());
    words.take(2).flat_map(char::to_uppercase).collect()
}

fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" aria-hidden="true" {
            rect x="2" y="2" width="20" height="20" rx="6" {}
            path d="M8 12.5l3 3 5.5-7" {}
        }
    }
}
