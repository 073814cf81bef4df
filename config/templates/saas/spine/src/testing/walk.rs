//! The walk: every route of the running router, tried as tenant B with what belongs to tenant A.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Browser, PASSWORD, Site};
use crate::control;
use crate::entity::Kind;
use crate::web::{Access, Method, Route};
use crate::{Error, Product};

/// What must be true of a route when B asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Everyone may ask, and nothing of a tenant is in the answer.
    Open,
    /// It works on B's own tenant: nothing of A's is in the answer, not even when B names it.
    Own,
    /// It names something of A's, of this kind: the answer is that there is no such thing.
    Theirs(&'static str),
    /// It ends B's session.
    Leaves,
}

/// A route and its case.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its method.
    pub method: Method,
    /// Its path, as registered.
    pub path: String,
    /// What must be true.
    pub case: Case,
}

impl Step {
    /// A route and its case.
    pub fn new(method: Method, path: &str, case: Case) -> Self {
        Self { method, path: path.to_owned(), case }
    }
}

/// The cases of the routes that every product has.
pub fn spine_steps() -> Vec<Step> {
    use Case::{Leaves, Open, Own, Theirs};
    use Method::{Get, Post};
    [
        (Get, "/", Own),
        (Get, "/assets/{name}", Open),
        (Get, "/favicon.ico", Open),
        (Get, "/healthz", Open),
        (Get, "/readyz", Open),
        (Get, "/openapi.json", Open),
        (Get, "/sign-up", Open),
        (Post, "/sign-up", Open),
        (Get, "/log-in", Open),
        (Post, "/log-in", Open),
        (Post, "/log-out", Leaves),
        (Get, "/invitation/{token}", Open),
        (Post, "/invitation/{token}", Open),
        (Get, "/people", Own),
        (Post, "/people/invite", Own),
        (Post, "/people/{id}/role", Theirs("person")),
        (Post, "/people/{id}/remove", Theirs("person")),
        (Post, "/people/invitations/{id}/withdraw", Theirs("invitation")),
        (Get, "/plan", Own),
        (Post, "/plan", Own),
        (Get, "/account", Own),
        (Post, "/account/password", Own),
        (Post, "/account/tokens", Own),
        (Post, "/account/tokens/{id}/revoke", Theirs("token")),
        (Get, "/settings", Own),
        (Post, "/settings/name", Own),
        (Get, "/settings/export", Own),
        (Post, "/settings/delete", Own),
        (Get, "/activity", Own),
        (Post, "/api/sign-up", Open),
        (Post, "/api/log-in", Open),
        (Get, "/api/me", Own),
        (Get, "/api/people", Own),
        (Post, "/api/people/invite", Own),
        (Post, "/api/plan", Own),
        (Get, "/api/export", Own),
    ]
    .map(|(method, path, case)| Step::new(method, path, case))
    .into()
}

/// Walks every route of the running product and returns all that is wrong.
///
/// A route without a case, and a case without a route, are wrong as well. At the end A's data must
/// be as they were, whatever B has tried.
pub fn walk(site: &Site, steps: &[Step]) -> Result<Vec<String>, Error> {
    let mut walk = Walk::begin(site)?;
    let before = walk.export_of_a();
    for step in steps {
        let served = site.app.routes().iter().any(|route| same(route, step));
        if !served {
            walk.wrong.push(format!("{} {} has a case but is not served", step.method.name(), step.path));
        }
    }
    for route in site.app.routes() {
        match steps.iter().find(|step| same(route, step)) {
            Some(step) => walk.try_route(route, step.case),
            None => walk.wrong.push(format!("{} {} has no case", route.method.name(), route.path)),
        }
    }
    if walk.export_of_a() != before {
        walk.wrong.push("the data of A have changed".to_owned());
    }
    Ok(walk.wrong)
}

fn same(route: &Route, step: &Step) -> bool {
    route.method == step.method && route.path == step.path
}

struct Walk {
    product: &'static Product,
    a: Browser,
    b: Browser,
    a_token: String,
    b_token: String,
    /// What A has, by kind: ids of records, people, tokens, invitations.
    of_a: BTreeMap<String, Vec<String>>,
    wrong: Vec<String>,
}

impl Walk {
    /// Makes two tenants that both have the sample rows; A also has a token and an invitation.
    fn begin(site: &Site) -> Result<Self, Error> {
        let (mut a, mut b) = (site.sign_up("walk-a"), site.sign_up("walk-b"));
        let mut of_a: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, keep) in [("walk-a", true), ("walk-b", false)] {
            let email = format!("{name}@example.com");
            let account = control::account(&site.app.store.control(), &email)?.ok_or(Error::NotFound)?;
            let records = crate::demo::fill(&site.app, &account.person)?;
            if keep {
                of_a.extend(records);
                of_a.insert("person".to_owned(), vec![account.person.id.clone()]);
            }
        }
        let (a_token, b_token) = (a.token("walk-a@example.com"), b.token("walk-b@example.com"));
        let role = site.app.product.first_role();
        a.post("/people/invite", &[("email", "invited-by-a@example.com"), ("role", role)]);
        for (kind, path, part) in
            [("token", "/account", "/account/tokens/"), ("invitation", "/people", "/people/invitations/")]
        {
            of_a.insert(kind.to_owned(), ids(&a.get(path).body, part));
        }
        Ok(Self { product: site.app.product, a, b, a_token, b_token, of_a, wrong: Vec::new() })
    }

    fn export_of_a(&mut self) -> Value {
        let mut export = self.a.call(&self.a_token, "GET", "/api/export", &Value::Null).json();
        if let Some(export) = export.as_object_mut() {
            export.remove("exported_at");
        }
        export
    }

    fn try_route(&mut self, route: &Route, case: Case) {
        let names: Vec<String> = match case {
            Case::Theirs(kind) => self.of_a.get(kind).cloned().unwrap_or_default(),
            Case::Open | Case::Own | Case::Leaves => vec!["nothing".to_owned()],
        };
        if names.is_empty() {
            self.wrong.push(format!("{}: A has nothing to try it with", route.path));
        }
        for name in names {
            let answer = self.ask(route, &name);
            self.judge(route, case, &answer);
        }
        if case == Case::Leaves {
            let form = [("email", "walk-b@example.com"), ("password", PASSWORD)];
            self.b.post("/log-in", &form);
        }
        if route.access == Access::Member && case != Case::Leaves {
            self.try_as_stranger(route);
        }
    }

    /// Asks as B, naming A's things wherever a field may name something.
    fn ask(&mut self, route: &Route, name: &str) -> Answer {
        let path = filled(&route.path, name);
        let body = self.body(route);
        if route.path.starts_with("/api/") {
            return self.b.call(&self.b_token, route.method.name(), &path, &json!(body));
        }
        if route.method == Method::Get {
            return self.b.get(&path);
        }
        let form: Vec<_> = body.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.b.post(&path, &form)
    }

    fn body(&self, route: &Route) -> BTreeMap<&'static str, String> {
        let mut body = BTreeMap::new();
        if route.method == Method::Get || route.method == Method::Delete {
            return body;
        }
        let part = route.path.trim_start_matches("/api").split('/').nth(1).unwrap_or_default();
        let entity = self.product.entities.iter().find(|entity| entity.path == part);
        for field in entity.map_or(&[][..], |entity| entity.fields) {
            let kind = match field.kind {
                Kind::Reference(entity) => entity,
                Kind::Member => "person",
                _ => continue,
            };
            if let Some(id) = self.of_a.get(kind).and_then(|ids| ids.first()) {
                body.insert(field.name, id.clone());
            }
        }
        body
    }

    fn judge(&mut self, route: &Route, case: Case, answer: &Answer) {
        let wrong = match case {
            Case::Theirs(_) => answer.status != 404,
            Case::Open | Case::Own | Case::Leaves => !(200..500).contains(&answer.status),
        };
        let asked = format!("{} {}", route.method.name(), route.path);
        if wrong {
            self.wrong.push(format!("{asked} answers B with {}", answer.status));
        }
        let mut known = self.of_a.values().flatten().map(String::as_str);
        let marks = ["walk-a", "invited-by-a"];
        if let Some(leak) = known.find(|id| answer.body.contains(id)) {
            self.wrong.push(format!("{asked} shows B the id {leak} of A"));
        }
        if let Some(leak) = marks.iter().find(|mark| answer.body.contains(**mark)) {
            self.wrong.push(format!("{asked} shows B `{leak}` of A"));
        }
    }

    /// A member's route must not answer whoever is not logged in.
    fn try_as_stranger(&mut self, route: &Route) {
        let path = filled(&route.path, "nothing");
        let answer = self.b.call("", route.method.name(), &path, &Value::Null);
        let sent_away = answer.status == 401 || (answer.status == 303 && answer.location.starts_with("/log-in"));
        if !sent_away {
            let asked = format!("{} {}", route.method.name(), route.path);
            self.wrong.push(format!("{asked} answers a stranger with {}", answer.status));
        }
    }
}

/// The path with every parameter replaced.
fn filled(path: &str, name: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { name } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// The ids that stand in a page after some part of an address.
fn ids(page: &str, part: &str) -> Vec<String> {
    let ids = page.split(part).skip(1);
    let ids = ids.filter_map(|rest| rest.split(['/', '"']).next());
    ids.filter(|id| id.contains('_')).map(str::to_owned).collect()
}
