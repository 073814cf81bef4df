//! Products: what their entities say of them, and their rows.

use mesh_proto::v1;
use serde_json::Value;

use crate::gateway::lists::ProductRow;

/// A product, of its entity's view and of its process's, when there is one.
pub(in crate::gateway) fn message(name: &str, product: &Value, workload: Option<&Value>) -> v1::Product {
    let text = |value: Option<&Value>, field: &str| {
        value.and_then(|value| value.get(field)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut url = text(workload, "url");
    if url.is_empty() {
        url = text(Some(product), "url");
    }
    let mut state = kebab(&text(workload, "state"));
    if state.is_empty() {
        state = kebab(&text(Some(product), "state"));
    }
    v1::Product {
        name: name.to_owned(),
        url,
        repository: text(Some(product), "repository"),
        commit: text(Some(product), "commit"),
        tests: product.get("tests").filter(|tests| !tests.is_null()).map(tests),
        logins: logins(product.get("logins")),
        state,
        blueprint_digest: text(Some(product), "blueprintDigest"),
        run_id: text(Some(product), "run"),
    }
}

/// The message of a row: a product without its log-ins.
pub(in crate::gateway) fn of_row(row: ProductRow) -> v1::Product {
    v1::Product {
        name: row.name,
        url: row.url,
        repository: row.repository,
        commit: row.commit,
        tests: Some(v1::ProductTests { passed: row.tests_passed, failed: row.tests_failed }),
        logins: Vec::new(),
        state: row.state,
        blueprint_digest: row.blueprint_digest,
        run_id: row.run_id,
    }
}

fn tests(tests: &Value) -> v1::ProductTests {
    let count = |field: &str| {
        tests.get(field).and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
    };
    v1::ProductTests { passed: count("passed"), failed: count("failed") }
}

/// The log-ins that a product shows, whichever of them it names.
fn logins(logins: Option<&Value>) -> Vec<v1::ProductLogin> {
    let login = |login: &Value| {
        let text = |field: &str| login.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        v1::ProductLogin {
            tenant: text("tenant"),
            email: text("email"),
            password: text("password"),
            role: text("role"),
        }
    };
    logins.and_then(Value::as_array).map(|all| all.iter().map(login).collect()).unwrap_or_default()
}

/// `CrashLooping` as `crash-looping`.
fn kebab(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    for (at, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && at > 0 {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_product_runs_as_its_process_does_and_not_as_it_did_when_it_was_delivered() {
        let product = json!({
            "state": "Serving", "url": "http://127.0.0.1:1", "repository": "/r", "commit": "c",
            "tests": {"passed": 12, "failed": 0},
            "logins": [{"tenant": "acme", "email": "a@acme.test", "password": "p", "role": "admin"}],
        });
        let workload = json!({ "state": "CrashLooping", "url": null });
        let shown = message("helpdesk", &product, Some(&workload));
        assert_eq!((shown.state.as_str(), shown.url.as_str()), ("crash-looping", "http://127.0.0.1:1"));
        assert_eq!(shown.tests.unwrap().passed, 12);
        assert_eq!(shown.logins[0].tenant, "acme");
        assert_eq!(message("helpdesk", &product, None).state, "serving");
    }
}
