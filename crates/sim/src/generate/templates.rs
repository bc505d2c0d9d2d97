//! Beginnings that have caught faults before, with the numbers drawn anew each time.

use super::Swarm;
use crate::event::{Act, Event, Fate, Fault, FaultKind, StoreKind};

/// The beginning of a schedule.
pub(super) fn events(swarm: &mut Swarm) -> Vec<Event> {
    let at = swarm.at();
    let read = |swarm: &mut Swarm, at| {
        let act = swarm.read();
        Event::App { at, act, fault: None }
    };
    let sync = |at, fate| Event::Sync { at, server: 0, fate, fault: None };
    match swarm.rng.u8(0..64) / 4 {
        // The answer is lost, the app is killed, and the value grows meanwhile.
        0 => vec![
            read(swarm, at),
            sync(at, Fate::ReplyLost),
            Event::Kill { at },
            read(swarm, at),
            Event::Pass { step: 4 },
            sync(at, Fate::Fine),
        ],
        // Two processes on one file.
        1 => two_handles(swarm),
        number @ 2..6 => away(swarm, number, at),
        // A kill between the commit and what follows, then a power loss.
        6 => {
            let image = swarm.rng.u16(..);
            let fault = Some(Fault { kind: FaultKind::Kill, at: swarm.rng.u8(0..9), image: 0 });
            let act = swarm.read();
            vec![
                read(swarm, at),
                Event::App { at, act, fault },
                sync(at, Fate::ReplyLost),
                Event::Power { at, image },
                sync(at, Fate::Fine),
            ]
        }
        7 => overtaking(swarm, at),
        // Support corrects a day that a device knows, and takes it back.
        8 => operator(swarm, at),
        9 => two_people(swarm, at),
        // Years of readings, more than a page of changes, and a second device that fetches them.
        10 if swarm.config.store == StoreKind::Sqlite && swarm.rng.bool() => years(swarm),
        number @ 11..15 => broken(swarm, number, at),
        // The server takes only small batches, and at last not even one fact.
        _ => vec![
            read(swarm, at),
            read(swarm, at),
            read(swarm, at),
            Event::ServerLimit { facts: swarm.rng.u8(1..3) },
            sync(at, Fate::Fine),
            sync(at, Fate::Fine),
            sync(at, Fate::Fine),
            read(swarm, at),
            sync(at, Fate::Portal(422)),
        ],
    }
}

/// What happens to the data elsewhere while a device knows it.
fn away(swarm: &mut Swarm, number: u8, at: u8) -> Vec<Event> {
    let read = |swarm: &mut Swarm, at| {
        let act = swarm.read();
        Event::App { at, act, fault: None }
    };
    let sync = |at, fate| Event::Sync { at, server: 0, fate, fault: None };
    let app = |at, act| Event::App { at, act, fault: None };
    match number {
        // Everything is erased while a device is away.
        2 => vec![
            read(swarm, at),
            sync(at, Fate::Fine),
            Event::Network { at, up: false },
            read(swarm, at),
            Event::Erase { user: 0 },
            Event::Network { at, up: true },
            sync(at, Fate::Fine),
            app(at, Act::Follow),
            read(swarm, at),
            sync(at, Fate::Fine),
        ],
        // The server is restored from a backup.
        3 => vec![
            read(swarm, at),
            sync(at, Fate::Fine),
            Event::ServerBackup,
            read(swarm, at),
            sync(at, Fate::Fine),
            Event::ServerRestore { recovery: swarm.rng.bool() },
            app(at, Act::Foreground),
            sync(at, Fate::Fine),
        ],
        // A device is restored from a backup.
        4 => vec![
            read(swarm, at),
            sync(at, Fate::Fine),
            Event::Backup { at },
            read(swarm, at),
            sync(at, Fate::Late),
            Event::Restore { at, other_phone: swarm.rng.bool() },
            Event::Deliver { message: 0, server: 0, fault: None },
        ],
        // A second person signs in.
        _ => vec![
            read(swarm, at),
            app(at, Act::Flush),
            Event::SignIn { at, user: 2 },
            read(swarm, at),
            Event::Deliver { message: 0, server: 0, fault: None },
            Event::Deliver { message: 0, server: 0, fault: None },
            sync(at, Fate::Fine),
        ],
    }
}

/// Servers that are broken or others, requests that are damaged, and an app that is updated.
fn broken(swarm: &mut Swarm, number: u8, at: u8) -> Vec<Event> {
    let act = swarm.read();
    let read = Event::App { at, act, fault: None };
    let sync = |fate| Event::Sync { at, server: 0, fate, fault: None };
    match number {
        11 => two_servers(swarm, at),
        // A server that never gives what it announces, and does at last.
        12 => vec![
            sync(Fate::Withheld),
            sync(Fate::Withheld),
            sync(Fate::Withheld),
            Event::Pass { step: 2 },
            sync(Fate::Withheld),
            read,
            Event::Pass { step: 3 },
            sync(Fate::Withheld),
            sync(Fate::Withheld),
            sync(Fate::Withheld),
            Event::Pass { step: 3 },
            sync(Fate::Fine),
        ],
        // Requests that arrive damaged, down to a single fact.
        13 => {
            let more = swarm.read();
            let mut events = vec![read, Event::App { at, act: more, fault: None }];
            for _ in 0..4 {
                events.push(sync(Fate::GarbledRequest(swarm.rng.u16(..))));
                events.push(Event::Pass { step: 2 });
            }
            events.push(sync(Fate::Fine));
            events
        }
        // The app is updated while a batch is on its way, and the upgrade meets a fault, twice.
        _ => {
            let mut faulty = || {
                let kind = FaultKind::ALL[swarm.rng.usize(0..FaultKind::ALL.len())];
                let fault = Fault { kind, at: swarm.rng.u8(0..80), image: swarm.rng.u16(..) };
                let act = swarm.read();
                Event::App { at, act, fault: Some(fault) }
            };
            let (first, second) = (faulty(), faulty());
            vec![
                read,
                Event::App { at, act: Act::Flush, fault: None },
                Event::Update { at, closed: swarm.rng.bool() },
                first,
                second,
                Event::Deliver { message: 0, server: 0, fault: None },
                Event::Deliver { message: 0, server: 0, fault: None },
                sync(Fate::Fine),
            ]
        }
    }
}

/// What is recorded signed out, and two people who sign in one after the other.
fn two_people(swarm: &mut Swarm, at: u8) -> Vec<Event> {
    swarm.config.users = swarm.config.users.max(2);
    let read = |swarm: &mut Swarm| {
        let act = swarm.read();
        Event::App { at, act, fault: None }
    };
    vec![
        Event::SignIn { at, user: 0 },
        read(swarm),
        Event::SignIn { at, user: 1 },
        Event::SignIn { at, user: 0 },
        read(swarm),
        Event::SignIn { at, user: 2 },
        Event::Sync { at, server: 0, fate: Fate::Fine, fault: None },
    ]
}

/// Two servers behind one address.
fn two_servers(swarm: &mut Swarm, at: u8) -> Vec<Event> {
    let read = |swarm: &mut Swarm| {
        let act = swarm.read();
        Event::App { at, act, fault: None }
    };
    let sync = |fate| Event::Sync { at, server: 0, fate, fault: None };
    let mut events = vec![sync(Fate::Fine)];
    events.extend((0..4).map(|_| read(swarm)));
    if swarm.rng.bool() {
        // One of them takes only a fact at a time, and is left before it has everything.
        events.extend([Event::ServerLimit { facts: 1 }, sync(Fate::Stranger)]);
        events.extend([sync(Fate::Fine); 4]);
        events.extend([sync(Fate::Stranger), sync(Fate::Fine), Event::Pass { step: 2 }, sync(Fate::Fine)]);
    } else {
        // Steps come meanwhile.
        events.extend([sync(Fate::Fine), read(swarm)]);
        events.extend([sync(Fate::Stranger), sync(Fate::Fine), sync(Fate::Stranger), sync(Fate::Fine)]);
        events.extend([Event::Pass { step: 2 }, sync(Fate::Stranger), read(swarm)]);
        events.extend([Event::Pass { step: 2 }, sync(Fate::Fine)]);
    }
    events
}

/// Requests overtake each other.
fn overtaking(swarm: &mut Swarm, at: u8) -> Vec<Event> {
    let read = |swarm: &mut Swarm, at| {
        let act = swarm.read();
        Event::App { at, act, fault: None }
    };
    let app = |at, act| Event::App { at, act, fault: None };
    vec![
        read(swarm, at),
        app(at, Act::Flush),
        Event::Pass { step: 4 },
        read(swarm, at),
        app(at, Act::Flush),
        Event::Deliver { message: 1, server: 0, fault: None },
        Event::Deliver { message: 1, server: 0, fault: None },
        Event::Deliver { message: 0, server: 0, fault: None },
        Event::Deliver { message: 0, server: 0, fault: None },
    ]
}

fn years(swarm: &mut Swarm) -> Vec<Event> {
    swarm.config.devices = vec![1, 1];
    swarm.config.handles = vec![0, 1];
    let sync = |at| Event::Sync { at, server: 0, fate: Fate::Fine, fault: None };
    let hundreds = swarm.rng.u8(4..6);
    let mut events = vec![Event::App { at: 0, act: Act::Import { hundreds }, fault: None }];
    events.extend([sync(0); 4]);
    events.extend([sync(1); 2]);
    events
}

fn two_handles(swarm: &mut Swarm) -> Vec<Event> {
    swarm.config.handles = vec![0, 0];
    let act = swarm.read();
    let grown = swarm.read();
    vec![
        Event::App { at: 0, act, fault: None },
        Event::App { at: 0, act: Act::Flush, fault: None },
        Event::App { at: 1, act: Act::Flush, fault: None },
        Event::App { at: 1, act: grown, fault: swarm.fault() },
        Event::Deliver { message: 0, server: 0, fault: None },
        Event::Kill { at: 0 },
        Event::Deliver { message: 0, server: 0, fault: None },
        Event::Sync { at: 1, server: 1, fate: Fate::Fine, fault: swarm.fault() },
    ]
}

fn operator(swarm: &mut Swarm, at: u8) -> Vec<Event> {
    let (day, source) = (swarm.day(), swarm.source());
    let read = |swarm: &mut Swarm, full| {
        let act = Act::Read { day, source, recorded: swarm.steps(), manual: 0, full, zone: 0 };
        Event::App { at, act, fault: None }
    };
    let sync = || Event::Sync { at, server: 0, fate: Fate::Fine, fault: None };
    vec![
        read(swarm, false),
        sync(),
        Event::Correct { user: 0, day, source, to: swarm.maybe() },
        Event::App { at, act: Act::Foreground, fault: None },
        Event::Pass { step: 6 },
        sync(),
        read(swarm, true),
        Event::Unpin { user: 0, day, source },
        Event::Pass { step: 9 },
        sync(),
        Event::App { at, act: Act::Reread { steps: swarm.steps() }, fault: None },
        sync(),
    ]
}
