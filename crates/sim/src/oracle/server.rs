//! The server's half: one user's ledger, its revision, and the verdicts of section 8.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{DayNumber, Item, SourceNumber, Value};
use super::limits;
use super::replica::{Refused, Replica};

/// The server's answer to a batch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdicts {
    /// The facts that the server now knows, exactly as they came.
    pub accepted: Vec<Item>,
    /// The facts that it refused, with the codes.
    pub refused: Vec<(Item, &'static str)>,
    /// The facts that only recovery mode accepted.
    pub flagged: Vec<Item>,
    /// Whether anything changed, so that the revision rose.
    pub changed: bool,
}

/// What a server's operators do to a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moderation {
    /// A correction to these values, or to absent.
    Correct(Option<(u32, u32)>),
    /// The end of a correction.
    Unpin,
}

/// One user on a server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerReplica {
    /// The ledger. Nothing is pending in it.
    pub replica: Replica,
    /// Raised once in every transaction that changed something.
    pub revision: u64,
    /// Raised by erasure.
    pub generation: u32,
    changed_at: BTreeMap<(DayNumber, Option<SourceNumber>), u64>,
}

impl ServerReplica {
    /// Takes a batch in one transaction: one verdict an item, in the order of the batch. `latest_day` is
    /// today at UTC+14.
    pub fn ingest(&mut self, items: &[Item], latest_day: DayNumber, recovery: bool) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for item in items {
            let flagged = match self.check(*item, latest_day) {
                Err(Refused::EpochNotAllowed) if recovery => true,
                Err(refused) => {
                    verdicts.refused.push((*item, refused.code()));
                    continue;
                }
                Ok(()) => false,
            };
            verdicts.accepted.push(*item);
            if flagged {
                verdicts.flagged.push(*item);
            }
            if self.replica.take(*item) {
                verdicts.changed = true;
                self.changed_at.insert(item.key(), self.revision + 1);
            }
        }
        if verdicts.changed {
            self.revision += 1;
        }
        verdicts
    }

    /// The checks of section 8, and the client's rule of section 3 last.
    fn check(&self, item: Item, latest_day: DayNumber) -> Result<(), Refused> {
        if item.day() > latest_day {
            return Err(Refused::FutureDay);
        }
        limits::check_range(item.day())?;
        let Item::Cell { day, source, value } = item else { return Ok(()) };
        limits::check_counts(value.counts)?;
        self.replica.check_source(source)?;
        let own = self.replica.mark(day, source).value;
        let pins = value.is_pinned() && value.epoch > own.epoch;
        let ahead = u32::from(value.epoch) > u32::from(own.epoch) + limits::EPOCH_LEAD;
        if pins || ahead { Err(Refused::EpochNotAllowed) } else { Ok(()) }
    }

    /// The facts that changed after a revision, with their present values.
    pub fn changes_since(&self, revision: u64) -> BTreeSet<Item> {
        let changed = |item: &Item| self.changed_at.get(&item.key()).is_some_and(|at| *at > revision);
        self.replica.items().into_iter().filter(changed).collect()
    }

    /// A privileged operation of the server's own operators: one transaction. Says whether it changed
    /// anything.
    ///
    /// # Errors
    /// Those of [`Replica::correct`] and [`Replica::unpin`].
    pub fn moderate(
        &mut self,
        day: DayNumber,
        source: SourceNumber,
        moderation: Moderation,
        today: DayNumber,
    ) -> Result<bool, Refused> {
        let before: Value = self.replica.mark(day, source).value;
        match moderation {
            Moderation::Correct(to) => self.replica.correct(day, source, to, today)?,
            Moderation::Unpin => self.replica.unpin(day, source, today)?,
        }
        let changed = self.replica.mark(day, source).value != before;
        if changed {
            self.revision += 1;
            self.changed_at.insert((day, Some(source)), self.revision);
        }
        Ok(changed)
    }

    /// Erases the user: nothing is left but a higher generation, which begins at revision 0.
    pub fn erase(&mut self) {
        *self = ServerReplica { generation: self.generation + 1, ..ServerReplica::default() };
    }
}
