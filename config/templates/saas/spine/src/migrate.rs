//! A tenant's file is brought up to the product's tables when it is opened.
//!
//! A product only ever grows: new tables, new columns that may be empty. So a migration is the
//! difference between the tables the product declares and those the file has. Each step is numbered
//! and recorded in the file, and all steps of one opening are one transaction.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::Error;
use crate::entity::{Column, Table};

/// The tables of every tenant, whatever its domain.
const OURS: &str = "
CREATE TABLE IF NOT EXISTS migration (
  number INTEGER PRIMARY KEY, statement TEXT NOT NULL, at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, person TEXT NOT NULL, who TEXT NOT NULL,
  action TEXT NOT NULL, entity TEXT NOT NULL, record TEXT NOT NULL, label TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_record ON audit (record);
";

/// Brings a tenant's file up to the declared tables and returns how many steps that took.
///
/// **Errors**: a table in the file that has a column of another type than the product declares;
/// the file is then left as it was.
pub fn run(db: &mut Connection, tables: &[&Table], at: &str) -> Result<usize, Error> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change.execute_batch(OURS)?;
    let mut steps = 0;
    for table in tables {
        for statement in missing(&change, table)? {
            change.execute_batch(&statement)?;
            change.execute("INSERT INTO migration (statement, at) VALUES (?1, ?2)", params![statement, at])?;
            steps += 1;
        }
    }
    change.commit()?;
    Ok(steps)
}

/// The statements that a file lacks to have the table.
fn missing(db: &Transaction<'_>, table: &Table) -> Result<Vec<String>, Error> {
    let present = columns(db, table.name)?;
    if present.is_empty() {
        let mut statements = vec![create(table)];
        statements.extend(table.columns.iter().filter_map(|column| index(table, column)));
        return Ok(statements);
    }
    let mut statements = Vec::new();
    for column in table.columns {
        match present.iter().find(|(name, _)| name == column.name) {
            None => {
                let Column { name, sql, .. } = column;
                statements.push(format!("ALTER TABLE \"{}\" ADD COLUMN \"{name}\" {sql}", table.name));
                statements.extend(index(table, column));
            }
            Some((_, kind)) if !column.sql.starts_with(kind.as_str()) => {
                return Err(Error::Migration(format!(
                    "column `{}` of `{}` is {kind} in the file and `{}` in this version; \
                     run the version that wrote it",
                    column.name, table.name, column.sql
                )));
            }
            Some(_) => {}
        }
    }
    Ok(statements)
}

fn columns(db: &Transaction<'_>, table: &str) -> Result<Vec<(String, String)>, Error> {
    let mut statement = db.prepare("SELECT name, type FROM pragma_table_info(?1)")?;
    let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn create(table: &Table) -> String {
    let mut columns = vec!["\"id\" TEXT PRIMARY KEY".to_owned()];
    columns.extend(table.columns.iter().map(|column| format!("\"{}\" {}", column.name, column.sql)));
    columns.push("\"created_at\" TEXT NOT NULL".to_owned());
    columns.push("\"updated_at\" TEXT NOT NULL".to_owned());
    format!("CREATE TABLE \"{}\" ({}) STRICT", table.name, columns.join(", "))
}

fn index(table: &Table, column: &Column) -> Option<String> {
    let unique = if column.unique { "UNIQUE " } else { "" };
    (column.unique || column.indexed)
        .then(|| format!("CREATE {unique}INDEX \"{0}_{1}\" ON \"{0}\" (\"{1}\")", table.name, column.name))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::run;
    use crate::entity::{Column, Table};

    const V1: Table = Table { name: "book", columns: &[Column::new("title", "TEXT NOT NULL").unique()] };
    const V2: Table = Table {
        name: "book",
        columns: &[Column::new("title", "TEXT NOT NULL").unique(), Column::new("pages", "INTEGER")],
    };
    const RETYPED: Table = Table { name: "book", columns: &[Column::new("title", "INTEGER")] };

    #[test]
    fn a_product_that_grows_takes_the_rows_of_its_tenants_along() {
        let mut db = Connection::open_in_memory().unwrap();
        assert_eq!(run(&mut db, &[&V1], "t1").unwrap(), 2);
        db.execute("INSERT INTO book VALUES ('1', 'Dune', 'a', 'a')", []).unwrap();
        assert_eq!(run(&mut db, &[&V2], "t2").unwrap(), 1);
        let row = db.query_row("SELECT title, pages FROM book", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        });
        assert_eq!(row.unwrap(), ("Dune".to_owned(), None));
        assert_eq!(run(&mut db, &[&V2], "t3").unwrap(), 0);
        let numbers: i64 = db.query_row("SELECT MAX(number) FROM migration", [], |row| row.get(0)).unwrap();
        assert_eq!(numbers, 3);
    }

    #[test]
    fn a_column_of_another_type_is_refused_and_nothing_is_changed() {
        let mut db = Connection::open_in_memory().unwrap();
        run(&mut db, &[&V1], "t1").unwrap();
        let refusal = run(&mut db, &[&RETYPED], "t2").unwrap_err().to_string();
        assert!(refusal.contains("column `title` of `book` is TEXT"), "{refusal}");
    }
}
