//! Rows on disk, one ledger in memory: the only place that knows persistence.
//!
//! A [`Store`] is one file with the ledgers of one user (a device) or many (a server's embedded
//! default). A ledger is loaded whole, changed in memory by the pure core, and the rows that differ are
//! written in one transaction. Nothing derived is stored, so nothing can drift.

mod attendance;
mod carve;
mod cell;
mod change;
mod checksum;
mod connection;
mod counter;
mod delivery;
mod era;
mod erase;
mod exchange;
mod export;
mod failure;
mod keeping;
mod ledger;
mod loaded;
mod locked;
mod meta;
mod recover;
mod remark;
mod row;
mod salvage;
mod schema;
mod serve;
mod set_aside;
mod source;
mod transaction;
mod wal;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use serde::Serialize;

pub use connection::Durability;
pub use export::{
    EXPORT_LINE_MAX, EXPORT_LINES_MAX, EXPORT_VERSION, Exported, ImportError, ImportRule, Imported,
};
pub use keeping::HISTORY_FOR_DEFAULT;
pub(crate) use loaded::Loaded;
pub use serve::{BATCH_ITEMS_MAX, Erased, GENERATION_LEAD_MAX, PAGE_FACTS_MAX, Reply};

use crate::delivery::Delivery;
use crate::domain::code::Refusal;
use crate::domain::day::Day;
use crate::domain::ledger::Ledger;
use crate::domain::steps::Source;
use crate::error::{Error, Result};
use crate::rules::Rules;
use connection::{Opening, classify};
use keeping::Keeping;
use transaction::WriteTx;

/// How long a call waits for another process that writes: forty times the slowest commit seen, and less
/// than the five seconds after which Android calls an app unresponsive.
pub const BUSY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(4);
/// The longest name of a user in bytes: two UUIDs and a realm.
pub const USER_LEN_MAX: usize = 128;

/// How a file is opened.
///
/// ```
/// use manbo::{Options, Rules};
/// let options = Options::new().rules(Rules::builder().goal(8_000).build()?).install_id("7d0c...");
/// # let _ = options;
/// # Ok::<(), manbo::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Options {
    pub(crate) rules: Rules,
    durability: Durability,
    busy_timeout: Duration,
    pub(crate) user: String,
    install_id: Option<String>,
    server: Option<String>,
    history: Option<Option<Duration>>,
}

impl std::fmt::Debug for Options {
    /// Names neither the user nor the installation.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("durability", &self.durability).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rules: Rules::default(),
            durability: Durability::Full,
            busy_timeout: BUSY_TIMEOUT_DEFAULT,
            user: String::new(),
            install_id: None,
            server: None,
            history: None,
        }
    }
}

impl Options {
    /// The default rules, full durability, the device's own ledger.
    pub fn new() -> Options {
        Options::default()
    }

    /// The rules that turn steps into levels and statistics.
    pub fn rules(mut self, rules: Rules) -> Options {
        self.rules = rules;
        self
    }

    /// What a success survives.
    pub fn durability(mut self, durability: Durability) -> Options {
        self.durability = durability;
        self
    }

    /// How long a call waits for another process that writes.
    pub fn busy_timeout(mut self, timeout: Duration) -> Options {
        self.busy_timeout = timeout;
        self
    }

    /// Whose ledger a [`crate::StepBook`] holds; empty (the default) before anyone signs in.
    pub fn user(mut self, name: impl Into<String>) -> Options {
        self.user = name.into();
        self
    }

    /// What tells this device's installation from another's (`identifierForVendor` on iOS, a random id
    /// in a folder without backup on Android). A file restored from another phone's backup is noticed by
    /// it, and then drops what only that phone knew: counter baselines and read-here bits, not steps. An export
    /// brings back what only this device knew where the id is the same.
    pub fn install_id(mut self, id: impl Into<String>) -> Options {
        self.install_id = Some(id.into());
        self
    }

    /// The file is a server's: its ledgers count revisions, and every change is kept until no device can lack
    /// it. `name` is any text that no other server has, and the same for ever, also for a restored file: the
    /// ledgers are called after it in what travels.
    pub fn server(mut self, name: impl Into<String>) -> Options {
        self.server = Some(name.into());
        self
    }

    /// Keeps every change of every fact for so long, for [`Store::history`] and [`Store::as_of`]; `None` keeps
    /// no history. A server does by default ([`HISTORY_FOR_DEFAULT`]), a device does not.
    pub fn history(mut self, keep_for: Option<Duration>) -> Options {
        self.history = Some(keep_for);
        self
    }

    pub(crate) fn keeping(&self) -> Keeping {
        let history = self.history.unwrap_or(self.server.as_ref().map(|_| HISTORY_FOR_DEFAULT));
        Keeping {
            levels: *self.rules.levels(),
            server: self.server.is_some(),
            history_ms: history.map(|keep_for| i64::try_from(keep_for.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    pub(crate) fn server_name(&self) -> Option<&str> {
        self.server.as_deref()
    }

    fn opening(&self) -> Opening {
        Opening { durability: self.durability, busy_timeout: self.busy_timeout }
    }
}

/// A row that failed its checksum and was taken out of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// The table.
    pub table: &'static str,
    /// The day, as far as the row could be read. It is on the re-read list.
    pub day: Option<Day>,
    /// The source, as far as the row could be read.
    pub source: Option<Source>,
}

/// A damaged file that was moved aside and rebuilt from what was readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Where the damaged file now lies, with its `-wal` and `-shm` beside it. Nothing deletes it.
    pub moved_to: PathBuf,
    /// Rows that were taken over.
    pub rows_kept: usize,
    /// Rows that failed their checksum; they are in the table `set_aside` of the new file.
    pub rows_set_aside: usize,
}

/// What a store noticed about its file since it was opened; a host shows or logs it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The file came from another device's backup, and what only that device knew was dropped.
    pub from_other_device: bool,
    /// Rows set aside.
    pub set_aside: Vec<SetAside>,
    /// Damaged files moved aside.
    pub recovered: Vec<Recovered>,
}

/// One ledger file: of one user on a device, or of many on a server.
///
/// ```
/// use manbo::{Fact, IngestPolicy, Now, Options, Store, ingest};
/// # let dir = tempfile::tempdir().unwrap();
/// let mut store = Store::open(dir.path().join("server.db"), &Options::new())?;
/// let now = Now::on("2022-10-04".parse()?);
/// let policy = IngestPolicy { latest_day: now.today, recovery: false };
/// let batch = [Fact::Attended(now.today)];
/// let done = store.transact("user-1", |ledger| Ok(ingest(ledger, &batch, 0, policy, now)))?;
/// assert_eq!(done.receipt.revision, 1);
/// assert_eq!(store.users()?, ["user-1"]);
/// # Ok::<(), manbo::Error>(())
/// ```
pub struct Store {
    path: PathBuf,
    options: Options,
    connection: Option<Connection>,
    /// Whether the host asked for no connection; without that, a lost one is opened again.
    suspended: bool,
    file: Option<FileId>,
    reads_before_look: u8,
    /// Whether SQLite took over commits from a WAL that nobody has flushed since, as far as we know.
    recovered: bool,
    calls_before_scrub: u8,
    /// How often the file was opened.
    openings: u64,
    report: Report,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("open", &self.connection.is_some()).finish_non_exhaustive()
    }
}

/// A damaged file is rebuilt once a call, perhaps by another process first; what is damaged again at
/// once is reported.
const RECOVERIES_A_CALL: usize = 2;
/// Reads from memory between two looks at the file's name: a look costs a third of such a read. A write
/// looks every time.
const READS_A_LOOK: u8 = 7;
/// Reads from the file and writes between two attempts to take erased bytes off the disk, while another process
/// is in the way: an attempt moves the WAL, which SQLite does by itself every 1,000 pages, or 100 writes of ten.
const CALLS_A_SCRUB: u8 = 100;
/// The version of a ledger that is never current.
const NEVER_CURRENT: i64 = -1;

impl Store {
    /// Opens a file, creating it where there is none. A damaged file is moved aside and rebuilt from what
    /// is readable; [`Store::report`] says so.
    ///
    /// # Errors
    /// [`Error::Foreign`] and [`Error::NewerSchema`] leave the file untouched; [`Error::Unreachable`],
    /// [`Error::Busy`], [`Error::Full`] and [`Error::ReadOnly`] say what to do; `bad_value` for a user
    /// name above [`USER_LEN_MAX`] bytes.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Store> {
        check_user(&options.user)?;
        let path = path.as_ref().to_path_buf();
        let report = Report::default();
        let options = options.clone();
        let mut store = Store {
            path,
            options,
            connection: None,
            suspended: false,
            file: None,
            reads_before_look: READS_A_LOOK,
            recovered: false,
            calls_before_scrub: 0,
            openings: 0,
            report,
        };
        store.recovering(Store::notice_other_device)?;
        Ok(store)
    }

    /// Everyone who has a ledger here, in the order of their first write, or of the first since they were erased.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn users(&mut self) -> Result<Vec<String>> {
        self.recovering(|store| ledger::names(store.connected()?))
    }

    /// A user's ledger; an empty one for a user who has none.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn read(&mut self, user: &str) -> Result<Ledger> {
        self.load(user).map(|loaded| loaded.ledger)
    }

    /// Changes a user's ledger in one transaction: loads it under the write lock, runs `change`, writes
    /// the rows that differ. `change` may run twice (after a recovery); an error of it stores nothing.
    ///
    /// # Errors
    /// Those of `change` and of the storage.
    pub fn transact<T>(&mut self, user: &str, mut change: impl FnMut(&mut Ledger) -> Result<T>) -> Result<T> {
        let mut slot = None;
        self.update(user, &mut slot, &mut change)
    }

    /// What was noticed about the file since it was opened.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Closes the connection: no lock and no open file is left behind. Calls fail with
    /// [`Error::Closed`] until [`Store::resume`].
    ///
    /// # Errors
    /// Those of the storage; the connection is closed all the same.
    pub fn suspend(&mut self) -> Result<()> {
        self.suspended = true;
        match self.connection.take() {
            None => Ok(()),
            Some(connection) => connection.close().map_err(|(_, error)| classify(error)),
        }
    }

    /// Opens the connection again after [`Store::suspend`]; nothing happens when it is open.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn resume(&mut self) -> Result<()> {
        if self.connection.is_some() {
            return Ok(());
        }
        self.suspended = false;
        // Meanwhile the file may have been restored from a backup.
        let resumed = self.recovering(Store::notice_other_device);
        if resumed.is_err() {
            // Half resumed would skip that question at the next call.
            self.connection = None;
            self.suspended = true;
        }
        resumed
    }

    /// Whether the connection is open.
    pub fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    fn connect(&mut self) -> Result<()> {
        loop {
            self.connection = None;
            let finished = recover::finish_interrupted(&self.path, &self.options)?;
            self.report.recovered.extend(finished);
            let before = FileId::of(&self.path);
            self.file = before;
            recover::check_unseen_damage(&self.path, &self.options)?;
            let (connection, recovered) = connection::open_noting(&self.path, self.options.opening())?;
            self.file = FileId::of(&self.path);
            // Another process may have exchanged the file just now.
            if before.is_none() || before == self.file {
                self.recovered = recovered;
                self.calls_before_scrub = 0;
                self.openings += 1;
                let checked = ledger::check_index(&connection);
                // A damaged file is let go by whoever mends it.
                if checked.as_ref().map_or_else(Error::is_corrupt, |()| true) {
                    self.connection = Some(connection);
                }
                return checked;
            }
        }
    }

    fn connected(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or(Error::Closed)
    }

    /// Changes with every commit of another connection.
    fn version(connection: &Connection) -> Result<i64> {
        let mut statement = connection.prepare_cached("PRAGMA data_version").map_err(classify)?;
        statement.query_row([], |row| row.get(0)).map_err(classify)
    }

    /// Whether nobody else has committed since this was loaded. A connection counts the commits of others from
    /// where it began: the number of another one says nothing.
    fn is_newest(&self, loaded: &Loaded, connection: &Connection) -> Result<bool> {
        Ok(loaded.opening == self.openings && Store::version(connection)? == loaded.version)
    }

    /// Whether nobody else has changed the file since this was loaded. That another one has taken its
    /// place, which only the mending of a damaged file does, is seen a few calls later.
    pub(crate) fn is_current(&mut self, loaded: &Loaded) -> Result<bool> {
        if self.connection.is_none() && !self.suspended {
            return Ok(false);
        }
        let current = self.is_newest(loaded, self.connected()?)?;
        if !current || self.reads_before_look > 0 {
            self.reads_before_look = self.reads_before_look.saturating_sub(1);
            return Ok(current);
        }
        self.reads_before_look = READS_A_LOOK;
        Ok(!self.has_moved())
    }

    /// Another process may have moved the file aside and rebuilt it.
    fn has_moved(&self) -> bool {
        self.file != FileId::of(&self.path)
    }

    pub(crate) fn load(&mut self, user: &str) -> Result<Loaded> {
        check_user(user)?;
        self.recovering(|store| {
            if store.connection.is_some() && store.has_moved() {
                store.connect()?;
            }
            let keeping = store.options.keeping();
            let (mut loaded, bad) =
                transaction::read(store.connected()?, |snapshot| Loaded::load(snapshot, user, keeping))?;
            loaded.opening = store.openings;
            if bad.is_empty() {
                match store.flush_recovered(Duration::ZERO) {
                    // Reading goes on where nothing can be written; whoever writes tries again first.
                    Err(error) if error.is_corrupt() => return Err(error),
                    Ok(()) | Err(_) => {}
                }
                store.scrub_when_due()?;
                return Ok(loaded);
            }
            match store.set_aside(user) {
                Ok(loaded) => Ok(loaded),
                // Reading goes on where nothing can be written; every call tries again.
                Err(Error::Full(_) | Error::ReadOnly(_) | Error::Busy(_)) => {
                    let noted = bad.iter().map(|row| loaded::note(row, &mut loaded.ledger)).collect();
                    store.note(noted);
                    loaded.version = NEVER_CURRENT;
                    Ok(loaded)
                }
                Err(error) => Err(error),
            }
        })
    }

    fn set_aside(&mut self, user: &str) -> Result<Loaded> {
        let tx = WriteTx::begin(self.connected()?, self.options.busy_timeout)?;
        let (mut loaded, noted) = Loaded::load_for_write(&tx, user, self.options.keeping())?;
        loaded.opening = self.openings;
        tx.commit()?;
        self.note(noted);
        Ok(loaded)
    }

    fn note(&mut self, noted: Vec<SetAside>) {
        for row in noted {
            if !self.report.set_aside.contains(&row) {
                self.report.set_aside.push(row);
            }
        }
    }

    /// After the rows were read for the first time since the file was opened, and before anything is written.
    /// SQLite takes over what lies in a WAL, also commits that are in the system's cache only, and those whose
    /// flush failed before the process died: what is appended after them would be lost with them by a power cut,
    /// however well it was flushed itself; and what was shown could vanish. So they are moved into the file, and a
    /// commit that changes a value begins the WAL anew. Not at the opening: nothing is written to a file before
    /// its rows were read.
    fn flush_recovered(&mut self, timeout: Duration) -> Result<()> {
        if !self.recovered {
            return Ok(());
        }
        transaction::waiting(timeout, || connection::checkpoint(self.connected()?))?;
        let tx = WriteTx::begin(self.connected()?, timeout)?;
        if self.has_moved() {
            return Ok(());
        }
        let boots = meta::get(&tx, meta::BOOTS)?.and_then(|text| text.parse().ok()).unwrap_or(0_u64);
        meta::set(&tx, meta::BOOTS, &boots.saturating_add(1).to_string())?;
        tx.commit()?;
        self.recovered = false;
        Ok(())
    }

    /// Before the first write since the file was opened: reads the rows, and makes what was found durable.
    pub(super) fn settle_recovered(&mut self, user: &str) -> Result<()> {
        if self.recovered {
            self.load(user)?;
            if self.connection.is_none() {
                self.connect()?;
            }
            self.flush_recovered(self.options.busy_timeout)?;
        }
        self.scrub_when_due()
    }

    /// The same before a write that is nobody's in particular.
    pub(super) fn settle_anyone(&mut self) -> Result<()> {
        let names = if self.recovered { ledger::names(self.connected()?)? } else { Vec::new() };
        self.settle_recovered(names.first().map_or("", String::as_str))
    }

    /// What was erased while another process was at the file may still lie on the disk. Like the flush, not before
    /// rows were read; without waiting, and not at every call.
    fn scrub_when_due(&mut self) -> Result<()> {
        match self.calls_before_scrub.checked_sub(1) {
            Some(left) => self.calls_before_scrub = left,
            None if self.connection.is_some() && !self.has_moved() => self.scrub(Duration::ZERO)?,
            None => {}
        }
        Ok(())
    }

    /// Takes the bytes of all that was erased off the disk, if nobody is in the way for so long.
    ///
    /// # Errors
    /// Corrupt, where the file has to be mended first; whatever else prevents it is tried again later.
    pub(super) fn scrub(&mut self, timeout: Duration) -> Result<()> {
        self.calls_before_scrub = CALLS_A_SCRUB;
        let connection = self.connected()?;
        connection.busy_timeout(timeout).map_err(classify)?;
        let scrubbed = erase::leave_no_trace(connection);
        connection.busy_timeout(self.options.busy_timeout).map_err(classify)?;
        match scrubbed {
            Ok(()) | Err(Error::Busy(_)) => {}
            Err(error) if error.is_corrupt() => return Err(error),
            // A flush that failed may have left frames in the WAL: they are made durable before any other.
            Err(_) => self.recovered = true,
        }
        Ok(())
    }

    /// Where there was no memory even to roll back, the connection does it when it goes.
    pub(super) fn let_go_if_stuck(&mut self) {
        if self.connection.as_ref().is_some_and(|connection| !connection.is_autocommit()) {
            self.connection = None;
        }
    }

    /// The state of delivery, as it was last written.
    pub(crate) fn delivery(&mut self, user: &str) -> Result<Delivery> {
        self.recovering(|store| delivery::load(store.connected()?, user))
    }

    /// Runs `f`; where that finds the file damaged, moves it aside, rebuilds it and runs `f` again.
    fn recovering<T>(&mut self, mut f: impl FnMut(&mut Store) -> Result<T>) -> Result<T> {
        let mut left = RECOVERIES_A_CALL;
        loop {
            let lost = self.connection.is_none() && !self.suspended;
            let ready = if lost { self.connect() } else { Ok(()) };
            match ready.and_then(|()| f(self)) {
                Err(error) if error.is_corrupt() && left > 0 => {
                    left -= 1;
                    self.recover(error)?;
                }
                result => {
                    self.let_go_if_stuck();
                    return result;
                }
            }
        }
    }

    fn recover(&mut self, cause: Error) -> Result<()> {
        if let Some(connection) = self.connection.take() {
            // What the damaged WAL holds must not be written over the damaged file.
            let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            kept.map_err(classify)?;
        }
        if let Some(rebuilt) = recover::rebuild(&self.path, &self.options, self.file, cause)? {
            self.report.recovered.push(rebuilt.recovered);
            self.note(rebuilt.set_aside);
        }
        Ok(())
    }

    /// A file restored from another phone's backup drops what only that phone knew.
    fn notice_other_device(&mut self) -> Result<()> {
        let Some(id) = self.options.install_id.clone() else { return Ok(()) };
        let connection = self.connected()?;
        let known = meta::get(connection, meta::INSTALL_ID)?;
        if known.as_ref() == Some(&id) {
            return Ok(());
        }
        self.settle_anyone()?;
        let connection = self.connected()?;
        let tx = WriteTx::begin(connection, self.options.busy_timeout)?;
        let mut all_noted = Vec::new();
        if known.is_some() {
            for name in ledger::names(&tx)? {
                let (mut loaded, noted) = Loaded::load_for_write(&tx, &name, self.options.keeping())?;
                loaded.ledger.forget_device();
                loaded.save(&tx)?;
                all_noted.extend(noted);
            }
        }
        meta::set(&tx, meta::INSTALL_ID, &id)?;
        tx.commit()?;
        self.note(all_noted);
        self.report.from_other_device = known.is_some();
        Ok(())
    }
}

fn check_user(user: &str) -> Result<()> {
    if user.len() > USER_LEN_MAX || user.chars().any(char::is_control) {
        return Err(Refusal::BadValue {
            field: "user",
            rule: "at most 128 bytes without control characters",
        }
        .into());
    }
    Ok(())
}

/// The path of a file beside the database: `-wal`, `-shm`, `.damaged-1`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What tells a file from another that took its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<FileId> {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).ok().map(|file| FileId { device: file.dev(), inode: file.ino() })
    }

    #[cfg(unix)]
    fn of_file(file: &std::fs::File) -> Option<FileId> {
        use std::os::unix::fs::MetadataExt;
        file.metadata().ok().map(|file| FileId { device: file.dev(), inode: file.ino() })
    }

    #[cfg(not(unix))]
    fn of(_: &Path) -> Option<FileId> {
        // Where an open file cannot be renamed there is nothing to notice.
        None
    }

    #[cfg(not(unix))]
    fn of_file(_: &std::fs::File) -> Option<FileId> {
        None
    }
}
