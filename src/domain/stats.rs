//! Statistics: one fold over the days up to a day given by the caller.

use serde::Serialize;

use super::day::{Day, WeekStart};
use super::level::Level;
use super::streak::Runs;
use super::timeline::Timeline;

/// What the fold needs beside the days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatRules {
    /// Shown steps from which a day meets the goal; at least 1.
    pub goal: u32,
    /// The day on which a week begins.
    pub week_start: WeekStart,
}

/// A user's statistics as of a day; facts of later days are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// The day they are as of.
    pub as_of: Day,
    /// Shown steps of all days.
    pub total_steps: u64,
    /// Shown steps of the as-of day.
    pub today_steps: u32,
    /// Shown steps from the first day of the as-of day's week to the as-of day.
    pub week_steps: u64,
    /// The day with the most shown steps, the earliest on a tie; `None` when nothing is logged.
    pub best_day: Option<Day>,
    /// Its shown steps; 0 when nothing is logged.
    pub best_day_steps: u32,
    /// Days with a log.
    pub days_logged: u32,
    /// The level of the as-of day, or the initial level it would have.
    pub current_level: Level,
    /// The last day on which the person opened the app.
    pub last_attended: Option<Day>,
    /// Consecutive attended days ending at the as-of day, or the day before if it is not attended yet.
    pub attendance_streak: u32,
    /// The longest run of attended days.
    pub longest_attendance_streak: u32,
    /// Consecutive days that met the goal, by the same rule.
    pub goal_streak: u32,
    /// The longest run of days that met the goal.
    pub longest_goal_streak: u32,
}

/// The fold. It reads each day four times in order, because four plain passes over packed numbers run
/// as vector code, and one pass that does everything does not.
pub(crate) fn statistics(timeline: &Timeline, attended: &Runs, rules: StatRules, as_of: Day) -> Statistics {
    let (first, shown) = timeline.shown_up_to(as_of);
    let steps = |shown: &u32| if Timeline::is_logged(*shown) { *shown } else { 0 };
    let best = shown.iter().map(steps).max().unwrap_or(0);
    let best_at = shown.iter().position(|s| *s == best && Timeline::is_logged(*s));
    let day_at = |index: usize| first.plus(i32::try_from(index).unwrap_or(i32::MAX));
    let from = |day: Day| usize::try_from(day.since(first)).unwrap_or(0).min(shown.len());
    let week_first = as_of.week(rules.week_start).first();
    let days_logged = shown.iter().map(|s| u32::from(Timeline::is_logged(*s))).sum();
    // How many days of the fold come before the as-of day; when all do, the as-of day is not logged yet.
    let before_as_of = usize::try_from(as_of.since(first)).unwrap_or(0);
    let (goal_streak, longest_goal_streak) = goal_streaks(shown, rules.goal, before_as_of);
    let attendance = attended.streaks(as_of);
    Statistics {
        as_of,
        total_steps: shown.iter().map(|s| u64::from(steps(s))).sum(),
        today_steps: shown.get(from(as_of)..).and_then(<[u32]>::first).map_or(0, steps),
        week_steps: shown[from(week_first)..].iter().map(|s| u64::from(steps(s))).sum(),
        best_day: best_at.map(day_at),
        best_day_steps: best,
        days_logged,
        current_level: timeline.current_level(as_of),
        last_attended: attendance.last,
        attendance_streak: attendance.current,
        longest_attendance_streak: attendance.longest,
        goal_streak,
        longest_goal_streak,
    }
}

/// The run of days at the goal that ends at the as-of day or the day before, and the longest run.
fn goal_streaks(shown: &[u32], goal: u32, before_as_of: usize) -> (u32, u32) {
    let met = |s: &u32| Timeline::is_logged(*s) && *s >= goal;
    let mut run = 0;
    let mut longest = 0;
    for s in shown {
        run = if met(s) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let current = match shown.split_last() {
        Some((today, earlier)) if shown.len() > before_as_of && !met(today) => {
            u32::try_from(earlier.iter().rev().take_while(|s| met(s)).count()).unwrap_or(u32::MAX)
        }
        _ if shown.len() < before_as_of => 0,
        _ => run,
    };
    (current, longest)
}
