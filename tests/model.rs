//! `StepBook` on real files against a naive model, after every step of a random life: two devices, a
//! second process on the file, suspension, reopening, a move to another phone.
//!
//! `MANBO_MODEL_CASES` sets the number of lives, `PROPTEST_RNG_SEED` makes a run repeatable.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so at once")]

mod common;
#[path = "model/derived.rs"]
mod derived;
#[path = "model/device.rs"]
mod device;
#[path = "model/pair.rs"]
mod pair;

use manbo::{Code, Counts, Day, Fact, Reading, Register, Rules, Source};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use common::{Act, any_act, any_day, any_fact, any_reading, any_rules, any_source, any_today};
use pair::{World, ensure_same};

/// One step of a life. `device` is 0 or 1.
#[derive(Debug, Clone)]
enum Step {
    /// An act, by the app or by another process that has the file open.
    Act {
        device: usize,
        other: bool,
        act: Act,
    },
    /// Many readings in one call.
    Batch {
        device: usize,
        other: bool,
        readings: Vec<Reading>,
    },
    /// Facts of the server in one call.
    Receive {
        device: usize,
        facts: Vec<Fact>,
    },
    /// Everything that the other device knows.
    Meet {
        into: usize,
    },
    /// The server answers what is pending: so many facts taken, the next so many refused, and brings news.
    Answer {
        device: usize,
        taken: usize,
        refused: usize,
        news: Vec<Fact>,
    },
    /// An answer to facts that may have changed since.
    LateAnswer {
        device: usize,
        taken: Vec<Fact>,
    },
    Reopen {
        device: usize,
    },
    /// Suspended while another process acts.
    Suspend {
        device: usize,
        meanwhile: Option<Act>,
    },
    NewPhone {
        device: usize,
    },
}

/// What section 8 refuses, and its neighbours.
fn wild_act() -> BoxedStrategy<Act> {
    let days = ["1999-12-31", "2000-01-01", "2022-10-27", "2022-10-28", "2199-12-31", "2200-01-01"];
    let day = || prop_oneof![select(days.to_vec()).prop_map(|day| day.parse::<Day>().unwrap()), any_day()];
    let count = || select(vec![0_u32, 1, 300_000, 300_001, u32::MAX]);
    let counts = || (count(), count()).prop_map(|(recorded, manual)| Counts::new(recorded, manual));
    let source = || prop_oneof![any_source(), (0..20_u8).prop_map(crowd_source)];
    prop_oneof![
        (day(), source(), counts()).prop_map(|(day, source, c)| {
            Act::Read(Reading::new(day, source, c.recorded).with_manual(c.manual).full())
        }),
        (day(), source(), prop::option::of(counts()))
            .prop_map(|(day, source, left)| Act::Delete(manbo::Deletion { day, source, left })),
        (day(), source(), prop::option::of(counts())).prop_map(|(d, s, to)| Act::Correct(d, s, to)),
        (day(), source()).prop_map(|(d, s)| Act::Unpin(d, s)),
        (day(), source(), 0..3_u8, count()).prop_map(|(d, s, boot, n)| Act::Count(d, s, boot, n)),
        day().prop_map(Act::Attend),
        (day(), source(), select(vec![0_u16, 1, 65_534, 65_535]), prop::option::of(counts())).prop_map(
            |(day, source, epoch, counts)| {
                Act::Receive(Fact::Cell { day, source, register: Register { epoch, counts } })
            }
        ),
    ]
    .boxed()
}

fn crowd_source(n: u8) -> Source {
    Source::new(&format!("crowd-{n:02}")).unwrap()
}

/// Enough names at once to meet the limit of sources, and one value now and then outside the limits.
fn news() -> BoxedStrategy<Vec<Fact>> {
    let crowd = (any_day(), 10..18_u8).prop_map(|(day, names)| {
        let register = Register { epoch: 0, counts: Some(Counts::new(5_000, 0)) };
        (0..names).map(|n| Fact::Cell { day, source: crowd_source(n), register }).collect()
    });
    let late = (any_fact(), any_fact()).prop_map(|(fact, other)| {
        let Fact::Cell { source, .. } = other else { return vec![fact] };
        let register = Register { epoch: 0, counts: Some(Counts::new(300_001, 0)) };
        vec![fact, Fact::Cell { day: fact.day(), source, register }]
    });
    prop_oneof![6 => prop::collection::vec(any_fact(), 0..6), 1 => crowd, 1 => late].boxed()
}

fn any_step() -> BoxedStrategy<Step> {
    let device = || 0..2_usize;
    let other = || prop::bool::weighted(0.25);
    let act = || prop_oneof![8 => any_act(), 1 => wild_act()];
    let batch = prop::collection::vec(
        prop_oneof![
            6 => any_reading(),
            1 => any_reading().prop_map(|reading| Reading { counts: Counts::new(300_000, 1), ..reading }),
        ],
        0..12,
    );
    prop_oneof![
        24 => (device(), other(), act()).prop_map(|(device, other, act)| Step::Act { device, other, act }),
        3 => (device(), other(), batch)
            .prop_map(|(device, other, readings)| Step::Batch { device, other, readings }),
        2 => (device(), news()).prop_map(|(device, facts)| Step::Receive { device, facts }),
        2 => device().prop_map(|into| Step::Meet { into }),
        2 => (device(), 0..9_usize, 0..3_usize, news())
            .prop_map(|(device, taken, refused, news)| Step::Answer { device, taken, refused, news }),
        1 => (device(), prop::collection::vec(any_fact(), 0..5))
            .prop_map(|(device, taken)| Step::LateAnswer { device, taken }),
        2 => device().prop_map(|device| Step::Reopen { device }),
        2 => (device(), prop::option::of(act()))
            .prop_map(|(device, meanwhile)| Step::Suspend { device, meanwhile }),
        1 => device().prop_map(|device| Step::NewPhone { device }),
    ]
    .boxed()
}

fn run(world: &mut World, step: &Step) -> Result<(), TestCaseError> {
    match step {
        Step::Act { device, other, act } => world.act(*device, *other, act),
        Step::Batch { device, other, readings } => world.batch(*device, *other, readings),
        Step::Receive { device, facts } => world.receive(*device, facts),
        Step::Meet { into } => world.meet(1 - into, *into),
        Step::Answer { device, taken, refused, news } => world.answer(*device, *taken, *refused, news),
        Step::LateAnswer { device, taken } => world.late_answer(*device, taken),
        Step::Reopen { device } => world.reopen(*device),
        Step::Suspend { device, meanwhile } => world.suspend(*device, meanwhile.as_ref()),
        Step::NewPhone { device } => world.new_phone(*device),
    }
}

fn config() -> ProptestConfig {
    let cases = std::env::var("MANBO_MODEL_CASES").map_or(Ok(200), |text| text.parse());
    ProptestConfig { cases: cases.expect("MANBO_MODEL_CASES is a whole number"), ..common::config() }
}

fn live(rules: Rules, steps: &[(Day, Step)]) -> Result<(), TestCaseError> {
    let mut world = World::new(rules);
    for (n, (today, step)) in steps.iter().enumerate() {
        world.begin(*today, i64::try_from(n).unwrap());
        run(&mut world, step)
            .and_then(|()| world.compare(0))
            .and_then(|()| world.compare(1))
            .map_err(|error| TestCaseError::fail(format!("step {n} {step:?}: {error}")))?;
    }
    Ok(())
}

/// Not by the macro: it lets `PROPTEST_CASES` override the number of lives that was asked for.
#[test]
fn a_book_lives_as_the_model_does() {
    let lives = (any_rules(), prop::collection::vec((any_today(), any_step()), 1..60));
    let outcome = TestRunner::new(config()).run(&lives, |(rules, steps)| live(rules, &steps));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// The interpretation that the model shares with the library, as one short life each.
#[test]
fn the_model_knows_the_contract() {
    let mut world = World::new(Rules::default());
    let day: Day = "2022-10-01".parse().unwrap();
    let health = Source::new("health").unwrap();
    let fact = |epoch, recorded| Fact::Cell {
        day,
        source: health,
        register: Register { epoch, counts: Some(Counts::new(recorded, 0)) },
    };
    world.begin(day.next(), 0);
    // V06, then V10 on what is left.
    for act in [
        Act::Read(Reading::new(day, health, 17_089)),
        Act::Receive(fact(2, 8_003)),
        Act::Read(Reading::new(day, health, 17_089)),
    ] {
        world.act(0, false, &act).unwrap();
    }
    ensure_same("register", &world.cell(0, day, health), &(2, Some((17_089, 0)))).unwrap();
    ensure_same("re-read", &world.reread(0), &vec![(day, health)]).unwrap();
    world.act(0, false, &Act::Read(Reading::new(day, health, 17_089).full())).unwrap();
    ensure_same("re-read", &world.reread(0), &vec![]).unwrap();
    let gone = Act::Delete(manbo::Deletion { day, source: health, left: None });
    world.act(0, false, &gone).unwrap();
    ensure_same("register", &world.cell(0, day, health), &(4, None)).unwrap();
    world.compare(0).unwrap();
    // What was deleted of a counter's day does not come back with the next steps.
    let chip = Source::new("chip").unwrap();
    let count = |count| Act::Count(day, chip, 0, count);
    let gone = Act::Delete(manbo::Deletion { day, source: chip, left: None });
    for act in [count(100), count(600), gone, count(700)] {
        world.act(0, false, &act).unwrap();
    }
    ensure_same("chip", &world.cell(0, day, chip), &(2, Some((100, 0)))).unwrap();
    let too_late = Act::Attend(day.plus(3));
    world.act(0, false, &too_late).unwrap();
    ensure_same("code", &world.last_error(), &Some(Code::DayOutOfRange)).unwrap();
}
