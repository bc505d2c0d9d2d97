//! The state of delivery, in the table `meta` under the user's name: what survives the process.
//!
//! It holds nothing that cannot be found out again. Damaged or missing, as after the mending of a file, it
//! begins anew: everything known is asked of the server once more, and what is pending stays pending.

use rusqlite::Connection;

use super::meta;
use super::transaction::WriteTx;
use crate::delivery::Delivery;
use crate::error::{Cause, Error, Result};

fn key(user: &str) -> String {
    format!("delivery:{user}")
}

pub(crate) fn load(connection: &Connection, user: &str) -> Result<Delivery> {
    let stored = meta::get(connection, &key(user))?;
    Ok(stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

pub(crate) fn save(tx: &WriteTx<'_>, user: &str, delivery: &Delivery) -> Result<()> {
    // The state has no part that JSON cannot write.
    let text = serde_json::to_string(delivery).map_err(|error| Error::Internal(Cause::from(error)))?;
    meta::set(tx, &key(user), &text)
}
