//! The state of delivery, in the table `meta` under the user's name: what survives the process.
//!
//! It holds nothing that cannot be found out again. Where it is damaged it begins anew, and where rows were
//! lost it asks anew: everything known is asked of the server once more, and what is pending stays pending.

use rusqlite::Connection;

use super::meta;
use super::transaction::WriteTx;
use crate::delivery::Delivery;
use crate::error::{Cause, Error, Result};

/// What every key begins with.
pub(crate) const KEYS: &str = "delivery:";

fn key(user: &str) -> String {
    format!("{KEYS}{user}")
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

/// Rows were lost: what the server knows is asked for from the beginning.
pub(crate) fn ask_anew(tx: &WriteTx<'_>, user: &str) -> Result<()> {
    let mut state = load(tx, user)?;
    let before = state.clone();
    state.ask_anew();
    if state == before { Ok(()) } else { save(tx, user, &state) }
}
