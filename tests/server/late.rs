//! Answers that come twice, late, in another order, to another process, or bring nothing.

use manbo::delivery::{FRUITLESS_RECEIPTS_MAX, LEASE_MS, Next, Outcome};
use manbo::{Day, Fact, Receipt, wire};

use super::world::{Http, Phone, Service, ago};

#[test]
fn a_receipt_that_comes_twice_does_nothing_the_second_time() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    for n in 0..5 {
        phone.walk(ago(n), 8_000);
    }
    let batch = phone.upload();
    let http = service.post("ana", &wire::upload(&batch));
    let _ = phone.report(Some(batch.ticket), &http.outcome());
    let state = phone.state();
    for of in [Some(batch.ticket), None] {
        let told = phone.report(of, &http.outcome());
        assert_eq!((told.changes.len(), told.notices.len(), phone.state()), (0, 0, state.clone()));
    }
    phone.walk(ago(0), 9_000);
    let told = phone.report(None, &http.outcome());
    assert_eq!(
        (told.changes.len(), phone.pending()),
        (0, 1),
        "it answers what was sent, not what is there now"
    );
    phone.sync(&mut service);
    assert_eq!((phone.digest(), phone.stalls), (service.digest("ana"), 0));
}

#[test]
fn an_older_receipt_after_a_newer_one_does_no_harm() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.sync(&mut service);
    phone.walk(ago(1), 8_000);
    let first = phone.upload();
    let first_answer = service.post("ana", &wire::upload(&first));
    phone.now_ms += LEASE_MS;
    phone.walk(ago(0), 9_000);
    let second = phone.upload();
    let second_answer = service.post("ana", &wire::upload(&second));
    let _ = phone.report(Some(second.ticket), &second_answer.outcome());
    assert_eq!(phone.pending(), 0);
    let told = phone.report(Some(first.ticket), &first_answer.outcome());
    assert_eq!(told.notices, [], "no server was restored");
    assert_eq!(phone.pending(), 0, "the server has both");
}

#[test]
fn an_answer_to_a_process_that_knows_nothing_of_the_request() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.walk(ago(0), 8_000);
    let batch = phone.upload();
    let http = service.post("ana", &wire::upload(&batch));
    phone.walk(ago(1), 7_000);
    phone.reopen();
    let _ = phone.report(None, &http.outcome());
    assert_eq!(phone.book.pending().unwrap().iter().map(Fact::day).collect::<Vec<_>>(), [ago(1)]);
    assert!(matches!(phone.next(), Next::Upload(_)), "the lease went with the answer");
}

/// Whether a device knows a fact or what overrules it.
fn knows(phone: &mut Phone, fact: &Fact) -> bool {
    match fact {
        Fact::Attended(day) => phone.book.ledger().unwrap().attended(*day),
        Fact::Cell { day, source, register } => {
            let known = phone.book.register(*day, *source).unwrap();
            known.join(*register) == known
        }
    }
}

/// A number below a limit, by a generator that gives the same in every run.
fn draw(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from(z >> 33).unwrap() % below
}

/// Answers are kept, and come in any order, some twice, some never, while two devices walk: the revision that a
/// device names is one up to which it really knows everything.
#[test]
fn whatever_the_order_of_the_answers_the_watermark_skips_nothing() {
    for seed in 0..30 {
        let mut random = seed;
        let mut service = Service::new();
        let mut devices = [Phone::of("ana"), Phone::of("ana")];
        let mut answers: [Vec<(u64, Http)>; 2] = [Vec::new(), Vec::new()];
        for step in 0..60_u32 {
            let who = draw(&mut random, 2);
            let (phone, answers) = (&mut devices[who], &mut answers[who]);
            let days_ago = i32::try_from(draw(&mut random, 9)).unwrap();
            match draw(&mut random, 6) {
                0 | 1 => phone.walk(ago(days_ago), 5_000 + step),
                2 => phone.attend(ago(days_ago)),
                3 | 4 => {
                    phone.now_ms += LEASE_MS;
                    if let Next::Upload(batch) = phone.next() {
                        check_known(&mut service, phone, batch.since, seed);
                        answers.push((batch.ticket, service.post("ana", &wire::upload(&batch))));
                    }
                }
                _ if !answers.is_empty() => {
                    let at = draw(&mut random, answers.len());
                    let (ticket, http) = answers[at].clone();
                    let of = (draw(&mut random, 2) == 0).then_some(ticket);
                    let _ = phone.report(of, &http.outcome());
                    if draw(&mut random, 3) > 0 {
                        answers.remove(at);
                    }
                }
                _ => {}
            }
        }
        for _ in 0..2 {
            for phone in &mut devices {
                phone.pull(&mut service);
            }
        }
        for phone in &mut devices {
            assert_eq!((phone.pending(), phone.digest()), (0, service.digest("ana")), "seed {seed}");
        }
    }
}

#[track_caller]
fn check_known(service: &mut Service, phone: &mut Phone, since: u64, seed: u64) {
    for event in service.store.history("ana").unwrap().iter().filter(|event| event.transaction <= since) {
        assert!(knows(phone, &event.after), "seed {seed}: since {since}, but {:?} is unknown", event.after);
    }
}

#[test]
fn steps_that_grow_in_every_flight_are_progress() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    for flight in 0..8 {
        phone.walk(ago(0), 500 + flight * 100);
        let batch = phone.upload();
        phone.walk(ago(0), 550 + flight * 100);
        let http = service.post("ana", &wire::upload(&batch));
        let _ = phone.report(Some(batch.ticket), &http.outcome());
        assert_eq!(phone.pending(), 1);
    }
    let health = phone.book.delivery_health(phone.now()).unwrap();
    assert_eq!((health.stalled_since_ms, health.failures), (None, 0));
    phone.sync(&mut service);
    assert_eq!((phone.stalls, phone.pending()), (0, 0));
}

/// The same, but the server knew all that was sent already: a receipt was lost each time.
#[test]
fn sending_again_what_the_server_knows_is_progress() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    for n in 0..1_500 {
        phone.walk(ago(n), 8_000);
    }
    let backup = phone.back_up();
    phone.sync(&mut service);
    let digest = service.digest("ana");
    let revision = service.store.read("ana").unwrap().revision();
    phone.restore(&backup);
    phone.sync(&mut service);
    assert_eq!((phone.stalls, phone.pending(), phone.digest()), (0, 0, digest));
    assert_eq!(service.store.read("ana").unwrap().revision(), revision, "nothing new came");
}

/// A receipt without verdicts and without anything new.
fn fruitless(service: &mut Service) -> Outcome {
    let mut answer = service.post_facts("ana", Vec::new()).receipt();
    answer.receipt = Receipt { revision: answer.receipt.revision, ..Receipt::default() };
    Http { status: 200, body: wire::receipt(&answer) }.outcome()
}

#[test]
fn three_receipts_that_bring_nothing_are_said_once() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.sync(&mut service);
    phone.walk(ago(0), 8_000);
    for _ in 0..FRUITLESS_RECEIPTS_MAX {
        let batch = phone.upload();
        let outcome = fruitless(&mut service);
        let _ = phone.report(Some(batch.ticket), &outcome);
    }
    assert_eq!(phone.next(), Next::Stalled);
    for _ in 0..5 {
        phone.reopen();
        let Next::Wait { until_ms } = phone.next() else { panic!("said once, then backed off") };
        phone.now_ms = until_ms;
        let batch = phone.upload();
        let outcome = fruitless(&mut service);
        let _ = phone.report(Some(batch.ticket), &outcome);
    }
    assert_eq!(phone.pending(), 1);
    assert!(phone.book.delivery_health(phone.now()).unwrap().stalled_since_ms.is_some());
    phone.sync(&mut service);
    assert_eq!((phone.pending(), phone.stalls), (0, 0));
    assert_eq!(phone.book.delivery_health(phone.now()).unwrap().stalled_since_ms, None);
}

#[test]
fn nothing_that_may_be_sent_is_no_stall() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.now_ms -= 12 * 3_600_000;
    phone.sync(&mut service);
    phone.walk(Day::FIRST.plus(ago(-1).since(Day::FIRST)), 500);
    for _ in 0..5 {
        phone.now_ms += 1;
        let outcome = fruitless(&mut service);
        let _ = phone.report(None, &outcome);
        assert_eq!(phone.next(), Next::Idle, "tomorrow has begun nowhere");
    }
    assert_eq!((phone.pending(), phone.stalls), (1, 0));
}

/// A failure of a batch whose lease has ended comes while the next one is on its way.
fn late_failure(status: u16, body: &str, facts: i32) {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.sync(&mut service);
    (0..facts).for_each(|n| phone.walk(ago(n), 8_000));
    let old = phone.upload();
    phone.now_ms += LEASE_MS;
    let present = phone.upload();
    assert_ne!(old.ticket, present.ticket);
    let before = phone.state();
    let case = format!("{status} to {facts} facts");
    let told = phone.report(Some(old.ticket), &Http { status, body: body.to_owned() }.outcome());
    assert_eq!((told.notices, phone.state()), (Vec::new(), before), "{case}");
    let until_ms = phone.now_ms + LEASE_MS;
    assert_eq!(phone.next(), Next::Wait { until_ms }, "{case}: the present batch is on its way");
    phone.now_ms += LEASE_MS;
    assert_eq!(phone.upload().facts, present.facts, "{case}: not halved");
    phone.now_ms += LEASE_MS;
    phone.sync(&mut service);
    assert_eq!(phone.pending(), 0, "{case}");
}

#[test]
fn a_late_failure_neither_parks_nor_halves_the_present_batch() {
    let problem = wire::problem(wire::Problem::BadValue, None);
    for facts in [1, 6] {
        for status in [302, 400, 413, 422, 503] {
            late_failure(status, &problem, facts);
            late_failure(status, "", facts);
        }
    }
}

/// The person has signed in again since, and the present batch went with the new token.
#[test]
fn a_late_refusal_of_old_credentials_does_not_pause_the_present_batch() {
    late_failure(401, &wire::problem(wire::Problem::Unauthorized, None), 2);
}

#[test]
fn a_fact_that_grew_in_flight_is_not_parked_with_what_was_refused() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.sync(&mut service);
    phone.walk(ago(0), 500);
    let batch = phone.upload();
    phone.walk(ago(0), 600);
    let told = phone.report(Some(batch.ticket), &Http { status: 413, body: String::new() }.outcome());
    assert_eq!((phone.pending(), phone.book.parked().unwrap()), (1, Vec::new()));
    assert_eq!(told.notices, [], "nothing is parked");
}
