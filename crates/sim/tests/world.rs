//! The worlds: many schedules without a failure, the same each time, and teeth that bite where something is
//! broken on purpose.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is not there")]

use manbo::delivery::{Health, Moment, Next, Outcome, Reported, Ticket};
use manbo::{Ledger, Now};
use manbo_sim::bench::{Bench, Plan, Tally, run_plan};
use manbo_sim::doors::model::ModelDoors;
use manbo_sim::doors::{Book, Change, Done, Doors, Failed, Held, Request, ServerCrash, ServerState};
use manbo_sim::event::{Act, Config, Event, Fate, Fault, Schedule, StoreKind};
use manbo_sim::generate;
use manbo_sim::shrink::Shrinker;
use manbo_sim::world::{Extras, Invariant, run};

fn run_many(store: StoreKind, schedules: u64) -> Tally {
    run_plan(Plan { store, first_seed: 0, schedules: Some(schedules), time: None, threads: 2, failures: 3 })
}

#[track_caller]
fn assert_whole(tally: &Tally, schedules: u64) {
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert_eq!(tally.schedules, schedules);
    assert!(tally.counters.crashes > schedules / 4, "{tally}");
    assert!(tally.counters.receipts > schedules, "{tally}");
}

#[test]
fn worlds_in_memory_hold() {
    assert_whole(&run_many(StoreKind::Model, 2_000), 2_000);
}

#[test]
fn worlds_on_sqlite_hold() {
    assert_whole(&run_many(StoreKind::Sqlite, 200), 200);
}

#[test]
fn a_seed_is_always_the_same_run() {
    for store in [StoreKind::Model, StoreKind::Sqlite] {
        let mut hashes = Vec::new();
        for seed in 0..12 {
            let schedule = generate::schedule(seed, store);
            assert_eq!(schedule, generate::schedule(seed, store));
            let once = Bench::default().run(&schedule);
            assert_eq!(once, Bench::default().run(&schedule), "{store:?} {seed}");
            hashes.push(once.trace_hash);
        }
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 12, "other seeds are other runs");
    }
}

#[test]
fn a_schedule_survives_its_file_and_a_wrong_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedule.json");
    for store in [StoreKind::Model, StoreKind::Sqlite] {
        for seed in 0..50 {
            let schedule = generate::schedule(seed, store);
            std::fs::write(&file, serde_json::to_string(&schedule).unwrap()).unwrap();
            let read: Schedule = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            assert_eq!(read, schedule);
        }
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(serde_json::from_str::<Schedule>(&text[..text.len() / 2]).is_err());
    assert!(serde_json::from_str::<Schedule>(&text.replace("sync", "sink")).is_err());
}

#[test]
fn a_story_tells_every_event() {
    let schedule = generate::schedule(5, StoreKind::Model);
    let mut story = Vec::new();
    let told = Bench::default().run_with(&schedule, Extras { coverage: None, story: Some(&mut story) });
    assert_eq!(told, Bench::default().run(&schedule), "telling changes nothing");
    assert!(story.len() > schedule.events.len());
}

#[test]
fn the_table_counts_faults_by_state() {
    let tally = run_many(StoreKind::Model, 300);
    let blind = tally.coverage.blind(1).len();
    let none = tally.coverage.blind(u64::MAX).len();
    assert!(blind < none / 2, "{blind} of {none} cells were never met");
    assert!(tally.coverage.to_string().contains("reply lost"));
}

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tooth {
    /// A success that stores nothing, every seventh time.
    ForgottenReading,
    /// A batch that the server loses although it answered it before.
    DeafServer,
    /// A machine that forgets what it waits for.
    Impatience,
    /// A book that gives another person's facts.
    WrongPerson,
}

/// The doors in memory with one thing broken.
struct Broken {
    inner: ModelDoors,
    tooth: Tooth,
    calls: u64,
}

impl Broken {
    fn new(tooth: Tooth) -> Broken {
        Broken { inner: ModelDoors::default(), tooth, calls: 0 }
    }
}

impl Doors for Broken {
    fn begin(&mut self, config: &Config) {
        self.calls = 0;
        self.inner.begin(config);
    }

    fn change(&mut self, book: Book, change: &Change<'_>, now: Now, fault: Option<Fault>) -> Done<()> {
        if self.tooth == Tooth::ForgottenReading && matches!(change, Change::Read(_)) {
            self.calls += 1;
            if self.calls.is_multiple_of(7) {
                return Ok(());
            }
        }
        self.inner.change(book, change, now, fault)
    }

    fn next(&mut self, book: Book, moment: Moment, fault: Option<Fault>) -> Done<Next> {
        let next = self.inner.next(book, moment, fault)?;
        let impatient = self.tooth == Tooth::Impatience && matches!(next, Next::Wait { .. });
        Ok(if impatient { Next::Idle } else { next })
    }

    fn report(
        &mut self,
        book: Book,
        of: Option<Ticket>,
        outcome: &Outcome,
        moment: Moment,
        fault: Option<Fault>,
    ) -> Done<Reported> {
        self.inner.report(book, of, outcome, moment, fault)
    }

    fn follow(&mut self, book: Book, fault: Option<Fault>) -> Done<Option<u32>> {
        self.inner.follow(book, fault)
    }

    fn look(&mut self, book: Book) -> Done<&Ledger> {
        let swapped = self.tooth == Tooth::WrongPerson && book.user == 2;
        self.inner.look(if swapped { Book { user: 1, ..book } } else { book })
    }

    fn health(&mut self, book: Book, now: Now) -> Done<Health> {
        self.inner.health(book, now)
    }

    fn sign_in(&mut self, book: Book, user: u8, now: Now) -> Done<()> {
        self.inner.sign_in(book, user, now)
    }

    fn kill(&mut self, handle: usize) {
        self.inner.kill(handle);
    }

    fn power(&mut self, device: usize, image: u16) {
        self.inner.power(device, image);
    }

    fn suspend(&mut self, book: Book) -> Held {
        self.inner.suspend(book)
    }

    fn resume(&mut self, book: Book) -> Done<()> {
        self.inner.resume(book)
    }

    fn backup(&mut self, device: usize) {
        self.inner.backup(device);
    }

    fn restore(&mut self, device: usize, other_phone: bool) {
        self.inner.restore(device, other_phone);
    }

    fn knows_phones(&self) -> bool {
        self.inner.knows_phones()
    }

    fn serve(&mut self, server: usize, request: Request<'_>, crash: Option<ServerCrash>) -> Done<Outcome> {
        if self.tooth == Tooth::DeafServer && request.batch.facts.len() > 2 {
            return Err(Failed::Crashed);
        }
        self.inner.serve(server, request, crash)
    }

    fn moderate(&mut self, user: u8, change: &Change<'_>, now: Now) -> Done<()> {
        self.inner.moderate(user, change, now)
    }

    fn erase(&mut self, user: u8, now: Now) -> Done<()> {
        self.inner.erase(user, now)
    }

    fn server(&mut self, user: u8) -> Done<ServerState<'_>> {
        self.inner.server(user)
    }

    fn server_backup(&mut self) {
        self.inner.server_backup();
    }

    fn server_restore(&mut self) {
        self.inner.server_restore();
    }
}

#[test]
fn what_is_broken_on_purpose_is_found_and_shrunk() {
    for (tooth, events_at_most) in [
        (Tooth::ForgottenReading, 8),
        (Tooth::DeafServer, 6),
        (Tooth::Impatience, 4),
        (Tooth::WrongPerson, 4),
    ] {
        let mut doors = Broken::new(tooth);
        let (schedule, failure) = (0..500)
            .find_map(|seed| {
                let schedule = generate::schedule(seed, StoreKind::Model);
                let failure = run(&schedule, &mut doors).failure?;
                Some((schedule, failure))
            })
            .unwrap_or_else(|| panic!("{tooth:?} was not found"));
        let small = Shrinker::new(&mut doors, failure.invariant).shrink(&schedule);
        assert!(small.events.len() <= events_at_most, "{tooth:?}: {small:?}");
        let again = run(&small, &mut doors).failure.unwrap();
        assert_eq!(again.invariant, failure.invariant, "{tooth:?}");
        assert!(run(&small, &mut ModelDoors::default()).failure.is_none(), "{tooth:?}: {small:?}");
    }
}

#[test]
fn an_event_that_lost_its_meaning_does_nothing() {
    let config = Config {
        store: StoreKind::Model,
        users: 1,
        devices: vec![1],
        handles: vec![0],
        servers: 1,
        rules: 0,
        server_rules: 1,
        tickets: true,
    };
    let events = vec![
        Event::Deliver { message: 9, server: 9, fault: None },
        Event::Lose { message: 200 },
        Event::GiveUp { at: 77 },
        Event::Restore { at: 5, other_phone: true },
        Event::Resume { at: 3 },
        Event::App { at: 250, act: Act::Retry { nth: 250 }, fault: None },
        Event::Sync { at: 250, server: 250, fate: Fate::Twice, fault: None },
        Event::ServerRestore { recovery: true },
        Event::Pass { step: 255 },
    ];
    for store in [StoreKind::Model, StoreKind::Sqlite] {
        let schedule = Schedule { config: Config { store, ..config.clone() }, events: events.clone() };
        assert_eq!(Bench::default().run(&schedule).failure, None);
    }
}

#[test]
fn every_invariant_has_a_column() {
    assert_ne!(Invariant::I1.column(), Invariant::I5.column());
    assert_ne!(Invariant::I12.column(), Invariant::I6.column());
}

/// A trigger whose flush failed stands in the log after all, and a kill brings it back.
const TRIGGER_COMES_BACK: &str = r#"{"config":{"store":"sqlite","users":1,"devices":[1],"handles":[0],
    "servers":1,"rules":0,"server_rules":1,"tickets":true},"events":[
    {"sync":{"at":0,"server":1,"fate":"fine","fault":null}},
    {"app":{"at":0,"act":"connectivity","fault":{"kind":"flush_fails","at":0,"image":0}}},
    {"pass":{"step":7}},
    {"sync":{"at":0,"server":1,"fate":"late","fault":null}},
    {"kill":{"at":0}},
    {"sync":{"at":0,"server":1,"fate":"fine","fault":null}}]}"#;

/// A day begins between the first device's last question and the other's, which then has a fact to offer.
const DAY_BEGINS_AMID_HEALING: &str = r#"{"config":{"store":"model","users":1,"devices":[1,1],"handles":[0,1],
    "servers":1,"rules":0,"server_rules":1,"tickets":true},"events":[
    {"pass":{"step":8}},{"pass":{"step":7}},{"pass":{"step":5}},{"pass":{"step":8}},{"pass":{"step":10}},
    {"pass":{"step":10}},{"pass":{"step":8}},
    {"app":{"at":1,"act":{"read":{"day":7,"source":0,"recorded":0,"manual":0,"full":false,"zone":0}},
        "fault":null}},
    {"pass":{"step":5}}]}"#;

/// A phone that begins with another's empty backup, and hears what that other one had asked.
const ANSWER_TO_ANOTHER_PHONE: &str = r#"{"config":{"store":"sqlite","users":1,"devices":[1],"handles":[0],
    "servers":1,"rules":0,"server_rules":1,"tickets":true},"events":[
    {"backup":{"at":0}},{"app":{"at":0,"act":"flush","fault":null}},
    {"app":{"at":0,"act":{"read":{"day":0,"source":0,"recorded":0,"manual":0,"full":false,"zone":0}},
        "fault":null}},
    {"pass":{"step":11}},
    {"sync":{"at":0,"server":1,"fate":"fine","fault":null}},
    {"restore":{"at":0,"other_phone":true}},
    {"app":{"at":0,"act":"flush","fault":{"kind":"torn","at":4,"image":0}}}]}"#;

#[test]
fn nothing_is_asked_that_was_not_promised() {
    for schedule in [TRIGGER_COMES_BACK, DAY_BEGINS_AMID_HEALING, ANSWER_TO_ANOTHER_PHONE] {
        let schedule: Schedule = serde_json::from_str(schedule).unwrap();
        assert_eq!(Bench::default().run(&schedule).failure, None);
    }
}
