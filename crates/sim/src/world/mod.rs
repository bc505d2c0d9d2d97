//! A world: devices, servers, a network and clocks, driven by a list of events and checked after each.
//!
//! [`run`] is a pure function of the schedule. Nothing in it draws a random number, reads a clock or sleeps:
//! what chance decides was decided when the schedule was made.

mod compare;
mod convert;
mod device;
mod expect;
mod heal;
mod network;
mod server;
mod trace;
mod truth;

use manbo::delivery::{Moment, Ticket};
use manbo::{Day, Now, Rules, UtcOffset};

pub use compare::{BOUNDARIES, RESIDUES};
pub use convert::{CHIP, FIRST_DAY};
pub use expect::Protocol;

use crate::coverage::{Coverage, Hit};
use crate::doors::{Book, Doors, rules};
use crate::event::{Config, Event, PASSES_MS, SKEWS_MS, Schedule, StoreKind, ZONES};
use compare::Seen;
use network::Message;
use server::Service;
use trace::Trace;
use truth::Truths;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Nothing acknowledged is lost.
    I1,
    /// Nothing is invented.
    I2,
    /// The server holds what was sent, and what a device was told is stored is stored.
    I3,
    /// Whatever a server committed from a device was durable there when it was sent.
    I4,
    /// After everything healed, all copies are equal and nothing is pending.
    I5,
    /// Levels and statistics equal their recomputation.
    I6,
    /// Nothing is sent more often than the contract allows.
    I7,
    /// Each medal is given once.
    I8,
    /// No value of one person is seen by another.
    I9,
    /// A higher count alone lowers nothing.
    I10,
    /// What was erased is nowhere.
    I11,
    /// What may be sent is sent, and nobody is told otherwise.
    I12,
    /// Buffers are bounded, a suspended book holds no lock, no file is deleted.
    I13,
    /// The same schedule gives the same run.
    I14,
}

impl Invariant {
    /// Which column of the closing line a failure belongs to.
    pub fn column(self) -> Column {
        match self {
            Invariant::I1 | Invariant::I3 | Invariant::I4 => Column::Lost,
            Invariant::I5 | Invariant::I11 => Column::Diverged,
            Invariant::I7 | Invariant::I12 | Invariant::I13 => Column::Stuck,
            Invariant::I2
            | Invariant::I6
            | Invariant::I8
            | Invariant::I9
            | Invariant::I10
            | Invariant::I14 => Column::Wrong,
        }
    }
}

/// The columns of the closing line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Steps are gone.
    Lost,
    /// Copies differ.
    Diverged,
    /// Delivery stands still, or runs wild.
    Stuck,
    /// A number is wrong.
    Wrong,
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which one.
    pub invariant: Invariant,
    /// What was found.
    pub why: String,
}

/// An invariant that did not hold in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub invariant: Invariant,
    /// After which event; the number of events where it was during the healing.
    pub event: usize,
    /// What was found.
    pub story: String,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// A hash over everything that was observed.
    pub trace_hash: u64,
    /// The first invariant that did not hold.
    pub failure: Option<Failure>,
    /// How often what happened.
    pub counters: Counters,
}

/// How often what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Events, those of the healing included.
    pub events: u64,
    /// Processes that ended, devices and servers.
    pub crashes: u64,
    /// Batches that were handed out.
    pub batches: u64,
    /// Receipts that were applied.
    pub receipts: u64,
}

impl Counters {
    /// Adds others.
    pub fn add(&mut self, more: Counters) {
        self.events += more.events;
        self.crashes += more.crashes;
        self.batches += more.batches;
        self.receipts += more.receipts;
    }
}

/// A device's clock.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    skew_ms: i64,
    zone_minutes: i16,
}

/// A device.
#[derive(Debug)]
struct Device {
    user: u8,
    clock: Clock,
    connected: bool,
    token: bool,
    /// What may be true of the book of each person.
    books: Vec<Truths>,
    /// The phone that the storage is in.
    phone: u32,
    /// Who signed in first: to them belongs what is recorded while nobody is.
    first: Option<u8>,
    /// Whose book read the chip last: its baselines are the phone's, all others are past.
    counted_by: Option<u8>,
    backup: Option<Backup>,
    /// Who was ever signed in here.
    visitors: Vec<bool>,
    /// What each person saw last.
    seen: Vec<Option<Seen>>,
}

/// What was true of a device when its storage was backed up.
#[derive(Debug, Clone)]
struct Backup {
    phone: u32,
    first: Option<u8>,
    counted_by: Option<u8>,
    books: Vec<Truths>,
}

/// A process on a device.
#[derive(Debug)]
struct Host {
    device: usize,
    suspended: bool,
    /// The requests that it waits for: what tells them apart, their tickets, and whose they are.
    flights: Vec<(u64, Ticket, u8)>,
}

type Check = Result<(), Broken>;

/// A world under way.
struct World<'w, D> {
    doors: &'w mut D,
    config: &'w Config,
    rules: Rules,
    now_ms: i64,
    ticks: u64,
    hosts: Vec<Host>,
    devices: Vec<Device>,
    service: Service,
    /// A bit for each residue that the steps of a person may have.
    residues: Vec<u128>,
    messages: Vec<Message>,
    counters: Counters,
    coverage: Option<&'w mut Coverage>,
    /// The state that the event under way met, where it is counted and only one is possible.
    met: Option<Protocol>,
    trace: Trace,
    story: Option<Vec<String>>,
}

/// What is wanted of a run beside its outcome.
#[derive(Debug, Default)]
pub struct Extras<'a> {
    /// Counts which faults met which state.
    pub coverage: Option<&'a mut Coverage>,
    /// Gets a line for every event.
    pub story: Option<&'a mut Vec<String>>,
}

/// How many events pass between two looks at a book on SQLite: a look there reads the file.
const EVENTS_A_LOOK: u64 = 8;

/// Runs a schedule.
pub fn run<D: Doors>(schedule: &Schedule, doors: &mut D) -> Outcome {
    run_with(schedule, doors, Extras::default())
}

/// Runs a schedule, and tells more about it.
pub fn run_with<D: Doors>(schedule: &Schedule, doors: &mut D, extras: Extras<'_>) -> Outcome {
    let config = &schedule.config;
    doors.begin(config);
    let mut world = World::new(config, doors, extras.coverage, extras.story.is_some());
    let mut failure = None;
    for (index, event) in schedule.events.iter().enumerate() {
        world.note(|| format!("{index:>3}. {event:?}"));
        if let Err(broken) = world.happen(event) {
            failure = Some((index, broken));
            break;
        }
    }
    if failure.is_none() {
        world.note(|| "heal".to_owned());
        failure = world.heal().err().map(|broken| (schedule.events.len(), broken));
    }
    let failure = failure.map(|(event, Broken { invariant, why })| {
        world.note(|| format!("     {invariant:?} does not hold: {why}"));
        Failure { invariant, event, story: why }
    });
    if let (Some(told), Some(story)) = (world.story, extras.story) {
        *story = told;
    }
    Outcome { trace_hash: world.trace.finish(), failure, counters: world.counters }
}

impl<'w, D: Doors> World<'w, D> {
    fn new(
        config: &'w Config,
        doors: &'w mut D,
        coverage: Option<&'w mut Coverage>,
        tells: bool,
    ) -> World<'w, D> {
        let people = usize::from(config.users) + 1;
        let device = |user: &u8| Device {
            user: *user,
            clock: Clock::default(),
            connected: true,
            token: true,
            books: vec![Truths::default(); people],
            phone: 0,
            first: None,
            counted_by: None,
            backup: None,
            visitors: (0..people).map(|person| person == usize::from(*user)).collect(),
            seen: vec![None; people],
        };
        let host = |device: &u8| Host {
            device: usize::from(*device) % config.devices.len(),
            suspended: false,
            flights: Vec::new(),
        };
        World {
            doors,
            config,
            rules: rules(config.rules),
            now_ms: Now::on(convert::day(3)).unix_ms,
            ticks: 0,
            hosts: config.handles.iter().map(host).collect(),
            devices: config.devices.iter().map(device).collect(),
            service: Service::new(config),
            residues: (0..people).map(|person| 1 << person).collect(),
            messages: Vec::new(),
            counters: Counters::default(),
            coverage,
            met: None,
            trace: Trace::default(),
            story: tells.then(Vec::new),
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    /// A process of the world, from the number in an event.
    fn host(&self, at: u8) -> usize {
        usize::from(at) % self.hosts.len()
    }

    /// The book that a process holds.
    fn book(&self, handle: usize) -> Book {
        let device = self.hosts[handle].device;
        Book { handle, device, user: self.devices[device].user }
    }

    /// The present as a device sees it.
    fn now(&self, device: usize) -> Now {
        let Clock { skew_ms, zone_minutes } = self.devices[device].clock;
        at(self.now_ms.saturating_add(skew_ms), zone_minutes)
    }

    /// The present with a seed that is different each time.
    fn moment(&mut self, device: usize) -> Moment {
        self.ticks += 1;
        Moment { now: self.now(device), seed: self.ticks }
    }

    fn truths(&mut self, book: Book) -> &mut Truths {
        &mut self.devices[book.device].books[usize::from(book.user)]
    }

    fn happen(&mut self, event: &Event) -> Check {
        self.counters.events += 1;
        self.met = self.state(event);
        self.trace.add(event.name() as u64);
        match *event {
            Event::App { at, act, fault } => {
                let handle = self.host(at);
                if !self.hosts[handle].suspended {
                    self.act(handle, act, fault)?;
                    self.look(handle, fault.is_some())?;
                }
            }
            Event::Sync { at, server, fate, fault } => {
                let handle = self.host(at);
                if !self.hosts[handle].suspended {
                    self.sync(handle, server, fate, fault)?;
                    self.look(handle, fault.is_some())?;
                }
            }
            Event::Deliver { message, server, fault } => self.deliver(message, server, fault)?,
            Event::Lose { message } => {
                if self.take_message(message).is_some() {
                    self.meet(Hit::MessageLost);
                }
            }
            Event::Double { message } => self.double(message),
            Event::GiveUp { at } => self.give_up(self.host(at))?,
            Event::Pass { step } => {
                self.meet(Hit::TimePasses);
                self.now_ms += PASSES_MS[usize::from(step) % PASSES_MS.len()];
            }
            Event::Jump { at, skew } => {
                let device = self.hosts[self.host(at)].device;
                self.meet(Hit::ClockOrZone);
                self.devices[device].clock.skew_ms = SKEWS_MS[usize::from(skew) % SKEWS_MS.len()];
            }
            Event::Travel { at, zone } => {
                let device = self.hosts[self.host(at)].device;
                self.meet(Hit::ClockOrZone);
                self.devices[device].clock.zone_minutes = ZONES[usize::from(zone) % ZONES.len()];
            }
            Event::Network { at, up } => {
                let device = self.hosts[self.host(at)].device;
                self.meet(Hit::NetworkOrToken);
                self.devices[device].connected = up;
            }
            Event::Token { at, valid } => {
                let device = self.hosts[self.host(at)].device;
                self.meet(Hit::NetworkOrToken);
                self.devices[device].token = valid;
            }
            Event::SignIn { at, user } => self.sign_in(self.host(at), user)?,
            _ => return self.happen_to_storage(event),
        }
        Ok(())
    }

    /// What happens to processes, stores and the server.
    fn happen_to_storage(&mut self, event: &Event) -> Check {
        match *event {
            Event::Kill { at } => self.kill(self.host(at))?,
            Event::Power { at, image } => self.power(self.host(at), image)?,
            Event::Suspend { at } => self.suspend(self.host(at))?,
            Event::Resume { at } => self.resume(self.host(at))?,
            Event::Backup { at } => self.backup(self.host(at)),
            Event::Restore { at, other_phone } => self.restore(self.host(at), other_phone)?,
            Event::Update { at, closed } => self.update(self.host(at), closed),
            Event::Server { server, up } => {
                self.meet(Hit::ServerTrouble);
                self.service.set_up(server, up);
            }
            Event::ServerBackup => self.server_backup(),
            Event::ServerRestore { recovery } => self.server_restore(recovery)?,
            Event::ServerLimit { facts } => {
                self.meet(Hit::ServerTrouble);
                self.service.limit = usize::from(facts);
            }
            Event::ServerRules { server, version } => {
                self.meet(Hit::ServerRules);
                self.service.set_rules(server, version);
            }
            Event::Correct { user, day, source, to } => self.correct(user, day, source, to)?,
            Event::Unpin { user, day, source } => self.unpin(user, day, source)?,
            Event::Erase { user } => self.erase(user)?,
            _ => {}
        }
        Ok(())
    }

    /// The state that an event meets: of its process, of the one that its message is of, or of the first; only
    /// where it is counted, and where there is no other that may be true.
    fn state(&mut self, event: &Event) -> Option<Protocol> {
        self.coverage.as_ref()?;
        let mut event = *event;
        let handle = match event {
            Event::Deliver { message, .. } | Event::Lose { message } | Event::Double { message } => {
                self.host_of(message).unwrap_or(0)
            }
            _ => event.process().map_or(0, |at| self.host(*at)),
        };
        let book = self.book(handle);
        let now_ms = self.now(book.device).unix_ms;
        match &self.truths(book).states[..] {
            [truth] => Some(truth.expect.protocol(&truth.replica, now_ms)),
            _ => None,
        }
    }

    /// Counts what happened with the state that it met.
    fn meet(&mut self, hit: Hit) {
        if let (Some(coverage), Some(state)) = (&mut self.coverage, self.met) {
            coverage.add(hit, state);
        }
    }

    /// Compares a book with what may be true of it: after every event in memory, at every eighth and after
    /// every fault on SQLite.
    fn look(&mut self, handle: usize, after_fault: bool) -> Check {
        let in_memory = self.config.store == StoreKind::Model;
        if in_memory || after_fault || self.counters.events.is_multiple_of(EVENTS_A_LOOK) {
            self.compare(self.book(handle))?;
        }
        Ok(())
    }
}

/// The present of a clock in a zone.
fn at(unix_ms: i64, zone_minutes: i16) -> Now {
    Now::at(unix_ms, UtcOffset::from_minutes(zone_minutes.into()).unwrap_or(UtcOffset::UTC))
}

/// The last day that has begun anywhere on earth.
fn latest_day(unix_ms: i64) -> Day {
    at(unix_ms, 840).today
}
