//! Days, levels and statistics by full recomputation from the facts (sections 3, 4 and 5).

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{DayNumber, Value};
use super::limits;
use super::replica::Replica;

/// The highest level; the lowest is 0.
const HIGHEST_LEVEL: u8 = 4;

/// The rules of levels and statistics, as section 4 validates them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The initial level of the first logged day, 0 to 4.
    pub start_level: u8,
    /// From how many shown steps a day raises the level.
    pub raise_at: u32,
    /// Below how many shown steps a day lowers the next day's initial level.
    pub drop_below: u32,
    /// Whether days without a log between two days are folded as days of 0 steps.
    pub count_missing_as_zero: bool,
    /// Shown steps from which a day meets the goal.
    pub goal: u32,
    /// The day on which a week begins, as days after Monday: 0 Monday, 5 Saturday, 6 Sunday.
    pub week_start: u8,
}

impl Default for Rules {
    /// The defaults of sections 4 and 5.
    fn default() -> Rules {
        Rules {
            start_level: 2,
            raise_at: 10_000,
            drop_below: 6_000,
            count_missing_as_zero: false,
            goal: 10_000,
            week_start: 0,
        }
    }
}

impl Rules {
    /// The level of a day that begins at `initial`.
    fn level(&self, initial: u8, shown: u32) -> u8 {
        if shown >= self.raise_at { (initial + 1).min(HIGHEST_LEVEL) } else { initial }
    }

    /// The initial level of the next day, after a day of this level.
    fn next_initial(&self, level: u8, shown: u32) -> u8 {
        if shown < self.drop_below { level.saturating_sub(1) } else { level }
    }

    /// The initial level after so many days without a log.
    fn after_missing(&self, mut initial: u8, days: i32) -> u8 {
        if self.count_missing_as_zero {
            for _ in 0..days {
                let level = self.level(initial, 0);
                initial = self.next_initial(level, 0);
            }
        }
        initial
    }
}

/// A logged day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayNumbers {
    /// What the walker sees.
    pub shown: u32,
    /// What counts for rankings.
    pub ranked: u32,
    /// The level with which the day began, 0 to 4.
    pub initial_level: u8,
    /// The level that its steps made of it, 0 to 4.
    pub level: u8,
}

/// The logged days with their shown and ranked steps, before levels.
fn totals(replica: &Replica) -> BTreeMap<DayNumber, (u32, u32)> {
    let mut cells: BTreeMap<DayNumber, Vec<Value>> = BTreeMap::new();
    for ((day, _), mark) in &replica.cells {
        cells.entry(*day).or_default().push(mark.value);
    }
    let mut totals = BTreeMap::new();
    for (day, values) in cells {
        let any_pinned = values.iter().any(|value| value.is_pinned());
        for value in values {
            let counts = !any_pinned || value.is_pinned();
            if let (true, Some((recorded, manual))) = (counts, value.counts) {
                let (shown, ranked): &mut (u32, u32) = totals.entry(day).or_default();
                *shown = (*shown).max(recorded + manual).min(limits::SHOWN);
                *ranked = (*ranked).max(recorded).min(limits::RANKED);
            }
        }
    }
    totals
}

/// All logged days, by the fold of section 4 from the first to the last.
pub fn days(replica: &Replica, rules: &Rules) -> BTreeMap<DayNumber, DayNumbers> {
    let mut days = BTreeMap::new();
    let mut previous: Option<(DayNumber, DayNumbers)> = None;
    for (day, (shown, ranked)) in totals(replica) {
        let initial_level = initial_level(rules, previous, day);
        let level = rules.level(initial_level, shown);
        let numbers = DayNumbers { shown, ranked, initial_level, level };
        days.insert(day, numbers);
        previous = Some((day, numbers));
    }
    days
}

/// The initial level of a day, from the last logged day before it.
fn initial_level(rules: &Rules, previous: Option<(DayNumber, DayNumbers)>, day: DayNumber) -> u8 {
    match previous {
        None => rules.start_level,
        Some((before, numbers)) => {
            let next = rules.next_initial(numbers.level, numbers.shown);
            rules.after_missing(next, day - before - 1)
        }
    }
}

/// The statistics as of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers {
    /// Shown steps of all days.
    pub total_steps: u64,
    /// Shown steps of the as-of day.
    pub today_steps: u32,
    /// Shown steps of the as-of day's week up to the as-of day.
    pub week_steps: u64,
    /// The day with the most shown steps, the earliest on a tie.
    pub best_day: Option<DayNumber>,
    /// Its shown steps; 0 when nothing is logged.
    pub best_day_steps: u32,
    /// Days with a log.
    pub days_logged: u32,
    /// The level of the as-of day, or the initial level it would have, 0 to 4.
    pub current_level: u8,
    /// The last day on which the person opened the app.
    pub last_attended: Option<DayNumber>,
    /// Consecutive attended days ending at the as-of day, or the day before.
    pub attendance_streak: u32,
    /// The longest run of attended days.
    pub longest_attendance_streak: u32,
    /// Consecutive days that met the goal, by the same rule.
    pub goal_streak: u32,
    /// The longest run of days that met the goal.
    pub longest_goal_streak: u32,
}

/// The statistics of section 5. Facts of days after `as_of` are left out.
pub fn numbers(replica: &Replica, rules: &Rules, as_of: DayNumber) -> Numbers {
    let days: BTreeMap<DayNumber, DayNumbers> =
        days(replica, rules).into_iter().filter(|(day, _)| *day <= as_of).collect();
    let attended: BTreeSet<DayNumber> =
        replica.attended.keys().copied().filter(|day| *day <= as_of).collect();
    let met: BTreeSet<DayNumber> =
        days.iter().filter(|(_, numbers)| numbers.shown >= rules.goal).map(|(day, _)| *day).collect();

    let mut best: Option<(DayNumber, u32)> = None;
    for (day, numbers) in &days {
        if best.is_none_or(|(_, steps)| numbers.shown > steps) {
            best = Some((*day, numbers.shown));
        }
    }
    let week_first = first_of_week(as_of, rules.week_start);
    let last = days.iter().next_back().map(|(day, numbers)| (*day, *numbers));
    let today = days.get(&as_of);
    Numbers {
        total_steps: days.values().map(|numbers| u64::from(numbers.shown)).sum(),
        today_steps: today.map_or(0, |numbers| numbers.shown),
        week_steps: days.range(week_first..).map(|(_, numbers)| u64::from(numbers.shown)).sum(),
        best_day: best.map(|(day, _)| day),
        best_day_steps: best.map_or(0, |(_, steps)| steps),
        days_logged: days.values().fold(0, |count, _| count + 1),
        current_level: today.map_or_else(|| initial_level(rules, last, as_of), |numbers| numbers.level),
        last_attended: attended.iter().next_back().copied(),
        attendance_streak: streak(&attended, as_of),
        longest_attendance_streak: longest(&attended),
        goal_streak: streak(&met, as_of),
        longest_goal_streak: longest(&met),
    }
}

/// The first day of the week of a day. 1970-01-01 was a Thursday, three days after a Monday.
fn first_of_week(day: DayNumber, week_start: u8) -> DayNumber {
    let days_after_monday = (day + 3).rem_euclid(7);
    day - (days_after_monday - i32::from(week_start)).rem_euclid(7)
}

/// How many consecutive days of the set end at this day.
fn run_ending_at(set: &BTreeSet<DayNumber>, mut day: DayNumber) -> u32 {
    let mut length = 0;
    while set.contains(&day) {
        length += 1;
        day -= 1;
    }
    length
}

/// The run that ends at the as-of day, or the day before if the as-of day is not in the set.
fn streak(set: &BTreeSet<DayNumber>, as_of: DayNumber) -> u32 {
    run_ending_at(set, if set.contains(&as_of) { as_of } else { as_of - 1 })
}

/// The longest run of consecutive days.
fn longest(set: &BTreeSet<DayNumber>) -> u32 {
    set.iter().map(|day| run_ending_at(set, *day)).max().unwrap_or(0)
}
