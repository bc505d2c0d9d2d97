//! What a file knows: every row of every table, and what the library makes of them.

use manbo::{Day, Ledger, Options, Rules, Store};
use manbo_sim::vfs::Disk;
use rusqlite::{Connection, OpenFlags};

pub(crate) const PATH: &str = "/sim/steps.db";
/// The process of the one who looks; no scenario acts as it.
const LOOKER: usize = 3;

/// Every row of a file as text, table by table; nothing where there is no table yet.
pub(crate) type State = Vec<String>;

/// The rows that a connection sees. It must not wait and must not change anything.
pub(crate) fn rows(connection: &Connection) -> State {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut names = connection.prepare(names).unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut state = State::new();
    for name in names {
        let mut statement = connection.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = statement.column_count();
        state.push(format!("table {name} of {columns}"));
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<String> = (0..columns)
                .map(|at| format!("{:?}", row.get::<_, rusqlite::types::Value>(at).unwrap()))
                .collect();
            // How often the file was opened after a kill, and what is still to be scrubbed, is nobody's fact.
            let is_own = |value: &String| value.contains("boots") || value.contains("given_up:");
            if !(name == "meta" && values.iter().any(is_own)) {
                state.push(format!("{name}: {}", values.join(" ")));
            }
        }
    }
    state
}

/// Looks at a disk whose owners may be at it just now; leaves its files as they are.
pub(crate) fn look(disk: &Disk, case: &str) -> State {
    let _entered = disk.enter_as(LOOKER);
    if disk.image(PATH).is_none_or(|bytes| bytes.is_empty()) {
        return State::new();
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(PATH, flags).unwrap();
    let keep = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(keep, true).unwrap();
    let verdict: rusqlite::Result<String> =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    assert_eq!(verdict.as_deref(), Ok("ok"), "{case}");
    rows(&connection)
}

/// Opens a disk that nobody uses as the library does, and holds it to what must always hold.
pub(crate) fn check(disk: &Disk, options: &Options, case: &str) {
    disk.with(|| {
        let mut store =
            Store::open(PATH, options).unwrap_or_else(|error| panic!("{case}: cannot be opened: {error:?}"));
        for user in store.users().unwrap() {
            check_ledger(&store.read(&user).unwrap(), case);
        }
        let report = store.report();
        assert!(report.recovered.is_empty() && report.set_aside.is_empty(), "{case}: {report:?}");
        store.suspend().unwrap();
    });
    assert_eq!(disk.locks_held(), 0, "{case}");
    assert_not_deleted(disk, case);
}

/// Pending is what is said to be pending, and what follows from the facts is what is kept of it.
fn check_ledger(ledger: &Ledger, case: &str) {
    let rules = Rules::default();
    assert_eq!(ledger.pending_count(), ledger.pending().len(), "{case}");
    let rebuilt = Ledger::load(*rules.levels(), ledger.revision(), ledger.facts()).unwrap();
    let days = |ledger: &Ledger| ledger.days(Day::FIRST..Day::LAST).collect::<Vec<_>>();
    assert_eq!(days(&rebuilt), days(ledger), "{case}");
    assert_eq!(rebuilt.digest(), ledger.digest(), "{case}");
    let as_of = ledger.timeline().last_logged().unwrap_or(Day::FIRST);
    let statistics = |ledger: &Ledger| ledger.statistics(rules.statistics(), as_of);
    assert_eq!(statistics(&rebuilt), statistics(ledger), "{case}");
    assert_eq!(rebuilt.current_level(as_of), ledger.current_level(as_of), "{case}");
}

/// Nothing that SQLite removed was a database.
pub(crate) fn assert_not_deleted(disk: &Disk, case: &str) {
    let deleted = disk.deleted();
    assert!(!deleted.iter().any(|name| name == PATH), "{case}: {deleted:?}");
}
