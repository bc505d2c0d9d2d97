//! Whole ledgers: order, repetition and partition of what they hear cannot matter.

use manbo::{Day, DayState, Digest, Extent, Fact, Ledger, Now, Operation, Reading, Rules, Statistics};
use proptest::prelude::*;

use crate::common::{SPAN, any_fact, any_reading, any_rules, config, day, empty};

/// Everything a walker can see of a ledger.
fn seen(ledger: &Ledger, rules: &Rules) -> (Digest, Vec<(Day, DayState)>, Vec<Statistics>) {
    let days = ledger.days(Day::FIRST..Day::LAST).collect();
    let as_of = [day(-1), day(4), day(9), day(SPAN), day(SPAN + 9)];
    (ledger.digest(), days, as_of.map(|day| ledger.statistics(rules.statistics(), day)).to_vec())
}

#[derive(Debug, Clone, Copy)]
enum Heard {
    Fact(Fact),
    Reading(Reading),
}

impl Heard {
    fn tell(&self, ledger: &mut Ledger) {
        let operation = match self {
            Heard::Fact(fact) => Operation::Receive(fact),
            Heard::Reading(reading) => Operation::Read(reading),
        };
        // A reading above the limit is refused wherever it comes, so that refusals commute as well.
        let _ = ledger.apply(operation, Now::on(day(SPAN)));
    }
}

/// The items, and each of them at least once in another order, for one of three replicas.
fn deliveries(
    item: impl Strategy<Value = Heard>,
) -> impl Strategy<Value = (Vec<Heard>, Vec<(Heard, usize)>)> {
    let items = prop::collection::vec(item, 1..30);
    items.prop_flat_map(|items| {
        let repeated = prop::collection::vec(prop::sample::select(items.clone()), 0..30);
        let shuffled = repeated.prop_map({
            let items = items.clone();
            move |more| [items.clone(), more].concat()
        });
        let shuffled = shuffled.prop_shuffle().prop_flat_map(|heard| {
            let replicas = prop::collection::vec(0..3_usize, heard.len());
            replicas.prop_map(move |replicas| heard.iter().copied().zip(replicas).collect())
        });
        (Just(items), shuffled)
    })
}

fn merge(from: &Ledger, into: &mut Ledger) {
    for fact in from.facts() {
        let _ = into.apply(Operation::Merge(&fact), Now::on(day(SPAN))).unwrap();
    }
}

/// A fact of any epoch.
fn any_facts() -> impl Strategy<Value = Heard> {
    any_fact().prop_map(Heard::Fact)
}

/// A fact of epoch 0 or a partial reading: neither ever takes a cell out of epoch 0.
fn any_partial() -> impl Strategy<Value = Heard> {
    let at_zero = any_fact().prop_map(|mut fact| {
        if let Fact::Cell { register, .. } = &mut fact {
            register.epoch = 0;
        }
        Heard::Fact(fact)
    });
    let partial =
        any_reading().prop_map(|reading| Heard::Reading(Reading { extent: Extent::Partial, ..reading }));
    prop_oneof![1 => at_zero, 2 => partial]
}

fn check(
    rules: &Rules,
    items: &[Heard],
    deliveries: &[(Heard, usize)],
    merges: &[(usize, usize)],
) -> Result<(), TestCaseError> {
    let mut plain = empty(rules);
    for item in items {
        item.tell(&mut plain);
    }
    let expected = seen(&plain, rules);

    let mut reordered = empty(rules);
    for (item, _) in deliveries {
        item.tell(&mut reordered);
    }
    prop_assert_eq!(&seen(&reordered, rules), &expected, "another order, with repetition");

    let mut replicas = [empty(rules), empty(rules), empty(rules)];
    for (item, replica) in deliveries {
        item.tell(&mut replicas[*replica]);
    }
    for (from, into) in merges {
        let from = replicas[*from].clone();
        merge(&from, &mut replicas[*into]);
    }
    // Round the ring twice: everyone has heard of everyone.
    for n in 0..6 {
        let from = replicas[n % 3].clone();
        merge(&from, &mut replicas[(n + 1) % 3]);
    }
    for replica in &replicas {
        prop_assert_eq!(&seen(replica, rules), &expected, "parts, merged");
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn facts_converge(
        rules in any_rules(),
        (items, deliveries) in deliveries(any_facts()),
        merges in prop::collection::vec((0..3_usize, 0..3_usize), 0..4),
    ) {
        check(&rules, &items, &deliveries, &merges)?;
    }

    #[test]
    fn partial_readings_converge(
        rules in any_rules(),
        (items, deliveries) in deliveries(any_partial()),
        merges in prop::collection::vec((0..3_usize, 0..3_usize), 0..4),
    ) {
        check(&rules, &items, &deliveries, &merges)?;
    }
}
