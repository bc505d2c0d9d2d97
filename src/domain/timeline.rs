//! All days of one user in order: what they show, what ranks, and the level each begins with.
//!
//! Derived from the cells, held in memory only. A change walks forward from the first changed day
//! until the levels agree again, so that recording today costs the same after twenty years; the full
//! fold ([`Timeline::build`]) is the definition, and a property test holds the two equal.

use serde::{Deserialize, Serialize};

use super::canary;
use super::day::Day;
use super::level::{Level, LevelRules};

/// What counts of a logged day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct DayTotals {
    /// What the walker sees: for levels and personal statistics.
    pub shown: u32,
    /// Measured steps, capped: for rankings.
    pub ranked: u32,
}

/// A logged day with its levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct DayState {
    /// What the walker sees.
    pub shown: u32,
    /// What counts for rankings.
    pub ranked: u32,
    /// The level with which the day began.
    pub initial_level: Level,
    /// The level that its steps made of it.
    pub level: Level,
}

/// A day whose shown or ranked steps, levels or logged state differ after an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Change {
    /// The day.
    pub day: Day,
    /// Before; `None` when it was not logged.
    pub before: Option<DayState>,
    /// After; `None` when it is not logged.
    pub after: Option<DayState>,
}

/// Not a step count: the limit of a day is 300,000.
const UNLOGGED: u32 = u32::MAX;
/// Not a level: a day that was not in the timeline before.
const NO_LEVEL: u8 = u8::MAX;

/// The days from the first logged to the last, without a hole in memory: 9 bytes a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    rules: LevelRules,
    first: Day,
    // One entry a civil day from `first`; the first and the last are logged.
    shown: Vec<u32>,
    ranked: Vec<u32>,
    initial: Vec<u8>,
}

impl Timeline {
    /// A timeline without a day.
    pub fn new(rules: LevelRules) -> Timeline {
        Timeline { rules, first: Day::FIRST, shown: Vec::new(), ranked: Vec::new(), initial: Vec::new() }
    }

    /// The fold over logged days in ascending order: the definition of every level.
    pub fn build(rules: LevelRules, days: impl IntoIterator<Item = (Day, DayTotals)>) -> Timeline {
        let mut timeline = Timeline::new(rules);
        let mut level = rules.start();
        for (day, totals) in days {
            if timeline.shown.is_empty() {
                timeline.first = day;
            }
            while timeline.end() < day {
                timeline.push(UNLOGGED, 0, level);
                level = rules.after_gap(level);
            }
            timeline.push(totals.shown, totals.ranked, level);
            level = rules.after(level, totals.shown);
        }
        timeline
    }

    fn push(&mut self, shown: u32, ranked: u32, initial: Level) {
        self.shown.push(shown);
        self.ranked.push(ranked);
        self.initial.push(initial.index());
    }

    /// The day after the last logged one.
    fn end(&self) -> Day {
        self.first.plus(i32::try_from(self.shown.len()).unwrap_or(i32::MAX))
    }

    fn index(&self, day: Day) -> Option<usize> {
        usize::try_from(day.since(self.first)).ok().filter(|i| *i < self.shown.len())
    }

    fn day(&self, index: usize) -> Day {
        self.first.plus(i32::try_from(index).unwrap_or(i32::MAX))
    }

    fn initial_level(&self, index: usize) -> Level {
        Level::ALL[usize::from(self.initial[index]).min(4)]
    }

    fn state(&self, index: usize, initial: u8) -> Option<DayState> {
        let shown = self.shown[index];
        if shown == UNLOGGED || initial == NO_LEVEL {
            return None;
        }
        let initial_level = Level::ALL[usize::from(initial).min(4)];
        let level = self.rules.level(initial_level, shown);
        Some(DayState { shown, ranked: self.ranked[index], initial_level, level })
    }

    /// The rules that the levels follow.
    pub fn rules(&self) -> &LevelRules {
        &self.rules
    }

    /// A logged day.
    pub fn get(&self, day: Day) -> Option<DayState> {
        self.index(day).and_then(|i| self.state(i, self.initial[i]))
    }

    /// The first logged day.
    pub fn first_logged(&self) -> Option<Day> {
        (!self.shown.is_empty()).then_some(self.first)
    }

    /// The last logged day.
    pub fn last_logged(&self) -> Option<Day> {
        (!self.shown.is_empty()).then(|| self.end().previous())
    }

    /// The logged days of the half-open range, ascending.
    pub fn days(&self, range: std::ops::Range<Day>) -> impl Iterator<Item = (Day, DayState)> + '_ {
        let clip = |day: Day| usize::try_from(day.since(self.first)).unwrap_or(0).min(self.shown.len());
        let (start, end) = (clip(range.start), clip(range.end));
        (start..end.max(start)).filter_map(|i| Some((self.day(i), self.state(i, self.initial[i])?)))
    }

    /// The last logged day before a day.
    pub fn logged_before(&self, day: Day) -> Option<(Day, DayState)> {
        let end = usize::try_from(day.since(self.first)).unwrap_or(0).min(self.shown.len());
        (0..end).rev().find_map(|i| Some((self.day(i), self.state(i, self.initial[i])?)))
    }

    /// The level of a day: its own if it is logged, else the initial level it would have.
    pub fn current_level(&self, as_of: Day) -> Level {
        if self.shown.is_empty() || as_of < self.first {
            return self.rules.start();
        }
        if let Some(index) = self.index(as_of) {
            return self.state(index, self.initial[index]).map_or(self.initial_level(index), |s| s.level);
        }
        let last = self.shown.len() - 1;
        let after = self.rules.after(self.initial_level(last), self.shown[last]);
        // Days strictly between the last logged day and this one.
        let missing = u32::try_from(as_of.since(self.end())).unwrap_or(0);
        self.rules.gap_transition(missing).apply(after)
    }

    /// The shown steps of the days up to `as_of`, oldest first, with the first day; unlogged days are
    /// [`Timeline::is_logged`]` == false`.
    pub(crate) fn shown_up_to(&self, as_of: Day) -> (Day, &[u32]) {
        let len = usize::try_from(as_of.since(self.first) + 1).unwrap_or(0).min(self.shown.len());
        (self.first, &self.shown[..len])
    }

    /// Whether an entry of [`Timeline::shown_up_to`] is a logged day.
    pub(crate) const fn is_logged(shown: u32) -> bool {
        shown != UNLOGGED
    }

    /// Sets days (ascending, each once; `None` = not logged) and reports every day that differs.
    pub fn apply(&mut self, days: &[(Day, Option<DayTotals>)]) -> Vec<Change> {
        self.cover(days);
        let mut changes = Vec::new();
        let mut touched =
            days.iter().filter_map(|(day, totals)| Some((self.index(*day)?, *totals))).collect::<Vec<_>>();
        touched.reverse();
        let Some(mut index) = touched.last().map(|(first, _)| self.last_level_before(*first)) else {
            return changes;
        };
        // `None`: no logged day so far, so that gaps do not count yet.
        let mut level = (index > 0).then(|| self.initial_level(index));
        while index < self.shown.len() {
            let before = self.state(index, self.initial[index]);
            if let Some((_, totals)) = touched.pop_if(|(i, _)| *i == index) {
                self.shown[index] = totals.map_or(UNLOGGED, |t| t.shown);
                self.ranked[index] = totals.map_or(0, |t| t.ranked);
            }
            let initial = level.unwrap_or(self.rules.start());
            self.initial[index] = initial.index();
            let after = self.state(index, initial.index());
            if before != after {
                changes.push(Change { day: self.day(index), before, after });
            }
            level = match after {
                Some(state) => Some(self.rules.after(initial, state.shown)),
                None => level.map(|level| self.rules.after_gap(level)),
            };
            index += 1;
            let settled = level.is_some_and(|l| self.initial.get(index) == Some(&l.index()))
                || (canary::sings("later levels left stale")
                    && self.initial.get(index).is_some_and(|l| *l != NO_LEVEL));
            if settled && touched.last().is_none_or(|(i, _)| *i > index) {
                // From here on everything is as it was, up to the next day that was set.
                let Some((next, _)) = touched.last() else { break };
                index = self.last_level_before(*next);
                level = Some(self.initial_level(index));
            }
        }
        self.trim();
        changes
    }

    /// The last entry up to this one whose level is known: new entries have none yet.
    fn last_level_before(&self, index: usize) -> usize {
        self.initial[..=index].iter().rposition(|level| *level != NO_LEVEL).unwrap_or(0)
    }

    /// Widens the timeline to hold every day that is to be logged.
    fn cover(&mut self, days: &[(Day, Option<DayTotals>)]) {
        let mut logged = days.iter().filter(|(_, totals)| totals.is_some()).map(|(day, _)| *day);
        let Some(low) = logged.next() else { return };
        let high = logged.next_back().unwrap_or(low);
        if self.shown.is_empty() {
            self.first = low;
        }
        let before = usize::try_from(self.first.since(low)).unwrap_or(0);
        if before > 0 {
            self.shown.splice(0..0, std::iter::repeat_n(UNLOGGED, before));
            self.ranked.splice(0..0, std::iter::repeat_n(0, before));
            self.initial.splice(0..0, std::iter::repeat_n(NO_LEVEL, before));
            self.first = low;
        }
        let len = usize::try_from(high.since(self.first) + 1).unwrap_or(0).max(self.shown.len());
        self.shown.resize(len, UNLOGGED);
        self.ranked.resize(len, 0);
        self.initial.resize(len, NO_LEVEL);
    }

    /// Cuts unlogged days off both ends.
    fn trim(&mut self) {
        let logged = |shown: &u32| Timeline::is_logged(*shown);
        let len = self.shown.iter().rposition(logged).map_or(0, |last| last + 1);
        self.shown.truncate(len);
        self.ranked.truncate(len);
        self.initial.truncate(len);
        let start = self.shown.iter().position(logged).unwrap_or(0);
        if start > 0 {
            self.shown.drain(..start);
            self.ranked.drain(..start);
            self.initial.drain(..start);
            self.first = self.first.plus(i32::try_from(start).unwrap_or(0));
        }
        if self.shown.is_empty() {
            // As new: where it once began means nothing.
            self.first = Day::FIRST;
        }
    }
}
