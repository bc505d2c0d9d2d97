//! What was erased on a server comes back neither by signing in nor by an export.

use manbo::delivery::{Identity, Next, Notice};
use manbo::{Fact, Imported, Options, Reply, StepBook, Store};

use crate::{day, moment, now, open, record, send, sync};

struct World {
    folder: tempfile::TempDir,
    server: Store,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new().server("nonce");
        let server = Store::open(folder.path().join("server.db"), &options).unwrap();
        World { folder, server }
    }

    fn book(&self, user: &str) -> StepBook {
        StepBook::open(self.folder.path().join("steps.db"), &Options::new().user(user)).unwrap()
    }

    fn sync(&mut self, book: &mut StepBook) {
        sync(book, &mut self.server, "ana");
    }

    fn facts(&mut self) -> Vec<Fact> {
        self.server.read("ana").unwrap().facts()
    }

    /// The server erases, and the device hears of it and follows.
    fn erase_and_follow(&mut self, book: &mut StepBook) {
        let generation = self.server.erase("ana", now()).unwrap().identity.generation;
        self.follow(book, generation);
    }

    fn follow(&mut self, book: &mut StepBook, generation: u32) {
        record(book, "2022-10-04", 1);
        let Next::Upload(batch) = book.next_delivery(moment()).unwrap() else { panic!("a batch") };
        let (reply, reported) = send(book, &mut self.server, "ana", &batch);
        assert!(matches!(reply, Reply::Erased(Identity { .. })), "{reply:?}");
        assert_eq!(reported.notices, [Notice::Erased { generation }]);
        assert_eq!(book.follow_erasure().unwrap(), Some(generation));
    }
}

fn exported(book: &mut StepBook) -> Vec<u8> {
    let mut file = Vec::new();
    book.export(&mut file).unwrap();
    file
}

fn generation(file: &[u8]) -> u64 {
    let header = file.split(|byte| *byte == b'\n').next().unwrap();
    let header: serde_json::Value = serde_json::from_slice(header).unwrap();
    header["generation"].as_u64().unwrap()
}

fn steps(book: &mut StepBook, on: &str) -> Option<u32> {
    book.day(day(on)).unwrap().map(|day| day.shown)
}

#[test]
fn what_was_recorded_signed_out_before_an_erasure_does_not_come_back_by_signing_in() {
    let mut world = World::new();
    let (mut phone, mut widget) = (world.book(""), world.book("ana"));
    record(&mut phone, "2022-10-02", 12_000);
    world.sync(&mut phone);
    record(&mut phone, "2022-10-03", 9_000);
    record(&mut widget, "2022-10-01", 500);
    world.sync(&mut widget);
    world.erase_and_follow(&mut widget);
    assert_eq!(world.facts(), []);
    record(&mut widget, "2022-10-04", 700);
    // The signed-out ledger has not heard of it.
    assert!(phone.sign_in("ana", now()).unwrap().is_empty());
    assert_eq!((steps(&mut phone, "2022-10-02"), steps(&mut phone, "2022-10-03")), (None, None));
    assert_eq!(steps(&mut phone, "2022-10-04"), Some(700));
    world.sync(&mut phone);
    assert_eq!(world.facts().len(), 1);
    // It is gone, and what is recorded from here on goes to the user again.
    phone.sign_out();
    assert!(phone.ledger().unwrap().facts().is_empty());
    record(&mut phone, "2022-10-04", 900);
    assert_eq!(phone.sign_in("ana", now()).unwrap().len(), 1);
    assert_eq!(steps(&mut phone, "2022-10-04"), Some(900));
}

#[test]
fn what_was_recorded_signed_out_in_the_same_generation_goes_to_the_user() {
    let mut world = World::new();
    let (mut phone, mut widget) = (world.book(""), world.book("ana"));
    record(&mut widget, "2022-10-01", 500);
    world.sync(&mut widget);
    world.erase_and_follow(&mut widget);
    record(&mut phone, "2022-10-02", 12_000);
    world.sync(&mut phone);
    record(&mut phone, "2022-10-03", 9_000);
    assert_eq!(phone.sign_in("ana", now()).unwrap().len(), 2);
    assert_eq!(steps(&mut phone, "2022-10-03"), Some(9_000));
}

#[test]
fn what_was_recorded_signed_out_after_an_erasure_waits_until_the_user_has_followed_it() {
    let mut world = World::new();
    let (mut phone, mut widget) = (world.book(""), world.book("ana"));
    record(&mut widget, "2022-10-01", 500);
    world.sync(&mut widget);
    world.server.erase("ana", now()).unwrap();
    // Signed out, the phone meets the server after the erasure.
    record(&mut phone, "2022-10-02", 12_000);
    world.sync(&mut phone);
    record(&mut phone, "2022-10-03", 9_000);
    assert!(phone.sign_in("ana", now()).unwrap().is_empty());
    assert_eq!((steps(&mut phone, "2022-10-01"), steps(&mut phone, "2022-10-03")), (Some(500), None));
    world.follow(&mut phone, 1);
    assert_eq!(steps(&mut phone, "2022-10-01"), None);
    assert_eq!(
        phone.sign_in("ana", now()).unwrap().len(),
        2,
        "joined to what is erased, it had gone with it"
    );
    assert_eq!(
        (steps(&mut phone, "2022-10-02"), steps(&mut phone, "2022-10-03")),
        (Some(12_000), Some(9_000))
    );
    world.sync(&mut phone);
    assert_eq!(world.facts().len(), 2);
}

#[test]
fn ledgers_of_two_servers_have_no_generation_in_common() {
    let mut world = World::new();
    let other = Options::new().server("another nonce");
    let mut other = Store::open(world.folder.path().join("other.db"), &other).unwrap();
    let (mut phone, mut widget) = (world.book(""), world.book("ana"));
    record(&mut phone, "2022-10-02", 12_000);
    sync(&mut phone, &mut other, "guest");
    record(&mut widget, "2022-10-01", 500);
    world.sync(&mut widget);
    world.erase_and_follow(&mut widget);
    assert_eq!(phone.sign_in("ana", now()).unwrap().len(), 1);
    assert_eq!(steps(&mut phone, "2022-10-02"), Some(12_000));
}

#[test]
fn the_export_of_a_device_tells_the_generation_that_its_server_named() {
    let mut world = World::new();
    let mut phone = world.book("ana");
    record(&mut phone, "2022-10-01", 500);
    assert_eq!(generation(&exported(&mut phone)), 0);
    world.sync(&mut phone);
    let before = exported(&mut phone);
    assert_eq!(generation(&before), 0);
    for _ in 0..3 {
        world.erase_and_follow(&mut phone);
        world.sync(&mut phone);
    }
    record(&mut phone, "2022-10-04", 700);
    let file = exported(&mut phone);
    assert_eq!(generation(&file), 3);

    // It is kept by a device that no server has told, and by a server.
    let import =
        |book: &mut StepBook, file: &[u8]| -> Imported { book.import(&mut &file[..], now()).unwrap() };
    let mut other = open(&world.folder.path().join("other.db"));
    assert_eq!(import(&mut other, &file).generation, 3);
    assert_eq!(exported(&mut other), file);
    let mut server = Store::open(world.folder.path().join("two.db"), &Options::new().server("two")).unwrap();
    assert_eq!(server.import("ana", &mut &file[..], now()).unwrap().generation, 3);
    // And a file from before the erasures does not lower it.
    phone.erase(None).unwrap();
    assert_eq!(import(&mut phone, &before).generation, 3);
    assert_eq!(generation(&exported(&mut phone)), 3);
}
