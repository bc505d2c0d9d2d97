//! Statistics: one fold over the days up to a day given by the caller.

use serde::Serialize;

use super::canary;
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

/// The fold: sums and the best day in blocks, which run as vector code, then the runs of goal days, which
/// cannot. Half the time of one plain pass, which is the oracle in the property tests.
pub(crate) fn statistics(timeline: &Timeline, attended: &Runs, rules: StatRules, as_of: Day) -> Statistics {
    let (first, shown) = timeline.shown_up_to(as_of);
    let Sums { total, best, days_logged } = sums(shown);
    let best_at = shown.iter().position(|s| *s == best);
    let day_at = |index: usize| first.plus(i32::try_from(index).unwrap_or(i32::MAX));
    let from = |day: Day| usize::try_from(day.since(first)).unwrap_or(0).min(shown.len());
    let week_first = as_of.week(rules.week_start).first();
    // How many days of the fold come before the as-of day; when all do, the as-of day is not logged yet.
    let before_as_of = usize::try_from(as_of.since(first)).unwrap_or(0);
    let (goal_streak, longest_goal_streak) = goal_streaks(shown, rules.goal, before_as_of);
    let attendance = attended.streaks(as_of);
    Statistics {
        as_of,
        total_steps: total,
        today_steps: shown.get(from(as_of)..).and_then(<[u32]>::first).map_or(0, |s| steps(*s)),
        week_steps: sums(&shown[from(week_first)..]).total,
        best_day: best_at.map(day_at),
        best_day_steps: best,
        days_logged,
        current_level: timeline.current_level(as_of),
        last_attended: attendance.last,
        attendance_streak: attendance.current,
        longest_attendance_streak: attendance.longest,
        goal_streak,
        longest_goal_streak: if canary::sings("longest streak is the current one") {
            goal_streak
        } else {
            longest_goal_streak
        },
    }
}

/// Days a block: their steps fit a u32 (64 x 300,000 is 19,200,000), so that the sum runs in narrow lanes.
const BLOCK_DAYS: usize = 64;

struct Sums {
    total: u64,
    best: u32,
    days_logged: u32,
}

/// All ones for a logged day, all zeros for an unlogged one: a mask where a branch would be guessed wrong.
fn logged_mask(shown: u32) -> u32 {
    u32::from(Timeline::is_logged(shown)).wrapping_neg()
}

fn steps(shown: u32) -> u32 {
    shown & logged_mask(shown)
}

fn sums(shown: &[u32]) -> Sums {
    let mut all = Sums { total: 0, best: 0, days_logged: 0 };
    for block in shown.chunks(BLOCK_DAYS) {
        // Signed, because the baseline of x86-64 has a vector maximum for signed numbers only.
        let (mut total, mut best, mut days_logged) = (0_u32, 0_i32, 0_u32);
        for shown in block {
            total += steps(*shown);
            best = best.max(steps(*shown).cast_signed());
            days_logged += logged_mask(*shown) & 1;
        }
        all.total += u64::from(total);
        all.best = all.best.max(best.cast_unsigned());
        all.days_logged += days_logged;
    }
    all
}

/// The run of days at the goal that ends at the as-of day or the day before, and the longest run.
fn goal_streaks(shown: &[u32], goal: u32, before_as_of: usize) -> (u32, u32) {
    let met = |s: &u32| Timeline::is_logged(*s) && *s >= goal;
    let mut run = 0_u32;
    let mut longest = 0;
    for s in shown {
        // A mask instead of a branch: whether a day meets the goal is what no processor can foretell.
        run = (run + 1) & u32::from(met(s)).wrapping_neg();
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
