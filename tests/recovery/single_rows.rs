//! One damaged row: what the store says about it, and how it is mended by reading the day again.

use std::path::{Path, PathBuf};

use manbo::{Event, Now, Reading, SetAside, StepBook, Store};
use rusqlite::Connection;

use super::book::{Held, NAMED, day, make, named, options, source};
use super::pages::{PAGE_LEN, row_ranges};

/// Where a piece of a row lies: the one row that holds these bytes.
fn find(path: &Path, pattern: &[u8]) -> usize {
    let bytes = std::fs::read(path).unwrap();
    let places: Vec<usize> = row_ranges(&bytes)
        .into_iter()
        .flat_map(|row| row.start..row.end)
        .filter(|at| bytes[*at..].starts_with(pattern))
        .collect();
    assert_eq!(places.len(), 1, "{pattern:?}");
    places[0]
}

fn flip(path: &Path, byte: usize, bit: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[byte] ^= 1 << bit;
    std::fs::write(path, bytes).unwrap();
}

fn fresh(days: i32) -> (tempfile::TempDir, PathBuf, Vec<Held>) {
    let folder = tempfile::tempdir().unwrap();
    let path = make(folder.path(), days);
    let (held, _) = Held::both(&path).unwrap();
    (folder, path, held)
}

/// Six days with steps that stand nowhere else in the file.
fn plain() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let mut book = StepBook::open(&path, &options()).unwrap();
    for n in 0..6_i32 {
        let steps = 0x5a5a + n.unsigned_abs();
        book.record(&Reading::new(day(n), source("phone"), steps), Now::on(day(6))).unwrap();
    }
    (folder, path)
}

#[test]
fn a_flipped_count_sets_one_day_aside_until_it_is_read_again() {
    let (_folder, path) = plain();
    flip(&path, find(&path, &[0x5a, 0x5d]) + 1, 6);
    let mut book = StepBook::open(&path, &options()).unwrap();
    let noticed = SetAside { table: "cell", day: Some(day(3)), source: Some(source("phone")) };
    assert_eq!(book.report().set_aside, [noticed]);
    assert!(book.report().recovered.is_empty());
    assert_eq!(book.day(day(3)).unwrap(), None);
    assert_eq!(book.to_reread().unwrap(), [(day(3), source("phone"))]);
    let account = book.explain(day(3)).unwrap();
    assert!(account.sources[0].remarks.iter().any(|remark| remark.event == Event::SetAside));
    for n in [0, 1, 2, 4, 5_i32] {
        assert_eq!(book.day(day(n)).unwrap().unwrap().shown, 0x5a5a + n.unsigned_abs());
    }
    drop(book);
    // Said once; the row is kept as it was found.
    let mut book = StepBook::open(&path, &options()).unwrap();
    assert_eq!(book.report(), &manbo::Report::default());
    assert_eq!(book.to_reread().unwrap().len(), 1);
    let sql = "SELECT from_table || ' ' || json_extract(content, '$[4]') FROM set_aside";
    let kept: String = Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, format!("cell {}", 0x5a5d ^ 0x40));
    book.record(&Reading::new(day(3), source("phone"), 0x5a5d).full(), Now::on(day(6))).unwrap();
    assert!(book.to_reread().unwrap().is_empty());
    assert_eq!(book.day(day(3)).unwrap().unwrap().shown, 0x5a5d);
}

#[test]
fn a_flipped_day_names_the_true_day_and_leaves_the_day_it_points_to() {
    for bit in 0..8 {
        let (_folder, path) = plain();
        // Source and epoch are 0 and take no byte: the day stands right in front of the steps.
        let steps = find(&path, &[0x5a, 0x5c]);
        flip(&path, steps - 1, bit);
        let mut book = StepBook::open(&path, &options()).unwrap();
        let report = book.report().clone();
        assert_eq!(report.set_aside.len(), 1, "bit {bit}: {report:?}");
        assert_eq!(report.set_aside[0].day, Some(day(2)), "bit {bit}");
        for n in [0, 1, 3, 4, 5_i32] {
            assert_eq!(book.day(day(n)).unwrap().unwrap().shown, 0x5a5a + n.unsigned_abs(), "bit {bit}");
        }
        assert_eq!(book.to_reread().unwrap(), [(day(2), source("phone"))], "bit {bit}");
        drop(book);
        let mut book = StepBook::open(&path, &options()).unwrap();
        assert_eq!(book.report(), &manbo::Report::default(), "bit {bit}");
        assert_eq!(book.days(day(0)..day(6)).unwrap().len(), 5, "bit {bit}");
    }
}

#[test]
fn the_rows_on_which_others_hang_are_mended() {
    for pattern in [&b"watch"[..], b"phone", b"chip"] {
        let (_folder, path, before) = fresh(5);
        let bytes = std::fs::read(&path).unwrap();
        let row = row_ranges(&bytes).into_iter().find(|row| {
            row.start / PAGE_LEN == 4 && bytes[row.clone()].windows(pattern.len()).any(|text| text == pattern)
        });
        let row = row.unwrap();
        let name = bytes[row.clone()].windows(pattern.len()).position(|text| text == pattern).unwrap();
        flip(&path, row.start + name + 1, 0);
        let (now, report) = Held::both(&path).unwrap();
        assert_eq!(now, before);
        assert_eq!((report.recovered.len(), report.set_aside.len()), (1, 0));
    }
}

#[test]
fn a_user_whose_name_is_damaged_in_the_index_or_the_table_is_still_found() {
    let (_folder, path, _) = fresh(5);
    let bytes = std::fs::read(&path).unwrap();
    let rows = row_ranges(&bytes).into_iter().filter(|row| matches!(row.start / PAGE_LEN, 2 | 3));
    let places: Vec<usize> = rows
        .filter_map(|row| row.clone().find(|at| bytes[*at..row.end].starts_with(NAMED.as_bytes())))
        .collect();
    assert_eq!(places.len(), 2, "in the table and in its index");
    for place in places {
        let (_folder, path, before) = fresh(5);
        flip(&path, place + 3, 1);
        // The user's own book first: it must not begin an empty ledger.
        let mut book = StepBook::open(&path, &named()).unwrap();
        assert_eq!(Held::of(book.ledger().unwrap()), before[1]);
        let at_once = book.report().recovered.len();
        drop(book);
        // Where the index is sound it hides the damage in the table from a search, not from a list.
        let (now, report) = Held::both(&path).unwrap();
        assert_eq!((now, at_once + report.recovered.len()), (before, 1));
    }
}

#[test]
fn a_damaged_install_id_is_not_another_phone() {
    let (_folder, path, before) = fresh(5);
    let places: Vec<usize> = {
        let bytes = std::fs::read(&path).unwrap();
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"phone-1")).collect()
    };
    assert_eq!(places.len(), 1);
    flip(&path, places[0] + 6, 1);
    let (now, report) = Held::both(&path).unwrap();
    assert_eq!((now, report), (before.clone(), manbo::Report::default()));
    // And the true one is known again.
    let store = Store::open(&path, &options().install_id("phone-2")).unwrap();
    assert!(store.report().from_other_device);
}
