//! A file that may be read and not written for a while: said so, and over when it is over. SQLite keeps a WAL or an
//! index of it that it opened read-only until the connection ends; such a connection must never be kept.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use manbo::{Code, Now, Reading, StepBook};

use super::book::{day, options, source};

const FOLDER: &str = "MANBO_TEST_FOLDER";
const TEST: &str = "recovery::read_only::what_may_not_be_written_is_written_when_it_may_again";
/// Somebody who owns nothing else.
const NOBODY: u32 = 65_534;

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn record(book: &mut StepBook, steps: u32) -> Result<(), Code> {
    let reading = Reading::new(day(0), source("phone"), steps);
    book.record(&reading, Now::on(day(0))).map(drop).map_err(|error| error.code())
}

#[test]
fn what_may_not_be_written_is_written_when_it_may_again() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        for (n, place) in PLACES.iter().enumerate() {
            let folder = Path::new(&folder).join(n.to_string());
            std::fs::create_dir(&folder).unwrap();
            as_a_kill_left_it(&folder, place);
            // What a process that has the database open may do with it hangs on its spare descriptors.
            if *place != [""] {
                beside_one_that_is_open(&folder, place);
            }
        }
        return nobody_has_it_open(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    allow(folder.path(), 0o777);
    // The program itself may lie where another user cannot go.
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    allow(&program, 0o755);
    let mut child = Command::new(program);
    if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        // The superuser may write everywhere.
        child.uid(NOBODY).gid(NOBODY);
    }
    child.args([TEST, "--exact", "--nocapture"]).env(FOLDER, folder.path());
    let output = child.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// What may not be written, each time: files by what follows their name.
const PLACES: [&[&str]; 5] = [&["-wal"], &["-shm"], &["-wal", "-shm"], &[""], &["", "-wal", "-shm"]];

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn allow_all(path: &Path, place: &[&str], mode: u32) {
    for suffix in place {
        allow(&beside(path, suffix), mode);
    }
}

fn open(path: &Path) -> Result<StepBook, Code> {
    StepBook::open(path, &options()).map_err(|error| error.code())
}

fn as_a_kill_left_it(folder: &Path, place: &[&str]) {
    let (lived, path) = (folder.join("lived.db"), folder.join("left.db"));
    let mut book = open(&lived).unwrap();
    record(&mut book, 1).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        std::fs::copy(beside(&lived, suffix), beside(&path, suffix)).unwrap();
    }
    allow_all(&path, place, 0o444);
    for _ in 0..2 {
        assert_eq!(open(&path).err(), Some(Code::StorageReadOnly), "{place:?}");
    }
    allow_all(&path, place, 0o644);
    let mut book = open(&path).unwrap();
    record(&mut book, 2).unwrap();
    assert_eq!(book.day(day(0)).unwrap().unwrap().shown, 2, "{place:?}");
}

fn beside_one_that_is_open(folder: &Path, place: &[&str]) {
    let path = folder.join("steps.db");
    let [mut at_work, mut suspended] = [0, 1].map(|_| open(&path).unwrap());
    record(&mut suspended, 1).unwrap();
    suspended.suspend().unwrap();
    allow_all(&path, place, 0o444);
    // Whoever has the files open has them open for writing. All of a process share the index of the WAL.
    record(&mut at_work, 2).unwrap();
    let refused = place.contains(&"-wal").then_some(Code::StorageReadOnly);
    for _ in 0..2 {
        assert_eq!(open(&path).err(), refused, "{place:?}");
        assert_eq!(suspended.resume().err().map(|error| error.code()), refused, "{place:?}");
    }
    record(&mut at_work, 3).unwrap();
    allow_all(&path, place, 0o644);
    suspended.resume().unwrap();
    record(&mut suspended, 4).unwrap();
    record(&mut at_work, 5).unwrap();
    assert_eq!(suspended.day(day(0)).unwrap().unwrap().shown, 5, "{place:?}");
}

/// There is no WAL, and none can be made.
fn nobody_has_it_open(folder: &Path) {
    let folder = folder.join("folder");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("steps.db");
    let mut book = open(&path).unwrap();
    record(&mut book, 1).unwrap();
    book.suspend().unwrap();
    allow(&folder, 0o555);
    for _ in 0..2 {
        assert_eq!(book.resume().unwrap_err().code(), Code::StorageReadOnly);
        assert_eq!(record(&mut book, 2), Err(Code::Closed));
    }
    allow(&folder, 0o755);
    book.resume().unwrap();
    record(&mut book, 3).unwrap();
    assert_eq!(book.day(day(0)).unwrap().unwrap().shown, 3);
}
