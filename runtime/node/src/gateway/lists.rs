//! The port to the read models: what lists are made of.
//!
//! Rows are what a list shows and no more; the entity itself answers the rest. Every method takes the
//! scope whose rows it may see, and an implementation filters by tenant in the query, never
//! afterwards. A list is behind the journal by a moment: [`Lists::position`] says how far it has
//! come, and [`Lists::wait_for`] waits until it has come so far.

use std::time::Duration;

use mesh_agents::task::Spent;
use mesh_kernel::{
    BoxFuture,
    envelope::{Refusal, Role, TenantId, TenantScope, Timestamp},
    ports::{Cursor, Position},
};
use mesh_proto::v1::{ApprovalState, RunState, TaskState, TenantState};

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows at most, 1 to 500.
    pub size: usize,
    /// The `next` of the page before, as the implementation made it; `None` for the first page.
    pub after: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// At most as many as were asked for.
    pub rows: Vec<T>,
    /// The key behind the last row; `None` when there are no more. The gateway wraps it into an
    /// opaque token that belongs to one tenant and filter.
    pub next: Option<String>,
    /// The journal position that the rows reflect.
    pub position: Position,
}

/// A span of time, open where nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// At this instant or later.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub before: Option<Timestamp>,
}

/// Which runs. Newest first, by `created_at` and then id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RunFilter {
    /// In any of these states; all when empty. `Waiting` is among the running ones of which every
    /// unfinished step waits; `Running` takes those too.
    pub states: Vec<RunState>,
    /// Of this definition.
    pub definition: Option<String>,
    /// Of this project.
    pub project_id: Option<String>,
    /// Submitted in this span.
    pub created: Span,
    /// Ended in this span.
    pub ended: Span,
}

/// A run as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// `run-…`.
    pub run_id: String,
    /// Name of its definition.
    pub definition: String,
    /// The version that it keeps.
    pub definition_version: u32,
    /// Digest of that version.
    pub definition_digest: String,
    /// `proj-…`.
    pub project_id: Option<String>,
    /// Where it stands.
    pub state: RunState,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its first step began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// `trace-…`.
    pub trace_id: String,
    /// Who submitted it.
    pub submitted_by: String,
    /// The run and step that asked for it.
    pub parent: Option<(String, String)>,
    /// Why it failed or was cancelled.
    pub failure: Option<FailureRow>,
    /// How many steps are in which state.
    pub progress: ProgressRow,
    /// Version of its last event.
    pub version: u64,
}

/// Why a run failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureRow {
    /// The step; empty for the run as a whole.
    pub step_id: String,
    /// validation, external, timeout, resource, internal, cancelled.
    pub class: String,
    /// A stable code.
    pub code: String,
    /// For people.
    pub message: String,
}

/// How many steps are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgressRow {
    /// All.
    pub total: u32,
    /// Ended well, skipped or compensated.
    pub done: u32,
    /// Begun and not ended.
    pub running: u32,
    /// Wait for something outside.
    pub waiting: u32,
    /// Ended with a failure.
    pub failed: u32,
}

/// Which approvals. Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ApprovalFilter {
    /// In any of these states; all when empty.
    pub states: Vec<ApprovalState>,
    /// Of this run.
    pub run_id: Option<String>,
    /// Asked for in this span.
    pub created: Span,
}

/// An approval as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRow {
    /// `appr-…`.
    pub approval_id: String,
    /// What is to be approved, in a line.
    pub title: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// Digest of what is to be approved.
    pub digest: String,
    /// The run that waits.
    pub run_id: String,
    /// Its step.
    pub step_id: String,
    /// Who asked.
    pub requested_by: String,
    /// How many must approve.
    pub quorum: u32,
    /// Roles that may decide.
    pub roles: Vec<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was decided.
    pub ended_at: Option<Timestamp>,
    /// When it escalates.
    pub escalate_at: Option<Timestamp>,
    /// When nobody's decision rejects it.
    pub expire_at: Option<Timestamp>,
    /// It has escalated.
    pub escalated: bool,
    /// Version of its last event.
    pub version: u64,
}

/// Which tasks. Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TaskFilter {
    /// In any of these states; all when empty.
    pub states: Vec<TaskState>,
    /// Of this agent.
    pub agent: Option<String>,
    /// Given by this run.
    pub run_id: Option<String>,
    /// Asked for in this span.
    pub created: Span,
}

/// A task as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// `task-…`.
    pub task_id: String,
    /// The agent.
    pub agent: String,
    /// The agent's version; 0 until it is known, and of a shipped one.
    pub version: u32,
    /// Where it stands. While it works it is `Executing`, `Validating` or `Correcting`.
    pub state: TaskState,
    /// The run that waits for it; empty when there is none.
    pub run_id: String,
    /// The step of that run.
    pub step_id: String,
    /// Who is answerable for it.
    pub submitted_by: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How often it was corrected.
    pub corrections: u32,
    /// What it has spent; known when it has ended.
    pub spent: Spent,
}

/// A definition's latest version as a list shows it. In the order of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionRow {
    /// Its name.
    pub name: String,
    /// The latest version.
    pub version: u32,
    /// Its digest.
    pub digest: String,
    /// For people.
    pub title: String,
    /// When that version was published.
    pub published_at: Timestamp,
    /// Who published it.
    pub published_by: String,
    /// Version of the entity's last event.
    pub entity_version: u64,
}

/// A blueprint's latest version as a list shows it. In the order of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlueprintRow {
    /// Its name.
    pub name: String,
    /// The latest version.
    pub version: u32,
    /// Its digest.
    pub digest: String,
    /// For people; empty when it is not known.
    pub title: String,
    /// When that version was applied.
    pub applied_at: Timestamp,
    /// Who applied it.
    pub applied_by: String,
    /// The latest run that makes it a product.
    pub run_id: Option<String>,
    /// Version of the entity's last event.
    pub entity_version: u64,
    /// Its product, when there is one.
    pub product: Option<ProductRow>,
}

/// A product as a list shows it. In the order of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductRow {
    /// The blueprint's name.
    pub name: String,
    /// Where it answers; empty while it does not run.
    pub url: String,
    /// Path of its repository.
    pub repository: String,
    /// The commit that runs.
    pub commit: String,
    /// How many of its own tests passed.
    pub tests_passed: u32,
    /// How many of its own tests failed.
    pub tests_failed: u32,
    /// `running`, `starting`, `stopped`, `crash-looping`; empty when it is not known.
    pub state: String,
    /// Digest of the blueprint that it was made from.
    pub blueprint_digest: String,
    /// The run that made it.
    pub run_id: String,
}

/// Which tenants. In the order of slugs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TenantFilter {
    /// In any of these states; all when empty.
    pub states: Vec<TenantState>,
}

/// A tenant as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// Its slug.
    pub tenant: TenantId,
    /// For people.
    pub title: String,
    /// Where it stands.
    pub state: TenantState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was disabled.
    pub disabled_at: Option<Timestamp>,
    /// It is for development.
    pub is_for_development: bool,
    /// Version of its last event.
    pub version: u64,
}

/// An API key as a list shows it, without its secret. In the order of names, then ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// `key-…`.
    pub key_id: String,
    /// Who holds it.
    pub name: String,
    /// What it may do.
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Most definitions that are told of one skill.
pub const USERS_MAX: usize = 500;

/// The lists that projections keep.
///
/// # Errors
/// Every method refuses as `InvalidArgument` when `page.after` is not one of its keys, and as
/// `Unavailable` when its store cannot be read.
pub trait Lists: Send + Sync + 'static {
    /// Runs, newest first.
    fn runs<'a>(
        &'a self,
        scope: &'a TenantScope,
        filter: RunFilter,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<RunRow>, Refusal>>;

    /// Approvals, newest first.
    fn approvals<'a>(
        &'a self,
        scope: &'a TenantScope,
        filter: ApprovalFilter,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<ApprovalRow>, Refusal>>;

    /// Tasks of agents, newest first.
    fn tasks<'a>(
        &'a self,
        scope: &'a TenantScope,
        filter: TaskFilter,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<TaskRow>, Refusal>>;

    /// Definitions; `name` asks for that one alone.
    fn definitions<'a>(
        &'a self,
        scope: &'a TenantScope,
        name: Option<String>,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<DefinitionRow>, Refusal>>;

    /// The published definitions whose latest version names this skill: name and version, by name, the first
    /// [`USERS_MAX`].
    fn users<'a>(
        &'a self,
        scope: &'a TenantScope,
        skill: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, u32)>, Refusal>>;

    /// Blueprints, each with its product; `name` asks for that one alone.
    fn blueprints<'a>(
        &'a self,
        scope: &'a TenantScope,
        name: Option<String>,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<BlueprintRow>, Refusal>>;

    /// The names of the collections of documents.
    fn collections<'a>(
        &'a self,
        scope: &'a TenantScope,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<String>, Refusal>>;

    /// Products; `name` asks for that one alone.
    fn products<'a>(
        &'a self,
        scope: &'a TenantScope,
        name: Option<String>,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<ProductRow>, Refusal>>;

    /// Tenants: the scope's own, or all of them with `None`, which only an operator may ask for and
    /// which the gateway has checked.
    fn tenants<'a>(
        &'a self,
        scope: Option<&'a TenantScope>,
        filter: TenantFilter,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<TenantRow>, Refusal>>;

    /// API keys of the scope's tenant.
    fn keys<'a>(
        &'a self,
        scope: &'a TenantScope,
        include_revoked: bool,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<KeyRow>, Refusal>>;

    /// The journal position that the lists reflect.
    fn position(&self) -> Position;

    /// The cursor up to which the lists have taken the journal; `None` before the first event. A
    /// stream that begins "now" begins here, so that it need not read the journal from its start.
    fn cursor(&self) -> Option<Cursor>;

    /// Waits until the lists have come to `position`, and says how far they have come.
    ///
    /// # Errors
    /// `Unavailable`, to be tried again, when `timeout` passes first.
    fn wait_for<'a>(&'a self, position: Position, timeout: Duration) -> BoxFuture<'a, Result<Position, Refusal>>;
}
