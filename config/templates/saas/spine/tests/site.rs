//! The spine by itself: a product without a domain, through the real router.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

use saas_spine::moment::Clock;
use saas_spine::testing::{Browser, PASSWORD, Site, spine_steps, walk};
use saas_spine::web::{App, Method, Reply, Request, Routes};
use saas_spine::{Edition, Error, Limit, Product, Role, audit};
use serde_json::{Value, json};

static PRODUCT: Product = Product {
    name: "spine-test",
    title: "Spine",
    description: "Nothing but the spine.",
    tenant_noun: "company",
    roles: &[
        Role { name: "admin", title: "Administrator", description: "manages" },
        Role { name: "guest", title: "Guest", description: "looks" },
    ],
    editions: &[
        Edition {
            name: "small",
            title: "Small",
            price: "0",
            description: "",
            limits: &[Limit { of: "users", most: 2 }],
        },
        Edition { name: "large", title: "Large", price: "9", description: "", limits: &[] },
    ],
    entities: &[],
    routes: |_| {},
    samples: &[],
    demo: &[],
};

/// The same product with two routes that fail in the middle of their work.
static FAILING: Product = Product { routes: failing_routes, ..PRODUCT };

fn failing_routes(routes: &mut Routes) {
    routes.add(Method::Get, "/panics", "panics", panics);
    routes.add(Method::Post, "/half-done", "writes and fails", half_done);
}

fn panics(request: &Request) -> Result<Reply, Error> {
    request.write(|_| panic!("as intended by a test"))
}

fn half_done(request: &Request) -> Result<Reply, Error> {
    request.write(|scope| {
        audit::write(scope, "half done", "thing", "1", "never to be seen")?;
        Err(Error::Conflict("it cannot be finished".to_owned()))
    })
}

fn site() -> Site {
    Site::start(&PRODUCT).unwrap()
}

fn invite(browser: &mut Browser, email: &str) -> u16 {
    let form = [("email", email), ("role", "guest")];
    browser.post("/people/invite", &form).status
}

#[test]
fn no_route_of_the_spine_shows_or_changes_anything_of_another_tenant() {
    let wrong = walk(&site(), &spine_steps()).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_plan_that_is_full_takes_nobody_in_until_it_is_upgraded() {
    let site = site();
    let mut ada = site.sign_up("ada");
    assert_eq!(invite(&mut ada, "bob@example.com"), 200);
    assert_eq!(invite(&mut ada, "cy@example.com"), 402);
    assert_eq!(invite(&mut ada, "bob@example.com"), 200, "a second link for the same person");
    assert_eq!(ada.post("/plan", &[("edition", "large")]).status, 303);
    assert_eq!(invite(&mut ada, "cy@example.com"), 200);
}

#[test]
fn a_plan_that_is_too_small_for_what_is_used_is_refused() {
    let site = site();
    let mut ada = site.sign_up("ada");
    ada.post("/plan", &[("edition", "large")]);
    for name in ["bob", "cy"] {
        let page = {
            let email = format!("{name}@example.com");
            ada.post("/people/invite", &[("email", &email), ("role", "guest")]).body
        };
        let link = page.split_once("/invitation/").unwrap().1;
        let path = format!("/invitation/{}", link.split_once('"').unwrap().0);
        let form = [("name", name), ("password", PASSWORD)];
        assert_eq!(site.browser().post(&path, &form).status, 303);
    }
    let answer = ada.post("/plan", &[("edition", "small")]);
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("you use 3 people") || answer.body.contains("You use 3 people"));
}

#[test]
fn a_guest_manages_nothing() {
    let site = site();
    let mut ada = site.sign_up("ada");
    let page = ada.post("/people/invite", &[("email", "bob@example.com"), ("role", "guest")]).body;
    let link = page.split_once("/invitation/").unwrap().1.split_once('"').unwrap().0;
    let mut bob = site.browser();
    bob.post(&format!("/invitation/{link}"), &[("name", "Bob"), ("password", PASSWORD)]);
    for (path, form) in [
        ("/plan", vec![("edition", "large")]),
        ("/people/invite", vec![("email", "x@example.com"), ("role", "admin")]),
        ("/settings/name", vec![("tenant", "Mine")]),
        ("/settings/delete", vec![("confirm", "Tenant of ada")]),
    ] {
        assert_eq!(bob.post(path, &form).status, 403, "{path}");
    }
    assert_eq!(bob.get("/settings/export").status, 403);
    assert_eq!(ada.get("/").status, 200);
}

#[test]
fn too_many_wrong_passwords_make_an_address_wait() {
    let site = site();
    site.sign_up("ada");
    let mut other = site.browser();
    let wrong = [("email", "ada@example.com"), ("password", "wrong wrong wrong")];
    for _ in 0..8 {
        assert_eq!(other.post("/log-in", &wrong).status, 422);
    }
    assert_eq!(other.post("/log-in", &wrong).status, 429);
    let right = [("email", "ADA@example.com"), ("password", PASSWORD)];
    assert_eq!(other.post("/log-in", &right).status, 429);
}

#[test]
fn a_token_works_until_it_is_revoked() {
    let site = site();
    let mut ada = site.sign_up("ada");
    let page = ada.post("/account/tokens", &[("label", "import")]).body;
    let token = page.split_once("id=\"token\"").unwrap().1;
    let token = token.split_once("value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let mut program = site.browser();
    assert_eq!(program.call(&token, "GET", "/api/me", &Value::Null).json()["name"], "ada");
    let path = page.split_once("/account/tokens/tok").unwrap().1.split_once('"').unwrap().0;
    ada.post(&format!("/account/tokens/tok{path}"), &[]);
    assert_eq!(program.call(&token, "GET", "/api/me", &Value::Null).status, 401);
    assert_eq!(program.call("no-such-token", "GET", "/healthz", &Value::Null).status, 401);
}

#[test]
fn what_another_site_sends_is_refused_even_where_nobody_is_logged_in() {
    let site = site();
    let mut browser = site.browser();
    let form = ("content-type", "application/x-www-form-urlencoded");
    for header in [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let answer = browser.raw("POST", "/log-in", &[form, header], "email=a");
        assert_eq!(answer.status, 403, "{header:?}");
    }
    let own = [form, ("origin", "http://localhost"), ("sec-fetch-site", "same-origin")];
    assert_eq!(browser.raw("POST", "/log-in", &own, "email=a").status, 422);
}

#[test]
fn a_log_in_leads_only_to_pages_of_this_product() {
    let site = site();
    site.sign_up("ada");
    for (next, location) in
        [("/people", "/people"), ("//evil.example", "/"), ("/\\evil.example", "/"), ("https://evil.example", "/")]
    {
        let form = [("email", "ada@example.com"), ("password", PASSWORD), ("next", next)];
        assert_eq!(site.browser().post("/log-in", &form).location, location);
    }
}

#[test]
fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let site = site();
    let form = [("tenant", "T"), ("name", "Ada"), ("email", "ada@example.com"), ("password", PASSWORD)];
    let cookie = site.browser().post("/sign-up", &form).cookie;
    assert!(cookie.contains("; HttpOnly; SameSite=Lax;"), "{cookie}");
    assert!(!cookie.contains("Secure"), "{cookie}");
}

#[test]
fn a_new_password_ends_the_sessions_of_other_browsers() {
    let site = site();
    let mut ada = site.sign_up("ada");
    let mut elsewhere = site.browser_of("ada");
    assert_eq!(elsewhere.get("/account").status, 200);
    let form = [("current", PASSWORD), ("password", "another sentence")];
    assert_eq!(ada.post("/account/password", &form).status, 303);
    assert_eq!(ada.get("/account").status, 200);
    assert_eq!(elsewhere.get("/account").status, 303);
}

#[test]
fn work_that_fails_leaves_nothing_behind() {
    let site = Site::start(&FAILING).unwrap();
    let mut ada = site.sign_up("ada");
    assert_eq!(ada.post("/half-done", &[]).status, 409);
    assert!(!ada.get("/activity").body.contains("never to be seen"));
}

#[test]
fn a_handler_that_panics_harms_no_other_request() {
    let site = Site::start(&FAILING).unwrap();
    let mut ada = site.sign_up("ada");
    assert_eq!(ada.get("/panics").status, 500);
    assert_eq!(ada.get("/activity").status, 200);
    assert_eq!(ada.post("/settings/name", &[("tenant", "Still here")]).status, 303);
}

#[test]
fn a_request_that_is_too_large_or_of_an_unknown_kind_is_refused() {
    let site = site();
    let mut browser = site.browser();
    let json = ("content-type", "application/json");
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(300 * 1024));
    assert_eq!(browser.raw("POST", "/api/sign-up", &[json], &large).status, 413);
    assert_eq!(browser.raw("POST", "/api/sign-up", &[json], "{oops").status, 400);
    assert_eq!(browser.raw("POST", "/api/sign-up", &[json], "[1]").status, 400);
    let xml = ("content-type", "text/xml");
    assert_eq!(browser.raw("POST", "/api/sign-up", &[xml], "<a/>").status, 400);
}

#[test]
fn names_are_shown_and_never_run() {
    let site = site();
    let form = [
        ("tenant", "<script>alert(1)</script>"),
        ("name", "\"><img src=x>"),
        ("email", "ada@example.com"),
        ("password", PASSWORD),
    ];
    let mut ada = site.browser();
    assert_eq!(ada.post("/sign-up", &form).status, 303);
    for path in ["/", "/people", "/account", "/settings", "/activity"] {
        let body = ada.get(path).body;
        assert!(!body.contains("<script>alert") && !body.contains("<img src=x"), "{path}");
    }
}

#[test]
fn a_file_that_a_cut_short_deletion_left_is_removed_at_the_next_start() {
    let folder = std::env::temp_dir().join(saas_spine::new_id("spine-sweep"));
    let open = || App::open(&PRODUCT, &folder, Clock::System, false).unwrap();
    drop(open());
    let left = folder.join("tenants/ten_gone.sqlite");
    std::fs::write(&left, b"").unwrap();
    drop(open());
    assert!(!left.exists());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn data_outlive_the_process() {
    let folder = std::env::temp_dir().join(saas_spine::new_id("spine-restart"));
    let open = || App::open(&PRODUCT, &folder, Clock::System, false).unwrap();
    let first = Site::of(open()).unwrap();
    first.sign_up("ada");
    drop(first);
    let second = Site::of(open()).unwrap();
    let mut ada = second.browser_of("ada");
    assert!(ada.get("/").body.contains("Hello, ada"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_error_of_the_api_names_code_message_and_fields() {
    let body = json!({"tenant": "T", "name": "Ada", "email": "nobody", "password": PASSWORD});
    let answer = site().browser().call("", "POST", "/api/sign-up", &body);
    assert_eq!(answer.status, 422);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "invalid");
    assert!(error["fields"]["email"].as_str().unwrap().contains("email address"));
}
