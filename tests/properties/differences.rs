//! After every operation: what was updated by a difference equals what is worked out anew.

use std::collections::{BTreeMap, BTreeSet};

use manbo::{
    Change, Day, DayState, DayTotals, Fact, KeptTotals, Ledger, Now, Operation, Rules, Timeline, WeekTotals,
};
use proptest::prelude::*;

use crate::common::{Act, any_act, any_rules, any_today, config, day, empty};
use crate::derived::{self, Cells, State, Totals};

fn cells(ledger: &Ledger) -> Cells {
    let value = |cell: &manbo::CellView| cell.recorded.map(|recorded| (recorded, cell.manual));
    ledger.cells().iter().map(|cell| ((cell.day, cell.source), (cell.epoch, value(cell)))).collect()
}

fn attended(ledger: &Ledger) -> BTreeSet<Day> {
    let facts = ledger.facts();
    facts.iter().filter_map(|fact| if let Fact::Attended(day) = fact { Some(*day) } else { None }).collect()
}

fn state(day: DayState) -> State {
    (day.shown, day.ranked, day.initial_level, day.level)
}

fn weeks(totals: &Totals, rules: &Rules) -> BTreeMap<Day, WeekTotals> {
    let mut weeks = BTreeMap::new();
    for (day, (shown, ranked)) in totals {
        let first = derived::week_begins(*day, rules.week_start());
        let week: &mut WeekTotals = weeks.entry(first).or_default();
        week.shown += u64::from(*shown);
        week.ranked += u64::from(*ranked);
        week.days_logged += 1;
    }
    weeks
}

fn check_changes(
    changes: &[Change],
    before: &BTreeMap<Day, State>,
    after: &BTreeMap<Day, State>,
) -> Result<(), TestCaseError> {
    let expected = derived::difference(before, after);
    let reported: BTreeMap<_, _> = changes
        .iter()
        .map(|change| (change.day, (change.before.map(state), change.after.map(state))))
        .collect();
    prop_assert_eq!(&reported, &expected);
    prop_assert_eq!(changes.len(), expected.len(), "each day once");
    Ok(())
}

fn check_derived(
    ledger: &Ledger,
    rules: &Rules,
    totals: &Totals,
    kept: &KeptTotals,
    as_of: [Day; 5],
) -> Result<(), TestCaseError> {
    let plain =
        totals.iter().map(|(day, (shown, ranked))| (*day, DayTotals { shown: *shown, ranked: *ranked }));
    prop_assert!(ledger.timeline() == &Timeline::build(*rules.levels(), plain), "incremental == fold");
    let expected = weeks(totals, rules);
    prop_assert_eq!(&KeptTotals::of(ledger.timeline(), rules.week_start()), kept);
    prop_assert_eq!(&KeptTotals::from_weeks(rules.week_start(), kept.weeks()), kept);
    prop_assert_eq!(kept.total_steps(), expected.values().map(|week| week.shown).sum::<u64>());
    prop_assert_eq!(kept.days_logged(), u32::try_from(totals.len()).unwrap());
    prop_assert_eq!(kept.weeks().map(|(week, t)| (week.first(), t)).collect::<BTreeMap<_, _>>(), expected);
    let attended = attended(ledger);
    for day in as_of {
        let naive = derived::statistics(totals, &attended, rules, day);
        prop_assert_eq!(ledger.current_level(day), naive.current_level);
        prop_assert_eq!(ledger.statistics(rules.statistics(), day), naive);
    }
    Ok(())
}

/// A ledger that hears only the facts must agree with the one that lived through the operations.
fn check_rebuilt(ledger: &Ledger, rules: &Rules) -> Result<(), TestCaseError> {
    let mut fresh = empty(rules);
    for fact in ledger.facts().iter().rev() {
        let _ = fresh.apply(Operation::Receive(fact), Now::on(day(0))).unwrap();
    }
    prop_assert_eq!(fresh.digest(), ledger.digest());
    prop_assert!(fresh.timeline() == ledger.timeline());
    Ok(())
}

fn touched_day(act: &Act) -> Day {
    match act {
        Act::Read(reading) => reading.day,
        Act::Delete(deletion) => deletion.day,
        Act::Correct(day, ..) | Act::Unpin(day, _) | Act::Count(day, ..) | Act::Attend(day) => *day,
        Act::Receive(fact) | Act::Merge(fact) => fact.day(),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_operation_reports_exactly_what_differs(
        rules in any_rules(),
        acts in prop::collection::vec((any_today(), any_act()), 1..40),
    ) {
        let mut ledger = empty(&rules);
        let mut kept = KeptTotals::new(rules.week_start());
        let mut before = BTreeMap::new();
        for (today, act) in &acts {
            let was = ledger.clone();
            let Ok(applied) = act.apply(&mut ledger, Now::on(*today)) else {
                prop_assert!(ledger == was, "a refusal changes nothing: {:?}", act);
                continue;
            };
            let totals = derived::totals(&cells(&ledger));
            let after = derived::states(&totals, &rules);
            check_changes(&applied.changes, &before, &after)?;
            let days: BTreeMap<Day, State> =
                ledger.days(Day::FIRST..Day::LAST).map(|(day, s)| (day, state(s))).collect();
            prop_assert_eq!(&days, &after);
            kept.apply(&applied.changes);
            let at = touched_day(act);
            check_derived(&ledger, &rules, &totals, &kept, [at.previous(), at, at.next(), *today, today.plus(9)])?;
            prop_assert_eq!(ledger.pending_count(), ledger.pending().len());
            prop_assert_eq!(applied.credit.is_some(), matches!(act, Act::Count(..)));
            before = after;
        }
        check_rebuilt(&ledger, &rules)?;
    }
}
