//! A server that was restored from an old copy of its file: every device sends again, and nothing is lost.

use manbo::delivery::Notice;
use manbo::{Counts, Deletion};

use super::world::{DAY_MS, Phone, Service, ago, source};

/// Two devices over two weeks, with a copy of the server's file from between them.
struct Weeks {
    service: Service,
    phone: Phone,
    tablet: Phone,
    copy: Vec<u8>,
    /// What everyone knew before the disaster.
    digest: String,
}

impl Weeks {
    fn new() -> Weeks {
        let mut service = Service::new();
        let (mut phone, mut tablet) = (Phone::of("ana"), Phone::of("ana"));
        for n in 7..14 {
            phone.walk(ago(n), 8_000);
            tablet.attend(ago(n));
        }
        phone.sync(&mut service);
        tablet.sync(&mut service);
        phone.pull(&mut service);
        let copy = service.back_up();
        for n in 0..7 {
            phone.walk(ago(n), 9_000);
            phone.sync(&mut service);
            tablet.attend(ago(n));
            let garmin = manbo::Reading::new(ago(n), source("garmin"), 9_500);
            tablet.book.record(&garmin, tablet.now()).unwrap();
            tablet.sync(&mut service);
        }
        // An old day went down by a new epoch: that must not come back up.
        let deletion = Deletion { day: ago(10), source: source("watch"), left: Some(Counts::new(2_000, 0)) };
        phone.book.delete(&deletion, phone.now()).unwrap();
        phone.sync(&mut service);
        tablet.pull(&mut service);
        phone.pull(&mut service);
        let digest = service.digest("ana");
        assert_eq!((phone.digest(), tablet.digest()), (digest.clone(), digest.clone()));
        Weeks { service, phone, tablet, copy, digest }
    }

    fn restore(&mut self, begins_new_life: bool) {
        self.service.restore(&self.copy);
        assert_ne!(self.service.digest("ana"), self.digest, "the copy is older");
        if begins_new_life {
            self.service.store.begin_incarnation("second life").unwrap();
        }
    }
}

#[test]
fn every_device_sends_again_and_nothing_is_lost() {
    for begins_new_life in [true, false] {
        for phone_first in [true, false] {
            let mut weeks = Weeks::new();
            weeks.restore(begins_new_life);
            let Weeks { service, phone, tablet, digest, .. } = &mut weeks;
            let order = if phone_first { [&mut *phone, &mut *tablet] } else { [&mut *tablet, &mut *phone] };
            for device in order {
                device.pull(service);
                let case = format!("new life {begins_new_life}, phone first {phone_first}");
                assert_eq!(device.notices, [Notice::ServerRestored], "{case}");
                assert_eq!((device.pending(), device.stalls), (0, 0), "{case}");
                assert_eq!(
                    (device.digest(), service.digest("ana")),
                    (digest.clone(), digest.clone()),
                    "{case}"
                );
            }
            // A device that was further than the restored server may begin one more life for all of them.
            phone.pull(service);
            tablet.pull(service);
            // Then it is over: nobody is told again, and nothing is sent again.
            for device in [phone, tablet] {
                device.notices.clear();
                let sent = device.sent;
                device.pull(service);
                assert_eq!((device.notices.len(), device.sent - sent), (0, 1));
            }
        }
    }
}

#[test]
fn a_device_that_comes_when_the_others_have_overtaken_it_notices_the_new_life() {
    let mut weeks = Weeks::new();
    weeks.restore(true);
    let Weeks { service, phone, tablet, .. } = &mut weeks;
    // The tablet alone has this, and was at the old server with it.
    let known = service.store.read("ana").unwrap().revision();
    for n in 0..40 {
        phone.walk(ago(0), 9_001 + n);
        phone.sync(service);
    }
    assert!(service.store.read("ana").unwrap().revision() > known + 30);
    tablet.pull(service);
    assert_eq!(tablet.notices, [Notice::ServerRestored]);
    assert_eq!((tablet.pending(), tablet.digest()), (0, service.digest("ana")));
    let attended =
        |facts: Vec<manbo::Fact>| facts.iter().filter(|f| matches!(f, manbo::Fact::Attended(_))).count();
    assert_eq!(attended(service.facts("ana")), 14, "all that only the tablet had recorded");
}

#[test]
fn a_device_with_much_to_send_meets_the_restored_server() {
    for begins_new_life in [true, false] {
        let mut weeks = Weeks::new();
        weeks.restore(begins_new_life);
        let Weeks { service, phone, tablet, .. } = &mut weeks;
        let readings: Vec<manbo::Reading> =
            (20..1_020).map(|n| manbo::Reading::new(ago(n), source("garmin"), 6_000)).collect();
        let _ = tablet.book.record_all(&readings, tablet.now()).unwrap();
        tablet.sync(service);
        phone.pull(service);
        tablet.pull(service);
        assert_eq!((tablet.pending(), phone.pending()), (0, 0));
        assert_eq!((tablet.digest(), phone.digest()), (service.digest("ana"), service.digest("ana")));
        assert!(tablet.notices.contains(&Notice::ServerRestored), "new life {begins_new_life}");
    }
}

#[test]
fn a_batch_that_was_on_its_way_when_the_server_was_lost_is_not() {
    let mut weeks = Weeks::new();
    let Weeks { service, phone, .. } = &mut weeks;
    phone.walk(ago(0), 12_000);
    let batch = phone.upload();
    let before = service.post("ana", &manbo::wire::upload(&batch));
    weeks.restore(true);
    let Weeks { service, phone, tablet, .. } = &mut weeks;
    // The answer of the life that is lost: the fact counts as delivered, until the new life is seen.
    let _ = phone.report(Some(batch.ticket), &before.outcome());
    assert_eq!(phone.pending(), 0);
    phone.now_ms += DAY_MS;
    phone.sync(service);
    tablet.pull(service);
    assert_eq!(tablet.book.day(ago(0)).unwrap().unwrap().shown, 12_000);
    assert_eq!((phone.digest(), tablet.digest()), (service.digest("ana"), service.digest("ana")));
}

#[test]
fn a_life_begins_only_on_a_servers_file() {
    let mut service = Service::new();
    service.store.begin_incarnation("second").unwrap();
    let first = service.post_facts("ana", Vec::new()).receipt();
    service.store.begin_incarnation("third").unwrap();
    let second = service.post_facts("ana", Vec::new()).receipt();
    assert_eq!(first.identity, second.identity, "the ledger keeps its name");
    assert_ne!(first.incarnation, second.incarnation);
    let folder = tempfile::tempdir().unwrap();
    let mut device = manbo::Store::open(folder.path().join("steps.db"), &super::world::options()).unwrap();
    assert_eq!(device.begin_incarnation("x").unwrap_err().code(), manbo::Code::Internal);
}
