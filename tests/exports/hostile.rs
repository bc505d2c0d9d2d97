//! Files that were cut, changed, mixed up, or made to hurt: an error with the line, and nothing stored.

use std::io::{BufRead, Cursor, Read};

use manbo::{
    Code, Correction, CounterReading, Counts, Day, EXPORT_LINE_MAX, Error, Fact, ImportError, ImportRule,
    Imported, Now, Operation, Options, Reading, Receipt, Refusal, Refused, Register, Source, Store,
    UtcOffset, wire,
};

use super::lives::{Kind, export, folder};

const USER: &str = "ana";

fn now() -> Now {
    Now::on("2022-10-10".parse().unwrap())
}

/// An export with a line of every kind.
fn small() -> Vec<u8> {
    let folder = folder();
    let options = Kind::Device { history: true }.options("").install_id("phone-1");
    let mut store = Store::open(folder.path().join("steps.db"), &options).unwrap();
    let day: Day = "2022-10-01".parse().unwrap();
    let [chip, watch] = ["chip", "watch"].map(|name| Source::new(name).unwrap());
    let seoul = UtcOffset::from_minutes(540).unwrap();
    let correction = Correction { day, source: watch, to: Some(Counts::new(9, 1)), reason: "report 7" };
    let count = |count| CounterReading { day, source: chip, boot: "7", count };
    let pinned = Fact::Cell { day: day.next(), source: watch, register: Register { epoch: 1, counts: None } };
    let acts = [
        Operation::Read(&Reading::new(day, watch, 8_500).with_offset(seoul)),
        Operation::Attend(day),
        Operation::Count(&count(100)),
        Operation::Count(&count(350)),
        Operation::Correct(&correction),
        Operation::Receive(&pinned),
        Operation::Read(&Reading::new(day.next(), chip, 1)),
    ];
    for act in acts {
        let _ = store.transact(USER, |ledger| Ok(ledger.apply(act, now())?)).unwrap();
    }
    let told = store.transact(USER, |ledger| {
        let pending = ledger.pending();
        let refused = vec![Refused { fact: pending[0], code: Code::FutureDay }];
        Ok(ledger.apply_receipt(&Receipt { refused, revision: 3, ..Receipt::default() }, now())?)
    });
    told.unwrap();
    let text = String::from_utf8(export(&mut store, USER)).unwrap();
    // Earlier versions exported where a counter stood.
    let baseline = "{\"baseline\":{\"source\":\"chip\",\"boot\":\"7\",\"count\":350}}\n";
    with(text.as_bytes(), "{\"own_count\":", &format!("{baseline}{{\"own_count\":"))
}

fn lines(file: &[u8]) -> Vec<&[u8]> {
    file.split_inclusive(|byte| *byte == b'\n').collect()
}

/// The lines with an end that fits them, so that nothing but the lines themselves can be wrong.
fn sealed(lines: &[&[u8]]) -> Vec<u8> {
    let body = lines.concat();
    let digest = wire::digest(&body);
    [&body[..], format!("{{\"end\":{{\"lines\":{},\"digest\":\"{digest}\"}}}}\n", lines.len()).as_bytes()]
        .concat()
}

/// A store into which everything is tried: nothing of it may stay.
struct Target {
    _folder: tempfile::TempDir,
    store: Store,
    untouched: Vec<u8>,
}

impl Target {
    fn new() -> Target {
        let folder = folder();
        let options = Options::new().server("b").durability(manbo::Durability::Normal);
        let mut store = Store::open(folder.path().join("two.db"), &options).unwrap();
        let mut untouched = Vec::new();
        store.export(USER, &mut untouched).unwrap();
        Target { _folder: folder, store, untouched }
    }

    fn import(&mut self, file: &[u8]) -> Result<Imported, ImportError> {
        self.store.import(USER, &mut Cursor::new(file), now())
    }

    /// The line and the rule of what is refused.
    #[track_caller]
    fn refused(&mut self, file: &[u8], case: &str) -> (u64, ImportRule) {
        let refused = match self.import(file) {
            Err(ImportError::Line { line, rule }) => (line, rule),
            Err(ImportError::Newer { .. }) => (1, ImportRule::NotAnExport),
            other => panic!("{case}: {other:?}"),
        };
        assert!(refused.0 >= 1 && refused.0 <= u64::try_from(lines(file).len()).unwrap() + 1, "{case}");
        refused
    }

    fn is_untouched(&mut self) {
        assert_eq!(export(&mut self.store, USER), self.untouched);
        assert_eq!(self.store.users().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn the_small_file_is_whole_and_has_every_kind_of_line() {
    let file = small();
    let kinds = ["source", "cell", "attended", "baseline", "own_count", "remark", "change", "end"];
    let text = String::from_utf8(file.clone()).unwrap();
    assert!(kinds.iter().all(|kind| text.contains(&format!("\n{{\"{kind}\":"))), "{text}");
    let mut target = Target::new();
    target.is_untouched();
    assert!(target.import(&file).is_ok());
    let all = lines(&file);
    assert_eq!(sealed(&all[..all.len() - 1]), file);
}

#[test]
fn a_file_cut_anywhere_is_refused_at_its_last_line() {
    let file = small();
    let mut target = Target::new();
    for len in 0..file.len() {
        let (line, rule) = target.refused(&file[..len], &format!("cut to {len}"));
        let last = lines(&file[..len]).len() + usize::from(len == 0 || file[len - 1] == b'\n');
        assert_eq!(usize::try_from(line).unwrap(), last, "cut to {len}: {rule:?}");
        assert!(matches!(rule, ImportRule::Cut | ImportRule::NotAnExport), "cut to {len}: {rule:?}");
    }
    // A line that is missing, with an end that fits the rest: a source that is missing is missed.
    let all = lines(&file);
    for gone in 1..3 {
        let rest: Vec<&[u8]> = all[..all.len() - 1]
            .iter()
            .enumerate()
            .filter(|(n, _)| *n != gone)
            .map(|(_, line)| *line)
            .collect();
        assert_eq!(target.refused(&sealed(&rest), "no source").1, ImportRule::UnknownSource);
    }
    target.is_untouched();
}

#[test]
fn every_flipped_bit_is_refused() {
    let file = small();
    let mut target = Target::new();
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        target.refused(&flipped, &format!("bit {bit}"));
    }
    target.is_untouched();
}

#[test]
fn repeated_mixed_and_added_lines_are_refused_where_they_stand() {
    let file = small();
    let all = lines(&file);
    let body = &all[..all.len() - 1];
    let mut target = Target::new();
    for n in 1..body.len() {
        let mut twice = body.to_vec();
        twice.insert(n, body[n]);
        let refused = target.refused(&sealed(&twice), "twice");
        assert_eq!(refused, (u64::try_from(n).unwrap() + 2, ImportRule::Repeated));
    }
    for n in 1..body.len() - 1 {
        let mut swapped = body.to_vec();
        swapped.swap(n, n + 1);
        let refused = target.refused(&sealed(&swapped), "swapped");
        // A baseline that stands before its source is out of order one line later, but has none before.
        assert!(matches!(refused.1, ImportRule::OutOfOrder | ImportRule::UnknownSource), "{n}: {refused:?}");
    }
    for more in [&b"\n"[..], b" ", b"{}\n", body[0]] {
        let refused = target.refused(&[&file[..], more].concat(), "more");
        assert_eq!(refused, (u64::try_from(all.len()).unwrap() + 1, ImportRule::Trailing));
    }
    let headless = target.refused(&sealed(&body[1..]), "headless");
    assert_eq!(headless, (1, ImportRule::NotAnExport));
    target.is_untouched();
}

/// The file with a piece of one line in another form, and an end that fits.
fn with(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(file).unwrap();
    assert!(text.contains(from), "{from}");
    let changed = text.replacen(from, to, 1);
    let all = lines(changed.as_bytes());
    sealed(&all[..all.len() - 1])
}

#[test]
fn a_value_that_breaks_a_rule_is_refused_with_the_rule() {
    use ImportRule::{Inconsistent, Malformed, NotCanonical};
    let file = small();
    let mut target = Target::new();
    let mut check = |from: &str, to: &str, wanted: ImportRule| {
        let (line, rule) = target.refused(&with(&file, from, to), to);
        assert_eq!(rule, wanted, "{from} -> {to} at {line}");
    };
    let refused = ImportRule::Refused;
    let cell =
        "{\"cell\":{\"day\":\"2022-10-01\",\"source\":\"chip\",\"epoch\":0,\"recorded\":250,\"manual\":0,";
    let with_cell = |to: &str| cell.replace("\"recorded\":250,\"manual\":0", to);
    check(cell, &with_cell("\"recorded\":300001,\"manual\":0"), refused(Refusal::ImplausibleSteps));
    check(cell, &with_cell("\"recorded\":250,\"manual\":300001"), refused(Refusal::ImplausibleSteps));
    let absent = Refusal::BadValue { field: "manual", rule: "0 where recorded is null" };
    check(cell, &with_cell("\"recorded\":null,\"manual\":1"), refused(absent));
    for bad in ["-1", "250.0", "2.5e2", "\"250\"", "true", "4294967296", "[250]", "99999999999999999999999"] {
        check(cell, &with_cell(&format!("\"recorded\":{bad},\"manual\":0")), Malformed);
    }
    check(cell, &with_cell("\"manual\":0,\"recorded\":250"), NotCanonical);
    check(cell, &with_cell("\"manual\":0"), NotCanonical);
    check(cell, &with_cell("\"recorded\":250,\"recorded\":250,\"manual\":0"), Malformed);
    check(cell, &with_cell("\"recorded\":250,\"manual\":0,\"more\":1"), Malformed);
    check(cell, &with_cell("\"recorded\": 250,\"manual\":0"), NotCanonical);
    check(cell, &cell.replace("2022-10-01", "1999-12-31"), refused(Refusal::DayOutOfRange));
    check(cell, &cell.replace("2022-10-01", "2022-02-30"), Malformed);
    check(cell, &cell.replace("\"chip\"", "\"Chip\""), Malformed);
    check(cell, &cell.replace("\"chip\"", "\"bike\""), ImportRule::UnknownSource);
    check(cell, &cell.replace("\"epoch\":0", "\"epoch\":65536"), Malformed);
    check("\"reread\":0", "\"reread\":3", refused(Refusal::BadValue { field: "reread", rule: "0, 1 or 2" }));
    check(
        "\"offset_minutes\":540",
        "\"offset_minutes\":841",
        refused(UtcOffset::from_minutes(841).unwrap_err()),
    );
    check("\"parked\":\"future_day\"", "\"parked\":\"weather\"", Malformed);
    let boot = Refusal::BadValue { field: "boot", rule: "1 to 64 bytes" };
    check("\"boot\":\"7\"", "\"boot\":\"\"", refused(boot));
    check("\"boot\":\"7\"", &format!("\"boot\":\"{}\"", "7".repeat(65)), refused(boot));
    check("\"count\":250}", "\"count\":300001}", refused(Refusal::ImplausibleSteps));
    let reason = Refusal::BadValue { field: "reason", rule: "at most 200 bytes" };
    check("\"reason\":\"report 7\"", &format!("\"reason\":\"{}\"", "7".repeat(201)), refused(reason));
    check("\"name\":\"chip\"", "\"name\":\"a b\"", Malformed);
    let past = "transaction: from 1 to that of the header";
    let times = "at_ms: one time a transaction, never back, at most that of the header";
    let change =
        "{\"change\":{\"transaction\":1,\"day\":\"2022-10-01\",\"source\":\"watch\",\"at_ms\":1665403200000,";
    check(change, &change.replace("665403200000", "665403200001"), Inconsistent(times));
    check(change, &change.replace("\"transaction\":1", "\"transaction\":0"), Inconsistent(past));
    check(change, &change.replace("\"transaction\":1", "\"transaction\":7"), Inconsistent(past));
    check(
        change,
        &change.replace("\"watch\"", "null"),
        Inconsistent("from, to: registers of a source, null for attendance"),
    );
    check("\"transaction\":6,\"history", "\"transaction\":5,\"history", Inconsistent(past));
    check(
        "\"origin\":\"reading\"",
        "\"origin\":\"weather\"",
        Inconsistent("origin: a known word, and at most 256 bytes"),
    );
    check("\"history_kept\":true", "\"history_kept\":1", ImportRule::NotAnExport);
    check(
        "\"revision\":3",
        "\"revision\":9007199254740993",
        Inconsistent("revision, transaction: at most 2^53"),
    );
    target.is_untouched();
}

#[test]
fn foreign_files_and_other_versions_are_told_apart() {
    let file = small();
    let mut target = Target::new();
    for foreign in [
        "",
        "\n",
        "null\n",
        "[]\n",
        "{}\n",
        "{\"manbo\":1}\n",
        "<html>\n",
        "SQLite format 3\0",
        "\u{feff}{}\n",
    ] {
        assert_eq!(target.refused(foreign.as_bytes(), foreign), (1, ImportRule::NotAnExport), "{foreign}");
    }
    let deep = "[".repeat(EXPORT_LINE_MAX - 1) + "\n";
    assert_eq!(target.refused(deep.as_bytes(), "deep").0, 1);
    assert_eq!(target.refused(&[0xff; 100], "not UTF-8").0, 1);
    for (version, newer) in [("2", true), ("18446744073709551615", true), ("0", false), ("-1", false)] {
        let text = String::from_utf8(file.clone()).unwrap();
        let other =
            text.replacen("{\"manbo_export\":1,", &format!("{{\"manbo_export\":{version},\"new\":[],"), 1);
        let refused = target.import(other.as_bytes()).unwrap_err();
        assert_eq!(
            matches!(refused, ImportError::Newer { found } if found.to_string() == version),
            newer,
            "{refused}"
        );
        assert_eq!(refused.code(), Code::BadValue);
    }
    target.is_untouched();
}

/// Gives the same bytes again and again, more than any memory holds.
struct Endless {
    head: Cursor<Vec<u8>>,
    piece: Vec<u8>,
    left: u64,
    taken: usize,
    read: u64,
}

impl Endless {
    fn new(head: &[u8], piece: &[u8], times: u64) -> Endless {
        let piece = piece.to_vec();
        Endless { head: Cursor::new(head.to_vec()), piece, left: times, taken: 0, read: 0 }
    }
}

impl Read for Endless {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl BufRead for Endless {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if !self.head.fill_buf()?.is_empty() {
            return self.head.fill_buf();
        }
        Ok(if self.left == 0 { &[] } else { &self.piece[self.taken..] })
    }

    fn consume(&mut self, len: usize) {
        self.read += u64::try_from(len).unwrap();
        let head = self.head.get_ref().len() - usize::try_from(self.head.position()).unwrap();
        if head > 0 {
            return self.head.consume(len);
        }
        self.taken += len;
        if self.taken == self.piece.len() {
            (self.taken, self.left) = (0, self.left - 1);
        }
    }
}

#[test]
fn a_line_without_an_end_is_given_up_early() {
    let file = small();
    let header = lines(&file)[0];
    let mut target = Target::new();
    let heads = [&b""[..], header, &[header, b"{\"source\":{\"name\":\""].concat()];
    for head in heads {
        let mut endless = Endless::new(head, &[b'x'; 8_192], 2 * 1024 * 1024 * 1024 / 8_192);
        let refused = target.store.import(USER, &mut endless, now());
        let line = if head.is_empty() { 1 } else { 2 };
        let Err(ImportError::Line { line: found, rule: ImportRule::TooLong }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(found, line);
        assert!(endless.read <= u64::try_from(head.len() + EXPORT_LINE_MAX).unwrap(), "{}", endless.read);
    }
    // The longest line that is one.
    let longest = [&b"{"[..], &[b' '; EXPORT_LINE_MAX - 2], b"\n"].concat();
    assert_eq!(target.refused(&longest, "longest"), (1, ImportRule::NotAnExport));
    assert_eq!(target.refused(&[b"{", &longest[..]].concat(), "longer"), (1, ImportRule::TooLong));
    target.is_untouched();
}

#[test]
fn a_ledger_that_memory_cannot_hold_is_refused() {
    let mut target = Target::new();
    let header = lines(&small())[0].to_vec();
    let source = |n: usize| format!("{{\"source\":{{\"name\":\"s-{n:05}\",\"read_by_device\":false}}}}\n");
    let cell = |day: &str, n: usize| {
        format!(
            "{{\"cell\":{{\"day\":\"{day}\",\"source\":\"s-{n:05}\",\"epoch\":0,\"recorded\":1,\"manual\":0,\"read_here\":\
             false,\"reread\":0,\"offset_minutes\":null,\"pending_since_ms\":null,\"parked\":null}}}}\n"
        )
    };
    let file = |sources: usize| {
        let names = (0..sources).map(source);
        let first = (0..sources).map(|n| cell("2000-01-01", n));
        let last = (0..sources).map(|n| cell("2199-12-31", n));
        let all: Vec<String> = names.chain(first).chain(last).collect();
        let all: Vec<&[u8]> = std::iter::once(&header[..]).chain(all.iter().map(String::as_bytes)).collect();
        sealed(&all)
    };
    let (line, rule) = target.refused(&file(17), "two hundred years of seventeen sources");
    assert_eq!((line, rule), (1 + 17 + 17 + 16, ImportRule::TooWide));
    target.is_untouched();
    assert_eq!(target.import(&file(16)).unwrap().lines.cells, 32);
    // More sources than numbers.
    let mut target = Target::new();
    let many: Vec<String> = (0..=65_536).map(source).collect();
    let many: Vec<&[u8]> = std::iter::once(&header[..]).chain(many.iter().map(String::as_bytes)).collect();
    let refused = target.refused(&sealed(&many), "many");
    assert_eq!(refused, (65_538, ImportRule::Refused(Refusal::TooManySources)));
    target.is_untouched();
}

/// A million lines take a minute in a debug build: only in a long run.
#[test]
fn a_file_of_too_many_lines_is_refused_at_the_first_one_too_many() {
    let cases = std::env::var("MANBO_CASES").ok().and_then(|text| text.parse::<u32>().ok());
    if cases.is_none_or(|cases| cases < 10_000) {
        return;
    }
    let mut target = Target::new();
    let sources =
        (0..16).map(|n| format!("{{\"source\":{{\"name\":\"s-{n:02}\",\"read_by_device\":false}}}}\n"));
    let first: Day = "2000-01-01".parse().unwrap();
    let cells = (0..1_000_000).map(|n| {
        let (day, source) = (first.plus(n / 16), n % 16);
        format!(
            "{{\"cell\":{{\"day\":\"{day}\",\"source\":\"s-{source:02}\",\"epoch\":0,\"recorded\":1,\"manual\":0,\
             \"read_here\":false,\"reread\":0,\"offset_minutes\":null,\"pending_since_ms\":null,\"parked\":null}}}}\n"
        )
    });
    let mut file = lines(&small())[0].to_vec();
    sources.chain(cells).for_each(|line| file.extend(line.bytes()));
    let refused = target.refused(&file, "a million");
    assert_eq!(refused, (manbo::EXPORT_LINES_MAX + 1, ImportRule::TooManyLines));
    target.is_untouched();
}

#[test]
fn a_reader_or_a_writer_that_fails_has_its_own_error() {
    struct Failing(std::io::ErrorKind);
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
    }
    impl std::io::Write for Failing {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let file = small();
    let mut target = Target::new();
    let broken = std::io::BufReader::new(Failing(std::io::ErrorKind::ConnectionReset));
    let mut input = Cursor::new(file[..300].to_vec()).chain(broken);
    let failed = target.store.import(USER, &mut input, now()).unwrap_err();
    assert!(matches!(failed, ImportError::Store(Error::Unreachable(_))), "{failed:?}");
    target.is_untouched();
    let failed = target.store.export(USER, &mut Failing(std::io::ErrorKind::StorageFull)).unwrap_err();
    assert_eq!(failed.code(), Code::StorageFull);
    // Nothing is left open behind either.
    assert!(target.import(&file).is_ok());
    assert_eq!(target.store.users().unwrap(), [USER]);
}

#[test]
fn an_error_tells_no_number_and_no_name() {
    let file = small();
    let mut target = Target::new();
    for (from, to) in [("\"recorded\":250", "\"recorded\":777777"), ("\"boot\":\"7\"", "\"boot\":777777")] {
        let error = target.import(&with(&file, from, to)).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("777777") && !told.contains("chip"), "{told}");
        assert!(told.starts_with("line "), "{told}");
    }
}
