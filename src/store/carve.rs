//! Rows read straight from the pages of a damaged file, past its schema and its tree.
//!
//! A damaged page near the root hides every page below it from SQLite. The rows in them are still
//! whole, and each carries a checksum that names its table, so a record found on any page is either one
//! of ours exactly as it was written or nothing. It may be an older version of a row: whoever takes it
//! must prefer the newer one.

use std::io::{Read, Seek};
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection};

use super::connection::classify;
use super::row::StoredRow;
use crate::error::Result;

/// SQLite's default page size, which every ledger has.
pub(crate) const PAGE_LEN: usize = 4_096;
/// Bytes of a WAL before its first frame, and of a frame before its page.
pub(crate) const WAL_HEADER_LEN: usize = 32;
pub(crate) const FRAME_HEADER_LEN: usize = 24;
/// The longest record that lies on one page; a longer one, a remark of unusual length, is not carved.
const INDEX_RECORD_MAX: usize = (PAGE_LEN - 12) * 64 / 255 - 23;
const TABLE_RECORD_MAX: usize = PAGE_LEN - 35;
/// The longest row of a source with all that frames it, and of a user with a UUID for a name.
const SHORT_LEN: usize = 96;
/// The header of a record with thirteen columns, some of them long.
const HEADER_LEN_MAX: usize = 32;
/// The fewest and most columns of a table of ours, but for `meta`.
const COLUMNS: std::ops::RangeInclusive<usize> = 5..=13;
const META_COLUMNS: usize = 2;

/// Turns raw values into rows through SQLite itself, so that there is one way to decode a row.
pub(crate) struct Decoder {
    memory: Connection,
}

impl Decoder {
    pub(crate) fn new() -> Result<Decoder> {
        Connection::open_in_memory().map(|memory| Decoder { memory }).map_err(classify)
    }

    /// The row, if these are its columns and the checksum agrees.
    pub(crate) fn row<R: StoredRow>(&self, values: &[Value]) -> Option<R> {
        decode(&mut self.statement::<R>(values)?, values)
    }

    fn statement<R: StoredRow>(&self, values: &[Value]) -> Option<CachedStatement<'_>> {
        let sql = format!("SELECT {}", vec!["?"; values.len()].join(", "));
        (values.len() == R::COLUMNS.len()).then(|| self.memory.prepare_cached(&sql).ok())?
    }
}

fn decode<R: StoredRow>(statement: &mut CachedStatement<'_>, values: &[Value]) -> Option<R> {
    statement.query_row(rusqlite::params_from_iter(values), |row| Ok(R::decode(row))).ok()?
}

impl Decoder {
    /// The row that differs from these values in one bit, if its checksum agrees. The checksum tells any
    /// two rows of this length apart that differ in up to four bits, so there is at most one.
    pub(crate) fn mended<R: StoredRow>(&self, values: &[Value]) -> Option<R> {
        self.mended_values::<R>(values).and_then(|values| self.row(&values))
    }

    /// The same as values.
    pub(crate) fn mended_values<R: StoredRow>(&self, values: &[Value]) -> Option<Vec<Value>> {
        let mut statement = self.statement::<R>(values)?;
        let mut tried = values.to_vec();
        for (i, value) in values.iter().enumerate() {
            let bits = match value {
                Value::Integer(_) => 64,
                Value::Text(text) => text.len() * 8,
                Value::Null | Value::Real(_) | Value::Blob(_) => 0,
            };
            for bit in 0..bits {
                tried[i] = flipped(value, bit);
                if decode::<R>(&mut statement, &tried).is_some() {
                    return Some(tried);
                }
            }
            tried[i] = value.clone();
        }
        None
    }
}

fn flipped(value: &Value, bit: usize) -> Value {
    match value {
        Value::Integer(n) => Value::Integer(n ^ (1 << bit)),
        Value::Text(text) => {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            String::from_utf8(bytes).map_or(Value::Null, Value::Text)
        }
        other => other.clone(),
    }
}

/// Which records to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Those to which a page points.
    InUse,
    /// Those that lie anywhere in a page, also what is left of deleted ones.
    Anywhere,
}

/// Gives the records of a database file and of its WAL, the newest first: the WAL, whether or not SQLite
/// would believe its frames, before the database, and its last frame before its first.
pub(crate) fn files(path: &Path, look: Look, mut take: impl FnMut(Vec<Value>)) -> std::io::Result<()> {
    let mut records = |page: &[u8]| match look {
        Look::InUse => pointed_records(page, &mut take),
        Look::Anywhere => all_records(page, &mut take),
    };
    pages(&super::beside(path, "-wal"), WAL_HEADER_LEN, FRAME_HEADER_LEN, &mut records)?;
    pages(path, 0, 0, &mut records)
}

/// Gives what every short record of a database file would be with one bit of it flipped: for the few
/// rows on which all others hang, where the flip lies in the record's own header.
pub(crate) fn flipped_records(path: &Path, mut take: impl FnMut(Vec<Value>)) -> std::io::Result<()> {
    pages(path, 0, 0, |page| {
        for start in pointers(page) {
            let mut cell: Vec<u8> = page.iter().skip(start).take(SHORT_LEN).copied().collect();
            for bit in 0..cell.len() * 8 {
                cell[bit / 8] ^= 1 << (bit % 8);
                [false, true].iter().filter_map(|has_rowid| record(&cell, *has_rowid)).for_each(&mut take);
                cell[bit / 8] ^= 1 << (bit % 8);
            }
        }
    })
}

/// Looks at the pages of a file, the last first: in a WAL that is the newest.
fn pages(path: &Path, skip: usize, before: usize, mut look: impl FnMut(&[u8])) -> std::io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let mut file = std::fs::File::open(path)?;
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).saturating_sub(skip);
    let mut piece = vec![0; before + PAGE_LEN];
    for n in (0..len / piece.len()).rev() {
        file.seek(std::io::SeekFrom::Start((skip + n * piece.len()) as u64))?;
        file.read_exact(&mut piece)?;
        look(&piece[before..]);
    }
    Ok(())
}

fn pointers(page: &[u8]) -> impl Iterator<Item = usize> {
    let pointers = page.get(8..).unwrap_or_default().chunks_exact(2);
    // Pointers that were never written are zero.
    pointers.map(|p| usize::from(u16::from_be_bytes([p[0], p[1]]))).filter(|start| *start > 8)
}

/// The records to which a page of a table or an index points.
fn pointed_records(page: &[u8], take: &mut dyn FnMut(Vec<Value>)) {
    let (skip, has_rowid) = match page.first() {
        Some(0x0a) => (0, false),
        Some(0x02) => (4, false),
        Some(0x0d) => (0, true),
        _ => return,
    };
    let count = page.get(3..5).map_or(0, |n| usize::from(u16::from_be_bytes([n[0], n[1]])));
    // The pages inside an index have four more bytes in front of the pointers, too.
    for start in pointers(page.get(skip..).unwrap_or_default()).take(count) {
        if let Some(values) = page.get(start + skip..).and_then(|cell| record(cell, has_rowid)) {
            take(values);
        }
    }
}

/// The records of a page, of whatever kind of tree, wherever they lie in it: the page's own header and
/// pointers may be damaged, and a checksum follows.
fn all_records(page: &[u8], take: &mut dyn FnMut(Vec<Value>)) {
    for start in 0..page.len() {
        [false, true].iter().filter_map(|has_rowid| record(&page[start..], *has_rowid)).for_each(&mut *take);
    }
}

fn record(cell: &[u8], has_rowid: bool) -> Option<Vec<Value>> {
    let (len, cell) = varint(cell)?;
    let (rowid, cell) = if has_rowid { varint(cell)? } else { (0, cell) };
    let len = usize::try_from(len).ok()?;
    if len > if has_rowid { TABLE_RECORD_MAX } else { INDEX_RECORD_MAX } {
        return None;
    }
    let payload = cell.get(..len)?;
    let (header_len, after_len) = varint(payload)?;
    let header_len = usize::try_from(header_len).ok().filter(|len| *len <= HEADER_LEN_MAX)?;
    let mut types = after_len.get(..header_len.checked_sub(payload.len() - after_len.len())?)?;
    let mut body = payload.get(header_len..)?;
    let mut values = Vec::new();
    while !types.is_empty() {
        let (kind, rest) = varint(types)?;
        types = rest;
        values.push(value(kind, &mut body)?);
    }
    if !body.is_empty() || !is_ours(values.len()) {
        return None;
    }
    // A key that is the row's number stands as NULL in the record.
    if let (true, Some(first @ Value::Null)) = (has_rowid, values.first_mut()) {
        *first = Value::Integer(rowid);
    }
    Some(values)
}

fn is_ours(columns: usize) -> bool {
    columns == META_COLUMNS || COLUMNS.contains(&columns)
}

/// A value of the record format (`sqlite.org/fileformat2.html#record_format`).
fn value(kind: i64, body: &mut &[u8]) -> Option<Value> {
    let len = match kind {
        0 | 8 | 9 => 0,
        1..=4 => usize::try_from(kind).ok()?,
        5 => 6,
        6 | 7 => 8,
        12.. => usize::try_from((kind - 12) / 2).ok()?,
        _ => return None,
    };
    let bytes = body.get(..len)?;
    *body = &body[len..];
    Some(match kind {
        0 => Value::Null,
        8 | 9 => Value::Integer(kind - 8),
        7 => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
        1..=6 => {
            let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
            let mut wide = [if negative { 0xff } else { 0 }; 8];
            wide[8 - len..].copy_from_slice(bytes);
            Value::Integer(i64::from_be_bytes(wide))
        }
        _ if kind % 2 == 0 => Value::Blob(bytes.to_vec()),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Blob(bytes.to_vec()),
        },
    })
}

/// A number of one to nine bytes, seven bits each but the last.
fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut number: u64 = 0;
    for (i, byte) in bytes.iter().enumerate().take(9) {
        if i == 8 {
            return Some(((number << 8 | u64::from(*byte)).cast_signed(), &bytes[9..]));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number.cast_signed(), &bytes[i + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_that_sqlite_wrote_is_carved_as_sqlite_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let connection = Connection::open(&path).unwrap();
        let numbers: [i64; 12] =
            [0, 1, -1, 127, -128, 32_767, 8_388_607, -8_388_608, i64::MAX, i64::MIN, 1 << 40, -(1 << 33)];
        connection
            .execute_batch(
                "CREATE TABLE t (a PRIMARY KEY, b, c, d, e) WITHOUT ROWID;
                 CREATE TABLE r (a INTEGER PRIMARY KEY, b, c, d, e)",
            )
            .unwrap();
        for (i, n) in numbers.iter().enumerate() {
            let text = "x".repeat(i * 40);
            connection
                .execute("INSERT INTO t VALUES (?1, ?2, ?3, 1.5, NULL)", (n, &text, text.as_bytes()))
                .unwrap();
            connection.execute("INSERT INTO r VALUES (?1, NULL, 0, 1, 2)", [n]).unwrap();
        }
        let mut read = Vec::new();
        for (sql, columns) in [("SELECT * FROM t", 5), ("SELECT * FROM r", 5)] {
            let mut statement = connection.prepare(sql).unwrap();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                read.push((0..columns).map(|i| row.get(i).unwrap()).collect::<Vec<Value>>());
            }
        }
        let mut carved = Vec::new();
        for look in [Look::InUse, Look::Anywhere] {
            let mut found = Vec::new();
            files(&path, look, |values| found.push(values)).unwrap();
            carved.push(found);
        }
        assert_eq!(read.len(), 24);
        for row in read {
            assert!(carved.iter().all(|found| found.contains(&row)), "{row:?}");
        }
    }

    #[test]
    fn no_bytes_are_too_strange() {
        let mut state = 1_u32;
        for _ in 0..200 {
            let page: Vec<u8> = (0..PAGE_LEN)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state.to_be_bytes()[0]
                })
                .collect();
            let mut check = |values: Vec<Value>| assert!(is_ours(values.len()));
            pointed_records(&page, &mut check);
            all_records(&page, &mut check);
        }
        all_records(&[], &mut |_| unreachable!());
    }
}
