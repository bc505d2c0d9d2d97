//! Delivery beside its floors: a batch of many pending facts, its receipt, ten years into an empty device.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use manbo::delivery::{
    Answer, BATCH_FACTS_MAX, Batch, Body, Delivery, Identity, LEASE_MS, Moment, Next, Outcome,
};
use manbo::{IngestPolicy, Now, Options, Receipt, Reply, Rules, StepBook, Store, wire};

use crate::cases::{Case, Goal, Side, book, ledger, timed};
use crate::data::{History, Result, TEN_YEARS, now};
use crate::floor::{self, Bare, Durability, Table};

/// Days of one source of which the server knows nothing yet: eleven years, ten batches.
const PENDING: usize = 4_000;

/// Every case of delivery. No goal is stated for them: the ratios are for information.
pub(crate) fn cases(dir: &Path) -> Result<Vec<Case>> {
    Ok(vec![
        plan()?,
        plan_on_disk(dir)?,
        receipt(dir, Durability::Normal)?,
        receipt(dir, Durability::Full)?,
        pull(dir)?,
    ])
}

/// A moment so much later; the day stays, because no day here has yet to begin.
fn after(now: Now, ms: i64) -> Moment {
    Moment { now: Now { unix_ms: now.unix_ms + ms, ..now }, seed: 1 }
}

fn full_batch(next: Next) -> Result<Batch> {
    match next {
        Next::Upload(batch) if batch.facts.len() == BATCH_FACTS_MAX => Ok(batch),
        _ => Err("no full batch was planned".into()),
    }
}

fn plan() -> Result<Case> {
    let ledger = ledger(&History::of(PENDING)?)?;
    let moment = after(now()?, 0);
    // Oldest first, as an array of days lies.
    let mut sorted = ledger.pending();
    sorted.reverse();
    let batch = full_batch(Delivery::default().next(&ledger, moment))?;
    if sorted.len() != PENDING || floor::newest(&sorted)?.0 != batch.facts {
        return Err("the floor plans another batch".into());
    }
    let unwritten = sorted.clone();
    let written: Side = Box::new(move |times| {
        let start = Instant::now();
        for _ in 0..times {
            drop(black_box(floor::newest(black_box(&sorted))?));
        }
        Ok(timed(start))
    });
    let unwritten: Side = Box::new(move |times| {
        let start = Instant::now();
        for _ in 0..times {
            drop(black_box(floor::newest_unwritten(black_box(&unwritten))));
        }
        Ok(timed(start))
    });
    Ok(Case {
        group: "plan",
        name: "400 of 4,000 pending",
        mode: "memory",
        goal: Goal::None,
        repeat: 2,
        floors: vec![("newest 400, JSON once", written), ("newest 400, no JSON", unwritten)],
        ours: Box::new(move |times| {
            let start = Instant::now();
            for _ in 0..times {
                let next = Delivery::default().next(black_box(&ledger), moment);
                drop(black_box(full_batch(next)?));
            }
            Ok(timed(start))
        }),
    })
}

fn plan_on_disk(dir: &Path) -> Result<Case> {
    let (history, durability) = (History::of(PENDING)?, Durability::Normal);
    let bare = Bare::with(&dir.join("plan-same.db"), durability, Table::Same, &history)?;
    bare.begin_lease()?;
    let mut ours = book(&dir.join("plan-ours.db"), durability, &history)?;
    let now = now()?;
    let (mut bare_ms, mut ours_ms) = (0, 0);
    let select: Side = Box::new(move |times| {
        let start = Instant::now();
        for _ in 0..times {
            bare_ms += LEASE_MS;
            if black_box(bare.plan(now.unix_ms + bare_ms)?).len() != BATCH_FACTS_MAX {
                return Err("the floor planned another batch".into());
            }
        }
        Ok(timed(start))
    });
    Ok(Case {
        group: "plan",
        name: "400 of 4,000 pending, lease",
        mode: durability.name(),
        goal: Goal::None,
        repeat: 2,
        floors: vec![("SELECT newest 400, lease", select)],
        ours: Box::new(move |times| {
            let start = Instant::now();
            for _ in 0..times {
                // The lease of the batch before has just run out.
                ours_ms += LEASE_MS;
                drop(black_box(full_batch(ours.next_delivery(after(now, ours_ms))?)?));
            }
            Ok(timed(start))
        }),
    })
}

/// An answer that accepts a whole batch, as a server's revision.
fn accepted(batch: &Batch, revision: u64) -> Outcome {
    let receipt = Receipt { accepted: batch.facts.clone(), revision, ..Receipt::default() };
    let answer = Answer {
        identity: Identity { ledger: "walker".to_owned(), generation: 0 },
        incarnation: "first".to_owned(),
        rules_version: Rules::default().version(),
        since: batch.since,
        complete_to: revision,
        receipt,
    };
    Outcome::Reply { status: 200, retry_after_s: None, body: Body::Receipt(Box::new(answer)) }
}

/// In every run the newest days grow by a step, are planned and accepted: the latter alone is measured.
fn receipt(dir: &Path, durability: Durability) -> Result<Case> {
    let history = History::of(PENDING)?;
    let path = |side: &str| dir.join(format!("receipt-{}-{side}.db", durability.name()));
    let bare = Bare::with(&path("same"), durability, Table::Same, &history)?;
    bare.begin_lease()?;
    let mut ours = book(&path("ours"), durability, &history)?;
    let newest = History { days: history.days[PENDING - BATCH_FACTS_MAX..].to_vec() };
    let (grows, mut bare_turn, mut turn) = (newest.clone(), 0, 0);
    let update: Side = Box::new(move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            bare_turn += 1;
            let days = grows.grown(bare_turn);
            bare.put_all(&days)?;
            let start = Instant::now();
            let cleared = bare.clear(&days)?;
            took += timed(start);
            if cleared != BATCH_FACTS_MAX {
                return Err("the floor cleared other rows".into());
            }
        }
        Ok(took)
    });
    let moment = after(now()?, 0);
    Ok(Case {
        group: "receipt",
        name: "400 accepted of 4,000 pending",
        mode: durability.name(),
        goal: Goal::None,
        repeat: 1,
        floors: vec![("UPDATE row by row, lease", update)],
        ours: Box::new(move |times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                turn += 1;
                drop(ours.record_all(&newest.grown(turn).readings()?, moment.now)?);
                let batch = full_batch(ours.next_delivery(moment)?)?;
                let outcome = accepted(&batch, turn.into());
                let start = Instant::now();
                drop(black_box(ours.report_delivery(Some(batch.ticket), &outcome, moment)?));
                took += timed(start);
                if ours.pending_count()? != PENDING - BATCH_FACTS_MAX {
                    return Err("the receipt cleared other facts".into());
                }
            }
            Ok(took)
        }),
    })
}

/// What a server that has ten years answers to an empty device, page by page.
fn pages(path: &Path) -> Result<Vec<String>> {
    let facts = ledger(&History::of(TEN_YEARS)?)?.facts();
    let options = Options::new().server("floors").durability(Durability::Normal.of_book());
    let mut server = Store::open(path, &options)?;
    let now = now()?;
    let mut answer = |since, facts| -> Result<Answer> {
        let batch = Batch { ticket: 0, identity: None, since, facts };
        match server.ingest("walker", "phone", &batch, IngestPolicy::at(now.unix_ms), now)? {
            Reply::Receipt { answer, .. } => Ok(*answer),
            _ => Err("the server took nothing".into()),
        }
    };
    // As a device would have sent them: newest first, a batch at a time.
    for batch in facts.rchunks(BATCH_FACTS_MAX) {
        answer(0, batch.to_vec())?;
    }
    let (mut since, mut texts) = (0, Vec::new());
    loop {
        let page = answer(since, Vec::new())?;
        texts.push(wire::receipt(&page));
        since = page.complete_to;
        if since >= page.receipt.revision {
            return Ok(texts);
        }
    }
}

/// Every run begins with a copy of an empty file; reading and applying the pages alone is measured.
fn pull(dir: &Path) -> Result<Case> {
    let texts = pages(&dir.join("pull-server.db"))?;
    let durability = Durability::Normal;
    let options = Options::new().durability(durability.of_book());
    let empty = dir.join("pull-empty.db");
    drop(Store::open(&empty, &options)?);
    let (same, path) = (dir.join("pull-same.db"), dir.join("pull-ours.db"));
    let (bare_empty, bare_texts) = (empty.clone(), texts.clone());
    let upsert: Side = Box::new(move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            std::fs::copy(&bare_empty, &same)?;
            let bare = Bare::open(&same, durability)?;
            bare.begin_lease()?;
            let mut rows = 0;
            for text in &bare_texts {
                let start = Instant::now();
                rows += bare.put_page(text)?;
                took += timed(start);
            }
            if rows != TEN_YEARS {
                return Err("the floor read other pages".into());
            }
        }
        Ok(took)
    });
    let moment = after(now()?, 0);
    Ok(Case {
        group: "pull",
        name: "10 years into an empty device",
        mode: durability.name(),
        goal: Goal::None,
        repeat: 1,
        floors: vec![("parse, upsert row by row", upsert)],
        ours: Box::new(move |times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                std::fs::copy(&empty, &path)?;
                let mut book = StepBook::open(&path, &options)?;
                for text in &texts {
                    let Next::Upload(asked) = book.next_delivery(moment)? else {
                        return Err("the device asks for no more".into());
                    };
                    let start = Instant::now();
                    let outcome = wire::read_reply(200, None, text.as_bytes(), moment.now.unix_ms);
                    drop(black_box(book.report_delivery(Some(asked.ticket), &outcome, moment)?));
                    took += timed(start);
                }
                let days = usize::try_from(book.statistics(moment.now.today)?.days_logged)?;
                if days != TEN_YEARS || book.next_delivery(moment)? != Next::Idle {
                    return Err("the device is not filled".into());
                }
            }
            Ok(took)
        }),
    })
}
