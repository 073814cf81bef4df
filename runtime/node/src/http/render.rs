//! Templates: HTML with everything escaped, from the views that the kernel answers.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use mesh_kernel::telemetry::{ActorInfo, ActorKind};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use super::Pages;

const TEMPLATES: &[(&str, &str)] = &[
    ("base.html", include_str!("pages/base.html")),
    ("runs.html", include_str!("pages/runs.html")),
    ("runs_body.html", include_str!("pages/runs_body.html")),
    ("run.html", include_str!("pages/run.html")),
    ("run_body.html", include_str!("pages/run_body.html")),
    ("tree.html", include_str!("pages/tree.html")),
    ("tree_body.html", include_str!("pages/tree_body.html")),
    ("log.html", include_str!("pages/log.html")),
    ("refused.html", include_str!("pages/refused.html")),
];

/// The environment with every template in it. A node that is paused says so on every page.
pub(super) fn environment(is_paused: bool) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.add_global("node_is_paused", is_paused);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.add_filter("clock", clock);
    environment.add_filter("took", took);
    for (name, source) in TEMPLATES {
        if let Err(error) = environment.add_template(name, source) {
            tracing::error!(template = name, %error, "a page's template is broken");
        }
    }
    environment
}

/// Renders a template to text.
pub(super) fn text(pages: &Pages, template: &str, context: Value) -> String {
    let rendered = pages.templates.get_template(template).and_then(|template| template.render(context));
    rendered.unwrap_or_else(|error| {
        tracing::error!(template, %error, "a page could not be rendered");
        "<p>This part could not be rendered; the node's log says why.</p>".to_owned()
    })
}

/// Renders a template as a page.
pub(super) fn page(pages: &Pages, template: &str, context: Value) -> Response {
    Html(text(pages, template, context)).into_response()
}

/// A page that says no.
pub(super) fn refused(pages: &Pages, status: StatusCode, title: &str, message: &str) -> Response {
    let body = text(pages, "refused.html", context! { title, message });
    (status, Html(body)).into_response()
}

/// `2026-01-31T09:30:12.5Z` as `09:30:12`: the day stands in the title of the element's `datetime`.
fn clock(at: &str) -> String {
    at.split('T').nth(1).and_then(|time| time.get(..8)).unwrap_or(at).to_owned()
}

/// How long a step took, from its `startedAt` and `endedAt`.
fn took(step: &Value) -> String {
    let at = |name: &str| -> Option<i64> {
        let value = step.get_attr(name).ok()?;
        let text = value.as_str()?.to_owned();
        Some(text.parse::<mesh_kernel::envelope::Timestamp>().ok()?.unix_nanos())
    };
    match (at("startedAt"), at("endedAt")) {
        (Some(start), Some(end)) => short(Duration::from_nanos(u64::try_from(end.saturating_sub(start)).unwrap_or(0))),
        _ => String::new(),
    }
}

/// A duration in the unit that fits.
pub(super) fn short(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        1_000_000..60_000_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} m {:02} s", duration.as_secs() / 60, duration.as_secs() % 60),
    }
}

/// One row of the actor tree.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    kind: &'static str,
    label: String,
    level: usize,
    state: &'static str,
    depth: usize,
    oldest: String,
    handled: u64,
    p50: String,
    p99: String,
    restarts: u32,
}

/// Rows of the tree, parents before their children.
pub(super) fn rows(actors: &[ActorInfo]) -> Vec<Row> {
    let mut rows = Vec::with_capacity(actors.len());
    let roots = actors
        .iter()
        .filter(|actor| actor.parent.as_ref().is_none_or(|parent| !actors.iter().any(|other| other.name == *parent)));
    for root in roots {
        descend(actors, root, 0, &mut rows);
    }
    rows
}

/// Deeper trees do not exist; the bound keeps a cycle from being followed.
const LEVELS_MAX: usize = 8;

fn descend(actors: &[ActorInfo], actor: &ActorInfo, level: usize, rows: &mut Vec<Row>) {
    rows.push(row(actor, level));
    if level < LEVELS_MAX {
        for child in actors.iter().filter(|child| child.parent.as_deref() == Some(actor.name.as_str())) {
            descend(actors, child, level + 1, rows);
        }
    }
}

fn row(actor: &ActorInfo, level: usize) -> Row {
    let kind = match actor.kind {
        ActorKind::Node => "node",
        ActorKind::Plane => "plane",
        ActorKind::Platform => "platform",
        ActorKind::Shard => "shard",
        ActorKind::Service => "service",
        ActorKind::Entity => "entity",
    };
    let some = |duration: Duration| if duration.is_zero() { String::new() } else { short(duration) };
    Row {
        kind,
        label: actor.name.clone(),
        level,
        state: actor.state.as_str(),
        depth: actor.depth,
        oldest: actor.oldest_age.map(some).unwrap_or_default(),
        handled: actor.handled,
        p50: some(actor.handle_p50),
        p99: some(actor.handle_p99),
        restarts: actor.restarts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        let environment = environment(false);
        for (name, _) in TEMPLATES {
            assert!(environment.get_template(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_run_is_shown_with_its_words_escaped() {
        let environment = environment(false);
        let run = serde_json::json!({
            "id": "run-1", "state": "Running", "definition": { "name": "<b>", "version": 1 },
            "steps": [{ "id": "build", "state": "Running", "attempts": 2, "startedAt": "2026-01-31T09:30:00Z" }],
        });
        let run = Value::from(minijinja::value::Serde(&run));
        let text = environment.get_template("run_body.html").unwrap().render(context! { run }).unwrap();
        assert!(text.contains("&lt;b&gt;") && !text.contains("<b>"), "{text}");
        assert!(text.contains("attempt 2"), "{text}");
    }

    #[test]
    fn a_paused_node_says_so_on_its_pages_and_another_does_not() {
        let page = |paused| environment(paused).get_template("base.html").unwrap().render(context! {}).unwrap();
        assert!(page(true).contains("mesh resume-node") && !page(false).contains("mesh resume-node"));
    }

    #[test]
    fn a_duration_reads_in_its_unit() {
        for (millis, text) in [(0, "0 µs"), (12, "12.0 ms"), (1_500, "1.5 s"), (61_000, "1 m 01 s")] {
            assert_eq!(short(Duration::from_millis(millis)), text);
        }
    }
}
