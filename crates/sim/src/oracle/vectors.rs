//! The contract's vectors (section 9) that concern one replica, two replicas or levels, worked by hand.

use std::collections::BTreeSet;

use super::derived::{DayNumbers, Rules, days, numbers};
use super::fact::{DayNumber, Item, SourceNumber, Value};
use super::history::History;
use super::limits::{FIRST_DAY, LAST_DAY};
use super::replica::{Refused, Replica, Reread};
use super::server::{Moderation, ServerReplica};

/// 2022-10-04, and a health store and a watch on it.
const TODAY: DayNumber = 19_269;
const DAY: DayNumber = TODAY - 1;
const HEALTH: SourceNumber = 0;
const WATCH: SourceNumber = 1;

fn value(epoch: u16, recorded: u32) -> Value {
    Value { epoch, counts: Some((recorded, 0)) }
}

fn cell(day: DayNumber, epoch: u16, recorded: u32) -> Item {
    Item::Cell { day, source: HEALTH, value: value(epoch, recorded) }
}

fn partial(replica: &mut Replica, day: DayNumber, recorded: u32) {
    replica.read(day, HEALTH, recorded, 0, false, None, TODAY).unwrap();
}

fn full(replica: &mut Replica, day: DayNumber, recorded: u32) {
    replica.read(day, HEALTH, recorded, 0, true, None, TODAY).unwrap();
}

fn register(replica: &Replica, day: DayNumber) -> Value {
    replica.mark(day, HEALTH).value
}

/// A replica with these steps on the days from `DAY` on, with a gap where there is none.
fn walked(steps: &[Option<u32>]) -> Replica {
    let mut replica = Replica::default();
    for (day, steps) in (DAY..).zip(steps) {
        if let Some(steps) = steps {
            replica.read(day, HEALTH, *steps, 0, false, None, day).unwrap();
        }
    }
    replica
}

fn levels(replica: &Replica, rules: &Rules) -> (Vec<u8>, Vec<u8>) {
    let days = days(replica, rules);
    (days.values().map(|d| d.initial_level).collect(), days.values().map(|d| d.level).collect())
}

fn start(start_level: u8) -> Rules {
    Rules { start_level, ..Rules::default() }
}

#[test]
fn v01_to_v05_and_v07_readings_grow_and_repeat() {
    let mut replica = Replica::default();
    partial(&mut replica, DAY, 8_500);
    assert_eq!((register(&replica, DAY), replica.pending().len()), (value(0, 8_500), 1));
    replica.accepted(cell(DAY, 0, 8_500));
    let before = replica.clone();
    (0..1_000).for_each(|_| partial(&mut replica, DAY, 8_500));
    assert_eq!(replica, before);
    for first in [3_200, 8_500, 12_000] {
        for second in [3_200, 8_500, 12_000] {
            let mut replica = Replica::default();
            for steps in [first, second, 3_200, 12_000, first, 8_500] {
                partial(&mut replica, DAY, steps);
            }
            assert_eq!(replica.items(), BTreeSet::from([cell(DAY, 0, 12_000)]));
        }
    }
    let mut replica = Replica::default();
    full(&mut replica, DAY, 13_441);
    partial(&mut replica, DAY, 4_252);
    assert_eq!(register(&replica, DAY), value(0, 13_441));
}

#[test]
fn v06_a_correction_from_elsewhere_wants_a_full_reading() {
    let mut replica = Replica::default();
    partial(&mut replica, DAY, 17_089);
    replica.receive(cell(DAY, 2, 8_003)).unwrap();
    partial(&mut replica, DAY, 17_089);
    assert_eq!(register(&replica, DAY), value(2, 17_089));
    assert_eq!(replica.to_reread(), BTreeSet::from([(DAY, HEALTH)]));
    full(&mut replica, DAY, 17_089);
    assert_eq!(replica.to_reread(), BTreeSet::new());

    let mut pinned = Replica::default();
    partial(&mut pinned, DAY, 17_089);
    pinned.receive(cell(DAY, 1, 8_003)).unwrap();
    let before = pinned.clone();
    pinned.read(DAY, HEALTH, 17_089, 0, true, Some(60), TODAY).unwrap();
    assert_eq!((register(&pinned, DAY), pinned == before), (value(1, 8_003), true));

    // A device that never read the source has nothing to read again, until it does.
    let mut other = Replica::default();
    other.receive(cell(DAY, 2, 8_003)).unwrap();
    assert_eq!(other.to_reread(), BTreeSet::new());
    partial(&mut other, TODAY, 10);
    assert_eq!(other.to_reread(), BTreeSet::from([(DAY, HEALTH)]));
}

#[test]
fn v08_two_pins_join() {
    let mut replicas = [Replica::default(), Replica::default()];
    replicas[0].correct(DAY, HEALTH, Some((8_003, 0)), TODAY).unwrap();
    replicas[1].correct(DAY, HEALTH, Some((8_100, 0)), TODAY).unwrap();
    let [one, other] = &mut replicas;
    other.items().into_iter().for_each(|item| one.merge(item).unwrap());
    one.items().into_iter().for_each(|item| other.merge(item).unwrap());
    assert_eq!((register(one, DAY), register(other, DAY)), (value(1, 8_100), value(1, 8_100)));
}

#[test]
fn v09_to_v11_and_v13_only_what_was_read_here_goes_down() {
    let mut new_phone = Replica::default();
    new_phone.receive(cell(DAY, 0, 13_441)).unwrap();
    full(&mut new_phone, DAY, 4_252);
    assert_eq!(register(&new_phone, DAY), value(0, 13_441));
    let mut same_phone = Replica::default();
    partial(&mut same_phone, DAY, 13_441);
    full(&mut same_phone, DAY, 4_252);
    assert_eq!(register(&same_phone, DAY), value(2, 4_252));

    let mut replica = Replica::default();
    partial(&mut replica, DAY, 9_000);
    full(&mut replica, DAY, 0);
    assert_eq!(register(&replica, DAY), value(0, 9_000));
    replica.delete(DAY, HEALTH, None, TODAY).unwrap();
    assert_eq!(register(&replica, DAY), Value { epoch: 2, counts: None });
    assert!(days(&replica, &Rules::default()).is_empty());
    let before = replica.clone();
    replica.delete(DAY, HEALTH, None, TODAY).unwrap();
    assert_eq!(replica, before);

    let mut received = Replica::default();
    received.receive(cell(DAY, 0, 13_441)).unwrap();
    received.delete(DAY, HEALTH, None, TODAY).unwrap();
    assert_eq!(register(&received, DAY), value(0, 13_441));
    assert_eq!(received.to_reread(), BTreeSet::from([(DAY, HEALTH)]));

    let mut typed = Replica::default();
    typed.read(DAY, HEALTH, 7_000, 5_000, false, None, TODAY).unwrap();
    assert_eq!(levels(&typed, &start(2)).1, [3]);
    typed.delete(DAY, HEALTH, Some((7_000, 0)), TODAY).unwrap();
    assert_eq!((register(&typed, DAY), levels(&typed, &start(2)).1), (value(2, 7_000), vec![2]));
}

#[test]
fn v12_and_v14_what_counts_of_a_day() {
    let mut replica = Replica::default();
    partial(&mut replica, DAY, 17_089);
    replica.read(DAY, WATCH, 17_089, 0, false, None, TODAY).unwrap();
    replica.correct(DAY, HEALTH, Some((8_003, 0)), TODAY).unwrap();
    let shown = |replica: &Replica| days(replica, &Rules::default()).get(&DAY).map(|d| (d.shown, d.ranked));
    assert_eq!(shown(&replica), Some((8_003, 8_003)));
    replica.correct(DAY, HEALTH, None, TODAY).unwrap();
    assert_eq!(shown(&replica), None, "only the pinned cell counts, and it is absent");
    let mut typed = Replica::default();
    typed.read(DAY, HEALTH, 4_000, 20_000, false, None, TODAY).unwrap();
    assert_eq!(shown(&typed), Some((24_000, 4_000)));
    typed.read(DAY, WATCH, 200_000, 100_000, false, None, TODAY).unwrap();
    typed
        .receive(Item::Cell {
            day: DAY,
            source: WATCH,
            value: Value { epoch: 0, counts: Some((0, 300_000)) },
        })
        .unwrap();
    assert_eq!(shown(&typed), Some((300_000, 100_000)), "both are capped");
}

#[test]
fn v15_to_v18_levels() {
    let mut replica = walked(&[Some(3_200), Some(12_000), Some(8_000)]);
    assert_eq!(levels(&replica, &start(2)), (vec![2, 1, 2], vec![2, 2, 2]));
    partial(&mut replica, DAY, 12_000);
    assert_eq!(levels(&replica, &start(2)), (vec![2, 3, 4], vec![3, 4, 4]));
    for (from, steps, initial, level) in [
        (2, vec![5_999, 6_000, 9_999, 10_000], vec![2, 1, 1, 1], vec![2, 1, 1, 2]),
        (4, vec![15_000, 15_000], vec![4, 4], vec![4, 4]),
        (0, vec![100, 100], vec![0, 0], vec![0, 0]),
        (2, vec![5_000, 10_000, 5_000, 10_000], vec![2, 1, 2, 1], vec![2, 2, 2, 2]),
    ] {
        let walked = walked(&steps.into_iter().map(Some).collect::<Vec<_>>());
        assert_eq!(levels(&walked, &start(from)), (initial, level));
    }
}

#[test]
fn v19_days_without_a_log() {
    let replica = walked(&[Some(8_000), None, None, Some(8_000)]);
    assert_eq!(levels(&replica, &start(3)), (vec![3, 3], vec![3, 3]));
    let zero = Rules { count_missing_as_zero: true, ..start(3) };
    assert_eq!(levels(&replica, &zero), (vec![3, 1], vec![3, 1]));
    assert_eq!(numbers(&replica, &zero, DAY + 6).current_level, 0);
    assert_eq!(numbers(&replica, &zero, DAY + 2).current_level, 2);
    assert_eq!(numbers(&replica, &zero, DAY - 1).current_level, 3);
    let none = DayNumbers { shown: 0, ranked: 0, initial_level: 3, level: 3 };
    assert_eq!(days(&walked(&[Some(0)]), &zero).get(&DAY), Some(&none), "0 steps are known steps");
}

#[test]
fn v20_and_v34_a_batch_in_any_order_and_again() {
    let batch = [cell(DAY, 0, 5_000), cell(DAY - 2, 0, 100), cell(DAY, 0, 7_000), Item::Attended(DAY)];
    let mut server = ServerReplica::default();
    assert!(server.ingest(&batch, TODAY, false).changed);
    assert_eq!((register(&server.replica, DAY), server.revision), (value(0, 7_000), 1));
    assert!(server.replica.pending().is_empty());
    let again = server.ingest(&batch, TODAY, false);
    assert_eq!((again.changed, again.accepted.len(), server.revision), (false, 4, 1));
    server.moderate(DAY, HEALTH, Moderation::Correct(Some((10, 0))), TODAY).unwrap();
    assert_eq!(server.changes_since(1), BTreeSet::from([cell(DAY, 1, 10)]));
    assert_eq!(server.changes_since(0).len(), 3);
    assert!(!server.moderate(DAY - 2, HEALTH, Moderation::Unpin, TODAY).unwrap());
    server.erase();
    assert_eq!((server.generation, server.changes_since(0).len()), (1, 0));
}

#[test]
fn v22_v26_and_v31_streaks_and_weeks() {
    let goal = walked(&[Some(10_000), Some(10_000), Some(10_000), None, Some(12_000)]);
    let rules = Rules::default();
    assert_eq!(numbers(&goal, &rules, DAY + 2).goal_streak, 3);
    assert_eq!(numbers(&goal, &rules, DAY + 3).goal_streak, 3, "the day is not over yet");
    assert_eq!(numbers(&goal, &rules, DAY + 4).goal_streak, 1);
    assert_eq!(numbers(&goal, &rules, DAY + 4).longest_goal_streak, 3);
    assert_eq!(numbers(&goal, &rules, DAY + 6).goal_streak, 0);
    let best = numbers(&goal, &rules, DAY + 3);
    assert_eq!((best.best_day, best.best_day_steps, best.total_steps), (Some(DAY), 10_000, 30_000));
    // 2022-10-03 was a Monday; 2022-10-01 and -02 the weekend before it.
    let mut week = Replica::default();
    for (day, steps) in [(DAY - 3, 1), (DAY - 2, 10), (DAY - 1, 100), (DAY, 1_000), (DAY + 1, 10_000)] {
        partial(&mut week, day, steps);
    }
    for (week_start, steps) in [(0, 1_000), (6, 1_100), (5, 1_110)] {
        let rules = Rules { week_start, ..Rules::default() };
        assert_eq!(numbers(&week, &rules, DAY).week_steps, steps);
    }
}

#[test]
fn v29_midnight_of_another_zone_takes_nothing() {
    let mut replica = Replica::default();
    replica.read(DAY, HEALTH, 9_000, 0, false, Some(540), TODAY).unwrap();
    replica.read(DAY, HEALTH, 8_000, 0, true, Some(60), TODAY).unwrap();
    assert_eq!(register(&replica, DAY), value(0, 9_000));
    replica.read(DAY, HEALTH, 8_000, 0, true, None, TODAY).unwrap();
    assert_eq!(replica.mark(DAY, HEALTH).offset, Some(540));
    assert_eq!(register(&replica, DAY), value(2, 8_000));
}

#[test]
fn v35_a_counter_credits_what_it_grew() {
    let mut replica = Replica::default();
    let mut count = |boot, counter| {
        replica.count(DAY, HEALTH, boot, counter, TODAY).unwrap();
        replica.mark(DAY, HEALTH).value.counts
    };
    assert_eq!(count(1, 41_200), None);
    assert_eq!(count(2, 35), Some((35, 0)));
    assert_eq!(count(2, 90), Some((90, 0)));
    assert_eq!(count(2, 60), Some((90, 0)));
    assert_eq!(count(2, 300_091), Some((90, 0)), "a leap above the limit only moves the baseline");
    assert_eq!(count(2, 300_101), Some((100, 0)));
    replica.correct(DAY, HEALTH, Some((5, 0)), TODAY).unwrap();
    replica.count(DAY, HEALTH, 2, 300_200, TODAY).unwrap();
    assert_eq!(register(&replica, DAY), value(1, 5));
    assert_eq!(replica.baselines.get(&HEALTH), Some(&(2, 300_200)));
}

#[test]
fn v37_and_v39_a_receipt_clears_what_it_names() {
    let mut replica = Replica::default();
    partial(&mut replica, DAY, 500);
    partial(&mut replica, DAY, 1_382);
    replica.accepted(cell(DAY, 0, 500));
    assert_eq!(replica.pending(), BTreeSet::from([cell(DAY, 0, 1_382)]));
    replica.refused(cell(DAY, 0, 1_382), "unexplained");
    assert_eq!((replica.pending().len(), replica.parked().len()), (0, 1));
    replica.send_all_again();
    assert_eq!(replica.pending().len(), 0);
    replica.retry(cell(DAY, 0, 500));
    assert_eq!(replica.parked().len(), 1, "not what is parked");
    replica.retry(cell(DAY, 0, 1_382));
    assert_eq!((replica.pending().len(), replica.parked().len()), (1, 0));
    replica.refused(cell(DAY, 0, 1_382), "unexplained");
    partial(&mut replica, DAY, 1_383);
    assert_eq!((replica.pending().len(), replica.parked().len()), (1, 0));
    replica.accepted(cell(DAY, 0, 1_383));
    replica.attend(DAY, TODAY).unwrap();
    replica.refused(Item::Attended(DAY), "future_day");
    replica.discard(Item::Attended(DAY));
    assert_eq!((replica.pending().len(), replica.parked().len(), replica.items().len()), (0, 0, 2));
    replica.send_all_again();
    assert_eq!(replica.pending(), replica.items());
}

#[test]
fn what_came_from_the_server_is_pending_only_where_it_lacks_something() {
    let mut replica = Replica::default();
    replica.read(DAY, HEALTH, 8_000, 0, false, None, TODAY).unwrap();
    let more = Item::Cell { day: DAY, source: HEALTH, value: Value { epoch: 0, counts: Some((7_000, 9)) } };
    replica.receive(more).unwrap();
    assert_eq!((replica.pending().len(), replica.mark(DAY, HEALTH).read_here), (1, false));
    replica.receive(Item::Cell { day: DAY, source: HEALTH, value: replica.mark(DAY, HEALTH).value }).unwrap();
    assert!(replica.pending().is_empty());
    replica.receive(more).unwrap();
    assert!(replica.pending().is_empty(), "an older page says nothing new");
    replica.merge(cell(DAY, 0, 9_000)).unwrap();
    assert_eq!(replica.pending().len(), 1);
    replica.merge(Item::Attended(DAY)).unwrap();
    assert_eq!(replica.pending().len(), 2);
    replica.receive(Item::Attended(DAY)).unwrap();
    assert_eq!(replica.pending().len(), 1);
}

#[test]
fn the_first_who_signs_in_takes_over_what_was_there() {
    let mut signed_out = Replica::default();
    signed_out.read(DAY, HEALTH, 8_000, 0, false, Some(540), TODAY).unwrap();
    signed_out.read(DAY, WATCH, 5, 0, false, Some(540), TODAY).unwrap();
    signed_out.count(TODAY, 2, 7, 100, TODAY).unwrap();
    signed_out.attend(TODAY, TODAY).unwrap();
    let mut user = Replica::default();
    user.receive(cell(DAY, 2, 9_000)).unwrap();
    user.receive(cell(DAY - 1, 0, 1)).unwrap();
    user.take_over(&mut signed_out);
    assert_eq!(signed_out, Replica::default());
    let watch = Item::Cell { day: DAY, source: WATCH, value: value(0, 5) };
    assert_eq!(user.pending(), BTreeSet::from([watch, Item::Attended(TODAY)]));
    let (health, watch) = (user.mark(DAY, HEALTH), user.mark(DAY, WATCH));
    assert_eq!((health.value, health.read_here, health.offset), (value(2, 9_000), false, None));
    assert_eq!((watch.value, watch.read_here, watch.offset), (value(0, 5), true, Some(540)));
    assert_eq!(user.to_reread(), BTreeSet::from([(DAY, HEALTH)]), "this device read the source");
    user.count(TODAY, 2, 7, 150, TODAY).unwrap();
    assert_eq!(user.mark(TODAY, 2).value, value(0, 50), "the baseline moved along");

    user.forget_device();
    assert_eq!((user.to_reread().len(), user.mark(DAY, WATCH).read_here), (0, false));
    user.count(TODAY, 2, 7, 200, TODAY).unwrap();
    assert_eq!(user.mark(TODAY, 2).value, value(0, 50), "the first reading ever credits nothing");
}

#[test]
fn limits_in_their_order() {
    let mut replica = Replica::default();
    let read = |replica: &mut Replica, day, source, recorded, manual, offset| {
        replica.read(day, source, recorded, manual, false, offset, TODAY)
    };
    for source in 0..16 {
        read(&mut replica, DAY, source, 1, 0, None).unwrap();
    }
    let before = replica.clone();
    let bad = |result: Result<(), Refused>| result.unwrap_err().code();
    assert_eq!(bad(read(&mut replica, TODAY + 2, 16, 300_001, 0, Some(841))), "bad_value");
    assert_eq!(bad(read(&mut replica, TODAY + 2, 16, 300_001, 0, Some(840))), "day_out_of_range");
    assert_eq!(bad(read(&mut replica, TODAY + 1, 16, u32::MAX, u32::MAX, None)), "implausible_steps");
    assert_eq!(bad(read(&mut replica, TODAY + 1, 16, 300_000, 0, None)), "too_many_sources");
    assert_eq!(bad(replica.unpin(DAY, 16, TODAY)), "too_many_sources");
    assert_eq!(bad(replica.delete(DAY, 0, Some((0, 300_001)), TODAY)), "implausible_steps");
    assert_eq!(bad(replica.attend(FIRST_DAY - 1, TODAY)), "day_out_of_range");
    assert_eq!(bad(replica.attend(LAST_DAY + 1, LAST_DAY + 1)), "day_out_of_range");
    assert_eq!(bad(replica.receive(cell(LAST_DAY + 1, 0, 1))), "day_out_of_range");
    assert_eq!(bad(replica.merge(cell(LAST_DAY, 0, 300_001))), "implausible_steps");
    assert_eq!(replica, before);
    replica.receive(Item::Cell { day: DAY, source: 16, value: value(0, 300_000) }).unwrap();

    for (epoch, then) in [(65_534, "too_many_corrections"), (65_535, "too_many_corrections")] {
        let mut last = Replica::default();
        last.receive(cell(DAY, epoch, 100)).unwrap();
        full(&mut last, DAY, 100);
        full(&mut last, DAY, 50);
        assert_eq!(register(&last, DAY), value(epoch, 100), "at the last even epoch a reading only joins");
        let refused = if epoch == 65_534 {
            last.delete(DAY, HEALTH, None, TODAY)
        } else {
            last.unpin(DAY, HEALTH, TODAY)
        };
        assert_eq!(bad(refused), then);
    }
}

#[test]
fn a_server_refuses_what_only_it_may_give() {
    let mut server = ServerReplica::default();
    let refused = |server: &mut ServerReplica, item| {
        server.ingest(&[item], TODAY, false).refused.first().map(|(_, code)| *code)
    };
    assert_eq!(refused(&mut server, cell(TODAY + 1, 0, 1)), Some("future_day"));
    assert_eq!(refused(&mut server, cell(FIRST_DAY - 1, 0, 1)), Some("day_out_of_range"));
    assert_eq!(refused(&mut server, cell(DAY, 0, 300_001)), Some("implausible_steps"));
    assert_eq!(refused(&mut server, cell(DAY, 1, 1)), Some("epoch_not_allowed"));
    assert_eq!(refused(&mut server, cell(DAY, 4_098, 1)), Some("epoch_not_allowed"));
    assert_eq!(server.revision, 0);
    let recovered = server.ingest(&[cell(DAY, 1, 1)], TODAY, true);
    assert_eq!((recovered.flagged.len(), recovered.accepted.len(), server.revision), (1, 1, 1));
    assert_eq!(refused(&mut server, cell(DAY, 1, 2)), None, "not above the server's own");
    assert_eq!(refused(&mut server, cell(DAY, 4_096, 1)), None);
    assert_eq!(server.replica.mark(DAY, HEALTH).reread, Reread::NO);
}

#[test]
fn the_join_is_a_law_and_at_most_its_order() {
    let mut all = vec![Value::UNKNOWN];
    for epoch in 0..3 {
        all.push(Value { epoch, counts: None });
        all.extend([(0, 0), (0, 1), (1, 0), (2, 2)].map(|counts| Value { epoch, counts: Some(counts) }));
    }
    for a in &all {
        for b in &all {
            assert_eq!(a.join(*b), b.join(*a));
            assert!(a.at_most(a.join(*b)));
            assert_eq!(a.at_most(*b) && b.at_most(*a), a == b);
            for c in &all {
                assert_eq!(a.join(*b).join(*c), a.join(b.join(*c)));
            }
        }
    }
}

#[test]
fn history_replays_what_was_committed() {
    let (none, one) = (BTreeSet::new(), BTreeSet::from([cell(DAY, 0, 5)]));
    let two = BTreeSet::from([cell(DAY, 0, 9), Item::Attended(DAY)]);
    let mut history = History::default();
    history.commit(10, &none, &one);
    history.commit(20, &one, &one);
    history.commit(30, &one, &two);
    history.commit(25, &two, &one);
    assert_eq!(history.transactions().len(), 3);
    assert_eq!([9, 10, 29].map(|at| history.as_of(at)), [none.clone(), one.clone(), one.clone()]);
    assert_eq!(history.as_of(30), one, "the clock was set back before the third commit");
    assert!(history.is_whole());
    history.commit(40, &two, &none);
    assert!(!history.is_whole());
}
