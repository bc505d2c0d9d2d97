//! A server's file with more users than are asked one by one: a damaged index of their names hides nobody.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use manbo::{Now, Operation, Options, Reading, Store};

use super::book::{day, folder, listing, options, restore, source};
use super::pages::{PAGE_LEN, row_ranges};

const USERS: u32 = 1_200;

fn server() -> Options {
    options().server("5f3a")
}

fn name(n: u32) -> String {
    format!("user-{n:04}")
}

fn walk(store: &mut Store, n: u32, on: i32) {
    let reading = Reading::new(day(on), source("phone"), 1_000 + n);
    let now = Now::on(day(9));
    store.transact(&name(n), |ledger| Ok(ledger.apply(Operation::Read(&reading), now)?)).map(drop).unwrap();
}

/// What a user walked on the first two days.
fn steps(store: &mut Store, n: u32) -> [u32; 2] {
    let ledger = store.read(&name(n)).unwrap();
    [0, 1].map(|on| ledger.day(day(on)).map_or(0, |day| day.shown))
}

fn make(folder: &Path) -> PathBuf {
    let path = folder.join("steps.db");
    let mut store = Store::open(&path, &server()).unwrap();
    // In another order than that of the index.
    for n in 0..USERS {
        walk(&mut store, n * 7 % USERS, 0);
    }
    path
}

/// The user's name in the index: the table lies on pages of another kind.
fn entry(bytes: &[u8], n: u32) -> Range<usize> {
    let holds = |row: &Range<usize>| bytes[row.clone()].windows(9).any(|text| text == name(n).as_bytes());
    let on_index = |row: &Range<usize>| matches!(bytes[row.start / PAGE_LEN * PAGE_LEN], 0x02 | 0x0a);
    let mut rows = row_ranges(bytes).into_iter().filter(|row| on_index(row) && holds(row));
    let row = rows.next().unwrap();
    assert_eq!(rows.next(), None);
    let at = bytes[row.clone()].windows(9).position(|text| text == name(n).as_bytes()).unwrap();
    row.start + at..row.end
}

/// The place of the pointer to an entry, two bytes long.
fn pointer(bytes: &[u8], entry: &Range<usize>) -> usize {
    let page = entry.start / PAGE_LEN * PAGE_LEN;
    let first = page + if bytes[page] == 0x02 { 12 } else { 8 };
    let number = |at: usize| usize::from(bytes[at]) * 256 + usize::from(bytes[at + 1]);
    let pointers = (first..).step_by(2).take(number(page + 3));
    pointers.filter(|at| page + number(*at) <= entry.start).max_by_key(|at| number(*at)).unwrap()
}

fn damages(bytes: &[u8], n: u32) -> Vec<(&'static str, Vec<u8>)> {
    let entry = entry(bytes, n);
    let pointer = pointer(bytes, &entry);
    let flipped = |at: usize, bits: u8| {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= bits;
        damaged
    };
    let mut doubled = bytes.to_vec();
    doubled.copy_within(pointer + 2..pointer + 4, pointer);
    let mut vanished = bytes.to_vec();
    vanished[entry.start / PAGE_LEN * PAGE_LEN + 4] -= 1;
    vec![
        ("first letter", flipped(entry.start, 0x02)),
        ("a digit", flipped(entry.start + 7, 0x01)),
        ("a digit that sorts elsewhere", flipped(entry.start + 6, 0x08)),
        ("number", flipped(entry.end - 1, 0x01)),
        ("pointer to the next entry", doubled),
        ("one entry fewer", vanished),
    ]
}

#[test]
fn a_damaged_index_of_many_users_hides_nobody() {
    let folder = folder();
    let path = make(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    for n in [0, 1, 599, 600, 1_100, USERS - 1] {
        for (case, damaged) in damages(&bytes, n) {
            restore(folder.path(), &[("steps.db".to_owned(), damaged)].into());
            let mut store = Store::open(&path, &server()).unwrap();
            assert_eq!(store.report().recovered.len(), 1, "{case} of {n}");
            walk(&mut store, n, 1);
            for n in n.saturating_sub(2)..(n + 3).min(USERS) {
                let walked = steps(&mut store, n);
                assert_eq!(walked[0], 1_000 + n, "{case}: {n}");
            }
            assert_eq!(steps(&mut store, n)[1], 1_000 + n, "{case}");
            assert_eq!(store.users().unwrap().len(), usize::try_from(USERS).unwrap(), "{case} of {n}");
            assert!(store.read("user-0600x").unwrap().facts().is_empty());
        }
    }
}

/// Through a descriptor of its own process SQLite's locks would be lost, so another one writes.
fn write_from_outside(path: &Path, before: &[u8], after: &[u8]) {
    let script = "import sys\nf = open(sys.argv[1], 'r+b')\nf.seek(int(sys.argv[2]))\nf.write(bytes([int(sys.argv[3])]))";
    for at in (0..before.len()).filter(|at| before[*at] != after[*at]) {
        let places = [at.to_string(), after[at].to_string()];
        let mut python = Command::new("python3");
        assert!(python.args(["-c", script]).arg(path).args(places).status().unwrap().success());
    }
}

#[test]
fn an_index_that_is_damaged_while_the_file_is_open_leads_nobody_astray() {
    let folder = folder();
    let path = make(folder.path());
    let sound = listing(folder.path());
    let bytes = &sound["steps.db"];
    for n in [1, 600, USERS - 1] {
        for (case, damaged) in damages(bytes, n) {
            if case == "one entry fewer" {
                // Nothing beside the place of a name tells: the next opening does.
                continue;
            }
            restore(folder.path(), &sound);
            let mut store = Store::open(&path, &server()).unwrap();
            write_from_outside(&path, bytes, &damaged);
            // A commit of another connection: what was read before does not count any more.
            let other = rusqlite::Connection::open(&path).unwrap();
            other.execute("INSERT INTO meta VALUES ('from', 'outside')", []).unwrap();
            drop(other);
            walk(&mut store, n, 1);
            assert_eq!(steps(&mut store, n), [1_000 + n; 2], "{case}");
            assert_eq!(store.report().recovered.len(), 1, "{case} of {n}");
            assert_eq!(store.users().unwrap().len(), usize::try_from(USERS).unwrap(), "{case} of {n}");
        }
    }
}
