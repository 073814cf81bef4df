//! The audit log as a page.

use maud::html;

use crate::ui::{empty, frame, when};
use crate::web::{Reply, Request};
use crate::{Error, audit};

/// `GET /activity`.
pub(super) fn activity(request: &Request) -> Result<Reply, Error> {
    request.read(|scope| {
        let entries = audit::newest(scope, None, audit::PAGE_LEN)?;
        Ok(frame(
            request,
            "Activity",
            html! {
                div.head { div { h1 { "Activity" } p.lead { "Who did what when, newest first." } } }
                @if entries.is_empty() {
                    (empty("Nothing yet", "Each change will be listed here.", None))
                } @else {
                    div.table tabindex="0" role="region" aria-label="Activity" { table {
                        thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Which" } } }
                        tbody { @for entry in &entries { tr {
                            td { time datetime=(entry.at) { (when(&entry.at)) } }
                            td { (entry.who) }
                            td { (entry.action) " " (entry.entity) }
                            td {
                                @match scope.product.entity(&entry.entity) {
                                    Some(entity) if entry.action != "deleted" => { a href={ "/" (entity.path) "/" (entry.record) } { (entry.label) } },
                                    _ => { (entry.label) },
                                }
                            }
                        } } }
                    } }
                }
            },
        ))
    })
}
