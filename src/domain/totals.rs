//! Totals that a server keeps, updated by the difference a changed day makes.
//!
//! A device keeps none: its fold is fast. A server that ranks houses by week needs the week totals of
//! many users at once and updates them in the transaction that changed the days. The full fold is the
//! definition; a property test holds the two equal.

use std::collections::BTreeMap;

use serde::Serialize;

use super::day::{Day, Week, WeekStart};
use super::timeline::{Change, Timeline};

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

    /// Totals as a server stored them.
    pub fn from_weeks(
        week_start: WeekStart,
        weeks: impl IntoIterator<Item = (Week, WeekTotals)>,
    ) -> KeptTotals {
        KeptTotals { week_start, weeks: weeks.into_iter().collect() }
    }

    /// The full fold: what the kept totals must equal. `verify` compares them at one revision.
    pub fn of(timeline: &Timeline, week_start: WeekStart) -> KeptTotals {
        let mut totals = KeptTotals::new(week_start);
        let all = timeline.days(Day::FIRST..Day::LAST.next());
        let changes: Vec<Change> =
            all.map(|(day, state)| Change { day, before: None, after: Some(state) }).collect();
        totals.apply(&changes);
        totals
    }

    /// Takes in what an operation changed. Each change must come once, and on top of the totals from before
    /// it; totals that had drifted stop at 0 and stay wrong until [`KeptTotals::of`] repairs them.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            let week = change.day.week(self.week_start);
            let totals = self.weeks.entry(week).or_default();
            if let Some(before) = change.before {
                totals.shown = totals.shown.saturating_sub(before.shown.into());
                totals.ranked = totals.ranked.saturating_sub(before.ranked.into());
                totals.days_logged = totals.days_logged.saturating_sub(1);
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
