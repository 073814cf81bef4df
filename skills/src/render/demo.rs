//! The two log-ins that a product is tried with.

use serde_json::{Value, json};

use crate::blueprint::{Blueprint, smoke_requests};

/// The password of every demo account. It is no secret: it stands in the product's own
/// `demo.json`, and the accounts exist only where `--seed-demo` is asked for.
pub const DEMO_PASSWORD: &str = "try-it-out-2026";

/// The demo accounts of a product: tenant, person, address and password.
pub fn demo_accounts(blueprint: &Blueprint) -> Vec<Value> {
    let tenants = blueprint.sample.tenants.iter();
    let accounts = tenants.map(|tenant| {
        json!({
            "tenant": tenant.name,
            "person": tenant.person,
            "email": tenant.email,
            "password": DEMO_PASSWORD,
            "edition": tenant.edition,
        })
    });
    accounts.collect()
}

/// The product's `demo.json`.
pub(super) fn file(blueprint: &Blueprint) -> Vec<u8> {
    let smoke = smoke_requests(blueprint).into_iter().map(|request| {
        json!({
            "entity": request.entity,
            "method": "POST",
            "path": request.path,
            "body": request.body,
        })
    });
    let value = json!({
        "product": blueprint.name,
        "title": blueprint.title,
        "accounts": demo_accounts(blueprint),
        "smoke": smoke.collect::<Vec<_>>(),
    });
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into_bytes()
}
