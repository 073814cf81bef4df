//! Coming in and going out: sign-up, log-in, invitations, log-out.

use maud::{Markup, html};
use rusqlite::TransactionBehavior;

use crate::control::{self, NewPerson, PASSWORD_LEN_MIN};
use crate::form::Input;
use crate::ui::{input, public_frame};
use crate::web::{Method, Reply, Request, Routes};
use crate::{Error, Mistakes, Person, secret};

const COOKIE: &str = "session";
const COOKIE_SECONDS: i64 = 14 * 86_400;

pub(super) fn routes(routes: &mut Routes) {
    routes.public(Method::Get, "/sign-up", "form of a new tenant", sign_up_page);
    routes.public(Method::Post, "/sign-up", "make a tenant", sign_up);
    routes.public(Method::Get, "/log-in", "form to log in", log_in_page);
    routes.public(Method::Post, "/log-in", "log in", log_in);
    routes.add(Method::Post, "/log-out", "log out", log_out);
    routes.public(Method::Get, "/invitation/{token}", "form of an invitation", invitation_page);
    routes.public(Method::Post, "/invitation/{token}", "take an invitation", accept);
}

/// Makes a tenant and its first person from what was sent.
pub(super) fn make_tenant(request: &Request) -> Result<Person, Error> {
    let product = request.product();
    let edition = product.editions.first().map_or("", |edition| edition.name);
    let mut db = request.app.store.control();
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let input = &request.input;
    let person = NewPerson {
        name: input.text("name"),
        email: input.text("email"),
        role: product.first_role(),
        password: input.text("password"),
    };
    let person = control::sign_up(&change, input.text("tenant"), edition, &person, request.now())?;
    change.commit()?;
    Ok(person)
}

/// Finds who logs in with what was sent.
pub(super) fn identify(request: &Request) -> Result<Person, Error> {
    let email = request.input.text("email");
    request.app.may_try(email)?;
    let account = control::account(&request.app.store.control(), email)?;
    // The hash is checked without the lock: it takes long by intention.
    let hash = account.as_ref().map(|account| account.password.as_str());
    let known = secret::verify_password(request.input.text("password"), hash);
    request.app.tried(email, known);
    match account {
        Some(account) if known => Ok(account.person),
        _ => {
            let sentence = "Email and password do not belong together; check both.".to_owned();
            Err(Error::Invalid(Mistakes { rules: vec![sentence], ..Mistakes::default() }))
        }
    }
}

fn sign_up_page(request: &Request) -> Result<Reply, Error> {
    Ok(sign_up_form(request, &request.input, &Mistakes::default()))
}

fn sign_up(request: &Request) -> Result<Reply, Error> {
    match make_tenant(request) {
        Ok(person) => enter(request, &person, "/?note=welcome"),
        Err(Error::Invalid(mistakes)) => Ok(sign_up_form(request, &request.input, &mistakes).with_status(422)),
        Err(error) => Err(error),
    }
}

fn log_in_page(request: &Request) -> Result<Reply, Error> {
    Ok(log_in_form(request, &Mistakes::default()))
}

fn log_in(request: &Request) -> Result<Reply, Error> {
    match identify(request) {
        Ok(person) => {
            let next = request.input.text("next");
            // Only a path of ours: `//host` and `/\host` would lead elsewhere.
            let ours = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
            enter(request, &person, if ours { next } else { "/" })
        }
        Err(Error::Invalid(mistakes)) => Ok(log_in_form(request, &mistakes).with_status(422)),
        Err(error) => Err(error),
    }
}

fn log_out(request: &Request) -> Result<Reply, Error> {
    if let Some(cookie) = request.cookie(COOKIE) {
        control::end_session(&request.app.store.control(), cookie)?;
    }
    Ok(Reply::redirect("/log-in").with_cookie(COOKIE, "", 0, request.app.https))
}

fn invitation_page(request: &Request) -> Result<Reply, Error> {
    invitation_form(request, &Mistakes::default())
}

fn accept(request: &Request) -> Result<Reply, Error> {
    let mut db = request.app.store.control();
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (name, password) = (request.input.text("name"), request.input.text("password"));
    let person = control::accept(&change, request.param("token"), name, password, request.now());
    match person {
        Ok(person) => {
            change.commit()?;
            drop(db);
            enter(request, &person, "/?note=welcome")
        }
        Err(Error::Invalid(mistakes)) => {
            drop(change);
            drop(db);
            Ok(invitation_form(request, &mistakes)?.with_status(422))
        }
        Err(error) => Err(error),
    }
}

/// Begins a session; an earlier one of this browser ends, so that a planted cookie is worth nothing.
fn enter(request: &Request, person: &Person, path: &str) -> Result<Reply, Error> {
    let db = request.app.store.control();
    if let Some(cookie) = request.cookie(COOKIE) {
        control::end_session(&db, cookie)?;
    }
    let cookie = control::start_session(&db, &person.id, request.now())?;
    Ok(Reply::redirect(path).with_cookie(COOKIE, &cookie, COOKIE_SECONDS, request.app.https))
}

fn sign_up_form(request: &Request, sent: &Input, mistakes: &Mistakes) -> Reply {
    let noun = request.product().tenant_noun;
    let hint = format!("At least {PASSWORD_LEN_MIN} characters; a sentence is easy to remember.");
    entrance(
        request,
        "Sign up",
        &format!("Make a place for your {noun}. You will be its first administrator."),
        html! {
            form method="post" action="/sign-up" novalidate {
                (input("tenant", &format!("Name of your {noun}"), "text", sent.text("tenant"), "", mistakes))
                (input("name", "Your name", "text", sent.text("name"), "", mistakes))
                (input("email", "Your email", "email", sent.text("email"), "", mistakes))
                (input("new-password", "Password", "password", "", &hint, mistakes))
                button.primary.wide type="submit" { "Sign up" }
            }
            p.aside { "Already here? " a href="/log-in" { "Log in" } }
        },
    )
}

fn log_in_form(request: &Request, mistakes: &Mistakes) -> Reply {
    let next = if request.method == "GET" { request.query("next") } else { request.input.text("next") };
    entrance(
        request,
        "Log in",
        "Welcome back.",
        html! {
            form method="post" action="/log-in" novalidate {
                @for rule in &mistakes.rules { p.alert role="alert" { (rule) } }
                input type="hidden" name="next" value=(next);
                (input("email", "Email", "email", request.input.text("email"), "", mistakes))
                (input("password", "Password", "password", "", "", mistakes))
                button.primary.wide type="submit" { "Log in" }
            }
            p.aside { "New here? " a href="/sign-up" { "Sign up" } }
        },
    )
}

fn invitation_form(request: &Request, mistakes: &Mistakes) -> Result<Reply, Error> {
    let token = request.param("token");
    let invitation = control::invited(&request.app.store.control(), token, request.now())?;
    let hint = format!("At least {PASSWORD_LEN_MIN} characters.");
    Ok(entrance(
        request,
        "Join",
        &format!("{} invites {} to join.", invitation.tenant_name, invitation.email),
        html! {
            form method="post" action={ "/invitation/" (token) } novalidate {
                (input("name", "Your name", "text", request.input.text("name"), "", mistakes))
                (input("new-password", "Password", "password", "", &hint, mistakes))
                button.primary.wide type="submit" { "Join " (invitation.tenant_name) }
            }
        },
    ))
}

fn entrance(request: &Request, title: &str, lead: &str, form: Markup) -> Reply {
    public_frame(request, title, html! { div.entrance { h1 { (title) } p.lead { (lead) } div.card { (form) } } })
}
