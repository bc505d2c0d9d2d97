//! The step book and the server's store as they ship, on disks that fail.

use std::rc::Rc;
use std::time::Duration;

use manbo::delivery::{Health, Moment, Next, Outcome, Reported, Ticket, Trigger};
use manbo::{Error, IngestPolicy, Ledger, Moderation, Now, Options, Rules, StepBook, Store, moderate, wire};

use super::{Book, Change, Done, Doors, Failed, Held, Request, ServerCrash, ServerState, rules};
use crate::event::{Config, Fault, FaultKind};
use crate::vfs::{self, Disk, Medium, Snapshot};

/// The files; no such folder is on a real disk.
const BOOK: &str = "/manbo-sim/steps.db";
const SERVER: &str = "/manbo-sim/server.db";

/// A device: its disk, and what its processes have open.
struct Device {
    disk: Disk,
    /// Of each process of the world that runs here, whose book it has open.
    open: Vec<(usize, Option<(u8, StepBook)>)>,
    backup: Option<Snapshot>,
    /// Raised when the storage comes to another phone.
    phone: u32,
}

/// Step books and a server's store on simulated disks.
pub struct SqliteDoors {
    rules: u8,
    book_rules: Rules,
    devices: Vec<Device>,
    server_disk: Disk,
    servers: Vec<Option<Store>>,
    /// The version of the rules of each process.
    server_rules: Vec<u32>,
    server_backup: Option<Snapshot>,
    incarnation: u32,
    server_ledger: Ledger,
    /// The files of a device and of a server that were opened once.
    fresh: Option<Rc<(Snapshot, Snapshot)>>,
}

impl Default for SqliteDoors {
    fn default() -> SqliteDoors {
        let book_rules = rules(0);
        SqliteDoors {
            rules: 0,
            book_rules,
            devices: Vec::new(),
            server_disk: Disk::new(Medium::Flush, 1),
            servers: Vec::new(),
            server_rules: Vec::new(),
            server_backup: None,
            incarnation: 0,
            server_ledger: Ledger::new(*book_rules.levels()),
            fresh: None,
        }
    }
}

impl std::fmt::Debug for SqliteDoors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteDoors").field("devices", &self.devices.len()).finish_non_exhaustive()
    }
}

/// The user of a book, as a server's credentials name it; nobody before anyone signs in.
fn user_name(user: u8) -> String {
    if user == 0 { String::new() } else { format!("user-{user}") }
}

/// What tells the phones apart to which a device's storage comes.
fn phone_name(phone: u32) -> String {
    format!("phone-{phone}")
}

/// A write lock that is held is waited for by the host, not here: time does not pass in a call.
fn options(rules: Rules) -> Options {
    Options::new().rules(rules).busy_timeout(Duration::ZERO)
}

fn failed(error: Error) -> Failed {
    match error {
        Error::Refused(refusal) => Failed::Refused(refusal.code()),
        error => Failed::Storage(error.code()),
    }
}

/// The fault as the disk knows it: those of a medium that is gone or full stay for the length of the call.
fn injected(fault: Fault, disk: &Disk) -> vfs::Fault {
    let at_op = disk.ops() + u64::from(fault.at);
    let seed = u64::from(fault.image);
    match fault.kind {
        FaultKind::Kill => vfs::Fault::once(at_op, vfs::FaultKind::KillProcess),
        FaultKind::Torn => vfs::Fault::once(at_op, vfs::FaultKind::Torn { seed }),
        FaultKind::Power => vfs::Fault::once(at_op, vfs::FaultKind::Power { seed }),
        FaultKind::IoError => vfs::Fault::once(at_op, vfs::FaultKind::IoError),
        FaultKind::Full => vfs::Fault::from(at_op, vfs::FaultKind::Full),
        FaultKind::FlushFails => vfs::Fault::once(at_op, vfs::FaultKind::SyncFails { seed }),
        FaultKind::ReadError => vfs::Fault::once(at_op, vfs::FaultKind::ReadError),
        FaultKind::Locked => vfs::Fault::from(at_op, vfs::FaultKind::Busy),
        FaultKind::CannotOpen => vfs::Fault::from(at_op, vfs::FaultKind::CantOpen),
        FaultKind::ReadOnly => vfs::Fault::from(at_op, vfs::FaultKind::ReadOnly),
    }
}

impl Device {
    fn process(&self, handle: usize) -> usize {
        self.open.iter().position(|(known, _)| *known == handle).unwrap_or(0)
    }

    /// What every process had open is gone.
    fn close_all(&mut self) {
        for (_, open) in &mut self.open {
            *open = None;
        }
    }
}

impl SqliteDoors {
    /// Runs a call on a book, which is opened first where it is not, under a fault.
    fn call<T>(
        &mut self,
        book: Book,
        fault: Option<Fault>,
        call: impl FnOnce(&mut StepBook) -> manbo::Result<T>,
    ) -> Done<T> {
        let rules = self.book_rules;
        let device = &mut self.devices[book.device];
        let process = device.process(book.handle);
        let _entered = device.disk.enter_as(process);
        if let Some(fault) = fault {
            device.disk.inject(injected(fault, &device.disk));
        }
        let slot = &mut device.open[process].1;
        if slot.as_ref().is_some_and(|(user, _)| *user != book.user) {
            *slot = None;
        }
        let opened = if let Some((_, open)) = slot.take() {
            Ok(open)
        } else {
            let id = phone_name(device.phone);
            StepBook::open(BOOK, &options(rules).user(user_name(book.user)).install_id(id))
        };
        let done = opened.and_then(|mut open| {
            let done = call(&mut open);
            *slot = Some((book.user, open));
            done
        });
        device.disk.clear_faults();
        if fault.is_some_and(|fault| fault.kind == FaultKind::IoError) && device.open.len() > 1 {
            // The fault may have struck the giving back of a lock, which no system refuses: so that the other
            // process does not wait for it for ever, this one ends.
            device.disk.kill_process(process);
        }
        if device.disk.is_down() {
            device.close_all();
            device.disk.restart();
            return Err(Failed::Crashed);
        }
        if device.disk.is_dead(process) {
            device.open[process].1 = None;
            device.disk.start_process(process);
            return Err(Failed::Crashed);
        }
        done.map_err(failed)
    }

    /// Runs a call on the server's store.
    fn serve_with<T>(
        &mut self,
        server: usize,
        crash: Option<ServerCrash>,
        call: impl FnOnce(&mut Store) -> manbo::Result<T>,
    ) -> Done<T> {
        let server = server % self.servers.len();
        let _entered = self.server_disk.enter_as(server);
        let fault = crash.map(|crash| match crash {
            ServerCrash::Killed(at) => Fault { kind: FaultKind::Kill, at, image: 0 },
            ServerCrash::Power(at) => Fault { kind: FaultKind::Power, at, image: at.into() },
        });
        if let Some(fault) = fault {
            self.server_disk.inject(injected(fault, &self.server_disk));
        }
        let opened = match self.servers[server].take() {
            Some(store) => Ok(store),
            None => open_server(self.rules, self.server_rules[server]),
        };
        let done = opened.and_then(|mut store| {
            let done = call(&mut store);
            self.servers[server] = Some(store);
            done
        });
        self.server_disk.clear_faults();
        if self.server_disk.is_down() {
            self.servers.iter_mut().for_each(|store| *store = None);
            self.server_disk.restart();
            return Err(Failed::Crashed);
        }
        if self.server_disk.is_dead(server) {
            self.servers[server] = None;
            self.server_disk.start_process(server);
            return Err(Failed::Crashed);
        }
        done.map_err(failed)
    }

    /// The files that every world begins with, made once.
    fn fresh(&mut self) -> Rc<(Snapshot, Snapshot)> {
        if let Some(fresh) = &self.fresh {
            return Rc::clone(fresh);
        }
        let disk = Disk::new(Medium::Flush, 1);
        let device = disk.with(|| {
            let book = StepBook::open(BOOK, &options(self.book_rules).install_id(phone_name(0)));
            drop(book);
            disk.snapshot()
        });
        let disk = Disk::new(Medium::Flush, 1);
        let server = disk.with(|| {
            let store = open_server(0, 1);
            drop(store);
            disk.snapshot()
        });
        Rc::clone(self.fresh.insert(Rc::new((device, server))))
    }
}

fn open_server(number: u8, version: u32) -> manbo::Result<Store> {
    let levels = rules(number);
    let rules = Rules::builder()
        .start_level(levels.levels().start())
        .raise_at(levels.levels().raise_at())
        .drop_below(levels.levels().drop_below())
        .gap(levels.levels().gap())
        .goal(levels.goal())
        .week_start(levels.week_start())
        .version(version)
        .build()?;
    Store::open(SERVER, &options(rules).server("one"))
}

/// Brings a file back to the former schema. The tables are gone already where nobody opened it since.
const LEAVE_AS_FORMER: &str = "BEGIN IMMEDIATE; DROP TABLE IF EXISTS change; DROP TABLE IF EXISTS era; \
     PRAGMA user_version = 1; COMMIT";

/// The file of a device as the version before the newest schema wrote it, of the same facts. A device keeps no
/// history, so that nothing is lost with its tables.
fn leave_as_former(disk: &Disk, closed: bool) -> rusqlite::Result<()> {
    let _entered = disk.enter();
    let connection = rusqlite::Connection::open(BOOK)?;
    connection.execute_batch(LEAVE_AS_FORMER)?;
    if !closed {
        disk.kill_process(0);
    }
    drop(connection);
    disk.start_process(0);
    Ok(())
}

fn change_book(book: &mut StepBook, change: &Change<'_>, now: Now) -> manbo::Result<()> {
    match change {
        Change::Read(reading) => book.record(reading, now).map(|_| ()),
        Change::Import(readings) => book.record_all(readings, now).map(|_| ()),
        Change::Delete(deletion) => book.delete(deletion, now).map(|_| ()),
        Change::Correct(correction) => book.correct(correction, now).map(|_| ()),
        Change::Unpin(day, source) => book.unpin(*day, *source, now).map(|_| ()),
        Change::Count(reading) => book.count(reading, now).map(|_| ()),
        Change::Attend(day) => book.attend(*day, now),
        Change::Merge(facts) => book.merge(facts, now).map(|_| ()),
        Change::Retry(fact) => book.retry(fact, now),
        Change::Discard(fact) => book.discard(fact, now),
        Change::Foreground => book.trigger_delivery(Trigger::Foreground, now),
        Change::Connectivity => book.trigger_delivery(Trigger::Connectivity, now),
        Change::Credentials => book.trigger_delivery(Trigger::Credentials, now),
    }
}

impl Doors for SqliteDoors {
    fn begin(&mut self, config: &Config) {
        let fresh = self.fresh();
        let (device_files, server_files) = &*fresh;
        self.rules = config.rules;
        self.book_rules = rules(config.rules);
        self.server_ledger = Ledger::new(*self.book_rules.levels());
        self.servers = (0..config.servers.max(1)).map(|_| None).collect();
        self.server_rules = vec![config.server_rules.into(); self.servers.len()];
        self.server_backup = None;
        self.incarnation = 0;
        self.server_disk = Disk::new(Medium::Flush, 2);
        self.server_disk.restore(server_files);
        let on = |device: usize| {
            let here = move |(_, at): &(usize, &u8)| usize::from(**at) % config.devices.len() == device;
            config.handles.iter().enumerate().filter(here).map(|(handle, _)| (handle, None)).collect()
        };
        self.devices = (0..config.devices.len())
            .map(|device| {
                let disk = Disk::new(Medium::Flush, 3);
                disk.restore(device_files);
                Device { disk, open: on(device), backup: None, phone: 0 }
            })
            .collect();
        vfs::reseed();
    }

    fn change(&mut self, book: Book, change: &Change<'_>, now: Now, fault: Option<Fault>) -> Done<()> {
        self.call(book, fault, |open| change_book(open, change, now))
    }

    fn next(&mut self, book: Book, moment: Moment, fault: Option<Fault>) -> Done<Next> {
        self.call(book, fault, |open| open.next_delivery(moment))
    }

    fn report(
        &mut self,
        book: Book,
        of: Option<Ticket>,
        outcome: &Outcome,
        moment: Moment,
        fault: Option<Fault>,
    ) -> Done<Reported> {
        self.call(book, fault, |open| open.report_delivery(of, outcome, moment))
    }

    fn follow(&mut self, book: Book, fault: Option<Fault>) -> Done<Option<u32>> {
        self.call(book, fault, StepBook::follow_erasure)
    }

    fn look(&mut self, book: Book) -> Done<&Ledger> {
        self.call(book, None, |open| open.ledger().map(|_| ()))?;
        let device = &mut self.devices[book.device];
        let process = device.process(book.handle);
        let _entered = device.disk.enter_as(process);
        match &mut device.open[process].1 {
            Some((_, open)) => open.ledger().map_err(failed),
            None => Err(Failed::Crashed),
        }
    }

    fn health(&mut self, book: Book, now: Now) -> Done<Health> {
        self.call(book, None, |open| open.delivery_health(now))
    }

    fn sign_in(&mut self, book: Book, user: u8, now: Now) -> Done<()> {
        self.call(book, None, |open| {
            if user == 0 {
                open.sign_out();
                return Ok(());
            }
            open.sign_in(user_name(user), now).map(|_| ())
        })?;
        let device = &mut self.devices[book.device];
        let process = device.process(book.handle);
        if let Some((whose, _)) = &mut device.open[process].1 {
            *whose = user;
        }
        Ok(())
    }

    fn kill(&mut self, handle: usize) {
        for device in &mut self.devices {
            if let Some(process) = device.open.iter().position(|(known, _)| *known == handle) {
                device.disk.kill_process(process);
                device.open[process].1 = None;
                device.disk.start_process(process);
            }
        }
    }

    fn power(&mut self, device: usize, image: u16) {
        let device = &mut self.devices[device];
        device.disk.power_off(image.into());
        device.close_all();
        device.disk.restart();
    }

    fn update(&mut self, device: usize, closed: bool) {
        let device = &mut self.devices[device];
        for (process, (_, open)) in device.open.iter_mut().enumerate() {
            device.disk.kill_process(process);
            *open = None;
            device.disk.start_process(process);
        }
        let left = leave_as_former(&device.disk, closed);
        assert!(left.is_ok(), "a file without a fault takes the former schema: {left:?}");
    }

    fn suspend(&mut self, book: Book) -> Held {
        // An error of the storage has let go of the file all the same: the locks are counted below.
        let _ = self.call(book, None, StepBook::suspend);
        let device = &self.devices[book.device];
        let process = device.process(book.handle);
        let others = device.open.iter().enumerate().any(|(at, (_, open))| at != process && open.is_some());
        let facts = |name: &String| name == BOOK;
        Held {
            locks: if others { 0 } else { device.disk.locks_held() },
            deleted: device.disk.deleted().into_iter().filter(facts).count(),
        }
    }

    fn resume(&mut self, book: Book) -> Done<()> {
        self.call(book, None, StepBook::resume)
    }

    fn backup(&mut self, device: usize) {
        let device = &mut self.devices[device];
        device.backup = Some(device.disk.snapshot());
    }

    fn restore(&mut self, device: usize, other_phone: bool) {
        let device = &mut self.devices[device];
        if let Some(backup) = &device.backup {
            for (_, open) in &mut device.open {
                *open = None;
            }
            device.disk.restore(backup);
            device.phone += u32::from(other_phone);
        }
    }

    fn knows_phones(&self) -> bool {
        true
    }

    fn serve(&mut self, server: usize, request: Request<'_>, crash: Option<ServerCrash>) -> Done<Outcome> {
        let Request { user, batch, now, recovery, rules_version } = request;
        let process = server % self.servers.len();
        if self.server_rules[process] != rules_version {
            self.server_rules[process] = rules_version;
            self.servers[process] = None;
        }
        let policy = IngestPolicy { recovery, ..IngestPolicy::at(now.unix_ms) };
        let reply = self.serve_with(server, crash, |store| {
            store.ingest(&user_name(user), "device", batch, policy, now)
        })?;
        Ok(wire::read_reply(reply.status(), None, reply.body().as_bytes(), now.unix_ms))
    }

    fn moderate(&mut self, user: u8, change: &Change<'_>, now: Now) -> Done<()> {
        let moderation = match change {
            Change::Correct(correction) => Moderation::Correct(correction),
            Change::Unpin(day, source) => Moderation::Unpin(*day, *source),
            _ => return Ok(()),
        };
        self.serve_with(0, None, |store| {
            store.transact(&user_name(user), |ledger| {
                moderate(ledger, moderation, now).map(|_| ()).map_err(Error::from)
            })
        })
    }

    fn erase(&mut self, user: u8, now: Now) -> Done<()> {
        self.serve_with(0, None, |store| store.erase(&user_name(user), now).map(|_| ()))
    }

    fn server(&mut self, user: u8) -> Done<ServerState<'_>> {
        self.server_ledger = self.serve_with(0, None, |store| store.read(&user_name(user)))?;
        let revision = self.server_ledger.revision();
        Ok(ServerState { ledger: &self.server_ledger, revision, generation: None })
    }

    fn server_backup(&mut self) {
        self.server_backup = Some(self.server_disk.snapshot());
    }

    fn server_restore(&mut self) {
        let Some(backup) = &self.server_backup else { return };
        self.servers.iter_mut().for_each(|store| *store = None);
        self.server_disk.restore(backup);
        self.incarnation += 1;
        let nonce = self.incarnation.to_string();
        // Where it fails the world sees devices that were not told, and says so.
        let _ = self.serve_with(0, None, |store| store.begin_incarnation(&nonce));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manbo::{Reading, Source};

    /// What the version before the newest schema made of an empty file.
    const FORMER: &str = include_str!("../../../../src/store/sql/0001_ledger.sql");

    fn objects(connection: &rusqlite::Connection) -> Vec<(String, String)> {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    }

    fn version(connection: &rusqlite::Connection) -> u32 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_former_file_is_what_the_former_schema_makes_and_keeps_its_rows_when_it_is_upgraded() {
        let expected = rusqlite::Connection::open_in_memory().unwrap();
        expected.execute_batch(FORMER).unwrap();
        let now = Now::on("2022-10-04".parse().unwrap());
        let reading = Reading::new(now.today, Source::new("watch").unwrap(), 8_500);
        for closed in [true, false] {
            let disk = Disk::new(Medium::Flush, 1);
            let open = || StepBook::open(BOOK, &options(rules(0)).install_id("a")).unwrap();
            let before = disk.with(|| {
                let mut book = open();
                book.record(&reading, now).unwrap();
                book.digest().unwrap()
            });
            leave_as_former(&disk, closed).unwrap();
            disk.with(|| {
                let connection = rusqlite::Connection::open(BOOK).unwrap();
                assert_eq!((objects(&connection), version(&connection)), (objects(&expected), 1));
                drop(connection);
                let mut book = open();
                assert_eq!((book.digest().unwrap(), book.pending_count().unwrap()), (before, 1));
                drop(book);
                let connection = rusqlite::Connection::open(BOOK).unwrap();
                assert_eq!(version(&connection), 2);
            });
        }
    }
}
