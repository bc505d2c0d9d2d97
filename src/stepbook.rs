//! `StepBook`: the object that an app holds. Fresh ledger -> one pure call -> apply in one transaction.

use std::io::{BufRead, Write};
use std::path::Path;

use crate::delivery::{Delivery, Due, Health, Moment, Next, Outcome, Reported, Ticket, Trigger};
use crate::domain::code::Refusal;
use crate::domain::day::{Day, Now};
use crate::domain::digest::Digest;
use crate::domain::explain::Explanation;
use crate::domain::fact::{Fact, Refused};
use crate::domain::history::HistoryEvent;
use crate::domain::ingest::Receipt;
use crate::domain::ledger::{Applied, Ledger, Operation};
use crate::domain::level::Level;
use crate::domain::register::Register;
use crate::domain::stats::Statistics;
use crate::domain::steps::{Correction, CounterReading, Deletion, Reading, Source};
use crate::domain::timeline::{Change, DayState};
use crate::error::{Error, Result};
use crate::rules::Rules;
use crate::snapshot::Snapshot;
use crate::store::{Erased, Exported, ImportError, Imported, Loaded, Options, Report, Store};

/// A reading of a batch that was refused; the others were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedReading {
    /// Its place in the batch.
    pub index: usize,
    /// Why.
    pub refusal: Refusal,
}

/// What a batch of readings did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a refused reading is only reported here"]
pub struct Recorded {
    /// Every day that differs.
    pub changes: Vec<Change>,
    /// The readings that were refused, each with its reason.
    pub refused: Vec<RefusedReading>,
}

/// One user's step ledger on a file.
///
/// Every method sees what other processes did to the file before the call. Returning success means
/// durable on disk. A method that fails has stored nothing; only after a flush that failed (`storage_locked`) may
/// the system bring back what it was about to store, when it starts again.
///
/// ```
/// use manbo::{Level, Now, Options, Reading, Source, StepBook};
/// # let dir = tempfile::tempdir().unwrap();
/// let mut book = StepBook::open(dir.path().join("steps.db"), &Options::new())?;
/// let now = Now::on("2022-10-04".parse()?);
/// let changes = book.record(&Reading::new(now.today, Source::new("apple-health")?, 12_000), now)?;
/// assert_eq!(changes.len(), 1);
/// assert_eq!(book.statistics(now.today)?.current_level, Level::Healthy);
/// # Ok::<(), manbo::Error>(())
/// ```
pub struct StepBook {
    store: Store,
    user: String,
    rules: Rules,
    loaded: Option<Loaded>,
}

impl std::fmt::Debug for StepBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepBook").field("open", &self.store.is_open()).finish_non_exhaustive()
    }
}

impl StepBook {
    /// Opens the ledger of `options.user` in a file, creating the file where there is none.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<StepBook> {
        let mut store = Store::open(path, options)?;
        let loaded = store.load(&options.user)?;
        Ok(StepBook { store, user: options.user.clone(), rules: options.rules, loaded: Some(loaded) })
    }

    /// Records what a source says about a day; gives every day that differs.
    ///
    /// # Errors
    /// A refusal (section "Limits" of the crate), or an error of the storage.
    pub fn record(&mut self, reading: &Reading, now: Now) -> Result<Vec<Change>> {
        self.apply(Operation::Read(reading), now).map(|applied| applied.changes)
    }

    /// Records many readings in one transaction, in any order. A refused reading does not hold up the
    /// others: it is named in the result.
    ///
    /// # Errors
    /// An error of the storage; then none is recorded.
    pub fn record_all(&mut self, readings: &[Reading], now: Now) -> Result<Recorded> {
        self.update(|ledger| {
            let mut refused = Vec::new();
            for (index, reading) in readings.iter().enumerate() {
                if let Err(refusal) = ledger.stage(Operation::Read(reading), now) {
                    refused.push(RefusedReading { index, refusal });
                }
            }
            Ok(Recorded { changes: ledger.settle(), refused })
        })
    }

    /// Records that the platform deleted something of a day, and what is left of it.
    ///
    /// # Errors
    /// As [`StepBook::record`].
    pub fn delete(&mut self, deletion: &Deletion, now: Now) -> Result<Vec<Change>> {
        self.apply(Operation::Delete(deletion), now).map(|applied| applied.changes)
    }

    /// Sets a value and pins it: a privileged act of support or moderation. It is not pending, because
    /// the server takes corrections from its own operators only.
    ///
    /// # Errors
    /// As [`StepBook::record`]; `too_many_corrections` when the cell has used up its epochs.
    pub fn correct(&mut self, correction: &Correction<'_>, now: Now) -> Result<Vec<Change>> {
        self.apply(Operation::Correct(correction), now).map(|applied| applied.changes)
    }

    /// Ends a correction: the value stays, and readings count again.
    ///
    /// # Errors
    /// As [`StepBook::correct`].
    pub fn unpin(&mut self, day: Day, source: Source, now: Now) -> Result<Vec<Change>> {
        self.apply(Operation::Unpin(day, source), now).map(|applied| applied.changes)
    }

    /// Records what a chip says that counts since boot. The result tells what the reading was worth: what the chip
    /// counted since its last reading on this device, whoever of the file's users made that.
    ///
    /// # Errors
    /// As [`StepBook::record`].
    pub fn count(&mut self, reading: &CounterReading<'_>, now: Now) -> Result<Applied> {
        self.apply(Operation::Count(reading), now)
    }

    /// Records that the person, not a background job, opened the app on a day.
    ///
    /// # Errors
    /// `day_out_of_range`, or an error of the storage.
    pub fn attend(&mut self, day: Day, now: Now) -> Result<()> {
        self.apply(Operation::Attend(day), now).map(|_| ())
    }

    /// Joins facts that the server sent.
    ///
    /// # Errors
    /// `day_out_of_range` or `implausible_steps` for the first fact outside the limits, or an error of
    /// the storage; then none is joined.
    pub fn receive(&mut self, facts: &[Fact], now: Now) -> Result<Vec<Change>> {
        self.join(facts, now, Operation::Receive)
    }

    /// Joins everything that another ledger knows, as from a peer: what that changes is pending.
    ///
    /// # Errors
    /// As [`StepBook::receive`].
    pub fn merge(&mut self, facts: &[Fact], now: Now) -> Result<Vec<Change>> {
        self.join(facts, now, Operation::Merge)
    }

    /// Applies the server's answer to a batch: verdicts first, then the facts that it brings.
    ///
    /// # Errors
    /// As [`StepBook::receive`].
    pub fn apply_receipt(&mut self, receipt: &Receipt, now: Now) -> Result<Vec<Change>> {
        self.update(|ledger| ledger.apply_receipt(receipt, now).map_err(Error::from))
    }

    /// What the host is to do about the server: send a batch, wait, or nothing. A batch that is handed out
    /// is on its way until it is reported, at most [`LEASE_MS`](crate::delivery::LEASE_MS); meanwhile no
    /// other process gets one.
    ///
    /// ```
    /// use manbo::delivery::{Moment, Next, Outcome, Trigger};
    /// # use manbo::{Now, Options, Reading, Source, StepBook};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let mut book = StepBook::open(dir.path().join("steps.db"), &Options::new())?;
    /// let now = Now::on("2022-10-04".parse()?);
    /// book.record(&Reading::new(now.today, Source::new("watch")?, 8_500), now)?;
    /// let Next::Upload(batch) = book.next_delivery(Moment { now, seed: 1 })? else { panic!("a batch") };
    /// assert_eq!(batch.facts.len(), 1);
    /// // The host sends it, and tells what happened: here there was no network.
    /// book.report_delivery(Some(batch.ticket), &Outcome::Network, Moment { now, seed: 2 })?;
    /// assert!(matches!(book.next_delivery(Moment { now, seed: 3 })?, Next::Wait { .. }));
    /// # Ok::<(), manbo::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the storage.
    pub fn next_delivery(&mut self, moment: Moment) -> Result<Next> {
        self.deliver(|ledger, delivery| Ok(delivery.next(ledger, moment)))
    }

    /// What became of a batch. A receipt is applied also by a process that knows nothing of the request,
    /// such as one that a background transfer started. `of` is the batch's ticket, `None` where the host lost it:
    /// a failure of a batch that is not under way any more is let pass.
    ///
    /// # Errors
    /// `day_out_of_range` or `implausible_steps` where a receipt brings facts outside the limits, or an error
    /// of the storage; then no fact changed.
    pub fn report_delivery(
        &mut self,
        of: Option<Ticket>,
        outcome: &Outcome,
        moment: Moment,
    ) -> Result<Reported> {
        let rules = self.rules.version();
        self.deliver(|ledger, delivery| {
            delivery.report(ledger, of, outcome.clone(), rules, moment).map_err(Error::from)
        })
    }

    /// Tells that the app came to the foreground, that the network is back, or that there are new
    /// credentials; then [`StepBook::next_delivery`] is worth a call.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn trigger_delivery(&mut self, trigger: Trigger, now: Now) -> Result<()> {
        self.deliver(|_, delivery| {
            delivery.trigger(trigger, now.unix_ms);
            Ok(())
        })
    }

    /// Drops everything of this person from the file, where the server said that it was erased elsewhere
    /// ([`Notice::Erased`](crate::delivery::Notice::Erased)): the host tells the person first, then calls
    /// this. Gives the new generation; `None`, and nothing is dropped, where the server said no such thing.
    ///
    /// # Errors
    /// Those of the storage; then nothing is dropped.
    pub fn follow_erasure(&mut self) -> Result<Option<u32>> {
        self.loaded = None;
        self.store.follow_erasure(&self.user)
    }

    /// When [`StepBook::next_delivery`] is next worth a call, and why, so that a host can set its alarm.
    /// `seal_ms` is when the next week that counts is sealed, in Unix milliseconds, if the host knows. `None`:
    /// an erasure is to be followed first.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn delivery_due(&mut self, now: Now, seal_ms: Option<i64>) -> Result<Option<Due>> {
        let delivery = self.store.delivery(&self.user)?;
        self.ledger().map(|ledger| delivery.due(ledger, now, seal_ms))
    }

    /// Somebody signs in: from here on this book is theirs. What was recorded on this device before anyone had
    /// signed in goes to the first user who does, for ever: joined with what they have here, and pending for the
    /// server. Another user gets none of it, and what was erased by the server's word goes to nobody. Where somebody
    /// else read the device's counters last, the next reading of each credits nothing: it is not known who walked.
    /// Gives every day of the user that differs.
    ///
    /// ```
    /// # use manbo::{Now, Options, Reading, Source, StepBook};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let mut book = StepBook::open(dir.path().join("steps.db"), &Options::new())?;
    /// let now = Now::on("2022-10-04".parse()?);
    /// book.record(&Reading::new(now.today, Source::new("watch")?, 8_500), now)?;
    /// assert_eq!(book.sign_in("user-1", now)?.len(), 1);
    /// book.sign_out();
    /// assert_eq!(book.sign_in("user-2", now)?.len(), 0);
    /// # Ok::<(), manbo::Error>(())
    /// ```
    ///
    /// # Errors
    /// `bad_value` for a name above [`USER_LEN_MAX`](crate::USER_LEN_MAX) bytes, or an error of the storage; then
    /// the book is whose it was.
    pub fn sign_in(&mut self, user: impl Into<String>, now: Now) -> Result<Vec<Change>> {
        let user = user.into();
        let (loaded, changes) = self.store.sign_in(&user, now)?;
        self.user = user;
        self.loaded = Some(loaded);
        Ok(changes)
    }

    /// Nobody is signed in: from here on the book is the device's own.
    pub fn sign_out(&mut self) {
        self.user.clear();
        self.loaded = None;
    }

    /// Drops everything of this person from the file, bytes and all, because they asked for it here. Files that
    /// were moved aside because they were damaged ([`Report::recovered`]) are the host's to delete. With the
    /// server's proof, nothing that is older comes back from anywhere; without it, what the server knows comes
    /// back with the next receipt.
    ///
    /// # Errors
    /// `bad_value` for a proof of another ledger or of an older generation, or an error of the storage; then
    /// nothing is dropped.
    pub fn erase(&mut self, proof: Option<&Erased>) -> Result<()> {
        self.loaded = None;
        self.store.drop_person(&self.user, &mut |delivery| match (
            proof.map(|proof| &proof.identity),
            delivery.identity().cloned(),
        ) {
            (Some(new), Some(known)) if new.ledger != known.ledger || new.generation <= known.generation => {
                let rule = "of this ledger, and of a later generation";
                Err(Refusal::BadValue { field: "proof", rule }.into())
            }
            (Some(new), _) => {
                delivery.begin_erased(new.clone());
                Ok(true)
            }
            (None, _) => {
                delivery.begin_again();
                Ok(true)
            }
        })
    }

    /// Writes everything of this person as canonical JSON lines, which [`StepBook::import`] reads.
    ///
    /// # Errors
    /// Those of [`Store::export`].
    pub fn export(&mut self, out: &mut dyn Write) -> Result<Exported> {
        self.store.export(&self.user, out)
    }

    /// Reads an export into this ledger, which must be empty; the server is asked, and told, everything once more.
    /// From another phone come the facts, and not what only that phone knew: [`Store::import`] tells which is which,
    /// and how a phone is known again.
    ///
    /// # Errors
    /// Those of [`Store::import`]; then nothing was stored.
    pub fn import(&mut self, input: &mut dyn BufRead, now: Now) -> Result<Imported, ImportError> {
        self.loaded = None;
        self.store.import(&self.user, input, now)
    }

    /// Every kept change of this ledger, oldest first; none unless [`Options::history`] asks for it.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn history(&mut self) -> Result<Vec<HistoryEvent>> {
        self.store.history(&self.user)
    }

    /// The ledger as it was at an instant, in Unix milliseconds; `None` where history does not tell.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn ledger_as_of(&mut self, at_ms: i64) -> Result<Option<Ledger>> {
        self.store.as_of(&self.user, at_ms)
    }

    /// How delivery is doing, for a support screen.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn delivery_health(&mut self, now: Now) -> Result<Health> {
        let delivery = self.store.delivery(&self.user)?;
        self.ledger().map(|ledger| delivery.health(ledger, now.unix_ms))
    }

    /// The facts that the server refused, with its reasons.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn parked(&mut self) -> Result<Vec<Refused>> {
        self.ledger().map(Ledger::parked)
    }

    /// Sends a refused fact again. One that has changed since, or is not parked, stays as it is.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn retry(&mut self, fact: &Fact, now: Now) -> Result<()> {
        self.apply(Operation::Retry(fact), now).map(|_| ())
    }

    /// Gives a refused fact up: it is neither sent nor listed any more. Its value stays on this device.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn discard(&mut self, fact: &Fact, now: Now) -> Result<()> {
        self.apply(Operation::Discard(fact), now).map(|_| ())
    }

    /// The facts that are not yet known to be at the server, newest day first.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn pending(&mut self) -> Result<Vec<Fact>> {
        self.ledger().map(Ledger::pending)
    }

    /// How many facts are pending.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn pending_count(&mut self) -> Result<usize> {
        self.ledger().map(Ledger::pending_count)
    }

    /// The whole ledger as it is now, for every question that has no method here.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn ledger(&mut self) -> Result<&Ledger> {
        let current = match &self.loaded {
            Some(loaded) => self.store.is_current(loaded),
            None => Ok(false),
        };
        // An error of a damaged file is the loader's to mend.
        if !current.or_else(|error| if error.is_corrupt() { Ok(false) } else { Err(error) })? {
            self.loaded = None;
        }
        let loaded = match self.loaded.take() {
            Some(loaded) => loaded,
            None => self.store.load(&self.user)?,
        };
        Ok(&self.loaded.insert(loaded).ledger)
    }

    /// The register of a cell; an unknown cell is `(0, absent)`.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn register(&mut self, day: Day, source: Source) -> Result<Register> {
        self.ledger().map(|ledger| ledger.register(day, &source))
    }

    /// A day with its levels; `None` when it is not logged.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn day(&mut self, day: Day) -> Result<Option<DayState>> {
        self.ledger().map(|ledger| ledger.day(day))
    }

    /// The logged days of a half-open range, ascending.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn days(&mut self, range: std::ops::Range<Day>) -> Result<Vec<(Day, DayState)>> {
        self.ledger().map(|ledger| ledger.days(range).collect())
    }

    /// The statistics as of a day; [`StepBook::as_of`] gives the day that an app wants.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn statistics(&mut self, as_of: Day) -> Result<Statistics> {
        let rules = self.rules.statistics();
        self.ledger().map(|ledger| ledger.statistics(rules, as_of))
    }

    /// The level of a day, or the initial level it would have.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn current_level(&mut self, as_of: Day) -> Result<Level> {
        self.ledger().map(|ledger| ledger.current_level(as_of))
    }

    /// The day for an app's own statistics: the later of today and the last captured day, at most
    /// tomorrow. So flying west does not lose a day.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn as_of(&mut self, today: Day) -> Result<Day> {
        let last = self.ledger()?.timeline().last_logged();
        Ok(last.map_or(today, |last| last.clamp(today, today.next())))
    }

    /// Why a day's numbers are what they are, as data; its `Display` is a paragraph.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn explain(&mut self, day: Day) -> Result<Explanation> {
        self.ledger().map(|ledger| ledger.explain(day))
    }

    /// The (day, source) pairs that want a full reading: a host reads them again and records that.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn to_reread(&mut self) -> Result<Vec<(Day, Source)>> {
        self.ledger().map(Ledger::to_reread)
    }

    /// The digest of all facts: equal on every copy that knows the same.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn digest(&mut self) -> Result<Digest> {
        self.ledger().map(Ledger::digest)
    }

    /// What a widget shows, small and self-contained.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn snapshot(&mut self, now: Now) -> Result<Snapshot> {
        let as_of = self.as_of(now.today)?;
        let rules = self.rules;
        self.ledger().map(|ledger| Snapshot::of(ledger, &rules, as_of, now))
    }

    /// The rules of this book.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What was noticed about the file since it was opened: damage, another device's backup.
    pub fn report(&self) -> &Report {
        self.store.report()
    }

    /// Lets go of the file: no lock and no open file is left behind, as iOS demands of an app that goes
    /// to the background. Calls fail with [`Error::Closed`] until [`StepBook::resume`].
    ///
    /// # Errors
    /// Those of the storage; the file is let go all the same.
    pub fn suspend(&mut self) -> Result<()> {
        self.loaded = None;
        self.store.suspend()
    }

    /// Takes the file up again after [`StepBook::suspend`].
    ///
    /// # Errors
    /// Those of [`StepBook::open`].
    pub fn resume(&mut self) -> Result<()> {
        self.store.resume()
    }

    fn apply(&mut self, operation: Operation<'_>, now: Now) -> Result<Applied> {
        self.update(|ledger| ledger.apply(operation, now).map_err(Error::from))
    }

    fn join<'f>(
        &mut self,
        facts: &'f [Fact],
        now: Now,
        operation: impl Fn(&'f Fact) -> Operation<'f>,
    ) -> Result<Vec<Change>> {
        self.update(|ledger| {
            for fact in facts {
                ledger.stage(operation(fact), now)?;
            }
            Ok(ledger.settle())
        })
    }

    fn deliver<T>(&mut self, mut step: impl FnMut(&mut Ledger, &mut Delivery) -> Result<T>) -> Result<T> {
        self.store.deliver(&self.user, &mut self.loaded, &mut step)
    }

    fn update<T>(&mut self, mut change: impl FnMut(&mut Ledger) -> Result<T>) -> Result<T> {
        self.store.update(&self.user, &mut self.loaded, &mut change)
    }
}
