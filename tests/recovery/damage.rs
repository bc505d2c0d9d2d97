//! Damage to whole pages, to the header, to the length of the file and to its WAL.

use std::collections::BTreeMap;
use std::path::Path;

use manbo::{Code, Digest, Now, Reading, StepBook, Store};

use super::book::{Held, day, fill, folder, listing, make, options, restore, source};
use super::pages::{PAGE_LEN, row_ranges};

/// Enough days for a tree of several pages.
const DAYS: i32 = 260;

type Files = BTreeMap<String, Vec<u8>>;

/// Every file's content is still there under some name.
#[track_caller]
fn assert_kept(before: &Files, folder: &Path, case: &str) {
    let now = listing(folder);
    for (name, bytes) in before {
        assert!(now.values().any(|found| found == bytes), "{case}: {name} is gone, {:?}", now.keys());
    }
    let leftovers = [".salvage", ".rebuilding", ".rebuilt", ".recovering", ".template", ".trial"];
    for name in now.keys() {
        assert!(!leftovers.iter().any(|end| name.contains(end)), "{case}: {name} was left behind");
    }
}

/// Recording goes on, and the next open finds nothing more to mend.
#[track_caller]
fn assert_works(path: &Path, case: &str) {
    let now = Now::on(day(2_000));
    let mut book = StepBook::open(path, &options()).unwrap();
    book.record(&Reading::new(day(1_999), source("phone"), 7_777), now).unwrap();
    let digest = book.digest().unwrap();
    drop(book);
    let mut book = StepBook::open(path, &options()).unwrap();
    assert_eq!(book.digest().unwrap(), digest, "{case}");
    assert_eq!(book.report(), &manbo::Report::default(), "{case}");
}

/// One damaged page in one of several ways.
fn damaged_pages(bytes: &[u8], page: usize) -> Vec<(String, Vec<u8>)> {
    let range = page * PAGE_LEN..(page + 1) * PAGE_LEN;
    let mut zeroed = bytes.to_vec();
    zeroed[range.clone()].fill(0);
    let mut garbage = bytes.to_vec();
    for (i, byte) in garbage[range.clone()].iter_mut().enumerate() {
        *byte = u8::try_from((i * 37 + i / 7 + page) % 251).unwrap();
    }
    let mut half = bytes.to_vec();
    half[range.start + PAGE_LEN / 2..range.end].fill(0xff);
    let mut swapped = bytes.to_vec();
    let other = if range.end + PAGE_LEN <= bytes.len() { range.end } else { range.start - PAGE_LEN };
    swapped.copy_within(other..other + PAGE_LEN, range.start);
    swapped[other..other + PAGE_LEN].copy_from_slice(&bytes[range]);
    vec![
        (format!("page {} zeroed", page + 1), zeroed),
        (format!("page {} garbage", page + 1), garbage),
        (format!("page {} half gone", page + 1), half),
        (format!("page {} swapped", page + 1), swapped),
    ]
}

#[test]
fn a_damaged_page_costs_its_own_rows_at_most() {
    let folder = folder();
    let path = make(folder.path(), DAYS);
    let bytes = std::fs::read(&path).unwrap();
    let (before, _) = Held::both(&path).unwrap();
    let rows_of = |page: usize| {
        let rows = row_ranges(&bytes).into_iter().filter(|row| row.start / PAGE_LEN == page);
        rows.count()
    };
    assert!(rows_of(5) < 20 && row_ranges(&bytes).len() > 500, "the root of the cells is no leaf");
    for page in 0..bytes.len() / PAGE_LEN {
        for (case, damaged) in damaged_pages(&bytes, page) {
            let files = Files::from([("steps.db".to_owned(), damaged)]);
            restore(folder.path(), &files);
            let (now, report) = Held::both(&path).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_kept_or_unharmed(&files, folder.path(), &case, &report);
            if before[0].cells.keys().all(|(_, name)| now[0].cells.keys().all(|(_, found)| found != name)) {
                // Only the names of the sources are gone.
                assert!(case.starts_with("page 5 "), "{case}");
                let shown = |held: &[Held]| held.iter().map(Held::shown).collect::<Vec<_>>();
                assert_eq!(shown(&now), shown(&before), "{case}");
            } else {
                let lost: usize = before.iter().zip(&now).map(|(before, now)| before.lost(now, &case)).sum();
                let limit = if case.ends_with("swapped") { 0 } else { rows_of(page) };
                assert!(lost <= limit, "{case}: {lost} rows lost of {limit}");
            }
            if report == manbo::Report::default() {
                assert_eq!(now, before, "{case}: changed, and nobody said so");
            }
            assert_works(&path, &case);
        }
    }
}

/// A file in which rows were set aside is mended in place; one that was rebuilt is kept as it was.
#[track_caller]
fn assert_kept_or_unharmed(files: &Files, folder: &Path, case: &str, report: &manbo::Report) {
    if report.recovered.is_empty() {
        assert_eq!(listing(folder).len(), 1, "{case}");
    } else {
        assert_kept(files, folder, case);
        assert_eq!(std::fs::read(&report.recovered[0].moved_to).unwrap(), files["steps.db"], "{case}");
    }
}

#[test]
fn a_file_cut_short_keeps_what_is_in_front_of_the_cut() {
    let folder = folder();
    let path = make(folder.path(), DAYS);
    let bytes = std::fs::read(&path).unwrap();
    let (before, _) = Held::both(&path).unwrap();
    let pages = bytes.len() / PAGE_LEN;
    let near = (1..=pages).flat_map(|page| [page * PAGE_LEN - 1, page * PAGE_LEN, page * PAGE_LEN + 1]);
    for len in [2, 15, 16, 99, 100, 511, 512, 1_000, 4_000].into_iter().chain(near) {
        if len >= bytes.len() {
            continue;
        }
        let case = format!("cut to {len} bytes");
        let files = Files::from([("steps.db".to_owned(), bytes[..len].to_vec())]);
        restore(folder.path(), &files);
        match Store::open(&path, &options()) {
            Err(error) => {
                // So short that nothing tells whose it was.
                assert!(len < 72 && error.code() == Code::StorageForeign, "{case}: {error}");
                assert_eq!(listing(folder.path()), files, "{case}");
            }
            Ok(mut store) => {
                let held: Vec<Held> =
                    store.users().unwrap().iter().map(|user| Held::of(&store.read(user).unwrap())).collect();
                // A cut through the last row of all is noticed as a damaged row.
                let report = store.report().clone();
                assert!(held == before || report != manbo::Report::default(), "{case}");
                drop(store);
                assert_kept_or_unharmed(&files, folder.path(), &case, &report);
                let whole = row_ranges(&bytes).iter().filter(|row| row.end > len).count();
                for (before, now) in before.iter().zip(&held) {
                    assert!(before.lost(now, &case) <= whole, "{case}");
                }
                assert_works(&path, &case);
            }
        }
    }
}

#[test]
fn a_destroyed_header_costs_nothing() {
    let folder = folder();
    let path = make(folder.path(), 20);
    let bytes = std::fs::read(&path).unwrap();
    let (before, _) = Held::both(&path).unwrap();
    for (case, range, with) in [
        ("magic gone", 0..16, 0),
        ("header zeroed", 0..100, 0),
        ("header overwritten", 0..100, 0x5a),
        ("first page zeroed", 0..PAGE_LEN, 0),
        ("first page overwritten", 0..PAGE_LEN, 0x5a),
    ] {
        let mut damaged = bytes.clone();
        damaged[range].fill(with);
        let files = Files::from([("steps.db".to_owned(), damaged)]);
        restore(folder.path(), &files);
        let (now, report) = Held::both(&path).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(now, before, "{case}");
        assert_eq!(report.recovered.len(), 1, "{case}");
        assert!(!report.from_other_device, "{case}");
        assert_kept(&files, folder.path(), case);
        assert_works(&path, case);
    }
}

#[test]
fn a_file_without_a_trace_of_ours_is_not_touched() {
    let folder = folder();
    let path = make(folder.path(), 20);
    let len = std::fs::metadata(&path).unwrap().len();
    let files = Files::from([("steps.db".to_owned(), vec![0x5a; usize::try_from(len).unwrap()])]);
    restore(folder.path(), &files);
    assert_eq!(Store::open(&path, &options()).unwrap_err().code(), Code::StorageForeign);
    assert_eq!(listing(folder.path()), files);
}

/// A file as a kill leaves it: all of the second half only in the WAL. With the digest after every step.
fn unclean(folder: &Path) -> (Files, Vec<Digest>) {
    let path = folder.join("steps.db");
    fill(&mut StepBook::open(&path, &options()).unwrap(), 10);
    let mut book = StepBook::open(&path, &options()).unwrap();
    let mut digests = vec![book.digest().unwrap()];
    for n in 0..30 {
        let reading = Reading::new(day(10 + n % 10), source("phone"), 100 * n.unsigned_abs() + 1);
        book.record(&reading, Now::on(day(30))).unwrap();
        digests.push(book.digest().unwrap());
    }
    let files = listing(folder);
    drop(book);
    (files, digests)
}

fn digest(path: &Path) -> (Digest, manbo::Report) {
    let mut book = StepBook::open(path, &options()).unwrap();
    (book.digest().unwrap(), book.report().clone())
}

#[test]
fn a_wal_that_a_kill_left_is_taken_whole() {
    let folder = folder();
    let (files, digests) = unclean(folder.path());
    let path = folder.path().join("steps.db");
    restore(folder.path(), &files);
    assert_eq!(digest(&path), (digests[30], manbo::Report::default()));
    // Without its WAL the file is the older one, and nothing can tell.
    restore(folder.path(), &Files::from([("steps.db".to_owned(), files["steps.db"].clone())]));
    assert_eq!(digest(&path), (digests[0], manbo::Report::default()));
    assert_works(&path, "without its WAL");
}

#[test]
fn a_wal_cut_short_ends_at_its_last_whole_commit() {
    let folder = folder();
    let (files, digests) = unclean(folder.path());
    let path = folder.path().join("steps.db");
    let wal = &files["steps.db-wal"];
    let mut seen = 0;
    for len in (0..=wal.len()).step_by(509) {
        let mut files = files.clone();
        files.get_mut("steps.db-wal").unwrap().truncate(len);
        restore(folder.path(), &files);
        let (digest, report) = digest(&path);
        assert_eq!(report, manbo::Report::default(), "cut to {len}");
        let step = digests.iter().position(|known| *known == digest).unwrap();
        assert!(step >= seen, "cut to {len}: a longer WAL holds more");
        seen = step;
    }
    assert_eq!(seen, 29, "the last cut takes the last commit");
}

#[test]
fn a_damaged_wal_gives_back_every_row_that_is_still_whole() {
    let folder = folder();
    let (files, digests) = unclean(folder.path());
    let path = folder.path().join("steps.db");
    let wal = files["steps.db-wal"].clone();
    let frame = |n: usize| 32 + n * (24 + PAGE_LEN);
    let cases = [
        ("header zeroed", 0..32, false),
        ("header garbage", 5..9, false),
        ("frame header garbage", frame(4)..frame(4) + 24, false),
        ("page of the first frame", frame(0) + 24..frame(1), false),
        ("page in the middle", frame(20) + 24..frame(21), false),
        ("last page", wal.len() - 200..wal.len() - 100, true),
    ];
    for (case, range, cut_off) in cases {
        let mut damaged = files.clone();
        damaged.get_mut("steps.db-wal").unwrap()[range].iter_mut().for_each(|byte| *byte ^= 0x5a);
        restore(folder.path(), &damaged);
        let (digest, report) = digest(&path);
        if cut_off {
            // It looks like a write that was cut off, which it may have been.
            assert_eq!((digest, report), (digests[29], manbo::Report::default()), "{case}");
        } else {
            assert_eq!(digest, digests[30], "{case}");
            assert_eq!(report.recovered.len(), 1, "{case}");
            assert_kept(&damaged, folder.path(), case);
            assert_eq!(
                std::fs::read(path.with_file_name("steps.db.damaged-1-wal")).unwrap(),
                damaged["steps.db-wal"],
                "{case}"
            );
        }
        assert_works(&path, case);
    }
}

#[test]
fn a_wal_whose_database_is_gone_or_empty_is_not_thrown_away() {
    let folder = folder();
    let path = folder.path().join("steps.db");
    let mut book = StepBook::open(&path, &options()).unwrap();
    fill(&mut book, 10);
    let before = book.digest().unwrap();
    let files = listing(folder.path());
    drop(book);
    for (case, database) in [("empty", Some(Vec::new())), ("gone", None)] {
        let mut files = files.clone();
        files.remove("steps.db");
        files.extend(database.map(|bytes| ("steps.db".to_owned(), bytes)));
        restore(folder.path(), &files);
        let (digest, report) = digest(&path);
        assert_eq!((digest, report.recovered.len()), (before, 1), "{case}");
        assert_kept(&files, folder.path(), case);
        assert_works(&path, case);
    }
    // A WAL of another program beside a new file is not ours to take.
    let foreign = Files::from([("steps.db-wal".to_owned(), vec![7; 9_000])]);
    restore(folder.path(), &foreign);
    assert_eq!(Store::open(&path, &options()).unwrap_err().code(), Code::StorageForeign);
    assert_eq!(listing(folder.path()), foreign);
}

#[test]
fn every_flipped_bit_of_a_wal_is_harmless_or_noticed() {
    let folder = folder();
    let (files, digests) = unclean(folder.path());
    let path = folder.path().join("steps.db");
    let wal = files["steps.db-wal"].clone();
    let last_commit = wal.len() - (24 + PAGE_LEN);
    let (mut noticed, mut cut_off) = (0, 0);
    for bit in (0..wal.len() * 8).step_by(9_973) {
        let mut files = files.clone();
        files.get_mut("steps.db-wal").unwrap()[bit / 8] ^= 1 << (bit % 8);
        restore(folder.path(), &files);
        let (digest, report) = digest(&path);
        if report.recovered.is_empty() {
            let step = digests.iter().position(|known| *known == digest).unwrap();
            assert!(step == 30 || (step == 29 && bit / 8 >= last_commit), "bit {bit}: {step}");
            cut_off += usize::from(step == 29);
        } else {
            assert_eq!(digest, digests[30], "bit {bit}");
            noticed += 1;
        }
    }
    assert!(noticed > 100 && cut_off < 20, "{noticed} {cut_off}");
}
