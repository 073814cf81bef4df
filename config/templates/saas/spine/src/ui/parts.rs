//! Small parts that several pages share.

use maud::{Markup, html};

use super::records;
use crate::entity::{Choice, Field, Kind};
use crate::form::CSRF;
use crate::web::Request;
use crate::{Error, Mistakes, Scope};

/// The hidden field that proves a form is ours.
pub fn csrf(request: &Request) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(request.csrf()); }
}

/// A value or state as a coloured word.
pub fn badge(choice: &Choice) -> Markup {
    html! { span class={ "badge " (choice.tone) } { (choice.title) } }
}

/// What stands where a list has nothing to show.
pub fn empty(title: &str, hint: &str, action: Option<(&str, &str)>) -> Markup {
    html! {
        div.empty {
            svg viewBox="0 0 48 48" aria-hidden="true" {
                rect x="7" y="11" width="34" height="26" rx="4" {}
                path d="M7 20h34M15 28h12" {}
            }
            h2 { (title) }
            p { (hint) }
            @if let Some((path, label)) = action {
                a.button.primary href=(path) { (label) }
            }
        }
    }
}

/// How much of a plan is used.
pub fn meter(label: &str, used: u32, most: Option<u32>) -> Markup {
    let share = most.map_or(0, |most| (u64::from(used) * 100 / u64::from(most.max(1))).min(100));
    let tone = match share {
        90.. => "bad",
        70.. => "warn",
        _ => "good",
    };
    html! {
        div.meter {
            div.meter-head {
                span { (label) }
                span.meter-count {
                    (used)
                    @match most {
                        Some(most) => { " of " (most) },
                        None => { " · no limit" },
                    }
                }
            }
            @if let Some(most) = most {
                progress class=(tone) max=(most) value=(used.min(most)) aria-label=(label) {
                    (share) "%"
                }
            }
        }
    }
}

/// What was wrong with an input, tied to it by its id.
pub fn field_error(name: &str, mistakes: &Mistakes) -> Markup {
    html! {
        @if let Some(message) = mistakes.fields.get(name) {
            p.error id={ (name) "-error" } { (message) }
        }
    }
}

/// A labelled input of a plain page; `kind` is that of HTML.
pub fn input(name: &str, label: &str, kind: &str, value: &str, hint: &str, mistakes: &Mistakes) -> Markup {
    let wrong = mistakes.fields.contains_key(name);
    let complete = match (name, kind) {
        ("email", _) => "username",
        ("password", "password") => "current-password",
        ("new-password", _) => "new-password",
        ("name", _) => "name",
        ("tenant", _) => "organization",
        _ => "off",
    };
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(if name == "new-password" { "password" } else { name })
                type=(kind) value=(value) required autocomplete=(complete)
                aria-invalid=[wrong.then_some("true")]
                aria-describedby={ (name) "-hint " (name) "-error" };
            @if !hint.is_empty() {
                p.hint id={ (name) "-hint" } { (hint) }
            }
            (field_error(if name == "new-password" { "password" } else { name }, mistakes))
        }
    }
}

/// A word about what has just been done, taken from the address.
pub fn note(request: &Request) -> Markup {
    let text = match request.query("note") {
        "created" => "Created.",
        "saved" => "Saved.",
        "deleted" => "Deleted.",
        "moved" => "Done: the state has changed.",
        "welcome" => "Welcome! Everything is ready.",
        "upgraded" => "The plan has changed.",
        "removed" => "Removed.",
        _ => "",
    };
    html! {
        div #status role="status" aria-live="polite" {
            @if !text.is_empty() {
                p.note { (text) }
            }
        }
    }
}

/// A moment as people read it: `31 Jan 2026, 14:00`.
pub fn when(text: &str) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return text.to_owned();
    };
    let index = month.parse::<usize>().unwrap_or(0).wrapping_sub(1);
    let Some(month) = MONTHS.get(index) else {
        return text.to_owned();
    };
    let day = day.trim_start_matches('0');
    match time.get(..5) {
        Some(time) => format!("{day} {month} {year}, {time}"),
        None => format!("{day} {month} {year}"),
    }
}

/// A value as people read it.
pub fn shown(scope: &Scope<'_>, field: &Field, value: Option<&str>) -> Result<Markup, Error> {
    let Some(value) = value else {
        return Ok(html! { span.none { "–" } });
    };
    Ok(match field.kind {
        Kind::String | Kind::Integer | Kind::Decimal => html! { (value) },
        Kind::Text => html! { span.text { (value) } },
        Kind::Boolean => html! { (if value == "true" { "Yes" } else { "No" }) },
        Kind::Date | Kind::DateTime => html! { time datetime=(value) { (when(value)) } },
        Kind::Member => html! { (scope.member_name(value)) },
        Kind::Enum(choices) => match choices.iter().find(|choice| choice.name == value) {
            Some(choice) => badge(choice),
            None => html! { (value) },
        },
        Kind::Reference(entity) => {
            let label = records::label(scope, entity, value)?;
            let label = label.unwrap_or_else(|| value.to_owned());
            let path = scope.product.entity(entity).map_or("", |entity| entity.path);
            html! { a href={ "/" (path) "/" (value) } { (label) } }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::when;

    #[test]
    fn moments_are_written_for_people() {
        for (text, written) in [
            ("2026-01-31", "31 Jan 2026"),
            ("2026-12-05T09:30", "5 Dec 2026, 09:30"),
            ("2026-12-05T09:30:12Z", "5 Dec 2026, 09:30"),
            ("soon", "soon"),
        ] {
            assert_eq!(when(text), written);
        }
    }
}
