//! Table `meta`: what the file knows about itself.

use rusqlite::{Connection, OptionalExtension};

use super::checksum::Checksum;
use super::connection::classify;
use super::ledger::LedgerRow;
use super::transaction::WriteTx;
use crate::error::Result;

/// The device that last opened the file.
pub(crate) const INSTALL_ID: &str = "install_id";

/// How often the file was opened after commits had been left in its WAL.
pub(crate) const BOOTS: &str = "boots";

/// The number of the first user who signed in on this device: what is recorded while nobody is signed in is
/// theirs, for ever.
pub(crate) const FIRST_USER: &str = "first_user";

/// The number of the user who read a counter last: their baselines are this device's, all others are past.
const COUNTED_BY: &str = "counted_by";

/// In place of that number where nobody knows where the counters stand: no user ever has it.
pub(crate) const NOBODY: i64 = 0;

/// Who read a counter last, as far as the file says so.
pub(crate) fn counted_by(connection: &Connection) -> Result<Option<i64>> {
    Ok(get(connection, COUNTED_BY)?.and_then(|number| number.parse().ok()))
}

/// Notes who read a counter last.
pub(crate) fn set_counted_by(tx: &WriteTx<'_>, user: i64) -> Result<()> {
    set(tx, COUNTED_BY, &user.to_string())
}

/// A user's baselines are about to go. Where they may be this device's, what other users have of their own must
/// not take their place: it is from before, and would credit the same steps again.
pub(crate) fn forget_baselines(tx: &WriteTx<'_>, ledger: &LedgerRow) -> Result<()> {
    let has_some = ledger.rows.baselines > 0;
    if has_some && counted_by(tx)?.is_none_or(|user| user == ledger.user) {
        set_counted_by(tx, NOBODY)?;
    }
    Ok(())
}

/// The value of a key; `None` where there is none or its checksum, which lies beside it, disagrees.
pub(crate) fn get(connection: &Connection, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    let mut get =
        |key: &str| statement.query_row([key], |row| row.get::<_, String>(0)).optional().map_err(classify);
    let (value, sum) = (get(key)?, get(&checksum_key(key))?);
    Ok(value.filter(|value| sum == Some(checksum(value))))
}

/// Every key whose checksum agrees, with its value.
pub(crate) fn all(connection: &Connection) -> Result<Vec<(String, String)>> {
    let mut statement = connection.prepare("SELECT key FROM meta").map_err(classify)?;
    let keys = statement.query_map([], |row| row.get::<_, String>(0)).map_err(classify)?;
    let keys: Vec<String> = keys.collect::<rusqlite::Result<_>>().map_err(classify)?;
    let mut known = Vec::new();
    for key in keys {
        if let Some(value) = get(connection, &key)? {
            known.push((key, value));
        }
    }
    Ok(known)
}

pub(crate) fn set(tx: &WriteTx<'_>, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2), (?3, ?4)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    let row = (key, value, checksum_key(key), checksum(value));
    tx.execute(sql, row).map(|_| ()).map_err(classify)
}

/// No user's name has a control character, so that no key of a user is another key's checksum.
fn checksum_key(key: &str) -> String {
    if key == INSTALL_ID { format!("{key}_chk") } else { format!("{key}\u{1f}chk") }
}

fn checksum(value: &str) -> String {
    Checksum::of(8).text(value).finish().to_string()
}
