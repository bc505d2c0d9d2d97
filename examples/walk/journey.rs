//! Recording on the phone, and syncing with a server and a second device through the library's own delivery
//! and server half. A real app puts a network between; here the text is handed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use manbo::delivery::{self, Next, Notice, Outcome, Trigger};
use manbo::{
    Change, Day, Deletion, Digest, Durability, Extent, IngestPolicy, Now, Options, Reading, Result, Rules,
    Snapshot, Source, StepBook, Store, UtcOffset, wire,
};
use serde::Serialize;

use crate::moments::{Late, Moment, Sync};

/// Whose ledger it is on the server.
const USER: &str = "walker";
/// How much later than the last receipt a device asks again: beyond the quarter of an hour in which coming to
/// the foreground asks for nothing new. The moments of a walk have dates, and no times that matter.
const LATER_MS: i64 = 20 * 60_000;

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
            server: Store::open(beside(&phone, ".server"), &options.clone().server("walk"))?,
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

/// Does what a host does when the app comes to the foreground: sends what delivery hands out, as the text that
/// would travel, until nothing is left to do; tells what became of it.
fn exchange(
    book: &mut StepBook,
    server: &mut Store,
    traffic: &mut Traffic,
    receipt_lost: bool,
    now: Now,
) -> Result<()> {
    let last_ms = book.delivery_health(now)?.last_receipt_ms;
    let now = Now { unix_ms: last_ms.map_or(now.unix_ms, |at| now.unix_ms.max(at + LATER_MS)), ..now };
    // A real host draws this number.
    let moment = delivery::Moment { now, seed: now.unix_ms.unsigned_abs() };
    book.trigger_delivery(Trigger::Foreground, now)?;
    while let Next::Upload(batch) = book.next_delivery(moment)? {
        traffic.facts_sent += batch.facts.len();
        *(if batch.facts.is_empty() { &mut traffic.pulls } else { &mut traffic.batches }) += 1;
        let (status, body) = serve(server, &wire::upload(&batch), now)?;
        let outcome = if receipt_lost {
            traffic.receipts_lost += 1;
            Outcome::Network
        } else {
            wire::read_reply(status, None, body.as_bytes(), now.unix_ms)
        };
        let reported = book.report_delivery(Some(batch.ticket), &outcome, moment)?;
        for notice in reported.notices {
            if let Notice::Parked { facts } = notice {
                traffic.facts_refused += facts;
            }
        }
    }
    Ok(())
}

/// The server's side of a request: the user would come from the credentials.
fn serve(server: &mut Store, body: &str, now: Now) -> Result<(u16, String)> {
    let batch = match wire::read_upload(body.as_bytes()) {
        Ok(batch) => batch,
        Err(error) => return Ok((error.status(), wire::problem(wire::Problem::BadValue, None))),
    };
    let reply = server.ingest(USER, "a device", &batch, IngestPolicy::at(now.unix_ms), now)?;
    Ok((reply.status(), reply.body()))
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
