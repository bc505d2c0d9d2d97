//! Changes under the write lock: each one transaction, on the file that has the name now.

use std::cmp::Ordering;

use super::connection::classify;
use super::transaction::WriteTx;
use super::{Loaded, SetAside, Store, check_user, delivery, erase, ledger, meta};
use crate::delivery::Delivery;
use crate::domain::canary;
use crate::domain::day::Now;
use crate::domain::ledger::Ledger;
use crate::domain::timeline::Change;
use crate::error::Result;

/// How a step under the lock ends.
pub(super) struct Ended<T> {
    pub(super) result: Result<T>,
    /// Whether anything was written that is to stay.
    pub(super) keep: bool,
    pub(super) noted: Vec<SetAside>,
}

/// What became of a change on a cached ledger.
enum Saved {
    Yes,
    Refused,
    Stale,
}

impl Store {
    /// Runs a step under the write lock and ends its transaction. A file that was moved aside is let go first:
    /// what is written to it would be lost.
    pub(super) fn locked<T>(
        &mut self,
        step: &mut impl FnMut(&WriteTx<'_>, &Store) -> Result<Ended<T>>,
    ) -> Result<T> {
        loop {
            let Some(tx) = self.begin()? else {
                self.connect()?;
                continue;
            };
            let Ended { result, keep, noted } = step(&tx, self)?;
            if keep {
                tx.commit()?;
            } else {
                drop(tx);
            }
            self.note(noted);
            return result;
        }
    }

    /// The write lock; `None` when the file was moved aside. Asked only under the lock, which whoever moves the
    /// file holds too.
    fn begin(&self) -> Result<Option<WriteTx<'_>>> {
        let tx = WriteTx::begin(self.connected()?, self.options.busy_timeout)?;
        Ok(if self.has_moved() { None } else { Some(tx) })
    }

    /// A user's ledger under the write lock; rows that cannot be trusted are set aside.
    fn load_locked(&self, tx: &WriteTx<'_>, user: &str) -> Result<(Loaded, Vec<SetAside>)> {
        let (mut loaded, noted) = Loaded::load_for_write(tx, user, self.options.keeping())?;
        loaded.opening = self.openings;
        Ok((loaded, noted))
    }

    /// Runs a change on the ledger in the slot, or on a fresh one if another process was faster, and
    /// writes the rows that differ in one transaction.
    pub(crate) fn update<T>(
        &mut self,
        user: &str,
        slot: &mut Option<Loaded>,
        change: &mut impl FnMut(&mut Ledger) -> Result<T>,
    ) -> Result<T> {
        check_user(user)?;
        self.recovering(|store| {
            store.settle_recovered(user)?;
            if let Some(mut loaded) = slot.take() {
                let result = change(&mut loaded.ledger);
                match store.save_if_current(&mut loaded, result.is_ok())? {
                    Saved::Yes => {
                        *slot = Some(loaded);
                        return result;
                    }
                    Saved::Refused => return result,
                    Saved::Stale => {}
                }
            }
            let mut fresh = None;
            let result = store.locked(&mut |tx, store| {
                let (mut loaded, noted) = store.load_locked(tx, user)?;
                let result = change(&mut loaded.ledger);
                let keep = result.is_ok();
                if keep {
                    loaded.save(tx)?;
                    fresh = Some(loaded);
                }
                Ok(Ended { result, keep, noted: if keep { noted } else { Vec::new() } })
            });
            if result.is_ok() {
                *slot = fresh;
            }
            result
        })
    }

    /// Runs a step of delivery on the ledger and its state, under the lock and in one transaction, so that
    /// of two processes only one hands out a batch. A refused report still counts as a failure.
    ///
    /// A batch that is handed out has its lease and its number committed before: a commit that changes a value
    /// and is flushed, so that everything in the batch is durable here before anyone else hears of it. Without
    /// that, what SQLite recovered from a WAL that was never flushed could be sent, and lost by a power cut.
    pub(crate) fn deliver<T>(
        &mut self,
        user: &str,
        slot: &mut Option<Loaded>,
        step: &mut impl FnMut(&mut Ledger, &mut Delivery) -> Result<T>,
    ) -> Result<T> {
        check_user(user)?;
        self.recovering(|store| {
            store.settle_recovered(user)?;
            let mut cached = slot.take();
            let mut fresh = None;
            let unflushed = canary::sings("batches leave before they are flushed");
            if unflushed {
                store.connected()?.execute_batch("PRAGMA synchronous = NORMAL").map_err(classify)?;
            }
            let result = store.locked(&mut |tx, store| {
                let (mut loaded, noted) = match cached.take() {
                    Some(loaded) if store.is_newest(&loaded, tx)? => (loaded, Vec::new()),
                    _ => store.load_locked(tx, user)?,
                };
                let before = delivery::load(tx, user)?;
                let mut state = before.clone();
                let result = step(&mut loaded.ledger, &mut state);
                let changed = result.is_ok() && !loaded.ledger.is_saved();
                if changed {
                    loaded.save(tx)?;
                }
                if state != before {
                    delivery::save(tx, user, &before, &state)?;
                }
                let keep = changed || state != before || !noted.is_empty();
                fresh = result.is_ok().then_some(loaded);
                Ok(Ended { result, keep, noted })
            });
            if unflushed {
                store.connected()?.execute_batch("PRAGMA synchronous = FULL").map_err(classify)?;
            }
            if result.is_ok() {
                *slot = fresh;
            }
            result
        })
    }

    /// Drops a person's data where the server said that it was erased; gives the new generation.
    pub(crate) fn follow_erasure(&mut self, user: &str) -> Result<Option<u32>> {
        let mut followed = None;
        self.drop_person(user, &mut |state| {
            followed = state.erased();
            if let Some(generation) = followed {
                state.begin_generation(generation);
            }
            Ok(followed.is_some())
        })?;
        Ok(followed)
    }

    /// Drops a person's data, if a look at the state of delivery, which it brings up to date, says so.
    pub(crate) fn drop_person(
        &mut self,
        user: &str,
        begin: &mut impl FnMut(&mut Delivery) -> Result<bool>,
    ) -> Result<()> {
        check_user(user)?;
        self.recovering(|store| {
            store.settle_recovered(user)?;
            erase::overwrite(store.connected()?, true)?;
            let dropped = store.locked(&mut |tx, _| {
                let before = delivery::load(tx, user)?;
                let mut state = before.clone();
                let drops = begin(&mut state);
                let keep = matches!(drops, Ok(true));
                if keep {
                    clear(tx, user)?;
                    delivery::save(tx, user, &before, &state)?;
                }
                Ok(Ended { result: drops, keep, noted: Vec::new() })
            });
            store.end_erasure(matches!(dropped, Ok(true)))?;
            dropped.map(|_| ())
        })
    }

    /// Takes the bytes off the disk after an erasure, which is done whether or not that succeeds.
    pub(super) fn end_erasure(&mut self, erased: bool) -> Result<()> {
        if erased && self.scrub(self.options.busy_timeout).is_err() {
            // The next call meets the damage, and mends it.
            self.calls_before_scrub = 0;
        }
        if erase::overwrite(self.connected()?, false).is_err() {
            self.recovered = true;
        }
        Ok(())
    }

    /// Gives what was recorded before anyone signed in to the first user who signs in, and to no other. What was
    /// erased meanwhile goes to nobody.
    pub(crate) fn sign_in(&mut self, user: &str, now: Now) -> Result<(Loaded, Vec<Change>)> {
        check_user(user)?;
        self.recovering(|store| {
            store.settle_recovered(user)?;
            store.locked(&mut |tx, store| {
                let (mut own, mut noted) = store.load_locked(tx, user)?;
                let first = meta::get(tx, meta::FIRST_USER)?;
                let is_first = canary::sings("signed-out steps go to everyone")
                    || first.is_none()
                    || first == own.user().map(|number| number.to_string());
                let mut changes = Vec::new();
                if is_first && !user.is_empty() {
                    let (signed_out, more) = store.load_locked(tx, SIGNED_OUT)?;
                    noted.extend(more);
                    let before = delivery::load(tx, SIGNED_OUT)?;
                    let goes = SignedOut::goes(&before, &delivery::load(tx, user)?);
                    if goes == SignedOut::ToTheUser {
                        changes = own.ledger.take_over(&signed_out.ledger, now);
                    }
                    own.save(tx)?;
                    if goes != SignedOut::Nowhere {
                        clear(tx, SIGNED_OUT)?;
                        let mut after = before.clone();
                        after.begin_for_nobody();
                        delivery::save(tx, SIGNED_OUT, &before, &after)?;
                    }
                    let number = own.user().unwrap_or_default().to_string();
                    meta::set(tx, meta::FIRST_USER, &number)?;
                }
                if !user.is_empty() {
                    own.begin_counters(tx)?;
                }
                Ok(Ended { result: Ok((own, changes)), keep: true, noted })
            })
        })
    }

    fn save_if_current(&mut self, loaded: &mut Loaded, changed_well: bool) -> Result<Saved> {
        if loaded.ledger.is_saved() {
            // Also what changes nothing is in the file only if this is still the file.
            let current = self.is_current(loaded)? && !self.has_moved();
            return Ok(if current { Saved::Yes } else { Saved::Stale });
        }
        if !changed_well {
            // Half a change in memory: the file knows better.
            return Ok(Saved::Refused);
        }
        let Some(tx) = self.begin()? else { return Ok(Saved::Stale) };
        if !self.is_newest(loaded, &tx)? {
            return Ok(Saved::Stale);
        }
        loaded.save(&tx)?;
        if canary::sings("success before the commit") {
            return Ok(Saved::Yes);
        }
        tx.commit()?;
        Ok(Saved::Yes)
    }
}

/// What becomes of what was recorded signed out when its user signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignedOut {
    /// It is joined to what the user has.
    ToTheUser,
    /// Its generation was erased: it goes to nobody.
    ToNobody,
    /// It stays for the next time: what the user has here is of a generation that was erased, of which this device
    /// is still to be told. Joined to that, it would go with it.
    Nowhere,
}

impl SignedOut {
    /// Compares the generations where a server named the same ledger to both.
    fn goes(signed_out: &Delivery, user: &Delivery) -> SignedOut {
        if signed_out.erased().is_some() {
            return SignedOut::ToNobody;
        }
        match (signed_out.identity(), user.identity()) {
            (Some(from), Some(to)) if from.ledger == to.ledger => match from.generation.cmp(&to.generation) {
                Ordering::Less => SignedOut::ToNobody,
                Ordering::Equal => SignedOut::ToTheUser,
                Ordering::Greater => SignedOut::Nowhere,
            },
            _ => SignedOut::ToTheUser,
        }
    }
}

/// The ledger of whoever is not signed in.
const SIGNED_OUT: &str = "";

/// Drops every row of a person; the row that names them stays.
fn clear(tx: &WriteTx<'_>, user: &str) -> Result<()> {
    let Some(row) = ledger::find(tx, user)? else { return Ok(()) };
    erase::erase(tx, &row).map(|_| ())
}
