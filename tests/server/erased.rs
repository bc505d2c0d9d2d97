//! An erasure: whatever comes back from a drawer, nothing that was erased comes back with it.

use manbo::delivery::{Next, Notice};
use manbo::{Fact, Reading};

use super::world::{Phone, Service, ago, day, source};

/// A source that only erased facts have.
const GONE: &str = "erase-me-without-a-trace";

fn walk_gone(device: &mut Phone, days: std::ops::Range<i32>) {
    for n in days {
        device.book.record(&Reading::new(ago(n), source(GONE), 8_000), device.now()).unwrap();
        device.attend(ago(n));
    }
}

fn gone(facts: &[Fact]) -> bool {
    facts.iter().all(|fact| !matches!(fact, Fact::Cell { source: name, .. } if *name == source(GONE)))
}

/// Whether any file of a folder holds the name of the source.
fn bytes_left(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).unwrap().any(|file| {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        content.windows(GONE.len()).any(|part| part == GONE.as_bytes())
    })
}

fn two_devices() -> (Service, Phone, Phone) {
    let mut service = Service::new();
    let (mut phone, mut tablet) = (Phone::of("ana"), Phone::of("ana"));
    walk_gone(&mut phone, 0..7);
    phone.sync(&mut service);
    tablet.sync(&mut service);
    (service, phone, tablet)
}

/// The device is told, tells the person, and follows.
#[track_caller]
fn follow(device: &mut Phone, service: &mut Service, generation: u32) {
    device.now_ms += super::world::DAY_MS;
    device.sync(service);
    assert_eq!(device.notices, [Notice::Erased { generation }]);
    assert!(!device.facts().is_empty(), "nothing goes before the person was told");
    assert_eq!(device.book.follow_erasure().unwrap(), Some(generation));
    device.notices.clear();
    assert_eq!(device.facts(), []);
    device.sync(service);
    assert_eq!(device.notices, []);
}

#[test]
fn an_old_device_is_told_and_what_is_walked_from_then_on_arrives() {
    let (mut service, mut phone, mut tablet) = two_devices();
    walk_gone(&mut tablet, 7..9);
    let proof = service.erase("ana");
    assert_eq!((proof.identity.generation, proof.at_ms), (1, service.now_ms));
    assert_eq!(service.facts("ana"), []);
    assert!(!bytes_left(service.folder.path()));
    for device in [&mut phone, &mut tablet] {
        device.now_ms += super::world::DAY_MS;
        let http = device.exchange(&mut service);
        assert_eq!(http.status, 410);
        for _ in 0..3 {
            // Nothing is sent before it is followed, also by a new process.
            device.reopen();
            assert_eq!(device.next(), Next::Idle);
            device.now_ms += super::world::DAY_MS;
        }
        device.walk(ago(0), 1);
        assert_eq!(device.book.follow_erasure().unwrap(), Some(1));
        device.sync(&mut service);
    }
    assert_eq!(service.facts("ana"), []);
    phone.walk(day("2022-10-05"), 3_000);
    phone.sync(&mut service);
    tablet.pull(&mut service);
    assert_eq!((tablet.facts().len(), tablet.digest()), (1, service.digest("ana")));
    assert_eq!((phone.stalls, tablet.stalls), (0, 0));
}

#[test]
fn an_old_backup_of_a_device_brings_nothing_back() {
    let mut service = Service::new();
    let mut phone = Phone::of("ana");
    walk_gone(&mut phone, 0..4);
    phone.sync(&mut service);
    walk_gone(&mut phone, 4..8);
    // In the backup, some days are at the server and some wait.
    let backup = phone.back_up();
    phone.sync(&mut service);
    service.erase("ana");
    follow(&mut phone, &mut service, 1);
    phone.walk(ago(0), 3_000);
    phone.sync(&mut service);
    let digest = service.digest("ana");
    phone.restore(&backup);
    assert_eq!(phone.pending(), 8);
    follow(&mut phone, &mut service, 1);
    assert_eq!((phone.digest(), service.digest("ana")), (digest.clone(), digest));
    assert!(gone(&phone.facts()) && gone(&service.facts("ana")));
}

#[test]
fn an_old_backup_of_the_server_brings_nothing_back() {
    let (mut service, mut phone, mut tablet) = two_devices();
    let mut third = Phone::of("ana");
    let backup = service.back_up();
    service.erase("ana");
    follow(&mut phone, &mut service, 1);
    phone.walk(ago(0), 3_000);
    phone.sync(&mut service);
    for begins_new_life in [false, true] {
        service.restore(&backup);
        if begins_new_life {
            service.store.begin_incarnation("second life").unwrap();
        }
        assert!(!gone(&service.facts("ana")), "the backup has it");
        // Whoever knows of the erasure tells the server.
        phone.pull(&mut service);
        assert!(!bytes_left(service.folder.path()), "what a device told of is on the disk");
        assert_eq!((phone.facts().len(), phone.pending()), (1, 0));
        assert_eq!(phone.digest(), service.digest("ana"));
        assert!(gone(&service.facts("ana")));
        assert!(gone(&service.store.history("ana").unwrap().iter().map(|e| e.after).collect::<Vec<_>>()));
        // One that slept through everything, and one that never was here.
        if !begins_new_life {
            follow(&mut tablet, &mut service, 1);
        }
        tablet.pull(&mut service);
        third.pull(&mut service);
        assert_eq!((tablet.digest(), third.digest()), (phone.digest(), phone.digest()));
    }
}

#[test]
fn erased_twice_and_erased_by_one_who_never_sent_anything() {
    let (mut service, mut phone, mut tablet) = two_devices();
    assert_eq!(service.erase("ana").identity.generation, 1);
    phone.now_ms += super::world::DAY_MS;
    phone.sync(&mut service);
    assert_eq!(service.erase("ana").identity.generation, 2);
    // The phone follows the first, and then hears of the second.
    assert_eq!(phone.book.follow_erasure().unwrap(), Some(1));
    walk_gone(&mut phone, 0..2);
    phone.notices.clear();
    follow(&mut phone, &mut service, 2);
    follow(&mut tablet, &mut service, 2);
    assert_eq!(service.facts("ana"), []);

    let first = service.erase("nobody");
    assert_eq!((first.identity.generation, service.erase("nobody").identity.generation), (1, 2));
    assert_ne!(first.identity.ledger, service.erase("ana").identity.ledger);
    let mut nobody = Phone::of("nobody");
    nobody.walk(ago(0), 5_000);
    nobody.sync(&mut service);
    assert_eq!((nobody.pending(), nobody.digest()), (0, service.digest("nobody")));
    assert_eq!(nobody.notices, []);
}

#[test]
fn a_device_whose_delivery_state_was_damaged_still_hears_of_the_erasure() {
    let (mut service, mut phone, _) = two_devices();
    walk_gone(&mut phone, 7..9);
    phone.book.suspend().unwrap();
    let file = rusqlite::Connection::open(phone.path()).unwrap();
    let damaged = file.execute("UPDATE meta SET value = '{' WHERE key = 'delivery:'", []).unwrap();
    assert_eq!(damaged, 1);
    drop(file);
    phone.reopen();
    service.erase("ana");
    phone.pull(&mut service);
    let _ = phone.book.follow_erasure().unwrap();
    phone.sync(&mut service);
    assert!(gone(&service.facts("ana")), "erased facts reappeared on the server");
    assert!(gone(&phone.facts()), "erased facts stayed on the device");
}

#[test]
fn answers_from_before_the_erasure_change_nothing() {
    let (mut service, mut phone, _) = two_devices();
    walk_gone(&mut phone, 7..9);
    let batch = phone.upload();
    let late = service.post("ana", &manbo::wire::upload(&batch));
    service.erase("ana");
    let erased = service.post("ana", &manbo::wire::upload(&batch));
    let _ = phone.report(Some(batch.ticket), &erased.outcome());
    assert_eq!(phone.book.follow_erasure().unwrap(), Some(1));
    phone.walk(ago(0), 3_000);
    for http in [&late, &erased] {
        for of in [Some(batch.ticket), None] {
            let told = phone.report(of, &http.outcome());
            assert_eq!((told.changes.len(), told.notices.len()), (0, 0));
            assert_eq!((phone.facts().len(), phone.pending()), (1, 1));
        }
    }
    phone.notices.clear();
    phone.sync(&mut service);
    assert_eq!((phone.pending(), service.facts("ana").len()), (0, 1));
}

/// The device has nothing of its own since the erasure: its empty batch alone tells the server.
#[test]
fn an_empty_batch_of_a_later_generation_erases_an_old_backup_of_the_server() {
    let (mut service, mut phone, mut tablet) = two_devices();
    let backup = service.back_up();
    service.erase("ana");
    follow(&mut phone, &mut service, 1);
    service.restore(&backup);
    phone.pull(&mut service);
    assert_eq!(
        service.facts("ana"),
        [],
        "the receipt named generation 1, and the erased facts are still there"
    );
    follow(&mut tablet, &mut service, 1);
}

#[test]
fn a_server_that_learns_of_an_erasure_from_a_device_is_sent_everything_since() {
    let (mut service, mut phone, mut tablet) = two_devices();
    let backup = service.back_up();
    service.erase("ana");
    follow(&mut phone, &mut service, 1);
    follow(&mut tablet, &mut service, 1);
    phone.walk(ago(0), 3_000);
    phone.sync(&mut service);
    tablet.walk(ago(1), 4_000);
    tablet.sync(&mut service);
    service.restore(&backup);
    // The phone tells the server, and is soon further than the tablet ever was.
    phone.pull(&mut service);
    for n in 1..5 {
        phone.walk(ago(0), 3_000 + n);
        phone.sync(&mut service);
    }
    tablet.pull(&mut service);
    phone.pull(&mut service);
    assert_eq!(tablet.digest(), service.digest("ana"), "what only the tablet had is lost on the server");
    assert_eq!(phone.digest(), service.digest("ana"));
}
