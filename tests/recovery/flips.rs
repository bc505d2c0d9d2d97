//! One flipped bit, anywhere in the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use manbo::{Code, StepBook};

use super::book::{self, Held, make};
use super::pages::{PAGE_LEN, row_ranges};

const DAYS: i32 = 4;
/// Of the bits outside rows one in so many is flipped, unless all are asked for. A prime, so that every
/// bit of a byte has its turn.
const SAMPLE: usize = 127;

/// And of the bits in rows, in a second kind of file.
const ROW_SAMPLE: usize = 7;

/// The header of the file says what it is: every bit of it has its turn.
const HEADER_BITS: usize = 800;

#[derive(Default)]
struct Tally {
    /// Whether an opening writes the file anew, because somebody was erased.
    writes_anew: bool,
    harmless: AtomicUsize,
    set_aside: AtomicUsize,
    rebuilt: AtomicUsize,
    refused: AtomicUsize,
    with_loss: AtomicUsize,
}

/// Flips one bit and looks at the file through the store, as an app does.
fn check(folder: &Path, bytes: &mut [u8], bit: usize, in_row: bool, before: &[Held], tally: &Tally) {
    bytes[bit / 8] ^= 1 << (bit % 8);
    let path = folder.join("steps.db");
    std::fs::write(&path, &*bytes).unwrap();
    let place = format!("bit {} of byte {} of page {}", bit % 8, bit / 8 % PAGE_LEN, bit / 8 / PAGE_LEN + 1);
    match Held::both(&path) {
        Ok((now, report)) => {
            let lost: usize = before.iter().zip(&now).map(|(before, now)| before.lost(now, &place)).sum();
            let silent = report.set_aside.is_empty() && report.recovered.is_empty();
            if silent {
                assert_eq!(now, before, "{place}: changed, and nobody said so");
                tally.harmless.fetch_add(1, Relaxed);
            } else {
                assert!(lost <= 1, "{place}: {lost} rows lost, {report:?}");
                assert!(report.set_aside.len() <= 1, "{place}: {report:?}");
                let kind = if report.recovered.is_empty() { &tally.set_aside } else { &tally.rebuilt };
                kind.fetch_add(1, Relaxed);
                tally.with_loss.fetch_add(lost, Relaxed);
            }
            if report.recovered.is_empty() {
                assert!(
                    std::fs::read_dir(folder).unwrap().count() == 1,
                    "{place}: something was left beside"
                );
            } else {
                // What was found only after the file was written anew is not as it was.
                let kept = std::fs::read(folder.join("steps.db.damaged-1")).unwrap();
                assert!(kept == bytes || tally.writes_anew, "{place}: the damaged file is not kept");
                for entry in std::fs::read_dir(folder).unwrap() {
                    std::fs::remove_file(entry.unwrap().path()).unwrap();
                }
            }
        }
        Err(error) => {
            // The four bytes of the application id and of the schema version say whose the file is: a
            // file that is not ours, or newer, is not touched.
            assert!(matches!(error.code(), Code::StorageForeign | Code::NewerSchema), "{place}: {error}");
            assert!((60..64).contains(&(bit / 8)) || (68..72).contains(&(bit / 8)), "{place}: {error}");
            assert!(!in_row);
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{place}");
            tally.refused.fetch_add(1, Relaxed);
        }
    }
    bytes[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn every_flipped_bit_is_harmless_or_noticed_and_costs_one_row_at_most() {
    let folder = book::folder();
    let path = make(folder.path(), DAYS);
    flip_all(&path, 1, false);
}

/// Everybody goes on under another number, and the first opening writes the file anew.
#[test]
fn a_flipped_bit_costs_no_more_where_people_were_erased() {
    let folder = book::folder();
    let path = make(folder.path(), DAYS);
    for options in [book::options(), book::named()] {
        let mut book = StepBook::open(&path, &options).unwrap();
        book.erase(None).unwrap();
        book::fill(&mut book, DAYS);
    }
    let file = rusqlite::Connection::open(&path).unwrap();
    let users = "SELECT group_concat(user) FROM (SELECT user FROM ledger ORDER BY user)";
    let users: String = file.query_row(users, [], |row| row.get(0)).unwrap();
    assert_eq!(users, "-1,3");
    // As if somebody had been in the way.
    file.execute_batch("INSERT INTO meta VALUES ('given_up:1', '1'), ('given_up:2', '2')").unwrap();
    drop(file);
    flip_all(&path, ROW_SAMPLE, true);
}

/// Flips bits of a file, one at a time: of those in rows one in so many.
fn flip_all(path: &Path, row_sample: usize, writes_anew: bool) {
    let bytes = std::fs::read(path).unwrap();
    let (before, report) = Held::both(path).unwrap();
    assert_eq!(report, manbo::Report::default());
    let rows = row_ranges(&bytes);
    let mut in_rows: BTreeMap<usize, bool> = BTreeMap::new();
    let all = std::env::var_os("MANBO_ALL_BITS").is_some();
    for bit in (0..bytes.len() * 8).filter(|bit| all || *bit < HEADER_BITS || bit % SAMPLE == 0) {
        in_rows.insert(bit, false);
    }
    for range in &rows {
        let bits = (range.start * 8..range.end * 8).filter(|bit| all || bit % row_sample == 0);
        in_rows.extend(bits.map(|bit| (bit, true)));
    }
    let bits: Vec<(usize, bool)> = in_rows.into_iter().collect();
    let (tally, next) = (Tally { writes_anew, ..Tally::default() }, AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let folder = book::folder();
                let mut bytes = bytes.clone();
                while let Some((bit, in_row)) = bits.get(next.fetch_add(1, Relaxed)) {
                    check(folder.path(), &mut bytes, *bit, *in_row, &before, &tally);
                }
            });
        }
    });
    let count = |n: &AtomicUsize| n.load(Relaxed);
    eprintln!(
        "{} bits flipped ({} rows): {} harmless, {} row set aside, {} rebuilt, {} refused; {} rows lost in all",
        bits.len(),
        rows.len(),
        count(&tally.harmless),
        count(&tally.set_aside),
        count(&tally.rebuilt),
        count(&tally.refused),
        count(&tally.with_loss)
    );
    assert!(count(&tally.set_aside) > 1_000 / row_sample && count(&tally.rebuilt) > 1_000 / row_sample);
}
