//! The tenant's plan: what it allows, how much is used, and changing it.

use maud::{Markup, html};

use super::home::{offer, usage};
use crate::ui::{csrf, frame};
use crate::web::{Method, Reply, Request, Routes};
use crate::{Edition, Error, Mistakes, Scope, audit, control};

pub(super) fn routes(routes: &mut Routes) {
    routes.add(Method::Get, "/plan", "the plan and how much of it is used", plan);
    routes.add(Method::Post, "/plan", "change the plan", change);
}

/// Changes the plan, unless more is used than the new one allows.
pub(super) fn change_plan(request: &Request) -> Result<&'static Edition, Error> {
    let name = request.input.text("edition");
    request.write(|scope| {
        scope.allow(&[scope.product.first_role()])?;
        let known = scope.product.editions.iter().find(|edition| edition.name == name);
        let Some(edition) = known else {
            let names: Vec<_> = scope.product.editions.iter().map(|edition| edition.name).collect();
            let message = format!("must be one of: {}", names.join(", "));
            return Err(Error::Invalid(Mistakes::field("edition", message)));
        };
        fits(scope, edition)?;
        audit::write(scope, "changed the plan to", "plan", edition.name, edition.title)?;
        control::set_edition(&request.app.store.control(), &scope.who.tenant, edition.name)?;
        Ok(edition)
    })
}

fn fits(scope: &Scope<'_>, edition: &Edition) -> Result<(), Error> {
    let people = u32::try_from(scope.members.len()).unwrap_or(u32::MAX);
    let mut uses = vec![("people", people, edition.most("users"))];
    for entity in scope.product.entities {
        uses.push((entity.plural, scope.count(entity.name)?, edition.most(entity.name)));
    }
    for (what, used, most) in uses {
        if let Some(most) = most.filter(|most| used > *most) {
            return Err(Error::Conflict(format!(
                "you use {used} {}, and `{}` allows {most}; remove some first",
                what.to_lowercase(),
                edition.title
            )));
        }
    }
    Ok(())
}

fn change(request: &Request) -> Result<Reply, Error> {
    change_plan(request)?;
    Ok(Reply::redirect("/plan?note=upgraded"))
}

fn plan(request: &Request) -> Result<Reply, Error> {
    request.read(|scope| {
        let usage = usage(scope)?;
        Ok(frame(
            request,
            "Plan",
            html! {
                div.head { div { h1 { "Plan" } p.lead { "You have " strong { (scope.edition.title) } ". " (scope.edition.description) } } }
                section.card aria-label="How much is used" { (usage) }
                div.cards { @for edition in scope.product.editions { (choice(request, scope, edition)) } }
            },
        ))
    })
}

fn choice(request: &Request, scope: &Scope<'_>, edition: &Edition) -> Markup {
    let ours = edition.name == scope.edition.name;
    html! {
        div.choice.chosen[ours] {
            (offer(request, edition))
            @if ours {
                p.chosen-mark { "Your plan" }
            } @else if scope.may(&[scope.product.first_role()]) {
                form method="post" action="/plan" {
                    (csrf(request))
                    input type="hidden" name="edition" value=(edition.name);
                    button.primary.wide type="submit" { "Choose " (edition.title) }
                }
            }
        }
    }
}
