//! Which files of a folder or archive are read: those that hold steps, each day once.

use super::Format;
use super::detect::{has_extension, is_fitbit, last};

/// What is read of a list of files, and what is said about the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// The place in the list and the format; `None` where the content decides whether it is Apple's.
    pub(super) take: Vec<(usize, Option<Format>)>,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
    /// Archives that were not opened.
    pub(super) archives: usize,
}

/// What a name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Xml,
    FitbitJson,
    Csv,
    FitDays,
    FitQuarters,
    Archive,
}

/// What is said when Google Fit's files of single days are left out. They hold the days of the daily metrics
/// in quarters of an hour, and a walker who travels would find some of them on two days.
const QUARTERS_LEFT_OUT: &str =
    "Google Fit's files of single days were left out, since the daily activity metrics tell the same days";

/// Chooses from paths with slashes; they are taken in the order given.
pub(super) fn choose(paths: &[String]) -> Chosen {
    let kinds: Vec<Option<Kind>> = paths.iter().map(|path| kind(path)).collect();
    let has_days = kinds.contains(&Some(Kind::FitDays));
    let mut chosen = Chosen::default();
    let mut left_out = 0;
    for (place, kind) in kinds.iter().enumerate() {
        match kind {
            None => {}
            Some(Kind::Archive) => chosen.archives += 1,
            Some(Kind::Xml) => chosen.take.push((place, None)),
            Some(Kind::FitbitJson) => chosen.take.push((place, Some(Format::FitbitJson))),
            Some(Kind::FitQuarters) if has_days => left_out += 1,
            Some(Kind::Csv | Kind::FitDays | Kind::FitQuarters) => {
                chosen.take.push((place, Some(Format::Csv)));
            }
        }
    }
    if left_out > 0 {
        chosen.notes.push(format!("{QUARTERS_LEFT_OUT} (files: {left_out})"));
    }
    if chosen.archives > 0 {
        chosen.notes.push(format!("archives inside were not opened (files: {})", chosen.archives));
    }
    chosen
}

fn kind(path: &str) -> Option<Kind> {
    let name = last(path).to_lowercase();
    // What a Mac adds to archives: no file of the export, whatever its name says.
    if name.starts_with("._") || path.split('/').any(|part| part == "__MACOSX") {
        return None;
    }
    if ["zip", "gz", "tgz", "tar"].iter().any(|extension| has_extension(&name, extension)) {
        return Some(Kind::Archive);
    }
    if has_extension(&name, "xml") {
        // `export_cda.xml` holds other data; Apple translates every name but this one and its folder's.
        return (name != "export_cda.xml").then_some(Kind::Xml);
    }
    if is_fitbit(&name) {
        return Some(Kind::FitbitJson);
    }
    let stem = name.strip_suffix(".csv")?;
    if let Some(samsung) = stem.strip_prefix("com.samsung.shealth.") {
        return match samsung.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('.') {
            "tracker.pedometer_day_summary" | "step_daily_trend" => Some(Kind::Csv),
            // `tracker.pedometer_step_count` has the last weeks only, in times whose zone differs by version.
            _ => None,
        };
    }
    if let Some(date) = stem.strip_prefix("steps_") {
        return is_date(date).then_some(Kind::Csv);
    }
    // Google translates the names within its folder `Fit`, not the folder's own.
    let mut folders = path.rsplit('/').skip(1);
    let (parent, above) = (folders.next().unwrap_or_default(), folders.next().unwrap_or_default());
    let in_fit = above == "Fit" || parent == "Daily activity metrics" || parent == "Daily Aggregations";
    match stem {
        "daily activity metrics"
        | "daily summaries"
        | "m\u{e9}tricas de actividad diaria"
        | "t\u{e4}gliche zusammenfassungen" => Some(Kind::FitDays),
        date if in_fit && is_date(date) => Some(Kind::FitQuarters),
        _ => None,
    }
}

/// `2024-10-09`.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(paths: &[&str], taken: &[&str], notes: &[&str]) {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let chosen = choose(&paths);
        let names: Vec<&str> = chosen.take.iter().map(|(place, _)| paths[*place].as_str()).collect();
        assert_eq!(names, taken);
        assert_eq!(chosen.notes.len(), notes.len(), "{:?}", chosen.notes);
        for (said, part) in chosen.notes.iter().zip(notes) {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn apple_under_any_name_but_not_the_clinical_document() {
        check(
            &[
                "apple_health_export/electrocardiograms/ecg_2020-01-01.csv",
                "apple_health_export/export_cda.xml",
                "apple_health_export/\u{5bfc}\u{51fa}.xml",
                "apple_health_export/workout-routes/route_2020-01-01.gpx",
            ],
            &["apple_health_export/\u{5bfc}\u{51fa}.xml"],
            &[],
        );
    }

    #[test]
    fn google_fit_by_day_or_by_quarter_hour() {
        let days = "Takeout/Fit/Daily activity metrics/Daily activity metrics.csv";
        let quarters = "Takeout/Fit/Daily activity metrics/2024-10-09.csv";
        check(&[quarters, days], &[days], &["files of single days"]);
        check(&[quarters], &[quarters], &[]);
        check(&["Daily Aggregations/2017-01-01.csv"], &["Daily Aggregations/2017-01-01.csv"], &[]);
        let translated = "Takeout/Fit/M\u{e9}tricas/M\u{e9}tricas de actividad diaria.csv";
        check(
            &["Takeout/Fit/M\u{e9}tricas/2020-01-01.csv", translated],
            &[translated],
            &["files of single days"],
        );
        check(&["notes/2020-01-01.csv", "Fit.csv", "list.csv", "Takeout/Fit/Activities/walk.csv"], &[], &[]);
        check(&["__MACOSX/Takeout/Fit/a/._Daily activity metrics.csv", "Fit/a/._export.xml"], &[], &[]);
    }

    #[test]
    fn fitbit_in_both_forms() {
        let json = "Takeout/Fitbit/Global Export Data/steps-2023-02-26.json";
        let csv = "Takeout/Fitbit/Physical Activity_GoogleData/steps_2023-02-01.csv";
        // Different sources, and the CSV may go on where the JSON ends: both.
        check(&[json, csv], &[json, csv], &[]);
        check(&[csv], &[csv], &[]);
        check(&["a/heart_rate-2023-02-26.json", "a/steps_old.csv"], &[], &[]);
    }

    #[test]
    fn samsung_by_its_days() {
        let file = |kind: &str| {
            format!("samsunghealth_ana_20220702143000/com.samsung.shealth.{kind}.202207021430.csv")
        };
        let (summary, trend) = (file("tracker.pedometer_day_summary"), file("step_daily_trend"));
        check(&[&trend, &summary], &[&trend, &summary], &[]);
        check(&[&trend, &file("tracker.pedometer_step_count")], &[&trend], &[]);
        check(&[&file("tracker.heart_rate")], &[], &[]);
    }

    #[test]
    fn archives_inside_are_said() {
        check(&["a/export.zip", "b.tgz"], &[], &["archives inside were not opened (files: 2)"]);
    }
}
