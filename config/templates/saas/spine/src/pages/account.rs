//! One's own account: password and API tokens.

use maud::{Markup, html};
use rusqlite::TransactionBehavior;

use crate::control::{self, ApiToken, PASSWORD_LEN_MIN};
use crate::ui::{csrf, frame, input, when};
use crate::web::{Method, Reply, Request, Routes};
use crate::{Error, Mistakes, secret};

pub(super) fn routes(routes: &mut Routes) {
    routes.add(Method::Get, "/account", "your account", account);
    routes.add(Method::Post, "/account/password", "change your password", password);
    routes.add(Method::Post, "/account/tokens", "issue an API token", issue);
    routes.add(Method::Post, "/account/tokens/{id}/revoke", "revoke an API token", revoke);
}

fn account(request: &Request) -> Result<Reply, Error> {
    page(request, None, &Mistakes::default())
}

fn password(request: &Request) -> Result<Reply, Error> {
    let session = request.session()?;
    let email = &session.person.email;
    let account = control::account(&request.app.store.control(), email)?.ok_or(Error::NotFound)?;
    let known = secret::verify_password(request.input.text("current"), Some(&account.password));
    if !known {
        let mistakes = Mistakes::field("current", "is not your password");
        return Ok(page(request, None, &mistakes)?.with_status(422));
    }
    let changed = {
        let mut db = request.app.store.control();
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let new = request.input.text("password");
        let changed = control::change_password(&change, &session.person.id, new, request.csrf());
        if changed.is_ok() {
            change.commit()?;
        }
        changed
    };
    match changed {
        Ok(()) => Ok(Reply::redirect("/account?note=saved")),
        Err(Error::Invalid(mistakes)) => Ok(page(request, None, &mistakes)?.with_status(422)),
        Err(error) => Err(error),
    }
}

fn issue(request: &Request) -> Result<Reply, Error> {
    let person = &request.session()?.person.id;
    let label = request.input.text("label");
    let issued = control::issue_token(&request.app.store.control(), person, label, request.now());
    match issued {
        Ok(token) => page(request, Some(&token), &Mistakes::default()),
        Err(Error::Invalid(mistakes)) => Ok(page(request, None, &mistakes)?.with_status(422)),
        Err(error) => Err(error),
    }
}

fn revoke(request: &Request) -> Result<Reply, Error> {
    let person = &request.session()?.person.id;
    control::revoke_token(&request.app.store.control(), person, request.param("id"))?;
    Ok(Reply::redirect("/account?note=removed"))
}

fn page(request: &Request, token: Option<&str>, mistakes: &Mistakes) -> Result<Reply, Error> {
    let session = request.session()?;
    let tokens = control::tokens(&request.app.store.control(), &session.person.id)?;
    let hint = format!("At least {PASSWORD_LEN_MIN} characters. Other browsers are logged out.");
    Ok(frame(
        request,
        "Account",
        html! {
            div.head { div { h1 { "Your account" } p.lead { (session.person.name) " · " (session.person.email) } } }
            div.columns.even {
                section.card {
                    h2 { "Password" }
                    form method="post" action="/account/password" novalidate {
                        (csrf(request))
                        (input("current", "Current password", "password", "", "", mistakes))
                        (input("new-password", "New password", "password", "", &hint, mistakes))
                        button type="submit" { "Change password" }
                    }
                }
                section.card {
                    h2 { "API tokens" }
                    p.hint { "A program that sends one acts as you. The API is described at " a href="/openapi.json" { "/openapi.json" } "." }
                    @if let Some(token) = token { (fresh(token)) }
                    (list(request, &tokens))
                    form.row method="post" action="/account/tokens" novalidate {
                        (csrf(request))
                        (input("label", "What it is for", "text", "", "", mistakes))
                        button type="submit" { "Issue a token" }
                    }
                }
            }
        },
    ))
}

fn fresh(token: &str) -> Markup {
    html! {
        div.alert.good role="status" {
            p { strong { "Copy it now." } " It is not shown again." }
            label.hidden for="token" { "API token" }
            input #token type="text" readonly value=(token);
        }
    }
}

fn list(request: &Request, tokens: &[ApiToken]) -> Markup {
    html! {
        ul.plain { @for token in tokens { li {
            span { (token.label) " " small { "since " (when(&token.created_at)) } }
            form method="post" action={ "/account/tokens/" (token.id) "/revoke" } {
                (csrf(request))
                button.quiet type="submit" aria-label={ "Revoke " (token.label) } { "Revoke" }
            }
        } } }
    }
}
