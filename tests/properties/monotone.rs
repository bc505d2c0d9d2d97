//! More steps never make anything worse: section 4 of the domain contract.

use manbo::{CellView, Counts, Day, DayState, Fact, Ledger, Now, Operation, Reading, Register};
use proptest::prelude::*;

use crate::common::{SPAN, any_act, any_rules, any_today, config, day, empty, source};

fn raised(cell: &CellView, more: (u32, u32)) -> Counts {
    let counts = Counts::new(cell.recorded.unwrap_or(0) + more.0, cell.manual + more.1);
    Counts::new(counts.recorded.min(300_000), counts.manual.min(300_000))
}

fn days(ledger: &Ledger) -> Vec<(Day, DayState)> {
    ledger.days(Day::FIRST..Day::LAST).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn raising_a_step_count_lowers_nothing(
        rules in any_rules(),
        acts in prop::collection::vec((any_today(), any_act()), 1..30),
        choice: prop::sample::Index,
        more in (prop::sample::select(vec![0_u32, 1, 2_000, 4_001, 100_000]), 0..2_000_u32),
        read: bool,
    ) {
        let mut ledger = empty(&rules);
        for (today, act) in &acts {
            let _ = act.apply(&mut ledger, Now::on(*today));
        }
        // On a day of its own, so that there always is a known one.
        let least = Reading::new(day(-3), source(0), 5_999);
        let _ = ledger.apply(Operation::Read(&least), Now::on(day(SPAN))).unwrap();
        // A day that becomes known may lower; only known days are raised here.
        let known: Vec<CellView> =
            ledger.cells().into_iter().filter(|cell| ledger.day(cell.day).is_some()).collect();
        let cell = choice.get(&known);
        let counts = raised(cell, more);
        let before = ledger.clone();
        if read && counts.sum() <= 300_000 {
            let reading = Reading::new(cell.day, cell.source, counts.recorded).with_manual(counts.manual).full();
            let _ = ledger.apply(Operation::Read(&reading), Now::on(day(SPAN))).unwrap();
        } else {
            let register = Register { epoch: cell.epoch, counts: Some(counts) };
            let fact = Fact::Cell { day: cell.day, source: cell.source, register };
            let _ = ledger.apply(Operation::Receive(&fact), Now::on(day(SPAN))).unwrap();
        }
        prop_assert_eq!(days(&before).len(), days(&ledger).len());
        for ((_, was), (at, is)) in days(&before).into_iter().zip(days(&ledger)) {
            prop_assert!(is.shown >= was.shown && is.ranked >= was.ranked, "{} shows less", at);
            prop_assert!(is.initial_level >= was.initial_level && is.level >= was.level, "{} sank", at);
        }
        for as_of in (0..SPAN + 3).map(day) {
            let was = before.statistics(rules.statistics(), as_of);
            let is = ledger.statistics(rules.statistics(), as_of);
            prop_assert!(is.total_steps >= was.total_steps && is.week_steps >= was.week_steps);
            prop_assert!(is.best_day_steps >= was.best_day_steps && is.today_steps >= was.today_steps);
            prop_assert!(is.longest_goal_streak >= was.longest_goal_streak);
            prop_assert!(is.goal_streak >= was.goal_streak && is.current_level >= was.current_level);
        }
    }
}
