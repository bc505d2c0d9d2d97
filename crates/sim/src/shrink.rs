//! From a schedule that fails to a small one that fails the same way.

use crate::doors::Doors;
use crate::event::{Act, Event, Fate, Schedule};
use crate::world::{Invariant, run};

/// The most runs that shrinking spends: a second or two on SQLite.
const RUNS_MAX: usize = 4_000;

/// Shrinks a schedule. Only what breaks the same invariant counts as the same failure.
pub struct Shrinker<'d, D> {
    doors: &'d mut D,
    invariant: Invariant,
    runs: usize,
}

impl<'d, D: Doors> Shrinker<'d, D> {
    /// A shrinker for schedules that break this invariant.
    pub fn new(doors: &'d mut D, invariant: Invariant) -> Shrinker<'d, D> {
        Shrinker { doors, invariant, runs: 0 }
    }

    /// The smallest schedule that was found.
    pub fn shrink(&mut self, schedule: &Schedule) -> Schedule {
        let mut best = schedule.clone();
        if let Some(failure) = run(&best, self.doors).failure {
            let mut cut = best.clone();
            cut.events.truncate(failure.event + 1);
            self.keep(&mut best, cut);
        }
        loop {
            let size = measure(&best);
            self.drop_events(&mut best);
            self.drop_world(&mut best);
            self.simplify(&mut best);
            if measure(&best) >= size || self.runs >= RUNS_MAX {
                return best;
            }
        }
    }

    fn fails(&mut self, schedule: &Schedule) -> bool {
        self.runs += 1;
        let failure = run(schedule, self.doors).failure;
        failure.is_some_and(|failure| failure.invariant == self.invariant)
    }

    fn keep(&mut self, best: &mut Schedule, candidate: Schedule) -> bool {
        let better = self.runs < RUNS_MAX && candidate != *best && self.fails(&candidate);
        if better {
            *best = candidate;
        }
        better
    }

    /// Takes out runs of events, from halves down to single ones.
    fn drop_events(&mut self, best: &mut Schedule) {
        let mut width = best.events.len().div_ceil(2);
        while width > 0 {
            let mut start = 0;
            while start < best.events.len() {
                let mut candidate = best.clone();
                let end = (start + width).min(candidate.events.len());
                candidate.events.drain(start..end);
                if !self.keep(best, candidate) {
                    start += width;
                }
            }
            width /= 2;
        }
    }

    /// Takes out processes, devices and people, and plain rules.
    fn drop_world(&mut self, best: &mut Schedule) {
        for last in (1..best.config.handles.len()).rev() {
            let mut candidate = best.clone();
            candidate.config.handles.truncate(last);
            self.keep(best, candidate);
        }
        for last in (1..best.config.devices.len()).rev() {
            let mut candidate = best.clone();
            candidate.config.devices.truncate(last);
            candidate.config.handles.retain(|device| usize::from(*device) < last);
            if !candidate.config.handles.is_empty() {
                self.keep(best, candidate);
            }
        }
        let mut plain = best.clone();
        (plain.config.rules, plain.config.server_rules, plain.config.servers) = (0, 1, 1);
        self.keep(best, plain);
        let mut alone = best.clone();
        alone.config.users = 1;
        alone.config.devices.fill(1);
        self.keep(best, alone);
    }

    /// Makes each event simpler: no fault, the first process, small numbers.
    fn simplify(&mut self, best: &mut Schedule) {
        for index in 0..best.events.len() {
            for simpler in simpler(best.events[index]) {
                let mut candidate = best.clone();
                candidate.events[index] = simpler;
                self.keep(best, candidate);
            }
        }
    }
}

/// What shrinking makes smaller.
fn measure(schedule: &Schedule) -> (usize, usize, u64) {
    let numbers = schedule.events.iter().map(weight).sum();
    (schedule.events.len(), schedule.config.handles.len() + schedule.config.devices.len(), numbers)
}

fn weight(event: &Event) -> u64 {
    let mut event = *event;
    let mut weight = event.process().map_or(0, |at| u64::from(*at));
    if let Some(Some(fault)) = event.fault() {
        weight += 1 + u64::from(fault.at) + u64::from(fault.image);
    }
    match event {
        Event::Sync { fate, .. } => weight += fate_weight(fate),
        Event::ServerRules { server, version } => weight += u64::from(server) + u64::from(version),
        Event::Update { closed, .. } => weight += u64::from(!closed),
        _ => {}
    }
    if let Event::App { act: Act::Read { day, source, recorded, manual, full, zone }, .. } = event {
        weight += u64::from(day) + u64::from(source) + u64::from(recorded) + u64::from(manual);
        weight += u64::from(full) + u64::from(zone);
    }
    weight
}

fn fate_weight(fate: Fate) -> u64 {
    match fate {
        Fate::Fine => 0,
        Fate::CrashInside(at) | Fate::PowerInside(at) => 1 + u64::from(at),
        Fate::Garbled(how) | Fate::GarbledRequest(how) => 1 + u64::from(how),
        Fate::Busy(_, wait) => 1 + u64::from(wait),
        _ => 1,
    }
}

/// Simpler forms of a fate: that all goes well, and the same with smaller numbers.
fn simpler_fates(fate: Fate) -> Vec<Fate> {
    let mut forms = vec![Fate::Fine];
    match fate {
        Fate::CrashInside(at) => forms.push(Fate::CrashInside(at / 2)),
        Fate::PowerInside(at) => forms.push(Fate::PowerInside(at / 2)),
        // Both ways of damage: a cut at an even number, a changed bit at an odd one.
        Fate::Garbled(how) => forms.extend([Fate::Garbled(how / 2), Fate::Garbled(how.saturating_sub(2))]),
        Fate::GarbledRequest(how) => {
            forms.extend([Fate::GarbledRequest(how / 2), Fate::GarbledRequest(how.saturating_sub(2))]);
        }
        Fate::Busy(status, _) => forms.push(Fate::Busy(status, 0)),
        _ => {}
    }
    forms
}

/// Simpler forms of an event.
fn simpler(event: Event) -> Vec<Event> {
    let mut forms = Vec::new();
    let mut form = event;
    if let Some(fault) = form.fault().filter(|fault| fault.is_some()) {
        let was = *fault;
        *fault = None;
        forms.push(form);
        if let Some(was) = was {
            for (at, image) in
                [(0, was.image), (was.at / 2, was.image), (was.at.saturating_sub(1), was.image), (was.at, 0)]
            {
                let mut form = event;
                if let Some(fault) = form.fault() {
                    *fault = Some(crate::event::Fault { at, image, ..was });
                }
                forms.push(form);
            }
        }
    }
    let mut form = event;
    if let Some(at) = form.process().filter(|at| **at > 0) {
        *at = 0;
        forms.push(form);
    }
    if let Event::App { at, act: Act::Read { day, source, recorded, manual, full, zone }, fault } = event {
        let read = |day, source, recorded, manual, full, zone| Event::App {
            at,
            act: Act::Read { day, source, recorded, manual, full, zone },
            fault,
        };
        forms.extend([
            read(day, source, recorded, 0, full, zone),
            read(day, source, recorded, manual, false, zone),
            read(day, source, recorded, manual, full, 0),
            read(day, 0, recorded, manual, full, zone),
            read(0, source, recorded, manual, full, zone),
            read(day, source, 97, manual, full, zone),
            read(day, source, recorded / 2, manual, full, zone),
        ]);
    }
    match event {
        Event::Sync { at, server, fate, fault } => {
            let fates = simpler_fates(fate).into_iter();
            forms.extend(fates.map(|fate| Event::Sync { at, server, fate, fault }));
        }
        Event::ServerRules { server, .. } => forms.push(Event::ServerRules { server, version: 1 }),
        Event::Update { at, .. } => forms.push(Event::Update { at, closed: true }),
        _ => {}
    }
    forms.retain(|form| *form != event && weight(form) <= weight(&event));
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::StoreKind;
    use crate::generate;

    #[test]
    fn simpler_forms_are_others_and_weigh_no_more() {
        let schedules = (0..200).map(|seed| generate::schedule(seed, StoreKind::Sqlite));
        let mut simplified = 0;
        for event in schedules.flat_map(|schedule| schedule.events) {
            for form in simpler(event) {
                assert!(form != event && weight(&form) <= weight(&event), "{event:?} to {form:?}");
                simplified += 1;
            }
        }
        assert!(simplified > 2_000, "{simplified}");
    }

    #[test]
    fn fates_shrink_to_one_that_goes_well() {
        for fate in [
            Fate::GarbledRequest(999),
            Fate::Garbled(7),
            Fate::PowerInside(9),
            Fate::Withheld,
            Fate::Stranger,
            Fate::Busy(503, 30),
        ] {
            let event = Event::Sync { at: 0, server: 0, fate, fault: None };
            let fine = Event::Sync { at: 0, server: 0, fate: Fate::Fine, fault: None };
            assert!(simpler(event).contains(&fine), "{fate:?}");
            assert!(simpler(fine).is_empty());
        }
        let update = Event::Update { at: 0, closed: false };
        assert_eq!(simpler(update), [Event::Update { at: 0, closed: true }]);
    }
}
