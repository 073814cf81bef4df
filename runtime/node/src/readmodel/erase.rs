//! The end of a tenant in the lists: its rows, and what the file keeps where rows were.

use std::{collections::HashSet, path::Path};

use mesh_kernel::envelope::TenantId;
use parking_lot::RwLock;
use rusqlite::Connection;

use super::store::{StoreError, connect};

/// Tenants of which no row is written any more. Held for reading by whoever writes rows.
pub(super) type Gone = RwLock<HashSet<TenantId>>;

/// What to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Erase {
    /// All rows but the one in the list of tenants.
    Rows,
    /// That one too, and then every byte that no row needs.
    Traces,
}

/// Removes what there is of a tenant. Blocks.
pub(super) fn erase(path: &Path, gone: &Gone, tenant: &TenantId, what: Erase) -> Result<(), StoreError> {
    gone.write().insert(tenant.clone());
    let failed = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let mut connection = connect(path).map_err(failed)?;
    rows(&mut connection, tenant, what).map_err(failed)?;
    if what == Erase::Rows {
        return Ok(());
    }
    // Pages that were given back and old versions of rows are there until the file is written anew;
    // and what is in the log beside it until that is cut.
    connection.execute_batch("VACUUM").map_err(failed)?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed)?;
    if busy == 0 { Ok(()) } else { Err(StoreError::Busy(path.to_owned())) }
}

fn rows(connection: &mut Connection, tenant: &TenantId, what: Erase) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let tables: Vec<String> = transaction
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'standing'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for table in tables.iter().filter(|table| what == Erase::Traces || *table != "tenants") {
        transaction.execute(&format!("DELETE FROM \"{table}\" WHERE tenant = ?1"), [tenant.as_str()])?;
    }
    transaction.commit()
}
