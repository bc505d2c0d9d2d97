//! The way from a path or stream to the reader of its format.

use std::io::Read;
use std::path::Path;

use super::meter::{Count, Metered, Told, settle};
use super::open::{Place, display, open, place, plain};
use super::{Format, Progress, archive, detect, folder};
use crate::collect::Collector;
use crate::error::{ImportError, Result};
use crate::options::ImportOptions;
use crate::readers;
use crate::report::Import;

/// Reads files and turns them into readings.
///
/// Files may come in any order and number, and all of them count as one import: what they tell twice is
/// counted once.
///
/// ```
/// use manbo_import::{ImportOptions, Importer};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("export.xml");
/// std::fs::write(
///     &path,
///     r#"<?xml version="1.0" encoding="UTF-8"?>
/// <HealthData locale="en_GB">
///  <ExportDate value="2026-11-21 09:00:00 +0100"/>
///  <Record type="HKQuantityTypeIdentifierStepCount" sourceName="iPhone" unit="count"
///   startDate="2026-11-20 12:00:00 +0100" endDate="2026-11-20 12:10:00 +0100" value="850"/>
/// </HealthData>"#,
/// )?;
/// let mut importer = Importer::new(ImportOptions::new("2026-11-21".parse()?));
/// importer.add_path(&path)?; // a file, a gzip or zip of it, or a folder
/// let import = importer.finish()?;
/// assert_eq!(import.report.files[0].format, "Apple Health XML");
/// assert_eq!(import.people[0].readings.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Importer {
    collector: Collector,
    progress: Option<Box<dyn Progress>>,
    /// What is to be said about the next file.
    notes: Vec<String>,
}

/// What is known of a stream before it is read.
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    /// Its size on disk.
    pub(super) bytes: Option<u64>,
    /// Counts what is read from the disk.
    pub(super) count: Count,
    /// Where that count stood before this file.
    pub(super) before: u64,
}

impl Importer {
    /// An importer without files yet.
    pub fn new(options: ImportOptions) -> Importer {
        Importer { collector: Collector::new(options), progress: None, notes: Vec::new() }
    }

    /// Says to `progress` which file is read and how far; bytes are those on disk, packed or not.
    pub fn with_progress(mut self, progress: Box<dyn Progress>) -> Importer {
        self.progress = Some(progress);
        self
    }

    /// Reads a file or a folder: what it is, is seen from its bytes and name.
    ///
    /// A file is plain or packed by gzip, or a zip archive. Of a folder or an archive what is known is read:
    /// Apple Health's XML under any name, Fitbit's `steps-*.json`, Google Takeout's daily activity metrics,
    /// Samsung Health's step files; where several tell the same days, the best of them. Archives within and
    /// symbolic links are left alone, and the report says so.
    ///
    /// # Errors
    /// As [`ImportError`] says; then nothing of this import is to be recorded.
    pub fn add_path(&mut self, path: &Path) -> Result<()> {
        match place(path)? {
            Place::Folder => folder::read(self, path),
            Place::File => self.read_file(path, None),
        }
    }

    /// Reads one stream of a known format under a name. The stream is not unpacked.
    ///
    /// ```
    /// use manbo_import::{Format, ImportOptions, Importer};
    ///
    /// let minutes = r#"[{"dateTime": "11/19/26 08:00:00", "value": "54"}]"#;
    /// let mut importer = Importer::new(ImportOptions::new("2026-11-21".parse()?));
    /// importer.add_reader("steps-2026-11-19.json", Format::FitbitJson, minutes.as_bytes())?;
    /// assert_eq!(importer.finish()?.report.rows, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Importer::add_path`].
    pub fn add_reader(&mut self, name: &str, format: Format, reader: impl Read) -> Result<()> {
        let mut reader = Metered::new(reader);
        let input = Input { name: &plain(name), bytes: None, count: reader.count(), before: 0 };
        self.read_stream(input, format, &mut reader)
    }

    /// The readings and the report.
    ///
    /// # Errors
    /// When the records as a whole cannot be taken: too many sources, too many days.
    pub fn finish(self) -> Result<Import> {
        self.collector.finish()
    }

    /// Notes for the file that is read next.
    pub(super) fn note_next(&mut self, notes: Vec<String>) {
        self.notes.extend(notes);
    }

    /// Reads a regular file of a format that its name told, or of the one that its bytes tell.
    pub(super) fn read_file(&mut self, path: &Path, format: Option<Format>) -> Result<()> {
        let name = display(path);
        let Some(mut opened) = open(path)? else {
            if format.is_none() {
                return archive::read(self, path);
            }
            let what = "this is an archive, not what its name says; give it by itself".to_owned();
            return Err(ImportError::Unknown { file: name, what });
        };
        let format = match format {
            Some(format) => format,
            None => detect::format(&name, &opened.head)
                .map_err(|what| ImportError::Unknown { file: name.clone(), what })?,
        };
        let input = Input { name: &name, bytes: Some(opened.bytes), count: opened.count, before: 0 };
        self.read_stream(input, format, &mut opened.reader)
    }

    /// Reads a stream from its beginning.
    pub(super) fn read_stream(
        &mut self,
        input: Input<'_>,
        format: Format,
        reader: &mut dyn Read,
    ) -> Result<()> {
        let Input { name, bytes, count, before } = input;
        if let Some(progress) = self.progress.as_mut() {
            progress.file(name, bytes);
        }
        self.collector.begin_file(name, format.name());
        for note in self.notes.drain(..) {
            self.collector.note(note);
        }
        let reader = Told::new(reader, count, before, self.progress.as_deref_mut());
        let collector = &mut self.collector;
        let result = match format {
            Format::AppleHealth => readers::apple::read(name, reader, collector),
            Format::Csv => readers::csv::read(name, reader, collector),
            Format::FitbitJson => readers::fitbit::read(name, reader, collector),
        };
        result.map_err(settle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the files into a folder, and reads it: `steps` of all people, and the names of what was read.
    fn folder(files: &[(&str, &str)]) -> (u64, Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut importer = Importer::new(ImportOptions::new("2026-11-21".parse().unwrap()));
        importer.add_path(dir.path()).unwrap();
        let report = importer.finish().unwrap().report;
        let names = report.files.iter().map(|file| detect::last(&file.file).to_owned()).collect();
        let notes = report.files.into_iter().next().map(|file| file.notes).unwrap_or_default();
        (report.people.iter().map(|person| person.steps).sum(), names, notes)
    }

    #[test]
    fn a_takeout_is_read_once() {
        let days = "Date,Calories (kcal),Step count\n2026-11-18,1,1200\n2026-11-19,1,\n";
        let quarters = "Start time,End time,Step count\n08:00:00.000+01:00,08:15:00.000+01:00,1100\n";
        let minutes = r#"[{"dateTime": "11/17/26 08:00:00", "value": "70"}]"#;
        let (steps, names, notes) = folder(&[
            ("Takeout/Fit/Daily activity metrics/Daily activity metrics.csv", days),
            ("Takeout/Fit/Daily activity metrics/2026-11-18.csv", quarters),
            ("Takeout/Fitbit/Global Export Data/steps-2026-11-17.json", minutes),
            ("Takeout/Fitbit/Global Export Data/heart_rate-2026-11-17.json", "[{}]"),
            ("Takeout/archive_browser.html", "<html>"),
        ]);
        assert_eq!(steps, 1_270);
        assert_eq!(names, ["Daily activity metrics.csv", "steps-2026-11-17.json"]);
        assert!(notes[0].starts_with("Google Fit's files of single days were left out"), "{notes:?}");

        let quarters_only = folder(&[("Takeout/Fit/Daily activity metrics/2026-11-18.csv", quarters)]);
        assert_eq!((quarters_only.0, quarters_only.1.len()), (1_100, 1));
    }

    #[test]
    fn apple_is_found_under_a_translated_name() {
        let record = "<Record type=\"HKQuantityTypeIdentifierStepCount\" sourceName=\"a\" value=\"9\" \
                      startDate=\"2026-11-19 08:00:00 +0100\" endDate=\"2026-11-19 08:10:00 +0100\"/>";
        let (steps, names, _) = folder(&[
            ("apple_health_export/exportar.xml", &format!("<HealthData>{record}</HealthData>")),
            ("apple_health_export/export_cda.xml", "<ClinicalDocument>"),
            ("apple_health_export/other.xml", "<svg/>"),
        ]);
        assert_eq!((steps, names), (9, vec!["exportar.xml".to_owned()]));
    }

    #[test]
    fn a_name_cannot_steer_a_terminal() {
        let mut importer = Importer::new(ImportOptions::new("2026-11-21".parse().unwrap()));
        let error = importer.add_reader("a\u{1b}[2J\n.xml", Format::AppleHealth, &b"x"[..]).unwrap_err();
        assert!(error.to_string().starts_with("a?[2J?.xml: "), "{error}");
    }
}
