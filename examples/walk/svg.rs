//! The picture: for each year a calendar, the level's course and the steps of each week on one time
//! axis. Plain shapes and text, no script, light and dark.

use std::fmt::{Result, Write};

use manbo::{Day, Level};

use crate::calendar::{self, Heat, Year, far_above};
use crate::report::{Origin, Report, Span, longest, mean};
use crate::words::grouped;

/// Years drawn: a taller picture is no picture any more.
const YEARS_DRAWN: usize = 5;
const WIDTH: i32 = 1_000;
const LEFT: i32 = 118;
const MARGIN: i32 = 28;
/// One week to the right, one weekday down.
const PITCH: i32 = 16;
const CELL: i32 = 13;
const HEADER_HEIGHT: i32 = 170;
const LEVEL_STEP: i32 = 17;
const WEEKS_HEIGHT: i32 = 72;
const YEAR_HEIGHT: i32 = 34 + 7 * PITCH + 22 + 5 * LEVEL_STEP + 44 + WEEKS_HEIGHT + 34;
const FOOTER_HEIGHT: i32 = 66;
/// Shorter runs at the goal are no streak worth a mark.
const STREAK_DAYS_MIN: i32 = 3;

const STYLE: &str = "
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','DejaVu Sans',sans-serif;font-size:12px;fill:#44546a}
.paper{fill:#ffffff}.title{font-size:24px;font-weight:700;fill:#132238}.year{font-size:17px;font-weight:700;fill:#132238}
.figure{font-size:20px;font-weight:700;fill:#132238}.small{font-size:11px}.end{text-anchor:end}.middle{text-anchor:middle}
.tile{fill:#f3f6f9}.grid{stroke:#dde4ec;stroke-width:1}.none{fill:none;stroke:#c3cdd9;stroke-width:1}
.farbelow{fill:#eda95a}.lowers{fill:#fadfb8}.keeps{fill:#bfe3dc}.raises{fill:#4fb3a2}.far{fill:#117a6b}
.late{fill:#c0266b;stroke:#ffffff;stroke-width:1}.line{fill:none;stroke:#2457b3;stroke-width:2;stroke-linejoin:round}
.area{fill:#2457b3;fill-opacity:.09}.streak{fill:#4fb3a2}.longest{fill:#117a6b}.bar{fill:#9db4cf}.best{fill:#2457b3}
@media (prefers-color-scheme:dark){text{fill:#a9b7c8}.paper{fill:#10161e}.title,.year,.figure{fill:#eef3f8}
.tile{fill:#1a232e}.grid{stroke:#2a3644}.none{stroke:#465566}.farbelow{fill:#b3742c}.lowers{fill:#5f4527}.keeps{fill:#1f4f4b}.raises{fill:#2c9586}
.far{fill:#7de3d0}.late{fill:#ff6aa9;stroke:#10161e}.line{stroke:#7fb0ff}.area{fill:#7fb0ff}.streak{fill:#2c9586}
.longest{fill:#7de3d0}.bar{fill:#4a617c}.best{fill:#7fb0ff}}
";

struct Picture<'a> {
    report: &'a Report,
    most_a_week: u64,
    text: String,
}

/// Draws the whole picture.
///
/// # Errors
/// None: writing to memory does not fail.
pub(crate) fn draw(report: &Report) -> std::result::Result<String, std::fmt::Error> {
    let years = calendar::years(report);
    let drawn = &years[years.len().saturating_sub(YEARS_DRAWN)..];
    let height = HEADER_HEIGHT + YEAR_HEIGHT * i32::try_from(drawn.len()).unwrap_or(0) + FOOTER_HEIGHT;
    let most_a_week = calendar::most_of_a_week(drawn);
    let mut picture = Picture { report, most_a_week, text: String::new() };
    picture.begin(height)?;
    picture.header(years.len() > drawn.len())?;
    for (row, year) in (0..).zip(drawn) {
        picture.year(year, HEADER_HEIGHT + row * YEAR_HEIGHT)?;
    }
    picture.legend(height - FOOTER_HEIGHT + 18)?;
    picture.text.push_str("</svg>\n");
    Ok(picture.text)
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // XML knows no control characters, not even escaped ones.
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                safe.push('\u{fffd}');
            }
            letter => safe.push(letter),
        }
    }
    safe
}

impl Picture<'_> {
    fn begin(&mut self, height: i32) -> Result {
        let s = &self.report.statistics;
        write!(
            self.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"title about\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"about\">{} steps on {} days; best day {}; level {}.</desc>\n\
             <style>{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
            escaped(&self.title()),
            grouped(s.total_steps),
            grouped(s.days_logged),
            s.best_day.map_or("none".to_owned(), |day| day.to_string()),
            s.current_level
        )
    }

    fn title(&self) -> String {
        match &self.report.origin {
            Origin::Simulated { days, .. } => {
                format!("{} day{} on foot", grouped(*days), if *days == 1 { "" } else { "s" })
            }
            Origin::Imported { file, .. } => {
                let days = grouped(self.report.statistics.days_logged);
                let path = std::path::Path::new(file);
                let name = path.file_name().map_or(file.clone(), |name| name.to_string_lossy().into_owned());
                format!("{days} days on foot: {}", shortened(&name, 40))
            }
        }
    }

    fn label(&mut self, x: i32, y: i32, class: &str, text: &str) -> Result {
        writeln!(self.text, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>", escaped(text))
    }

    fn header(&mut self, cut: bool) -> Result {
        let report = self.report;
        let s = &report.statistics;
        let first = report.days.first().map_or(s.as_of, |line| line.day);
        self.label(MARGIN, 44, "title", &self.title())?;
        let cut = if cut { format!(" \u{b7} the last {YEARS_DRAWN} years are drawn") } else { String::new() };
        let mean = grouped(mean(s.total_steps, u64::from(s.days_logged)));
        let line = format!("{first} to {} \u{b7} {mean} steps a day{cut}", s.as_of);
        self.label(MARGIN, 66, "", &line)?;
        let day = |day: Option<Day>| day.map_or(String::new(), |day| day.to_string());
        let from =
            |span: Option<Span>| span.map_or("never".to_owned(), |span| format!("from {}", span.first));
        let week = report.best_week.as_ref();
        let tiles = [
            ("steps", grouped(s.total_steps), format!("{} days logged", grouped(s.days_logged))),
            ("best day", grouped(s.best_day_steps), day(s.best_day)),
            (
                "best week",
                grouped(week.map_or(0, |w| w.shown)),
                week.map_or(String::new(), |w| w.label.clone()),
            ),
            ("goal streak", format!("{} days", s.longest_goal_streak), from(longest(&report.goal_streaks))),
            ("app streak", format!("{} days", s.longest_attendance_streak), from(report.longest_attendance)),
            (
                "level",
                s.current_level.to_string(),
                format!("{} changes", grouped(report.level_changes as u64)),
            ),
        ];
        let shown = tiles.iter().filter(|tile| tile.0 != "app streak" || s.last_attended.is_some());
        let shown: Vec<_> = shown.collect();
        let count = i32::try_from(shown.len()).unwrap_or(1);
        let width = (WIDTH - 2 * MARGIN - (count - 1) * 10) / count;
        for (at, (name, value, note)) in (0..).zip(shown) {
            let x = MARGIN + at * (width + 10);
            writeln!(
                self.text,
                "<rect x=\"{x}\" y=\"84\" width=\"{width}\" height=\"70\" rx=\"8\" class=\"tile\"/>"
            )?;
            self.label(x + 12, 103, "small", name)?;
            self.label(x + 12, 127, "figure", value)?;
            self.label(x + 12, 145, "small", note)?;
        }
        Ok(())
    }

    fn year(&mut self, year: &Year<'_>, top: i32) -> Result {
        let calendar_top = top + 34;
        self.label(MARGIN, top + 26, "year", &year.number.to_string())?;
        for (column, name) in year.month_starts() {
            self.label(LEFT + coordinate(column) * PITCH, top + 26, "small", name)?;
        }
        self.calendar(year, calendar_top)?;
        let levels_top = calendar_top + 7 * PITCH + 22;
        self.levels(year, levels_top)?;
        let streaks_top = levels_top + 5 * LEVEL_STEP + 10;
        self.streaks(year, streaks_top)?;
        self.weeks(year, streaks_top + 34)
    }

    fn calendar(&mut self, year: &Year<'_>, top: i32) -> Result {
        for row in (0..7).step_by(2) {
            let y = top + coordinate(row) * PITCH + 11;
            self.label(LEFT - 10, y, "small end", calendar::weekday_name(year.first_weekday, row))?;
        }
        for (column, week) in (0..).zip(&year.weeks) {
            for row in 0..7 {
                let Some(line) = week.day(row) else { continue };
                let class = heat_class(calendar::heat(Some(line), self.report));
                let (x, y) = (LEFT + column * PITCH, top + coordinate(row) * PITCH);
                let what = match (line.shown, line.level) {
                    (Some(shown), Some(level)) => format!("{} steps, {level}", grouped(shown)),
                    _ => "no log".to_owned(),
                };
                writeln!(
                    self.text,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" rx=\"3\" class=\"{class}\">\
                     <title>{}: {what}</title></rect>",
                    line.day
                )?;
                if self.report.late_changes.iter().any(|change| change.day == line.day) {
                    let (x, y) = (x + CELL - 2, y + 2);
                    writeln!(self.text, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" class=\"late\"/>")?;
                }
            }
        }
        Ok(())
    }

    fn levels(&mut self, year: &Year<'_>, top: i32) -> Result {
        let right = LEFT + coordinate(year.weeks.len()) * PITCH;
        let height = |level: Level| top + i32::from(4 - level.index()) * LEVEL_STEP + LEVEL_STEP / 2;
        for level in Level::ALL {
            let y = height(level);
            writeln!(self.text, "<path d=\"M{LEFT} {y}H{right}\" class=\"grid\"/>")?;
            self.label(LEFT - 10, y + 4, "small end", &level.to_string())?;
        }
        let logged: Vec<(Day, Level)> =
            year.lines().filter_map(|line| Some((line.day, line.level?))).collect();
        let (Some((first, begin)), Some((last, _))) = (logged.first(), logged.last()) else { return Ok(()) };
        let mut path = format!("M{} {}", Self::at(year, *first), height(*begin));
        for pair in logged.windows(2).filter(|pair| pair[0].1 != pair[1].1) {
            write!(path, "H{}V{}", Self::at(year, pair[1].0), height(pair[1].1))?;
        }
        write!(path, "H{}", Self::at(year, last.next()))?;
        let floor = top + 5 * LEVEL_STEP;
        writeln!(self.text, "<path d=\"{path}V{floor}H{}Z\" class=\"area\"/>", Self::at(year, *first))?;
        writeln!(self.text, "<path d=\"{path}\" class=\"line\"/>")
    }

    /// Where a day begins on the time axis, in pixels with one decimal.
    fn at(year: &Year<'_>, day: Day) -> String {
        let first = year.weeks.first().map_or(day, |week| week.first);
        let tenths = LEFT * 10 + day.since(first) * PITCH * 10 / 7;
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    fn streaks(&mut self, year: &Year<'_>, top: i32) -> Result {
        self.label(LEFT - 10, top + 9, "small end", "goal streaks")?;
        let record = longest(&self.report.goal_streaks);
        let begin = Day::from_ymd(year.number, 1, 1).unwrap_or(Day::FIRST);
        let end = Day::from_ymd(year.number, 12, 31).unwrap_or(Day::LAST);
        for span in &self.report.goal_streaks {
            let (first, last) = (span.first.max(begin), span.last.min(end));
            if span.days < STREAK_DAYS_MIN || first > last {
                continue;
            }
            let class = if Some(*span) == record { "longest" } else { "streak" };
            let x = Self::at(year, first);
            let tenths = (last.since(first) + 1) * PITCH * 10 / 7 - 10;
            writeln!(
                self.text,
                "<rect x=\"{x}\" y=\"{top}\" width=\"{}.{}\" height=\"10\" rx=\"3\" class=\"{class}\">\
                 <title>{} days at the goal from {}</title></rect>",
                tenths / 10,
                tenths % 10,
                span.days,
                span.first
            )?;
            if class == "longest" {
                let middle = first.plus(last.since(first) / 2);
                let x = Self::at(year, middle);
                writeln!(
                    self.text,
                    "<text x=\"{x}\" y=\"{}\" class=\"small middle\">longest: {} days</text>",
                    top + 24,
                    span.days
                )?;
            }
        }
        Ok(())
    }

    fn weeks(&mut self, year: &Year<'_>, top: i32) -> Result {
        let best = year.weeks.iter().map(calendar::Week::shown).max().unwrap_or(0);
        let most = self.most_a_week;
        let right = LEFT + coordinate(year.weeks.len()) * PITCH;
        let floor = top + WEEKS_HEIGHT;
        let height =
            |steps: u64| i32::try_from(steps * u64::from(WEEKS_HEIGHT.unsigned_abs()) / most).unwrap_or(0);
        let step = round_step(most);
        for line in (0..).map(|n| n * step).take_while(|steps| *steps <= most) {
            let y = floor - height(line);
            writeln!(self.text, "<path d=\"M{LEFT} {y}H{right}\" class=\"grid\"/>")?;
            self.label(LEFT - 10, y + 4, "small end", &grouped(line))?;
        }
        self.label(LEFT - 10, floor + 19, "small end", "steps a week")?;
        for (column, week) in (0..).zip(&year.weeks) {
            let steps = week.shown();
            if steps == 0 {
                continue;
            }
            let (x, tall) = (LEFT + column * PITCH, height(steps).max(1));
            let class = if steps == best { "best" } else { "bar" };
            writeln!(
                self.text,
                "<rect x=\"{x}\" y=\"{}\" width=\"{CELL}\" height=\"{tall}\" rx=\"2\" class=\"{class}\">\
                 <title>{}: {} steps</title></rect>",
                floor - tall,
                week.label,
                grouped(steps)
            )?;
        }
        Ok(())
    }

    fn legend(&mut self, y: i32) -> Result {
        let rules = &self.report.rules;
        let (drop, raise) = (grouped(rules.drop_below), grouped(rules.raise_at));
        let mut entries = vec![
            (heat_class(Heat::NoLog), "no log".to_owned()),
            (heat_class(Heat::FarBelow), format!("below {}", grouped(rules.drop_below / 2))),
            (heat_class(Heat::Lowers), format!("below {drop}: the level drops")),
            (heat_class(Heat::Keeps), format!("below {raise}: it stays")),
            (heat_class(Heat::Raises), format!("from {raise}: it rises")),
            (heat_class(Heat::FarAbove), format!("from {}", grouped(far_above(rules.raise_at)))),
        ];
        if !self.report.late_changes.is_empty() {
            entries.push(("late", "changed by late data".to_owned()));
        }
        let mut x = MARGIN;
        for (class, text) in entries {
            if class == "late" {
                writeln!(self.text, "<circle cx=\"{}\" cy=\"{}\" r=\"4\" class=\"late\"/>", x + 6, y + 6)?;
            } else {
                writeln!(
                    self.text,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" rx=\"3\" class=\"{class}\"/>"
                )?;
            }
            self.label(x + 19, y + 11, "small", &text)?;
            x += 19 + i32::try_from(text.chars().count()).unwrap_or(0) * 6 + 16;
        }
        self.label(MARGIN, y + 34, "small", "Goal streaks are runs of at least three days at the goal.")
    }
}

fn coordinate(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

fn heat_class(heat: Heat) -> &'static str {
    match heat {
        Heat::Outside | Heat::NoLog => "none",
        Heat::FarBelow => "farbelow",
        Heat::Lowers => "lowers",
        Heat::Keeps => "keeps",
        Heat::Raises => "raises",
        Heat::FarAbove => "far",
    }
}

/// The largest of 1, 2, 5, 10, 20, ... that leaves at least two lines below the top.
fn round_step(most: u64) -> u64 {
    let tens = std::iter::successors(Some(1u64), |n| n.checked_mul(10));
    let steps = tens.flat_map(|n| [n, n.saturating_mul(2), n.saturating_mul(5)]);
    steps.take_while(|step| *step <= most / 2).last().unwrap_or(1)
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['\u{2026}']).collect()
}
