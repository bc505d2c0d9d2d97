//! Recording on the phone, and syncing with a server and a second device through the library's own
//! server half. A real app puts a network between; here the batch and the receipt are handed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use manbo::{
    Change, Day, Deletion, Digest, Durability, Extent, Fact, IngestPolicy, Now, Options, Reading, Result,
    Rules, Snapshot, Source, StepBook, Store, UtcOffset, ingest,
};
use serde::Serialize;

use crate::moments::{Late, Moment, Sync};

/// Whose ledger it is on the server.
const USER: &str = "walker";
/// As many facts as a batch may have.
const BATCH_FACTS: usize = 400;

/// Something that was fed to the phone's ledger, in the order of feeding, for an independent reckoning.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(crate) enum Fed {
    Reading { on: Day, source: Source, recorded: u32, manual: u32, extent: Extent, offset: Option<i16> },
    Deletion { on: Day, source: Source, left: Option<[u32; 2]> },
    Attendance { on: Day, attended: bool },
}

/// A day whose numbers moved after it was thought to be known.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LateChange {
    pub(crate) on: Day,
    pub(crate) day: Day,
    pub(crate) source: Source,
    pub(crate) deletion: bool,
    pub(crate) before: Option<manbo::DayState>,
    pub(crate) after: Option<manbo::DayState>,
    /// How many of the days after it begin or end at another level now.
    pub(crate) later_days: usize,
}

/// What went over the network.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Traffic {
    pub(crate) batches: usize,
    pub(crate) facts_sent: usize,
    pub(crate) facts_refused: usize,
    pub(crate) receipts_lost: usize,
    pub(crate) pulls: usize,
}

/// The three copies of the facts, told apart by their digests.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Copies {
    pub(crate) phone: String,
    pub(crate) server: String,
    pub(crate) tablet: String,
    pub(crate) equal: bool,
    pub(crate) server_revision: u64,
}

/// A phone, a server and a second device, each with its own file.
pub(crate) struct Journey {
    pub(crate) phone: StepBook,
    server: Store,
    tablet: StepBook,
    pub(crate) fed: BTreeMap<Day, Vec<Fed>>,
    pub(crate) late: Vec<LateChange>,
    pub(crate) traffic: Traffic,
    pub(crate) snapshot: Option<Snapshot>,
    // Dropped last: the files go when nothing uses them any more.
    _folder: Option<tempfile::TempDir>,
}

impl Journey {
    /// Opens the three files: beside `db`, or in a folder that vanishes.
    pub(crate) fn open(db: Option<&Path>, rules: Rules) -> Result<Journey, Box<dyn std::error::Error>> {
        let (folder, phone) = if let Some(file) = db {
            (None, file.to_path_buf())
        } else {
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("steps.db");
            (Some(folder), file)
        };
        // A year in a second: the app's own default, FULL, would wait for the disk at each of 2,000 commits.
        let options = Options::new().rules(rules).durability(Durability::Normal);
        Ok(Journey {
            server: Store::open(beside(&phone, ".server"), &options)?,
            tablet: StepBook::open(beside(&phone, ".tablet"), &options)?,
            phone: StepBook::open(phone, &options)?,
            fed: BTreeMap::new(),
            late: Vec::new(),
            traffic: Traffic::default(),
            snapshot: None,
            _folder: folder,
        })
    }

    /// Lives through one moment.
    pub(crate) fn live(&mut self, moment: &Moment) -> Result<()> {
        let now = moment.now;
        self.record_all(&moment.readings, now)?;
        for late in &moment.late {
            self.record_late(*late, now)?;
        }
        if moment.attends {
            self.phone.attend(now.today, now)?;
            self.note(now.today, Fed::Attendance { on: now.today, attended: true });
        }
        match moment.sync {
            Some(sync) => self.sync(sync, now),
            None => Ok(()),
        }
    }

    /// Records readings in one transaction. None is refused: the limits were checked where they came from.
    pub(crate) fn record_all(&mut self, readings: &[Reading], now: Now) -> Result<()> {
        if let Some(refused) = self.phone.record_all(readings, now)?.refused.first() {
            return Err(refused.refusal.into());
        }
        for reading in readings {
            self.note_reading(reading, now);
        }
        Ok(())
    }

    fn record_late(&mut self, late: Late, now: Now) -> Result<()> {
        let (day, source, changes) = match late {
            Late::Reading(reading) => {
                let changes = self.phone.record(&reading, now)?;
                self.note_reading(&reading, now);
                (reading.day, reading.source, changes)
            }
            Late::Deletion(deletion) => {
                let changes = self.phone.delete(&deletion, now)?;
                self.note_deletion(&deletion, now);
                (deletion.day, deletion.source, changes)
            }
        };
        let later_days = changes.iter().filter(|change| change.day > day).count();
        if let Some(Change { before, after, .. }) = changes.into_iter().find(|change| change.day == day) {
            let deletion = matches!(late, Late::Deletion(_));
            self.late.push(LateChange { on: now.today, day, source, deletion, before, after, later_days });
        }
        Ok(())
    }

    fn note(&mut self, day: Day, fed: Fed) {
        self.fed.entry(day).or_default().push(fed);
    }

    fn note_reading(&mut self, reading: &Reading, now: Now) {
        let fed = Fed::Reading {
            on: now.today,
            source: reading.source,
            recorded: reading.counts.recorded,
            manual: reading.counts.manual,
            extent: reading.extent,
            offset: reading.offset.map(UtcOffset::minutes),
        };
        self.note(reading.day, fed);
    }

    fn note_deletion(&mut self, deletion: &Deletion, now: Now) {
        let left = deletion.left.map(|counts| [counts.recorded, counts.manual]);
        self.note(deletion.day, Fed::Deletion { on: now.today, source: deletion.source, left });
    }

    fn sync(&mut self, sync: Sync, now: Now) -> Result<()> {
        self.snapshot = Some(self.phone.snapshot(now)?);
        exchange(&mut self.phone, &mut self.server, &mut self.traffic, sync.receipt_lost, now)?;
        if let Some(visit) = sync.tablet {
            if visit.attends {
                self.tablet.attend(now.today, now)?;
                self.note(now.today, Fed::Attendance { on: now.today, attended: true });
            }
            exchange(&mut self.tablet, &mut self.server, &mut self.traffic, false, now)?;
        }
        Ok(())
    }

    /// Brings all three to the same facts, and compares them.
    pub(crate) fn settle(&mut self, now: Now) -> Result<Copies> {
        exchange(&mut self.phone, &mut self.server, &mut self.traffic, false, now)?;
        exchange(&mut self.tablet, &mut self.server, &mut self.traffic, false, now)?;
        // The tablet may have brought something new.
        exchange(&mut self.phone, &mut self.server, &mut self.traffic, false, now)?;
        let server = self.server.read(USER)?;
        let digests: [Digest; 3] = [self.phone.digest()?, server.digest(), self.tablet.digest()?];
        Ok(Copies {
            phone: digests[0].to_string(),
            server: digests[1].to_string(),
            tablet: digests[2].to_string(),
            equal: digests[0] == digests[1] && digests[1] == digests[2],
            server_revision: server.revision(),
        })
    }
}

/// Sends what is pending in batches, or an empty batch to pull; applies each receipt that arrives.
fn exchange(
    book: &mut StepBook,
    server: &mut Store,
    traffic: &mut Traffic,
    receipt_lost: bool,
    now: Now,
) -> Result<()> {
    let pending = book.pending()?;
    let batches: Vec<&[Fact]> =
        if pending.is_empty() { vec![&[]] } else { pending.chunks(BATCH_FACTS).collect() };
    // The last day that has begun anywhere is the server's limit.
    let latest_day = Now::at(now.unix_ms, UtcOffset::from_minutes(840)?).today;
    let policy = IngestPolicy { latest_day, recovery: false };
    for batch in batches {
        let since = book.ledger()?.revision();
        let done = server.transact(USER, |ledger| Ok(ingest(ledger, batch, since, policy, now)))?;
        traffic.facts_sent += batch.len();
        traffic.facts_refused += done.receipt.refused.len();
        *(if batch.is_empty() { &mut traffic.pulls } else { &mut traffic.batches }) += 1;
        if receipt_lost {
            traffic.receipts_lost += 1;
        } else {
            book.apply_receipt(&done.receipt, now)?;
        }
    }
    Ok(())
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
