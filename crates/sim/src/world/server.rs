//! The server of a world, and what may be true of its store.

use manbo::delivery::{Answer, Body, Identity, Outcome};
use manbo::{Correction, Now};

use super::convert::{self, CHIP, counts, day, item, items, source};
use super::network::Flight;
use super::{Broken, Check, Invariant, World, compare, latest_day};
use crate::coverage::Hit;
use crate::doors::{Change, Doors, Failed, Request, ServerCrash};
use crate::event::{Config, StoreKind};
use crate::oracle::{Moderation, ServerReplica, Verdicts};

/// The server: its processes, and every state that its store may be in for each person.
#[derive(Debug)]
pub(super) struct Service {
    up: Vec<bool>,
    /// The most facts that it takes; 0 is no limit.
    pub(super) limit: usize,
    recovery: bool,
    /// The version of the rules of each process.
    rules_versions: Vec<u32>,
    people: Vec<Vec<ServerReplica>>,
    /// The name of each person's ledger, as the server first gave it.
    names: Vec<Option<String>>,
    backup: Option<Vec<Vec<ServerReplica>>>,
}

impl Service {
    pub(super) fn new(config: &Config) -> Service {
        Service {
            up: vec![true; usize::from(config.servers.max(1))],
            limit: 0,
            recovery: false,
            rules_versions: vec![config.server_rules.into(); usize::from(config.servers.max(1))],
            people: vec![vec![nobody(0)]; usize::from(config.users) + 1],
            names: vec![None; usize::from(config.users) + 1],
            backup: None,
        }
    }

    pub(super) fn is_up(&self, server: u8) -> bool {
        self.up[usize::from(server) % self.up.len()]
    }

    pub(super) fn set_up(&mut self, server: u8, up: bool) {
        let server = usize::from(server) % self.up.len();
        self.up[server] = up;
    }

    /// A process is replaced by one with other rules.
    pub(super) fn set_rules(&mut self, server: u8, version: u8) {
        let server = usize::from(server) % self.up.len();
        self.rules_versions[server] = version.into();
    }

    /// The version of the rules of a process.
    pub(super) fn rules_version(&self, server: u8) -> u32 {
        self.rules_versions[usize::from(server) % self.up.len()]
    }

    pub(super) fn heal(&mut self) {
        self.up.fill(true);
        self.limit = 0;
    }

    pub(super) fn generation(&self, user: u8) -> u32 {
        self.person(user).generation
    }

    /// Whether an answer names the ledger of a person, which is the same for ever and nobody else's.
    fn is_of(&mut self, told: &Identity, user: u8, generation: u32) -> bool {
        let index = usize::from(user);
        let others = self.names.iter().enumerate();
        let is_others =
            others.filter(|(at, _)| *at != index).any(|(_, name)| name.as_ref() == Some(&told.ledger));
        let known = self.names[index].get_or_insert_with(|| told.ledger.clone());
        *known == told.ledger && told.generation == generation && !is_others
    }

    /// The state that is most likely.
    pub(super) fn person(&self, user: u8) -> &ServerReplica {
        // There is always one: a look that leaves none fails the world.
        &self.people[usize::from(user)][0]
    }
}

/// What a request must be answered.
enum Due {
    Gone,
    Verdicts(Verdicts),
}

fn serve(person: &mut ServerReplica, flight: &Flight, latest_day: i32, recovery: bool) -> Due {
    let asked = flight.batch.identity.as_ref().map_or(person.generation, |identity| identity.generation);
    if asked < person.generation {
        return Due::Gone;
    }
    if asked > person.generation {
        // An erasure that a restored server has lost happened all the same.
        *person = nobody(asked);
    }
    Due::Verdicts(person.ingest(&items(&flight.batch.facts), latest_day, recovery))
}

/// A person of whom nothing is known.
fn nobody(generation: u32) -> ServerReplica {
    let mut person = ServerReplica::default();
    person.generation = generation;
    person
}

fn broken(why: String) -> Broken {
    Broken { invariant: Invariant::I3, why }
}

impl<D: Doors> World<'_, D> {
    /// The present of the server, whose clock is right.
    pub(super) fn server_now(&self) -> Now {
        super::at(self.now_ms, 0)
    }

    /// A server's process takes a batch; none answers where it ended.
    pub(super) fn ingest(
        &mut self,
        server: u8,
        flight: &Flight,
        crash: Option<ServerCrash>,
    ) -> Result<Option<Outcome>, Broken> {
        let (recovery, rules_version) = (self.service.recovery, self.service.rules_version(server));
        let now = self.server_now();
        let request = Request { user: flight.user, batch: &flight.batch, now, recovery, rules_version };
        let done = self.doors.serve(server.into(), request, crash);
        let latest = latest_day(self.now_ms).number();
        let states = &mut self.service.people[usize::from(flight.user)];
        match done {
            Ok(outcome) => {
                let due = serve(&mut states[0], flight, latest, recovery);
                let generation = states[0].generation;
                if let Outcome::Reply { body, .. } = &outcome {
                    let told = match body {
                        Body::Receipt(answer) => Some(&answer.identity),
                        Body::Refusal(told) => told.as_ref(),
                        Body::Foreign => None,
                    };
                    if told.is_none_or(|told| !self.service.is_of(told, flight.user, generation)) {
                        return Err(broken(format!("an answer for generation {generation} names {told:?}")));
                    }
                }
                check_answer(&outcome, &due, self.service.person(flight.user), flight, rules_version)?;
                // On SQLite a look reads the whole ledger; the verdicts and the facts were compared above.
                if self.config.store == StoreKind::Model
                    || self.counters.events.is_multiple_of(super::EVENTS_A_LOOK)
                {
                    self.look_at_server(flight.user)?;
                }
                Ok(Some(outcome))
            }
            Err(Failed::Crashed | Failed::Storage(_)) if crash.is_some() => {
                self.counters.crashes += 1;
                let mut after = states[0].clone();
                let _ = serve(&mut after, flight, latest, recovery);
                states.push(after);
                self.meet(match crash {
                    Some(ServerCrash::Power(_)) => Hit::ServerPower,
                    _ => Hit::ServerCrashInside,
                });
                self.look_at_server(flight.user)?;
                Ok(None)
            }
            Err(failed) => {
                Err(Broken { invariant: Invariant::I12, why: format!("the server failed: {failed:?}") })
            }
        }
    }

    /// Compares the server's store with what may be true of it.
    pub(super) fn look_at_server(&mut self, user: u8) -> Check {
        let state = self.doors.server(user).map_err(|failed| broken(format!("no answer: {failed:?}")))?;
        compare::residues(state.ledger, user, self.residues[usize::from(user)])?;
        let mut against = None;
        let states = &mut self.service.people[usize::from(user)];
        let facts = state.ledger.facts();
        states.retain(|person| {
            let same = state.revision == person.revision
                && state.generation.is_none_or(|generation| generation == person.generation)
                && items(&facts).iter().copied().eq(person.replica.items());
            if !same {
                against.get_or_insert_with(|| {
                    broken(format!(
                        "the server has {:?} at revision {} of generation {:?}, expected {:?} at {} of {}",
                        items(&facts),
                        state.revision,
                        state.generation,
                        person.replica.items(),
                        person.revision,
                        person.generation
                    ))
                });
            }
            same
        });
        self.trace.add(state.revision);
        states.truncate(1);
        if states.is_empty() { Err(against.unwrap_or_else(|| broken(String::new()))) } else { Ok(()) }
    }

    pub(super) fn correct(&mut self, user: u8, on: u8, from: u8, to: Option<u32>) -> Check {
        self.meet(Hit::Operator);
        let user = self.person_number(user);
        let to = to.map(|steps| (super::device::marked(steps, user.into()), 0));
        let correction = Correction {
            day: day(on),
            source: source(from % CHIP),
            to: to.map(counts),
            reason: "moderation",
        };
        let cell = (convert::FIRST_DAY + i32::from(on), from % CHIP);
        self.moderate(user, &Change::Correct(correction), cell, Moderation::Correct(to))
    }

    pub(super) fn unpin(&mut self, user: u8, on: u8, from: u8) -> Check {
        self.meet(Hit::Operator);
        let user = self.person_number(user);
        let cell = (convert::FIRST_DAY + i32::from(on), from % CHIP);
        self.moderate(user, &Change::Unpin(day(on), source(from % CHIP)), cell, Moderation::Unpin)
    }

    fn person_number(&self, user: u8) -> u8 {
        1 + user % self.config.users
    }

    fn moderate(
        &mut self,
        user: u8,
        change: &Change<'_>,
        (day, source): (i32, u8),
        moderation: Moderation,
    ) -> Check {
        let now = self.server_now();
        let done = self.doors.moderate(user, change, now);
        let person = &mut self.service.people[usize::from(user)][0];
        let expected = person.moderate(day, source, moderation, now.today.number());
        let agree = match (&done, &expected) {
            (Ok(()), Ok(_)) => true,
            (Err(Failed::Refused(code)), Err(refused)) => code.as_str() == refused.code(),
            _ => false,
        };
        if !agree {
            return Err(broken(format!("an operator was told {done:?}, expected {expected:?}")));
        }
        self.look_at_server(user)
    }

    pub(super) fn erase(&mut self, user: u8) -> Check {
        self.meet(Hit::Erased);
        let user = self.person_number(user);
        let now = self.server_now();
        if let Err(failed) = self.doors.erase(user, now) {
            return Err(broken(format!("an erasure failed: {failed:?}")));
        }
        self.service.people[usize::from(user)][0].erase();
        self.look_at_server(user)
    }

    pub(super) fn server_backup(&mut self) {
        self.doors.server_backup();
        self.service.backup = Some(self.service.people.clone());
    }

    pub(super) fn server_restore(&mut self, recovery: bool) -> Check {
        self.service.recovery = recovery;
        let Some(backup) = &self.service.backup else { return Ok(()) };
        self.service.people.clone_from(backup);
        self.meet(Hit::ServerRestored);
        self.doors.server_restore();
        (1..=self.config.users).try_for_each(|user| self.look_at_server(user))
    }
}

/// Compares an answer with what is due, and with what the server then has.
fn check_answer(
    outcome: &Outcome,
    due: &Due,
    person: &ServerReplica,
    flight: &Flight,
    rules_version: u32,
) -> Check {
    let answer = match (outcome, due) {
        (Outcome::Reply { status: 410, body: Body::Refusal(Some(_)), .. }, Due::Gone) => return Ok(()),
        (Outcome::Reply { status: 200, body: Body::Receipt(answer), .. }, Due::Verdicts(verdicts)) => {
            check_verdicts(answer, verdicts)?;
            answer
        }
        (outcome, _) => return Err(broken(format!("the server answers {outcome:?}"))),
    };
    let Answer { rules_version: told, since, complete_to, receipt, .. } = &**answer;
    if (*told, *since, receipt.revision) != (rules_version, flight.batch.since, person.revision) {
        return Err(broken(format!("a receipt of rules {told}, revision {}", receipt.revision)));
    }
    let brought = items(&receipt.facts);
    let known = person.replica.items();
    if let Some(item) = brought.iter().find(|item| !known.contains(item)) {
        return Err(broken(format!("a receipt brings {item:?}, which the server does not have")));
    }
    let later = person.changes_since(*complete_to);
    let missing = person
        .changes_since(flight.batch.since)
        .into_iter()
        .find(|item| !later.contains(item) && !brought.contains(item));
    match missing {
        Some(item) => Err(broken(format!("a receipt complete to {complete_to} lacks {item:?}"))),
        None if *complete_to > person.revision => Err(broken(format!("complete to {complete_to}"))),
        None => Ok(()),
    }
}

fn check_verdicts(answer: &Answer, verdicts: &Verdicts) -> Check {
    let receipt = &answer.receipt;
    let refused =
        || receipt.refused.iter().filter_map(|refused| Some((item(&refused.fact)?, refused.code.as_str())));
    let same = items(&receipt.accepted) == verdicts.accepted
        && refused().eq(verdicts.refused.iter().copied())
        && items(&receipt.flagged) == verdicts.flagged;
    if same { Ok(()) } else { Err(broken(format!("verdicts {receipt:?}, expected {verdicts:?}"))) }
}
