//! From the sums of days to readings: reports follow one another, edges are partial, people are told apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use manbo::{Day, Extent, Ledger, Now, Operation, Reading, Rules, SOURCES_MAX, Source, UtcOffset};

use super::clock::Clock;
use super::days::{Bound, CellKey, Sums};
use super::{Collector, Printed, counts, names, people};
use crate::error::{ImportError, Result};
use crate::record::{Reason, ReportKey};
use crate::report::{Import, Person, PersonReport, Report, Rereports, SourceReport, Union};

/// What one report says of one day of one source.
struct Said {
    reading: Reading,
    long: bool,
    /// Whether the report has a date or number.
    dated: bool,
}

/// What the reports of one person say, by day and source, with the numbers of the reports.
type Told = BTreeMap<(Day, Source), Vec<(u32, Said)>>;

/// The final readings of one person, with the days made of records longer than a day.
#[derive(Default)]
pub(super) struct Cells {
    pub(super) readings: Vec<Reading>,
    pub(super) long: BTreeSet<(Day, Source)>,
}

/// Turns everything that was collected into the result.
pub(super) fn import(mut collector: Collector, union: Union, splits: u64) -> Result<Import> {
    let cells = std::mem::take(&mut collector.days).into_sorted();
    let mut rereports = Rereports::default();
    let mut by_person: BTreeMap<u32, Told> = BTreeMap::new();
    let edges = Edges::of(&collector, &cells);
    let made_of_rows = cells.iter().any(|(_, sums)| !sums.is_stated());
    let joins_only = collector.options.join_only || (collector.lossy && made_of_rows);
    for (key, sums) in cells {
        match said(&collector, &edges, key, &sums) {
            Ok(said) => {
                let place = (said.reading.day, said.reading.source);
                let reports = by_person.entry(key.person).or_default().entry(place).or_default();
                reports.push((key.report, said));
            }
            Err(reason) => collector.rejects.add(String::new(), 0, reason),
        }
    }
    if let (Some(_), true, true) = (&collector.options.user, by_person.is_empty(), collector.other > 0) {
        let what = "the files hold nothing of the person that --user names".to_owned();
        return Err(ImportError::Option(what));
    }
    for cells in by_person.values() {
        check_sources(cells)?;
    }
    note_unused_maps(&mut collector);
    let rank = ranks(&collector);
    let now = Now::on(collector.options.today);
    let mut people = Vec::new();
    for (person, cells) in by_person {
        let cells = fold(cells, &rank, now, &mut rereports)?;
        let name = Some(collector.people.get(person)).filter(|name| !name.is_empty()).map(str::to_owned);
        people.push((name, cells));
    }
    people.sort_by(|(a, _), (b, _)| a.cmp(b));
    let sources = names_of_sources(&collector);
    let mut reports = Vec::new();
    let mut persons = Vec::new();
    for (name, cells) in people {
        reports.push(person_report(name.clone(), &cells, &sources));
        persons.push(Person { name, readings: cells.readings });
    }
    let report = Report {
        joins_only,
        days_by: days_by(&collector),
        files: collector.files,
        rows: collector.rows,
        blank: collector.blank,
        other: collector.other,
        splits,
        union,
        rereports,
        rejects: collector.rejects,
        arrivals: collector.arrivals,
        people: reports,
    };
    Ok(Import { people: persons, report })
}

/// The places of reports in time, by their numbers.
fn ranks(collector: &Collector) -> Vec<usize> {
    let mut order: Vec<usize> = (0..collector.reports.len()).collect();
    // What has no date comes last: it can only join.
    order.sort_by_key(|number| {
        (collector.reports[*number] == ReportKey::default(), collector.reports[*number])
    });
    let mut ranks = vec![0; order.len()];
    for (rank, number) in order.into_iter().enumerate() {
        ranks[number] = rank;
    }
    ranks
}

/// Between which days the reports of each source are whole. A device that falls silent may have been
/// exported before its last day was over, unless the export says when it was made.
struct Edges {
    /// Of a (person, source, report): the first day made of records, and the first day that is not over.
    whole: HashMap<(u32, u32, u32), (i32, i32)>,
}

impl Edges {
    fn of(collector: &Collector, cells: &[(CellKey, Sums)]) -> Edges {
        let mut whole: HashMap<(u32, u32, u32), (i32, i32)> = HashMap::new();
        // A day that is refused as a whole tells nothing, not even how far the report goes.
        let taken = cells.iter().filter(|(_, sums)| {
            let (measured, typed) = sums.counts();
            counts(measured, typed).is_some()
        });
        for (key, sums) in taken {
            let stream = (key.person, key.source, key.report);
            let (first, last) = whole.entry(stream).or_insert((i32::MAX, i32::MIN));
            if !sums.is_stated() {
                *first = key.day.min(*first);
            }
            *last = key.day.max(*last);
        }
        let mut clock = Clock::new(collector.options.zone);
        for (stream, (_, open_from)) in &mut whole {
            let report = collector.reports[stream.2 as usize];
            let made = match (report.made, report.number, collector.exported.get(stream)) {
                (Some((unix_ms, minutes)), _, _) => Some((unix_ms, Some(minutes))),
                (None, None, Some(stamp)) => Some((stamp.line_ms(), stamp.offset)),
                (None, _, _) => None,
            };
            if let Some((ms, offset)) = made {
                *open_from = clock.stretch(clock.line(offset), ms).day;
            }
            // Whatever the files say, the caller's own day is not over.
            *open_from = collector.options.today.number().min(*open_from);
        }
        Edges { whole }
    }

    fn extent(&self, key: CellKey, sums: &Sums) -> Extent {
        let (first, open_from) =
            self.whole.get(&(key.person, key.source, key.report)).copied().unwrap_or((i32::MAX, i32::MIN));
        let is_whole = sums.is_stated() || key.day > first;
        if is_whole && key.day < open_from { Extent::Full } else { Extent::Partial }
    }
}

fn said(
    collector: &Collector,
    edges: &Edges,
    key: CellKey,
    sums: &Sums,
) -> std::result::Result<Said, Reason> {
    let (measured, typed) = sums.counts();
    let counts = counts(measured, typed).ok_or(Reason::ImplausibleSteps)?;
    let day = Day::from_number(key.day).map_err(|_| Reason::DayOutOfRange)?;
    let minutes = match sums.bound {
        Bound::Unknown | Bound::Mixed => None,
        Bound::Printed(minutes) => Some(minutes),
        Bound::Zone => collector.clock.offset_of_day(key.day),
    };
    // A row that was left out may be a part of any day that is made of rows; and under several offsets nobody knows which day
    // was meant.
    let lossy = collector.lossy && !sums.is_stated();
    let joins = collector.options.join_only || lossy || sums.bound == Bound::Mixed;
    let reading = Reading {
        day,
        source: collector.sources[key.source as usize],
        counts,
        extent: if joins { Extent::Partial } else { edges.extent(key, sums) },
        offset: minutes.and_then(|minutes| UtcOffset::from_minutes(i32::from(minutes)).ok()),
    };
    let dated = collector.reports[key.report as usize] != ReportKey::default();
    Ok(Said { reading, long: sums.long, dated })
}

/// Lets the reports of each day follow one another through the core's own rules.
fn fold(cells: Told, rank: &[usize], now: Now, rereports: &mut Rereports) -> Result<Cells> {
    let mut ledger = Ledger::new(*Rules::default().levels());
    let mut out = Cells::default();
    for (place, mut reports) in cells {
        reports.sort_by_key(|(report, _)| rank[*report as usize]);
        if reports.iter().any(|(_, said)| said.long) {
            out.long.insert(place);
        }
        let final_reading = match reports.as_slice() {
            [(_, only)] => only.reading,
            several => {
                rereports.days += 1;
                follow(&mut ledger, several, now, rereports)?
            }
        };
        out.readings.push(final_reading);
    }
    Ok(out)
}

fn follow(
    ledger: &mut Ledger,
    reports: &[(u32, Said)],
    now: Now,
    rereports: &mut Rereports,
) -> Result<Reading> {
    let mut last: Option<Reading> = None;
    for (_, Said { reading, dated, .. }) in reports {
        let before = ledger.register(reading.day, &reading.source).counts;
        // Nothing tells whether what has no date is older or newer than the others: it joins.
        let joined = Reading { extent: if *dated { reading.extent } else { Extent::Partial }, ..*reading };
        let _ = ledger.apply(Operation::Read(&joined), now).map_err(manbo::Error::from)?;
        let after = ledger.register(reading.day, &reading.source).counts;
        if let (Some(before), Some(after)) = (before, after) {
            let said_less =
                reading.counts.recorded < before.recorded || reading.counts.manual < before.manual;
            rereports.raised += u64::from(after.sum() > before.sum());
            rereports.lowered += u64::from(after.sum() < before.sum());
            rereports.kept += u64::from(said_less && after == before);
        }
        let counts = after.unwrap_or(reading.counts);
        let offset = if counts == reading.counts { reading.offset } else { None };
        let full = joined.extent == Extent::Full || last.is_some_and(|last| last.extent == Extent::Full);
        last = Some(Reading {
            counts,
            extent: if full { Extent::Full } else { Extent::Partial },
            offset: offset.or(last.and_then(|last| last.offset)),
            ..*reading
        });
    }
    last.ok_or_else(|| ImportError::Records("a day without a report".to_owned()))
}

/// A name that is misspelt in `--map` would go unnoticed.
fn note_unused_maps(collector: &mut Collector) {
    let known: BTreeSet<_> = (0..)
        .take(collector.source_names.len())
        .map(|number| names::source_of(collector.source_names.get(number)))
        .collect();
    let unused =
        collector.options.sources.keys().filter(|name| !known.contains(&names::source_of(name))).count();
    if unused > 0 {
        collector.note(format!("--map names {unused} of which the files hold nothing"));
    }
}

/// The names in the files of each source.
fn names_of_sources(collector: &Collector) -> BTreeMap<Source, BTreeSet<String>> {
    let mut names: BTreeMap<Source, BTreeSet<String>> = BTreeMap::new();
    for (number, source) in (0..).zip(&collector.source_of_name) {
        let name = collector.source_names.get(number);
        let of_source = names.entry(collector.sources[*source as usize]).or_default();
        if !name.is_empty() {
            of_source.insert(name.to_owned());
        }
    }
    names
}

fn days_by(collector: &Collector) -> String {
    match (collector.options.zone, collector.printed) {
        (Some(zone), _) => format!("days of the zone {}", zone.name()),
        (None, Printed::None) => "days as the files write them".to_owned(),
        (None, Printed::One(minutes)) => {
            format!("days by the printed offset {}; --zone gives the walker's own", offset_text(minutes))
        }
        (None, Printed::Several) => {
            "days by the offset printed with each record; --zone gives the walker's own".to_owned()
        }
    }
}

fn offset_text(minutes: i16) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60)
}

fn person_report(
    name: Option<String>,
    cells: &Cells,
    names: &BTreeMap<Source, BTreeSet<String>>,
) -> PersonReport {
    let mut sources: BTreeMap<Source, SourceReport> = BTreeMap::new();
    let mut shown: BTreeMap<Day, u64> = BTreeMap::new();
    for reading in &cells.readings {
        let Reading { day, source, counts, .. } = *reading;
        let most = shown.entry(day).or_default();
        *most = counts.sum().max(*most);
        let report = sources.entry(source).or_insert_with(|| SourceReport {
            source,
            names: names.get(&source).into_iter().flatten().cloned().collect(),
            days: 0,
            recorded: 0,
            manual: 0,
            first: day,
            last: day,
        });
        report.days += 1;
        report.recorded += u64::from(counts.recorded);
        report.manual += u64::from(counts.manual);
        report.first = report.first.min(day);
        report.last = report.last.max(day);
    }
    people::report(name, &shown, sources.into_values().collect(), cells)
}

fn check_sources(cells: &Told) -> Result<()> {
    let sources: BTreeSet<Source> = cells.keys().map(|(_, source)| *source).collect();
    if sources.len() <= SOURCES_MAX {
        return Ok(());
    }
    Err(ImportError::Option(format!(
        "{} sources of one person, and a ledger takes {SOURCES_MAX}: bring some together with --map",
        sources.len()
    )))
}
