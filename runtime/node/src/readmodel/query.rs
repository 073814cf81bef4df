//! One page of one tenant's rows: the `WHERE` of a list, and the key behind its last row.

use mesh_kernel::envelope::{ErrorKind, Refusal, TenantScope, Timestamp};
use rusqlite::{Connection, Row, params_from_iter, types::Value};

use crate::gateway::lists::{PageRequest, Span};

/// Rows, and the key behind the last one when there are more.
pub(super) type Rows<T> = (Vec<T>, Option<String>);

/// Why a query did not answer.
#[derive(Debug)]
pub(super) enum QueryError {
    /// The caller's page key is none of ours.
    BadKey(String),
    /// SQLite refused.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for QueryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::BadKey(key) => Self::new(
                "LST-0001",
                ErrorKind::InvalidArgument,
                format!("`{key}` is no page of this list: begin again with an empty page token"),
            ),
            QueryError::Sqlite(error) => Self::new(
                "LST-0002",
                ErrorKind::Unavailable,
                format!("the lists cannot be read: {error}; entities still answer by their ids"),
            )
            .after(std::time::Duration::from_secs(1)),
        }
    }
}

/// A query over one table, restricted step by step.
pub(super) struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    /// Rows of the scope's tenant.
    pub(super) fn of(columns: &str, table: &str, scope: &TenantScope) -> Self {
        Self {
            sql: format!("SELECT {columns} FROM {table} WHERE {table}.tenant = ?"),
            values: vec![Value::Text(scope.tenant().as_str().to_owned())],
        }
    }

    /// Rows of every tenant: for the list of tenants and nothing else.
    pub(super) fn of_all(columns: &str, table: &str) -> Self {
        Self { sql: format!("SELECT {columns} FROM {table} WHERE 1 = 1"), values: Vec::new() }
    }

    /// Only rows for which the clause holds. Each `?` in it takes the next value.
    #[must_use]
    pub(super) fn and(mut self, clause: &str, values: impl IntoIterator<Item = Value>) -> Self {
        self.sql.push_str(" AND (");
        self.sql.push_str(clause);
        self.sql.push(')');
        self.values.extend(values);
        self
    }

    /// Only rows whose column has this text, when one is given.
    #[must_use]
    pub(super) fn and_text(self, column: &str, text: Option<String>) -> Self {
        match text {
            Some(text) => self.and(&format!("{column} = ?"), [Value::Text(text)]),
            None => self,
        }
    }

    /// Only rows whose column is one of these numbers, when there are any.
    #[must_use]
    pub(super) fn and_any(self, column: &str, numbers: &[i32]) -> Self {
        if numbers.is_empty() {
            return self;
        }
        let marks = vec!["?"; numbers.len()].join(", ");
        let values: Vec<Value> = numbers.iter().map(|number| Value::Integer(i64::from(*number))).collect();
        self.and(&format!("{column} IN ({marks})"), values)
    }

    /// Only rows whose instant lies in the span.
    #[must_use]
    pub(super) fn and_span(mut self, column: &str, span: Span) -> Self {
        if let Some(from) = span.from {
            self = self.and(&format!("{column} >= ?"), [Value::Integer(from.unix_nanos())]);
        }
        if let Some(before) = span.before {
            self = self.and(&format!("{column} < ?"), [Value::Integer(before.unix_nanos())]);
        }
        self
    }

    /// A page, newest first by `created` and then `id`.
    pub(super) fn newest_first<T>(
        mut self,
        connection: &Connection,
        page: &PageRequest,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        key: impl Fn(&T) -> (Timestamp, String),
    ) -> Result<Rows<T>, QueryError> {
        if let Some(after) = &page.after {
            let (created, id) = newest_key(after)?;
            self = self.and("(created, id) < (?, ?)", [Value::Integer(created), Value::Text(id.to_owned())]);
        }
        let rows = self.read(connection, "created DESC, id DESC", page.size, read)?;
        Ok(cut(rows, page.size, |row| {
            let (created, id) = key(row);
            format!("{}:{id}", created.unix_nanos())
        }))
    }

    /// A page in the order of one text column.
    pub(super) fn by_name<T>(
        mut self,
        connection: &Connection,
        column: &str,
        page: &PageRequest,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Rows<T>, QueryError> {
        if let Some(after) = &page.after {
            self = self.and(&format!("{column} > ?"), [Value::Text(after.clone())]);
        }
        let rows = self.read(connection, column, page.size, read)?;
        Ok(cut(rows, page.size, key))
    }

    fn read<T>(
        mut self,
        connection: &Connection,
        order: &str,
        size: usize,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, QueryError> {
        // One more than asked for tells whether there is a next page.
        let limit = i64::try_from(size.saturating_add(1)).unwrap_or(i64::MAX);
        self.sql.push_str(&format!(" ORDER BY {order} LIMIT ?"));
        self.values.push(Value::Integer(limit));
        let mut statement = connection.prepare_cached(&self.sql)?;
        let rows = statement.query_map(params_from_iter(self.values), |row| read(row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn cut<T>(mut rows: Vec<T>, size: usize, key: impl Fn(&T) -> String) -> Rows<T> {
    let more = rows.len() > size;
    rows.truncate(size);
    let next = if more { rows.last().map(key) } else { None };
    (rows, next)
}

fn newest_key(after: &str) -> Result<(i64, &str), QueryError> {
    let bad = || QueryError::BadKey(after.chars().take(64).collect());
    let (created, id) = after.split_once(':').ok_or_else(bad)?;
    Ok((created.parse().map_err(|_| bad())?, id))
}

/// An instant of a column.
pub(super) fn instant(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_unix_nanos)
}

/// An instant of a column that may be empty.
pub(super) fn instant_if(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    let nanos: Option<i64> = row.get(column)?;
    Ok(nanos.map(Timestamp::from_unix_nanos))
}

/// A number of the contract's enum.
pub(super) fn state<T: TryFrom<i32> + Default>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let number: i32 = row.get(column)?;
    Ok(T::try_from(number).unwrap_or_default())
}

/// A version or count, which SQLite keeps as a signed number.
pub(super) fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    Ok(u64::try_from(number).unwrap_or(0))
}
