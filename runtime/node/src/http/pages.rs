//! The pages themselves: each a query under the caller's scope, and a template.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use mesh_kernel::{
    envelope::{Address, ErrorKind, Refusal},
    path::{Caller, Viewed},
    ports::Identity,
};
use mesh_proto::v1::RunState;
use minijinja::{Value, context, value::Serde};
use serde::{Deserialize, Serialize};

use super::{
    Pages,
    guard::{COOKIE, page_of},
    render,
};
use crate::{
    gateway::lists::{PageRequest, RunFilter, RunRow},
    telemetry::MEDIA_TYPE,
};

/// Runs that the first page shows.
const RUNS_SHOWN: usize = 100;

/// Bytes of a log that its page shows, from the start.
const LOG_SHOWN: usize = 256 * 1024;

/// `/`: the runs of the caller's tenant.
pub(super) async fn runs(State(pages): State<Arc<Pages>>, Extension(caller): Extension<Caller>) -> Response {
    let admitted = pages.mesh.admit_read(&caller, "ListRuns");
    let runs = match admitted {
        Ok(()) => runs_of(&pages, &caller).await,
        Err(refusal) => Err(refusal),
    };
    match runs {
        Ok(runs) => render::page(
            &pages,
            "runs.html",
            context! { title => "Runs", at => "runs", tenant => caller.tenant().as_str(), runs },
        ),
        Err(refusal) => page_of(&pages, &refusal),
    }
}

#[derive(Debug, Serialize)]
struct ShownRun {
    id: String,
    definition: String,
    version: u32,
    state: String,
    created: String,
    ended: Option<String>,
}

impl From<RunRow> for ShownRun {
    fn from(row: RunRow) -> Self {
        Self {
            id: row.run_id,
            definition: row.definition,
            version: row.definition_version,
            state: shown_state(row.state),
            created: row.created_at.to_string(),
            ended: row.ended_at.map(|at| at.to_string()),
        }
    }
}

/// `RUN_STATE_SUCCEEDED` as `Succeeded`.
fn shown_state(state: RunState) -> String {
    let name = state.as_str_name().trim_start_matches("RUN_STATE_").to_lowercase();
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The newest runs of the caller's tenant.
pub(super) async fn runs_of(pages: &Pages, caller: &Caller) -> Result<Value, Refusal> {
    let page = PageRequest { size: RUNS_SHOWN, after: None };
    let page = pages.lists.runs(caller.scope(), RunFilter::default(), page).await?;
    let runs: Vec<ShownRun> = page.rows.into_iter().map(ShownRun::from).collect();
    Ok(Value::from(Serde(&runs)))
}

/// The address of a run in the caller's own tenant; whatever else the id says, it is not found there.
pub(super) fn run_address(caller: &Caller, run: &str) -> Result<Address, Refusal> {
    Address::new(caller.tenant(), mesh_workflows::run::KIND, run)
        .map_err(|error| Refusal::new("HTTP-0002", ErrorKind::NotFound, error.to_string()))
}

/// A run as its page shows it.
pub(super) async fn run_of(pages: &Pages, caller: &Caller, run: &str) -> Result<Viewed, Refusal> {
    pages.mesh.query(caller, &run_address(caller, run)?, "GetRun", "").await
}

/// `/runs/{run}`.
pub(super) async fn run(
    State(pages): State<Arc<Pages>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Response {
    match run_of(&pages, &caller, &run).await {
        Ok(viewed) => render::page(
            &pages,
            "run.html",
            context! {
                title => run.as_str(), at => "runs", tenant => caller.tenant().as_str(),
                run => run_value(&pages, &caller, &run, viewed), tree => tree_of(&pages, &caller),
            },
        ),
        Err(refusal) => page_of(&pages, &refusal),
    }
}

/// A run's view with its own id, and what each running step last said of its progress.
pub(super) fn run_value(pages: &Pages, caller: &Caller, run: &str, viewed: Viewed) -> Value {
    let mut view = viewed.view;
    if let Some(fields) = view.as_object_mut() {
        fields.insert("id".to_owned(), run.into());
    }
    let steps = view.get_mut("steps").and_then(serde_json::Value::as_array_mut);
    for step in steps.into_iter().flatten() {
        let running = step.get("state").and_then(serde_json::Value::as_str) == Some("Running");
        let id = step.get("id").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        if let Some(fields) = step.as_object_mut().filter(|_| running)
            && let Some(said) = last_said(pages, caller, run, &id)
        {
            fields.insert("progress".to_owned(), said.into());
        }
    }
    Value::from(Serde(&view))
}

/// The last line that a step's newest attempt has written.
fn last_said(pages: &Pages, caller: &Caller, run: &str, step: &str) -> Option<String> {
    let entries = pages.logs.list(caller.scope(), run).ok()?;
    let entry = entries.into_iter().filter(|entry| entry.id.step == step).max_by_key(|entry| entry.id.attempt)?;
    let from = entry.bytes.saturating_sub(4096);
    let page = pages.logs.read(caller.scope(), &entry.id, from, 4096).ok()?;
    page.lines.last().map(|line| line.text.clone())
}

/// The actors that the caller may see: the house's own, and those of the caller's tenant.
pub(super) fn tree_of(pages: &Pages, caller: &Caller) -> Value {
    let mut actors = pages.mesh.directory().tree();
    actors.retain(|actor| actor.tenant.as_ref().is_none_or(|tenant| tenant == caller.tenant()));
    Value::from(Serde(render::rows(&actors)))
}

/// `/tree`.
pub(super) async fn tree(State(pages): State<Arc<Pages>>, Extension(caller): Extension<Caller>) -> Response {
    if let Err(refusal) = pages.mesh.admit_read(&caller, "GetActorTree") {
        return page_of(&pages, &refusal);
    }
    render::page(
        &pages,
        "tree.html",
        context! { title => "Actor tree", at => "tree", tenant => caller.tenant().as_str(), tree => tree_of(&pages, &caller) },
    )
}

#[derive(Debug, Serialize)]
struct Attempt {
    number: u32,
    item: Option<u32>,
    cut: bool,
    text: String,
}

/// `/runs/{run}/steps/{step}/log`.
pub(super) async fn log(
    State(pages): State<Arc<Pages>>,
    Extension(caller): Extension<Caller>,
    Path((run, step)): Path<(String, String)>,
) -> Response {
    // The run is asked for first, so that a log is as private as its run.
    if let Err(refusal) = run_of(&pages, &caller, &run).await {
        return page_of(&pages, &refusal);
    }
    let entries = pages.logs.list(caller.scope(), &run).unwrap_or_default();
    let attempts: Vec<Attempt> = entries
        .into_iter()
        .filter(|entry| entry.id.step == step)
        .filter_map(|entry| {
            let page = pages.logs.read(caller.scope(), &entry.id, 0, LOG_SHOWN).ok()?;
            let lines: Vec<String> = page.lines.into_iter().map(|line| line.text).collect();
            Some(Attempt { number: entry.id.attempt, item: entry.id.item, cut: page.more, text: lines.join("\n") })
        })
        .collect();
    render::page(
        &pages,
        "log.html",
        context! { title => step.as_str(), at => "runs", tenant => caller.tenant().as_str(), run, step => step.as_str(), attempts => Value::from(Serde(&attempts)) },
    )
}

/// `/logins`: a fresh single-use log-in for whoever presents a key or a session.
pub(super) async fn new_login(State(pages): State<Arc<Pages>>, Extension(caller): Extension<Caller>) -> Response {
    let identity = Identity { tenant: caller.tenant().clone(), principal: caller.principal().clone() };
    axum::Json(serde_json::json!({ "token": pages.logins.issue(identity) })).into_response()
}

/// What a log-in address carries.
#[derive(Debug, Deserialize)]
pub(super) struct Login {
    token: Option<String>,
    next: Option<String>,
}

/// `/login`: trades a single-use token for a session.
pub(super) async fn login(State(pages): State<Arc<Pages>>, Query(login): Query<Login>) -> Response {
    let session = login.token.as_deref().and_then(|token| pages.logins.redeem(token)).map(|(session, _)| session);
    let Some(session) = session else {
        let message = "This log-in was used already, or is too old. `mesh open` prints a new one.";
        return render::refused(&pages, StatusCode::UNAUTHORIZED, "Please log in", message);
    };
    // Only a path of our own: `//elsewhere` and `https://…` would lead away.
    let next = login.next.filter(|next| next.starts_with('/') && !next.starts_with("//") && !next.contains('\\'));
    let mut response = Redirect::to(next.as_deref().unwrap_or("/")).into_response();
    let cookie = format!("{COOKIE}={session}; HttpOnly; SameSite=Strict; Path=/");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn asset(kind: &'static str, body: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    (headers, body).into_response()
}

/// The style of all pages.
pub(super) async fn css() -> Response {
    asset("text/css; charset=utf-8", include_str!("pages/page.css"))
}

/// The one script of all pages.
pub(super) async fn js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("pages/page.js"))
}

/// `/metrics`: the node's figures, which are about all tenants.
pub(super) async fn metrics(State(pages): State<Arc<Pages>>, Extension(caller): Extension<Caller>) -> Response {
    if let Err(refusal) = pages.mesh.admit_read(&caller, "ReadMetrics") {
        return page_of(&pages, &refusal);
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    (headers, pages.metrics.text().await).into_response()
}

/// What `mesh doctor` asks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Examine {
    verify: bool,
}

/// `/doctor`: what the node knows of its own health, which is about all tenants.
pub(super) async fn doctor(
    State(pages): State<Arc<Pages>>,
    Extension(caller): Extension<Caller>,
    Query(examine): Query<Examine>,
) -> Response {
    match pages.mesh.admit_read(&caller, "ExamineNode") {
        Ok(()) => axum::Json(pages.metrics.findings(examine.verify).await).into_response(),
        Err(refusal) => page_of(&pages, &refusal),
    }
}

/// Where a backup goes.
#[derive(Debug, Deserialize)]
pub(super) struct BackUp {
    to: std::path::PathBuf,
}

/// `/backup`: copies the data folder into a new one on this machine, every tenant's data with it.
pub(super) async fn back_up(
    State(pages): State<Arc<Pages>>,
    Extension(caller): Extension<Caller>,
    body: axum::body::Bytes,
) -> Response {
    if let Err(refusal) = pages.mesh.admit_read(&caller, "BackUpNode") {
        return page_of(&pages, &refusal);
    }
    let refused = |status, error: String| (status, axum::Json(serde_json::json!({ "error": error }))).into_response();
    let wanted: BackUp = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => {
            return refused(StatusCode::BAD_REQUEST, format!("`{{\"to\": \"/folder\"}}` is expected: {error}"));
        }
    };
    match pages.backups.take(&wanted.to, pages.mesh.now()).await {
        Ok(taken) => axum::Json(taken).into_response(),
        Err(error) => {
            tracing::warn!(%error, "a backup could not be taken");
            refused(StatusCode::CONFLICT, error.to_string())
        }
    }
}

/// The process is alive.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The node takes new work: its journal can be written.
pub(super) async fn readyz(State(pages): State<Arc<Pages>>) -> Response {
    match pages.mesh.journal().health().read_only {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

/// Every other path.
pub(super) async fn nowhere(State(pages): State<Arc<Pages>>) -> Response {
    render::refused(&pages, StatusCode::NOT_FOUND, "Not found", "There is no such page.")
}
