//! From a schedule that fails to a small one that fails the same way.

use crate::doors::Doors;
use crate::event::{Act, Event, Schedule};
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
    if let Event::App { act: Act::Read { day, source, recorded, manual, full, zone }, .. } = event {
        weight += u64::from(day) + u64::from(source) + u64::from(recorded) + u64::from(manual);
        weight += u64::from(full) + u64::from(zone);
    }
    weight
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
    forms.retain(|form| *form != event && weight(form) <= weight(&event));
    forms
}
