//! How many there are of what: sums over all tenants, for the node's figures and nobody's lists.

use mesh_proto::v1::{ApprovalState, RunState};
use rusqlite::Connection;

/// Numbers by state, without a word of whose they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs by state.
    pub runs: Vec<(String, u64)>,
    /// Approvals by state.
    pub approvals: Vec<(String, u64)>,
    /// Products by the state of their process.
    pub products: Vec<(String, u64)>,
    /// Tenants.
    pub tenants: u64,
}

/// Counts everything.
///
/// **Cost**: reads the index of every table that it counts.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<Tally> {
    let run = |state: i32| short(RunState::try_from(state).unwrap_or_default().as_str_name(), "RUN_STATE_");
    let approval =
        |state: i32| short(ApprovalState::try_from(state).unwrap_or_default().as_str_name(), "APPROVAL_STATE_");
    Ok(Tally {
        runs: by_state(connection, "SELECT state, COUNT(*) FROM runs GROUP BY state", run)?,
        approvals: by_state(connection, "SELECT state, COUNT(*) FROM approvals GROUP BY state", approval)?,
        products: by_state(connection, "SELECT state, COUNT(*) FROM products GROUP BY state", |state: String| {
            if state.is_empty() { "none".to_owned() } else { state.to_lowercase() }
        })?,
        tenants: connection.query_row("SELECT COUNT(*) FROM tenants", [], |row| row.get(0))?,
    })
}

/// The addresses of the runs that have steps under way.
///
/// **Cost**: reads every run that has not ended.
pub(super) fn busy_runs(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let kind = mesh_workflows::run::KIND;
    let mut statement =
        connection.prepare_cached("SELECT tenant, id FROM runs WHERE state = ?1 AND running > 0 AND ended IS NULL")?;
    let rows = statement.query_map([RunState::Running as i32], |row| {
        let (tenant, id): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(format!("{tenant}/{}/{}/{id}", kind.platform, kind.name))
    })?;
    rows.collect()
}

fn by_state<S: rusqlite::types::FromSql>(
    connection: &Connection,
    sql: &str,
    name: impl Fn(S) -> String,
) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| Ok((name(row.get(0)?), row.get(1)?)))?;
    rows.collect()
}

/// `RUN_STATE_SUCCEEDED` as `succeeded`.
fn short(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}
