//! Whose facts are whose, and two requests at once.

use std::collections::BTreeSet;

use manbo::delivery::{Batch, Identity, Next};
use manbo::{Code, Counts, Fact, GENERATION_LEAD_MAX, IngestPolicy, Register, Reply, Store, wire};

use super::world::{NOON_MS, Phone, Service, ago, at, options, source};

#[test]
fn facts_sent_with_somebody_elses_credentials_stay_where_they_are() {
    let mut service = Service::new();
    let (mut phone, mut other) = (Phone::of("ana"), Phone::of("ben"));
    phone.sync(&mut service);
    other.walk(ago(0), 1_111);
    other.sync(&mut service);
    let bens = service.digest("ben");
    phone.walk(ago(0), 8_000);
    phone.attend(ago(0));
    let state = phone.state();
    for _ in 0..3 {
        let batch = phone.upload();
        let http = service.post("ben", &wire::upload(&batch));
        assert_eq!(http.status, 409);
        let (problem, named) = wire::read_problem(http.body.as_bytes()).unwrap();
        assert_eq!(problem, wire::Problem::OtherLedger);
        assert_ne!(named, batch.identity, "it names the ledger of the credentials");
        let _ = phone.report(Some(batch.ticket), &http.outcome());
        assert_eq!((phone.state(), service.digest("ben")), (state.clone(), bens.clone()));
        let Next::Wait { until_ms } = phone.next() else { panic!("tried again later") };
        phone.now_ms = until_ms;
    }
    phone.sync(&mut service);
    assert_eq!((phone.pending(), phone.digest()), (0, service.digest("ana")));
    assert_eq!((service.digest("ben"), phone.notices.len()), (bens, 0));
}

#[test]
fn no_answer_for_one_person_changes_anothers_ledger() {
    let mut service = Service::new();
    let (mut phone, mut other) = (Phone::of("ana"), Phone::of("ben"));
    phone.sync(&mut service);
    other.sync(&mut service);
    other.walk(ago(0), 1_111);
    phone.walk(ago(0), 8_000);
    let batch = other.upload();
    let bens = service.post("ben", &wire::upload(&batch));
    let of = phone.upload().ticket;
    let state = phone.state();
    let _ = phone.report(Some(of), &bens.outcome());
    assert_eq!(phone.state(), state);
    service.erase("ben");
    let erased = service.post("ben", &wire::upload(&batch));
    assert_eq!(erased.status, 410);
    let told = phone.report(None, &erased.outcome());
    assert_eq!((told.notices.len(), phone.state()), (0, state));
}

#[test]
fn a_generation_that_no_erasure_explains_is_not_believed() {
    let mut service = Service::new();
    let known = service.post_facts("ana", vec![Fact::Attended(ago(0))]).receipt().identity;
    let mut post = |generation| {
        let identity = Some(Identity { generation, ..known.clone() });
        let batch = Batch { ticket: 0, identity, since: 0, facts: Vec::new() };
        (service.post("ana", &wire::upload(&batch)).status, service.facts("ana").len())
    };
    assert_eq!(post(u32::MAX), (409, 1));
    assert_eq!(post(GENERATION_LEAD_MAX + 1), (409, 1));
    assert_eq!(post(0), (200, 1));
    assert_eq!(post(GENERATION_LEAD_MAX).0, 200, "the server is a backup from before");
}

fn cell(days_ago: i32, name: &str, recorded: u32) -> Fact {
    let register = Register { epoch: 0, counts: Some(Counts::new(recorded, 0)) };
    Fact::Cell { day: ago(days_ago), source: source(name), register }
}

#[test]
fn two_requests_at_once_for_one_person_lose_nothing() {
    const REQUESTS: u32 = 60;
    let service = Service::new();
    let path = service.path();
    let work = |who: &'static str| {
        let path = path.clone();
        move || {
            let mut store = Store::open(path, &options().server("first life")).unwrap();
            let mut revisions = Vec::new();
            for n in 0..REQUESTS {
                // One cell that both raise, one that only this one has, and a user of its own beside it.
                let odd = u32::from(who == "watch");
                let facts = vec![cell(0, "shared", 1_000 + 2 * n + odd), cell(n.cast_signed(), who, 5_000)];
                let batch = Batch { ticket: 0, identity: None, since: 0, facts: facts.clone() };
                let batch = wire::read_upload(wire::upload(&batch).as_bytes()).unwrap();
                let policy = IngestPolicy::at(NOON_MS);
                for user in ["ana", who] {
                    let reply = store.ingest(user, who, &batch, policy, at(NOON_MS)).unwrap();
                    let Reply::Receipt { answer, .. } = reply else { panic!("{reply:?}") };
                    assert_eq!(answer.receipt.accepted, facts);
                    if user == "ana" {
                        revisions.push(answer.receipt.revision);
                    }
                }
            }
            revisions
        }
    };
    let revisions: Vec<Vec<u64>> = std::thread::scope(|threads| {
        let both = [threads.spawn(work("watch")), threads.spawn(work("garmin"))];
        both.map(|thread| thread.join().unwrap()).into()
    });
    let mut service = service;
    let facts = service.facts("ana");
    assert_eq!(u32::try_from(facts.len()), Ok(2 * REQUESTS + 1));
    assert!(facts.contains(&cell(0, "shared", 1_000 + 2 * (REQUESTS - 1) + 1)));
    // Each request changed something: each had a revision of its own, ever higher for each of the two.
    assert!(revisions.iter().all(|of_one| of_one.is_sorted()));
    let distinct: BTreeSet<u64> = revisions.concat().into_iter().collect();
    assert_eq!(distinct, (1..=u64::from(2 * REQUESTS)).collect());
    for who in ["watch", "garmin"] {
        assert_eq!(u32::try_from(service.facts(who).len()), Ok(REQUESTS + 1));
    }
    let mut tablet = Phone::of("ana");
    tablet.sync(&mut service);
    assert_eq!(tablet.digest(), service.digest("ana"));
}

#[test]
fn a_devices_file_is_no_servers() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("steps.db"), &options()).unwrap();
    let batch = Batch { ticket: 0, identity: None, since: 0, facts: vec![Fact::Attended(ago(0))] };
    let refused = store.ingest("ana", "phone", &batch, IngestPolicy::at(NOON_MS), at(NOON_MS)).unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
    assert_eq!(store.erase("ana", at(NOON_MS)).unwrap_err().code(), Code::Internal);
    assert_eq!(store.users().unwrap(), Vec::<String>::new());
}
