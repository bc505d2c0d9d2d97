//! What a file is, by its first bytes and its name.

use std::io::{self, Read};

use super::Format;

/// How much of a file is looked at. Apple's XML names itself within the first hundred bytes; the rest is
/// for long comments, and to see whether a file is text.
pub(super) const HEAD_BYTES: u64 = 8 * 1024;

/// What is looked for, for errors.
pub(super) const LOOKED_FOR: &str = "Apple Health's export.xml, Fitbit's steps-*.json, Google Takeout's daily \
     activity metrics, Samsung Health's pedometer_day_summary.*.csv";

/// The first bytes of a stream.
pub(super) fn head(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zip,
}

pub(super) fn packing(head: &[u8]) -> Packing {
    match head {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        // A file, the end of an empty zip, a part of a split one.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..] => Packing::Zip,
        _ => Packing::Plain,
    }
}

/// Whether these are the first bytes of Apple Health's `export.xml`, whatever its name.
pub(super) fn is_apple(head: &[u8]) -> bool {
    let is_xml = head.trim_ascii_start().starts_with(b"<") || head.starts_with(b"\xef\xbb\xbf<");
    is_xml
        && !has(head, b"<ClinicalDocument")
        && [&b"<!DOCTYPE HealthData"[..], b"<HealthData", b"HealthKit Export"]
            .iter()
            .any(|mark| has(head, mark))
}

/// The format of a file that was given by itself, or why it is none that is read.
pub(super) fn format(name: &str, head: &[u8]) -> Result<Format, String> {
    if is_apple(head) {
        return Ok(Format::AppleHealth);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match text.first() {
        None => Err("the file is empty".to_owned()),
        Some(b'<') if has(head, b"<ClinicalDocument") => Err(
            "this is the clinical document of an Apple Health export; the steps are in the other XML file"
                .to_owned(),
        ),
        Some(b'<') => Err("this is XML, but not Apple Health's export.xml".to_owned()),
        Some(b'[') if is_fitbit(name) || has(head, b"\"dateTime\"") => Ok(Format::FitbitJson),
        Some(b'[' | b'{') => Err("this is JSON, but not Fitbit's steps-*.json".to_owned()),
        Some(_) if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") => {
            Err("this is text in UTF-16; save it as UTF-8".to_owned())
        }
        Some(_) if head.get(257..262) == Some(b"ustar") => {
            Err("this is a tar archive; unpack it and give the folder".to_owned())
        }
        Some(_) if packing(head) != Packing::Plain => {
            Err("an archive within an archive is not opened; unpack the outer one".to_owned())
        }
        Some(_) if is_text(head) => Ok(Format::Csv),
        Some(_) => Err(format!("this is neither text nor an archive; what is read: {LOOKED_FOR}, and CSV")),
    }
}

/// Whether a name is that of Fitbit's minutes.
pub(super) fn is_fitbit(name: &str) -> bool {
    let name = last(name).to_ascii_lowercase();
    name.starts_with("steps-") && has_extension(&name, "json")
}

/// The last component of a path, with slashes of either kind.
pub(super) fn last(path: &str) -> &str {
    path.rsplit(['/', '\\', '!']).next().unwrap_or(path)
}

pub(super) fn has_extension(name: &str, extension: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case(extension))
}

fn has(head: &[u8], mark: &[u8]) -> bool {
    head.windows(mark.len()).any(|window| window == mark)
}

/// Text of any encoding that keeps ASCII has no control characters but these.
fn is_text(head: &[u8]) -> bool {
    head.iter().all(|byte| *byte >= b' ' && *byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(name: &str, head: &[u8], why: &str) {
        let text = format(name, head).unwrap_err();
        assert!(text.contains(why), "{text}");
    }

    #[test]
    fn sees_what_a_file_is() {
        let apple = b"<?xml version=\"1.0\"?>\n<!DOCTYPE HealthData [\n<!-- HealthKit Export Version: 14 -->";
        assert_eq!(format("anything", apple), Ok(Format::AppleHealth));
        assert_eq!(format("export.xml", b"\xef\xbb\xbf<HealthData locale=\"de\">"), Ok(Format::AppleHealth));
        assert_eq!(format("steps-2016-09-20.json", b"[]"), Ok(Format::FitbitJson));
        assert_eq!(format("minutes.json", b"[{\n  \"dateTime\" : \"09/20/16"), Ok(Format::FitbitJson));
        assert_eq!(format("days.txt", b"day;steps\n"), Ok(Format::Csv));
        assert_eq!(format("days.csv", "Tag;Schritte f\u{fc}r heute\n".as_bytes()), Ok(Format::Csv));
    }

    #[test]
    fn says_why_a_file_is_not_read() {
        refused("a.csv", b"", "empty");
        refused("a.csv", b" \n ", "empty");
        refused("export_cda.xml", b"<?xml?><ClinicalDocument xmlns=", "clinical document");
        refused("a.xml", b"<svg>", "not Apple");
        refused("a.json", b"[{\"day\": 1}]", "not Fitbit");
        refused("a.json", b"{\"dateTime\": 1}", "not Fitbit");
        refused("a.csv", b"\xff\xfed\0a\0", "UTF-16");
        refused("a.csv", b"PK\x03\x04", "archive within");
        refused("a.csv", b"\x1f\x8b\x08", "archive within");
        refused("a.csv", &[0; 1_000], "neither text");
        let mut tar = vec![b'a'; 300];
        tar[257..262].copy_from_slice(b"ustar");
        refused("a.tar", &tar, "tar archive");
    }

    #[test]
    fn names_are_those_of_the_last_component() {
        assert_eq!(last("export.zip!apple_health_export/export.xml"), "export.xml");
        assert!(is_fitbit("takeout.zip!Takeout/Fitbit/Global Export Data/steps-2016-09-20.json"));
        assert!(!is_fitbit("steps-/heart_rate-2016-09-20.json"));
        assert!(!is_fitbit("steps-2016-09-20.csv"));
    }
}
