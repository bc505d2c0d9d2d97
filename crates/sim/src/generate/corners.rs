//! Beginnings that lead a device into a state of delivery that is rare by chance, and then let anything happen to
//! it there: so that every fault meets every state.

use super::{KINDS, Swarm};
use crate::event::{Act, Event, Fate, FaultKind};

/// How often an event of any kind follows in the corner.
const EVENTS_THERE: usize = 3;

/// The beginning of a schedule.
pub(super) fn events(swarm: &mut Swarm) -> Vec<Event> {
    if swarm.rng.bool() {
        // A second device of the same person, for what comes over a cable.
        swarm.config.devices = vec![1, 1];
        swarm.config.handles = vec![0, 1];
    }
    let mut events = stores(swarm);
    events.extend(before(swarm));
    events.extend(into_corner(swarm));
    for _ in 0..EVENTS_THERE {
        // So that the next call opens the file.
        let opens = swarm.rng.u8(0..3) == 0;
        events.extend(opens.then_some(Event::Kill { at: 0 }));
        let event = anything(swarm, opens);
        events.push(event);
    }
    events
}

fn read(swarm: &mut Swarm, at: u8) -> Event {
    let act = swarm.read();
    Event::App { at, act, fault: None }
}

fn sync(fate: Fate) -> Event {
    Event::Sync { at: 0, server: 0, fate, fault: None }
}

/// What some events have to find: backups, and a fact that is to be read again.
fn stores(swarm: &mut Swarm) -> Vec<Event> {
    let mut events = Vec::new();
    if swarm.rng.bool() {
        events.extend([Event::Backup { at: 0 }, Event::ServerBackup]);
    }
    if swarm.rng.bool() {
        let (day, source) = (swarm.day(), swarm.source());
        let of = |recorded| Act::Read { day, source, recorded, manual: 0, full: false, zone: 0 };
        let app = |at, act| Event::App { at, act, fault: None };
        let deletion = Act::Delete { day, source, left: None };
        events.extend([app(1, of(swarm.near)), app(0, Act::Merge { from: 1 }), app(0, deletion)]);
    }
    events
}

/// What is still there when the corner is reached: a parked fact, or a message in the network.
fn before(swarm: &mut Swarm) -> Vec<Event> {
    match swarm.rng.u8(0..3) {
        0 => vec![read(swarm, 0), sync(Fate::Portal(422))],
        1 => {
            vec![read(swarm, 0), Event::App { at: 0, act: Act::Flush, fault: None }, Event::Pass { step: 4 }]
        }
        _ => Vec::new(),
    }
}

fn into_corner(swarm: &mut Swarm) -> Vec<Event> {
    let fine = || sync(Fate::Fine);
    let user = swarm.config.devices[0].saturating_sub(1);
    match swarm.rng.u8(0..8) {
        0 => vec![read(swarm, 0), fine(), read(swarm, 0), Event::App { at: 0, act: Act::Flush, fault: None }],
        1 => vec![read(swarm, 0), fine(), read(swarm, 0), sync(Fate::RequestLost)],
        2 => vec![read(swarm, 0), fine(), read(swarm, 0), sync(Fate::Busy(503, 3_600))],
        3 => vec![
            read(swarm, 0),
            fine(),
            read(swarm, 0),
            Event::Token { at: 0, valid: false },
            fine(),
            Event::Token { at: 0, valid: true },
        ],
        4 => vec![read(swarm, 0), fine(), Event::Erase { user }, read(swarm, 0), fine()],
        5 => vec![
            Event::ServerBackup,
            read(swarm, 0),
            fine(),
            Event::ServerRestore { recovery: false },
            read(swarm, 0),
            fine(),
        ],
        6 => vec![read(swarm, 0), fine(), read(swarm, 0), sync(Fate::Portal(422))],
        // No server has answered.
        _ => vec![read(swarm, 0)],
    }
}

/// An event of any kind, with a fault where it can have one; more often what needs something to be there, and what
/// a file meets that is opened and read where it is to be opened.
fn anything(swarm: &mut Swarm, opens: bool) -> Event {
    if opens && swarm.rng.bool() {
        let kind = [FaultKind::CannotOpen, FaultKind::ReadError][swarm.rng.usize(0..2)];
        let fault = Some(swarm.fault_of(kind));
        return Event::App { at: 0, act: swarm.read(), fault };
    }
    let app = |act| Event::App { at: 0, act, fault: None };
    let mut event = match swarm.rng.u8(0..12) {
        0..4 => Event::Sync { at: 0, server: 0, fate: swarm.ill_fate(), fault: None },
        4 | 5 => Event::Deliver { message: 0, server: 0, fault: None },
        6 => app(Act::Retry { nth: 0 }),
        7 => app(Act::Discard { nth: 0 }),
        8 => Event::GiveUp { at: 0 },
        _ => {
            let kind = swarm.rng.usize(0..KINDS);
            swarm.event_of(kind)
        }
    };
    if let Some(at) = event.process() {
        *at = 0;
    }
    let (kinds, meets) = match event {
        // What ends a server that is reached.
        Event::Deliver { .. } => (&[FaultKind::Kill, FaultKind::Power][..], true),
        _ => (&FaultKind::ALL[..], swarm.rng.bool()),
    };
    let kind = kinds[swarm.rng.usize(0..kinds.len())];
    let fault = Some(swarm.fault_of(kind)).filter(|_| meets);
    if let Some(slot) = event.fault() {
        *slot = fault;
    }
    event
}
