//! The least that the parsers of the import can do with a file: what it costs beyond this is our own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use csv_core::ReadRecordResult;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use crate::Result;

/// As much at a time as the import reads.
const BUFFER_BYTES: usize = 64 * 1024;
/// A row of the generated files has five fields of less than 40 bytes.
const ROW_BYTES: usize = 1024;
const ROW_FIELDS: usize = 16;

fn opened(path: &Path) -> Result<BufReader<File>> {
    Ok(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?))
}

/// Finds every field of every row, converts none.
pub(crate) fn csv(path: &Path) -> Result<u32> {
    let mut input = opened(path)?;
    let mut parser = csv_core::Reader::new();
    let (mut row, mut ends) = ([0; ROW_BYTES], [0; ROW_FIELDS]);
    let (mut row_len, mut fields, mut rows) = (0, 0, 0_u32);
    loop {
        let bytes = input.fill_buf()?;
        let (result, read, written, ended) =
            parser.read_record(bytes, &mut row[row_len..], &mut ends[fields..]);
        input.consume(read);
        row_len += written;
        fields += ended;
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::Record => {
                std::hint::black_box((&row[..row_len], &ends[..fields]));
                (row_len, fields) = (0, 0);
                rows += 1;
            }
            // The header is a row of its own.
            ReadRecordResult::End => return Ok(rows - 1),
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                return Err("a row is longer than any that was generated".into());
            }
        }
    }
}

/// Reads every event and looks into none; counts the elements named `Record`.
pub(crate) fn xml_events(path: &Path) -> Result<u32> {
    records(path, |_| Ok(true))
}

/// The same, and decodes the attributes of step records; counts those.
pub(crate) fn xml_attributes(path: &Path) -> Result<u32> {
    records(path, |element| {
        let mut steps = false;
        for attribute in element.attributes() {
            let attribute = attribute?;
            // Apple writes the type first, so that the rest of another record need not be looked at.
            if attribute.key.as_ref() == "type" {
                steps = attribute.value.as_ref() == "HKQuantityTypeIdentifierStepCount";
            }
            if !steps {
                return Ok(false);
            }
            std::hint::black_box(attribute.normalized_value(XmlVersion::Explicit1_0)?);
        }
        Ok(steps)
    })
}

/// Counts the elements named `Record` for which `counts` says so.
fn records(path: &Path, counts: impl Fn(&BytesStart<'_>) -> Result<bool>) -> Result<u32> {
    let mut parser = quick_xml::Reader::from_reader(opened(path)?);
    let mut buffer = Vec::new();
    let mut records = 0;
    loop {
        match parser.read_event_into(&mut buffer)? {
            Event::Start(element) | Event::Empty(element) if element.name().as_ref() == "Record" => {
                records += u32::from(counts(&element)?);
            }
            Event::Eof => return Ok(records),
            _ => {}
        }
        buffer.clear();
    }
}
