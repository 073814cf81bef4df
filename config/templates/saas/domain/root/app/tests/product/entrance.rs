//! Coming in, going out, inviting, upgrading, taking away and ending.

use app::PRODUCT;
use saas_spine::demo;
use saas_spine::testing::{PASSWORD, Site};
use serde_json::{Value, json};

fn site() -> Site {
    Site::start(&PRODUCT).unwrap()
}

#[test]
fn whoever_signs_up_is_logged_in_and_can_come_back() {
    let site = site();
    let mut ada = site.sign_up("ada");
    assert!(ada.get("/").body.contains("Hello, ada"));
    assert_eq!(ada.post("/log-out", &[]).location, "/log-in");
    assert_eq!(ada.get("/people").location, "/log-in?next=/people");
    let form = [("email", "ada@example.com"), ("password", PASSWORD), ("next", "/people")];
    assert_eq!(ada.post("/log-in", &form).location, "/people");
    assert_eq!(ada.get("/people").status, 200);
}

#[test]
fn a_wrong_password_does_not_log_in_and_says_nothing_about_who_exists() {
    let site = site();
    site.sign_up("ada");
    let mut other = site.browser();
    let wrong = other.post("/log-in", &[("email", "ada@example.com"), ("password", "wrong wrong")]);
    let nobody = other.post("/log-in", &[("email", "bob@example.com"), ("password", "wrong wrong")]);
    assert_eq!((wrong.status, nobody.status), (422, 422));
    assert_eq!(wrong.body.replace("ada@example.com", ""), nobody.body.replace("bob@example.com", ""));
    assert_eq!(other.get("/people").status, 303);
}

#[test]
fn a_sign_up_tells_every_mistake_beside_its_input() {
    let site = site();
    let form = [("tenant", ""), ("name", "Ada"), ("email", "ada"), ("password", "short")];
    let answer = site.browser().post("/sign-up", &form);
    assert_eq!(answer.status, 422);
    for part in ["tenant-error", "email-error", "password-error", "at least 10 characters"] {
        assert!(answer.body.contains(part), "{part}");
    }
}

#[test]
fn a_form_of_another_site_is_refused() {
    let site = site();
    let mut ada = site.sign_up("ada");
    for csrf in ["", "0000", &"0".repeat(64)] {
        let answer = ada.post_with("/settings/name", &[("tenant", "Stolen")], csrf);
        assert_eq!(answer.status, 403);
    }
    assert!(!ada.get("/settings").body.contains("Stolen"));
}

#[test]
fn an_invitation_lets_one_person_in_once() {
    let site = site();
    let mut ada = site.sign_up("ada");
    let role = PRODUCT.roles.last().unwrap().name;
    let page = ada.post("/people/invite", &[("email", "bob@example.com"), ("role", role)]).body;
    let link = page.split_once("/invitation/").unwrap().1.split_once('"').unwrap().0;
    let path = format!("/invitation/{link}");
    let mut bob = site.browser();
    assert!(bob.get(&path).body.contains("Tenant of ada"));
    let form = [("name", "Bob"), ("password", PASSWORD)];
    assert_eq!(bob.post(&path, &form).location, "/?note=welcome");
    assert!(bob.get("/people").body.contains("ada@example.com"));
    assert_eq!(site.browser().post(&path, &form).status, 404);
    assert_eq!(bob.get("/settings").status, if role == PRODUCT.first_role() { 200 } else { 403 });
}

#[test]
fn the_last_administrator_cannot_leave() {
    let site = site();
    let mut ada = site.program("ada");
    let role = PRODUCT.roles.last().unwrap().name;
    let mut browser = site.browser();
    browser.post("/log-in", &[("email", "ada@example.com"), ("password", PASSWORD)]);
    let path = format!("/people/{}/role", ada.me);
    let answer = browser.post(&path, &[("role", role)]);
    assert_eq!(answer.status, if role == PRODUCT.first_role() { 303 } else { 409 });
    let me = ada.call("GET", "/api/me", &Value::Null).json();
    assert_eq!(me["role"], PRODUCT.first_role());
}

#[test]
fn every_plan_can_be_chosen_and_an_unknown_one_cannot() {
    let site = site();
    let mut ada = site.program("ada");
    for edition in PRODUCT.editions {
        let answer = ada.call("POST", "/api/plan", &json!({"edition": edition.name}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let me = ada.call("GET", "/api/me", &Value::Null).json();
        assert_eq!(me["edition"], edition.name);
    }
    assert_eq!(ada.call("POST", "/api/plan", &json!({"edition": "gold"})).status, 422);
}

#[test]
fn demo_tenants_are_made_once_and_hold_the_sample_rows() {
    let site = site();
    demo::seed(&site.app).unwrap();
    demo::seed(&site.app).unwrap();
    for tenant in PRODUCT.demo {
        let mut browser = site.browser();
        let body = json!({"email": tenant.email, "password": tenant.password});
        let answer = browser.call("", "POST", "/api/log-in", &body).json();
        let token = answer["token"].as_str().unwrap().to_owned();
        for samples in PRODUCT.samples {
            let entity = PRODUCT.entity(samples.entity).unwrap();
            let list = browser.call(&token, "GET", &format!("/api/{}", entity.path), &Value::Null);
            assert_eq!(list.json()["total"], samples.rows.len(), "{}", list.body);
        }
    }
}

#[test]
fn an_export_holds_everything_and_a_deleted_tenant_nothing() {
    let site = site();
    let mut ada = site.program("ada");
    let export = ada.call("GET", "/api/export", &Value::Null).json();
    for entity in PRODUCT.entities {
        assert!(export["records"][entity.name].is_array(), "{}", entity.name);
    }
    let mut browser = site.browser();
    browser.post("/log-in", &[("email", "ada@example.com"), ("password", PASSWORD)]);
    assert_eq!(browser.post("/settings/delete", &[("confirm", "yes")]).status, 422);
    assert_eq!(browser.post("/settings/delete", &[("confirm", "Tenant of ada")]).location, "/");
    assert_eq!(ada.call("GET", "/api/me", &Value::Null).status, 401);
    assert!(site.sign_up("ada").get("/").body.contains("Hello, ada"));
}

#[test]
fn every_page_of_the_navigation_opens() {
    let site = site();
    let mut ada = site.sign_up("ada");
    let paths = ["/", "/people", "/plan", "/activity", "/settings", "/account"];
    let lists = PRODUCT.entities.iter().map(|entity| format!("/{}", entity.path));
    for path in paths.map(str::to_owned).into_iter().chain(lists) {
        let answer = ada.get(&path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.contains("<main id=\"main\""), "{path}");
    }
}

#[test]
fn the_api_is_described_as_it_is_served() {
    let site = site();
    let description = site.browser().get("/openapi.json").json();
    for route in site.app.routes().iter().filter(|route| route.path.starts_with("/api/")) {
        let method = route.method.name().to_lowercase();
        assert!(description["paths"][&route.path][method].is_object(), "{}", route.path);
    }
    for entity in PRODUCT.entities {
        assert!(description["components"]["schemas"][entity.name].is_object());
    }
    assert_eq!(site.browser().get("/healthz").json()["status"], "ok");
    assert_eq!(site.browser().get("/readyz").json()["status"], "ready");
}
