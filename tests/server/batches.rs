//! What a batch may hold, and the verdict that each item gets.

use manbo::{BATCH_ITEMS_MAX, Code, Counts, Day, EPOCH_LEAD_MAX, Fact, Register, SOURCES_MAX, wire};

use super::world::{DAY_MS, Phone, Service, ago, day, source};

fn cell(on: Day, name: &str, epoch: u16, recorded: u32) -> Fact {
    Fact::Cell {
        day: on,
        source: source(name),
        register: Register { epoch, counts: Some(Counts::new(recorded, 0)) },
    }
}

fn many(items: usize) -> Vec<Fact> {
    (0..items).map(|n| cell(ago(i32::try_from(n).unwrap()), "watch", 0, 8_000)).collect()
}

/// The code of each refused fact, in their order.
#[track_caller]
fn codes(service: &mut Service, facts: Vec<Fact>) -> Vec<Code> {
    let answer = service.post_facts("ana", facts.clone()).receipt();
    assert_eq!(
        answer.receipt.accepted.len() + answer.receipt.refused.len(),
        facts.len(),
        "one verdict an item"
    );
    assert!(answer.receipt.refused.iter().all(|refused| facts.contains(&refused.fact)));
    answer.receipt.refused.iter().map(|refused| refused.code).collect()
}

#[test]
fn a_thousand_items_are_read_and_not_one_more() {
    let mut service = Service::new();
    let http = service.post_facts("ana", many(BATCH_ITEMS_MAX + 1));
    assert_eq!(http.status, 413);
    let (problem, _) = wire::read_problem(http.body.as_bytes()).unwrap();
    assert_eq!(problem, wire::Problem::BatchTooLarge);
    assert_eq!((service.facts("ana").len(), service.store.users().unwrap().len()), (0, 0));
    assert_eq!(codes(&mut service, many(BATCH_ITEMS_MAX)), []);
    assert_eq!(service.facts("ana").len(), BATCH_ITEMS_MAX);
    let revision = service.store.read("ana").unwrap().revision();
    let nothing = service.post_facts("ana", Vec::new()).receipt();
    assert_eq!((nothing.receipt.accepted.len(), nothing.receipt.revision), (0, revision));
    assert_eq!(service.post_facts("ben", Vec::new()).receipt().receipt.revision, 0);
}

#[test]
fn a_body_above_its_limit_is_not_read_and_one_at_the_limit_is() {
    let mut service = Service::new();
    let body = |len: usize| {
        let mut body = wire::upload(&manbo::delivery::Batch {
            ticket: 0,
            identity: None,
            since: 0,
            facts: vec![Fact::Attended(ago(0))],
        });
        body.extend(std::iter::repeat_n(' ', len - body.len()));
        body
    };
    assert_eq!(service.post("ana", &body(wire::UPLOAD_BYTES_MAX + 1)).status, 413);
    assert_eq!(service.facts("ana"), []);
    assert_eq!(service.post("ana", &body(wire::UPLOAD_BYTES_MAX)).status, 200);
    assert_eq!(service.facts("ana").len(), 1);
}

#[test]
fn what_is_no_upload_gets_a_problem_of_ours() {
    let mut service = Service::new();
    for body in [
        "",
        "{}",
        "[]",
        "{\"manbo\":1}",
        "{\"manbo\":2}",
        "{\"manbo\":1,\"ledger\":null,\"generation\":1,\"since\":0,\"facts\":[]}",
    ] {
        let http = service.post("ana", body);
        assert_eq!(http.status, 400, "{body}");
        assert_eq!(wire::read_problem(http.body.as_bytes()).unwrap().0, wire::Problem::BadValue);
    }
}

#[test]
fn duplicates_are_joined_and_each_has_its_verdict() {
    let mut service = Service::new();
    let on = ago(0);
    let facts = vec![
        cell(on, "watch", 0, 5_000),
        cell(on, "watch", 0, 7_000),
        cell(on, "watch", 0, 5_000),
        Fact::Attended(on),
        Fact::Attended(on),
    ];
    assert_eq!(codes(&mut service, facts.clone()), []);
    assert_eq!(service.facts("ana"), [cell(on, "watch", 0, 7_000), Fact::Attended(on)]);
    assert_eq!(codes(&mut service, facts), []);
    assert_eq!(service.store.read("ana").unwrap().revision(), 1);
}

#[test]
fn each_limit_has_its_verdict_in_the_order_of_the_contract() {
    let mut service = Service::new();
    let facts = vec![
        cell(day("2022-10-05"), "watch", 0, 1),
        cell(day("2022-10-06"), "watch", 0, 1),
        cell(day("2200-01-01"), "watch", 0, 300_001),
        cell(day("1999-12-31"), "watch", 1, 300_001),
        cell(ago(1), "watch", 1, 300_001),
        cell(ago(1), "watch", 0, 300_000),
        Fact::Attended(day("2022-10-06")),
        Fact::Attended(day("1999-12-31")),
        Fact::Attended(ago(1)),
    ];
    let expected = [
        Code::FutureDay,
        Code::FutureDay,
        Code::DayOutOfRange,
        Code::ImplausibleSteps,
        Code::FutureDay,
        Code::DayOutOfRange,
    ];
    assert_eq!(codes(&mut service, facts), expected);
    assert_eq!(service.facts("ana").len(), 3, "the others are in");
}

#[test]
fn a_device_whose_clock_is_ahead_keeps_what_was_refused_and_sends_it_again_when_asked() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.now_ms += 3 * DAY_MS;
    let early = day("2022-10-07");
    phone.walk(early, 6_000);
    phone.attend(early);
    phone.walk(ago(0), 8_000);
    phone.sync(&mut service);
    assert_eq!(phone.notices, [manbo::delivery::Notice::Parked { facts: 2 }]);
    let parked = phone.book.parked().unwrap();
    assert_eq!(parked.iter().map(|refused| refused.code).collect::<Vec<_>>(), [Code::FutureDay; 2]);
    assert_eq!((phone.pending(), service.facts("ana").len()), (0, 1), "they hold up nothing");
    assert_eq!(phone.book.day(early).unwrap().unwrap().shown, 6_000, "and are shown");
    service.now_ms += 3 * DAY_MS;
    for refused in &parked {
        phone.book.retry(&refused.fact, phone.now()).unwrap();
    }
    phone.sync(&mut service);
    assert_eq!((phone.book.parked().unwrap().len(), phone.digest()), (0, service.digest("ana")));
}

#[test]
fn only_the_server_gives_odd_epochs_and_no_client_runs_far_ahead() {
    let mut service = Service::new();
    let refused = [Code::EpochNotAllowed];
    assert_eq!(codes(&mut service, vec![cell(ago(0), "watch", 1, 9_000)]), refused);
    assert_eq!(codes(&mut service, vec![cell(ago(0), "watch", EPOCH_LEAD_MAX + 2, 9_000)]), refused);
    assert_eq!(service.facts("ana"), []);
    assert_eq!(codes(&mut service, vec![cell(ago(0), "watch", EPOCH_LEAD_MAX, 9_000)]), []);
    assert_eq!(
        codes(&mut service, vec![cell(ago(0), "watch", 2 * EPOCH_LEAD_MAX, 9_000)]),
        [],
        "from there on"
    );
    assert_eq!(codes(&mut service, vec![cell(ago(0), "watch", 2 * EPOCH_LEAD_MAX + 1, 1)]), refused);
    // An odd epoch that is not above the server's own is a device telling what it was told.
    assert_eq!(codes(&mut service, vec![cell(ago(0), "watch", 3, 9_000)]), []);
    assert_eq!(service.facts("ana"), [cell(ago(0), "watch", 2 * EPOCH_LEAD_MAX, 9_000)]);
}

#[test]
fn recovery_mode_takes_what_only_the_server_may_give_and_flags_it() {
    let mut service = Service::new();
    let facts = vec![
        cell(ago(0), "watch", 1, 8_000),
        cell(ago(1), "watch", EPOCH_LEAD_MAX + 2, 7_000),
        cell(ago(2), "watch", 2, 6_000),
        cell(ago(-9), "watch", 1, 6_000),
    ];
    service.recovery = true;
    let answer = service.post_facts("ana", facts.clone()).receipt();
    assert_eq!(answer.receipt.flagged, facts[..2]);
    assert_eq!(answer.receipt.accepted, facts[..3]);
    assert_eq!(answer.receipt.refused[0].code, Code::FutureDay, "every other limit holds");
    let again = service.post_facts("ana", facts[..2].to_vec()).receipt();
    assert_eq!(again.receipt.flagged, [], "the server has them now");
    service.recovery = false;
    assert_eq!(codes(&mut service, vec![cell(ago(3), "watch", 1, 8_000)]), [Code::EpochNotAllowed]);
}

/// A restored server has lost its corrections; a device that knows them brings them back in recovery mode.
#[test]
fn corrections_that_a_restored_server_lost_come_back_in_recovery_mode() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    phone.walk(ago(1), 28_000);
    phone.sync(&mut service);
    let copy = service.back_up();
    let to = Some(Counts::new(8_000, 0));
    let correction = manbo::Correction { day: ago(1), source: source("watch"), to, reason: "shaken" };
    let now = service.now();
    let correct = |ledger: &mut manbo::Ledger| {
        manbo::moderate(ledger, manbo::Moderation::Correct(&correction), now).map_err(manbo::Error::from)
    };
    service.store.transact("ana", correct).unwrap();
    phone.pull(&mut service);
    service.restore(&copy);
    service.recovery = true;
    phone.pull(&mut service);
    assert_eq!(service.store.read("ana").unwrap().day(ago(1)).unwrap().shown, 8_000);
    assert_eq!((phone.digest(), phone.pending()), (service.digest("ana"), 0));
}

#[test]
fn a_seventeenth_source_is_refused_and_the_sixteen_go_on() {
    let mut service = Service::new();
    let name = |n: usize| format!("source-{n}");
    let of_all: Vec<Fact> = (0..SOURCES_MAX).map(|n| cell(ago(0), &name(n), 0, 1_000)).collect();
    assert_eq!(codes(&mut service, of_all), []);
    let facts = vec![
        cell(ago(1), &name(SOURCES_MAX), 0, 1),
        cell(ago(1), &name(3), 0, 2_000),
        cell(ago(1), &name(SOURCES_MAX), 0, 300_001),
        Fact::Attended(ago(1)),
    ];
    assert_eq!(codes(&mut service, facts), [Code::TooManySources, Code::ImplausibleSteps]);
    assert_eq!(service.store.read("ana").unwrap().source_names().count(), SOURCES_MAX);
    // On a device it is parked and visible.
    let mut phone = Phone::of("ana");
    phone.walk(ago(2), 4_000);
    phone.sync(&mut service);
    let parked = phone.book.parked().unwrap();
    assert_eq!((parked.len(), parked[0].code, phone.pending()), (1, Code::TooManySources, 0));
}
