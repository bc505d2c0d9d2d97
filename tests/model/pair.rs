//! Two devices with their files, each beside its model: every step goes to both, then all is compared.

use std::collections::BTreeSet;

use manbo::{
    CellView, Change, Code, Correction, CounterReading, Day, DayState, Digest, Durability, Error, Fact, Now,
    Options, Reading, Receipt, Refused, Rules, Source, StepBook,
};
use proptest::test_runner::TestCaseError;

use crate::common::{Act, SPAN, day};
use crate::derived::{self, State};
use crate::device::{Cell, Clock, Device, Facts, Value};

type Check = Result<(), TestCaseError>;

/// Like an assertion, but for both a property and a plain test.
pub(crate) fn ensure_same<T: PartialEq + std::fmt::Debug>(what: &str, real: &T, model: &T) -> Check {
    if real == model {
        return Ok(());
    }
    Err(TestCaseError::fail(format!("{what}: the book has {real:?}, the model {model:?}")))
}

struct Twin {
    path: std::path::PathBuf,
    book: StepBook,
    other: StepBook,
    phone: u32,
    model: Device,
}

pub(crate) struct World {
    // Kept so that the folder lives as long as the files are open.
    _folder: tempfile::TempDir,
    rules: Rules,
    twins: [Twin; 2],
    clock: Clock,
    digests: Vec<(Facts, Digest)>,
    last_error: Option<Code>,
}

fn options(rules: Rules, phone: u32) -> Options {
    Options::new().rules(rules).durability(Durability::Normal).install_id(format!("phone-{phone}"))
}

impl Twin {
    fn new(folder: &std::path::Path, name: &str, rules: Rules) -> Twin {
        let path = folder.join(name);
        let book = StepBook::open(&path, &options(rules, 0)).unwrap();
        let other = StepBook::open(&path, &options(rules, 0)).unwrap();
        Twin { path, book, other, phone: 0, model: Device::default() }
    }

    fn reopen(&mut self, rules: Rules) {
        self.book = StepBook::open(&self.path, &options(rules, self.phone)).unwrap();
        self.other = StepBook::open(&self.path, &options(rules, self.phone)).unwrap();
    }
}

fn act(book: &mut StepBook, act: &Act, now: Now) -> Result<Vec<Change>, Error> {
    match act {
        Act::Read(reading) => book.record(reading, now),
        Act::Delete(deletion) => book.delete(deletion, now),
        Act::Correct(day, source, to) => {
            book.correct(&Correction { day: *day, source: *source, to: *to, reason: "support" }, now)
        }
        Act::Unpin(day, source) => book.unpin(*day, *source, now),
        Act::Count(day, source, since, count) => {
            let since = format!("boot-{since}");
            let reading = CounterReading { day: *day, source: *source, boot: &since, count: *count };
            book.count(&reading, now).map(|applied| applied.changes)
        }
        Act::Attend(day) => book.attend(*day, now).map(|()| Vec::new()),
        Act::Receive(fact) => book.receive(std::slice::from_ref(fact), now),
        Act::Merge(fact) => book.merge(std::slice::from_ref(fact), now),
    }
}

fn state(day: DayState) -> State {
    (day.shown, day.ranked, day.initial_level, day.level)
}

impl World {
    pub(crate) fn new(rules: Rules) -> World {
        let folder = tempfile::tempdir().unwrap();
        let twins = ["a.db", "b.db"].map(|name| Twin::new(folder.path(), name, rules));
        let clock = Clock { today: day(0), ms: 0 };
        World { _folder: folder, rules, twins, clock, digests: Vec::new(), last_error: None }
    }

    pub(crate) fn begin(&mut self, today: Day, ms: i64) {
        self.clock = Clock { today, ms };
        self.last_error = None;
    }

    fn now(&self) -> Now {
        Now { unix_ms: self.clock.ms, today: self.clock.today }
    }

    /// Compares what a call said with the model's verdict, and the changes with the naive difference.
    fn settle(
        &mut self,
        device: usize,
        before: &Device,
        real: Result<Vec<Change>, Error>,
        model: Result<(), Code>,
    ) -> Check {
        let real = real.map_err(|error| error.code());
        self.last_error = real.as_ref().err().copied();
        ensure_same("result", &real.as_ref().map(|_| ()).map_err(|code| *code), &model)?;
        let states = |device: &Device| derived::states(&derived::totals(&device.facts().0), &self.rules);
        let expected = derived::difference(&states(before), &states(&self.twins[device].model));
        let reported: Vec<_> = real
            .unwrap_or_default()
            .into_iter()
            .map(|change| (change.day, (change.before.map(state), change.after.map(state))))
            .collect();
        ensure_same("changes", &reported, &expected.into_iter().collect())
    }

    pub(crate) fn act(&mut self, device: usize, other: bool, what: &Act) -> Check {
        let (now, clock) = (self.now(), self.clock);
        let twin = &mut self.twins[device];
        let before = twin.model.clone();
        let real = act(if other { &mut twin.other } else { &mut twin.book }, what, now);
        let model = twin.model.act(what, clock);
        if model.is_err() {
            twin.model = before.clone();
        }
        self.settle(device, &before, real, model)
    }

    pub(crate) fn batch(&mut self, device: usize, other: bool, readings: &[Reading]) -> Check {
        let (now, clock) = (self.now(), self.clock);
        let twin = &mut self.twins[device];
        let before = twin.model.clone();
        let book = if other { &mut twin.other } else { &mut twin.book };
        let recorded = book.record_all(readings, now).unwrap();
        let mut refused = Vec::new();
        for (index, reading) in readings.iter().enumerate() {
            if let Err(code) = twin.model.act(&Act::Read(*reading), clock) {
                refused.push((index, code));
            }
        }
        let reported = recorded.refused.iter().map(|one| (one.index, one.refusal.code())).collect();
        ensure_same("refused", &reported, &refused)?;
        self.settle(device, &before, Ok(recorded.changes), Ok(()))
    }

    pub(crate) fn receive(&mut self, device: usize, facts: &[Fact]) -> Check {
        let (now, clock) = (self.now(), self.clock);
        let twin = &mut self.twins[device];
        let before = twin.model.clone();
        let real = twin.book.receive(facts, now);
        let model = twin.model.receive_all(facts, false, clock);
        self.settle(device, &before, real, model)
    }

    pub(crate) fn meet(&mut self, from: usize, into: usize) -> Check {
        let (now, clock) = (self.now(), self.clock);
        let facts = self.twins[from].book.ledger().unwrap().facts();
        let twin = &mut self.twins[into];
        let before = twin.model.clone();
        let real = twin.book.merge(&facts, now);
        let model = twin.model.receive_all(&facts, true, clock);
        self.settle(into, &before, real, model)
    }

    pub(crate) fn answer(&mut self, device: usize, taken: usize, refused: usize, news: &[Fact]) -> Check {
        let pending = self.twins[device].book.pending().unwrap();
        let taken = taken.min(pending.len());
        let refuse = |fact: &Fact| Refused { fact: *fact, code: Code::Unexplained };
        let receipt = Receipt {
            accepted: pending[..taken].to_vec(),
            refused: pending[taken..].iter().take(refused).map(refuse).collect(),
            facts: news.to_vec(),
            ..Receipt::default()
        };
        self.apply(device, &receipt)
    }

    pub(crate) fn late_answer(&mut self, device: usize, taken: &[Fact]) -> Check {
        self.apply(device, &Receipt { accepted: taken.to_vec(), ..Receipt::default() })
    }

    fn apply(&mut self, device: usize, receipt: &Receipt) -> Check {
        let (now, clock) = (self.now(), self.clock);
        let twin = &mut self.twins[device];
        let before = twin.model.clone();
        let real = twin.book.apply_receipt(receipt, now);
        let model = twin.model.answered(receipt, clock);
        self.settle(device, &before, real, model)
    }

    pub(crate) fn reopen(&mut self, device: usize) -> Check {
        self.twins[device].reopen(self.rules);
        ensure_same("moved", &self.twins[device].book.report().from_other_device, &false)
    }

    pub(crate) fn suspend(&mut self, device: usize, meanwhile: Option<&Act>) -> Check {
        let now = self.now();
        let book = &mut self.twins[device].book;
        book.suspend().unwrap();
        let closed = Some(Code::Closed);
        ensure_same("read", &book.statistics(now.today).err().map(|error| error.code()), &closed)?;
        ensure_same("write", &book.attend(now.today, now).err().map(|error| error.code()), &closed)?;
        if let Some(what) = meanwhile {
            self.act(device, true, what)?;
        }
        self.twins[device].book.resume().unwrap();
        Ok(())
    }

    pub(crate) fn new_phone(&mut self, device: usize) -> Check {
        let twin = &mut self.twins[device];
        twin.phone += 1;
        twin.reopen(self.rules);
        twin.model.moved_to_another_phone();
        ensure_same("moved", &twin.book.report().from_other_device, &true)
    }
}

/// What is compared.
impl World {
    pub(crate) fn cell(&mut self, device: usize, day: Day, source: Source) -> (u16, Value) {
        let register = self.twins[device].book.register(day, source).unwrap();
        (register.epoch, register.counts.map(|counts| (counts.recorded, counts.manual)))
    }

    pub(crate) fn reread(&mut self, device: usize) -> Vec<(Day, Source)> {
        self.twins[device].book.to_reread().unwrap()
    }

    pub(crate) fn last_error(&self) -> Option<Code> {
        self.last_error
    }

    pub(crate) fn compare(&mut self, device: usize) -> Check {
        let twin = &mut self.twins[device];
        let model = &twin.model;
        for book in [&twin.book, &twin.other] {
            let damage = (book.report().recovered.len(), book.report().set_aside.len());
            ensure_same("damaged files and rows", &damage, &(0, 0))?;
        }
        compare_cells(&twin.book.ledger().unwrap().cells(), model)?;
        ensure_same("re-read", &twin.book.to_reread().unwrap(), &model.to_reread())?;
        ensure_same("pending", &twin.book.pending_count().unwrap(), &model.pending_count())?;
        let pending = twin.book.pending().unwrap();
        ensure_same("pending facts", &pending.len(), &model.pending_count())?;
        ensure_same("newest first", &pending.is_sorted_by(|a, b| a.day() >= b.day()), &true)?;
        let expected = waiting(model);
        ensure_same("what is pending", &pending.iter().map(named).collect(), &expected)?;
        self.compare_derived(device)?;
        self.compare_digest(device)
    }

    fn compare_derived(&mut self, device: usize) -> Check {
        let today = self.clock.today;
        let twin = &mut self.twins[device];
        let (cells, attended) = twin.model.facts();
        let totals = derived::totals(&cells);
        let days = twin.book.days(Day::FIRST..Day::LAST.next()).unwrap();
        let days: Vec<(Day, State)> = days.into_iter().map(|(day, s)| (day, state(s))).collect();
        ensure_same("days", &days, &derived::states(&totals, &self.rules).into_iter().collect())?;
        for as_of in [day(-1), day(6), day(9), today.previous(), today, day(SPAN + 9)] {
            let expected = derived::statistics(&totals, &attended, &self.rules, as_of);
            ensure_same("statistics", &twin.book.statistics(as_of).unwrap(), &expected)?;
            let explained = twin.book.explain(as_of).unwrap();
            ensure_same("explained", &explained.level.level, &expected.current_level)?;
            ensure_same("attended", &explained.attended, &attended.contains(&as_of))?;
        }
        let last = totals.keys().next_back().copied().unwrap_or(today);
        ensure_same("as of", &twin.book.as_of(today).unwrap(), &last.max(today).min(today.next()))
    }

    /// Equal facts have equal digests, different facts different ones, across devices and time.
    fn compare_digest(&mut self, device: usize) -> Check {
        let digest = self.twins[device].book.digest().unwrap();
        let facts = self.twins[device].model.facts();
        let known = self.digests.iter().find(|(known, other)| (*known == facts) != (*other == digest));
        ensure_same("digest disagrees with the facts", &known.map(|(known, _)| known), &None)?;
        if !self.digests.iter().any(|(_, known)| *known == digest) {
            self.digests.push((facts, digest));
        }
        Ok(())
    }
}

fn compare_cells(real: &[CellView], model: &Device) -> Check {
    let plain = |cell: &CellView| {
        let reread = cell.reread;
        let value: Value = cell.recorded.map(|recorded| (recorded, cell.manual));
        let marks = (cell.read_here, cell.offset_minutes, cell.pending_since_ms, cell.parked, reread);
        ((cell.day, cell.source), (cell.epoch, value), marks)
    };
    let known = model.cells.iter().filter(|(_, cell)| **cell != Cell::default());
    let expected: Vec<_> = known
        .map(|(key, cell)| {
            let reread = cell.risen || cell.deletion_ignored;
            let marks = (cell.read_here, cell.offset, cell.pending_since, cell.parked, reread);
            (*key, (cell.epoch, cell.value), marks)
        })
        .collect();
    ensure_same("cells", &real.iter().map(plain).collect(), &expected)
}

/// A fact by its place: its value is compared with the cells.
fn named(fact: &Fact) -> (Day, Option<Source>) {
    match fact {
        Fact::Cell { day, source, .. } => (*day, Some(*source)),
        Fact::Attended(day) => (*day, None),
    }
}

fn waiting(model: &Device) -> BTreeSet<(Day, Option<Source>)> {
    let cells = model.cells.iter().filter(|(_, cell)| cell.pending_since.is_some());
    let days = model.attended.iter().filter(|(_, mark)| mark.pending_since.is_some());
    cells.map(|((day, source), _)| (*day, Some(*source))).chain(days.map(|(day, _)| (*day, None))).collect()
}
