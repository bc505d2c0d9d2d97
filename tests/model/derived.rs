//! Days, levels and statistics worked out the slow way from sections 3 to 5 of the domain contract.
//! Plain maps and loops; no rule of the crate is called.

use std::collections::{BTreeMap, BTreeSet};

use manbo::{Day, GapPolicy, Level, Rules, Source, Statistics, WeekStart};

/// (epoch, value) of each (day, source); the value is (recorded, manual), `None` when absent.
pub(crate) type Cells = BTreeMap<(Day, Source), (u16, Option<(u32, u32)>)>;
/// (shown, ranked) of each logged day.
pub(crate) type Totals = BTreeMap<Day, (u32, u32)>;

/// A logged day: shown, ranked, initial level, level.
pub(crate) type State = (u32, u32, Level, Level);

/// What changed: each day with its state before and after.
pub(crate) type Difference = BTreeMap<Day, (Option<State>, Option<State>)>;

pub(crate) fn totals(cells: &Cells) -> Totals {
    let days: BTreeSet<Day> = cells.keys().map(|(day, _)| *day).collect();
    let mut totals = Totals::new();
    for day in days {
        let mut of_day: Vec<(u16, Option<(u32, u32)>)> = Vec::new();
        for ((cell_day, _), cell) in cells {
            if *cell_day == day {
                of_day.push(*cell);
            }
        }
        if of_day.iter().any(|(epoch, _)| epoch % 2 == 1) {
            of_day.retain(|(epoch, _)| epoch % 2 == 1);
        }
        for (_, value) in of_day {
            if let Some((recorded, manual)) = value {
                let total = totals.entry(day).or_insert((0, 0));
                total.0 = total.0.max((recorded + manual).min(300_000));
                total.1 = total.1.max(recorded.min(100_000));
            }
        }
    }
    totals
}

fn higher(level: Level) -> Level {
    match level {
        Level::VeryObese => Level::Obese,
        Level::Obese => Level::Overweight,
        Level::Overweight => Level::Healthy,
        Level::Healthy | Level::VeryHealthy => Level::VeryHealthy,
    }
}

fn lower(level: Level) -> Level {
    match level {
        Level::VeryObese | Level::Obese => Level::VeryObese,
        Level::Overweight => Level::Obese,
        Level::Healthy => Level::Overweight,
        Level::VeryHealthy => Level::Healthy,
    }
}

/// Every civil day from the first logged one to `to`: its initial level and its level.
fn walk(totals: &Totals, rules: &Rules, to: Day) -> BTreeMap<Day, (Level, Level)> {
    let mut levels = BTreeMap::new();
    let Some(first) = totals.keys().next() else { return levels };
    let mut initial = rules.levels().start();
    let mut day = *first;
    while day <= to {
        let steps = match totals.get(&day) {
            Some((shown, _)) => Some(*shown),
            None if rules.levels().gap() == GapPolicy::CountAsZero => Some(0),
            None => None,
        };
        let mut level = initial;
        if steps.is_some_and(|steps| steps >= rules.levels().raise_at()) {
            level = higher(level);
        }
        levels.insert(day, (initial, level));
        if steps.is_some_and(|steps| steps < rules.levels().drop_below()) {
            level = lower(level);
        }
        initial = level;
        day = day.next();
    }
    levels
}

pub(crate) fn states(totals: &Totals, rules: &Rules) -> BTreeMap<Day, State> {
    let Some(last) = totals.keys().next_back() else { return BTreeMap::new() };
    let levels = walk(totals, rules, *last);
    totals.iter().map(|(day, (s, r))| (*day, (*s, *r, levels[day].0, levels[day].1))).collect()
}

pub(crate) fn difference(before: &BTreeMap<Day, State>, after: &BTreeMap<Day, State>) -> Difference {
    let days: BTreeSet<Day> = before.keys().chain(after.keys()).copied().collect();
    days.into_iter()
        .filter(|day| before.get(day) != after.get(day))
        .map(|day| (day, (before.get(&day).copied(), after.get(&day).copied())))
        .collect()
}

/// The run that ends at as-of, or the day before; and the longest.
fn streaks(days: &BTreeSet<Day>, as_of: Day) -> (u32, u32) {
    let run_back_from = |from: Day| {
        let mut length = 0;
        let mut day = from;
        while days.contains(&day) {
            length += 1;
            day = day.previous();
        }
        length
    };
    let current = if days.contains(&as_of) { run_back_from(as_of) } else { run_back_from(as_of.previous()) };
    let longest = days.iter().filter(|day| **day <= as_of).map(|day| run_back_from(*day)).max();
    (current, longest.unwrap_or(0))
}

pub(crate) fn week_begins(day: Day, start: WeekStart) -> Day {
    let wanted = match start {
        WeekStart::Monday => 0,
        WeekStart::Saturday => 5,
        WeekStart::Sunday => 6,
    };
    let mut first = day;
    while first.weekday() != wanted {
        first = first.previous();
    }
    first
}

pub(crate) fn statistics(all: &Totals, attended: &BTreeSet<Day>, rules: &Rules, as_of: Day) -> Statistics {
    let seen: Totals = all.iter().filter(|(day, _)| **day <= as_of).map(|(d, t)| (*d, *t)).collect();
    let mut best: Option<(Day, u32)> = None;
    for (day, (shown, _)) in &seen {
        if best.is_none_or(|(_, most)| *shown > most) {
            best = Some((*day, *shown));
        }
    }
    let week_first = week_begins(as_of, rules.week_start());
    let goal_days: BTreeSet<Day> =
        seen.iter().filter(|(_, (shown, _))| *shown >= rules.goal()).map(|(day, _)| *day).collect();
    let attended: BTreeSet<Day> = attended.iter().filter(|day| **day <= as_of).copied().collect();
    let (attendance_streak, longest_attendance_streak) = streaks(&attended, as_of);
    let (goal_streak, longest_goal_streak) = streaks(&goal_days, as_of);
    let levels = walk(&seen, rules, as_of);
    Statistics {
        as_of,
        total_steps: seen.values().map(|(shown, _)| u64::from(*shown)).sum(),
        today_steps: seen.get(&as_of).map_or(0, |(shown, _)| *shown),
        week_steps: seen
            .iter()
            .filter(|(day, _)| **day >= week_first)
            .map(|(_, (shown, _))| u64::from(*shown))
            .sum(),
        best_day: best.map(|(day, _)| day),
        best_day_steps: best.map_or(0, |(_, shown)| shown),
        days_logged: u32::try_from(seen.len()).unwrap(),
        current_level: match levels.get(&as_of) {
            None => rules.levels().start(),
            Some((_, level)) if seen.contains_key(&as_of) => *level,
            Some((initial, _)) => *initial,
        },
        last_attended: attended.last().copied(),
        attendance_streak,
        longest_attendance_streak,
        goal_streak,
        longest_goal_streak,
    }
}
