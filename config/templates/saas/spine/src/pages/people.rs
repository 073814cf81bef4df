//! The people of a tenant: roles, invitations, removal.

use maud::{Markup, html};
use rusqlite::TransactionBehavior;

use crate::control::{self, Invitation};
use crate::ui::{csrf, field_error, frame};
use crate::web::{Method, Reply, Request, Routes};
use crate::{Error, Mistakes, Person, Scope, audit};

pub(super) fn routes(routes: &mut Routes) {
    routes.add(Method::Get, "/people", "the people of the tenant", people);
    routes.add(Method::Post, "/people/invite", "invite somebody", invite);
    routes.add(Method::Post, "/people/{id}/role", "give another role", role);
    routes.add(Method::Post, "/people/{id}/remove", "remove a person", remove);
    routes.add(Method::Post, "/people/invitations/{id}/withdraw", "take an invitation back", withdraw);
}

/// Invites somebody and returns the address of the link.
pub(super) fn invite_somebody(request: &Request) -> Result<String, Error> {
    let email = request.input.text("email");
    let role = request.input.text("role");
    request.write(|scope| {
        scope.allow(&[scope.product.first_role()])?;
        if scope.product.role(role).is_none() {
            let names: Vec<_> = scope.product.roles.iter().map(|role| role.name).collect();
            let message = format!("must be one of: {}", names.join(", "));
            return Err(Error::Invalid(Mistakes::field("role", message)));
        }
        let mut db = request.app.store.control();
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        room(scope, &control::invitations(&change, &scope.who.tenant, scope.now)?, email)?;
        let token = control::invite(&change, &scope.who.tenant, email, role, scope.now)?;
        audit::write(scope, "invited", "person", email, email)?;
        change.commit()?;
        Ok(request.absolute(&format!("/invitation/{token}")))
    })
}

/// Those who are here and those who are invited count alike.
fn room(scope: &Scope<'_>, invited: &[Invitation], email: &str) -> Result<(), Error> {
    let Some(most) = scope.edition.most("users") else {
        return Ok(());
    };
    let others = invited.iter().filter(|one| !one.email.eq_ignore_ascii_case(email.trim()));
    if scope.members.len() + others.count() < usize::try_from(most).unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(Error::LimitReached { what: "people".to_owned(), most, edition: scope.edition.title.to_owned() })
}

fn people(request: &Request) -> Result<Reply, Error> {
    page(request, None, &Mistakes::default())
}

fn invite(request: &Request) -> Result<Reply, Error> {
    match invite_somebody(request) {
        Ok(link) => page(request, Some(&link), &Mistakes::default()),
        Err(Error::Invalid(mistakes)) => Ok(page(request, None, &mistakes)?.with_status(422)),
        Err(error) => Err(error),
    }
}

fn role(request: &Request) -> Result<Reply, Error> {
    let role = request.input.text("role");
    change(request, "changed the role of", |scope, db| {
        if scope.product.role(role).is_none() {
            return Err(Error::BadRequest(format!("there is no role `{role}`")));
        }
        let first = scope.product.first_role();
        control::set_role(db, &scope.who.tenant, request.param("id"), role, first)
    })?;
    Ok(Reply::redirect("/people?note=saved"))
}

fn remove(request: &Request) -> Result<Reply, Error> {
    change(request, "removed", |scope, db| {
        control::remove(db, &scope.who.tenant, request.param("id"), scope.product.first_role())
    })?;
    Ok(Reply::redirect("/people?note=removed"))
}

fn withdraw(request: &Request) -> Result<Reply, Error> {
    request.write(|scope| {
        scope.allow(&[scope.product.first_role()])?;
        let db = request.app.store.control();
        control::withdraw(&db, &scope.who.tenant, request.param("id"))?;
        audit::write(scope, "withdrew an invitation", "person", request.param("id"), "")
    })?;
    Ok(Reply::redirect("/people?note=removed"))
}

fn change(
    request: &Request,
    action: &str,
    work: impl FnOnce(&Scope<'_>, &rusqlite::Transaction<'_>) -> Result<Person, Error>,
) -> Result<(), Error> {
    request.write(|scope| {
        scope.allow(&[scope.product.first_role()])?;
        if !scope.members.iter().any(|member| member.id == request.param("id")) {
            return Err(Error::NotFound);
        }
        let mut db = request.app.store.control();
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let person = work(scope, &change)?;
        audit::write(scope, action, "person", &person.id, &person.name)?;
        Ok(change.commit()?)
    })
}

fn page(request: &Request, link: Option<&str>, mistakes: &Mistakes) -> Result<Reply, Error> {
    let session = request.session()?;
    let (people, invited) = {
        let db = request.app.store.control();
        let people = control::people(&db, &session.tenant.id)?;
        (people, control::invitations(&db, &session.tenant.id, request.now())?)
    };
    let leads = session.person.role == request.product().first_role();
    Ok(frame(
        request,
        "People",
        html! {
            div.head { div { h1 { "People" } p.lead { "Who works in " (session.tenant.name) "." } } }
            @if let Some(link) = link { (link_panel(link)) }
            div.table tabindex="0" role="region" aria-label="People" { table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Email" } th scope="col" { "Role" } th scope="col" { span.hidden { "Actions" } } } }
                tbody { @for person in &people { (row(request, person, leads)) } }
            } }
            @if leads { (invitations(request, &invited)) (invitation(request, mistakes)) }
        },
    ))
}

fn link_panel(link: &str) -> Markup {
    html! {
        div.alert.good role="status" {
            p { strong { "Send this link to the one you invite." } " It works once, for seven days, and is not shown again." }
            label.hidden for="link" { "Invitation link" }
            input #link type="text" readonly value=(link);
        }
    }
}

fn row(request: &Request, person: &Person, leads: bool) -> Markup {
    let roles = request.product().roles;
    let me = request.visitor().is_some_and(|session| session.person.id == person.id);
    html! {
        tr {
            th scope="row" { (person.name) @if me { " " span.none { "(you)" } } }
            td { (person.email) }
            td {
                @if leads {
                    form.inline method="post" action={ "/people/" (person.id) "/role" } {
                        (csrf(request))
                        label.hidden for={ "role-" (person.id) } { "Role of " (person.name) }
                        select id={ "role-" (person.id) } name="role" {
                            @for role in roles {
                                option value=(role.name) selected[role.name == person.role] { (role.title) }
                            }
                        }
                        button.quiet type="submit" { "Set" }
                    }
                } @else {
                    (request.product().role(&person.role).map_or(person.role.as_str(), |role| role.title))
                }
            }
            td.end {
                @if leads && !me {
                    form method="post" action={ "/people/" (person.id) "/remove" } {
                        (csrf(request))
                        button.quiet type="submit" aria-label={ "Remove " (person.name) } { "Remove" }
                    }
                }
            }
        }
    }
}

fn invitations(request: &Request, invited: &[Invitation]) -> Markup {
    html! {
        @if !invited.is_empty() {
            section.card {
                h2 { "Invited" }
                ul.plain { @for one in invited { li {
                    span { (one.email) " as " (request.product().role(&one.role).map_or("", |role| role.title)) }
                    form method="post" action={ "/people/invitations/" (one.id) "/withdraw" } {
                        (csrf(request))
                        button.quiet type="submit" aria-label={ "Withdraw the invitation of " (one.email) } { "Withdraw" }
                    }
                } } }
            }
        }
    }
}

fn invitation(request: &Request, mistakes: &Mistakes) -> Markup {
    html! {
        section.card {
            h2 { "Invite somebody" }
            form.row method="post" action="/people/invite" novalidate {
                (csrf(request))
                div.field {
                    label for="email" { "Email" }
                    input #email type="email" name="email" value=(request.input.text("email")) autocomplete="off"
                        aria-invalid=[mistakes.fields.contains_key("email").then_some("true")] aria-describedby="email-error";
                    (field_error("email", mistakes))
                }
                div.field {
                    label for="role" { "Role" }
                    select #role name="role" aria-describedby="role-error" {
                        @for role in request.product().roles.iter().rev() {
                            option value=(role.name) { (role.title) " – " (role.description) }
                        }
                    }
                    (field_error("role", mistakes))
                }
                button.primary type="submit" { "Make a link" }
            }
        }
    }
}
