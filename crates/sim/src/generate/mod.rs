//! Schedules from a seed. Each seed draws a subset of the kinds of events with rates of their own (a swarm),
//! few days and near-equal values, so that things collide; one in four follows a template of what has gone
//! wrong before, and one in seven begins where the others seldom come.

mod corners;
mod templates;

use fastrand::Rng;

use crate::event::{
    Act, Config, Event, Fate, Fault, FaultKind, PASSES_MS, SKEWS_MS, Schedule, StoreKind, ZONES,
};
use crate::world::BOUNDARIES;

/// Days of a world: the world begins on the fourth, so that there are closed days and days to come.
const DAYS: u8 = 7;
/// Events of a schedule.
const EVENTS: std::ops::RangeInclusive<usize> = 20..=40;
/// The seeds whose schedules follow a template, in a hundred.
const TEMPLATES_PERCENT: u8 = 25;
/// Those and the seeds whose schedules begin in a corner.
const CORNERS_PERCENT: u8 = 40;

/// The schedule of a seed. The same seed, store and version give the same schedule.
pub fn schedule(seed: u64, store: StoreKind) -> Schedule {
    let mut swarm = Swarm::draw(Rng::with_seed(seed), store);
    let mut events = Vec::new();
    let count = swarm.rng.usize(EVENTS);
    match swarm.rng.u8(0..100) {
        0..TEMPLATES_PERCENT => events = templates::events(&mut swarm),
        TEMPLATES_PERCENT..CORNERS_PERCENT => events = corners::events(&mut swarm),
        _ => {}
    }
    while events.len() < count {
        let event = swarm.event();
        events.push(event);
    }
    Schedule { config: swarm.config, events }
}

/// The kinds of events, by weight.
const KINDS: usize = 32;
/// How often each kind is drawn where it is drawn at all: what people do often, what happens seldom.
const WEIGHTS: [u16; KINDS] =
    [30, 8, 3, 2, 6, 6, 3, 6, 3, 2, 12, 8, 4, 40, 14, 4, 4, 6, 16, 5, 4, 4, 4, 4, 5, 5, 8, 6, 8, 5, 2, 3];
/// Kinds that every swarm has: readings, exchanges, time.
const ALWAYS: [usize; 3] = [0, 13, 18];

/// What a seed has drawn.
struct Swarm {
    rng: Rng,
    config: Config,
    weights: [u16; KINDS],
    total: u16,
    /// One call in so many meets a fault; 0 is none.
    faults: u8,
    /// The faults that this seed has.
    kinds: Vec<FaultKind>,
    /// One exchange in so many goes wrong; 0 is none.
    fates: u8,
    /// A value that others are near to.
    near: u32,
    days: u8,
    sources: u8,
}

impl Swarm {
    fn draw(mut rng: Rng, store: StoreKind) -> Swarm {
        let config = config(&mut rng, store);
        let mut weights = WEIGHTS;
        for (kind, weight) in weights.iter_mut().enumerate() {
            if !ALWAYS.contains(&kind) && rng.u8(0..100) < 55 {
                *weight = 0;
            } else if rng.bool() {
                *weight = 1 + *weight / 2;
            }
        }
        let total = weights.iter().sum();
        let kinds = FaultKind::ALL.into_iter().filter(|_| rng.u8(0..3) == 0).collect();
        let faults = [0, 3, 5, 12][rng.usize(0..4)];
        let fates = [0, 2, 3, 6][rng.usize(0..4)];
        let (near, days, sources) = (rng.u32(1_000..40_000), rng.u8(1..=DAYS), rng.u8(1..=3));
        Swarm { rng, config, weights, total, faults, kinds, fates, near, days, sources }
    }

    fn at(&mut self) -> u8 {
        let count = u8::try_from(self.config.handles.len()).unwrap_or(1);
        self.rng.u8(0..count)
    }

    fn day(&mut self) -> u8 {
        // Around the world's first days; a few lie so far ahead that only a wrong clock takes them.
        match self.rng.u8(0..32) {
            0 => self.rng.u8(7..12),
            _ => (5 - self.days.min(5)) + self.rng.u8(0..self.days),
        }
    }

    fn source(&mut self) -> u8 {
        self.rng.u8(0..self.sources)
    }

    fn steps(&mut self) -> u32 {
        match self.rng.u8(0..8) {
            0 => BOUNDARIES[self.rng.usize(0..BOUNDARIES.len())],
            1 => self.rng.u32(0..200_000),
            _ => self.near + self.rng.u32(0..600),
        }
    }

    fn maybe(&mut self) -> Option<u32> {
        if self.rng.u8(0..3) == 0 { None } else { Some(self.steps()) }
    }

    fn fault(&mut self) -> Option<Fault> {
        if self.faults == 0 || self.kinds.is_empty() || self.rng.u8(0..self.faults) > 0 {
            return None;
        }
        let kind = self.kinds[self.rng.usize(0..self.kinds.len())];
        Some(self.fault_of(kind))
    }

    fn fault_of(&mut self, kind: FaultKind) -> Fault {
        // Most calls have a few operations; opening a file has more.
        let at = match self.rng.u8(0..4) {
            0 => self.rng.u8(0..40),
            // A phone that is locked is so from the beginning.
            _ if kind == FaultKind::CannotOpen => 0,
            _ => self.rng.u8(0..9),
        };
        Fault { kind, at, image: self.rng.u16(..) }
    }

    fn fate(&mut self) -> Fate {
        if self.fates == 0 || self.rng.u8(0..self.fates) > 0 { Fate::Fine } else { self.ill_fate() }
    }

    /// An exchange that goes wrong.
    fn ill_fate(&mut self) -> Fate {
        let status = [200, 301, 400, 401, 403, 404, 408, 410, 413, 422, 425, 429, 500, 503];
        match self.rng.u8(0..20) {
            0 | 1 => Fate::RequestLost,
            2..=4 => Fate::ReplyLost,
            5 => Fate::Twice,
            6 | 7 => Fate::Late,
            8 => Fate::CrashBefore,
            9 => Fate::CrashInside(self.rng.u8(0..12)),
            10 => Fate::CrashAfter,
            11 => Fate::PowerInside(self.rng.u8(0..12)),
            12 => Fate::Portal(status[self.rng.usize(0..status.len())]),
            13 => Fate::Garbled(self.rng.u16(..)),
            14 | 15 => Fate::GarbledRequest(self.rng.u16(..)),
            16 => Fate::Withheld,
            17 => Fate::Stranger,
            _ => {
                let wait = [0, 1, 30, 3_600, 100_000][self.rng.usize(0..5)];
                Fate::Busy([429, 500, 503][self.rng.usize(0..3)], wait)
            }
        }
    }

    fn read(&mut self) -> Act {
        if self.rng.u8(0..16) == 0 {
            // What a denied permission looks like.
            let (day, source) = (self.day(), self.source());
            return Act::Read { day, source, recorded: 0, manual: 0, full: true, zone: 0 };
        }
        let manual = if self.rng.u8(0..4) == 0 { self.steps() } else { 0 };
        Act::Read {
            day: self.day(),
            source: self.source(),
            recorded: self.steps(),
            manual,
            full: self.rng.u8(0..3) == 0,
            zone: if self.rng.u8(0..3) == 0 { self.index(ZONES.len()) } else { 0 },
        }
    }

    fn index(&mut self, len: usize) -> u8 {
        u8::try_from(self.rng.usize(0..len)).unwrap_or(0)
    }

    fn app(&mut self, act: Act) -> Event {
        Event::App { at: self.at(), act, fault: self.fault() }
    }

    fn event(&mut self) -> Event {
        let mut left = self.rng.u16(0..self.total);
        let mut kind = 0;
        while left >= self.weights[kind] {
            left -= self.weights[kind];
            kind += 1;
        }
        self.event_of(kind)
    }

    fn event_of(&mut self, kind: usize) -> Event {
        if kind < 13 { self.asked(kind) } else { self.happening(kind) }
    }

    /// What an app asks.
    fn asked(&mut self, kind: usize) -> Event {
        let act = match kind {
            0 => self.read(),
            1 => Act::Delete { day: self.day(), source: self.source(), left: self.maybe() },
            2 => Act::Correct { day: self.day(), source: self.source(), to: self.maybe() },
            3 => Act::Unpin { day: self.day(), source: self.source() },
            4 => Act::Count { day: self.day(), boot: self.rng.u8(0..3), count: self.rng.u32(0..60) * 97 },
            5 => Act::Attend { day: self.day() },
            6 => Act::Merge { from: self.at() },
            7 => Act::Reread { steps: self.steps() },
            8 => Act::Retry { nth: self.rng.u8(0..8) },
            9 => Act::Discard { nth: self.rng.u8(0..8) },
            10 => Act::Flush,
            11 => [Act::Foreground, Act::Connectivity, Act::Credentials][self.rng.usize(0..3)],
            _ => Act::Follow,
        };
        self.app(act)
    }

    /// What happens around the apps.
    fn happening(&mut self, kind: usize) -> Event {
        let at = self.at();
        match kind {
            13 => Event::Sync { at, server: self.rng.u8(0..2), fate: self.fate(), fault: self.fault() },
            14 => {
                Event::Deliver { message: self.rng.u8(0..6), server: self.rng.u8(0..2), fault: self.fault() }
            }
            15 => Event::Lose { message: self.rng.u8(0..6) },
            16 => Event::Double { message: self.rng.u8(0..6) },
            17 => Event::GiveUp { at },
            18 => Event::Pass { step: self.index(PASSES_MS.len()) },
            19 => Event::Jump { at, skew: self.index(SKEWS_MS.len()) },
            20 => Event::Travel { at, zone: self.index(ZONES.len()) },
            21 if self.rng.bool() => Event::Power { at, image: self.rng.u16(..) },
            21 => Event::Kill { at },
            22 if self.rng.bool() => Event::Suspend { at },
            22 => Event::Resume { at },
            23 => Event::Backup { at },
            24 => Event::Restore { at, other_phone: self.rng.bool() },
            25 => Event::Network { at, up: self.rng.bool() },
            26 if self.rng.bool() => Event::ServerBackup,
            26 => Event::ServerRestore { recovery: self.rng.u8(0..3) == 0 },
            27 => self.trouble(at),
            28 => self.operator(),
            29 => Event::SignIn { at, user: self.rng.u8(0..=self.config.users) },
            30 => Event::ServerRules { server: self.rng.u8(0..2), version: self.rng.u8(1..4) },
            _ => Event::Update { at, closed: self.rng.bool() },
        }
    }

    fn trouble(&mut self, at: u8) -> Event {
        match self.rng.u8(0..3) {
            0 => Event::Server { server: self.rng.u8(0..2), up: self.rng.bool() },
            1 => Event::ServerLimit { facts: self.rng.u8(0..4) },
            _ => Event::Token { at, valid: self.rng.bool() },
        }
    }

    fn operator(&mut self) -> Event {
        let user = self.rng.u8(0..3);
        match self.rng.u8(0..4) {
            0 => Event::Erase { user },
            1 => Event::Unpin { user, day: self.day(), source: self.source() },
            _ => Event::Correct { user, day: self.day(), source: self.source(), to: self.maybe() },
        }
    }
}

fn config(rng: &mut Rng, store: StoreKind) -> Config {
    let users = [1, 1, 1, 2, 2, 3][rng.usize(0..6)];
    let devices = [1, 1, 2, 2, 2, 3][rng.usize(0..6)];
    let devices: Vec<u8> =
        (0..devices).map(|_| if rng.u8(0..5) < 4 { 1 } else { rng.u8(1..=users) }).collect();
    let mut handles: Vec<u8> = (0..devices.len()).filter_map(|device| u8::try_from(device).ok()).collect();
    if rng.u8(0..4) == 0 {
        handles.push(handles[rng.usize(0..handles.len())]);
    }
    Config {
        store,
        users,
        devices,
        handles,
        servers: rng.u8(1..=2),
        rules: rng.u8(0..4),
        tickets: rng.u8(0..8) > 0,
        server_rules: if rng.u8(0..8) == 0 { 2 } else { 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Hit;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_of_event_fate_and_fault_is_drawn() {
        let (mut events, mut fates, mut faults) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for seed in 0..2_000 {
            for mut event in schedule(seed, StoreKind::Model).events {
                events.insert(event.name());
                if let Event::Sync { fate, .. } = event {
                    fates.extend(Hit::of_fate(fate));
                }
                faults.extend(event.fault().and_then(|fault| *fault).map(|fault| fault.kind));
            }
        }
        assert_eq!(events.into_iter().collect::<Vec<_>>(), (0..=26).collect::<Vec<_>>());
        assert_eq!((fates.len(), faults.len()), (14, FaultKind::ALL.len()));
    }

    #[test]
    fn a_corner_is_the_beginning_of_some_schedules_and_ends_with_the_unforeseen() {
        let mut swarm = Swarm::draw(Rng::with_seed(3), StoreKind::Sqlite);
        let beginnings: Vec<Vec<Event>> = (0..100).map(|_| corners::events(&mut swarm)).collect();
        let ill = |event: &Event| matches!(event, Event::Sync { fate, .. } if *fate != Fate::Fine);
        let faulty = |event: &Event| {
            let mut event = *event;
            event.fault().is_some_and(|fault| fault.is_some())
        };
        for found in [ill as fn(&Event) -> bool, faulty] {
            let with = beginnings.iter().filter(|events| events.iter().any(found)).count();
            assert!(with > 50, "{with} of 100");
        }
    }
}
