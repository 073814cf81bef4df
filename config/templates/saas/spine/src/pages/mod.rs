//! The pages and programs' routes that every product has.

mod account;
mod activity;
mod api;
mod data;
mod entrance;
mod health;
mod home;
mod openapi;
mod people;
mod plan;

use maud::html;

use crate::Error;
use crate::ui::{frame, public_frame};
use crate::web::{Method, Reply, Request, Routes, asset, favicon};

/// Registers them.
pub(crate) fn routes(routes: &mut Routes) {
    routes.public(Method::Get, "/", "overview, or what this is", home::home);
    routes.public(Method::Get, "/assets/{name}", "a file of the product itself", asset);
    routes.public(Method::Get, "/favicon.ico", "the icon", favicon);
    routes.public(Method::Get, "/healthz", "whether the process lives", health::healthz);
    routes.public(Method::Get, "/readyz", "whether it can serve", health::readyz);
    routes.public(Method::Get, "/openapi.json", "this description", openapi::openapi);
    entrance::routes(routes);
    people::routes(routes);
    plan::routes(routes);
    account::routes(routes);
    data::routes(routes);
    api::routes(routes);
    routes.add(Method::Get, "/activity", "who did what when", activity::activity);
}

/// The page of an error.
pub(crate) fn error(request: &Request, error: &Error) -> Reply {
    let title = match error.status() {
        402 => "The plan is full",
        403 => "Not allowed",
        404 => "Not found",
        409 => "Not now",
        429 => "Please wait",
        500.. => "Something failed",
        _ => "Not understood",
    };
    let mut message = error.to_string();
    if let Some(first) = message.get(..1).map(str::to_uppercase) {
        message.replace_range(..1, &first);
    }
    let main = html! {
        div.problem {
            p.status { (error.status()) }
            h1 { (title) }
            p { (message) "." }
            @match error {
                Error::LimitReached { .. } => { a.button.primary href="/plan" { "See the plans" } },
                Error::LogInFirst => { a.button.primary href="/log-in" { "Log in" } },
                _ => { a.button href="/" { "Go to the overview" } },
            }
        }
    };
    let page =
        if request.visitor().is_some() { frame(request, title, main) } else { public_frame(request, title, main) };
    page.with_status(error.status())
}
