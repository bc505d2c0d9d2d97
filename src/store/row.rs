//! What every table's row can do: be read with its checksum, be written, be found again.

use std::fmt::Write as _;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement};

use super::connection::classify;
use super::set_aside::BadRow;
use super::transaction::WriteTx;
use crate::error::Result;

/// Rows a statement: a bound row costs about 150 ns in a statement of 32 and 280 ns alone.
const ROWS_A_STATEMENT: usize = 32;

/// A row of one table.
pub(crate) trait StoredRow: Sized {
    const TABLE: &'static str;
    /// In the order of the table; the key first, `chk` last.
    const COLUMNS: &'static [&'static str];
    const KEY_COLUMNS: usize;

    /// The row, if every value fits its type and its limits and the checksum agrees.
    fn decode(row: &Row<'_>) -> Option<Self>;

    /// Binds every column, the first at this index.
    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()>;

    /// The texts of the table's statements, made once.
    fn sql() -> &'static Sql;
}

/// The statements of a table.
pub(crate) struct Sql {
    of_user: String,
    all: String,
    put_one: String,
    put_many: String,
}

impl Sql {
    pub(crate) fn of<R: StoredRow>() -> Sql {
        let columns = R::COLUMNS.join(", ");
        let one_row = format!("({})", vec!["?"; R::COLUMNS.len()].join(", "));
        // A table with a composite key has no other index (a test holds this): there REPLACE is one search
        // and one write, where an upsert searches twice and opens a temporary table for each row. Where
        // another index is (the name of a user), REPLACE could delete a row that is not meant.
        let key_alone = R::KEY_COLUMNS > 1;
        let put = |rows: usize| {
            let verb = if key_alone { "REPLACE" } else { "INSERT" };
            let mut sql = format!("{verb} INTO {} ({columns}) VALUES ", R::TABLE);
            sql += &vec![one_row.as_str(); rows].join(", ");
            if key_alone {
                return sql;
            }
            let (key, values) = R::COLUMNS.split_at(R::KEY_COLUMNS);
            // A String never fails to take text.
            let _ = write!(sql, " ON CONFLICT ({}) DO UPDATE SET ", key.join(", "));
            sql += &values.iter().map(|c| format!("{c} = excluded.{c}")).collect::<Vec<_>>().join(", ");
            sql
        };
        Sql {
            of_user: format!("SELECT {columns} FROM {} WHERE user = ?1", R::TABLE),
            all: format!("SELECT {columns} FROM {}", R::TABLE),
            put_one: put(1),
            put_many: put(ROWS_A_STATEMENT),
        }
    }
}

/// Reads one user's rows in key order; gives those that cannot be trusted.
pub(crate) fn load<R: StoredRow>(
    connection: &Connection,
    user: i64,
    mut take: impl FnMut(R),
) -> Result<Vec<BadRow>> {
    let mut statement = connection.prepare_cached(&R::sql().of_user).map_err(classify)?;
    let mut rows = statement.query([user]).map_err(classify)?;
    let mut bad = Vec::new();
    while let Some(row) = rows.next().map_err(classify)? {
        match R::decode(row) {
            Some(row) => take(row),
            None => bad.push(BadRow::take(R::TABLE, row)?),
        }
    }
    Ok(bad)
}

/// Reads whatever a condition finds, as far as the file lets us: for salvage.
pub(crate) fn scan<R: StoredRow>(
    connection: &Connection,
    condition: &str,
    mut take: impl FnMut(std::result::Result<R, BadRow>),
) -> Result<()> {
    let mut statement = connection.prepare(&format!("{} {condition}", R::sql().all)).map_err(classify)?;
    let mut rows = statement.query([]).map_err(classify)?;
    while let Some(row) = rows.next().map_err(classify)? {
        take(match R::decode(row) {
            Some(row) => Ok(row),
            None => Err(BadRow::take(R::TABLE, row)?),
        });
    }
    Ok(())
}

/// Writes rows, many a statement.
pub(crate) fn put<R: StoredRow>(tx: &WriteTx<'_>, rows: impl Iterator<Item = R>) -> Result<()> {
    let rows: Vec<R> = rows.collect();
    let (many, rest) = rows.split_at(rows.len() - rows.len() % ROWS_A_STATEMENT);
    put_chunks(tx, &R::sql().put_many, many.chunks(ROWS_A_STATEMENT))?;
    put_chunks(tx, &R::sql().put_one, rest.chunks(1))
}

fn put_chunks<'r, R: StoredRow + 'r>(
    tx: &WriteTx<'_>,
    sql: &str,
    chunks: impl ExactSizeIterator<Item = &'r [R]>,
) -> Result<()> {
    if chunks.len() == 0 {
        return Ok(());
    }
    let mut statement = tx.prepare_cached(sql).map_err(classify)?;
    for chunk in chunks {
        for (i, row) in chunk.iter().enumerate() {
            row.bind(&mut statement, 1 + i * R::COLUMNS.len()).map_err(classify)?;
        }
        statement.raw_execute().map_err(classify)?;
    }
    Ok(())
}

/// Deletes the rows with these keys.
pub(crate) fn delete<R: StoredRow, const K: usize>(
    tx: &WriteTx<'_>,
    keys: impl Iterator<Item = [i64; K]>,
) -> Result<()> {
    let condition: Vec<String> = R::COLUMNS[..K].iter().map(|column| format!("{column} = ?")).collect();
    let sql = format!("DELETE FROM {} WHERE {}", R::TABLE, condition.join(" AND "));
    let mut statement = tx.prepare(&sql).map_err(classify)?;
    for key in keys {
        statement.execute(rusqlite::params_from_iter(key)).map_err(classify)?;
    }
    Ok(())
}

/// A whole number of this column; `None` for any other type or a number out of range.
pub(crate) fn int<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> Option<T> {
    match row.get_ref(column) {
        Ok(ValueRef::Integer(n)) => T::try_from(n).ok(),
        _ => None,
    }
}

/// A whole number or NULL.
pub(crate) fn opt_int<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> Option<Option<T>> {
    match row.get_ref(column) {
        Ok(ValueRef::Null) => Some(None),
        Ok(ValueRef::Integer(n)) => T::try_from(n).ok().map(Some),
        _ => None,
    }
}

/// 0 or 1.
pub(crate) fn flag(row: &Row<'_>, column: usize) -> Option<bool> {
    int::<u8>(row, column).filter(|n| *n <= 1).map(|n| n == 1)
}

/// Text in UTF-8.
pub(crate) fn text<'r>(row: &'r Row<'_>, column: usize) -> Option<&'r str> {
    row.get_ref(column).ok()?.as_str().ok()
}

/// Text in UTF-8, or NULL.
pub(crate) fn opt_text<'r>(row: &'r Row<'_>, column: usize) -> Option<Option<&'r str>> {
    match row.get_ref(column).ok()? {
        ValueRef::Null => Some(None),
        value => value.as_str().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use crate::store::schema;

    #[test]
    fn a_table_with_a_composite_key_has_no_other_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, schema::State::New).unwrap();
        let mut statement = connection
            .prepare(
                "SELECT t.name, count(*), count(*) FILTER (WHERE i.origin <> 'pk')
                   FROM pragma_table_list t, pragma_index_list(t.name) i
                  WHERE t.schema = 'main' AND t.wr GROUP BY t.name",
            )
            .unwrap();
        let tables: Vec<(String, i64, i64)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for table in ["attendance", "baseline", "cell", "own_count", "remark", "source"] {
            assert!(tables.contains(&(table.to_owned(), 1, 0)), "{table}: {tables:?}");
        }
    }
}
