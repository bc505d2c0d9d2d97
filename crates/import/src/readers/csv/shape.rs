//! What a table is, from its columns.

use crate::error::Result;
use crate::time::{HOUR_MS, MINUTE_MS, Moment, Unit};

use super::header::{Header, Role};
use super::presets::Devices;

/// When the steps of a row were walked, and where that is written.
#[derive(Debug)]
pub(super) enum Shape {
    /// One record.
    Narrow(Narrow),
    /// A record for each part of a day or an hour.
    Wide(Wide),
}

/// A row that is one record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Narrow {
    /// A total of a whole day.
    Day {
        /// The column of the day.
        day: usize,
    },
    /// Steps from a moment on.
    Slot {
        /// The column of the moment.
        at: usize,
        /// How long they lasted.
        slot: Slot,
    },
    /// Steps between two moments.
    Interval {
        /// The column of the first one.
        start: usize,
        /// The column of the second one.
        end: usize,
    },
}

/// A row with a column for each part of its time.
#[derive(Debug)]
pub(super) struct Wide {
    /// The column of the day or hour.
    pub(super) at: usize,
    /// Whether the parts make up a day; an hour else.
    pub(super) is_day: bool,
    /// Their columns.
    pub(super) cells: Vec<usize>,
    /// How long each lasts, in milliseconds.
    pub(super) cell_ms: i64,
}

/// How long a record lasts whose end is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// So many milliseconds.
    Fixed(i64),
    /// An hour where only the hour is written, an instant where seconds are told, a minute otherwise.
    AsWritten,
}

impl Slot {
    /// The length, in milliseconds, after a moment that was written so finely.
    pub(super) fn length_ms(self, moment: Moment) -> i64 {
        match (self, moment.unit) {
            (Slot::Fixed(ms), _) => ms,
            (Slot::AsWritten, Unit::Hour) => HOUR_MS,
            (Slot::AsWritten, Unit::Second) if moment.stamp.wall_ms % MINUTE_MS != 0 => 0,
            (Slot::AsWritten, Unit::Day | Unit::Minute | Unit::Second) => MINUTE_MS,
        }
    }

    fn told(self) -> String {
        match self {
            Slot::Fixed(ms) if ms == MINUTE_MS => "each row is 1 minute from its time on".to_owned(),
            Slot::Fixed(ms) => format!("each row is {} minutes from its time on", ms / MINUTE_MS),
            Slot::AsWritten => {
                "each row is 60 minutes from its time on where only the hour is written, an instant where its time has seconds, else 1 minute"
                    .to_owned()
            }
        }
    }
}

/// The columns that a row is read by.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) shape: Shape,
    pub(super) person: Option<usize>,
    pub(super) source: Option<usize>,
    pub(super) report: Option<usize>,
    pub(super) reported_at: Option<usize>,
    pub(super) arrived: Option<usize>,
    pub(super) steps: Option<usize>,
    pub(super) manual: Option<usize>,
    /// The column that says what was measured, where the steps are just a `value`.
    pub(super) kind: Option<usize>,
    /// The devices of Samsung Health, where they are the sources.
    pub(super) devices: Option<Devices>,
    /// How many fields a row has at least.
    pub(super) fields: usize,
    /// What was detected, as a sentence.
    pub(super) told: String,
}

impl Columns {
    /// Finds out what a table is.
    ///
    /// # Errors
    /// [`ImportError::Unknown`](crate::ImportError::Unknown) where it says no time or no steps.
    pub(super) fn detect(file: &str, header: &Header, slot_minutes: Option<u32>) -> Result<Columns> {
        let (shape, roles) = if let Some((wide, role)) = wide(header) {
            (Shape::Wide(wide), vec![role])
        } else {
            let (narrow, roles) = narrow(header, slot_minutes).ok_or_else(|| header.lacks(file, "times"))?;
            (Shape::Narrow(narrow), roles)
        };
        let steps = header.column(Role::Steps);
        let is_wide = matches!(shape, Shape::Wide(_));
        if steps.is_none() && !is_wide {
            return Err(header.lacks(file, "steps"));
        }
        // A total beside the minutes of an hour is none of a day.
        let steps = steps.filter(|_| !matches!(shape, Shape::Wide(Wide { is_day: false, .. })));
        let kind = steps.filter(|steps| header.squeezed(*steps) == "value").and_then(|_| header.find("type"));
        let mut told_roles = vec![Role::Person, Role::Source, Role::Report, Role::ReportedAt, Role::Arrived];
        told_roles.extend(steps.map(|_| Role::Steps));
        told_roles.extend((!is_wide).then_some(Role::Manual));
        told_roles.extend(roles);
        let mut columns = Columns {
            person: header.column(Role::Person),
            source: header.column(Role::Source),
            report: header.column(Role::Report),
            reported_at: header.column(Role::ReportedAt),
            arrived: header.column(Role::Arrived),
            steps,
            manual: header.column(Role::Manual).filter(|_| !is_wide),
            kind,
            devices: None,
            fields: 0,
            told: format!("columns: {}; {}", header.told(&told_roles), sentence(&shape, steps.is_some())),
            shape,
        };
        columns.fields = columns.needed();
        Ok(columns)
    }

    /// Up to which column a row must go. What is only a remark may be missing at its end.
    fn needed(&self) -> usize {
        let mut needed = vec![self.person, self.source, self.report, self.reported_at, self.steps, self.kind];
        match &self.shape {
            Shape::Narrow(Narrow::Day { day: at } | Narrow::Slot { at, .. }) => needed.push(Some(*at)),
            Shape::Narrow(Narrow::Interval { start, end }) => needed.extend([Some(*start), Some(*end)]),
            Shape::Wide(wide) => {
                needed.push(Some(wide.at));
                needed.extend(wide.cells.iter().map(|cell| Some(*cell)));
            }
        }
        needed.into_iter().flatten().max().map_or(0, |last| last + 1)
    }
}

/// A day in hours or an hour in minutes, a column each.
fn wide(header: &Header) -> Option<(Wide, Role)> {
    if let Some(at) = header.column(Role::Day)
        && let Some(cells) = header.numbered::<24>("h")
    {
        return Some((Wide { at, is_day: true, cells: cells.to_vec(), cell_ms: HOUR_MS }, Role::Day));
    }
    let at = header.column(Role::Hour)?;
    let cells = header.numbered::<60>("m").or_else(|| header.numbered::<60>("steps"))?;
    Some((Wide { at, is_day: false, cells: cells.to_vec(), cell_ms: MINUTE_MS }, Role::Hour))
}

/// A row a record. The finest time is taken where a table has several.
fn narrow(header: &Header, slot_minutes: Option<u32>) -> Option<(Narrow, Vec<Role>)> {
    if let (Some(start), Some(end)) = (header.column(Role::Start), header.column(Role::End)) {
        return Some((Narrow::Interval { start, end }, vec![Role::Start, Role::End]));
    }
    let given = slot_minutes.map(|minutes| Slot::Fixed(i64::from(minutes) * MINUTE_MS));
    let slots = [
        (Role::Minute, Slot::Fixed(MINUTE_MS)),
        (Role::Hour, Slot::Fixed(HOUR_MS)),
        (Role::Start, Slot::AsWritten),
    ];
    for (role, slot) in slots {
        if let Some(at) = header.column(role) {
            return Some((Narrow::Slot { at, slot: given.unwrap_or(slot) }, vec![role]));
        }
    }
    Some((Narrow::Day { day: header.column(Role::Day)? }, vec![Role::Day]))
}

fn sentence(shape: &Shape, total: bool) -> String {
    match shape {
        Shape::Narrow(Narrow::Day { .. }) => "each row is a day's total".to_owned(),
        Shape::Narrow(Narrow::Slot { slot, .. }) => slot.told(),
        Shape::Narrow(Narrow::Interval { .. }) => "each row is a record from start to end".to_owned(),
        Shape::Wide(Wide { is_day: true, .. }) if total => {
            "each row is a day with its total and a column for each hour".to_owned()
        }
        Shape::Wide(Wide { is_day: true, .. }) => "each row is a day with a column for each hour".to_owned(),
        Shape::Wide(_) => "each row is an hour with a column for each minute".to_owned(),
    }
}
