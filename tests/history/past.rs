//! `as_of` equals a replay, at every moment of random lives.

use std::time::Duration;

use manbo::{Correction, Counts, Day, Fact, HistoryEvent, Moderation, Source, Store, moderate};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::phone::{USER, at, device, folder, ingest, server};
use crate::common::{self, Act, any_act, any_day, any_fact, any_source, any_value};

#[derive(Debug, Clone)]
enum Step {
    Act(Act),
    Batch(u8, Vec<Fact>),
    Correct(Day, Source, Option<Counts>),
    Unpin(Day, Source),
}

/// What is done to history itself.
#[derive(Debug, Clone, Copy)]
enum Upkeep {
    None,
    Reopen,
    /// Compacts what happened so long before now.
    Compact(i64),
}

/// A step, the milliseconds since the one before (0 and less, too), and the upkeep after it.
type Moment = (Step, i64, Upkeep);

fn any_moment(step: BoxedStrategy<Step>) -> BoxedStrategy<Moment> {
    let pause = prop::sample::select(vec![0, 0, 1, 5, 1_000, 40_000_000, 90_000_000, -1, -70_000]);
    let upkeep = prop_oneof![
        12 => Just(Upkeep::None),
        1 => Just(Upkeep::Reopen),
        1 => prop::sample::select(vec![0, 1, 1_000, 80_000_000, -5_000]).prop_map(Upkeep::Compact),
    ];
    (step, pause, upkeep).boxed()
}

fn device_step() -> BoxedStrategy<Step> {
    any_act().prop_map(Step::Act).boxed()
}

fn server_step() -> BoxedStrategy<Step> {
    let facts = prop::collection::vec(any_fact(), 0..5);
    prop_oneof![
        6 => (0..3_u8, facts).prop_map(|(device, facts)| Step::Batch(device, facts)),
        2 => (any_day(), any_source(), any_value()).prop_map(|(d, s, to)| Step::Correct(d, s, to)),
        1 => (any_day(), any_source()).prop_map(|(d, s)| Step::Unpin(d, s)),
    ]
    .boxed()
}

fn run(store: &mut Store, step: &Step, ms: i64) {
    let moderated = |store: &mut Store, act: Moderation<'_>| {
        let _ = store.transact(USER, |ledger| Ok(moderate(ledger, act, at(ms))?));
    };
    match step {
        Step::Act(act) => drop(store.transact(USER, |ledger| Ok(act.apply(ledger, at(ms))?))),
        Step::Batch(device, facts) => drop(ingest(store, &format!("device {device}"), facts, 0, ms)),
        Step::Correct(day, source, to) => {
            let correction = Correction { day: *day, source: *source, to: *to, reason: "shaken" };
            moderated(store, Moderation::Correct(&correction));
        }
        Step::Unpin(day, source) => moderated(store, Moderation::Unpin(*day, *source)),
    }
}

/// The test's own memory: when each state began to hold, by the store's clock, which never goes back.
struct Past {
    states: Vec<(i64, Vec<Fact>)>,
    /// Before this nothing needs to be known.
    horizon: i64,
}

impl Past {
    /// What held at an instant: the last state of its millisecond.
    fn at(&self, ms: i64) -> Vec<Fact> {
        self.states
            .iter()
            .rev()
            .find(|(from, _)| *from <= ms)
            .map(|(_, facts)| facts.clone())
            .unwrap_or_default()
    }

    fn compare(&self, store: &mut Store) -> Result<(), TestCaseError> {
        let mut moments: Vec<i64> =
            self.states.iter().flat_map(|(from, _)| [*from - 1, *from, *from + 1]).collect();
        moments.extend([i64::MIN, self.horizon - 1, self.horizon, i64::MAX]);
        if store.users().unwrap().is_empty() {
            // Of one who never wrote anything nothing is told.
            return Ok(());
        }
        for ms in moments {
            match store.as_of(USER, ms).unwrap() {
                Some(ledger) => prop_assert_eq!(ledger.facts(), self.at(ms), "as of {}", ms),
                None => {
                    prop_assert!(ms < self.horizon, "as of {} is not known: horizon {}", ms, self.horizon);
                }
            }
        }
        Ok(())
    }
}

/// The changes between two states, as the history must tell them.
fn differences(was: &[Fact], is: &[Fact]) -> Vec<(Option<Fact>, Fact)> {
    let place = |fact: &Fact| match fact {
        Fact::Cell { day, source, .. } => (*day, Some(*source)),
        Fact::Attended(day) => (*day, None),
    };
    let mut changes: Vec<_> = is
        .iter()
        .filter(|fact| !was.contains(fact))
        .map(|fact| (was.iter().find(|before| place(before) == place(fact)).copied(), *fact))
        .collect();
    changes.sort_by_key(|(_, after)| place(after));
    changes
}

fn live(is_server: bool, kept: Option<Duration>, moments: &[Moment]) -> Result<(), TestCaseError> {
    let (_folder, path) = folder();
    let options = if is_server { server(kept) } else { device(kept) };
    let mut store = Store::open(&path, &options).unwrap();
    let mut past = Past { states: Vec::new(), horizon: i64::MIN };
    let (mut now, mut clock, mut told) = (1_666_000_000_000_i64, i64::MIN, 0);
    let (mut before, mut compacted) = (Vec::new(), false);
    for (n, (step, pause, upkeep)) in moments.iter().enumerate() {
        now += pause;
        run(&mut store, step, now);
        let facts = store.read(USER).unwrap().facts();
        let changes = differences(&before, &facts);
        if !changes.is_empty() {
            clock = clock.max(now);
            past.states.push((clock, facts.clone()));
        }
        // What the policy may have compacted by itself.
        past.horizon = past
            .horizon
            .max(now.saturating_sub(kept.map_or(0, |kept| i64::try_from(kept.as_millis()).unwrap())));
        if kept.is_some() {
            let mut history = store.history(USER).unwrap();
            let newest: Vec<HistoryEvent> = history.split_off(history.len() - changes.len());
            let mut found: Vec<_> = newest.iter().map(|event| (event.before, event.after)).collect();
            found.sort_by_key(|(_, after)| match after {
                Fact::Cell { day, source, .. } => (*day, Some(*source)),
                Fact::Attended(day) => (*day, None),
            });
            prop_assert_eq!(found, changes, "step {}", n);
            prop_assert!(newest.iter().all(|event| event.at_ms == clock && event.transaction > told));
            told = newest.first().map_or(told, |event| event.transaction);
            prop_assert!(newest.iter().all(|event| event.transaction == told));
        }
        before = facts;
        match upkeep {
            Upkeep::None => {}
            Upkeep::Reopen => {
                drop(store);
                store = Store::open(&path, &options).unwrap();
            }
            Upkeep::Compact(ago) => {
                let before_ms = now - ago;
                store.compact_history(USER, before_ms, at(now)).unwrap();
                past.horizon = past.horizon.max(before_ms.min(clock));
                compacted = true;
            }
        }
        if matches!(upkeep, Upkeep::None) && n + 1 < moments.len() {
            continue;
        }
        past.compare(&mut store).map_err(|error| TestCaseError::fail(format!("step {n}: {error}")))?;
    }
    if kept.is_some_and(|kept| kept > Duration::from_secs(86_400 * 300)) && !compacted {
        prop_assert!(store.as_of(USER, i64::MIN).unwrap().is_some() || store.users().unwrap().is_empty());
    }
    Ok(())
}

/// Not by the macro: it lets `PROPTEST_CASES` override the number of lives that was asked for.
#[test]
fn every_past_moment_is_as_it_was() {
    let cases = std::env::var("MANBO_CASES").map_or(Ok(300), |text| text.parse());
    let cases = cases.expect("MANBO_CASES is a whole number");
    let lives = |step: BoxedStrategy<Step>| prop::collection::vec(any_moment(step), 1..25);
    let kept = prop::sample::select(vec![
        Some(Duration::from_secs(365 * 86_400)),
        Some(Duration::from_secs(86_400)),
    ]);
    let server_kept = prop_oneof![2 => kept.clone(), 1 => Just(None)];
    let all = prop_oneof![
        (Just(false), kept, lives(device_step())),
        (Just(true), server_kept, lives(server_step())),
    ];
    let config = ProptestConfig { cases, ..common::config() };
    let outcome =
        TestRunner::new(config).run(&all, |(is_server, kept, moments)| live(is_server, kept, &moments));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
