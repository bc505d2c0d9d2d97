//! Rows that fail their checksum: taken out of the way, kept as they were found, named.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Value, json};

use super::connection::classify;
use crate::error::Result;

/// A row that could not be trusted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BadRow {
    pub(crate) table: &'static str,
    pub(crate) values: Vec<rusqlite::types::Value>,
}

impl BadRow {
    pub(crate) fn take(table: &'static str, row: &Row<'_>) -> Result<BadRow> {
        let columns = row.as_ref().column_count();
        let values =
            (0..columns).map(|i| row.get_ref(i).map(raw).map_err(classify)).collect::<Result<Vec<_>>>()?;
        Ok(BadRow { table, values })
    }

    /// The row as JSON; bytes that are not text become an array of numbers.
    pub(crate) fn content(&self) -> String {
        use rusqlite::types::Value as Sql;
        let values: Vec<Value> = self
            .values
            .iter()
            .map(|value| match value {
                Sql::Null => Value::Null,
                Sql::Integer(n) => json!(n),
                Sql::Real(n) => json!(n),
                Sql::Text(text) => json!(text),
                Sql::Blob(bytes) => json!(bytes),
            })
            .collect();
        Value::Array(values).to_string()
    }

    /// Moves the row to `set_aside`. Says whether its key still finds it: a flipped bit in a key leaves
    /// the row where no search looks, or lets the search find the good row that has this key. Then only a
    /// rebuild of the file helps.
    pub(crate) fn set_aside(&self, tx: &Connection) -> Result<bool> {
        let condition: Vec<String> =
            column_names(tx, self.table)?.iter().map(|name| format!("{name} IS ?")).collect();
        let delete = format!("DELETE FROM {} WHERE {}", self.table, condition.join(" AND "));
        let found = tx.execute(&delete, rusqlite::params_from_iter(&self.values)).map_err(classify)? == 1;
        if found {
            insert(tx, self.table, &self.content())?;
        }
        Ok(found)
    }
}

pub(crate) fn insert(tx: &Connection, table: &str, content: &str) -> Result<()> {
    let sql = "INSERT INTO set_aside (from_table, content) VALUES (?1, ?2)";
    tx.execute(sql, (table, content)).map(|_| ()).map_err(classify)
}

fn column_names(tx: &Connection, table: &str) -> Result<Vec<String>> {
    let statement = tx.prepare(&format!("SELECT * FROM {table}")).map_err(classify)?;
    Ok(statement.column_names().map(str::to_owned).collect())
}

fn raw(value: ValueRef<'_>) -> rusqlite::types::Value {
    match value {
        ValueRef::Null => rusqlite::types::Value::Null,
        ValueRef::Integer(n) => rusqlite::types::Value::Integer(n),
        ValueRef::Real(n) => rusqlite::types::Value::Real(n),
        // Bytes that are not UTF-8 are kept as they are.
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => rusqlite::types::Value::Text(text.to_owned()),
            Err(_) => rusqlite::types::Value::Blob(text.to_vec()),
        },
        ValueRef::Blob(bytes) => rusqlite::types::Value::Blob(bytes.to_vec()),
    }
}
