//! `product.smoke`: uses a running product as its first two customers would.
//!
//! Two fresh tenants sign up. One logs in and makes a record of each entity; the other must see
//! none of them. Both are deleted at the end, so nothing of it is left in the product.

use std::{
    collections::BTreeMap,
    fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use hyper::Method;
use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    blueprint_validate::FILE,
    workshop::{Workshop, io},
};
use crate::{
    blueprint::{self, SmokeRequest},
    contract::{Call, Effect, Failure, FailureClass, Manifest, Permission, Skill},
    product::http::{Answer, Ask},
};

#[derive(Deserialize)]
struct Input {
    product: String,
    commit: String,
    url: String,
}

pub(super) struct ProductSmoke {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl ProductSmoke {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "product.smoke",
            "Uses a running product over HTTP: sign up, log in, make one record of each entity and see it, and check \
             that a second tenant is refused every one of them. Leaves nothing behind.",
        )
        .takes(json!({
            "type": "object",
            "required": ["product", "commit", "url"],
            "additionalProperties": false,
            "properties": {
                "product": {"type": "string"},
                "commit": {"type": "string"},
                "url": {"type": "string"},
            },
        }))
        .gives(json!({
            "type": "object",
            "required": ["records", "refused", "requests"],
            "properties": {
                "records": {"type": "array", "items": {"type": "string"}, "description": "entities of which one was made"},
                "refused": {"type": "integer", "description": "records that the second tenant asked for in vain"},
                "requests": {"type": "integer"},
            },
        }))
        .effect(Effect::AtLeastOnce)
        .within(Duration::from_secs(120))
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Timeout])
        .needs(&[Permission::Files, Permission::Loopback])
        .example_in_a_run(
            "a running product",
            json!({"product": "helpdesk", "commit": "c0ffee", "url": "http://127.0.0.1:40001"}),
            json!({"records": ["customer", "ticket"], "refused": 2, "requests": 14}),
        );
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let layout = self.workshop.layout(&call, &input.product)?;
        let file = layout.release(&input.commit).join(FILE);
        let source = io(&file, fs::read_to_string(&file))?;
        let blueprint = blueprint::parse(&source, FILE).map_err(|mistakes| {
            let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
            Failure::validation("blueprint.invalid", first)
        })?;
        let requests = blueprint::smoke_requests(&blueprint);
        let mut user = User::new(&input.url, &call);
        call.unless_cancelled(user.use_it(&requests)).await?;
        Ok(json!({
            "records": requests.iter().map(|request| request.entity.as_str()).collect::<Vec<_>>(),
            "refused": requests.len(),
            "requests": user.requests,
        }))
    }
}

/// A tenant that signed up, as its first person sees it.
struct Tenant {
    name: String,
    email: String,
    password: String,
    token: String,
    person: String,
}

/// Whoever uses the product, and how often it asked.
struct User<'a> {
    url: &'a str,
    call: &'a Call,
    /// Tells this call from an earlier one with the same key whose outcome was lost.
    nonce: u64,
    requests: u64,
}

impl<'a> User<'a> {
    fn new(url: &'a str, call: &'a Call) -> Self {
        let nonce = RandomState::new().build_hasher().finish();
        Self { url: url.trim_end_matches('/'), call, nonce, requests: 0 }
    }

    async fn use_it(&mut self, requests: &[SmokeRequest]) -> Result<(), Failure> {
        self.page("/sign-up").await?;
        let mut ours = self.sign_up("a").await?;
        let theirs = self.sign_up("b").await?;
        let used = self.use_as(&mut ours, &theirs, requests).await;
        // Also when something failed: the product is in use.
        let left = [self.leave(&ours).await, self.leave(&theirs).await];
        used?;
        left.into_iter().collect()
    }

    async fn use_as(&mut self, ours: &mut Tenant, theirs: &Tenant, requests: &[SmokeRequest]) -> Result<(), Failure> {
        self.log_in(ours).await?;
        let mut made = BTreeMap::from([("me".to_owned(), ours.person.clone())]);
        for request in requests {
            let id = self.make(ours, request, &made).await?;
            self.see(ours, request, &id).await?;
            self.be_refused(theirs, request, &id).await?;
            made.insert(request.entity.clone(), id);
        }
        Ok(())
    }

    /// A new tenant, named after the call, so that one that was left behind says whose it was.
    async fn sign_up(&mut self, which: &str) -> Result<Tenant, Failure> {
        let tag = self.call.key.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let tag: String = tag.chars().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect();
        let unique = format!("{tag}-{:x}-{which}", self.nonce);
        let mut tenant = Tenant {
            name: format!("Smoke {unique}"),
            email: format!("smoke-{unique}@example.test").to_lowercase(),
            password: format!("smoke-{unique}-password"),
            token: String::new(),
            person: String::new(),
        };
        let body = json!({
            "tenant": tenant.name, "name": "Smoke Test", "email": tenant.email, "password": tenant.password,
        });
        let answer = self.send("sign up", Ask::post_json(self.at("/api/sign-up"), &body), 201).await?;
        tenant.token = text(&answer, "sign up", "token")?;
        tenant.person = text(&answer, "sign up", "person")?;
        Ok(tenant)
    }

    async fn log_in(&mut self, tenant: &mut Tenant) -> Result<(), Failure> {
        let body = json!({"email": tenant.email, "password": tenant.password});
        let answer = self.send("log in", Ask::post_json(self.at("/api/log-in"), &body), 200).await?;
        tenant.token = text(&answer, "log in", "token")?;
        Ok(())
    }

    async fn make(
        &mut self,
        tenant: &Tenant,
        request: &SmokeRequest,
        made: &BTreeMap<String, String>,
    ) -> Result<String, Failure> {
        let mut body = request.body.clone();
        fill_in(&mut body, made);
        let what = format!("make a record of `{}`", request.entity);
        let ask = Ask::post_json(self.at(&request.path), &body);
        let answer = self.send(&what, tenant.asks(ask), 201).await?;
        text(&answer, &what, "id")
    }

    async fn see(&mut self, tenant: &Tenant, request: &SmokeRequest, id: &str) -> Result<(), Failure> {
        let what = format!("see the record of `{}`", request.entity);
        let one = tenant.asks(Ask::get(self.at(&format!("{}/{id}", request.path))));
        self.send(&what, one, 200).await?;
        let list = tenant.asks(Ask::get(self.at(&request.path)));
        let answer = self.send(&what, list, 200).await?;
        if String::from_utf8_lossy(&answer.body).contains(id) {
            return Ok(());
        }
        Err(wrong(&what, "the list does not hold it"))
    }

    async fn be_refused(&mut self, stranger: &Tenant, request: &SmokeRequest, id: &str) -> Result<(), Failure> {
        let what = format!("be refused another tenant's record of `{}`", request.entity);
        let one = stranger.asks(Ask::get(self.at(&format!("{}/{id}", request.path))));
        self.send(&what, one, 404).await?;
        let list = stranger.asks(Ask::get(self.at(&request.path)));
        let answer = self.send(&what, list, 200).await?;
        if String::from_utf8_lossy(&answer.body).contains(id) {
            return Err(wrong(&what, "its list holds another tenant's record"));
        }
        Ok(())
    }

    async fn page(&mut self, path: &str) -> Result<(), Failure> {
        let what = format!("open `{path}`");
        let answer = self.send(&what, Ask::get(self.at(path)), 200).await?;
        let html = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        if html { Ok(()) } else { Err(wrong(&what, "it is no page")) }
    }

    /// Deletes the tenant with everything it has.
    async fn leave(&mut self, tenant: &Tenant) -> Result<(), Failure> {
        let ask = Ask {
            method: Method::POST,
            ..Ask::post_json(self.at("/settings/delete"), &json!({"confirm": tenant.name}))
        };
        self.send("delete the tenant", tenant.asks(ask), 303).await.map(drop)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn send(&mut self, what: &str, ask: Ask, expected: u16) -> Result<Answer, Failure> {
        self.requests += 1;
        let line = format!("{} {}", ask.method, ask.url.strip_prefix(self.url).unwrap_or(&ask.url));
        let answer = ask.send().await?;
        self.call.log.note(format!("{what}: {line} answered {}", answer.status));
        if answer.status == expected {
            return Ok(answer);
        }
        let text = format!("{line} answered {} and not {expected}: {}", answer.status, answer.excerpt());
        Err(wrong(what, &text))
    }
}

impl Tenant {
    fn asks(&self, ask: Ask) -> Ask {
        ask.with("authorization", format!("Bearer {}", self.token))
    }
}

/// Puts ids where the request names records that were made before it: `@entity`, `@me`.
fn fill_in(body: &mut Value, made: &BTreeMap<String, String>) {
    match body {
        Value::String(text) => {
            if let Some(id) = text.strip_prefix('@').and_then(|name| made.get(name)) {
                text.clone_from(id);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_in(item, made)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill_in(field, made)),
        _ => {}
    }
}

fn text(answer: &Answer, what: &str, field: &str) -> Result<String, Failure> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let found = body.as_ref().and_then(|body| body.get(field)).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| wrong(what, &format!("the answer has no `{field}`: {}", answer.excerpt())))
}

/// The product does not do what every product does: the same again would fail again.
fn wrong(what: &str, how: &str) -> Failure {
    Failure::validation("product.smoke", format!("could not {what}: {how}"))
}

impl Skill for ProductSmoke {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_records_made_before_are_filled_in_wherever_they_are_named() {
        let made = BTreeMap::from([("me".to_owned(), "per-1".to_owned()), ("customer".to_owned(), "cus-1".to_owned())]);
        let mut body =
            json!({"customer": "@customer", "owner": "@me", "mail": "a@b", "other": "@none", "n": [1, "@me"]});
        fill_in(&mut body, &made);
        assert_eq!(
            body,
            json!({"customer": "cus-1", "owner": "per-1", "mail": "a@b", "other": "@none", "n": [1, "per-1"]})
        );
    }
}
