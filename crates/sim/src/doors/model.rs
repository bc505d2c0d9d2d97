//! Ledgers in memory: what is committed is what there is. A process that ends during a transaction leaves
//! the state before it or after it, as the fault says.

use manbo::delivery::{
    Answer, Body, Delivery, Health, Identity, Moment, Next, Outcome, Reported, Ticket, Trigger,
};
use manbo::{
    Day, IngestPolicy, Ledger, Moderation, Now, Operation, Refusal, Rules, UtcOffset, ingest, moderate,
};

use super::{Book, Change, Done, Doors, Failed, Held, Request, ServerCrash, ServerState, rules};
use crate::event::{Config, Fault};

#[derive(Debug, Clone)]
struct Stored {
    ledger: Ledger,
    delivery: Delivery,
}

#[derive(Debug, Clone)]
struct Person {
    ledger: Ledger,
    generation: u32,
}

/// Ledgers in memory.
#[derive(Debug, Default)]
pub struct ModelDoors {
    rules: Rules,
    /// Of each device, the book of each person.
    devices: Vec<Vec<Stored>>,
    backups: Vec<Option<Vec<Stored>>>,
    people: Vec<Person>,
    server_backup: Option<Vec<Person>>,
    incarnation: u32,
}

/// What a fault makes of a transaction.
enum Fate {
    Fine,
    Before(Failed),
    After(Failed),
}

fn fate(fault: Option<Fault>) -> Fate {
    match fault {
        None => Fate::Fine,
        Some(fault) if fault.kind.is_crash() && fault.at % 2 == 0 => Fate::Before(Failed::Crashed),
        Some(fault) if fault.kind.is_crash() => Fate::After(Failed::Crashed),
        Some(_) => Fate::Before(Failed::Storage(manbo::Code::StorageLocked)),
    }
}

impl ModelDoors {
    fn stored(&mut self, book: Book) -> &mut Stored {
        &mut self.devices[book.device][usize::from(book.user)]
    }

    fn transact<T>(
        &mut self,
        book: Book,
        fault: Option<Fault>,
        change: impl FnOnce(&mut Stored, &Rules) -> Result<T, Refusal>,
    ) -> Done<T> {
        let rules = self.rules;
        match fate(fault) {
            Fate::Before(failed) => Err(failed),
            Fate::Fine => {
                change(self.stored(book), &rules).map_err(|refusal| Failed::Refused(refusal.code()))
            }
            Fate::After(failed) => {
                // What it gave is lost with the process.
                let _ = change(self.stored(book), &rules);
                Err(failed)
            }
        }
    }
}

fn apply(stored: &mut Stored, change: &Change<'_>, now: Now) -> Result<(), Refusal> {
    let trigger = match change {
        Change::Foreground => Some(Trigger::Foreground),
        Change::Connectivity => Some(Trigger::Connectivity),
        Change::Credentials => Some(Trigger::Credentials),
        _ => None,
    };
    if let Some(trigger) = trigger {
        stored.delivery.trigger(trigger, now.unix_ms);
        return Ok(());
    }
    let operation = match change {
        Change::Read(reading) => Operation::Read(reading),
        Change::Delete(deletion) => Operation::Delete(deletion),
        Change::Correct(correction) => Operation::Correct(correction),
        Change::Unpin(day, source) => Operation::Unpin(*day, *source),
        Change::Count(reading) => Operation::Count(reading),
        Change::Attend(day) => Operation::Attend(*day),
        Change::Retry(fact) => Operation::Retry(fact),
        Change::Discard(fact) => Operation::Discard(fact),
        Change::Import(readings) => {
            for reading in *readings {
                let _ = stored.ledger.apply(Operation::Read(reading), now)?;
            }
            return Ok(());
        }
        Change::Merge(facts) => {
            for fact in *facts {
                let _ = stored.ledger.apply(Operation::Merge(fact), now)?;
            }
            return Ok(());
        }
        Change::Foreground | Change::Connectivity | Change::Credentials => return Ok(()),
    };
    stored.ledger.apply(operation, now).map(|_| ())
}

/// Today at UTC+14, as section 7 has it.
pub(super) fn latest_day(now: Now) -> Day {
    UtcOffset::from_minutes(840).map_or(now.today, |first| Now::at(now.unix_ms, first).today)
}

/// The server's name for a person's ledger.
pub(super) fn ledger_name(user: u8) -> String {
    format!("ledger-{user}")
}

impl Doors for ModelDoors {
    fn begin(&mut self, config: &Config) {
        self.rules = rules(config.rules);
        let ledger = Ledger::new(*self.rules.levels());
        let people = usize::from(config.users) + 1;
        let stored = Stored { ledger: ledger.clone(), delivery: Delivery::default() };
        self.devices = vec![vec![stored; people]; config.devices.len()];
        self.backups = vec![None; config.devices.len()];
        self.people = vec![Person { ledger, generation: 0 }; people];
        self.server_backup = None;
        self.incarnation = 0;
    }

    fn change(&mut self, book: Book, change: &Change<'_>, now: Now, fault: Option<Fault>) -> Done<()> {
        self.transact(book, fault, |stored, _| apply(stored, change, now))
    }

    fn next(&mut self, book: Book, moment: Moment, fault: Option<Fault>) -> Done<Next> {
        self.transact(book, fault, |stored, _| Ok(stored.delivery.next(&stored.ledger, moment)))
    }

    fn report(
        &mut self,
        book: Book,
        of: Option<Ticket>,
        outcome: &Outcome,
        moment: Moment,
        fault: Option<Fault>,
    ) -> Done<Reported> {
        self.transact(book, fault, |stored, rules| {
            stored.delivery.report(&mut stored.ledger, of, outcome.clone(), rules.version(), moment)
        })
    }

    fn follow(&mut self, book: Book, fault: Option<Fault>) -> Done<Option<u32>> {
        self.transact(book, fault, |stored, rules| {
            let erased = stored.delivery.erased();
            if let Some(generation) = erased {
                stored.ledger = Ledger::new(*rules.levels());
                stored.delivery.begin_generation(generation);
            }
            Ok(erased)
        })
    }

    fn look(&mut self, book: Book) -> Done<&Ledger> {
        Ok(&self.stored(book).ledger)
    }

    fn health(&mut self, book: Book, now: Now) -> Done<Health> {
        let stored = self.stored(book);
        Ok(stored.delivery.health(&stored.ledger, now.unix_ms))
    }

    fn sign_in(&mut self, _: Book, _: u8, _: Now) -> Done<()> {
        Ok(())
    }

    fn kill(&mut self, _: usize) {}

    fn power(&mut self, _: usize, _: u16) {}

    fn suspend(&mut self, _: Book) -> Held {
        Held::default()
    }

    fn resume(&mut self, _: Book) -> Done<()> {
        Ok(())
    }

    fn backup(&mut self, device: usize) {
        self.backups[device] = Some(self.devices[device].clone());
    }

    fn restore(&mut self, device: usize, _: bool) {
        if let Some(backup) = &self.backups[device] {
            self.devices[device].clone_from(backup);
        }
    }

    fn knows_phones(&self) -> bool {
        false
    }

    fn serve(&mut self, _: usize, request: Request<'_>, crash: Option<ServerCrash>) -> Done<Outcome> {
        let Request { user, batch, now, recovery, rules_version } = request;
        let person = &mut self.people[usize::from(user)];
        let asked = batch.identity.as_ref().map_or(person.generation, |identity| identity.generation);
        let refuse = |generation, status| {
            let body = Body::Refusal(Some(Identity { ledger: ledger_name(user), generation }));
            Ok(Outcome::Reply { status, retry_after_s: None, body })
        };
        if asked < person.generation {
            return refuse(person.generation, 410);
        }
        let committed = match crash {
            Some(ServerCrash::Killed(at) | ServerCrash::Power(at)) => at % 2 == 1,
            None => true,
        };
        if !committed {
            return Err(Failed::Crashed);
        }
        if asked > person.generation {
            // A restored server hears of an erasure that it lost.
            *person = Person { ledger: Ledger::new(*self.rules.levels()), generation: asked };
        }
        let policy = IngestPolicy { latest_day: latest_day(now), recovery };
        let receipt = ingest(&mut person.ledger, &batch.facts, batch.since, policy, now).receipt;
        if crash.is_some() {
            return Err(Failed::Crashed);
        }
        let answer = Answer {
            identity: Identity { ledger: ledger_name(user), generation: person.generation },
            incarnation: self.incarnation.to_string(),
            rules_version,
            since: batch.since,
            complete_to: receipt.revision,
            receipt,
        };
        Ok(Outcome::Reply { status: 200, retry_after_s: None, body: Body::Receipt(Box::new(answer)) })
    }

    fn moderate(&mut self, user: u8, change: &Change<'_>, now: Now) -> Done<()> {
        let moderation = match change {
            Change::Correct(correction) => Moderation::Correct(correction),
            Change::Unpin(day, source) => Moderation::Unpin(*day, *source),
            _ => return Ok(()),
        };
        let ledger = &mut self.people[usize::from(user)].ledger;
        moderate(ledger, moderation, now).map(|_| ()).map_err(|refusal| Failed::Refused(refusal.code()))
    }

    fn erase(&mut self, user: u8, _: Now) -> Done<()> {
        let person = &mut self.people[usize::from(user)];
        *person = Person { ledger: Ledger::new(*self.rules.levels()), generation: person.generation + 1 };
        Ok(())
    }

    fn server(&mut self, user: u8) -> Done<ServerState<'_>> {
        let person = &self.people[usize::from(user)];
        let revision = person.ledger.revision();
        Ok(ServerState { ledger: &person.ledger, revision, generation: Some(person.generation) })
    }

    fn server_backup(&mut self) {
        self.server_backup = Some(self.people.clone());
    }

    fn server_restore(&mut self) {
        if let Some(backup) = &self.server_backup {
            self.people.clone_from(backup);
            self.incarnation += 1;
        }
    }
}
