//! The join of registers, and days as composable functions.

use manbo::{Counts, Register, Transition};
use proptest::prelude::*;

use crate::common::{any_register, any_rules, any_steps, config, day};
use crate::derived;

/// The order behind the join, written down separately: a larger epoch, or no component lower.
fn at_most(a: Register, b: Register) -> bool {
    match (a.counts, b.counts) {
        _ if a.epoch != b.epoch => a.epoch < b.epoch,
        (None, _) => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => a.recorded <= b.recorded && a.manual <= b.manual,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn join_is_the_least_upper_bound(a in any_register(), b in any_register(), c in any_register()) {
        prop_assert_eq!(a.join(a), a);
        prop_assert_eq!(a.join(b), b.join(a));
        prop_assert_eq!(a.join(b).join(c), a.join(b.join(c)));
        prop_assert!(at_most(a, a.join(b)) && at_most(b, a.join(b)));
        if at_most(a, c) && at_most(b, c) {
            prop_assert!(at_most(a.join(b), c), "an upper bound of both is above their join");
        }
        if at_most(a, b) {
            prop_assert_eq!(a.join(b), b);
            prop_assert!(at_most(a.join(c), b.join(c)), "monotone");
        }
        let absent = Register { counts: None, ..a };
        prop_assert_eq!(absent.join(a), a);
        prop_assert_eq!(Register::UNKNOWN.join(a), a);
    }

    #[test]
    fn equal_epochs_join_by_component(epoch in any::<u16>(), a: (u32, u32), b: (u32, u32)) {
        let register = |(recorded, manual)| Register { epoch, counts: Some(Counts::new(recorded, manual)) };
        let joined = register((a.0.max(b.0), a.1.max(b.1)));
        prop_assert_eq!(register(a).join(register(b)), joined);
        prop_assert_eq!(register(a).is_pinned(), epoch % 2 == 1);
    }

    #[test]
    fn composed_blocks_equal_the_fold(
        rules in any_rules(),
        days in prop::collection::vec((prop_oneof![3 => Just(0_i32), 1 => 1..9_i32], any_steps()), 1..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        missing_at_end in 0..9_i32,
    ) {
        let mut totals = derived::Totals::new();
        let mut functions: Vec<Transition> = Vec::new();
        let mut at = day(0);
        for (n, (gap, shown)) in days.iter().enumerate() {
            // Days before the first logged one are no gap.
            if n > 0 {
                functions.push(rules.levels().gap_transition(gap.unsigned_abs()));
                at = at.plus(*gap);
            }
            functions.push(rules.levels().transition(*shown));
            totals.insert(at, (*shown, 0));
            at = at.next();
        }
        functions.push(rules.levels().gap_transition(missing_at_end.unsigned_abs()));
        let as_of = at.plus(missing_at_end);

        let mut borders: Vec<usize> = cuts.iter().map(|cut| cut.index(functions.len())).collect();
        borders.extend([0, functions.len()]);
        borders.sort_unstable();
        let blocks: Vec<Transition> = borders
            .windows(2)
            .map(|b| functions[b[0]..b[1]].iter().copied().fold(Transition::IDENTITY, Transition::then))
            .collect();
        let forwards = blocks.iter().copied().fold(Transition::IDENTITY, Transition::then);
        let backwards = blocks.iter().rev().fold(Transition::IDENTITY, |later, block| block.then(later));

        let none = std::collections::BTreeSet::new();
        let level = derived::statistics(&totals, &none, &rules, as_of).current_level;
        prop_assert_eq!(forwards.apply(rules.levels().start()), level);
        prop_assert_eq!(backwards.apply(rules.levels().start()), level);
    }
}
