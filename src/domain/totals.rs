//! Totals that a server keeps, updated by the difference a changed day makes.
//!
//! A device keeps none: its fold is fast. A server that ranks houses by week needs the week totals of
//! many users at once and updates them in the transaction that changed the days. The full fold is the
//! definition; a property test holds the two equal.

use std::collections::BTreeMap;

use serde::Serialize;

use super::day::{Week, WeekStart};
use super::timeline::Change;

/// What a week holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct WeekTotals {
    /// Shown steps.
    pub shown: u64,
    /// Ranked steps.
    pub ranked: u64,
    /// Logged days.
    pub days_logged: u32,
}

/// A user's kept totals.
///
/// ```
/// use manbo::{KeptTotals, WeekStart};
/// # fn changes() -> Vec<manbo::Change> { vec![] }
/// let mut kept = KeptTotals::new(WeekStart::Monday);
/// kept.apply(&changes());
/// assert_eq!(kept.total_steps(), 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTotals {
    week_start: WeekStart,
    weeks: BTreeMap<Week, WeekTotals>,
}

impl KeptTotals {
    /// Totals of a ledger without a day.
    pub fn new(week_start: WeekStart) -> KeptTotals {
        KeptTotals { week_start, weeks: BTreeMap::new() }
    }

    /// Takes in what an operation changed. Each change must come once.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            let week = change.day.week(self.week_start);
            let totals = self.weeks.entry(week).or_default();
            if let Some(before) = change.before {
                totals.shown -= u64::from(before.shown);
                totals.ranked -= u64::from(before.ranked);
                totals.days_logged -= 1;
            }
            if let Some(after) = change.after {
                totals.shown += u64::from(after.shown);
                totals.ranked += u64::from(after.ranked);
                totals.days_logged += 1;
            }
            if totals.days_logged == 0 {
                self.weeks.remove(&week);
            }
        }
    }

    /// The weeks with a logged day, in order.
    pub fn weeks(&self) -> impl Iterator<Item = (Week, WeekTotals)> + '_ {
        self.weeks.iter().map(|(week, totals)| (*week, *totals))
    }

    /// One week; zeros when nothing of it is logged.
    pub fn week(&self, week: Week) -> WeekTotals {
        self.weeks.get(&week).copied().unwrap_or_default()
    }

    /// Shown steps of all days.
    pub fn total_steps(&self) -> u64 {
        self.weeks.values().map(|week| week.shown).sum()
    }

    /// Days with a log.
    pub fn days_logged(&self) -> u32 {
        self.weeks.values().map(|week| week.days_logged).sum()
    }
}
