//! The JSON side of what every product has.

use serde_json::json;

use super::{data, entrance, people, plan};
use crate::control;
use crate::web::{Method, Reply, Request, Routes};
use crate::{Error, Person};

pub(super) fn routes(routes: &mut Routes) {
    routes.public(Method::Post, "/api/sign-up", "make a tenant and get a token", sign_up);
    routes.public(Method::Post, "/api/log-in", "get a token", log_in);
    routes.add(Method::Get, "/api/me", "who you are", me);
    routes.add(Method::Get, "/api/people", "the people of the tenant", list);
    routes.add(Method::Post, "/api/people/invite", "invite somebody", invite);
    routes.add(Method::Post, "/api/plan", "change the plan", change);
    routes.add(Method::Get, "/api/export", "everything of the tenant", export);
}

fn sign_up(request: &Request) -> Result<Reply, Error> {
    let person = entrance::make_tenant(request)?;
    Ok(token(request, &person)?.with_status(201))
}

fn log_in(request: &Request) -> Result<Reply, Error> {
    let person = entrance::identify(request)?;
    token(request, &person)
}

fn token(request: &Request, person: &Person) -> Result<Reply, Error> {
    let label = request.input.get("label").unwrap_or("log-in by program");
    let db = request.app.store.control();
    let token = control::issue_token(&db, &person.id, label, request.now())?;
    Ok(Reply::json(&json!({"token": token, "person": person.id, "role": person.role})))
}

fn me(request: &Request) -> Result<Reply, Error> {
    let session = request.session()?;
    Ok(Reply::json(&json!({
        "person": session.person.id,
        "name": session.person.name,
        "email": session.person.email,
        "role": session.person.role,
        "tenant": session.tenant.name,
        "edition": session.tenant.edition,
    })))
}

fn list(request: &Request) -> Result<Reply, Error> {
    let tenant = &request.session()?.tenant.id;
    let people = control::people(&request.app.store.control(), tenant)?;
    let people = people.iter().map(|person| {
        json!({
            "id": person.id, "name": person.name, "email": person.email, "role": person.role,
        })
    });
    Ok(Reply::json(&json!({"items": people.collect::<Vec<_>>()})))
}

fn invite(request: &Request) -> Result<Reply, Error> {
    let link = people::invite_somebody(request)?;
    Ok(Reply::json(&json!({"link": link})).with_status(201))
}

fn change(request: &Request) -> Result<Reply, Error> {
    let edition = plan::change_plan(request)?;
    Ok(Reply::json(&json!({"edition": edition.name})))
}

fn export(request: &Request) -> Result<Reply, Error> {
    Ok(Reply::json(&data::everything(request)?))
}
