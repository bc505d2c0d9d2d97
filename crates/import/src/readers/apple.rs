//! Apple Health's `export.xml`: gigabytes, of which only the records of steps are looked at closely.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use quick_xml::Error as XmlError;
use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::collect::Collector;
use crate::error::{ImportError, Result};
use crate::input::guard::{Guard, is_too_long};
use crate::input::newlines;
use crate::record::{How, Reason, Record, ReportKey, Stamp, When};
use crate::time;

/// The longest tag, text or comment: a step record is 500 bytes, the document type of all versions 20 KB.
const EVENT_BYTES_MAX: u64 = 1024 * 1024;
/// How deep elements nest: Apple's own go 4 deep.
const DEPTH_MAX: usize = 64;
/// What is read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// The type of a record of steps.
const STEPS: &str = "HKQuantityTypeIdentifierStepCount";
/// The metadata that says that a person typed the record in.
const TYPED_KEY: &str = "HKWasUserEntered";

/// Reads an export.
///
/// # Errors
/// When the file is cut off, is not XML or not Apple Health's, or has an element that is larger than any.
pub(crate) fn read(file: &str, reader: impl Read, collector: &mut Collector) -> Result<()> {
    say_how_days_are_cut(collector);
    let (guard, mark) = Guard::new(reader, EVENT_BYTES_MAX);
    let mut xml = quick_xml::Reader::from_reader(BufReader::with_capacity(BUFFER_BYTES, guard));
    let mut document = Document::new(file);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        mark.reset();
        match xml.read_event_into(&mut bytes) {
            Ok(Event::Eof) => return document.end(),
            Ok(event) => document.event(event, collector)?,
            Err(error) => {
                let at_end = xml.get_mut().fill_buf().is_ok_and(<[u8]>::is_empty);
                return Err(document.broken(error, at_end));
            }
        }
        document.line += newlines(&bytes);
    }
}

fn say_how_days_are_cut(collector: &mut Collector) {
    let note = match collector.options().zone {
        None => "Apple prints every time with the UTC offset of the export; without a zone, days are cut at that offset".to_owned(),
        Some(zone) => format!("Apple prints every time with the UTC offset of the export; days are cut in the zone {zone}"),
    };
    collector.note(note);
}

/// How far the document is.
struct Document<'a> {
    file: &'a str,
    /// The line on which the present event begins.
    line: u64,
    /// How many elements are open.
    depth: usize,
    root: Root,
    /// The record of steps that is open, so that its metadata can still say that it was typed in.
    open: Option<Open>,
    /// The source of the open record; kept so that the next one need not ask for memory.
    open_source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    /// Nothing yet that only XML has.
    None,
    /// A declaration or document type.
    Announced,
    /// `<HealthData>` was begun.
    Begun,
}

/// A record whose end tag has not come.
struct Open {
    line: u64,
    facts: Facts,
    how: How,
}

/// What a tag of a step record says, beside its source.
#[derive(Debug, Clone, Copy)]
struct Facts {
    start: Stamp,
    end: Stamp,
    arrived_ms: Option<i64>,
    steps: u32,
}

impl<'a> Document<'a> {
    fn new(file: &'a str) -> Document<'a> {
        Document { file, line: 1, depth: 0, root: Root::None, open: None, open_source: String::new() }
    }

    fn event(&mut self, event: Event<'_>, collector: &mut Collector) -> Result<()> {
        match event {
            Event::Start(tag) => {
                if self.depth == DEPTH_MAX {
                    let limit = format!("{DEPTH_MAX} levels");
                    return Err(self.too_large("the depth of the elements", limit));
                }
                self.tag(&tag, true, collector)?;
                self.depth += 1;
                Ok(())
            }
            Event::Empty(tag) => self.tag(&tag, false, collector),
            Event::End(_) => {
                // The parser has refused an end tag without its start.
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 1 { self.close_record(collector) } else { Ok(()) }
            }
            Event::GeneralRef(entity) => self.entity(&entity),
            Event::Text(text) if self.depth == 0 && !text.trim_ascii().is_empty() => Err(self.misplaced()),
            Event::CData(_) if self.depth == 0 => Err(self.misplaced()),
            Event::Decl(_) | Event::DocType(_) => {
                if self.root == Root::None {
                    self.root = Root::Announced;
                }
                Ok(())
            }
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    /// A start tag, or an element that is all in its tag.
    fn tag(&mut self, tag: &BytesStart<'_>, stays_open: bool, collector: &mut Collector) -> Result<()> {
        let name = tag.name().into_inner();
        match (self.depth, name) {
            (0, _) if self.root == Root::Begun => return Err(self.misplaced()),
            (0, "HealthData") => self.root = Root::Begun,
            (0, _) => return Err(self.unknown()),
            // Records within a correlation are copies of others, so only those of the root count.
            (1, "Record") => return self.record(tag, stays_open, collector),
            (1, "ExportDate") => {
                let made = value_of(tag, "value").and_then(|made| time::parse(made.as_bytes(), None));
                if let Some(made) = made {
                    collector.exported(made.stamp);
                }
            }
            (2, "MetadataEntry") => {
                if let Some(open) = self.open.as_mut()
                    && value_of(tag, "key").as_deref() == Some(TYPED_KEY)
                    && value_of(tag, "value").as_deref() == Some("1")
                {
                    open.how = How::Typed;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn record(&mut self, tag: &BytesStart<'_>, stays_open: bool, collector: &mut Collector) -> Result<()> {
        if value_of(tag, "type").as_deref() != Some(STEPS) {
            collector.other();
            return Ok(());
        }
        let line = self.line;
        let parsed = Attributes::of(tag).and_then(|attributes| Ok((attributes.facts()?, attributes.source)));
        let (facts, source) = match parsed {
            Ok((facts, source)) => (facts, unescape(source).map_err(|_| self.undeclared())?),
            Err(reason) => {
                collector.reject(line, reason);
                return Ok(());
            }
        };
        if stays_open {
            self.open = Some(Open { line, facts, how: How::Measured });
            self.open_source.clear();
            self.open_source.push_str(&source);
            return Ok(());
        }
        collector.take(line, &facts.record(&source, How::Measured))
    }

    fn close_record(&mut self, collector: &mut Collector) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        collector.take(open.line, &open.facts.record(&self.open_source, open.how))
    }

    /// The document is read to its end.
    fn end(&self) -> Result<()> {
        match (self.root, self.depth) {
            (Root::Begun, 0) => Ok(()),
            (Root::Begun, _) => Err(self.truncated("`</HealthData>` is missing")),
            (Root::Announced, _) => Err(self.truncated("`<HealthData>` is missing")),
            (Root::None, _) => Err(self.unknown()),
        }
    }

    /// An entity outside a tag. Those that a document declares itself are never expanded: ten of them, each
    /// made of ten of the one before, are 10,000,000,000 characters.
    fn entity(&self, entity: &BytesRef<'_>) -> Result<()> {
        let known = entity.is_char_ref() || resolve_predefined_entity(entity).is_some();
        if known { Ok(()) } else { Err(self.undeclared()) }
    }

    /// What the parser refused; `at_end` when the file ends there, which makes half of anything a cut.
    fn broken(&self, error: XmlError, at_end: bool) -> ImportError {
        match error {
            XmlError::Io(cause) => {
                if is_too_long(&cause) {
                    return self
                        .too_large("a single tag, text or comment", format!("{EVENT_BYTES_MAX} bytes"));
                }
                // The parser shares the error with nobody.
                let cause = Arc::try_unwrap(cause).unwrap_or_else(|shared| shared.kind().into());
                ImportError::io(self.file, cause)
            }
            // All syntax errors but this one are of the kind "begun and not ended".
            XmlError::Syntax(kind) if at_end || kind != SyntaxError::InvalidBangMarkup => match self.root {
                Root::None => self.unknown(),
                Root::Announced | Root::Begun => self.truncated("a tag or comment is not closed"),
            },
            XmlError::Syntax(_) => self.malformed("this is no comment and no declaration"),
            XmlError::IllFormed(IllFormedError::UnclosedReference) | XmlError::Encoding(_) if at_end => {
                self.truncated("a text is not ended")
            }
            XmlError::IllFormed(_) => self.malformed("start and end tags or references do not fit together"),
            XmlError::Encoding(_) => self.malformed("this is not UTF-8"),
            XmlError::InvalidAttr(_) | XmlError::Escape(_) | XmlError::Namespace(_) => {
                self.malformed("a tag is not well-formed")
            }
        }
    }

    fn malformed(&self, what: &str) -> ImportError {
        ImportError::Malformed { file: self.file.to_owned(), line: self.line, what: what.to_owned() }
    }

    fn misplaced(&self) -> ImportError {
        if self.root == Root::None {
            self.unknown()
        } else {
            self.malformed("this stands outside the document's element")
        }
    }

    fn undeclared(&self) -> ImportError {
        self.malformed("an entity that XML does not define; a file's own entities are not expanded")
    }

    fn truncated(&self, what: &'static str) -> ImportError {
        ImportError::Truncated { file: self.file.to_owned(), line: self.line, what }
    }

    fn too_large(&self, what: &'static str, limit: String) -> ImportError {
        ImportError::TooLarge { file: self.file.to_owned(), line: self.line, what, limit }
    }

    fn unknown(&self) -> ImportError {
        let what =
            "this is not Apple Health's export.xml: its first element is not `<HealthData>`".to_owned();
        ImportError::Unknown { file: self.file.to_owned(), what }
    }
}

impl Facts {
    fn record<'a>(&self, source: &'a str, how: How) -> Record<'a> {
        let when = When::Between(self.start, self.end);
        let report = ReportKey::default();
        Record { person: "", source, report, when, arrived_ms: self.arrived_ms, how, steps: self.steps }
    }
}

/// The attributes of a step record, as they stand.
#[derive(Default)]
struct Attributes<'a> {
    source: &'a str,
    unit: Option<&'a str>,
    value: Option<&'a str>,
    created: Option<&'a str>,
    start: Option<&'a str>,
    end: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    fn of(tag: &'a BytesStart<'_>) -> std::result::Result<Attributes<'a>, Reason> {
        let mut found = Attributes::default();
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| Reason::BadShape)?;
            let Cow::Borrowed(value) = attribute.value else { return Err(Reason::BadShape) };
            match attribute.key.into_inner() {
                "sourceName" => found.source = value,
                "unit" => found.unit = Some(value),
                "value" => found.value = Some(value),
                "creationDate" => found.created = Some(value),
                "startDate" => found.start = Some(value),
                "endDate" => found.end = Some(value),
                _ => {}
            }
        }
        Ok(found)
    }

    fn facts(&self) -> std::result::Result<Facts, Reason> {
        let value = self.value.ok_or(Reason::MissingField)?;
        let (start, end) = (self.start.ok_or(Reason::MissingField)?, self.end.ok_or(Reason::MissingField)?);
        if self.unit.is_some_and(|unit| unit != "count") {
            return Err(Reason::BadCount);
        }
        let steps = time::count(value.as_bytes()).ok_or(Reason::BadCount)?;
        let moment =
            |text: &str| time::parse(text.as_bytes(), None).map(|moment| moment.stamp).ok_or(Reason::BadTime);
        let (start, end) = (moment(start)?, moment(end)?);
        // Only what has an offset is an instant; a creation date that cannot be read says nothing.
        let arrived =
            self.created.and_then(|created| moment(created).ok()).filter(|stamp| stamp.offset.is_some());
        Ok(Facts { start, end, arrived_ms: arrived.map(Stamp::line_ms), steps })
    }
}

/// The value of an attribute, as it stands. The one that is asked for is mostly the first.
fn value_of<'a>(tag: &'a BytesStart<'_>, name: &str) -> Option<Cow<'a, str>> {
    tag.attributes()
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.into_inner() == name)
        .map(|found| found.value)
}

#[cfg(test)]
mod tests;
