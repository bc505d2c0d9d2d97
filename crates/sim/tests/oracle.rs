//! The oracle against the contract's own vectors, worked by hand, and against the library, at random.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is not there")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use fastrand::Rng;
use manbo::{
    Code, Correction, CounterReading, Counts, Day, Deletion, Fact, GapPolicy, IngestPolicy, Ledger, Level,
    LevelRules, Now, Operation, Reading, Receipt, Refusal, Register, Source, StatRules, UtcOffset, WeekStart,
};
use manbo_sim::oracle::limits::{FIRST_DAY, LAST_DAY, STEPS};
use manbo_sim::oracle::{
    DayNumber, DayNumbers, Item, Moderation, Refused, Replica, Rules, ServerReplica, SourceNumber, Value,
    Verdicts, days, numbers,
};

/// Sequences of a usual run; `MANBO_ORACLE_SEQUENCES` asks for more, `MANBO_ORACLE_SEED` for others.
const SEQUENCES: u64 = 5_000;
/// Events of a usual sequence, and of one that is to reach the limit of sources.
const EVENTS: (usize, usize) = (30, 90);
/// The server's place beside the two devices.
const SERVER: usize = 2;

// ---- From the oracle's plain numbers to the library's types.

fn source(number: SourceNumber) -> Source {
    Source::new(&format!("source-{number:02}")).unwrap()
}

fn number(source: Source) -> SourceNumber {
    source.as_str()["source-".len()..].parse().unwrap()
}

fn day(number: DayNumber) -> Day {
    Day::from_number(number).unwrap()
}

fn counts(counts: Option<(u32, u32)>) -> Option<Counts> {
    counts.map(|(recorded, manual)| Counts::new(recorded, manual))
}

fn fact(item: Item) -> Fact {
    match item {
        Item::Cell { day: at, source: from, value } => Fact::Cell {
            day: day(at),
            source: source(from),
            register: Register { epoch: value.epoch, counts: counts(value.counts) },
        },
        Item::Attended(at) => Fact::Attended(day(at)),
    }
}

fn item(fact: &Fact) -> Item {
    match fact {
        Fact::Cell { day, source, register } => Item::Cell {
            day: day.number(),
            source: number(*source),
            value: Value {
                epoch: register.epoch,
                counts: register.counts.map(|counts| (counts.recorded, counts.manual)),
            },
        },
        Fact::Attended(day) => Item::Attended(day.number()),
    }
}

fn items<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Vec<Item> {
    facts.into_iter().map(item).collect()
}

fn level_rules(rules: &Rules) -> LevelRules {
    let gap = if rules.count_missing_as_zero { GapPolicy::CountAsZero } else { GapPolicy::Skip };
    let start = Level::ALL[usize::from(rules.start_level)];
    LevelRules::new(start, rules.raise_at, rules.drop_below, gap).unwrap()
}

fn stat_rules(rules: &Rules) -> StatRules {
    let week_start = match rules.week_start {
        0 => WeekStart::Monday,
        5 => WeekStart::Saturday,
        _ => WeekStart::Sunday,
    };
    StatRules { goal: rules.goal, week_start }
}

// ---- What happens, as data, so that a failure can be made small and shown.

#[derive(Clone, Copy, Debug)]
enum Local {
    Read { recorded: u32, manual: u32, full: bool, offset: Option<i16> },
    Delete(Option<(u32, u32)>),
    Correct(Option<(u32, u32)>),
    Unpin,
    Attend,
    Count { boot: u32, counter: u32 },
}

#[derive(Clone, Debug)]
enum Event {
    Local { on: usize, day: DayNumber, source: SourceNumber, today: DayNumber, what: Local },
    Receive { on: usize, item: Item },
    Merge { on: usize, item: Item },
    MergeAll { into: usize },
    Verdict { on: usize, item: Item, refused: Option<&'static str> },
    Retry { on: usize, item: Item },
    Discard { on: usize, item: Item },
    Ingest { from: usize, batch: Vec<Item>, latest_day: DayNumber, recovery: bool },
    Receipt { on: usize, number: usize, all: bool },
    Moderate { day: DayNumber, source: SourceNumber, today: DayNumber, what: Moderation },
}

/// A server's answer on its way.
struct Answer {
    verdicts: Verdicts,
    revision: u64,
    changes: BTreeSet<Item>,
    all: BTreeSet<Item>,
}

/// Two devices and a server, each twice.
struct World {
    rules: Rules,
    devices: [Replica; 2],
    server: ServerReplica,
    ledgers: [Ledger; 3],
    answers: Vec<Answer>,
}

type Told = Result<(), String>;

fn same<T: PartialEq + Debug>(what: &str, oracle: &T, library: &T) -> Told {
    if oracle == library { Ok(()) } else { Err(format!("{what}: oracle {oracle:?}, library {library:?}")) }
}

fn code<T>(result: &Result<T, Refusal>) -> Option<&'static str> {
    result.as_ref().err().map(|refusal| refusal.code().as_str())
}

impl World {
    fn new(rules: Rules) -> World {
        let ledger = || Ledger::new(level_rules(&rules));
        World {
            rules,
            devices: Default::default(),
            server: ServerReplica::default(),
            ledgers: [ledger(), ledger(), ledger()],
            answers: Vec::new(),
        }
    }

    fn oracle(&self, on: usize) -> &Replica {
        if on == SERVER { &self.server.replica } else { &self.devices[on] }
    }

    /// Does one thing twice and compares everything that it touched.
    fn step(&mut self, event: &Event) -> Told {
        let on = match event {
            Event::Local { on, .. }
            | Event::Receive { on, .. }
            | Event::Merge { on, .. }
            | Event::Verdict { on, .. }
            | Event::Retry { on, .. }
            | Event::Discard { on, .. }
            | Event::Receipt { on, .. } => *on,
            Event::MergeAll { into } => *into,
            Event::Ingest { .. } | Event::Moderate { .. } => SERVER,
        };
        let before = days(self.oracle(on), &self.rules);
        let reported = self.both(event)?;
        let after = days(self.oracle(on), &self.rules);
        same("changes", &differences(&before, &after), &reported)?;
        self.compare(on)
    }

    /// Applies the event to both; gives the changes that the library reported.
    fn both(&mut self, event: &Event) -> Result<Changes, String> {
        match event {
            Event::Local { on, day, source, today, what } => self.local(*on, *day, *source, *today, *what),
            Event::Receive { on, item } => {
                let told = self.devices[*on].receive(*item);
                self.apply(*on, Operation::Receive(&fact(*item)), now(0), told)
            }
            Event::Merge { on, item } => {
                let told = self.devices[*on].merge(*item);
                self.apply(*on, Operation::Merge(&fact(*item)), now(0), told)
            }
            Event::MergeAll { into } => {
                let mut changes = Changes::new();
                for item in self.devices[1 - into].items() {
                    let told = self.devices[*into].merge(item);
                    let more = self.apply(*into, Operation::Merge(&fact(item)), now(0), told)?;
                    add(&mut changes, more);
                }
                Ok(changes)
            }
            Event::Verdict { on, item, refused } => {
                let mut receipt = Receipt { revision: self.ledgers[*on].revision(), ..Receipt::default() };
                if let Some(refused) = refused {
                    self.devices[*on].refused(*item, refused);
                    let code = Code::parse(refused).unwrap();
                    receipt.refused = vec![manbo::Refused { fact: fact(*item), code }];
                } else {
                    self.devices[*on].accepted(*item);
                    receipt.accepted = vec![fact(*item)];
                }
                Ok(changes(&self.ledgers[*on].apply_receipt(&receipt, now(0)).map_err(|e| e.to_string())?))
            }
            Event::Retry { on, item } => {
                self.devices[*on].retry(*item);
                self.apply(*on, Operation::Retry(&fact(*item)), now(0), Ok(()))
            }
            Event::Discard { on, item } => {
                self.devices[*on].discard(*item);
                self.apply(*on, Operation::Discard(&fact(*item)), now(0), Ok(()))
            }
            Event::Ingest { from, batch, latest_day, recovery } => {
                self.ingest(*from, batch, *latest_day, *recovery)
            }
            Event::Receipt { on, number, all } => self.receipt(*on, *number, *all),
            Event::Moderate { day, source, today, what } => self.moderate(*day, *source, *today, *what),
        }
    }

    fn apply(
        &mut self,
        on: usize,
        operation: Operation<'_>,
        now: Now,
        told: Result<(), Refused>,
    ) -> Result<Changes, String> {
        let applied = self.ledgers[on].apply(operation, now);
        same("verdict", &told.err().map(Refused::code), &code(&applied))?;
        Ok(applied.map(|applied| changes(&applied.changes)).unwrap_or_default())
    }

    fn local(
        &mut self,
        on: usize,
        at: DayNumber,
        from: SourceNumber,
        today: DayNumber,
        what: Local,
    ) -> Result<Changes, String> {
        let (device, present) = (&mut self.devices[on], now(today));
        match what {
            Local::Read { recorded, manual, full, offset } => {
                let told = device.read(at, from, recorded, manual, full, offset, today);
                let mut reading = Reading::new(day(at), source(from), recorded).with_manual(manual);
                if full {
                    reading = reading.full();
                }
                if let Some(minutes) = offset {
                    reading = reading.with_offset(UtcOffset::from_minutes(minutes.into()).unwrap());
                }
                self.apply(on, Operation::Read(&reading), present, told)
            }
            Local::Delete(left) => {
                let told = device.delete(at, from, left, today);
                let deletion = Deletion { day: day(at), source: source(from), left: counts(left) };
                self.apply(on, Operation::Delete(&deletion), present, told)
            }
            Local::Correct(to) => {
                let told = device.correct(at, from, to, today);
                let correction =
                    Correction { day: day(at), source: source(from), to: counts(to), reason: "support" };
                self.apply(on, Operation::Correct(&correction), present, told)
            }
            Local::Unpin => {
                let told = device.unpin(at, from, today);
                self.apply(on, Operation::Unpin(day(at), source(from)), present, told)
            }
            Local::Attend => {
                let told = device.attend(at, today);
                self.apply(on, Operation::Attend(day(at)), present, told)
            }
            Local::Count { boot, counter } => {
                let told = device.count(at, from, boot, counter, today);
                let boot = boot.to_string();
                let reading =
                    CounterReading { day: day(at), source: source(from), boot: &boot, count: counter };
                self.apply(on, Operation::Count(&reading), present, told)
            }
        }
    }

    fn ingest(
        &mut self,
        from: usize,
        batch: &[Item],
        latest_day: DayNumber,
        recovery: bool,
    ) -> Result<Changes, String> {
        let since = self.ledgers[from].revision();
        let verdicts = self.server.ingest(batch, latest_day, recovery);
        let facts: Vec<Fact> = batch.iter().copied().map(fact).collect();
        let policy = IngestPolicy { latest_day: day(latest_day), recovery };
        let done = manbo::ingest(&mut self.ledgers[SERVER], &facts, since, policy, now(latest_day));
        let receipt = &done.receipt;
        let refused = receipt.refused.iter().map(|r| (item(&r.fact), r.code.as_str())).collect();
        let library = Verdicts {
            accepted: items(&receipt.accepted),
            refused,
            flagged: items(&receipt.flagged),
            changed: !done.written.is_empty(),
        };
        same("verdicts", &verdicts, &library)?;
        same("revision", &self.server.revision, &receipt.revision)?;
        let all = self.server.replica.items();
        let changed = self.server.changes_since(since);
        let sent: BTreeSet<Item> = items(&receipt.facts).into_iter().collect();
        if !changed.is_subset(&sent) || !sent.is_subset(&all) {
            return Err(format!("facts of the receipt: oracle {changed:?}, library {sent:?}"));
        }
        let reported = changes(&done.changes);
        self.answers.push(Answer { verdicts, revision: self.server.revision, changes: changed, all });
        Ok(reported)
    }

    /// An answer arrives: late, again, or at the other device, as answers do.
    fn receipt(&mut self, on: usize, number: usize, all: bool) -> Result<Changes, String> {
        if self.answers.is_empty() {
            return Ok(Changes::new());
        }
        let answer = &self.answers[number % self.answers.len()];
        let came = if all { &answer.all } else { &answer.changes };
        let device = &mut self.devices[on];
        answer.verdicts.accepted.iter().for_each(|item| device.accepted(*item));
        answer.verdicts.refused.iter().for_each(|(item, code)| device.refused(*item, code));
        for item in came {
            device.receive(*item).map_err(|refused| format!("the oracle's own fact: {refused:?}"))?;
        }
        let refused = |(item, code): &(Item, &'static str)| manbo::Refused {
            fact: fact(*item),
            code: Code::parse(code).unwrap(),
        };
        let receipt = Receipt {
            accepted: answer.verdicts.accepted.iter().copied().map(fact).collect(),
            refused: answer.verdicts.refused.iter().map(refused).collect(),
            revision: answer.revision,
            facts: came.iter().copied().map(fact).collect(),
            ..Receipt::default()
        };
        Ok(changes(&self.ledgers[on].apply_receipt(&receipt, now(0)).map_err(|e| e.to_string())?))
    }

    fn moderate(
        &mut self,
        at: DayNumber,
        from: SourceNumber,
        today: DayNumber,
        what: Moderation,
    ) -> Result<Changes, String> {
        let told = self.server.moderate(at, from, what, today);
        let correction;
        let moderation = match what {
            Moderation::Correct(to) => {
                correction =
                    Correction { day: day(at), source: source(from), to: counts(to), reason: "shaken" };
                manbo::Moderation::Correct(&correction)
            }
            Moderation::Unpin => manbo::Moderation::Unpin(day(at), source(from)),
        };
        let done = manbo::moderate(&mut self.ledgers[SERVER], moderation, now(today));
        same("verdict", &told.err().map(Refused::code), &code(&done))?;
        same("revision", &self.server.revision, &self.ledgers[SERVER].revision())?;
        Ok(done.map(|done| changes(&done)).unwrap_or_default())
    }

    /// Everything that one place knows.
    fn compare(&self, on: usize) -> Told {
        let (oracle, ledger) = (self.oracle(on), &self.ledgers[on]);
        same("facts", &Vec::from_iter(oracle.items()), &items(&ledger.facts()))?;
        let pending = ledger.pending();
        same("pending", &oracle.pending(), &items(&pending).into_iter().collect())?;
        same("pending twice", &pending.len(), &ledger.pending_count())?;
        if !pending.is_sorted_by(|one, other| one.day() >= other.day()) {
            return Err("pending facts are not newest first".to_owned());
        }
        let parked = ledger.parked().iter().map(|r| (item(&r.fact), r.code.as_str())).collect();
        same("parked", &oracle.parked(), &parked)?;
        let reread = ledger.to_reread().into_iter().map(|(day, source)| (day.number(), number(source)));
        same("to_reread", &oracle.to_reread(), &reread.collect())?;
        same("sources", &oracle.sources, &ledger.source_names().map(number).collect())?;
        for view in ledger.cells() {
            let mark = oracle.mark(view.day.number(), number(view.source));
            let place = format!("read here and offset of {:?}", (view.day.number(), number(view.source)));
            let library = (view.read_here, view.offset_minutes, view.reread);
            let reread = mark.reread.risen || mark.reread.deletion_ignored;
            // A server reads nothing: what it would read again means nothing there.
            let reread = if on == SERVER { view.reread } else { reread };
            same(&place, &(mark.read_here, mark.offset, reread), &library)?;
        }
        self.compare_derived(oracle, ledger)
    }

    fn compare_derived(&self, oracle: &Replica, ledger: &Ledger) -> Told {
        let logged = days(oracle, &self.rules);
        let library = ledger.days(Day::FIRST..Day::LAST.next()).map(|(day, state)| (day.number(), state));
        same("days", &logged, &library.map(|(day, state)| (day, plain(state))).collect())?;
        for (at, numbers) in &logged {
            same("day", &Some(*numbers), &ledger.day(day(*at)).map(plain))?;
        }
        let mut as_of: BTreeSet<DayNumber> = oracle.items().iter().map(|item| item.day()).collect();
        as_of.extend(as_of.clone().iter().flat_map(|day| [day - 1, day + 1, day + 2]));
        // Every one would be slow, and each event draws new ones.
        let step = as_of.len() / 4 + 1;
        for at in as_of.into_iter().step_by(step) {
            let library = ledger.statistics(stat_rules(&self.rules), day(at));
            let all = numbers(oracle, &self.rules, at);
            let number = |day: Option<Day>| day.map(Day::number);
            let place = format!("statistics as of {at}");
            same(&place, &all.total_steps, &library.total_steps)?;
            same(&place, &all.week_steps, &library.week_steps)?;
            same(&place, &all.best_day, &number(library.best_day))?;
            same(&place, &all.last_attended, &number(library.last_attended))?;
            same(&place, &all.current_level, &library.current_level.index())?;
            same(&place, &all.current_level, &ledger.current_level(day(at)).index())?;
            let oracle = [
                all.today_steps,
                all.best_day_steps,
                all.days_logged,
                all.attendance_streak,
                all.longest_attendance_streak,
                all.goal_streak,
                all.longest_goal_streak,
            ];
            let library = [
                library.today_steps,
                library.best_day_steps,
                library.days_logged,
                library.attendance_streak,
                library.longest_attendance_streak,
                library.goal_streak,
                library.longest_goal_streak,
            ];
            same(&place, &oracle, &library)?;
        }
        Ok(())
    }

    /// Two ledgers have one digest exactly when they hold the same facts.
    fn compare_digests(&self) -> Told {
        for (one, other) in [(0, 1), (0, SERVER), (1, SERVER)] {
            let oracle = self.oracle(one).items() == self.oracle(other).items();
            same("digests", &oracle, &(self.ledgers[one].digest() == self.ledgers[other].digest()))?;
        }
        Ok(())
    }
}

type Changes = BTreeMap<DayNumber, (Option<DayNumbers>, Option<DayNumbers>)>;

fn now(today: DayNumber) -> Now {
    Now::on(day(today))
}

fn plain(state: manbo::DayState) -> DayNumbers {
    DayNumbers {
        shown: state.shown,
        ranked: state.ranked,
        initial_level: state.initial_level.index(),
        level: state.level.index(),
    }
}

fn changes(reported: &[manbo::Change]) -> Changes {
    reported.iter().map(|c| (c.day.number(), (c.before.map(plain), c.after.map(plain)))).collect()
}

/// Adds later changes: of a day that changed twice, the first before and the last after.
fn add(changes: &mut Changes, more: Changes) {
    for (day, (before, after)) in more {
        changes.entry(day).or_insert((before, after)).1 = after;
    }
    changes.retain(|_, (before, after)| before != after);
}

fn differences(before: &BTreeMap<DayNumber, DayNumbers>, after: &BTreeMap<DayNumber, DayNumbers>) -> Changes {
    let all: BTreeSet<DayNumber> = before.keys().chain(after.keys()).copied().collect();
    let pair = |day: DayNumber| (day, (before.get(&day).copied(), after.get(&day).copied()));
    all.into_iter().map(pair).filter(|(_, (before, after))| before != after).collect()
}

// ---- Events at random: few days, few sources, values near each other and near every limit.

struct Generator {
    rng: Rng,
    first_day: DayNumber,
    sources: u8,
    steps: [u32; 4],
    /// Near which epoch registers come from elsewhere.
    epochs: u16,
    /// What this walker does most: two kinds of local events.
    habits: [u8; 2],
    events: usize,
}

const OFFSETS: [Option<i16>; 4] = [None, Some(0), Some(540), Some(-720)];
const CODES: [&str; 3] = ["future_day", "epoch_not_allowed", "unexplained"];
const BORDERS: [u32; 16] = [
    0,
    1,
    2,
    5_999,
    6_000,
    6_001,
    9_999,
    10_000,
    10_001,
    99_999,
    100_000,
    100_001,
    STEPS - 1,
    STEPS,
    STEPS + 1,
    u32::MAX,
];

impl Generator {
    fn new(seed: u64) -> Generator {
        let mut rng = Rng::with_seed(seed);
        // Mostly some days in 2022, sometimes the very first or the very last ones.
        let first_day = match rng.u8(0..10) {
            0 => FIRST_DAY - 2,
            1 => LAST_DAY - 4,
            _ => 19_266 + rng.i32(0..7),
        };
        let near = rng.u32(1..299_000);
        let steps = [near, near + 1, rng.u32(0..20_000), BORDERS[rng.usize(0..BORDERS.len())]];
        let (sources, events) = if rng.u8(0..20) == 0 { (20, EVENTS.1) } else { (rng.u8(2..4), EVENTS.0) };
        let epochs = [0, 0, 0, 4_094, 65_528][rng.usize(0..5)];
        let habits = [rng.u8(0..16), rng.u8(0..16)];
        Generator { rng, first_day, sources, steps, epochs, habits, events }
    }

    fn rules(&mut self) -> Rules {
        if self.rng.bool() {
            return Rules { count_missing_as_zero: self.rng.bool(), ..Rules::default() };
        }
        let drop_below = self.rng.u32(1..12_000);
        Rules {
            start_level: self.rng.u8(0..5),
            raise_at: drop_below + self.rng.u32(0..3) * 3_000,
            drop_below,
            count_missing_as_zero: self.rng.bool(),
            goal: self.rng.u32(1..20_000),
            week_start: [0, 5, 6][self.rng.usize(0..3)],
        }
    }

    fn day(&mut self) -> DayNumber {
        // Half of all that happens is about one day, and half about one source: rules meet in one cell.
        if self.rng.bool() { self.first_day + 3 } else { self.first_day + self.rng.i32(0..7) }
    }

    fn source(&mut self) -> SourceNumber {
        if self.events == EVENTS.0 && self.rng.bool() { 0 } else { self.rng.u8(0..self.sources) }
    }

    fn device(&mut self) -> usize {
        self.rng.usize(0..2)
    }

    fn steps(&mut self) -> u32 {
        if self.rng.u8(0..12) == 0 {
            BORDERS[self.rng.usize(0..BORDERS.len())]
        } else {
            self.steps[self.rng.usize(0..4)]
        }
    }

    fn manual(&mut self) -> u32 {
        match self.rng.u8(0..10) {
            0..6 => 0,
            6 | 7 => 50,
            8 => 51,
            _ => self.steps(),
        }
    }

    fn counts(&mut self) -> Option<(u32, u32)> {
        (self.rng.u8(0..4) > 0).then(|| (self.steps(), self.manual()))
    }

    fn any_item(&mut self) -> Item {
        if self.rng.u8(0..6) == 0 {
            return Item::Attended(self.day());
        }
        let epoch = match self.rng.u8(0..12) {
            0 => [4_096, 4_097, 4_098, 8_192, 65_534, 65_535][self.rng.usize(0..6)],
            1..7 => self.epochs.saturating_add(self.rng.u16(0..8)),
            _ => self.rng.u16(0..5),
        };
        Item::Cell { day: self.day(), source: self.source(), value: Value { epoch, counts: self.counts() } }
    }

    /// Mostly something that one of the places holds, as real traffic is.
    fn item(&mut self, world: &World, on: usize) -> Item {
        let held = match self.rng.u8(0..5) {
            0 => BTreeSet::new(),
            1 => world.oracle(1 - on).items(),
            2 => world.server.replica.items(),
            3 => world.oracle(on).parked().into_keys().collect(),
            _ => world.oracle(on).items(),
        };
        self.one_of(&held).unwrap_or_else(|| self.any_item())
    }

    fn one_of(&mut self, held: &BTreeSet<Item>) -> Option<Item> {
        if held.is_empty() { None } else { held.iter().nth(self.rng.usize(0..held.len())).copied() }
    }

    fn local(&mut self) -> Local {
        let kind = match self.rng.u8(0..6) {
            0..4 => self.habits[self.rng.usize(0..2)],
            _ => self.rng.u8(0..16),
        };
        match kind {
            0..9 => Local::Read {
                recorded: self.steps(),
                manual: self.manual(),
                full: self.rng.bool(),
                offset: OFFSETS[self.rng.usize(0..OFFSETS.len())],
            },
            9..11 => Local::Delete(self.counts()),
            11 => Local::Correct(self.counts()),
            12 => Local::Unpin,
            13 => Local::Attend,
            _ => Local::Count { boot: self.rng.u32(0..2), counter: self.steps() },
        }
    }

    fn batch(&mut self, world: &World, from: usize) -> Vec<Item> {
        let mut batch: Vec<Item> = world.oracle(from).pending().into_iter().collect();
        while self.rng.u8(0..3) == 0 {
            batch.push(self.item(world, from));
        }
        self.rng.shuffle(&mut batch);
        batch
    }

    fn event(&mut self, world: &World) -> Event {
        let on = self.device();
        let (day, source) = (self.day(), self.source());
        let today = self.first_day + self.rng.i32(1..7);
        match self.rng.u8(0..40) {
            0..20 => Event::Local { on, day, source, today, what: self.local() },
            20..23 => Event::Receive { on, item: self.item(world, on) },
            23..25 => Event::Merge { on, item: self.item(world, on) },
            25 => Event::MergeAll { into: on },
            26..28 => {
                let refused = self.rng.bool().then(|| CODES[self.rng.usize(0..CODES.len())]);
                Event::Verdict { on, item: self.item(world, on), refused }
            }
            28 => Event::Retry { on, item: self.item(world, on) },
            29 => Event::Discard { on, item: self.item(world, on) },
            30..34 => Event::Ingest {
                from: on,
                batch: self.batch(world, on),
                latest_day: self.first_day + self.rng.i32(3..8),
                recovery: self.rng.u8(0..8) == 0,
            },
            34..38 => {
                let late = if self.rng.bool() { self.rng.usize(0..100) } else { 0 };
                let number = world.answers.len().saturating_sub(1) + late;
                Event::Receipt { on, number, all: self.rng.bool() }
            }
            38 => Event::Moderate { day, source, today, what: Moderation::Correct(self.counts()) },
            _ => Event::Moderate { day, source, today, what: Moderation::Unpin },
        }
    }
}

fn replay(rules: Rules, events: &[Event]) -> Told {
    let mut world = World::new(rules);
    for event in events {
        world.step(event)?;
    }
    world.compare_digests()
}

/// Leaves out what can be left out.
fn shrink(rules: Rules, mut events: Vec<Event>) -> Vec<Event> {
    let mut at = events.len();
    while at > 0 {
        at -= 1;
        let mut fewer = events.clone();
        fewer.remove(at);
        if replay(rules, &fewer).is_err() {
            events = fewer;
        }
    }
    events
}

fn sequence(seed: u64) {
    let mut generator = Generator::new(seed);
    let mut world = World::new(generator.rules());
    let mut events = Vec::new();
    let mut told = Ok(());
    while told.is_ok() && events.len() < generator.events {
        let event = generator.event(&world);
        events.push(event.clone());
        told = world.step(&event);
    }
    if told.and_then(|()| world.compare_digests()).is_err() {
        let rules = world.rules;
        let events = shrink(rules, events);
        panic!("seed {seed}, {rules:?}: {:?}\n{events:#?}", replay(rules, &events));
    }
}

#[test]
fn the_library_agrees_with_the_oracle() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("MANBO_ORACLE_SEED").unwrap_or(1);
    let sequences = number("MANBO_ORACLE_SEQUENCES").unwrap_or(SEQUENCES);
    (first..first + sequences).for_each(sequence);
}
