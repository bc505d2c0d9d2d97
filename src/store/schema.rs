//! The schema: a frozen list of migrations; the version of a file is the number of those it has.

use rusqlite::{Connection, TransactionBehavior};

use super::failure::classify;
use super::row::text;
use crate::error::{Error, Result};

/// "manb" in ASCII: what tells a ledger from any other SQLite file.
pub(crate) const APPLICATION_ID: i32 = 0x6d61_6e62;

/// Version = index + 1. A test pins the digest of each shipped file.
pub(crate) const MIGRATIONS: &[&str] =
    &[include_str!("sql/0001_ledger.sql"), include_str!("sql/0002_history.sql")];

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing in it yet.
    New,
    /// A ledger with so many migrations.
    Ledger(usize),
}

/// Tells what a file is, without writing.
pub(crate) fn identify(connection: &Connection) -> Result<State> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(classify);
    let id = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    if id == i64::from(APPLICATION_ID) {
        return match usize::try_from(version) {
            Ok(known) if (1..=MIGRATIONS.len()).contains(&known) => Ok(State::Ledger(known)),
            Ok(newer) if newer > 0 => Err(Error::NewerSchema { found: version, known: known_version() }),
            _ => Err(Error::Foreign),
        };
    }
    let empty = id == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0;
    if empty { Ok(State::New) } else { Err(Error::Foreign) }
}

fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings a file to the newest schema, in one transaction: old or new, never between.
pub(crate) fn migrate(connection: &mut Connection, state: State) -> Result<()> {
    if state == State::Ledger(MIGRATIONS.len()) {
        return Ok(());
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classify)?;
    // Another process may have done it while this one waited.
    let done = match identify(&tx)? {
        State::New => 0,
        State::Ledger(version) => version,
    };
    for migration in &MIGRATIONS[done..] {
        tx.execute_batch(migration).map_err(classify)?;
    }
    let stamp =
        format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}", MIGRATIONS.len());
    tx.execute_batch(&stamp).map_err(classify)?;
    tx.commit().map_err(classify)
}

/// The objects of the newest schema with the CRC-32 of their SQL. A test makes the list anew.
const OBJECTS: [(&str, u32); 12] = [
    ("meta", 3_570_883_030),
    ("ledger", 1_603_370_213),
    ("source", 311_921_034),
    ("cell", 845_234_442),
    ("attendance", 2_809_145_107),
    ("baseline", 2_982_175_201),
    ("own_count", 3_643_765_806),
    ("remark", 1_056_214_734),
    ("set_aside", 2_226_348_614),
    ("readable", 1_274_103_832),
    ("change", 730_776_015),
    ("era", 3_527_039_855),
];

/// Whether the schema is the one that this version makes. What a person added (an index, a view) may
/// stay; a trigger would change rows behind our back.
pub(crate) fn verify(connection: &Connection) -> Result<()> {
    let sql = "SELECT name, sql, type = 'trigger' FROM sqlite_schema WHERE sql IS NOT NULL";
    let mut statement = connection.prepare(sql).map_err(classify)?;
    let mut rows = statement.query([]).map_err(classify)?;
    let mut found = 0;
    while let Some(row) = rows.next().map_err(classify)? {
        let (name, sql) = (text(row, 0).unwrap_or_default(), text(row, 1).unwrap_or_default());
        found += usize::from(OBJECTS.contains(&(name, crc32fast::hash(sql.as_bytes()))));
        if row.get::<_, bool>(2).map_err(classify)? {
            return Err(Error::Corrupt("the schema holds a trigger".into()));
        }
    }
    if found == OBJECTS.len() { Ok(()) } else { Err(Error::Corrupt("the schema is damaged".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use sha2::{Digest, Sha256};

    #[test]
    fn shipped_migrations_are_frozen() {
        let digests: Vec<String> = MIGRATIONS
            .iter()
            .map(|sql| Sha256::digest(sql.as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect())
            .collect();
        assert_eq!(digests, ["703f162b0d145cbb", "eeca1be94a3c2262"]);
    }

    #[test]
    fn the_objects_are_those_that_the_migrations_make() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, State::New).unwrap();
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let made: Vec<(String, String)> = rows.collect::<Result<_, _>>().unwrap();
        let made: Vec<(&str, u32)> =
            made.iter().map(|(name, sql)| (name.as_str(), crc32fast::hash(sql.as_bytes()))).collect();
        assert_eq!(made, OBJECTS);
    }

    #[test]
    fn only_an_empty_file_is_new() {
        let memory = || Connection::open_in_memory().unwrap();
        assert_eq!(identify(&memory()).unwrap(), State::New);
        let check = |sql: &str| {
            let connection = memory();
            connection.execute_batch(sql).unwrap();
            identify(&connection).map_err(|error| error.code())
        };
        assert_eq!(check("CREATE TABLE t (x)"), Err(Code::StorageForeign));
        assert_eq!(check("PRAGMA user_version = 1"), Err(Code::StorageForeign));
        assert_eq!(check("PRAGMA application_id = 7"), Err(Code::StorageForeign));
        let ours = format!("PRAGMA application_id = {APPLICATION_ID};");
        assert_eq!(check(&ours), Err(Code::StorageForeign));
        assert_eq!(check(&format!("{ours} PRAGMA user_version = -1")), Err(Code::StorageForeign));
        for newer in [MIGRATIONS.len() + 1, 0x7fff_ffff] {
            assert_eq!(check(&format!("{ours} PRAGMA user_version = {newer}")), Err(Code::NewerSchema));
        }
    }
}
