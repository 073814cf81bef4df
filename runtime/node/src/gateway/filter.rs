//! Filters: restrictions joined by `AND`, such as `state = FAILED AND create_time > "2026-01-31T00:00:00Z"`.
//!
//! **Source**: AIP-160, as much of it as lists need. `OR`, `NOT` and brackets are refused by name.

use mesh_kernel::envelope::{Refusal, Timestamp};
use mesh_proto::v1::{ApprovalState, RunState, TaskState, TenantState};

use super::{
    lists::{ApprovalFilter, RunFilter, Span, TaskFilter, TenantFilter},
    status::refused_field,
};

/// Bytes that a filter may take.
const FILTER_BYTES_MAX: usize = 2_000;

/// Which runs a list shows.
///
/// # Errors
/// Says what is wrong and which fields there are.
pub(super) fn runs(text: &str) -> Result<RunFilter, Refusal> {
    let mut filter = RunFilter::default();
    for term in parse(text)? {
        match term.field {
            "state" => filter.states.push(term.state("RUN_STATE_", RunState::from_str_name)?),
            "definition" => filter.definition = Some(term.equal()?),
            "project_id" => filter.project_id = Some(term.equal()?),
            "create_time" => term.narrow(&mut filter.created)?,
            "end_time" => term.narrow(&mut filter.ended)?,
            _ => return Err(term.unknown("state, definition, project_id, create_time, end_time")),
        }
    }
    Ok(filter)
}

/// Which approvals a list shows.
///
/// # Errors
/// As [`runs`].
pub(super) fn approvals(text: &str) -> Result<ApprovalFilter, Refusal> {
    let mut filter = ApprovalFilter::default();
    for term in parse(text)? {
        match term.field {
            "state" => filter.states.push(term.state("APPROVAL_STATE_", ApprovalState::from_str_name)?),
            "run_id" => filter.run_id = Some(term.equal()?),
            "create_time" => term.narrow(&mut filter.created)?,
            _ => return Err(term.unknown("state, run_id, create_time")),
        }
    }
    Ok(filter)
}

/// Which tasks a list shows.
///
/// # Errors
/// As [`runs`].
pub(super) fn tasks(text: &str) -> Result<TaskFilter, Refusal> {
    let mut filter = TaskFilter::default();
    for term in parse(text)? {
        match term.field {
            "state" => filter.states.push(term.state("TASK_STATE_", TaskState::from_str_name)?),
            "agent" => filter.agent = Some(term.equal()?),
            "run_id" => filter.run_id = Some(term.equal()?),
            "create_time" => term.narrow(&mut filter.created)?,
            _ => return Err(term.unknown("state, agent, run_id, create_time")),
        }
    }
    Ok(filter)
}

/// Which tenants a list shows.
///
/// # Errors
/// As [`runs`].
pub(super) fn tenants(text: &str) -> Result<TenantFilter, Refusal> {
    let mut filter = TenantFilter::default();
    for term in parse(text)? {
        match term.field {
            "state" => filter.states.push(term.state("TENANT_STATE_", TenantState::from_str_name)?),
            _ => return Err(term.unknown("state")),
        }
    }
    Ok(filter)
}

/// The one name that a list is narrowed to.
///
/// # Errors
/// As [`runs`].
pub(super) fn name(text: &str) -> Result<Option<String>, Refusal> {
    let mut name = None;
    for term in parse(text)? {
        match term.field {
            "name" => name = Some(term.equal()?),
            _ => return Err(term.unknown("name")),
        }
    }
    Ok(name)
}

#[derive(Debug, PartialEq, Eq)]
struct Term<'a> {
    field: &'a str,
    op: &'a str,
    value: String,
}

impl Term<'_> {
    fn equal(&self) -> Result<String, Refusal> {
        match self.op {
            "=" => Ok(self.value.clone()),
            op => Err(wrong(format!("`{}` can be compared with `=` alone, not with `{op}`", self.field))),
        }
    }

    fn state<T>(&self, prefix: &str, parse: fn(&str) -> Option<T>) -> Result<T, Refusal> {
        let word = self.equal()?.to_ascii_uppercase().replace('-', "_");
        let name = if word.starts_with(prefix) { word } else { format!("{prefix}{word}") };
        parse(&name)
            .filter(|_| !name.ends_with("_UNSPECIFIED"))
            .ok_or_else(|| wrong(format!("`{}` is no state: `{prefix}…` of the contract is expected", self.value)))
    }

    /// Narrows a span; `>` means later than the instant, in nanoseconds.
    fn narrow(&self, span: &mut Span) -> Result<(), Refusal> {
        let at: Timestamp = self.value.parse().map_err(|error| wrong(format!("`{}`: {error}", self.field)))?;
        let next = Timestamp::from_unix_nanos(at.unix_nanos().saturating_add(1));
        match self.op {
            ">=" => span.from = span.from.max(Some(at)),
            ">" => span.from = span.from.max(Some(next)),
            "<" => span.before = Some(span.before.map_or(at, |before| before.min(at))),
            "<=" => span.before = Some(span.before.map_or(next, |before| before.min(next))),
            op => {
                return Err(wrong(format!(
                    "`{}` can be compared with `<`, `<=`, `>`, `>=`, not with `{op}`",
                    self.field
                )));
            }
        }
        Ok(())
    }

    fn unknown(&self, fields: &str) -> Refusal {
        wrong(format!("there is no field `{}` to filter by: one of {fields} is expected", self.field))
    }
}

fn wrong(what: impl Into<String>) -> Refusal {
    refused_field("filter", what)
}

fn parse(text: &str) -> Result<Vec<Term<'_>>, Refusal> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(wrong(format!("at most {FILTER_BYTES_MAX} bytes are allowed")));
    }
    let mut terms = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (term, after) = term(rest)?;
        terms.push(term);
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
        rest = joined(rest)?;
    }
    Ok(terms)
}

fn joined(rest: &str) -> Result<&str, Refusal> {
    let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if word != "AND" {
        return Err(wrong(format!("restrictions are joined by `AND`, not by `{}`", short(word))));
    }
    let after = after.trim_start();
    if after.is_empty() {
        return Err(wrong("a restriction is missing after the last `AND`"));
    }
    Ok(after)
}

fn term(text: &str) -> Result<(Term<'_>, &str), Refusal> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (field, rest) = text.split_at(end);
    if field.is_empty() {
        return Err(wrong(format!("a field's name is expected at `{}`", short(text))));
    }
    let rest = rest.trim_start();
    let op = [">=", "<=", "=", ">", "<", "!=", ":"].into_iter().find(|op| rest.starts_with(op));
    let Some(op) = op else {
        return Err(wrong(format!("`=`, `<`, `<=`, `>` or `>=` is expected after `{}`", short(field))));
    };
    let rest = rest.get(op.len()..).unwrap_or_default().trim_start();
    let (value, rest) = value(rest).ok_or_else(|| wrong(format!("a value is expected after `{field} {op}`")))?;
    Ok((Term { field, op, value }, rest))
}

fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        return (!word.is_empty()).then(|| (word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restrictions_are_joined_by_and() {
        let filter =
            runs(r#"state = FAILED AND definition="a \"b\"" AND create_time >= 2026-01-01T00:00:00Z"#).unwrap();
        assert_eq!(filter.states, [RunState::Failed]);
        assert_eq!(filter.definition.as_deref(), Some("a \"b\""));
        assert_eq!(filter.created.from, Some("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(runs("  ").unwrap(), RunFilter::default());
    }

    #[test]
    fn a_state_is_taken_as_people_and_as_the_contract_spell_it() {
        for text in ["state=failed", "state = FAILED", "state = RUN_STATE_FAILED"] {
            assert_eq!(runs(text).unwrap().states, [RunState::Failed], "{text}");
        }
        assert_eq!(approvals("state=pending").unwrap().states, [ApprovalState::Pending]);
        assert_eq!(tenants("state=active").unwrap().states, [TenantState::Active]);
    }

    #[test]
    fn a_span_is_as_narrow_as_its_narrowest_bound() {
        let filter = runs(
            "end_time > 2026-01-02T00:00:00Z AND end_time >= 2026-01-01T00:00:00Z AND end_time < 2026-02-01T00:00:00Z",
        )
        .unwrap();
        assert!(filter.ended.from.unwrap() > "2026-01-02T00:00:00Z".parse().unwrap());
        assert_eq!(filter.ended.before, Some("2026-02-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_do() {
        for (text, expected) in [
            ("status = FAILED", "there is no field `status`"),
            ("state = LOST", "`LOST` is no state"),
            ("state = UNSPECIFIED", "is no state"),
            ("state > FAILED", "with `=` alone"),
            ("state = FAILED OR state = RUNNING", "joined by `AND`"),
            ("(state = FAILED)", "a field's name is expected"),
            ("state", "is expected after `state`"),
            ("state =", "a value is expected"),
            ("state = FAILED AND", "after the last `AND`"),
            ("definition = \"open", "a value is expected"),
            ("create_time > yesterday", "no instant"),
            ("create_time = 2026-01-01T00:00:00Z", "`<`, `<=`, `>`, `>=`"),
        ] {
            let refusal = runs(text).unwrap_err();
            assert!(refusal.message.contains(expected), "{text}: {}", refusal.message);
            assert_eq!(refusal.fields[0].field, "filter");
        }
        assert!(runs(&"a".repeat(3_000)).is_err());
    }
}
