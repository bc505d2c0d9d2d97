//! The state of delivery, in the table `meta` under the user's name: what survives the process.
//!
//! But for whose ledger it is, which is kept twice, it holds nothing that cannot be found out again. Where it is
//! damaged it begins anew, and where rows were lost it asks anew: everything known is asked of the server once
//! more, and what is pending stays pending.

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

/// Whose ledger it is, once more: without the generation, what was erased elsewhere could be sent as new.
fn identity_key(user: &str) -> String {
    format!("identity:{user}")
}

pub(crate) fn load(connection: &Connection, user: &str) -> Result<Delivery> {
    let stored = meta::get(connection, &key(user))?;
    if let Some(state) = stored.and_then(|text| serde_json::from_str(&text).ok()) {
        return Ok(state);
    }
    let identity = meta::get(connection, &identity_key(user))?;
    let mut state = Delivery::of(identity.and_then(|text| serde_json::from_str(&text).ok()));
    // 2^40 tickets a user, 16 bits of them chance: a batch every ten seconds for five years.
    state.number_from(u64::from(crc32fast::hash(user.as_bytes())) << 40);
    Ok(state)
}

pub(crate) fn save(tx: &WriteTx<'_>, user: &str, before: &Delivery, delivery: &Delivery) -> Result<()> {
    // The state has no part that JSON cannot write.
    let internal = |error| Error::Internal(Cause::from(error));
    meta::set(tx, &key(user), &serde_json::to_string(delivery).map_err(internal)?)?;
    if before.identity() == delivery.identity() {
        return Ok(());
    }
    meta::set(tx, &identity_key(user), &serde_json::to_string(&delivery.identity()).map_err(internal)?)
}

/// The ledger came from elsewhere.
pub(crate) fn begin_unproven(tx: &WriteTx<'_>, user: &str) -> Result<()> {
    edit(tx, user, Delivery::begin_unproven)
}

/// Rows were lost: what the server knows is asked for from the beginning.
pub(crate) fn ask_anew(tx: &WriteTx<'_>, user: &str) -> Result<()> {
    edit(tx, user, Delivery::ask_anew)
}

fn edit(tx: &WriteTx<'_>, user: &str, change: impl FnOnce(&mut Delivery)) -> Result<()> {
    let before = load(tx, user)?;
    let mut state = before.clone();
    change(&mut state);
    if state == before { Ok(()) } else { save(tx, user, &before, &state) }
}
