//! Section 8 of the domain contract, row by row: each breach gets its named code, and nothing is stored.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so at once")]

use std::path::PathBuf;

use manbo::{
    BOOT_LEN_MAX, Code, Correction, CounterReading, Counts, Credit, Day, Deletion, Durability, Error, Fact,
    IngestPolicy, Ledger, Level, LevelRules, Now, Options, RANKED_MAX, REASON_LEN_MAX, Reading, Refusal,
    Register, Rules, SOURCE_LEN_MAX, SOURCES_MAX, STEPS_MAX, Source, StepBook, USER_LEN_MAX, UtcOffset,
    ingest,
};

const TODAY: &str = "2022-10-04";

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn now() -> Now {
    Now::on(day(TODAY))
}

fn health() -> Source {
    Source::new("health").unwrap()
}

fn name(n: usize) -> Source {
    Source::new(&format!("source-{n}")).unwrap()
}

fn cell(at: &str, source: Source, epoch: u16, counts: Option<Counts>) -> Fact {
    Fact::Cell { day: day(at), source, register: Register { epoch, counts } }
}

/// A book on a file, with some facts, and a second look at the same file.
struct Desk {
    _folder: tempfile::TempDir,
    path: PathBuf,
    book: StepBook,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.db");
        let book = StepBook::open(&path, &options()).unwrap();
        let mut desk = Desk { _folder: folder, path, book };
        desk.book.record(&Reading::new(day("2022-10-01"), health(), 8_500), now()).unwrap();
        desk.book.attend(day("2022-10-01"), now()).unwrap();
        desk
    }

    fn with_sources(count: usize) -> Desk {
        let mut desk = Desk::new();
        for n in 1..count {
            desk.book.record(&Reading::new(day("2022-10-01"), name(n), 1), now()).unwrap();
        }
        desk
    }

    /// The step is refused with the code, its text tells no number of the input, and neither the book
    /// nor the file has changed.
    #[track_caller]
    fn refuses<T>(&mut self, code: Code, step: impl FnOnce(&mut StepBook) -> Result<T, Error>) {
        let before = facts(&mut self.book);
        let error = step(&mut self.book).err().expect("the step was taken");
        assert_eq!(error.code(), code);
        assert!(matches!(error, Error::Refused(_)) && !error.is_retryable());
        assert_tells_nothing(&error);
        assert_eq!(facts(&mut self.book), before);
        assert_eq!(facts(&mut StepBook::open(&self.path, &options()).unwrap()), before);
    }

    #[track_caller]
    fn takes<T>(&mut self, step: impl FnOnce(&mut StepBook) -> Result<T, Error>) {
        let before = facts(&mut self.book);
        assert!(step(&mut self.book).is_ok());
        assert_ne!(facts(&mut self.book), before, "the step was not refused, but did nothing");
    }
}

fn options() -> Options {
    Options::new().durability(Durability::Normal)
}

fn facts(book: &mut StepBook) -> (Ledger, Vec<Fact>, usize, Vec<manbo::CellView>) {
    let ledger = book.ledger().unwrap();
    (ledger.clone(), ledger.pending(), ledger.pending_count(), ledger.cells())
}

#[track_caller]
fn assert_tells_nothing(error: &Error) {
    let texts = [error.to_string(), format!("{error:?}")];
    for offending in
        ["300001", "314159", "4294967295", "2022-10-06", "1999", "2200", "Garmin", "65534", "seventeen"]
    {
        assert!(texts.iter().all(|text| !text.contains(offending)), "{texts:?} holds {offending}");
    }
}

#[test]
fn constants_are_those_of_the_contract() {
    assert_eq!((STEPS_MAX, RANKED_MAX), (300_000, 100_000));
    assert_eq!((SOURCES_MAX, SOURCE_LEN_MAX), (16, 32));
    assert_eq!((Day::FIRST, Day::LAST), (day("2000-01-01"), day("2199-12-31")));
    assert_eq!(manbo::EPOCH_LEAD_MAX, 4_096);
}

#[test]
fn a_reading_is_limited_in_its_sum() {
    let mut desk = Desk::new();
    let reading = |recorded, manual| Reading::new(day("2022-10-02"), health(), recorded).with_manual(manual);
    for (recorded, manual) in [
        (300_001, 0),
        (0, 300_001),
        (300_000, 1),
        (150_001, 150_000),
        (u32::MAX, 0),
        (0, u32::MAX),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
    ] {
        desk.refuses(Code::ImplausibleSteps, |book| book.record(&reading(recorded, manual), now()));
        desk.refuses(Code::ImplausibleSteps, |book| book.record(&reading(recorded, manual).full(), now()));
    }
    desk.takes(|book| book.record(&reading(299_999, 1), now()));
    desk.takes(|book| book.record(&Reading::new(day("2022-10-03"), health(), 300_000), now()));
}

#[test]
fn a_register_is_limited_in_each_component() {
    let mut desk = Desk::new();
    let at = "2022-10-01";
    for (recorded, manual) in [(300_001, 0), (0, 300_001), (u32::MAX, u32::MAX)] {
        let counts = Some(Counts::new(recorded, manual));
        let deletion = Deletion { day: day(at), source: health(), left: counts };
        desk.refuses(Code::ImplausibleSteps, |book| book.delete(&deletion, now()));
        let correction = Correction { day: day(at), source: health(), to: counts, reason: "" };
        desk.refuses(Code::ImplausibleSteps, |book| book.correct(&correction, now()));
        desk.refuses(Code::ImplausibleSteps, |book| book.receive(&[cell(at, health(), 4, counts)], now()));
        desk.refuses(Code::ImplausibleSteps, |book| book.merge(&[cell(at, health(), 4, counts)], now()));
    }
    let most = Some(Counts::new(300_000, 300_000));
    desk.takes(|book| book.delete(&Deletion { day: day(at), source: health(), left: most }, now()));
    desk.takes(|book| {
        book.correct(&Correction { day: day(at), source: health(), to: most, reason: "" }, now())
    });
    desk.takes(|book| book.receive(&[cell("2022-10-02", health(), 0, most)], now()));
    let shown = desk.book.day(day("2022-10-02")).unwrap().unwrap();
    assert_eq!((shown.shown, shown.ranked), (300_000, 100_000));
}

#[test]
fn a_batch_from_elsewhere_is_joined_whole_or_not() {
    let mut desk = Desk::new();
    let good = cell("2022-10-02", health(), 0, Some(Counts::new(9_000, 0)));
    for (bad, code) in [
        (cell("2022-10-03", health(), 0, Some(Counts::new(314_159, 0))), Code::ImplausibleSteps),
        (cell("2200-01-01", health(), 0, Some(Counts::new(1, 0))), Code::DayOutOfRange),
        (Fact::Attended(day("1999-12-31")), Code::DayOutOfRange),
    ] {
        desk.refuses(code, |book| book.receive(&[good, bad], now()));
        desk.refuses(code, |book| book.merge(&[good, bad, good], now()));
        let receipt = manbo::Receipt {
            accepted: vec![cell("2022-10-01", health(), 0, Some(Counts::new(8_500, 0)))],
            facts: vec![good, bad],
            ..manbo::Receipt::default()
        };
        desk.refuses(code, |book| book.apply_receipt(&receipt, now()));
    }
}

/// Every local act on a day.
#[track_caller]
fn refuses_the_day(desk: &mut Desk, at: &str, now: Now) {
    let (day, source) = (day(at), health());
    let code = Code::DayOutOfRange;
    desk.refuses(code, |book| book.record(&Reading::new(day, source, 5), now));
    desk.refuses(code, |book| book.delete(&Deletion { day, source, left: None }, now));
    desk.refuses(code, |book| book.correct(&Correction { day, source, to: None, reason: "" }, now));
    desk.refuses(code, |book| book.unpin(day, source, now));
    desk.refuses(code, |book| book.count(&CounterReading { day, source, boot: "1", count: 5 }, now));
    desk.refuses(code, |book| book.attend(day, now));
}

#[test]
fn a_day_is_in_range_and_not_later_than_tomorrow() {
    let mut desk = Desk::new();
    refuses_the_day(&mut desk, "2022-10-06", now());
    refuses_the_day(&mut desk, "1999-12-31", now());
    refuses_the_day(&mut desk, "0000-01-01", now());
    refuses_the_day(&mut desk, "2200-01-01", Now::on(Day::LAST));
    refuses_the_day(&mut desk, "9999-12-31", Now::on(day("9999-12-31")));
    desk.takes(|book| book.attend(day("2022-10-05"), now()));
    desk.takes(|book| book.record(&Reading::new(day("2022-10-05"), health(), 5), now()));
    desk.takes(|book| book.record(&Reading::new(Day::FIRST, health(), 5), now()));
    desk.takes(|book| book.record(&Reading::new(Day::LAST, health(), 5), Now::on(Day::LAST.previous())));
}

#[test]
fn what_comes_from_elsewhere_is_held_to_the_range_only() {
    let mut desk = Desk::new();
    for at in ["1999-12-31", "2200-01-01", "0000-01-01", "9999-12-31"] {
        let fact = cell(at, health(), 0, Some(Counts::new(5, 0)));
        desk.refuses(Code::DayOutOfRange, |book| book.receive(&[fact], now()));
        desk.refuses(Code::DayOutOfRange, |book| book.merge(&[fact], now()));
        desk.refuses(Code::DayOutOfRange, |book| book.receive(&[Fact::Attended(day(at))], now()));
        desk.refuses(Code::DayOutOfRange, |book| book.merge(&[Fact::Attended(day(at))], now()));
    }
    desk.takes(|book| book.receive(&[cell("2199-12-31", health(), 65_535, Some(Counts::new(5, 0)))], now()));
    desk.takes(|book| book.merge(&[Fact::Attended(Day::FIRST)], now()));
}

#[test]
fn a_value_that_does_not_fit_its_type_is_a_bad_value() {
    for text in ["2026-02-30", "10/01", "", "2022-10-4", "2022-10-04T00:00", "-2022-10-04"] {
        assert_eq!(text.parse::<Day>().unwrap_err().code(), Code::BadValue, "{text}");
    }
    assert_eq!(Day::from_ymd(2023, 2, 29).unwrap_err().code(), Code::BadValue);
    assert_eq!(Day::from_number(i32::MAX).unwrap_err().code(), Code::BadValue);
    for minutes in [-721, 841, 900, i32::MIN, i32::MAX] {
        assert_eq!(UtcOffset::from_minutes(minutes).unwrap_err().code(), Code::BadValue);
    }
    for minutes in [-720, 0, 840] {
        assert_eq!(i32::from(UtcOffset::from_minutes(minutes).unwrap().minutes()), minutes);
    }
    for counts in ["-1", "4294967296", "1.5", "\"8500\"", "null"] {
        let text = format!("{{\"recorded\":{counts},\"manual\":0}}");
        assert!(serde_json::from_str::<Counts>(&text).is_err(), "{text}");
    }
    assert_eq!(
        serde_json::from_str::<Counts>("{\"recorded\":4294967295,\"manual\":0}").unwrap(),
        Counts::new(u32::MAX, 0),
        "what fits its type is left to the limits"
    );
}

#[test]
fn v20_a_batch_in_reverse_order_is_as_if_sorted() {
    let readings: Vec<Reading> =
        [("2022-10-03", 12_000), ("2022-10-02", 5_000), ("2022-10-02", 7_000), ("2022-10-01", 3_200)]
            .map(|(at, steps)| Reading::new(day(at), name(1), steps))
            .to_vec();
    let mut sorted = readings.clone();
    sorted.sort_by_key(|reading| (reading.day, reading.counts));
    let mut desks = [Desk::new(), Desk::new()];
    assert_eq!(desks[0].book.record_all(&readings, now()).unwrap().refused, vec![]);
    assert_eq!(desks[1].book.record_all(&sorted, now()).unwrap().refused, vec![]);
    assert_eq!(
        desks[0].book.register(day("2022-10-02"), name(1)).unwrap().counts,
        Some(Counts::new(7_000, 0))
    );
    let [a, b] = &mut desks;
    assert_eq!(a.book.digest().unwrap(), b.book.digest().unwrap());
}

/// V21 as a host meets it: text and wide numbers, of which one item becomes a reading.
#[test]
fn v21_of_five_items_one_is_accepted() {
    let items: [(&str, i64); 5] = [
        ("2022-10-01", -1),
        ("2022-10-01", 4_294_967_296),
        ("2026-02-30", 6_000),
        ("10/01", 6_000),
        ("2022-10-02", 6_000),
    ];
    let mut desk = Desk::new();
    let verdicts = items.map(|(at, steps)| {
        let counts = u32::try_from(steps).map_err(|_| Code::BadValue)?;
        let day = at.parse::<Day>().map_err(Refusal::code)?;
        desk.book.record(&Reading::new(day, health(), counts), now()).map_err(|error| error.code())
    });
    assert!(verdicts[..4].iter().all(|verdict| *verdict == Err(Code::BadValue)));
    assert_eq!(verdicts[4].as_ref().map(Vec::len), Ok(1));
}

#[test]
fn a_source_name_keeps_to_its_alphabet() {
    let long = "a".repeat(33);
    for bad in ["", "Garmin", "apple health", "a_b", "g\u{e4}rmin", "a.b", "a/b", "a\0", long.as_str()] {
        let refusal = Source::new(bad).unwrap_err();
        assert_eq!(refusal.code(), Code::BadSource, "{bad:?}");
        assert_tells_nothing(&refusal.into());
    }
    for good in ["a", "0", "-", "apple-health", &long[..32]] {
        assert_eq!(Source::new(good).unwrap().as_str(), good);
    }
}

#[test]
fn a_seventeenth_source_is_refused_where_it_is_new() {
    let mut desk = Desk::with_sources(16);
    let (day, new) = (day("2022-10-02"), Source::new("seventeenth").unwrap());
    let code = Code::TooManySources;
    let left = Some(Counts::new(5, 0));
    desk.refuses(code, |book| book.record(&Reading::new(day, new, 5), now()));
    desk.refuses(code, |book| book.delete(&Deletion { day, source: new, left }, now()));
    desk.refuses(code, |book| book.delete(&Deletion { day, source: new, left: None }, now()));
    desk.refuses(code, |book| book.correct(&Correction { day, source: new, to: left, reason: "" }, now()));
    desk.refuses(code, |book| book.unpin(day, new, now()));
    desk.refuses(code, |book| book.count(&CounterReading { day, source: new, boot: "1", count: 5 }, now()));
    desk.takes(|book| book.record(&Reading::new(day, name(15), 5), now()));
    desk.takes(|book| book.receive(&[cell("2022-10-02", new, 0, left)], now()));
    desk.takes(|book| book.record(&Reading::new(day, new, 6), now()));
    desk.refuses(code, |book| book.record(&Reading::new(day, name(17), 5), now()));
}

#[test]
fn a_sixteenth_source_is_taken() {
    let mut desk = Desk::with_sources(15);
    desk.takes(|book| book.record(&Reading::new(day("2022-10-02"), name(16), 5), now()));
}

#[test]
fn checks_run_in_the_order_of_the_contract() {
    let mut desk = Desk::with_sources(16);
    let (late, new) = (day("2022-10-06"), Source::new("seventeenth").unwrap());
    let too_many = Some(Counts::new(314_159, 0));
    let long = "r".repeat(REASON_LEN_MAX + 1);
    desk.refuses(Code::BadValue, |book| {
        book.correct(&Correction { day: late, source: new, to: too_many, reason: &long }, now())
    });
    desk.refuses(Code::BadValue, |book| {
        book.count(&CounterReading { day: late, source: new, boot: "", count: 5 }, now())
    });
    desk.refuses(Code::DayOutOfRange, |book| book.record(&Reading::new(late, new, 314_159), now()));
    desk.refuses(Code::DayOutOfRange, |book| {
        book.delete(&Deletion { day: late, source: new, left: too_many }, now())
    });
    desk.refuses(Code::DayOutOfRange, |book| {
        book.correct(&Correction { day: late, source: new, to: too_many, reason: "" }, now())
    });
    desk.refuses(Code::DayOutOfRange, |book| book.unpin(late, new, now()));
    desk.refuses(Code::DayOutOfRange, |book| {
        book.count(&CounterReading { day: late, source: new, boot: "1", count: 5 }, now())
    });
    let at = day("2022-10-02");
    desk.refuses(Code::ImplausibleSteps, |book| book.record(&Reading::new(at, new, 314_159), now()));
    desk.refuses(Code::ImplausibleSteps, |book| {
        book.delete(&Deletion { day: at, source: new, left: too_many }, now())
    });
    desk.refuses(Code::ImplausibleSteps, |book| {
        book.correct(&Correction { day: at, source: new, to: too_many, reason: "" }, now())
    });
    desk.refuses(Code::DayOutOfRange, |book| book.receive(&[cell("2200-01-01", new, 0, too_many)], now()));
}

#[test]
fn a_refused_reading_does_not_hold_up_the_others() {
    let mut desk = Desk::with_sources(16);
    let at = day("2022-10-02");
    let readings = [
        Reading::new(at, health(), 7_000),
        Reading::new(at, health(), 314_159),
        Reading::new(day("2022-10-06"), health(), 7_000),
        Reading::new(at, name(3), 8_000),
        Reading::new(at, Source::new("seventeenth").unwrap(), 9_000),
        Reading::new(day("2022-10-03"), health(), 9_500),
        Reading::new(day("1999-12-31"), name(40), 314_159),
    ];
    let recorded = desk.book.record_all(&readings, now()).unwrap();
    let refused: Vec<_> = recorded.refused.iter().map(|one| (one.index, one.refusal.code())).collect();
    assert_eq!(
        refused,
        [
            (1, Code::ImplausibleSteps),
            (2, Code::DayOutOfRange),
            (4, Code::TooManySources),
            (6, Code::DayOutOfRange)
        ]
    );
    recorded.refused.into_iter().for_each(|one| assert_tells_nothing(&one.refusal.into()));
    let changed: Vec<Day> = recorded.changes.iter().map(|change| change.day).collect();
    assert_eq!(changed, [at, day("2022-10-03")]);
    assert_eq!(desk.book.day(at).unwrap().unwrap().shown, 8_000);
    let before = facts(&mut desk.book);
    assert_eq!(desk.book.record_all(&readings[1..3], now()).unwrap().refused.len(), 2);
    assert_eq!(facts(&mut desk.book), before);
}

#[test]
fn rules_that_contradict_themselves_are_refused() {
    let build = |raise_at, drop_below, goal| {
        Rules::builder().raise_at(raise_at).drop_below(drop_below).goal(goal).build().map_err(Refusal::code)
    };
    for (raise_at, drop_below, goal) in [
        (10_000, 0, 1),
        (0, 0, 1),
        (5_999, 6_000, 1),
        (0, 1, 1),
        (10_000, 6_000, 0),
        (u32::MAX - 1, u32::MAX, 1),
    ] {
        assert_eq!(build(raise_at, drop_below, goal), Err(Code::BadRules), "{raise_at} {drop_below} {goal}");
    }
    for (raise_at, drop_below, goal) in [(1, 1, 1), (6_000, 6_000, u32::MAX), (u32::MAX, u32::MAX, 1)] {
        assert!(build(raise_at, drop_below, goal).is_ok());
    }
    let levels = LevelRules::new(Level::Obese, 314_158, 314_159, manbo::GapPolicy::Skip);
    assert_tells_nothing(&levels.unwrap_err().into());
}

#[test]
fn epochs_end() {
    let mut desk = Desk::new();
    let counts = Some(Counts::new(9_000, 0));
    let at = day("2022-10-02");
    let source = health();
    let correction = Correction { day: at, source, to: None, reason: "" };
    desk.takes(|book| book.receive(&[cell("2022-10-02", source, 65_534, counts)], now()));
    desk.takes(|book| book.record(&Reading::new(at, source, 9_500).full(), now()));
    // At the last open epoch a full reading of the closed day only joins, and a deletion has no epoch left.
    desk.book.record(&Reading::new(at, source, 4_000).full(), now()).unwrap();
    let last_open = Register { epoch: 65_534, counts: Some(Counts::new(9_500, 0)) };
    assert_eq!(desk.book.register(at, source).unwrap(), last_open);
    let code = Code::TooManyCorrections;
    desk.refuses(code, |book| book.delete(&Deletion { day: at, source, left: None }, now()));
    desk.takes(|book| book.correct(&correction, now()));
    desk.refuses(code, |book| book.correct(&correction, now()));
    desk.refuses(code, |book| book.unpin(at, source, now()));
    desk.book.delete(&Deletion { day: at, source, left: counts }, now()).unwrap();
    assert_eq!(desk.book.register(at, source).unwrap(), Register { epoch: 65_535, counts: None });
}

#[test]
fn texts_are_limited_in_bytes() {
    let mut desk = Desk::new();
    let (at, source) = (day("2022-10-01"), health());
    let correct = |book: &mut StepBook, reason: &str| {
        book.correct(&Correction { day: at, source, to: Some(Counts::new(7, 0)), reason }, now())
    };
    assert_eq!((REASON_LEN_MAX, BOOT_LEN_MAX, USER_LEN_MAX), (200, 64, 128));
    for bad in ["r".repeat(201), "\u{e9}".repeat(101)] {
        desk.refuses(Code::BadValue, |book| correct(book, &bad));
    }
    desk.takes(|book| correct(book, &"\u{e9}".repeat(100)));
    let count = |book: &mut StepBook, boot: &str| {
        book.count(&CounterReading { day: at, source: name(1), boot, count: 5 }, now())
    };
    for bad in [String::new(), "b".repeat(65)] {
        desk.refuses(Code::BadValue, |book| count(book, &bad));
    }
    desk.takes(|book| count(book, &"b".repeat(64)));
}

#[test]
fn a_user_name_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    for bad in ["u".repeat(129), "\u{e9}".repeat(65), "a\nb".into(), "a\0".into(), "\u{7f}".into()] {
        let path = folder.path().join("never.db");
        let error = StepBook::open(&path, &options().user(bad.clone())).unwrap_err();
        assert_eq!(error.code(), Code::BadValue);
        assert!(!path.exists(), "a refusal makes no file");
        let mut store = manbo::Store::open(folder.path().join("many.db"), &options()).unwrap();
        assert_eq!(store.read(&bad).unwrap_err().code(), Code::BadValue);
        assert_eq!(store.transact(&bad, |_| Ok(())).unwrap_err().code(), Code::BadValue);
        assert_eq!(store.users().unwrap(), Vec::<String>::new());
    }
    let longest = "\u{e9}".repeat(64);
    let mut book = StepBook::open(folder.path().join("long.db"), &options().user(longest)).unwrap();
    assert!(book.attend(day(TODAY), now()).is_ok());
}

fn server() -> Ledger {
    Ledger::new(*Rules::default().levels())
}

fn verdict(server: &mut Ledger, fact: Fact, recovery: bool) -> Result<bool, Code> {
    let policy = IngestPolicy { latest_day: day(TODAY), recovery };
    let before = (server.digest(), server.revision());
    let receipt = ingest(server, &[fact], 0, policy, now()).receipt;
    match receipt.refused.first() {
        Some(refused) => {
            assert_eq!((receipt.accepted.len(), refused.fact), (0, fact));
            assert_eq!((server.digest(), server.revision()), before);
            Err(refused.code)
        }
        None => Ok(receipt.flagged == [fact]),
    }
}

#[test]
fn a_server_gives_its_verdicts() {
    let counts = |recorded| Some(Counts::new(recorded, 0));
    let mut server = server();
    let mut check = |fact, expected| assert_eq!(verdict(&mut server, fact, false), expected, "{fact:?}");
    check(cell("2022-10-05", health(), 0, counts(5)), Err(Code::FutureDay));
    check(Fact::Attended(day("2022-10-05")), Err(Code::FutureDay));
    check(cell("1999-12-31", health(), 0, counts(5)), Err(Code::DayOutOfRange));
    check(Fact::Attended(day("1999-12-31")), Err(Code::DayOutOfRange));
    check(cell(TODAY, health(), 0, counts(300_001)), Err(Code::ImplausibleSteps));
    check(cell(TODAY, health(), 0, Some(Counts::new(0, u32::MAX))), Err(Code::ImplausibleSteps));
    check(cell("2022-10-05", health(), 0, counts(300_001)), Err(Code::FutureDay));
    check(cell(TODAY, health(), 1, counts(5)), Err(Code::EpochNotAllowed));
    check(cell(TODAY, health(), 4_097, counts(5)), Err(Code::EpochNotAllowed));
    check(cell(TODAY, health(), 4_098, counts(5)), Err(Code::EpochNotAllowed));
    check(cell(TODAY, health(), 4_096, counts(5)), Ok(false));
    check(cell(TODAY, health(), 4_095, counts(5)), Ok(false));
    check(cell(TODAY, health(), 8_192, counts(5)), Ok(false));
    check(cell(TODAY, health(), 65_534, counts(5)), Err(Code::EpochNotAllowed));
    for n in 1..16 {
        check(cell(TODAY, name(n), 0, counts(5)), Ok(false));
    }
    check(cell(TODAY, name(16), 0, counts(5)), Err(Code::TooManySources));
    check(cell(TODAY, name(15), 0, counts(6)), Ok(false));
}

#[test]
fn recovery_mode_accepts_and_flags() {
    let mut server = server();
    let counts = Some(Counts::new(5, 0));
    assert_eq!(verdict(&mut server, cell(TODAY, health(), 1, counts), true), Ok(true));
    assert_eq!(verdict(&mut server, cell(TODAY, health(), 1, counts), true), Ok(false));
    assert_eq!(verdict(&mut server, cell(TODAY, health(), 65_534, counts), true), Ok(true));
    assert_eq!(verdict(&mut server, cell("2022-10-05", health(), 0, counts), true), Err(Code::FutureDay));
}

#[test]
fn a_difference_of_a_counter_above_the_limit_moves_the_baseline_only() {
    let mut desk = Desk::new();
    let mut count = |boot, count| {
        let reading = CounterReading { day: day("2022-10-01"), source: name(1), boot, count };
        desk.book.count(&reading, now()).unwrap().credit.unwrap()
    };
    assert_eq!(count("1", 41_200), Credit::First);
    assert_eq!(count("2", u32::MAX), Credit::Implausible);
    assert_eq!(count("2", u32::MAX - 1), Credit::Backwards);
    assert_eq!(count("3", 300_001), Credit::Implausible);
    assert_eq!(count("3", 300_002), Credit::Steps(1));
    assert_eq!(count("3", 600_002), Credit::Steps(300_000));
    let register = desk.book.register(day("2022-10-01"), name(1)).unwrap();
    assert_eq!(register.counts, Some(Counts::new(300_000, 0)), "the day's own count is capped");
}
