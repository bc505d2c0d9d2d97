//! The server's half on this store: batches in, receipts out, erasure, and what a ledger was.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::era::EraRow;
use super::locked::Ended;
use super::transaction::{self, WriteTx};
use super::{Loaded, Options, Store, change, check_user, era, erase, keeping, ledger, meta, row};
use crate::delivery::{Answer, Batch, Identity};
use crate::domain::canary;
use crate::domain::code::{Code, Refusal};
use crate::domain::day::Now;
use crate::domain::fact::Fact;
use crate::domain::history::{HistoryEvent, Origin};
use crate::domain::ingest::{IngestPolicy, Ingested, take_batch};
use crate::domain::ledger::Ledger;
use crate::domain::plain::{PLAIN_SOURCE, PlainReading, TakenPlain, take_plain};
use crate::domain::register::Register;
use crate::domain::timeline::Change;
use crate::error::{Error, Result};
use crate::wire::{self, Problem};

/// Facts of a batch that a server reads: two and a half of the largest that a device of ours sends, for others.
pub const BATCH_ITEMS_MAX: usize = 1_000;
/// Facts of a page: two batches of a device; ten years are four to twelve pages. A page ends with a transaction,
/// so that it may be longer by one batch.
pub const PAGE_FACTS_MAX: usize = 1_000;
/// How far a client's generation may be ahead: more erasures than a server can have lost with a backup.
pub const GENERATION_LEAD_MAX: u32 = 1_000;

/// The present life of the store; none in its first one.
const INCARNATION: &str = "incarnation";

/// What a server answers to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Taken, with a verdict an item: HTTP 200.
    Receipt {
        /// The answer to the client.
        answer: Box<Answer>,
        /// Every day that differs, for totals kept behind rankings.
        changes: Vec<Change>,
    },
    /// The client's facts are of a generation that was erased; nothing was taken: HTTP 410.
    Erased(Identity),
    /// The client's facts belong to another ledger; nothing was taken: HTTP 409.
    OtherLedger(Identity),
}

impl Reply {
    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Reply::Receipt { .. } => 200,
            Reply::OtherLedger(_) => 409,
            Reply::Erased(_) => 410,
        }
    }

    /// The body, as [`wire`](crate::wire) writes it.
    pub fn body(&self) -> String {
        match self {
            Reply::Receipt { answer, .. } => wire::receipt(answer),
            Reply::OtherLedger(identity) => wire::problem(Problem::OtherLedger, Some(identity)),
            Reply::Erased(identity) => wire::problem(Problem::Erased, Some(identity)),
        }
    }
}

/// The proof of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The ledger, with the generation that overrules everything older.
    #[serde(flatten)]
    pub identity: Identity,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

impl Store {
    /// Takes a client's batch into a user's ledger in one transaction, and answers. The user comes from the
    /// credentials, never from the batch; `device` is what the server calls the client, for the history.
    ///
    /// ```
    /// use manbo::delivery::{Moment, Next};
    /// use manbo::{IngestPolicy, Now, Options, Reading, Reply, Source, Store, StepBook};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let now = Now::on("2022-10-04".parse()?);
    /// let mut phone = StepBook::open(dir.path().join("steps.db"), &Options::new())?;
    /// phone.record(&Reading::new(now.today, Source::new("watch")?, 8_500), now)?;
    /// let Next::Upload(batch) = phone.next_delivery(Moment { now, seed: 1 })? else { panic!("a batch") };
    ///
    /// let mut server = Store::open(dir.path().join("server.db"), &Options::new().server("5f3a..."))?;
    /// let policy = IngestPolicy { latest_day: now.today, recovery: false };
    /// let Reply::Receipt { answer, .. } = server.ingest("user-1", "phone", &batch, policy, now)? else {
    ///     panic!("nothing was erased")
    /// };
    /// assert_eq!((answer.receipt.accepted, answer.receipt.revision), (batch.facts, 1));
    /// # Ok::<(), manbo::Error>(())
    /// ```
    ///
    /// # Errors
    /// `batch_too_large` above [`BATCH_ITEMS_MAX`] facts, `internal` on a store that was not opened with
    /// [`Options::server`](crate::Options::server), and those of the storage; then nothing was taken.
    pub fn ingest(
        &mut self,
        user: &str,
        device: &str,
        batch: &Batch,
        policy: IngestPolicy,
        now: Now,
    ) -> Result<Reply> {
        check_user(user)?;
        if batch.facts.len() > BATCH_ITEMS_MAX {
            return Err(Refusal::BatchTooLarge.into());
        }
        let rules_version = self.options.rules.version();
        self.recovering(|store| {
            store.settle_recovered(user)?;
            let mut erased = false;
            let reply = store.locked(&mut |tx, store| {
                let server = Server::of(tx, &store.options)?;
                let (loaded, noted) = Loaded::load_for_write(tx, user, store.options.keeping())?;
                let number = loaded.user();
                let (mut loaded, met) = match server.meet(tx, user, loaded, batch, now)? {
                    Ok(met) => met,
                    Err(reply) => return Ok(Ended { result: Ok(reply), keep: !noted.is_empty(), noted }),
                };
                erased = number.is_some() && loaded.user() != number;
                loaded.ledger.notes.origin = Origin::Device(device.to_owned());
                let Ingested { mut receipt, changes, .. } =
                    take_batch(&mut loaded.ledger, &batch.facts, policy, now);
                let changed = !loaded.ledger.is_saved();
                if changed {
                    loaded.save(tx)?;
                }
                let complete_to = fill_page(tx, &loaded, batch.since, &mut receipt.facts)?;
                let answer = Answer {
                    identity: server.identity(user, loaded.era.as_ref()),
                    incarnation: server.incarnation(loaded.era.as_ref()),
                    rules_version,
                    since: batch.since,
                    complete_to: complete_to.unwrap_or(receipt.revision),
                    receipt,
                };
                let result = Ok(Reply::Receipt { answer: Box::new(answer), changes });
                Ok(Ended { result, keep: changed || met || !noted.is_empty(), noted })
            });
            if erased {
                store.end_erasure(reply.is_ok())?;
            }
            reply
        })
    }

    /// Takes readings in the plain form into a user's ledger in one transaction. `opened` says whether a person
    /// was there: then the greatest day may count as attended.
    ///
    /// # Errors
    /// As [`Store::ingest`].
    pub fn ingest_plain(
        &mut self,
        user: &str,
        items: &[Result<PlainReading, Code>],
        opened: bool,
        policy: IngestPolicy,
        now: Now,
    ) -> Result<TakenPlain> {
        if items.len() > BATCH_ITEMS_MAX {
            return Err(Refusal::BatchTooLarge.into());
        }
        self.recovering(|store| Server::of(store.connected()?, &store.options).map(|_| ()))?;
        self.transact(user, |ledger| {
            ledger.notes.origin = Origin::Device(PLAIN_SOURCE.to_owned());
            ledger.notes.at_ms = now.unix_ms;
            take_plain(ledger, items, opened, policy, now).map_err(Error::from)
        })
    }

    /// Erases everything of a user at once and for ever: the generation is raised, so that neither an old
    /// device nor an old backup of one brings anything back. The row that says so stays.
    ///
    /// The bytes go from the disk too. Where another process reads the file just then, they go when it has ended:
    /// with one of the next hundred calls, or when the file is opened again.
    ///
    /// # Errors
    /// As [`Store::ingest`]; then nothing is erased.
    pub fn erase(&mut self, user: &str, now: Now) -> Result<Erased> {
        check_user(user)?;
        self.recovering(|store| {
            store.settle_recovered(user)?;
            erase::overwrite(store.connected()?, true)?;
            let erased = store.locked(&mut |tx, store| {
                let server = Server::of(tx, &store.options)?;
                let (mut loaded, _) = Loaded::load_for_write(tx, user, store.options.keeping())?;
                let raised = u32::from(!canary::sings("erasure raises no generation"));
                let generation = loaded.era.as_ref().map_or(0, |era| era.generation).saturating_add(raised);
                erase_user(tx, user, &mut loaded, generation, now)?;
                let identity = Identity { ledger: server.ledger(user), generation };
                let result = Ok(Erased { identity, at_ms: now.unix_ms });
                Ok(Ended { result, keep: true, noted: Vec::new() })
            });
            store.end_erasure(erased.is_ok())?;
            erased
        })
    }

    /// Says that this file begins a new life: every device sends everything again. Whoever restores a backup calls
    /// this; a device that knows a revision beyond the backup's is noticed without, but not after others have
    /// raised the revision past it. `nonce` is a text that no life of this store had.
    ///
    /// # Errors
    /// As [`Store::ingest`].
    pub fn begin_incarnation(&mut self, nonce: &str) -> Result<()> {
        self.recovering(|store| {
            store.settle_anyone()?;
            store.locked(&mut |tx, store| {
                Server::of(tx, &store.options)?;
                meta::set(tx, INCARNATION, &hashed(&["incarnation", nonce]))?;
                Ok(Ended { result: Ok(()), keep: true, noted: Vec::new() })
            })
        })
    }

    /// Every kept change of a user, oldest first.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn history(&mut self, user: &str) -> Result<Vec<HistoryEvent>> {
        let Some(Past { ledger, changes, .. }) = self.past(user)? else { return Ok(Vec::new()) };
        Ok(changes.iter().filter_map(|change| keeping::event(change, &ledger)).collect())
    }

    /// A user's ledger as it was at an instant, in Unix milliseconds; `None` where that is not known: before
    /// history was kept, or before what was compacted.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn as_of(&mut self, user: &str, at_ms: i64) -> Result<Option<Ledger>> {
        let Some(Past { ledger, era, changes }) = self.past(user)? else { return Ok(None) };
        if era.history_from_ms.is_some_and(|from| at_ms < from) {
            return Ok(None);
        }
        keeping::undone(&ledger, &changes, at_ms, self.options.keeping()).map(Some)
    }

    /// Compacts a user's history now: of what happened before an instant, only what still holds is kept.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn compact_history(&mut self, user: &str, before_ms: i64, now: Now) -> Result<()> {
        check_user(user)?;
        self.recovering(|store| {
            store.settle_recovered(user)?;
            store.locked(&mut |tx, _| {
                let row = ledger::find(tx, user)?;
                let era = row.map_or(Ok(None), |row| era::find(tx, row.user))?;
                let Some(mut era) = era else {
                    return Ok(Ended { result: Ok(()), keep: false, noted: Vec::new() });
                };
                keeping::compact(tx, &mut era, now.unix_ms, before_ms)?;
                row::put(tx, std::iter::once(era))?;
                Ok(Ended { result: Ok(()), keep: true, noted: Vec::new() })
            })
        })
    }

    /// A user's ledger and how it became so, in one snapshot. Changes that cannot be trusted are dropped first:
    /// that history is gone, and nothing else.
    pub(super) fn past(&mut self, user: &str) -> Result<Option<Past>> {
        self.read(user)?;
        let read = |store: &mut Store| {
            let keeping = store.options.keeping();
            transaction::read(store.connected()?, |snapshot| {
                let (loaded, _) = Loaded::load(snapshot, user, keeping)?;
                let Some(number) = loaded.user() else { return Ok(None) };
                let kept = keeping::changes(snapshot, number)?;
                Ok(kept.map(|(era, changes)| Past { ledger: loaded.ledger, era, changes }))
            })
        };
        self.recovering(|store| match read(store) {
            Err(error) if error.is_corrupt() => {
                store.settle_recovered(user)?;
                store.locked(&mut |tx, _| {
                    let row = ledger::find(tx, user)?;
                    if let Some(mut era) = row.map_or(Ok(None), |row| era::find(tx, row.user))? {
                        let last_ms = era.compacted_ms;
                        keeping::compact(tx, &mut era, last_ms, i64::MIN)?;
                        row::put(tx, std::iter::once(era))?;
                    }
                    Ok(Ended { result: Ok(()), keep: true, noted: Vec::new() })
                })?;
                read(store)
            }
            past => past,
        })
    }
}

/// After rows of many users were lost, a server's file has a new life, which follows from the old one and from what
/// was found.
pub(super) fn begin_life_after(tx: &WriteTx<'_>, found: &str) -> Result<()> {
    let before = meta::get(tx, INCARNATION)?.unwrap_or_default();
    meta::set(tx, INCARNATION, &hashed(&["life after", &before, found]))
}

/// A ledger, and how it became so.
pub(super) struct Past {
    ledger: Ledger,
    era: EraRow,
    changes: Vec<change::ChangeRow>,
}

/// Whose store this is.
struct Server {
    store: String,
    incarnation: String,
}

impl Server {
    fn of(connection: &Connection, options: &Options) -> Result<Server> {
        let Some(name) = options.server_name() else {
            return Err(Error::Internal(
                "this store was not opened as a server's: see Options::server".into(),
            ));
        };
        let life = meta::get(connection, INCARNATION)?;
        Ok(Server {
            store: hashed(&["store", name]),
            incarnation: life.unwrap_or_else(|| hashed(&["first life", name])),
        })
    }

    /// The name of a user's ledger: the same for ever, and nobody can tell the user from it.
    fn ledger(&self, user: &str) -> String {
        hashed(&["ledger", &self.store, user])
    }

    fn identity(&self, user: &str, era: Option<&EraRow>) -> Identity {
        Identity { ledger: self.ledger(user), generation: era.map_or(0, |era| era.generation) }
    }

    /// Looks at whom the client takes this server for. Gives the ledger to go on with, and whether something was
    /// written; or the answer, where nothing of the batch may be taken.
    fn meet(
        &self,
        tx: &WriteTx<'_>,
        user: &str,
        mut loaded: Loaded,
        batch: &Batch,
        now: Now,
    ) -> Result<std::result::Result<(Loaded, bool), Reply>> {
        let ours = self.identity(user, loaded.era.as_ref());
        let mut wrote = false;
        if let Some(theirs) = &batch.identity {
            let lead_max = ours.generation.saturating_add(GENERATION_LEAD_MAX);
            if theirs.ledger != ours.ledger || theirs.generation > lead_max {
                return Ok(Err(Reply::OtherLedger(ours)));
            }
            let is_older = theirs.generation < ours.generation;
            if is_older && !canary::sings("older generations are taken") {
                return Ok(Err(Reply::Erased(ours)));
            }
            if theirs.generation > ours.generation {
                // This store is a backup from before the erasure.
                erase_user(tx, user, &mut loaded, theirs.generation, now)?;
                loaded = Loaded::load_for_write(tx, user, loaded.keeping())?.0;
                wrote = true;
            }
        }
        if batch.since > loaded.ledger.revision() {
            // The client has seen a revision that this store lost: a backup, of which nobody told it. Once the
            // revision has grown to what the client knows, it could not tell any more.
            loaded.begin_life(tx, now)?;
            wrote = true;
        }
        Ok(Ok((loaded, wrote)))
    }

    fn incarnation(&self, era: Option<&EraRow>) -> String {
        match era.map_or(0, |era| era.lives) {
            0 => self.incarnation.clone(),
            lives => format!("{}-{lives}", self.incarnation),
        }
    }
}

/// 128 bits of SHA-256 over texts with their lengths, in hex: enough that no two ledgers share a name.
fn hashed(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Drops a user's rows and begins a generation.
fn erase_user(tx: &WriteTx<'_>, user: &str, loaded: &mut Loaded, generation: u32, now: Now) -> Result<()> {
    if loaded.user().is_none() {
        // A row has to remember the generation also of one who never sent anything.
        loaded.save(tx)?;
    }
    let Some(row) = ledger::find(tx, user)? else { return Ok(()) };
    let number = erase::erase(tx, &row)?;
    let lives = loaded.era.as_ref().map_or(0, |era| era.lives);
    // Of the time before it nothing is to be told, not even that there was nothing.
    let history_from_ms = Some(now.unix_ms);
    let begun = EraRow::begin(number, 0, true, now.unix_ms);
    let era = EraRow { generation, lives, history_from_ms, ..begun };
    row::put(tx, std::iter::once(era))
}

/// The facts that changed after a revision; gives the revision up to which they are complete, where that is
/// not the last one.
fn fill_page(tx: &Connection, loaded: &Loaded, since: u64, facts: &mut Vec<Fact>) -> Result<Option<u64>> {
    let ledger = &loaded.ledger;
    if since >= ledger.revision {
        return Ok(None);
    }
    let late = i64::from(canary::sings("pages begin one revision late"));
    let known = i64::try_from(since).unwrap_or(i64::MAX).saturating_add(late);
    let page = match (&loaded.era, loaded.user()) {
        (Some(era), Some(user)) if known >= era.complete_from => {
            change::since(tx, user, known, PAGE_FACTS_MAX)?
        }
        _ => None,
    };
    let Some(page) = page else {
        // Not every change is known: all facts are a superset.
        *facts = ledger.facts();
        return Ok(None);
    };
    facts.extend(page.facts.iter().filter_map(|(day, source)| {
        let register = source.map_or(Register::UNKNOWN, |id| ledger.cell(id, *day).register);
        ledger.fact_of(*day, *source, register)
    }));
    Ok(page.complete_to.and_then(|seq| u64::try_from(seq).ok()))
}
