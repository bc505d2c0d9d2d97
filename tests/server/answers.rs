//! Every status with every kind of body: no fact leaves the buffer but by a receipt, a park, or an erasure that
//! the person was told of.

use manbo::delivery::{Identity, LEASE_MS, Next, Notice, RETRY_AFTER_MAX_MS};
use manbo::wire::{self, Problem};
use manbo::{Code, StepBook};

use super::world::{Http, Phone, Service, ago, options, source};

/// What has to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Applied,
    Paused,
    Erased,
    Refused,
    TriedAgain,
}

/// A device with a batch on its way, at generation 1 of its ledger, and every body that may come back.
struct Flight {
    phone: Phone,
    file: Vec<u8>,
    /// What the batch of that file is called.
    ticket: manbo::delivery::Ticket,
    batch: manbo::delivery::Batch,
    bodies: Vec<(&'static str, String)>,
}

impl Flight {
    fn of(facts: usize) -> Flight {
        let mut service = Service::new();
        service.erase("ana");
        let mut phone = Phone::of("ana");
        phone.sync(&mut service);
        for n in 0..facts {
            // Some days are of sources that the server has never heard of.
            let name = if n % 2 == 0 { "watch" } else { "phone-sensor-1" };
            phone
                .book
                .record(
                    &manbo::Reading::new(ago(i32::try_from(n).unwrap()), source(name), 5_000),
                    phone.now(),
                )
                .unwrap();
        }
        let batch = phone.upload();
        assert_eq!((batch.facts.len(), batch.identity.as_ref().unwrap().generation), (facts, 1));
        let receipt = service.post("ana", &wire::upload(&batch)).body;
        let bodies = bodies(&receipt);
        let file = phone.back_up();
        Flight { phone, file, ticket: batch.ticket, batch, bodies }
    }

    fn expected(status: u16, body: &str) -> Follows {
        match (status, body) {
            (200..=299 | 400 | 422, "receipt") => Follows::Applied,
            (401 | 403, body) if body.starts_with("problem") => Follows::Paused,
            (410, "problem of a later generation") => Follows::Erased,
            (400 | 413 | 422, _) => Follows::Refused,
            _ => Follows::TriedAgain,
        }
    }

    /// Reports one answer to the file as it was, by the process that sent it or by a new one.
    fn check(&mut self, status: u16, name: &str, body: &str, remembers: bool) {
        let before = self.phone.state();
        let digest = self.phone.digest();
        let of = remembers.then_some(self.batch.ticket);
        let told = self.phone.report(of, &Http { status, body: body.to_owned() }.outcome());
        let case = format!("{status} {name}, {} facts, ticket {of:?}", self.batch.facts.len());
        let expected = Flight::expected(status, name);
        let after = self.phone.state();
        assert_eq!((&after.0, self.phone.digest()), (&before.0, digest), "{case}");
        let next = self.phone.next();
        let alone = self.batch.facts.len() == 1;
        match expected {
            Follows::Applied => {
                assert_eq!((after.1.len(), after.2.len()), (0, 0), "{case}");
                assert_eq!((told.notices, next), (Vec::new(), Next::Idle), "{case}");
            }
            Follows::Refused if alone => {
                assert_eq!(after.1, [], "{case}");
                assert_eq!((after.2[0].fact, after.2[0].code), (before.1[0], Code::Unexplained), "{case}");
                assert_eq!(told.notices, [Notice::Parked { facts: 1 }], "{case}");
            }
            Follows::Refused => {
                assert_eq!(after, before, "{case}");
                let Next::Upload(half) = next else { panic!("{case}: {next:?}") };
                assert_eq!(half.facts, self.batch.facts[..self.batch.facts.len() / 2], "{case}");
            }
            Follows::Erased => {
                assert_eq!(after, before, "{case}: nothing goes before the person was told");
                assert_eq!(
                    (told.notices, next),
                    (vec![Notice::Erased { generation: 2 }], Next::Idle),
                    "{case}"
                );
                assert_eq!(self.phone.book.follow_erasure().unwrap(), Some(2), "{case}");
                assert_eq!(self.phone.facts(), [], "{case}");
            }
            Follows::Paused | Follows::TriedAgain => {
                assert_eq!((&after, told.notices.as_slice()), (&before, [].as_slice()), "{case}");
                let paused = matches!(next, Next::Paused { .. });
                assert_eq!(paused, expected == Follows::Paused, "{case}: {next:?}");
                assert!(paused || matches!(next, Next::Wait { .. }), "{case}: {next:?}");
            }
        }
        if matches!(expected, Follows::Paused | Follows::TriedAgain) {
            // Nothing happened to the facts, as was just seen: the next answer meets the next batch of the same.
            self.phone.now_ms += RETRY_AFTER_MAX_MS + LEASE_MS;
            let again = self.phone.upload();
            assert_eq!(again.facts, self.batch.facts, "{case}");
            self.batch = again;
        } else {
            self.phone.restore(&self.file);
            self.batch.ticket = self.ticket;
        }
    }
}

fn bodies(receipt: &str) -> Vec<(&'static str, String)> {
    let ours = wire::read_receipt(receipt.as_bytes()).unwrap();
    let of = |ledger: &str, generation| {
        let identity = Identity { ledger: ledger.to_owned(), generation };
        wire::receipt(&manbo::delivery::Answer { identity, ..ours.clone() })
    };
    let ledger = ours.identity.ledger.as_str();
    let problem = |ledger: &str, generation| {
        wire::problem(Problem::Erased, Some(&Identity { ledger: ledger.to_owned(), generation }))
    };
    vec![
        ("receipt", receipt.to_owned()),
        ("nothing", String::new()),
        ("HTML", "<html><body>Please sign in to the hotel's network</body></html>".to_owned()),
        ("JSON of somebody else", "{\"status\":\"ok\"}".to_owned()),
        ("receipt cut in the middle", receipt[..receipt.len() / 2].to_owned()),
        ("receipt cut before its digest", receipt[..receipt.rfind(",\"digest\"").unwrap()].to_owned() + "}"),
        ("receipt without its last byte", receipt[..receipt.len() - 1].to_owned()),
        ("receipt changed on the way", receipt.replacen("\"refused\":[]", "\"refused\":[ ]", 1)),
        ("receipt of another ledger", of("somebody-else", 1)),
        ("receipt of an older generation", of(ledger, 0)),
        ("receipt of a later generation", of(ledger, 2)),
        ("problem of this generation", problem(ledger, 1)),
        ("problem of an older generation", problem(ledger, 0)),
        ("problem of a later generation", problem(ledger, 2)),
        ("problem of another ledger", problem("somebody-else", 9)),
        ("problem of nobody", wire::problem(Problem::Unauthorized, None)),
    ]
}

fn every_answer_to(facts: usize) {
    let mut flight = Flight::of(facts);
    let bodies = flight.bodies.clone();
    assert_eq!(bodies.len(), 16);
    for status in 100..600 {
        for (name, body) in &bodies {
            flight.check(status, name, body, status % 2 == 0);
        }
    }
}

#[test]
fn every_answer_to_one_fact() {
    every_answer_to(1);
}

#[test]
fn every_answer_to_many_facts() {
    every_answer_to(7);
}

#[test]
fn no_answer_at_all_and_the_batch_comes_again() {
    let mut flight = Flight::of(3);
    let before = flight.phone.state();
    for remembers in [true, false] {
        let of = remembers.then_some(flight.batch.ticket);
        let told = flight.phone.report(of, &manbo::delivery::Outcome::Network);
        assert_eq!((told.notices, flight.phone.state()), (Vec::new(), before.clone()));
        flight.phone.now_ms += RETRY_AFTER_MAX_MS;
        flight.batch = flight.phone.upload();
        assert_eq!(flight.batch.facts, before.1);
    }
    // The process that sent it died: the lease ends, and nothing else happened.
    drop(StepBook::open(flight.phone.path(), &options()).unwrap());
    flight.phone.now_ms += LEASE_MS;
    assert_eq!(flight.phone.upload().facts, before.1);
}

#[test]
fn a_receipt_that_was_cut_off_anywhere_is_not_applied() {
    let mut flight = Flight::of(2);
    let receipt = flight.bodies[0].1.clone();
    let before = flight.phone.state();
    for len in 0..receipt.len() {
        let cut = Http { status: 200, body: receipt[..len].to_owned() };
        let _ = flight.phone.report(None, &cut.outcome());
        assert_eq!(flight.phone.book.pending().unwrap(), before.1, "{len} bytes");
    }
    let whole = Http { status: 200, body: receipt };
    let _ = flight.phone.report(None, &whole.outcome());
    assert_eq!(flight.phone.pending(), 0);
}
