//! The projection: events into rows, with the cursor in the same transaction.

use std::{path::Path, sync::Arc, time::Duration};

use mesh_kernel::{
    BoxFuture,
    follow::{Projection, ProjectionError, Seen},
    ports::{Cursor, Position},
};
use rusqlite::Connection;
use tokio::sync::watch;

use super::{
    erase::Gone,
    keys::KeyRing,
    lists::{ReadModel, Standing},
    store::{StoreError, empty, open_writer},
    tables::{Batch, apply, tenants},
};

/// After a batch the lists rest for so many times as long as it took: they take a twentieth of a processor
/// when much happens, and runs that come and go in between cost one row each.
const REST_FOR_WORK: u32 = 20;

/// The longest rest: how far the lists lag behind when nobody waits for them.
const REST_MAX: Duration = Duration::from_millis(250);

/// Opens the read model: the projection that writes it, and the handle that reads it.
///
/// **Cost**: reads every page of the file once, to find out whether it is whole.
///
/// # Errors
/// [`StoreError`] when it cannot be opened, nor made anew.
pub fn open(path: &Path) -> Result<(Index, ReadModel), StoreError> {
    let failed = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let connection = open_writer(path)?;
    let standing = standing(&connection).map_err(failed)?;
    let ring = Arc::new(KeyRing::default());
    ring.change(tenants::ring(&connection).map_err(failed)?);
    let (moved, _) = watch::channel(standing);
    let (wait, waiting) = watch::channel(0);
    let gone = Arc::new(Gone::default());
    let read = ReadModel::new(path.to_owned(), moved.clone(), (ring.clone(), gone.clone()), wait);
    Ok((Index { connection, moved, ring, gone, waiting }, read))
}

fn standing(connection: &Connection) -> rusqlite::Result<Standing> {
    connection.query_row("SELECT cursor, position FROM standing", [], |row| {
        let cursor: Option<Vec<u8>> = row.get(0)?;
        let position: i64 = row.get(1)?;
        Ok(Standing {
            cursor: cursor.map(|bytes| Cursor(bytes.into())),
            position: Position(u64::try_from(position).unwrap_or(0)),
        })
    })
}

/// The one writer of the read models.
pub struct Index {
    connection: Connection,
    moved: watch::Sender<Standing>,
    ring: Arc<KeyRing>,
    /// How many wait for the lists to come further.
    waiting: watch::Receiver<usize>,
    gone: Arc<Gone>,
}

impl Index {
    fn write(&mut self, batch: &[Seen], standing: &Standing) -> rusqlite::Result<Batch> {
        let mut beside = Batch::default();
        // Until the end of the transaction: then no row of a tenant comes to be after its rows were removed.
        let gone = self.gone.read();
        let transaction = self.connection.transaction()?;
        for seen in batch.iter().filter(|seen| !gone.contains(&seen.envelope.tenant_id)) {
            apply(&transaction, seen, &mut beside)?;
        }
        beside.finish(&transaction)?;
        let cursor = standing.cursor.as_ref().map(|cursor| cursor.0.as_ref());
        let position = i64::try_from(standing.position.0).unwrap_or(i64::MAX);
        transaction.prepare_cached("UPDATE standing SET cursor = ?1, position = ?2")?.execute((cursor, position))?;
        mesh_kernel::failpoint::pass("projection");
        transaction.commit()?;
        mesh_kernel::failpoint::pass("projection.kept");
        Ok(beside)
    }
}

impl Projection for Index {
    fn name(&self) -> &'static str {
        "lists"
    }

    fn cursor(&self) -> Option<Cursor> {
        self.moved.borrow().cursor.clone()
    }

    fn apply(&mut self, batch: &[Seen], cursor: &Cursor, reflects: Position) -> Result<(), ProjectionError> {
        let standing = Standing { cursor: Some(cursor.clone()), position: reflects };
        let beside = self.write(batch, &standing).map_err(|error| ProjectionError::Store(Box::new(error)))?;
        // The ring before the position: whoever waited for a new key's position can use the key.
        self.ring.change(beside.keys);
        self.moved.send_replace(standing);
        Ok(())
    }

    fn rest(&self, took: Duration) -> BoxFuture<'static, ()> {
        let mut waiting = self.waiting.clone();
        let at_most = (took * REST_FOR_WORK).min(REST_MAX);
        Box::pin(async move {
            let waited_for = waiting.wait_for(|waiting| *waiting > 0);
            let _waited_for_or_rested = tokio::time::timeout(at_most, waited_for).await;
        })
    }

    fn reset(&mut self) {
        if let Err(error) = empty(&mut self.connection) {
            // Stale rows are shown until then, never another tenant's; the next start finds out.
            tracing::error!(%error, "the lists cannot be emptied: stop the node and delete `readmodel.sqlite`");
        }
        self.ring.clear();
        self.moved.send_replace(Standing::default());
    }
}
