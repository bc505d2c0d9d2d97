//! Which column is what, from the titles of the header and the caller's word.

use crate::error::{ImportError, Result};
use crate::options::CsvOptions;

use super::rows::Row;

/// How much of a title is shown in a note or an error: enough to find it again.
const SHOWN_CHARS: usize = 60;
/// How many titles an error shows: the widest export of days has 24.
const SHOWN_TITLES: usize = 30;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Person,
    Source,
    Report,
    ReportedAt,
    Day,
    Hour,
    Minute,
    Start,
    End,
    Arrived,
    Steps,
    Manual,
    Boot,
}

/// Every role with its name in the options and the titles it is known by, the most telling first.
const ROLES: [(Role, &str, &[&str]); 13] = [
    (Role::Person, "person", &["user", "userid", "person", "participant", FITABASE_PERSON]),
    (Role::Source, "source", &["source", "sourcename", "datasource", "device", "deviceuuid", "app"]),
    (Role::Report, "report", &["report"]),
    (Role::ReportedAt, "reported_at", &["reportedat"]),
    (
        Role::Day,
        "day",
        // The last three: Spanish (as in Google's), German, Korean.
        &["day", "date", "formatteddate", "activitydate", "daytime", "fecha", "datum", "\u{b0a0}\u{c9dc}"],
    ),
    (Role::Hour, "hour", &["hour", "activityhour"]),
    (Role::Minute, "minute", &["minute", "activityminute"]),
    (Role::Start, "start", &["start", "startdate", "starttime", "timestamp", "date/time"]),
    (Role::End, "end", &["end", "enddate", "endtime"]),
    (Role::Arrived, "arrived", &["created", "creationdate", "createtime"]),
    (
        Role::Steps,
        "steps",
        &[
            "steps",
            "stepcount",
            "stepcount(count)",
            "totalsteps",
            "count",
            "value",
            "recorded",
            GARMIN_STEPS,
            "recuentodepasos",
            "pasos",
            "schritte",
            "\u{ac78}\u{c74c}\u{c218}",
        ],
    ),
    (Role::Manual, "manual", &["manual"]),
    (Role::Boot, "boot", &["bootns", "bootms"]),
];

/// Fitabase's title of a person. Elsewhere an `id` is the number of a row.
const FITABASE_PERSON: &str = "id";

/// Garmin's report of steps has the titles nothing, `Actual` and `Goal`.
const GARMIN_STEPS: &str = "actual";

/// The roles that say when; naming one of them in the options says that no other counts.
const TIMES: [Role; 6] = [Role::Day, Role::Hour, Role::Minute, Role::Start, Role::End, Role::Boot];

/// The place of a role in [`ROLES`], which has them all.
fn place_of(role: Role) -> usize {
    ROLES.iter().position(|(known, _, _)| *known == role).unwrap_or(0)
}

/// The titles of a table and what the caller says about them.
pub(super) struct Header {
    titles: Vec<String>,
    squeezed: Vec<String>,
    /// By the place of the role in `ROLES`.
    columns: [Option<usize>; ROLES.len()],
    values: bool,
}

impl Header {
    /// Finds the column of every role.
    ///
    /// # Errors
    /// [`ImportError::Option`] where the options name a role or a title that does not exist.
    pub(super) fn new(file: &str, row: &Row<'_>, options: &CsvOptions) -> Result<Header> {
        let titles: Vec<String> =
            row.fields().map(|title| String::from_utf8_lossy(title.trim_ascii()).into_owned()).collect();
        let squeezed: Vec<String> = titles.iter().map(|title| squeeze(title)).collect();
        let values = row.fields().any(is_value);
        let mut header = Header { titles, squeezed, columns: [None; ROLES.len()], values };
        for (place, (_, _, names)) in ROLES.iter().enumerate() {
            header.columns[place] = names.iter().find_map(|name| header.find(name));
        }
        let fitabase = header.squeezed.iter().any(|title| title.starts_with("activity"));
        let person = place_of(Role::Person);
        if header.columns[person].is_some_and(|at| header.squeezed(at) == FITABASE_PERSON) && !fitabase {
            header.columns[person] = None;
        }
        let day = place_of(Role::Day);
        if header.columns[day].is_none()
            && header.column(Role::Steps).is_some_and(|steps| header.squeezed(steps) == GARMIN_STEPS)
        {
            header.columns[day] = header.find("");
        }
        header.obey(file, options)?;
        Ok(header)
    }

    /// Puts the caller's columns in the place of the detected ones.
    fn obey(&mut self, file: &str, options: &CsvOptions) -> Result<()> {
        let mut named = Vec::new();
        for (role_name, title) in &options.columns {
            let Some(place) = ROLES.iter().position(|(_, name, _)| name == role_name) else {
                let known: Vec<&str> = ROLES.iter().map(|(_, name, _)| *name).collect();
                let text = format!(
                    "`{}` is no role of a column; the roles are {}",
                    shown(role_name),
                    known.join(", ")
                );
                return Err(ImportError::Option(text));
            };
            let Some(column) = self.find(&squeeze(title)) else {
                let text = format!("{file}: there is no column `{}`; {}", shown(title), self.found());
                return Err(ImportError::Option(text));
            };
            named.push((place, column));
        }
        if named.iter().any(|(place, _)| TIMES.contains(&ROLES[*place].0)) {
            for (place, (role, _, _)) in ROLES.iter().enumerate() {
                if TIMES.contains(role) {
                    self.columns[place] = None;
                }
            }
        }
        for (place, column) in named {
            self.columns[place] = Some(column);
        }
        Ok(())
    }

    /// The column of a role.
    pub(super) fn column(&self, role: Role) -> Option<usize> {
        self.columns[place_of(role)]
    }

    /// The column with this title, written without blanks in small letters.
    pub(super) fn find(&self, squeezed: &str) -> Option<usize> {
        self.squeezed.iter().position(|title| title == squeezed)
    }

    /// The columns whose titles are a prefix and two digits from 00 on, if all of them are there.
    pub(super) fn numbered<const N: usize>(&self, prefix: &str) -> Option<[usize; N]> {
        let mut cells = [0; N];
        for (number, cell) in cells.iter_mut().enumerate() {
            *cell = self.find(&format!("{prefix}{number:02}"))?;
        }
        Some(cells)
    }

    /// Every column that has a title, with it.
    pub(super) fn titled(&self) -> impl Iterator<Item = (usize, &str)> {
        self.titles.iter().map(String::as_str).enumerate().filter(|(_, title)| !title.is_empty())
    }

    /// The title of a column without blanks in small letters.
    pub(super) fn squeezed(&self, column: usize) -> &str {
        &self.squeezed[column]
    }

    /// Which title was taken for which of the roles, as in "day = `date`, steps = `Step count`".
    pub(super) fn told(&self, roles: &[Role]) -> String {
        let told: Vec<String> = ROLES
            .iter()
            .zip(self.columns)
            .filter(|((role, _, _), _)| roles.contains(role))
            .filter_map(|((_, name, _), column)| Some(format!("{name} = `{}`", shown(&self.titles[column?]))))
            .collect();
        told.join(", ")
    }

    /// The error of a table that lacks what no table can do without.
    pub(super) fn lacks(&self, file: &str, what: &str) -> ImportError {
        let what = format!("no column of {what} is known; {}; --column ROLE=TITLE names one", self.found());
        ImportError::Unknown { file: file.to_owned(), what }
    }

    /// The titles. A first line that holds values is a table without a header: they are not shown.
    fn found(&self) -> String {
        if self.values {
            return "the first line holds values where the titles should be".to_owned();
        }
        let titles: Vec<String> =
            self.titles.iter().take(SHOWN_TITLES).map(|t| format!("`{}`", shown(t))).collect();
        let more = if self.titles.len() > SHOWN_TITLES { " and more" } else { "" };
        format!("the titles are {}{more}", titles.join(", "))
    }
}

/// The beginning of a text from outside, without what could upset a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A title as it is compared: small letters, no blanks of any kind, no underscores. Samsung writes some
/// titles with the type of the data in front, as in `com.samsung.health.step_count.count`.
fn squeeze(title: &str) -> String {
    let squeezed: String = title
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '\u{feff}'))
        .flat_map(char::to_lowercase)
        .collect();
    match squeezed.rsplit_once('.') {
        Some((package, title)) if package.starts_with("com.samsung.") => title.to_owned(),
        _ => squeezed,
    }
}

/// Whether a field of the header is a number or a date rather than a title.
fn is_value(field: &[u8]) -> bool {
    let field = field.trim_ascii();
    let digits = field.iter().filter(|b| b.is_ascii_digit()).count();
    field.first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-')) && digits * 2 >= field.len()
}
