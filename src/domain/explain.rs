//! Why a number is what it is: as data, and in sentences.

use serde::Serialize;

use super::day::Day;
use super::ledger::Ledger;
use super::level::{GapPolicy, Level};
use super::query::{CellView, view};
use super::remark::{Event, Ignored, Kept, Kind, Remark};
use super::steps::{Counts, RANKED_MAX, STEPS_MAX, Source};
use super::timeline::DayState;

/// What one source says about the day, and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceAccount {
    /// The cell.
    pub cell: CellView,
    /// Whether a correction pins it.
    pub pinned: bool,
    /// Whether it counts: while a cell of the day is pinned, only pinned ones do.
    pub counts: bool,
    /// The last remark of each kind, oldest first.
    pub remarks: Vec<Remark>,
}

/// Why the level is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelAccount {
    /// The last logged day before this one, with what it showed.
    pub previous: Option<(Day, DayState)>,
    /// Days without a log between the two.
    pub days_missing: u32,
    /// The level with which the day began, or would begin.
    pub initial_level: Level,
    /// The level of the day; the initial one when it is not logged.
    pub level: Level,
}

/// Everything about one day.
///
/// ```
/// use manbo::{Day, Ledger, Now, Operation, Reading, Rules, Source};
/// let day: Day = "2022-10-04".parse()?;
/// let mut ledger = Ledger::new(*Rules::default().levels());
/// ledger.apply(Operation::Read(&Reading::new(day, Source::new("garmin")?, 12_000)), Now::on(day))?;
/// let account = ledger.explain(day);
/// assert_eq!(account.shown_from.unwrap().as_str(), "garmin");
/// assert!(account.to_string().contains("rose from overweight to healthy"));
/// # Ok::<(), manbo::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The day.
    pub day: Day,
    /// What it shows; `None` when it is not logged.
    pub state: Option<DayState>,
    /// Whether the person opened the app.
    pub attended: bool,
    /// The source whose recorded + manual steps are shown.
    pub shown_from: Option<Source>,
    /// The source whose recorded steps are ranked.
    pub ranked_from: Option<Source>,
    /// Every source that knows the day, by name.
    pub sources: Vec<SourceAccount>,
    /// Why the level is what it is.
    pub level: LevelAccount,
    /// The same in plain English, a sentence an entry.
    pub sentences: Vec<String>,
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentences.join(" "))
    }
}

impl Ledger {
    /// Explains a day: which source won, which readings, deletions and corrections there were, and why
    /// the level is what it is.
    pub fn explain(&self, day: Day) -> Explanation {
        let sources = self.accounts(day);
        let state = self.day(day);
        let winner = |value: fn(Counts) -> u64| {
            let counting = sources.iter().filter(|s| s.counts);
            // The first name wins a tie, so that every copy names the same source.
            let values = counting.filter_map(|s| Some((value(counts_of(&s.cell)?), s.cell.source)));
            values.max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1))).map(|(_, source)| source)
        };
        let mut explanation = Explanation {
            day,
            state,
            attended: self.attended(day),
            shown_from: winner(Counts::sum),
            ranked_from: winner(|counts| u64::from(counts.recorded)),
            level: self.level_account(day, state),
            sources,
            sentences: Vec::new(),
        };
        explanation.sentences = sentences(&explanation, self);
        explanation
    }

    fn accounts(&self, day: Day) -> Vec<SourceAccount> {
        let any_pinned = self.cells_of(day).any(|(_, _, cell)| cell.register.is_pinned());
        let mut accounts: Vec<SourceAccount> = self
            .cells_of(day)
            .map(|(id, entry, cell)| {
                let pinned = cell.register.is_pinned();
                let mut remarks: Vec<Remark> = Kind::ALL
                    .iter()
                    .filter_map(|kind| self.remarks.get(&(day, id, *kind)).cloned())
                    .collect();
                remarks.sort_by_key(|remark| remark.at_ms);
                SourceAccount {
                    cell: view(day, entry.name, cell),
                    pinned,
                    counts: pinned || !any_pinned,
                    remarks,
                }
            })
            .collect();
        accounts.sort_by_key(|account| account.cell.source);
        accounts
    }

    fn level_account(&self, day: Day, state: Option<DayState>) -> LevelAccount {
        let previous = self.timeline().logged_before(day);
        let current = self.current_level(day);
        LevelAccount {
            previous,
            days_missing: previous.map_or(0, |(p, _)| u32::try_from(day.since(p) - 1).unwrap_or(0)),
            initial_level: state.map_or(current, |s| s.initial_level),
            level: current,
        }
    }
}

fn counts_of(cell: &CellView) -> Option<Counts> {
    cell.recorded.map(|recorded| Counts::new(recorded, cell.manual))
}

fn sentences(account: &Explanation, ledger: &Ledger) -> Vec<String> {
    let mut all = vec![headline(account)];
    all.extend(account.sources.iter().map(|source| source_sentence(source, account)));
    for source in &account.sources {
        all.extend(source.remarks.iter().map(|remark| remark_sentence(source, remark)));
    }
    all.push(level_sentence(account, ledger));
    all
}

fn headline(account: &Explanation) -> String {
    let day = account.day;
    let Some(state) = account.state else {
        return if account.sources.iter().any(|s| s.pinned) {
            format!("{day} is not logged: a correction took its steps out.")
        } else if account.sources.is_empty() {
            format!(
                "{day} is not logged: no source has said anything about it, which is not the same as 0 steps."
            )
        } else {
            format!("{day} is not logged: nothing is left of it.")
        };
    };
    let from = account.shown_from.map_or(String::new(), |source| format!(" from {source}"));
    let cap = if state.shown == STEPS_MAX { ", the most a day can show" } else { "" };
    let ranked = match account.ranked_from {
        _ if state.ranked == state.shown => "; all of them count for rankings".to_owned(),
        Some(source) if state.ranked == RANKED_MAX => {
            let most = grouped(RANKED_MAX.into());
            format!("; {most} of {source}'s measured ones count for rankings, the most a day may")
        }
        Some(source) => {
            format!("; {} measured ones of {source} count for rankings", grouped(state.ranked.into()))
        }
        None => String::new(),
    };
    format!("{day} shows {} steps{from}{cap}{ranked}.", grouped(state.shown.into()))
}

fn source_sentence(source: &SourceAccount, account: &Explanation) -> String {
    let name = source.cell.source;
    let value = match counts_of(&source.cell) {
        None => format!("{name} has nothing left on this day"),
        Some(counts) if counts.manual == 0 => {
            format!("{name} has {} measured steps", grouped(counts.recorded.into()))
        }
        Some(counts) => format!(
            "{name} has {} measured and {} typed-in steps",
            grouped(counts.recorded.into()),
            grouped(counts.manual.into())
        ),
    };
    let origin = match (source.pinned, source.cell.read_here) {
        (true, _) => "pinned by a correction",
        (false, true) => "read on this device",
        (false, false) if source.cell.epoch == 0 && source.cell.recorded.is_none() => {
            "waiting to be read again"
        }
        (false, false) => "from the server or another device",
    };
    let role = if !source.counts {
        ", and does not count while another cell of the day is pinned"
    } else if account.shown_from.is_some_and(|winner| winner != name) && source.cell.recorded.is_some() {
        ", and is not added, because two sources may have counted the same walk"
    } else {
        ""
    };
    format!("{value} ({origin}){role}.")
}

fn remark_sentence(source: &SourceAccount, remark: &Remark) -> String {
    let name = source.cell.source;
    let of = |counts: Option<Counts>| counts.map_or("nothing".to_owned(), |c| grouped(c.sum()));
    match &remark.event {
        Event::Reading { said, kept, .. } => {
            let why = match kept {
                Kept::Pinned => "a correction pins the day",
                Kept::Partial => "it was only a partial reading",
                Kept::OpenDay => "the day was not over",
                Kept::Nothing => "0 steps is also what a denied permission looks like",
                Kept::OtherOffset => "its midnight was that of another time zone",
                Kept::NotReadHere => "the value kept was not read on this device",
                Kept::LastEpoch => "the day has been corrected as often as it can be",
            };
            format!("A reading of {name} said {}, less than what was kept: {why}.", grouped(said.sum()))
        }
        Event::Replaced { from, to } => format!(
            "A complete reading of {name} corrected it from {} to {}.",
            grouped(from.sum()),
            grouped(to.sum())
        ),
        Event::Deleted { from, left } => {
            format!("{name} reported a deletion: {} before, {} left.", of(*from), of(*left))
        }
        Event::DeletionIgnored { left, ignored } => {
            let why = match ignored {
                Ignored::Pinned => "a correction pins the day",
                Ignored::NotReadHere => {
                    "the value was not read on this device, so the day is to be read again"
                }
            };
            format!("{name} reported a deletion that leaves {}; it changed nothing: {why}.", of(*left))
        }
        Event::Corrected { from, to, reason } if reason.is_empty() => {
            format!("A correction set {name} from {} to {}.", of(*from), of(*to))
        }
        Event::Corrected { from, to, reason } => {
            format!("A correction set {name} from {} to {} (reason: {reason}).", of(*from), of(*to))
        }
        Event::Unpinned => format!("A correction of {name} was ended: its readings count again."),
        Event::SetAside => {
            format!("A stored row of {name} was damaged and set aside: the day is to be read again.")
        }
    }
}

fn level_sentence(account: &Explanation, ledger: &Ledger) -> String {
    let rules = ledger.timeline().rules();
    let level = &account.level;
    let initial = level.initial_level;
    let limit = grouped(rules.drop_below().into());
    let begin = match level.previous {
        None if account.state.is_none() => {
            format!("nothing is logged before it, so it would begin at {initial}")
        }
        None => format!("it is the first logged day, so it begins at {initial}"),
        Some((day, state)) if state.shown < rules.drop_below() => {
            format!(
                "{day} ended at {} with {} steps, below {limit}",
                state.level,
                grouped(state.shown.into())
            )
        }
        Some((day, state)) => {
            format!(
                "{day} ended at {} with {} steps, not below {limit}",
                state.level,
                grouped(state.shown.into())
            )
        }
    };
    let gap = match (level.days_missing, rules.gap()) {
        (0, _) => String::new(),
        (n, GapPolicy::Skip) => format!(", the {n} days without a log do not count"),
        (n, GapPolicy::CountAsZero) => format!(", the {n} days without a log count as 0 steps"),
    };
    let start =
        if level.previous.is_some() { format!("{gap}, so this day begins at {initial}") } else { gap };
    let raise_at = grouped(rules.raise_at().into());
    let end = match account.state {
        None => "without a log it stays there".to_owned(),
        Some(state) if state.level > state.initial_level => {
            format!("with at least {raise_at} steps it rose from {initial} to {}", state.level)
        }
        Some(state) if state.shown >= rules.raise_at() => format!("{} is the highest", state.level),
        Some(_) => format!("with fewer than {raise_at} steps it did not rise"),
    };
    format!("Level {}: {begin}{start}; {end}.", level.level)
}

/// 12345 as `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_for_people() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (300_000, "300,000")]
        {
            assert_eq!(grouped(n), text);
        }
    }
}
