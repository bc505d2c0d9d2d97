//! Runs vectors through [`manbo::StepBook`]: the model for runners in other languages.

use std::io::Write;
use std::path::PathBuf;

use manbo::delivery::Moment;
use manbo::{CounterReading, Day, Error, Fact, Now, Refusal};

mod check;
mod parse;
mod replica;
mod server;
mod step;
mod value;

pub(crate) use parse::vectors;
pub(crate) use step::Vector;

use replica::Replicas;
use server::Server;
use step::{Expectation, Given, Step, Verb};

/// Exit status: every vector passed.
pub(crate) const PASSED: u8 = 0;
/// Exit status: a vector failed.
pub(crate) const FAILED: u8 = 1;
/// Exit status: a file cannot be read, or is not made of vectors.
pub(crate) const UNREADABLE: u8 = 2;

/// How the program is called.
pub(crate) const USAGE: &str = "usage: conformance [--reopen] FILE...";

/// How a vector ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// Where, what was expected, and what came.
    Failed(String),
    /// At a step that no vector may have there.
    File(String),
}

/// Runs files, writes a line a vector and the count, and gives the exit status.
///
/// Every file is read before the first vector is run, so that a misspelt one does not go under in a
/// long listing.
pub(crate) fn run_files(
    files: &[PathBuf],
    reopen: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<u8> {
    match read_files(files) {
        Ok(vectors) => run_vectors(&vectors, reopen, out),
        Err(problem) => {
            writeln!(err, "{problem}")?;
            Ok(UNREADABLE)
        }
    }
}

fn read_files(files: &[PathBuf]) -> Result<Vec<Vector>, String> {
    if files.is_empty() {
        return Err(USAGE.into());
    }
    let mut all = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        all.extend(vectors(&name, &text)?);
    }
    Ok(all)
}

fn run_vectors(vectors: &[Vector], reopen: bool, out: &mut dyn Write) -> std::io::Result<u8> {
    let (mut passed, mut failed, mut unreadable) = (0, 0, false);
    for vector in vectors {
        let name = &vector.name;
        match run(vector, reopen)? {
            Outcome::Passed => {
                passed += 1;
                writeln!(out, "ok {name}")?;
            }
            Outcome::Failed(why) => {
                failed += 1;
                writeln!(out, "FAILED {name}: {why}")?;
            }
            Outcome::File(why) => {
                unreadable = true;
                failed += 1;
                writeln!(out, "FAILED {name}: no vector: {why}")?;
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(match (unreadable, failed) {
        (true, _) => UNREADABLE,
        (false, 0) => PASSED,
        (false, _) => FAILED,
    })
}

/// Runs one vector on fresh stores; with `reopen`, they are closed and opened again after every step.
pub(crate) fn run(vector: &Vector, reopen: bool) -> std::io::Result<Outcome> {
    let refused = |what: &str, refusal: Refusal| {
        Ok(Outcome::Failed(format!("{what}: expected a valid value, got {}: {refusal}", refusal.code())))
    };
    let rules = match vector.rules {
        Ok(rules) => rules,
        Err(refusal) => return refused("rules", refusal),
    };
    let today = match vector.today {
        Ok(today) => today,
        Err(refusal) => return refused("today", refusal),
    };
    let mut run = Run {
        replicas: Replicas::new(rules)?,
        server: Server::new(rules),
        asked: 0,
        last_changes: 0,
        reopen,
    };
    let caller = Caller { on: "a", today };
    Ok(match run.steps(&vector.steps, caller) {
        Ok(_) => Outcome::Passed,
        Err(Halt { place, stop: Stop::Unmet(what) }) => Outcome::Failed(format!("step {place}: {what}")),
        Err(Halt { place, stop: Stop::Error(error) }) => {
            Outcome::Failed(format!("step {place}: expected success, got {}: {error}", error.code()))
        }
        Err(Halt { place, stop: Stop::File(why) }) => Outcome::File(format!("step {place}: {why}")),
    })
}

/// For whom a step acts, unless it says otherwise itself.
#[derive(Clone, Copy)]
struct Caller<'v> {
    on: &'v str,
    today: Day,
}

/// Why a run ends early, and at which step.
struct Halt {
    place: String,
    stop: Stop,
}

enum Stop {
    /// An expectation is not met.
    Unmet(String),
    /// The library refused the step, or failed.
    Error(Error),
    /// A step that no vector may have there.
    File(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Error(refusal.into())
    }
}

/// A vector under way.
struct Run {
    replicas: Replicas,
    server: Server,
    /// How often the machines were asked: the seed of their waits.
    asked: u64,
    /// What the last step reported that is not an expectation.
    last_changes: usize,
    reopen: bool,
}

impl Run {
    /// Runs steps in order; gives the sum of the changes that they reported.
    fn steps(&mut self, steps: &[Step], caller: Caller<'_>) -> Result<usize, Halt> {
        let mut sum = 0;
        for step in steps {
            sum += self.step(step, caller)?;
            if self.reopen {
                self.replicas.close_all();
            }
        }
        Ok(sum)
    }

    fn step(&mut self, step: &Step, caller: Caller<'_>) -> Result<usize, Halt> {
        let halt = |stop| Halt { place: step.place.clone(), stop };
        let caller = acting(step, caller).map_err(|refusal| halt(refusal.into()))?;
        match &step.verb {
            Verb::Expect(Expectation::Error { step, code }) => {
                self.expect_error(step, code, caller)?;
                Ok(0)
            }
            Verb::Expect(expectation) => {
                self.expect(expectation, caller).map_err(halt)?;
                Ok(0)
            }
            Verb::Repeat { times, steps } => {
                let times = (*times).map_err(|refusal| halt(refusal.into()))?;
                let mut sum = 0;
                for _ in 0..times {
                    sum += self.steps(steps, caller)?;
                }
                self.last_changes = sum;
                Ok(sum)
            }
            // Closing and opening reports nothing: what was last reported stands.
            Verb::Reopen => self.replicas.reopen(caller.on).map(|()| 0).map_err(|stop| halt(stop.into())),
            operation => {
                self.last_changes = self.operate(operation, caller).map_err(halt)?;
                Ok(self.last_changes)
            }
        }
    }

    /// One operation of the library; gives the number of changes that it reported.
    fn operate(&mut self, verb: &Verb, caller: Caller<'_>) -> Result<usize, Stop> {
        let now = Now::on(caller.today);
        let changes = match verb {
            Verb::Read(given) => {
                let reading = (*given)?;
                self.replicas.book(caller.on)?.record(&reading, now)?.len()
            }
            Verb::Delete(given) => {
                let deletion = (*given)?;
                self.replicas.book(caller.on)?.delete(&deletion, now)?.len()
            }
            Verb::Correct(given) => {
                let step::Correction { day, source, to, reason } = given.as_ref().map_err(|r| *r)?;
                let correction = manbo::Correction { day: *day, source: *source, to: *to, reason };
                let book = self.replicas.book(caller.on)?;
                let changes = book.correct(&correction, now)?.len();
                let register = book.register(*day, *source)?;
                self.server.holds(Fact::Cell { day: *day, source: *source, register }, now);
                changes
            }
            Verb::Unpin(given) => {
                let (day, source) = (*given)?;
                let book = self.replicas.book(caller.on)?;
                let was_pinned = book.register(day, source)?.is_pinned();
                let changes = book.unpin(day, source, now)?.len();
                if was_pinned {
                    let register = book.register(day, source)?;
                    self.server.holds(Fact::Cell { day, source, register }, now);
                }
                changes
            }
            Verb::Receive(given) => {
                let fact = (*given)?;
                let changes = self.replicas.book(caller.on)?.receive(&[fact], now)?.len();
                self.server.holds(fact, now);
                changes
            }
            Verb::Merge { from, into } => {
                let facts = self.replicas.book(from)?.ledger()?.facts();
                self.replicas.book(into)?.merge(&facts, now)?.len()
            }
            Verb::Counter(given) => {
                let step::Counted { day, source, boot, count } = given.as_ref().map_err(|r| *r)?;
                let reading = CounterReading { day: *day, source: *source, boot, count: *count };
                self.replicas.book(caller.on)?.count(&reading, now)?.changes.len()
            }
            Verb::Attend(given) => {
                let day = (*given)?;
                self.replicas.book(caller.on)?.attend(day, now)?;
                // Attendance is none of the things whose difference is a change.
                0
            }
            Verb::Next { now_ms, expect, fields } => {
                let moment = self.moment(*now_ms, caller);
                let book = self.replicas.book(caller.on)?;
                self.server.next((caller.on, book), moment, expect.as_deref(), fields)?;
                0
            }
            Verb::Report { now_ms, outcome } => {
                let moment = self.moment(*now_ms, caller);
                let book = self.replicas.book(caller.on)?;
                self.server.report((caller.on, book), moment, outcome)?
            }
            Verb::Repeat { .. } | Verb::Expect(_) | Verb::Reopen => 0,
        };
        Ok(changes)
    }

    fn moment(&mut self, now_ms: i64, caller: Caller<'_>) -> Moment {
        self.asked += 1;
        Moment { now: Now { unix_ms: now_ms, today: caller.today }, seed: self.asked }
    }

    fn expect(&mut self, expectation: &Expectation, caller: Caller<'_>) -> Result<(), Stop> {
        let last_changes = self.last_changes;
        match expectation {
            Expectation::Days(days) => check::days(self.replicas.book(caller.on)?, days),
            Expectation::Cells(cells) => check::cells(self.replicas.book(caller.on)?, cells),
            Expectation::Stats { as_of, fields } => {
                let as_of = as_of.unwrap_or(Ok(caller.today))?;
                check::statistics(self.replicas.book(caller.on)?, as_of, fields)
            }
            Expectation::Changes(expected) => check::equal("changes", expected, &last_changes.into()),
            Expectation::Pending(expected) => {
                let pending = self.replicas.book(caller.on)?.pending_count()?;
                check::equal("pending", expected, &pending.into())
            }
            Expectation::Reread(expected) => {
                let expected = expected.as_ref().map_err(|refusal| *refusal)?;
                check::reread(self.replicas.book(caller.on)?, expected)
            }
            Expectation::Same(replicas) => {
                let digest = |name: &String| self.replicas.book(name)?.digest();
                check::same(replicas, &replicas.iter().map(digest).collect::<Result<Vec<_>, Error>>()?)
            }
            Expectation::Parked(expected) => server::parked(self.replicas.book(caller.on)?, expected),
            // It runs a step, so `step` sees to it.
            Expectation::Error { .. } => Ok(()),
        }
    }

    /// The step must be refused with this code, and nothing may have changed.
    fn expect_error(&mut self, step: &Step, code: &str, caller: Caller<'_>) -> Result<(), Halt> {
        let halt = |stop| Halt { place: step.place.clone(), stop };
        let library = |error: Error| halt(error.into());
        let on = step.on.as_deref().unwrap_or(caller.on);
        self.replicas.book(on).map_err(library)?;
        let before = self.replicas.images().map_err(library)?;
        let last_changes = self.last_changes;
        let got = match self.step(step, caller) {
            Ok(_) => "success".to_owned(),
            Err(Halt { stop: Stop::Error(error), .. }) if error.code().as_str() == code => code.to_owned(),
            Err(Halt { stop: Stop::Error(error), .. }) => format!("{}: {error}", error.code()),
            Err(other) => return Err(other),
        };
        self.last_changes = last_changes;
        if got != code {
            return Err(halt(Stop::Unmet(format!("expected {code}, got {got}"))));
        }
        let after = self.replicas.images().map_err(library)?;
        for (name, image) in &before {
            let changed = after.get(name).map_or(Some("replica"), |after| image.difference(after));
            if let Some(what) = changed {
                let what = format!("expected {code} and nothing changed, got another {what} on {name:?}");
                return Err(halt(Stop::Unmet(what)));
            }
        }
        Ok(())
    }
}

fn acting<'v>(step: &'v Step, caller: Caller<'v>) -> Given<Caller<'v>> {
    let today = step.today.unwrap_or(Ok(caller.today))?;
    Ok(Caller { on: step.on.as_deref().unwrap_or(caller.on), today })
}
