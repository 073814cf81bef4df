//! The tenant as a whole: its name, its data to take away, its end.

use maud::html;
use serde_json::{Value, json};

use crate::entity::Entity;
use crate::ui::{csrf, frame, input, records};
use crate::web::{Method, Reply, Request, Routes};
use crate::{Error, Mistakes, Scope, audit, control};

pub(super) fn routes(routes: &mut Routes) {
    routes.add(Method::Get, "/settings", "name, export and end of the tenant", settings);
    routes.add(Method::Post, "/settings/name", "give the tenant another name", rename);
    routes.add(Method::Get, "/settings/export", "everything of the tenant as JSON", export);
    routes.add(Method::Post, "/settings/delete", "end the tenant", delete);
}

/// Everything of the tenant.
pub(super) fn everything(request: &Request) -> Result<Value, Error> {
    let session = request.session()?;
    let people = control::people(&request.app.store.control(), &session.tenant.id)?;
    request.read(|scope| {
        scope.allow(&[scope.product.first_role()])?;
        let mut entities = serde_json::Map::new();
        for entity in scope.product.entities {
            entities.insert(entity.name.to_owned(), rows(scope, entity)?);
        }
        let log = audit::newest(scope, None, u32::MAX)?;
        Ok(json!({
            "product": scope.product.name,
            "exported_at": scope.now.rfc3339(),
            "tenant": {
                "name": session.tenant.name,
                "edition": session.tenant.edition,
                "created_at": session.tenant.created_at,
            },
            "people": people.iter().map(|person| json!({
                "id": person.id, "name": person.name, "email": person.email, "role": person.role,
            })).collect::<Vec<_>>(),
            "records": entities,
            "audit": log.iter().map(|entry| json!({
                "at": entry.at, "who": entry.who, "action": entry.action,
                "entity": entry.entity, "record": entry.record, "label": entry.label,
            })).collect::<Vec<_>>(),
        }))
    })
}

fn rows(scope: &Scope<'_>, entity: &'static Entity) -> Result<Value, Error> {
    let rows = records::all(scope, entity)?;
    let rows = rows.into_iter().map(|record| {
        let mut row = json!({
            "id": record.id, "created_at": record.created_at, "values": record.values,
        });
        if let (Some(state), Some(row)) = (record.state, row.as_object_mut()) {
            row.insert("state".to_owned(), Value::String(state));
        }
        row
    });
    Ok(rows.collect())
}

fn settings(request: &Request) -> Result<Reply, Error> {
    request.read(|scope| scope.allow(&[scope.product.first_role()]))?;
    page(request, &Mistakes::default())
}

fn rename(request: &Request) -> Result<Reply, Error> {
    let name = request.input.text("tenant");
    let renamed = request.write(|scope| {
        scope.allow(&[scope.product.first_role()])?;
        audit::write(scope, "renamed", "tenant", &scope.who.tenant, name)?;
        control::rename(&request.app.store.control(), &scope.who.tenant, name)
    });
    match renamed {
        Ok(()) => Ok(Reply::redirect("/settings?note=saved")),
        Err(Error::Invalid(mistakes)) => Ok(page(request, &mistakes)?.with_status(422)),
        Err(error) => Err(error),
    }
}

fn export(request: &Request) -> Result<Reply, Error> {
    let body = everything(request)?;
    let name = format!("{}-{}.json", request.product().name, request.now().date());
    let body = serde_json::to_vec_pretty(&body).map_err(|_| Error::Internal("the export"))?;
    Ok(Reply::download(&name, "application/json", body))
}

fn delete(request: &Request) -> Result<Reply, Error> {
    let session = request.session()?;
    request.read(|scope| scope.allow(&[scope.product.first_role()]))?;
    if request.input.text("confirm") != session.tenant.name {
        let message = format!("must be `{}`, letter by letter", session.tenant.name);
        return Ok(page(request, &Mistakes::field("confirm", message))?.with_status(422));
    }
    // The control file first: from then on nobody can log in, and the next start removes the file
    // should this process die before the next line.
    control::delete_tenant(&request.app.store.control(), &session.tenant.id)?;
    request.app.store.remove(&session.tenant.id)?;
    Ok(Reply::redirect("/").with_cookie("session", "", 0, request.app.https))
}

fn page(request: &Request, mistakes: &Mistakes) -> Result<Reply, Error> {
    let session = request.session()?;
    let noun = request.product().tenant_noun;
    let warning = format!("Type “{}” to confirm.", session.tenant.name);
    Ok(frame(
        request,
        "Settings",
        html! {
            div.head { div { h1 { "Settings" } p.lead { "Your " (noun) " as a whole." } } }
            section.card {
                h2 { "Name" }
                form.row method="post" action="/settings/name" novalidate {
                    (csrf(request))
                    (input("tenant", &format!("Name of your {noun}"), "text", &session.tenant.name, "", mistakes))
                    button type="submit" { "Save" }
                }
            }
            section.card {
                h2 { "Your data" }
                p { "Everything you have here, people and activity included, as one JSON file." }
                a.button href="/settings/export" download { "Export" }
            }
            section.card.danger {
                h2 { "Delete everything" }
                p { "All records, people and settings of your " (noun) " are removed at once and cannot be brought back." }
                form.row method="post" action="/settings/delete" novalidate {
                    (csrf(request))
                    (input("confirm", &warning, "text", "", "", mistakes))
                    button.bad type="submit" { "Delete for good" }
                }
            }
        },
    ))
}
