//! The smoke test against a stand-in for a product that behaves, or does not.

use std::{collections::BTreeMap, fs, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::{get, post},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::place::Place;

const COMMIT: &str = "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff";
const HELPDESK: &str = include_str!("../../../../config/blueprints/helpdesk.yaml");

#[derive(Default)]
struct Product {
    /// Shows everything to everybody.
    leaks: bool,
    tenants: Mutex<BTreeMap<String, Value>>,
    records: Mutex<BTreeMap<String, (String, Value)>>,
}

type Shared = State<Arc<Product>>;

fn tenant(headers: &HeaderMap) -> String {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    bearer.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default().to_owned()
}

async fn sign_up(State(product): Shared, Json(body): Json<Value>) -> Response {
    let token = body["email"].as_str().unwrap().to_owned();
    product.tenants.lock().insert(token.clone(), body);
    (StatusCode::CREATED, Json(json!({"token": token, "person": "per-1"}))).into_response()
}

async fn log_in(Json(body): Json<Value>) -> Json<Value> {
    Json(json!({"token": body["email"], "person": "per-1"}))
}

async fn make(State(product): Shared, Path(kind): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    // What the request named must have been filled in.
    assert!(!body.to_string().contains("\"@"), "{body}");
    let mut records = product.records.lock();
    let id = format!("{kind}-{}", records.len());
    records.insert(id.clone(), (tenant(&headers), body));
    (StatusCode::CREATED, Json(json!({"id": id}))).into_response()
}

async fn list(State(product): Shared, headers: HeaderMap) -> Json<Value> {
    let records = product.records.lock();
    let who = tenant(&headers);
    let seen = records.iter().filter(|(_, (owner, _))| *owner == who);
    Json(json!({"items": seen.map(|(id, _)| id).collect::<Vec<_>>()}))
}

async fn one(State(product): Shared, Path((_, id)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let records = product.records.lock();
    match records.get(&id) {
        Some((owner, body)) if product.leaks || *owner == tenant(&headers) => Json(body.clone()).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn leave(State(product): Shared, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let who = tenant(&headers);
    let gone = product.tenants.lock().remove(&who).unwrap();
    assert_eq!(gone["tenant"], body["confirm"]);
    product.records.lock().retain(|_, (owner, _)| *owner != who);
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response()
}

async fn serve(product: Arc<Product>) -> String {
    let router = Router::new()
        .route("/sign-up", get(async || Html("<h1>Sign up</h1>")))
        .route("/api/sign-up", post(sign_up))
        .route("/api/log-in", post(log_in))
        .route("/settings/delete", post(leave))
        .route("/api/{kind}", get(list).post(make))
        .route("/api/{kind}/{id}", get(one))
        .with_state(product);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    mesh_kernel::task::spawn("product", async move { axum::serve(listener, router).await });
    url
}

async fn smoke(product: Arc<Product>) -> Result<Value, crate::contract::Failure> {
    let place = Place::new();
    let release = place.layout("helpdesk").release(COMMIT);
    fs::create_dir_all(&release).unwrap();
    fs::write(release.join("blueprint.yaml"), HELPDESK).unwrap();
    let url = serve(product).await;
    place.call("run-1", "product.smoke", json!({"product": "helpdesk", "commit": COMMIT, "url": url})).await
}

#[tokio::test]
async fn a_product_that_behaves_passes_and_keeps_nothing_of_the_test() {
    let product = Arc::new(Product::default());
    let output = smoke(product.clone()).await.unwrap();
    let records = output["records"].as_array().unwrap().len();
    assert!(records >= 2);
    assert_eq!(output["refused"], records);
    assert!(product.tenants.lock().is_empty() && product.records.lock().is_empty());
}

#[tokio::test]
async fn a_product_that_shows_a_record_to_another_tenant_fails_and_is_left_clean() {
    let product = Arc::new(Product { leaks: true, ..Product::default() });
    let failure = smoke(product.clone()).await.unwrap_err();
    assert!(failure.message.contains("be refused another tenant's record"), "{failure}");
    assert!(product.tenants.lock().is_empty() && product.records.lock().is_empty());
}
