//! What is cut off, endless, hollow or circular: each is a clear error, after a bounded number of bytes.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not there")]

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress};
use manbo_import::{Format, Import, ImportError, ImportOptions, Importer, Progress};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const RECORD: &str = " <Record type=\"HKQuantityTypeIdentifierStepCount\" sourceName=\"iPhone\" unit=\"count\" \
    startDate=\"2026-11-19 08:00:00 +0100\" endDate=\"2026-11-19 08:10:00 +0100\" value=\"850\"/>\n";
/// No limit of a reader is larger; what is read beyond it are buffers.
const BYTES_MAX: u64 = 2 * 1024 * 1024;

fn importer() -> Importer {
    Importer::new(ImportOptions::new("2026-11-21".parse().unwrap()))
}

fn import(path: &Path) -> Result<Import, ImportError> {
    let mut importer = importer();
    importer.add_path(path)?;
    importer.finish()
}

fn apple(records: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<!DOCTYPE HealthData [\n]>\n<HealthData>\n{records}</HealthData>\n")
}

fn steps(import: &Import) -> u64 {
    import.report.people.iter().map(|person| person.steps).sum()
}

/// A folder that vanishes, with files in it.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn zip(&self, name: &str, entries: &[(&str, &[u8])]) -> PathBuf {
        self.file(name, &zipped(entries))
    }
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// The text of the error without the folder that vanishes.
#[track_caller]
fn text(path: &Path) -> String {
    let error = import(path).unwrap_err().to_string();
    let folder =
        path.ancestors().find(|folder| folder.parent() == Some(&std::env::temp_dir())).unwrap_or(path);
    error.replace(&format!("{}/", folder.display()), "")
}

/// A stream of the given beginning, then one byte over and over, 2 GiB in all; counts what it gave.
struct Endless {
    beginning: Vec<u8>,
    at: usize,
    then: u8,
    given: Rc<Cell<u64>>,
}

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = &self.beginning[self.at..];
        let len = if self.given.get() >= 2 * 1024 * 1024 * 1024 {
            0
        } else if left.is_empty() {
            buf.fill(self.then);
            buf.len()
        } else {
            let len = left.len().min(buf.len());
            buf[..len].copy_from_slice(&left[..len]);
            self.at += len;
            len
        };
        self.given.set(self.given.get() + len as u64);
        Ok(len)
    }
}

/// Reads a stream without an end: the error's text, if little of it was read.
#[track_caller]
fn endless(format: Format, beginning: &str, then: u8) -> String {
    let given = Rc::new(Cell::new(0));
    let stream = Endless { beginning: beginning.as_bytes().to_vec(), at: 0, then, given: Rc::clone(&given) };
    let error = importer().add_reader("x", format, stream).unwrap_err();
    assert!(matches!(error, ImportError::TooLarge { .. }), "{error:?}");
    assert!(given.get() <= BYTES_MAX + beginning.len() as u64, "{} bytes were read", given.get());
    error.to_string()
}

#[test]
fn elements_of_xml_without_an_end() {
    let limit = "a single tag, text or comment is over the limit of 1048576 bytes";
    for (beginning, then, line) in [
        ("<HealthData>\n<Record sourceName=\"", b'a', 2),
        ("<HealthData>\n<Record ", b' ', 2),
        ("<HealthData>\n\n<!-- ", b'-', 3),
        ("<HealthData>", b'a', 1),
        ("<HealthData>", b'\n', 1),
        ("<HealthData><![CDATA[", b']', 1),
        ("<HealthData>&", b'a', 1),
        ("<!DOCTYPE HealthData [\n", b'<', 1),
        ("<?xml ", b'?', 1),
        ("<", b'a', 1),
        ("", b'a', 1),
    ] {
        let text = endless(Format::AppleHealth, beginning, then);
        assert_eq!(text, format!("x, line {line}: {limit}"), "{beginning}");
    }
}

#[test]
fn elements_of_json_without_an_end() {
    let limit = "a single element is over the limit of 1048576 bytes";
    for (beginning, then, line) in [
        ("[\n{\"dateTime\": \"", b'1', 2),
        ("[\n{\"", b'a', 2),
        ("[\n{\"value\": ", b'1', 2),
        ("[\n{\"value\": 0.", b'1', 2),
        ("[{\"other\": ", b'[', 1),
        ("[", b'[', 1),
        ("[", b' ', 1),
        ("", b' ', 1),
        ("[]", b' ', 1),
    ] {
        let text = endless(Format::FitbitJson, beginning, then);
        assert_eq!(text, format!("x, line {line}: {limit}"), "{beginning}");
    }
}

#[test]
fn rows_of_csv_without_an_end() {
    for (beginning, then) in [
        ("day,steps\n2026-11-19,", b'1'),
        ("day,steps\n2026-11-19,\"", b'1'),
        ("day,steps\n\"", b'\n'),
        ("day,steps\n", b','),
        ("", b'a'),
        ("", b','),
    ] {
        endless(Format::Csv, beginning, then);
    }
}

#[test]
fn elements_within_elements() {
    let place = Place::new();
    let deep = place.file("deep.xml", apple(&"<a>".repeat(1_000_000)).as_bytes());
    assert_eq!(text(&deep), "deep.xml, line 5: the depth of the elements is over the limit of 64 levels");
    let fine = apple(&format!("{}{}{RECORD}", "<a>".repeat(63), "</a>".repeat(63)));
    assert_eq!(steps(&import(&place.file("fine.xml", fine.as_bytes())).unwrap()), 850);

    let deep = place.file("steps-2026-11-19.json", "[".repeat(3_000_000).as_bytes());
    let limit = "a single element is over the limit of 1048576 bytes";
    assert_eq!(text(&deep), format!("steps-2026-11-19.json, line 1: {limit}"));
    let fine = format!(
        "[{}{},{{\"dateTime\": \"11/19/26 08:00:00\", \"value\": \"850\"}}]",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let fine = import(&place.file("steps-2026-11-20.json", fine.as_bytes())).unwrap();
    assert_eq!((steps(&fine), fine.report.rejects.total), (850, 1));
}

#[test]
fn entities_are_never_expanded() {
    let place = Place::new();
    let mut laughs = "<!DOCTYPE HealthData [\n<!ENTITY l0 \"8500\">\n".to_owned();
    for level in 1..10 {
        writeln!(laughs, "<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10)).unwrap();
    }
    let outside = "an entity that XML does not define; a file's own entities are not expanded";
    for (name, body) in [
        ("text.xml", "<Me>&l9;</Me>".to_owned()),
        ("name.xml", RECORD.replace("iPhone", "&l9;")),
        ("self.xml", "<Me>&self;</Me>".to_owned()),
        ("file.xml", "<Me>&file;</Me>".to_owned()),
    ] {
        let own = "<!ENTITY self \"&self;\">\n<!ENTITY file SYSTEM \"file:///etc/hostname\">\n]>\n";
        let path = place.file(name, format!("{laughs}{own}<HealthData>{body}</HealthData>").as_bytes());
        assert_eq!(text(&path), format!("{name}, line 15: {outside}"));
    }
    // Where no text is looked for, they stay what they are.
    let path = place.file(
        "value.xml",
        format!("{laughs}]>\n<HealthData>{}</HealthData>", RECORD.replace("850", "&l0;")).as_bytes(),
    );
    assert_eq!(import(&path).unwrap().report.rejects.total, 1);
}

#[test]
fn files_that_are_cut_off() {
    let place = Place::new();
    let xml = apple(&RECORD.repeat(1_000));
    let half = &xml.as_bytes()[..xml.len() / 2];
    let path = place.file("export.xml", half);
    assert_eq!(text(&path), "export.xml, line 504: the file is cut off (a tag or comment is not closed)");
    let path = place.file("export.xml", xml.replace("</HealthData>\n", "").as_bytes());
    assert_eq!(text(&path), "export.xml, line 1005: the file is cut off (`</HealthData>` is missing)");

    let path = place.file("steps-2026-11-19.json", b"[{\"dateTime\": \"11/19/26 08:00:00\",\n\"value\"");
    assert_eq!(text(&path), "steps-2026-11-19.json, line 2: the file is cut off (the list is not closed)");

    // Bytes that do not compress to nothing, so that there is something to cut.
    let mut csv = "day,steps\n".to_owned();
    for row in 0..20_000_u32 {
        writeln!(csv, "2026-11-19,{}", row.wrapping_mul(2_654_435_761) % 100).unwrap();
    }
    let packed = gzipped(csv.as_bytes());
    for (cut, name) in
        [(packed.len() / 2, "half.csv.gz"), (packed.len() - 4, "tail.csv.gz"), (5, "head.csv.gz")]
    {
        let path = place.file(name, &packed[..cut]);
        let text = text(&path);
        assert!(
            text.starts_with(name) && text.ends_with("cut off (the compressed data stops in the middle)"),
            "{text}"
        );
        assert!(matches!(import(&path).unwrap_err(), ImportError::Truncated { line: 1.., .. }));
    }
    // Several members in a row are one file.
    let parts = [gzipped(b"day,steps\n2026-11-18,100\n"), gzipped(b"2026-11-19,50\n")].concat();
    assert_eq!(steps(&import(&place.file("parts.csv.gz", &parts)).unwrap()), 150);

    let zip = zipped(&[("apple_health_export/export.xml", xml.as_bytes())]);
    let path = place.file("export.zip", &zip[..zip.len() - 30]);
    let missing = "the archive's directory at its end is missing; is the download complete?";
    assert_eq!(text(&path), format!("export.zip: the file is cut off ({missing})"));
}

#[test]
fn damage_in_packed_files() {
    let place = Place::new();
    let xml = apple(&RECORD.repeat(1_000));
    let name = "apple_health_export/export.xml";
    let zip = zipped(&[(name, xml.as_bytes())]);
    assert_eq!(import(&place.file("whole.zip", &zip)).unwrap().report.union.duplicates, 999);
    let flipped = |at: usize| {
        let mut zip = zip.clone();
        zip[at] ^= 0x10;
        place.file("export.zip", &zip)
    };
    // Data, the checksum in the directory, the size in the directory, the directory's signature.
    let directory = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    for at in [directory - 20, directory + 16, directory + 24, directory] {
        let error = import(&flipped(at)).unwrap_err();
        assert!(matches!(error, ImportError::Malformed { .. }), "{at}: {error:?}");
    }
    assert!(text(&flipped(directory + 24)).ends_with("the archive says another size than what it holds"));

    let mut gzip = gzipped(xml.as_bytes());
    let checksum = gzip.len() - 8;
    gzip[checksum] ^= 1;
    let text = text(&place.file("export.xml.gz", &gzip));
    assert_eq!(text, "export.xml.gz, line 1006: the compressed data is damaged");
}

/// One gibibyte of a text over and over, as gzip: a packed mebibyte 1,024 times.
fn gzipped_gibibyte(head: &str, text: &str) -> Vec<u8> {
    let piece = gzipped(text.repeat(1024 * 1024 / text.len()).as_bytes());
    [gzipped(head.as_bytes()), piece.repeat(1024)].concat()
}

/// The same as the only entry of a zip. The packed bytes are stored as they are, and the entry is then said
/// to be packed, by what stands 8 bytes into its header and 10 into the directory's record.
fn zipped_gibibyte(name: &str, head: &str, text: &str) -> Vec<u8> {
    let flushed = |text: &str| {
        let mut packed = Vec::with_capacity(2 * 1024 * 1024);
        let mut deflate = Compress::new(Compression::default(), false);
        deflate.compress_vec(text.as_bytes(), &mut packed, FlushCompress::Full).unwrap();
        packed
    };
    let piece = flushed(&text.repeat(1024 * 1024 / text.len()));
    let packed = [flushed(head), piece.repeat(1024)].concat();
    let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
    zip.write_all(&packed).unwrap();
    let mut zip = zip.finish().unwrap().into_inner();
    let directory = zip.len() - 22 - 46 - name.len();
    assert_eq!(&zip[directory..directory + 4], b"PK\x01\x02");
    let size = 1024 * 1024 * 1024_u32;
    for (method, unpacked) in [(8, 22), (directory + 10, directory + 24)] {
        zip[method] = 8;
        zip[unpacked..unpacked + 4].copy_from_slice(&size.to_le_bytes());
    }
    zip
}

#[test]
fn far_more_than_went_in() {
    let place = Place::new();
    // Nothing but zeros is no text at all.
    let zeros = gzipped_gibibyte("", "\0");
    for name in ["zeros.csv", "zeros.xml"] {
        let text = text(&place.file(name, &zeros));
        assert!(text.starts_with(&format!("{name}: this is neither text nor an archive")), "{text}");
    }
    let nothing = text(&place.file("zeros.zip", &zipped_gibibyte("export.xml", "", "\0")));
    assert!(nothing.starts_with("zeros.zip: the archive holds nothing that is known"), "{nothing}");
    // A good head with nothing after it is an element without an end.
    let head = zipped_gibibyte("export.xml", "<HealthData>", "\0");
    let limit = "a single tag, text or comment is over the limit of 1048576 bytes";
    assert_eq!(text(&place.file("head.zip", &head)), format!("head.zip!export.xml, line 1: {limit}"));
    // Good elements over and over are stopped by what they are packed to, soon after the free 64 MiB.
    let limit = "what comes out of the compressed data is over the limit of 250 times what went in";
    let comment = format!("<!--{}-->\n", "-".repeat(65_528));
    let bomb = zipped_gibibyte("export.xml", "<HealthData>\n", &comment);
    assert!(bomb.len() < 2 * 1024 * 1024, "{}", bomb.len());
    let error = text(&place.file("bomb.zip", &bomb));
    // 1,024 lines of 64 KiB are the free part; a buffer may be in between.
    assert!(error.starts_with("bomb.zip!export.xml, line 102") && error.ends_with(limit), "{error}");
    let row = format!("2026-11-19,1,{}\n", "x".repeat(65_522));
    let bomb = gzipped_gibibyte("day,steps,more\n", &row);
    let error = text(&place.file("bomb.csv.gz", &bomb));
    assert!(error.starts_with("bomb.csv.gz, line 102") && error.ends_with(limit), "{error}");
}

#[test]
fn archives_within_archives() {
    let place = Place::new();
    let inner = zipped(&[("export.xml", apple(RECORD).as_bytes())]);
    let path = place.zip("outer.zip", &[("export.zip", &inner), ("again.zip", &inner)]);
    let text_of_it = text(&path);
    assert!(text_of_it.starts_with("outer.zip: the archive holds nothing that is known"), "{text_of_it}");
    assert!(text_of_it.ends_with("archives inside were not opened (files: 2)"), "{text_of_it}");

    let path = place.zip("both.zip", &[("export.zip", &inner), ("export.xml", apple(RECORD).as_bytes())]);
    let both = import(&path).unwrap();
    assert_eq!(steps(&both), 850);
    assert_eq!(both.report.files.len(), 1);
    assert!(both.report.files[0].notes[0].contains("archives inside were not opened (files: 1)"));

    for (name, bytes) in [("a.csv.gz", gzipped(&inner)), ("b.csv.gz", gzipped(&gzipped(b"day,steps\n")))] {
        let text = text(&place.file(name, &bytes));
        assert_eq!(text, format!("{name}: an archive within an archive is not opened; unpack the outer one"));
    }
}

#[test]
fn entries_that_cannot_be_opened() {
    let place = Place::new();
    let zip = zipped(&[("export.xml", apple(RECORD).as_bytes())]);
    let directory = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    // The flags stand 8 bytes into the entry's record in the directory and 6 into its header, the method after.
    let changed = |in_directory: usize, in_header: usize, value: u8| {
        let mut zip = zip.clone();
        zip[directory + in_directory] = value;
        zip[in_header] = value;
        place.file("export.zip", &zip)
    };
    let encrypted = text(&changed(8, 6, 1));
    assert_eq!(
        encrypted,
        "export.zip!export.xml: this is encrypted; unpack it with its password and give the folder"
    );
    let method = text(&changed(10, 8, 12));
    assert_eq!(
        method,
        "export.zip!export.xml: this is packed in a way that is not read; unpack it and give the folder"
    );

    // Two entries that are one: the directory's second record is the first's under another name.
    let mut twice = zip[..directory].to_vec();
    let end = zip.windows(4).position(|window| window == b"PK\x05\x06").unwrap();
    let record = &zip[directory..end];
    twice.extend_from_slice(record);
    let name = twice.len() + 46;
    twice.extend_from_slice(record);
    twice[name] = b'f';
    twice.extend_from_slice(&zip[end..]);
    let end = twice.len() - 22;
    twice[end + 8] = 2;
    twice[end + 10] = 2;
    let size = u32::try_from(2 * record.len()).unwrap().to_le_bytes();
    twice[end + 12..end + 16].copy_from_slice(&size);
    let shared = text(&place.file("shared.zip", &twice));
    assert_eq!(shared, "shared.zip: entries of the archive share their data, which only an attack does");
}

/// A zip64 of nothing but a directory: so many records of empty files, with names of so many letters.
fn hollow_zip(entries: u64, letters: u16) -> Vec<u8> {
    let mut record = vec![0; 46];
    record[..6].copy_from_slice(b"PK\x01\x02\x2d\x00");
    record[28..30].copy_from_slice(&letters.to_le_bytes());
    record.extend(vec![b'n'; usize::from(letters)]);
    let mut zip = b"PK\x03\x04".to_vec();
    zip.resize(30, 0);
    for entry in 0..entries {
        // Names that differ, so that each is kept.
        let digits = format!("{entry:08}");
        record[46..54].copy_from_slice(digits.as_bytes());
        zip.extend_from_slice(&record);
    }
    let end = zip.len() as u64;
    zip.extend_from_slice(b"PK\x06\x06");
    zip.extend_from_slice(&44_u64.to_le_bytes());
    // The versions, then the numbers of the disk.
    zip.extend_from_slice(b"\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
    for field in [entries, entries, end - 30, 30] {
        zip.extend_from_slice(&field.to_le_bytes());
    }
    zip.extend_from_slice(b"PK\x06\x07\0\0\0\0");
    zip.extend_from_slice(&end.to_le_bytes());
    zip.extend_from_slice(b"\x01\0\0\0PK\x05\x06\0\0\0\0");
    zip.extend_from_slice(&[0xff; 12]);
    zip.extend_from_slice(&[0; 2]);
    zip
}

#[test]
fn directories_that_would_fill_the_memory() {
    let place = Place::new();
    // What is made here is a zip; only its length is against it.
    let few = text(&place.file("few.zip", &hollow_zip(10, 8)));
    assert!(few.starts_with("few.zip: the archive holds nothing that is known"), "{few}");
    for (name, entries, letters) in [("many.zip", 100_001, 8), ("long.zip", 90_000, 200)] {
        let many = text(&place.file(name, &hollow_zip(entries, letters)));
        assert!(
            many.starts_with(&format!("{name}: the archive's directory is larger than that of 100000 files")),
            "{many}"
        );
    }
}

#[test]
fn what_is_no_export() {
    let place = Place::new();
    let noise: Vec<u8> = (0..10_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for (name, bytes, what) in [
        ("empty.csv", &b""[..], "the file is empty"),
        ("noise.csv", &noise, "this is neither text nor an archive"),
        ("empty.xml.gz", &gzipped(b""), "the file is empty"),
        (
            "empty.zip",
            &zipped(&[]),
            "the archive holds nothing that is known; looked for: Apple Health's export.xml",
        ),
        (
            "other.zip",
            &zipped(&[("photo.jpg", &noise), ("notes.csv", b"a,b\n")]),
            "the archive holds nothing that is known",
        ),
        ("export_cda.xml", b"<ClinicalDocument>", "this is the clinical document of an Apple Health export"),
        ("folder/notes.csv", b"day,steps\n", ""),
    ] {
        let path = place.file(name, bytes);
        if !what.is_empty() {
            let error = import(&path).unwrap_err();
            assert!(matches!(error, ImportError::Unknown { .. }), "{error:?}");
            let text = text(&path);
            assert!(text.starts_with(&format!("{name}: {what}")), "{text}");
        }
    }
    fs::create_dir(place.path("hollow")).unwrap();
    for name in ["hollow", "folder"] {
        let text = text(&place.path(name));
        assert!(
            text.starts_with(&format!("{name}: the folder holds nothing that is known; looked for: ")),
            "{text}"
        );
    }
    let missing = import(&place.path("missing.csv")).unwrap_err();
    assert!(matches!(&missing, ImportError::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound));
    assert!(missing.to_string().contains("missing.csv"));
}

#[cfg(unix)]
#[test]
fn links_and_pipes() {
    use std::os::unix::fs::symlink;

    let place = Place::new();
    symlink(place.path("b"), place.path("a")).unwrap();
    symlink(place.path("a"), place.path("b")).unwrap();
    let circle = text(&place.path("a"));
    assert!(circle.starts_with("a: "), "{circle}");
    assert!(matches!(import(&place.path("a")).unwrap_err(), ImportError::Io { .. }));

    let pipe = place.path("pipe.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let neither = "neither a file nor a folder; a pipe or device has no end that can be trusted";
    assert_eq!(text(&pipe), format!("pipe.csv: {neither}"));
    assert_eq!(import(Path::new("/dev/zero")).unwrap_err().to_string(), format!("/dev/zero: {neither}"));

    // In a folder a link is not followed, whether round in a circle or out of it, nor is a pipe opened.
    let outside = place.file("outside.xml", apple(&RECORD.replace("850", "1")).as_bytes());
    place.file("export/export.xml", apple(RECORD).as_bytes());
    symlink(place.path("export"), place.path("export/round")).unwrap();
    symlink(&outside, place.path("export/also.xml")).unwrap();
    assert!(
        std::process::Command::new("mkfifo").arg(place.path("export/pipe.xml")).status().unwrap().success()
    );
    let export = import(&place.path("export")).unwrap();
    assert_eq!((steps(&export), export.report.files.len()), (850, 1));
    assert!(export.report.files[0].notes[0].contains("links in the folder were not followed (links: 2)"));
    // Given by itself, a link is what it leads to.
    assert_eq!(steps(&import(&place.path("export/also.xml")).unwrap()), 1);
}

#[test]
fn folders_in_folders() {
    let place = Place::new();
    let path = |depth: usize| format!("top/{}export.xml", "in/".repeat(depth - 1));
    place.file(&path(16), apple(RECORD).as_bytes());
    assert_eq!(steps(&import(&place.path("top")).unwrap()), 850);
    place.file(&path(17), apple(RECORD).as_bytes());
    let text = text(&place.path("top"));
    assert!(
        text.ends_with("folders are nested more than 16 deep; give the folder of the export itself"),
        "{text}"
    );
}

/// Keeps what it hears.
#[derive(Clone, Default)]
struct Ear(Rc<Cell<u64>>, Rc<Cell<Option<u64>>>);

impl Progress for Ear {
    fn file(&mut self, _: &str, bytes: Option<u64>) {
        self.0.set(0);
        self.1.set(bytes);
    }

    fn advance(&mut self, bytes: u64) {
        self.0.set(self.0.get() + bytes);
    }
}

#[test]
fn progress_counts_the_bytes_on_disk() {
    let place = Place::new();
    let mut records = String::new();
    for minute in 0..30_000 {
        records += &RECORD.replace("08:00:00", &format!("{:02}:{:02}:00", minute / 60 % 24, minute % 60));
    }
    let xml = apple(&records);
    place.file("plain.xml", xml.as_bytes());
    place.file("packed.xml", &gzipped(xml.as_bytes()));
    place.zip("packed.zip", &[("export.xml", xml.as_bytes())]);
    for name in ["plain.xml", "packed.xml", "packed.zip"] {
        let ear = Ear::default();
        let mut importer = importer().with_progress(Box::new(ear.clone()));
        importer.add_path(&place.path(name)).unwrap();
        let (heard, said) = (ear.0.get(), ear.1.get().unwrap());
        let len = File::open(place.path(name)).unwrap().metadata().unwrap().len();
        // An entry is told as its own size, without the archive's directory, and read in whole buffers.
        assert!(said <= len && len - said < 200, "{name}: {said} of {len}");
        assert!(heard.abs_diff(said) <= 200, "{name}: {heard} of {said}");
    }
}
