//! A chip belongs to the device: whoever reads it, no step of it is credited twice.

use std::collections::BTreeMap;
use std::path::Path;

use manbo::{CounterReading, Credit, Durability, Options, Reading, Source, StepBook};

use crate::{day, now, open};

fn chip(n: usize) -> Source {
    Source::new(&format!("phone-sensor-{n}")).unwrap()
}

fn book_of(path: &Path, user: &str) -> StepBook {
    StepBook::open(path, &Options::new().user(user)).unwrap()
}

fn count_chip(book: &mut StepBook, n: usize, since: &str, count: u32) -> Credit {
    let reading = CounterReading { day: day("2022-10-04"), source: chip(n), boot: since, count };
    book.count(&reading, now()).unwrap().credit.unwrap()
}

fn count(book: &mut StepBook, count: u32) -> Credit {
    count_chip(book, 1, "boot", count)
}

fn shown(book: &mut StepBook) -> u32 {
    book.day(day("2022-10-04")).unwrap().map_or(0, |day| day.shown)
}

#[test]
fn two_people_of_one_phone_share_its_chip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let [mut ana, mut ben] = ["ana", "ben"].map(|user| book_of(&path, user));
    assert_eq!(count(&mut ana, 41_200), Credit::First);
    assert_eq!(count(&mut ana, 41_300), Credit::Steps(100));
    assert_eq!(count(&mut ben, 41_350), Credit::Steps(50), "not the first reading of the device");
    assert_eq!(count(&mut ben, 50_000), Credit::Steps(8_650));
    // The same handle, which had it all in memory.
    assert_eq!(count(&mut ana, 50_000), Credit::Steps(0));
    assert_eq!(count(&mut ben, 50_000), Credit::Steps(0));
    assert_eq!(count(&mut ana, 50_020), Credit::Steps(20));
    assert_eq!(count(&mut ben, 50_010), Credit::Backwards, "less than the other one read");
    assert_eq!(count_chip(&mut ben, 1, "reboot", 30), Credit::Steps(30));
    assert_eq!(count_chip(&mut ana, 1, "reboot", 35), Credit::Steps(5));
    assert_eq!((shown(&mut ana), shown(&mut ben)), (125, 8_730));
    // And from the file.
    let [mut ana, mut ben] = ["ana", "ben"].map(|user| book_of(&path, user));
    assert_eq!(count_chip(&mut ben, 1, "reboot", 36), Credit::Steps(1));
    assert_eq!(count_chip(&mut ana, 1, "reboot", 36), Credit::Steps(0));
    let mut cleo = book_of(&path, "cleo");
    assert_eq!(count_chip(&mut cleo, 1, "reboot", 40), Credit::Steps(4));
    assert_eq!(cleo.ledger().unwrap().cells().len(), 1, "only its own steps");
}

#[test]
fn a_chip_that_one_of_them_did_not_read_is_handed_on_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let [mut ana, mut ben, mut cleo] = ["ana", "ben", "cleo"].map(|user| book_of(&path, user));
    // Their sources have other numbers in each ledger.
    ben.record(&Reading::new(day("2022-10-04"), chip(2), 7), now()).unwrap();
    assert_eq!(count_chip(&mut ana, 1, "boot", 1_000), Credit::First);
    assert_eq!(count_chip(&mut ana, 2, "boot", 2_000), Credit::First);
    assert_eq!(count_chip(&mut ben, 1, "boot", 1_100), Credit::Steps(100));
    assert_eq!(count_chip(&mut cleo, 2, "boot", 2_050), Credit::Steps(50));
    assert_eq!(count_chip(&mut ana, 2, "boot", 2_060), Credit::Steps(10));
    assert_eq!(count_chip(&mut ana, 1, "boot", 1_101), Credit::Steps(1));
}

#[test]
fn who_has_no_room_for_the_other_chips_credits_nothing_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let [mut ana, mut ben] = ["ana", "ben"].map(|user| book_of(&path, user));
    for n in 0..15 {
        let source = Source::new(&format!("watch-{n}")).unwrap();
        ben.record(&Reading::new(day("2022-10-04"), source, 1), now()).unwrap();
    }
    assert_eq!(count_chip(&mut ana, 1, "boot", 1_000), Credit::First);
    assert_eq!(count_chip(&mut ana, 2, "boot", 2_000), Credit::First);
    assert_eq!(count_chip(&mut ben, 1, "boot", 1_100), Credit::Steps(100));
    assert_eq!(ben.ledger().unwrap().source_names().count(), 16);
    assert!(
        ben.count(&CounterReading { day: day("2022-10-04"), source: chip(2), boot: "boot", count: 3 }, now())
            .is_err()
    );
    assert_eq!(count_chip(&mut ana, 1, "boot", 1_105), Credit::Steps(5));
    assert_eq!(count_chip(&mut ana, 2, "boot", 2_100), Credit::First, "nobody knows who walked them");
}

#[test]
fn a_second_user_gets_no_step_from_before_they_signed_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let mut book = open(&path);
    assert_eq!(count(&mut book, 40_000), Credit::First);
    assert_eq!(count(&mut book, 40_500), Credit::Steps(500));
    book.sign_in("ana", now()).unwrap();
    assert_eq!(count(&mut book, 41_200), Credit::Steps(700), "the first user goes on where the phone stood");
    book.sign_out();
    book.sign_in("ben", now()).unwrap();
    assert_eq!(shown(&mut book), 0);
    assert_eq!(count(&mut book, 45_000), Credit::First);
    assert_eq!(count(&mut book, 50_000), Credit::Steps(5_000));
    drop(book);
    let mut book = book_of(&path, "ben");
    assert_eq!(count(&mut book, 50_100), Credit::Steps(100));
    book.sign_in("ben", now()).unwrap();
    assert_eq!(count(&mut book, 50_200), Credit::Steps(100), "who signs in again goes on");
    // Neither did ana walk what ben was credited, nor is it known who walked the rest.
    book.sign_in("ana", now()).unwrap();
    assert_eq!(count(&mut book, 50_300), Credit::First);
    assert_eq!(count(&mut book, 50_350), Credit::Steps(50));
    assert_eq!(shown(&mut book), 1_250);
    // Signed out the phone goes on, and the first user takes that over, but not past somebody who counted since.
    book.sign_out();
    assert_eq!(count(&mut book, 50_400), Credit::Steps(50));
    book.sign_in("ana", now()).unwrap();
    assert_eq!(count(&mut book, 50_410), Credit::Steps(10));
    book.sign_out();
    assert_eq!(count(&mut book, 50_420), Credit::Steps(10));
    assert_eq!(count(&mut book_of(&path, "ben"), 60_000), Credit::Steps(9_580));
    book.sign_in("ana", now()).unwrap();
    assert_eq!(count(&mut book, 60_001), Credit::First);
}

#[test]
fn signing_in_without_counting_leaves_no_older_baseline_to_anyone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let [mut ana, mut ben] = ["ana", "ben"].map(|user| book_of(&path, user));
    assert_eq!(count(&mut ana, 1_000), Credit::First);
    assert_eq!(count(&mut ben, 2_000), Credit::Steps(1_000));
    let mut book = open(&path);
    book.sign_in("cleo", now()).unwrap();
    assert_eq!(count(&mut ana, 2_500), Credit::First, "not from 1,000 on");
    assert_eq!(count(&mut book, 2_600), Credit::Steps(100));
    assert_eq!(count(&mut ben, 2_600), Credit::Steps(0));
}

#[test]
fn whoever_is_erased_leaves_no_older_baseline_to_anyone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let [mut ana, mut ben] = ["ana", "ben"].map(|user| book_of(&path, user));
    assert_eq!(count(&mut ana, 41_200), Credit::First);
    assert_eq!(count(&mut ben, 50_000), Credit::Steps(8_800));
    ben.erase(None).unwrap();
    assert_eq!(count(&mut ana, 50_000), Credit::First);
    assert_eq!(count(&mut ana, 50_010), Credit::Steps(10));
    assert_eq!(count(&mut ben, 50_030), Credit::Steps(20));
    // Who did not count last takes nothing along.
    ana.erase(None).unwrap();
    assert_eq!(count(&mut ben, 50_040), Credit::Steps(10));
    assert_eq!(count(&mut ana, 50_050), Credit::Steps(10));
}

/// A file from before it was noted who counted last, or one where that note was damaged.
#[test]
fn where_the_file_does_not_say_who_counted_last_only_a_single_user_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    let forget = |also: &str| {
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute("DELETE FROM meta WHERE key LIKE 'counted_by%'", []).unwrap();
        file.execute_batch(also).unwrap();
    };
    let mut ana = book_of(&path, "ana");
    assert_eq!(count(&mut ana, 41_200), Credit::First);
    forget("");
    assert_eq!(count(&mut ana, 41_300), Credit::Steps(100));
    forget("");
    let mut ben = book_of(&path, "ben");
    assert_eq!(count(&mut ben, 50_000), Credit::Steps(8_700));
    forget("");
    assert_eq!(count(&mut ana, 50_010), Credit::First);
    assert_eq!(count(&mut ben, 50_020), Credit::Steps(10));
    // One bit of it.
    forget("INSERT INTO meta VALUES ('counted_by', '2'), ('counted_by' || char(31) || 'chk', '0')");
    assert_eq!(count(&mut ben, 50_030), Credit::First);
    assert_eq!(count(&mut ana, 50_040), Credit::Steps(10));
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % end
    }
}

/// A device as the contract has it: one set of baselines, and who read one last.
#[derive(Default)]
struct Device {
    stood: BTreeMap<usize, (u32, u32)>,
    last: Option<usize>,
    first_user: Option<usize>,
}

impl Device {
    fn count(&mut self, user: usize, chip: usize, boot: u32, count: u32) -> Credit {
        let credit = match self.stood.get(&chip) {
            None => Credit::First,
            Some((known, stood)) if *known == boot => match count.checked_sub(*stood) {
                Some(steps) => Credit::Steps(steps),
                None => Credit::Backwards,
            },
            Some(_) => Credit::Steps(count),
        };
        if credit != Credit::Backwards {
            self.stood.insert(chip, (boot, count));
        }
        self.last = Some(user);
        credit
    }

    fn sign_in(&mut self, user: usize) {
        let first = *self.first_user.get_or_insert(user);
        match self.last {
            Some(0) if user == first => self.last = Some(user),
            Some(last) if last != user => self.forget(),
            _ => {}
        }
    }

    fn erase(&mut self, user: usize) {
        if self.last == Some(user) {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.stood.clear();
        self.last = None;
    }
}

const NAMES: [&str; 4] = ["", "ana", "ben", "cleo"];

/// Everyone has a handle of their own, which keeps what it knows in memory; one more is signed in and out.
#[test]
fn whatever_happens_on_a_device_its_chips_credit_what_one_set_of_baselines_would() {
    for seed in 0..40 {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let path = folder.path().join("steps.db");
        let options = |user: usize| Options::new().user(NAMES[user]).durability(Durability::Normal);
        let mut dice = Dice(seed);
        let mut device = Device::default();
        let mut books: Vec<StepBook> = (0..4).map(|n| StepBook::open(&path, &options(n)).unwrap()).collect();
        let (mut main, mut signed_in) = (StepBook::open(&path, &options(0)).unwrap(), 0);
        let mut chips = [(1, 500), (1, 900)];
        let (mut walked, mut credited) = (0_u64, 0_u64);
        for _ in 0..60 {
            let user = usize::try_from(dice.below(4)).unwrap();
            match dice.below(16) {
                0 if user > 0 => {
                    main.sign_in(NAMES[user], now()).unwrap();
                    device.sign_in(user);
                    signed_in = user;
                }
                1 => {
                    main.sign_out();
                    signed_in = 0;
                }
                2 => {
                    books[user].erase(None).unwrap();
                    device.erase(user);
                }
                3 => books[user] = StepBook::open(&path, &options(user)).unwrap(),
                n => {
                    let chip = usize::try_from(dice.below(2)).unwrap();
                    let (start, stood) = &mut chips[chip];
                    let steps = dice.below(40);
                    let reboots = dice.below(12) == 0;
                    (*start, *stood) = if reboots { (*start + 1, steps) } else { (*start, *stood + steps) };
                    walked += u64::from(steps);
                    let late = if n == 4 { dice.below(30).min(*stood) } else { 0 };
                    let (start, count) = (*start, *stood - late);
                    let by_main = n > 9;
                    let (book, user) =
                        if by_main { (&mut main, signed_in) } else { (&mut books[user], user) };
                    let credit = count_chip(book, chip + 1, &start.to_string(), count);
                    assert_eq!(credit, device.count(user, chip, start, count), "seed {seed}");
                    if let Credit::Steps(steps) = credit {
                        credited += u64::from(steps);
                    }
                }
            }
        }
        assert!(credited <= walked, "seed {seed}: {credited} of {walked}");
    }
}
