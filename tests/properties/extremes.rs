//! Values at and beyond every limit: never a panic, and a refusal changes nothing.

use manbo::{Code, Counts, Day, Fact, Ledger, Now, Reading, Register, Rules, Source};
use proptest::prelude::*;
use proptest::sample::select;

use crate::common::{Act, config, empty};

fn extreme_count() -> impl Strategy<Value = u32> {
    select(vec![0, 1, 6_000, 100_000, 299_999, 300_000, 300_001, u32::MAX / 2 + 1, u32::MAX - 1, u32::MAX])
}

fn extreme_counts() -> impl Strategy<Value = Counts> {
    (extreme_count(), prop_oneof![2 => Just(0), 1 => extreme_count()]).prop_map(|(r, m)| Counts::new(r, m))
}

/// Around one end of the range a case, or anywhere from 1990 to 2205.
fn days() -> impl Strategy<Value = Vec<Day>> {
    let around = |at: &str| -> BoxedStrategy<Vec<Day>> {
        let at: Day = at.parse().unwrap();
        prop::collection::vec((-20..20_i32).prop_map(move |n| at.plus(n)), 1..12).boxed()
    };
    let from: Day = "1990-01-01".parse().unwrap();
    let anywhere = prop::collection::vec((0..78_894_i32).prop_map(move |n| from.plus(n)), 1..12);
    prop_oneof![5 => around("2000-01-01"), 5 => around("2199-12-31"), 1 => anywhere]
}

fn name(n: u8) -> Source {
    Source::new(&format!("source-{n}")).unwrap()
}

fn extreme_act(day: Day) -> impl Strategy<Value = Act> {
    let counts = || prop::option::weighted(0.8, extreme_counts());
    let epoch = select(vec![0_u16, 1, 2, 65_532, 65_533, 65_534, 65_535]);
    let fact = (0..20_u8, epoch, counts(), any::<bool>()).prop_map(move |(n, epoch, counts, peer)| {
        let fact = Fact::Cell { day, source: name(n), register: Register { epoch, counts } };
        if peer { Act::Merge(fact) } else { Act::Receive(fact) }
    });
    prop_oneof![
        4 => (0..20_u8, extreme_counts(), any::<bool>()).prop_map(move |(n, counts, full)| {
            let reading = Reading::new(day, name(n), counts.recorded).with_manual(counts.manual);
            Act::Read(if full { reading.full() } else { reading })
        }),
        2 => (0..20_u8, counts())
            .prop_map(move |(n, left)| Act::Delete(manbo::Deletion { day, source: name(n), left })),
        2 => (0..20_u8, counts()).prop_map(move |(n, to)| Act::Correct(day, name(n), to)),
        1 => (0..20_u8).prop_map(move |n| Act::Unpin(day, name(n))),
        2 => (0..20_u8, 0..3_u8, extreme_count())
            .prop_map(move |(n, boot, count)| Act::Count(day, name(n), boot, count)),
        1 => Just(Act::Attend(day)),
        5 => fact,
        1 => Just(Act::Receive(Fact::Attended(day))),
    ]
}

fn acts() -> impl Strategy<Value = Vec<(Day, Act)>> {
    days().prop_flat_map(|days| {
        let todays = days.clone();
        let acts = days.into_iter().map(|day| (select(todays.clone()), extreme_act(day)));
        acts.collect::<Vec<_>>()
    })
}

/// The code that section 8 demands, in the order of its checks; epochs are left to the register.
fn demanded(act: &Act, ledger: &Ledger, today: Day) -> Option<Code> {
    let range = "2000-01-01".parse().unwrap().."2200-01-01".parse().unwrap();
    let component =
        |counts: Option<Counts>| counts.is_some_and(|c| c.recorded > 300_000 || c.manual > 300_000);
    let (day, source, implausible, local) = match act {
        Act::Read(r) => (r.day, Some(r.source), r.counts.sum() > 300_000, true),
        Act::Delete(d) => (d.day, Some(d.source), component(d.left), true),
        Act::Correct(day, source, to) => (*day, Some(*source), component(*to), true),
        Act::Unpin(day, source) | Act::Count(day, source, ..) => (*day, Some(*source), false, true),
        Act::Attend(day) => (*day, None, false, true),
        Act::Receive(fact) | Act::Merge(fact) => match fact {
            Fact::Cell { day, source, register } => (*day, Some(*source), component(register.counts), false),
            Fact::Attended(day) => (*day, None, false, false),
        },
    };
    let known: Vec<Source> = ledger.source_names().collect();
    if !range.contains(&day) || (local && day > today.next()) {
        Some(Code::DayOutOfRange)
    } else if implausible {
        Some(Code::ImplausibleSteps)
    } else if local && known.len() >= 16 && source.is_some_and(|source| !known.contains(&source)) {
        Some(Code::TooManySources)
    } else {
        None
    }
}

/// A date that needs no calendar: the canonical form and a day up to the 28th.
fn surely_exists(text: &str) -> bool {
    let parts: Vec<u32> = text.split('-').filter_map(|part| part.parse().ok()).collect();
    let [year, month @ 1..=12, day @ 1..=28] = parts[..] else { return false };
    text == format!("{year:04}-{month:02}-{day:02}") && text.len() == 10
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn limits_hold_whatever_comes(acts in acts()) {
        let rules = Rules::default();
        let mut ledger = empty(&rules);
        for (today, act) in &acts {
            let demanded = demanded(act, &ledger, *today);
            let was = (ledger.digest(), ledger.pending(), ledger.cells(), ledger.to_reread());
            match act.apply(&mut ledger, Now::on(*today)) {
                Ok(_) => prop_assert_eq!(demanded, None, "{:?} was taken", act),
                Err(refusal) => {
                    prop_assert_eq!(refusal.code(), demanded.unwrap_or(Code::TooManyCorrections), "{:?}", act);
                    let is = (ledger.digest(), ledger.pending(), ledger.cells(), ledger.to_reread());
                    prop_assert!(was == is, "{:?} was refused and changed something", act);
                }
            }
        }
        for cell in ledger.cells() {
            prop_assert!(cell.recorded.unwrap_or(0) <= 300_000 && cell.manual <= 300_000);
            let shown = ledger.day(cell.day).map_or(0, |day| day.shown);
            prop_assert!(shown <= 300_000);
        }
        for (today, _) in &acts {
            let statistics = ledger.statistics(rules.statistics(), *today);
            prop_assert!(statistics.total_steps <= u64::from(statistics.days_logged) * 300_000);
        }
    }

    #[test]
    fn a_source_name_is_one_to_32_of_its_alphabet(
        name in prop_oneof![
            prop::collection::vec(select("abz019-".chars().collect::<Vec<_>>()), 0..36),
            prop::collection::vec(select("aZ0-_ .\0\n\u{e9}\u{661}\u{1f45f}".chars().collect::<Vec<_>>()), 0..5),
            prop::collection::vec(any::<char>(), 0..34),
        ],
    ) {
        let fits = (1..=32).contains(&name.len())
            && name.iter().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
        let name: String = name.iter().collect();
        match Source::new(&name) {
            Ok(source) => prop_assert!(fits && source.as_str() == name),
            Err(refusal) => prop_assert!(!fits && refusal.code() == Code::BadSource),
        }
    }

    #[test]
    fn a_day_is_a_date_in_one_form(
        text in prop_oneof![
            (0..10_100_i32, 0..14_u32, 0..33_u32).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}")),
            prop::collection::vec(select("0123456789-/ +T".chars().collect::<Vec<_>>()), 0..12)
                .prop_map(|text| text.into_iter().collect()),
            any::<String>(),
        ],
    ) {
        match text.parse::<Day>() {
            Ok(day) => prop_assert_eq!(day.to_string(), text),
            Err(refusal) => {
                prop_assert_eq!(refusal.code(), Code::BadValue);
                prop_assert!(!surely_exists(&text), "{} was refused", text);
            }
        }
    }
}
