//! The comparison of a book with the oracle: registers, marks, lists, levels and statistics.

use manbo::{Day, Ledger, Rules};

use super::convert::{self, CHIP, source_number};
use super::{Broken, Invariant};
use crate::oracle::{self, Item, Replica, Value};

/// Counts of values that carry nobody's residue: the limits and thresholds themselves.
pub const BOUNDARIES: [u32; 10] = [0, 1, 5_999, 6_000, 9_999, 10_000, 99_999, 100_000, 100_001, 300_000];
/// Values of a person are congruent to the person's number in this.
pub const RESIDUES: u32 = 97;

fn broken(invariant: Invariant, why: String) -> Result<(), Broken> {
    Err(Broken { invariant, why })
}

/// Compares the facts and what is known about them.
pub(super) fn facts(ledger: &Ledger, replica: &Replica) -> Result<(), Broken> {
    let mut cells = ledger.cells().into_iter();
    let mut known = replica.cells.iter().filter(|(_, mark)| **mark != oracle::Mark::default());
    loop {
        let (cell, expected) = (cells.next(), known.next());
        let (Some(cell), Some((&(day, source), mark))) = (cell, expected) else {
            return match (cell, expected) {
                (None, None) => marks(ledger, replica),
                (Some(cell), _) => broken(Invariant::I2, format!("{} {} is there", cell.day, cell.source)),
                (None, Some(((day, source), _))) => {
                    broken(Invariant::I1, format!("day {day} of source {source} is gone"))
                }
            };
        };
        let stored =
            Value { epoch: cell.epoch, counts: cell.recorded.map(|recorded| (recorded, cell.manual)) };
        if (cell.day.number(), source_number(cell.source)) != (day, Some(source)) || stored != mark.value {
            let same = (cell.day.number(), source_number(cell.source)) == (day, Some(source));
            let lost = if same { stored.at_most(mark.value) } else { cell.day.number() > day };
            let invariant = if lost { Invariant::I1 } else { Invariant::I2 };
            let why = format!(
                "{} {} is {stored:?}, expected day {day} of source {source} as {:?}",
                cell.day, cell.source, mark.value
            );
            return broken(invariant, why);
        }
        let said = (cell.read_here, cell.offset_minutes, cell.parked.map(manbo::Code::as_str));
        if said != (mark.read_here, mark.offset, mark.parked) {
            let why = format!("{} {}: read here, offset, parked: {said:?}", cell.day, cell.source);
            return broken(Invariant::I2, why);
        }
        if cell.pending_since_ms.is_some() != mark.pending {
            let why = format!("{} {}: pending should be {}", cell.day, cell.source, mark.pending);
            return broken(if mark.pending { Invariant::I1 } else { Invariant::I3 }, why);
        }
    }
}

/// Compares attendance and the lists.
fn marks(ledger: &Ledger, replica: &Replica) -> Result<(), Broken> {
    let attended = |fact: &manbo::Fact| match fact {
        manbo::Fact::Attended(day) => Some(day.number()),
        manbo::Fact::Cell { .. } => None,
    };
    let days: Vec<i32> = ledger.facts().iter().filter_map(attended).collect();
    if !days.iter().eq(replica.attended.keys()) {
        let lost = replica.attended.keys().any(|day| !days.contains(day));
        let invariant = if lost { Invariant::I1 } else { Invariant::I2 };
        return broken(invariant, format!("attended are {days:?}, expected {:?}", replica.attended.keys()));
    }
    let mut pending: Vec<i32> = ledger.pending().iter().filter_map(attended).collect();
    pending.sort_unstable();
    let expected = || replica.attended.iter().filter(|(_, (pending, _))| *pending).map(|(day, _)| day);
    if !pending.iter().eq(expected()) {
        let why = format!("attendance pending of {pending:?}, not {:?}", expected().collect::<Vec<_>>());
        return broken(Invariant::I1, why);
    }
    let parked = ledger
        .parked()
        .into_iter()
        .filter_map(|refused| attended(&refused.fact).map(|day| (day, refused.code.as_str())));
    let expected = replica.attended.iter().filter_map(|(day, (_, code))| code.map(|code| (*day, code)));
    if !parked.eq(expected) {
        return broken(Invariant::I2, "other attendance is parked than was refused".to_owned());
    }
    let reread: Vec<(i32, u8)> = ledger
        .to_reread()
        .into_iter()
        .filter_map(|(day, source)| Some((day.number(), source_number(source)?)))
        .collect();
    let wanted = replica.to_reread();
    if !reread.iter().eq(wanted.iter()) {
        return broken(Invariant::I2, format!("to be read again: {reread:?}, expected {wanted:?}"));
    }
    Ok(())
}

/// I9: no value of one person is in another's ledger. `allowed` has a bit for each residue that may be there.
pub(super) fn residues(ledger: &Ledger, user: u8, allowed: u128) -> Result<(), Broken> {
    let foreign = |steps: u32| !(BOUNDARIES.contains(&steps) || allowed >> (steps % RESIDUES) & 1 == 1);
    for cell in ledger.cells() {
        let counted = source_number(cell.source) == Some(CHIP);
        if !counted && (cell.recorded.is_some_and(foreign) || foreign(cell.manual)) {
            let why = format!("{} {} of user {user} holds another's steps", cell.day, cell.source);
            return broken(Invariant::I9, why);
        }
    }
    Ok(())
}

/// The oracle's form of a set of rules.
pub(super) fn oracle_rules(rules: &Rules) -> oracle::Rules {
    oracle::Rules {
        start_level: rules.levels().start().index(),
        raise_at: rules.levels().raise_at(),
        drop_below: rules.levels().drop_below(),
        count_missing_as_zero: rules.levels().gap() == manbo::GapPolicy::CountAsZero,
        goal: rules.goal(),
        week_start: match rules.week_start() {
            manbo::WeekStart::Monday => 0,
            manbo::WeekStart::Saturday => 5,
            manbo::WeekStart::Sunday => 6,
        },
    }
}

/// I6: levels and statistics equal a recomputation from the facts.
pub(super) fn derived(ledger: &Ledger, replica: &Replica, rules: &Rules, as_of: Day) -> Result<(), Broken> {
    let plain = oracle_rules(rules);
    let expected = oracle::days(replica, &plain);
    let mut days = expected.iter();
    for (day, state) in ledger.days(Day::FIRST..Day::LAST.next()) {
        let said = oracle::DayNumbers {
            shown: state.shown,
            ranked: state.ranked,
            initial_level: state.initial_level.index(),
            level: state.level.index(),
        };
        if days.next() != Some((&day.number(), &said)) {
            let why = format!("{day} is {said:?}, expected {:?}", expected.get(&day.number()));
            return broken(Invariant::I6, why);
        }
    }
    if let Some((day, _)) = days.next() {
        return broken(Invariant::I6, format!("day {day} is not logged"));
    }
    let said = ledger.statistics(rules.statistics(), as_of);
    let said = oracle::Numbers {
        total_steps: said.total_steps,
        today_steps: said.today_steps,
        week_steps: said.week_steps,
        best_day: said.best_day.map(Day::number),
        best_day_steps: said.best_day_steps,
        days_logged: said.days_logged,
        current_level: said.current_level.index(),
        last_attended: said.last_attended.map(Day::number),
        attendance_streak: said.attendance_streak,
        longest_attendance_streak: said.longest_attendance_streak,
        goal_streak: said.goal_streak,
        longest_goal_streak: said.longest_goal_streak,
    };
    let numbers = oracle::numbers(replica, &plain, as_of.number());
    if said == numbers {
        Ok(())
    } else {
        broken(Invariant::I6, format!("as of {as_of}: {said:?}, expected {numbers:?}"))
    }
}

/// What a person sees, to compare before and after (I10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    days: Vec<(Day, u32, u8)>,
    total: u64,
    best: u32,
    streaks: [u32; 4],
    epochs: u64,
    as_of: Day,
}

impl Seen {
    /// What is seen now.
    pub(super) fn of(ledger: &Ledger, rules: &Rules, as_of: Day) -> Seen {
        let numbers = ledger.statistics(rules.statistics(), as_of);
        Seen {
            days: ledger
                .days(Day::FIRST..Day::LAST.next())
                .map(|(day, state)| (day, state.shown, state.level.index()))
                .collect(),
            total: numbers.total_steps,
            best: numbers.best_day_steps,
            streaks: [
                numbers.attendance_streak,
                numbers.longest_attendance_streak,
                numbers.goal_streak,
                numbers.longest_goal_streak,
            ],
            epochs: ledger.cells().iter().map(|cell| u64::from(cell.epoch)).sum(),
            as_of,
        }
    }

    /// Shown steps of all days.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// I10: with no new epoch and no new day, nothing falls.
    pub(super) fn may_become(&self, later: &Seen) -> Result<(), Broken> {
        let comparable = self.epochs == later.epochs
            && self.as_of == later.as_of
            && self.days.len() == later.days.len()
            && self.days.iter().zip(&later.days).all(|(a, b)| a.0 == b.0);
        if !comparable {
            return Ok(());
        }
        let fell = self.total > later.total
            || self.best > later.best
            || self.streaks.iter().zip(&later.streaks).any(|(a, b)| a > b)
            || self.days.iter().zip(&later.days).any(|(a, b)| a.1 > b.1 || a.2 > b.2);
        if fell { broken(Invariant::I10, format!("{self:?} fell to {later:?}")) } else { Ok(()) }
    }
}

/// The facts that two copies must share: those that are neither excused nor of days to come.
pub(super) fn shared(ledger: &Ledger, latest_day: i32, excused: impl Fn(&Item) -> bool) -> Vec<Item> {
    let facts = ledger.facts();
    let items = facts.iter().filter_map(convert::item);
    items.filter(|item| item.day() <= latest_day && !excused(item)).collect()
}
