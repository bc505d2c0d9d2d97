//! Generators that make draws collide: few days, few sources, values beside the thresholds. Boxed, because
//! nested they would outgrow the stack of a test thread.

#![allow(dead_code, reason = "each test target uses its own part")]

use manbo::{
    Applied, Correction, CounterReading, Counts, Day, Deletion, Extent, Fact, GapPolicy, Ledger, Level, Now,
    Operation, Reading, Refusal, Register, Rules, Source, UtcOffset, WeekStart,
};
use proptest::prelude::*;
use proptest::sample::select;

/// A Monday; the days of most generators lie around it.
pub(crate) const BASE: &str = "2022-09-26";
/// How many days the generators spread over.
pub(crate) const SPAN: i32 = 30;
/// Source names, ascending.
pub(crate) const SOURCES: [&str; 3] = ["apple-health", "garmin", "phone-sensor-1"];

/// `PROPTEST_CASES` and `PROPTEST_RNG_SEED` as proptest reads them; no files beside the tests.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

pub(crate) fn day(n: i32) -> Day {
    BASE.parse::<Day>().unwrap().plus(n)
}

pub(crate) fn source(n: usize) -> Source {
    Source::new(SOURCES[n]).unwrap()
}

/// Mostly one week, where draws meet; sometimes far enough for gaps and other weeks.
pub(crate) fn any_day() -> BoxedStrategy<Day> {
    prop_oneof![6 => 3..10_i32, 1 => 0..SPAN].prop_map(day).boxed()
}

pub(crate) fn any_source() -> BoxedStrategy<Source> {
    prop_oneof![4 => Just(0_usize), 2 => Just(1), 1 => Just(2)].prop_map(source).boxed()
}

/// Values beside every threshold, and few others.
pub(crate) fn any_steps() -> BoxedStrategy<u32> {
    prop_oneof![
        8 => select(vec![0, 1, 3_200, 5_999, 6_000, 6_001, 8_003, 9_999, 10_000, 10_001, 12_000]),
        2 => select(vec![99_999, 100_000, 100_001, 299_999, 300_000]),
        1 => 0..=300_000_u32,
    ]
    .boxed()
}

fn any_manual() -> BoxedStrategy<u32> {
    prop_oneof![6 => Just(0), 3 => select(vec![1, 2_000, 4_000, 6_000]), 1 => any_steps()].boxed()
}

pub(crate) fn any_counts() -> BoxedStrategy<Counts> {
    (any_steps(), any_manual()).prop_map(|(recorded, manual)| Counts::new(recorded, manual)).boxed()
}

pub(crate) fn any_value() -> BoxedStrategy<Option<Counts>> {
    prop_oneof![1 => Just(None), 4 => any_counts().prop_map(Some)].boxed()
}

/// Low epochs meet local ones; the last ones meet the end of the counter.
pub(crate) fn any_epoch() -> BoxedStrategy<u16> {
    prop_oneof![5 => Just(0_u16), 5 => 1..6_u16, 1 => 65_531..=65_535_u16].boxed()
}

pub(crate) fn any_register() -> BoxedStrategy<Register> {
    (any_epoch(), any_value()).prop_map(|(epoch, counts)| Register { epoch, counts }).boxed()
}

pub(crate) fn any_fact() -> BoxedStrategy<Fact> {
    prop_oneof![
        6 => (any_day(), any_source(), any_register())
            .prop_map(|(day, source, register)| Fact::Cell { day, source, register }),
        1 => any_day().prop_map(Fact::Attended),
    ]
    .boxed()
}

fn any_offset() -> BoxedStrategy<Option<UtcOffset>> {
    let minutes = select(vec![None, Some(540), Some(540), Some(60)]);
    minutes.prop_map(|minutes| minutes.and_then(|m| UtcOffset::from_minutes(m).ok())).boxed()
}

pub(crate) fn any_reading() -> BoxedStrategy<Reading> {
    let extent = prop_oneof![Just(Extent::Partial), Just(Extent::Full)];
    (any_day(), any_source(), any_counts(), extent, any_offset())
        .prop_map(|(day, source, counts, extent, offset)| Reading { day, source, counts, extent, offset })
        .boxed()
}

/// What may happen to a ledger, as data that prints and shrinks.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Read(Reading),
    Delete(Deletion),
    Correct(Day, Source, Option<Counts>),
    Unpin(Day, Source),
    Count(Day, Source, u8, u32),
    Attend(Day),
    Receive(Fact),
    Merge(Fact),
}

/// What a device does by itself; corrections and what comes from elsewhere are left out.
pub(crate) fn own_act() -> BoxedStrategy<Act> {
    // One chip on one day, so that its count, what is deleted of it and its next count meet.
    let chip = || prop_oneof![2 => Just((day(5), source(2))), 1 => (any_day(), any_source())];
    let deletion = (chip(), prop_oneof![1 => Just(None), 2 => any_value()])
        .prop_map(|((day, source), left)| Act::Delete(Deletion { day, source, left }));
    let count = prop_oneof![8 => 0..12_000_u32, 2 => any_steps(), 1 => Just(u32::MAX)];
    let counter = (chip(), prop_oneof![3 => Just(0_u8), 1 => Just(1)], count)
        .prop_map(|((day, source), boot, count)| Act::Count(day, source, boot, count));
    prop_oneof![
        10 => any_reading().prop_map(Act::Read),
        3 => deletion,
        4 => counter,
        2 => any_day().prop_map(Act::Attend),
    ]
    .boxed()
}

pub(crate) fn any_act() -> BoxedStrategy<Act> {
    prop_oneof![
        19 => own_act(),
        1 => (any_day(), any_source(), any_value()).prop_map(|(d, s, to)| Act::Correct(d, s, to)),
        1 => (any_day(), any_source()).prop_map(|(d, s)| Act::Unpin(d, s)),
        4 => any_fact().prop_map(Act::Receive),
        2 => any_fact().prop_map(Act::Merge),
    ]
    .boxed()
}

/// The caller's day: most days of most acts are closed, some are open, some too late.
pub(crate) fn any_today() -> BoxedStrategy<Day> {
    prop_oneof![3 => Just(day(SPAN)), 2 => (3..12_i32).prop_map(day)].boxed()
}

impl Act {
    pub(crate) fn apply(&self, ledger: &mut Ledger, now: Now) -> Result<Applied, Refusal> {
        match self {
            Act::Read(reading) => ledger.apply(Operation::Read(reading), now),
            Act::Delete(deletion) => ledger.apply(Operation::Delete(deletion), now),
            Act::Correct(day, source, to) => {
                let correction = Correction { day: *day, source: *source, to: *to, reason: "support" };
                ledger.apply(Operation::Correct(&correction), now)
            }
            Act::Unpin(day, source) => ledger.apply(Operation::Unpin(*day, *source), now),
            Act::Count(day, source, boot, count) => {
                let boot = format!("boot-{boot}");
                let reading = CounterReading { day: *day, source: *source, boot: &boot, count: *count };
                ledger.apply(Operation::Count(&reading), now)
            }
            Act::Attend(day) => ledger.apply(Operation::Attend(*day), now),
            Act::Receive(fact) => ledger.apply(Operation::Receive(fact), now),
            Act::Merge(fact) => ledger.apply(Operation::Merge(fact), now),
        }
    }
}

pub(crate) fn any_rules() -> BoxedStrategy<Rules> {
    let levels = select(Level::ALL.to_vec());
    let thresholds = select(vec![(10_000, 6_000), (10_000, 10_000), (6_000, 1), (1, 1), (300_000, 6_001)]);
    let gap = select(vec![GapPolicy::Skip, GapPolicy::CountAsZero]);
    let week = select(vec![WeekStart::Monday, WeekStart::Sunday, WeekStart::Saturday]);
    let goal = select(vec![10_000, 1, 6_000, 100_000, u32::MAX]);
    (levels, thresholds, gap, week, goal)
        .prop_map(|(start, (raise_at, drop_below), gap, week, goal)| {
            let builder = Rules::builder().start_level(start).raise_at(raise_at).drop_below(drop_below);
            builder.gap(gap).week_start(week).goal(goal).build().unwrap()
        })
        .boxed()
}

pub(crate) fn empty(rules: &Rules) -> Ledger {
    Ledger::new(*rules.levels())
}
