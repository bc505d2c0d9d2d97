//! A kill at any step of the mending, and several processes that mend at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::Duration;

use manbo::{Now, Reading, StepBook, Store};

use super::book::{Held, NAMED, day, listing, make, named, options, restore, source};
use super::pages::PAGE_LEN;

type Files = BTreeMap<String, Vec<u8>>;

/// A file whose page of cells is garbage, beside a WAL of its own, and how it looks once it is mended.
struct Case {
    folder: tempfile::TempDir,
    damaged: Files,
    mended: Files,
    held: Vec<Held>,
}

impl Case {
    fn new() -> Case {
        let folder = tempfile::tempdir().unwrap();
        let path = make(folder.path(), 9);
        let mut book = StepBook::open(&path, &options()).unwrap();
        book.record(&Reading::new(day(30), source("phone"), 3_000), Now::on(day(30))).unwrap();
        let mut damaged = listing(folder.path());
        drop(book);
        // The pages of the attended days and of the ledger's first row: what lies in the WAL is newer.
        let database = damaged.get_mut("steps.db").unwrap();
        for page in [7, 9] {
            database[page * PAGE_LEN..page * PAGE_LEN + 8].fill(0xee);
        }
        restore(folder.path(), &damaged);
        let (held, report) = Held::both(&path).unwrap();
        assert_eq!(report.recovered.len(), 1);
        let mended = listing(folder.path());
        assert_eq!(mended["steps.db.damaged-1"], damaged["steps.db"]);
        assert_eq!(mended["steps.db.damaged-1-wal"], damaged["steps.db-wal"]);
        Case { folder, damaged, mended, held }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("steps.db")
    }

    /// Opens what is there now: the same facts, the original kept, nothing half-done left.
    #[track_caller]
    fn finish(&self, name: &str) -> Files {
        let (held, report) = Held::both(&self.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(held, self.held, "{name}");
        assert_eq!(report.recovered.len(), 1, "{name}");
        assert!(report.recovered[0].rows_kept > 20, "{name}");
        let now = listing(self.folder.path());
        let aside = report.recovered[0].moved_to.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(now[&aside], self.damaged["steps.db"], "{name}");
        assert!(now.values().any(|bytes| *bytes == self.damaged["steps.db-wal"]), "{name}");
        for file in now.keys() {
            assert!(file == "steps.db" || file.starts_with("steps.db.damaged-"), "{name}: {file}");
        }
        let (held, report) = Held::both(&self.path()).unwrap();
        assert_eq!((held, report), (self.held.clone(), manbo::Report::default()), "{name}");
        now
    }
}

#[test]
fn an_open_finishes_what_a_kill_interrupted() {
    let case = Case::new();
    let new = case.mended["steps.db"].clone();
    let (old, wal) = (case.damaged["steps.db"].clone(), case.damaged["steps.db-wal"].clone());
    let file = |name: &str, bytes: &[u8]| (format!("steps.db{name}"), bytes.to_vec());
    let half = &new[..new.len() / 3];
    let states: Vec<(&str, Files)> = vec![
        ("copying", Files::from([file("", &old), file("-wal", &wal), file(".salvage", half)])),
        (
            "reading the copy",
            Files::from([
                file("", &old),
                file("-wal", &wal),
                file(".salvage", &old),
                file(".salvage-wal", &wal[..40]),
                file(".salvage.template", &[1; 10]),
                file(".recovering", b""),
            ]),
        ),
        (
            "writing the new file",
            Files::from([
                file("", &old),
                file("-wal", &wal),
                file(".rebuilding", half),
                file(".rebuilding-wal", half),
            ]),
        ),
        ("before the exchange", Files::from([file("", &old), file("-wal", &wal), file(".rebuilt", &new)])),
        (
            "the WAL moved",
            Files::from([file("", &old), file(".damaged-1-wal", &wal), file(".rebuilt", &new)]),
        ),
        (
            "no second name",
            Files::from([file(".damaged-1", &old), file(".damaged-1-wal", &wal), file(".rebuilt", &new)]),
        ),
    ];
    for (name, files) in states {
        restore(case.folder.path(), &files);
        let now = case.finish(name);
        assert_eq!(now.len(), 3, "{name}: {:?}", now.keys());
    }
    // A second name is a link to the same file, not a copy of it.
    let path = case.path();
    restore(
        case.folder.path(),
        &Files::from([file("", &old), file(".damaged-1-wal", &wal), file(".rebuilt", &new)]),
    );
    std::fs::hard_link(&path, path.with_file_name("steps.db.damaged-1")).unwrap();
    assert_eq!(case.finish("the second name").len(), 3);
}

#[test]
fn an_earlier_damaged_file_keeps_its_name() {
    let case = Case::new();
    let mut files = case.damaged.clone();
    files.insert("steps.db.damaged-1".into(), b"earlier".to_vec());
    files.insert("steps.db.damaged-2-wal".into(), b"a lone one".to_vec());
    restore(case.folder.path(), &files);
    let now = case.finish("with earlier ones");
    assert_eq!(now["steps.db.damaged-1"], b"earlier");
    assert_eq!(now["steps.db.damaged-2-wal"], b"a lone one");
    assert!(now.contains_key("steps.db.damaged-3"));
}

#[test]
fn two_that_mend_at_once_mend_once() {
    let case = Case::new();
    for round in 0..20 {
        restore(case.folder.path(), &case.damaged);
        let start = Barrier::new(2);
        let open = || {
            start.wait();
            Held::both(&case.path()).unwrap()
        };
        let (a, b) = std::thread::scope(|scope| {
            let (a, b) = (scope.spawn(open), scope.spawn(open));
            (a.join().unwrap(), b.join().unwrap())
        });
        assert_eq!((&a.0, &b.0), (&case.held, &case.held), "round {round}");
        assert_eq!(a.1.recovered.len() + b.1.recovered.len(), 1, "round {round}");
        assert_eq!(listing(case.folder.path()).len(), 3, "round {round}");
    }
}

#[test]
fn an_open_book_follows_a_file_that_another_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = make(folder.path(), 9);
    let mut idle = StepBook::open(&path, &options()).unwrap();
    let mut busy = StepBook::open(&path, &named()).unwrap();
    let before = idle.digest().unwrap();
    // Through a descriptor of its own process SQLite's locks would be lost, so another one writes.
    let script = "import sys; f = open(sys.argv[1], 'r+b'); f.seek(7 * 4096); f.write(bytes(64))";
    assert!(Command::new("python3").args(["-c", script]).arg(&path).status().unwrap().success());
    let mut third = StepBook::open(&path, &options()).unwrap();
    assert_eq!(third.report().recovered.len(), 1);
    assert_eq!(third.digest().unwrap(), before);
    let now = Now::on(day(40));
    third.record(&Reading::new(day(40), source("phone"), 4_000), now).unwrap();
    // One that reads from memory sees it after a few looks, one that writes lands in the new file.
    let looks = (1..=8).find(|_| idle.digest().unwrap() == third.digest().unwrap());
    assert!(looks.is_some());
    busy.record(&Reading::new(day(40), source("phone"), 5_000), now).unwrap();
    drop((idle, busy, third));
    let mut store = Store::open(&path, &options()).unwrap();
    assert_eq!(store.read(NAMED).unwrap().day(day(40)).unwrap().shown, 5_000);
    assert_eq!(store.read("").unwrap().day(day(40)).unwrap().shown, 4_000);
    assert_eq!(store.report(), &manbo::Report::default());
}

const CHILD_FILE: &str = "MANBO_MEND_THIS";

/// Not a test of its own: what the child process of the next one does.
#[test]
fn child_that_mends() {
    if let Some(path) = std::env::var_os(CHILD_FILE) {
        Held::both(Path::new(&path)).unwrap();
    }
}

#[test]
fn a_kill_while_mending_loses_nothing() {
    let case = Case::new();
    let test = std::env::current_exe().unwrap();
    let (mut interrupted, mut mended) = (0, 0);
    for round in 0..40_u64 {
        restore(case.folder.path(), &case.damaged);
        let mut child = Command::new(&test)
            .args(["--exact", "recovery::interrupted::child_that_mends", "--nocapture"])
            .env(CHILD_FILE, case.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // A kill needs a real process, and a real process needs time to get somewhere.
        let step = Duration::from_micros(300 * round);
        while listing(case.folder.path()) == case.damaged && child.try_wait().unwrap().is_none() {}
        std::thread::sleep(step);
        child.kill().unwrap();
        child.wait().unwrap();
        // Empty, and taken over by the next one who mends.
        let _ = std::fs::remove_file(case.path().with_file_name("steps.db.recovering"));
        let now = listing(case.folder.path());
        let exchanged = now["steps.db"] != case.damaged["steps.db"] && !now.contains_key("steps.db.rebuilt");
        if exchanged || now == case.damaged {
            mended += 1;
            let (held, _) = Held::both(&case.path()).unwrap();
            assert_eq!(held, case.held, "round {round}");
        } else {
            interrupted += 1;
            case.finish(&format!("round {round}"));
        }
    }
    eprintln!("{interrupted} interrupted, {mended} done before the kill or not begun");
    assert!(interrupted > 0);
}
