//! Rows from bytes, in buffers of a fixed size whatever the file holds.

use std::io::{ErrorKind, Read};

use csv_core::ReadRecordResult;

use crate::error::{ImportError, Result};

/// How much is read at once: enough that the calls do not count, and little beside the row.
const INPUT_BYTES: usize = 64 * 1024;
/// The longest row that is taken: Samsung's widest, with binned data in a field, is about 2 KiB; a
/// hundred times that is a quote that was never closed, or no table.
const ROW_BYTES_MAX: usize = 256 * 1024;
/// The most fields of a row: a day in minutes is 1,440 and a few more.
const FIELDS_MAX: usize = 2_048;

/// What may separate fields, in the order in which a tie is broken.
pub(super) const DELIMITERS: [(u8, &str); 3] = [(b',', "commas"), (b';', "semicolons"), (b'\t', "tabs")];

/// With this and a delimiter on a first line of their own, European files tell Excel what separates fields.
const EXCEL_DELIMITER: &[u8] = b"sep=";

/// One row: its fields without their quotes.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// The line on which the row begins.
    pub(super) line: u64,
    bytes: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Row<'a> {
    /// How many fields the row has: at least one.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The field of this number, if the row is that long.
    pub(super) fn get(&self, field: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(field)?;
        let start = if field == 0 { 0 } else { self.ends[field - 1] };
        self.bytes.get(start..end)
    }

    /// The field without the blanks around it; nothing where the row is shorter.
    pub(super) fn trimmed(&self, field: usize) -> &'a [u8] {
        self.get(field).unwrap_or_default().trim_ascii()
    }

    /// Every field.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'a [u8]> {
        let row = *self;
        (0..row.len()).map(move |field| row.get(field).unwrap_or_default())
    }

    /// Whether no field says anything.
    pub(super) fn is_blank(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }
}

/// The rows of one file.
pub(super) struct Rows<R> {
    file: String,
    reader: R,
    input: Box<[u8]>,
    at: usize,
    filled: usize,
    core: csv_core::Reader,
    /// Line ends between rows, which the parser never sees.
    lines_between: u64,
    /// Whether the last byte that was passed is a carriage return: a line end by itself unless a line feed
    /// follows.
    after_return: bool,
    row: Box<[u8]>,
    ends: Box<[usize]>,
    /// The row in the buffers: its line, bytes and fields.
    held: Option<(u64, usize, usize)>,
    delimiter: u8,
}

impl<R: Read> Rows<R> {
    /// Begins to read: the encoding and what separates fields are known afterwards.
    pub(super) fn open(file: &str, reader: R, delimiter: Option<u8>) -> Result<Rows<R>> {
        let mut rows = Rows {
            file: file.to_owned(),
            reader,
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            at: 0,
            filled: 0,
            core: csv_core::Reader::new(),
            lines_between: 0,
            after_return: false,
            row: vec![0; ROW_BYTES_MAX].into_boxed_slice(),
            ends: vec![0; FIELDS_MAX].into_boxed_slice(),
            held: None,
            delimiter: b',',
        };
        rows.read_head()?;
        let head = &rows.input[..rows.filled];
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            let what = "the file is UTF-16 text; save it as UTF-8".to_owned();
            return Err(ImportError::Malformed { file: rows.file, line: 1, what });
        }
        if head.starts_with(b"\xef\xbb\xbf") {
            rows.at = 3;
        }
        let told = told_delimiter(&rows.input[rows.at..rows.filled]);
        if told.is_some() {
            // Its line end is left for the count of lines.
            rows.at += EXCEL_DELIMITER.len() + 1;
        }
        rows.delimiter =
            delimiter.or(told).unwrap_or_else(|| delimiter_of(&rows.input[rows.at..rows.filled]));
        rows.core = csv_core::ReaderBuilder::new().delimiter(rows.delimiter).build();
        Ok(rows)
    }

    /// The name of the file.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// What separates fields, as a word.
    pub(super) fn delimiter(&self) -> &'static str {
        DELIMITERS.iter().find(|(byte, _)| *byte == self.delimiter).map_or("", |(_, name)| name)
    }

    /// The next row that is not an empty line.
    ///
    /// # Errors
    /// As [`Rows::peek`].
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>> {
        self.hold()?;
        Ok(self.held.take().map(|held| self.row(held)))
    }

    /// The next row; it comes again until it is passed.
    ///
    /// # Errors
    /// [`ImportError::TooLarge`] where a row does not fit the buffers, [`ImportError::Truncated`] where
    /// the file ends within quotes, [`ImportError::Io`] where it cannot be read.
    pub(super) fn peek(&mut self) -> Result<Option<Row<'_>>> {
        self.hold()?;
        Ok(self.held.map(|held| self.row(held)))
    }

    /// Passes the row that was looked at.
    pub(super) fn pass(&mut self) {
        self.held = None;
    }

    fn row(&self, (line, bytes, fields): (u64, usize, usize)) -> Row<'_> {
        Row { line, bytes: &self.row[..bytes], ends: &self.ends[..fields] }
    }

    /// Reads a row into the buffers unless one is there.
    fn hold(&mut self) -> Result<()> {
        if self.held.is_some() || !self.skip_empty_lines()? {
            return Ok(());
        }
        let line = self.line();
        let (mut bytes, mut fields) = (0, 0);
        loop {
            // At the end of the file one line end is added: it ends a row, but not a quoted field.
            let at_end = self.at == self.filled && !self.fill(line)?;
            let input = if at_end { &b"\n"[..] } else { &self.input[self.at..self.filled] };
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.row[bytes..], &mut self.ends[fields..]);
            bytes += written;
            fields += ended;
            if !at_end {
                self.at += read;
            }
            match result {
                ReadRecordResult::Record => {
                    self.after_return = !at_end && self.input[..self.at].ends_with(b"\r");
                    self.held = Some((line, bytes, fields));
                    return Ok(());
                }
                ReadRecordResult::InputEmpty if at_end => {
                    let what = "a quoted field is not closed";
                    return Err(ImportError::Truncated { file: self.file.clone(), line, what });
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    return Err(self.too_large(line, format!("{} KiB", ROW_BYTES_MAX / 1024)));
                }
                ReadRecordResult::OutputEndsFull => {
                    return Err(self.too_large(line, format!("{FIELDS_MAX} fields")));
                }
                ReadRecordResult::End => return Ok(()),
            }
        }
    }

    /// The line of the next byte.
    fn line(&self) -> u64 {
        self.core.line() + self.lines_between
    }

    fn too_large(&self, line: u64, limit: String) -> ImportError {
        ImportError::TooLarge { file: self.file.clone(), line, what: "a row (is a quote left open?)", limit }
    }

    /// Passes line ends, so that the line on which a row begins is known. Whether anything is left.
    fn skip_empty_lines(&mut self) -> Result<bool> {
        loop {
            while self.at < self.filled {
                let byte = self.input[self.at];
                self.lines_between += u64::from(byte == b'\n' || self.after_return);
                self.after_return = byte == b'\r';
                if byte != b'\n' && byte != b'\r' {
                    return Ok(true);
                }
                self.at += 1;
            }
            let line = self.line();
            if !self.fill(line)? {
                return Ok(false);
            }
        }
    }

    /// Reads on into the used-up buffer. Whether anything came.
    fn fill(&mut self, line: u64) -> Result<bool> {
        self.at = 0;
        self.filled = 0;
        self.filled = self.read_some(line)?;
        Ok(self.filled > 0)
    }

    /// Fills the whole buffer once, so that the first lines can be looked at before they are parsed.
    fn read_head(&mut self) -> Result<()> {
        while self.filled < self.input.len() {
            match self.read_some(1)? {
                0 => break,
                more => self.filled += more,
            }
        }
        Ok(())
    }

    fn read_some(&mut self, line: u64) -> Result<usize> {
        loop {
            match self.reader.read(&mut self.input[self.filled..]) {
                Ok(more) => return Ok(more),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                // Compressed data that stop before their end.
                Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
                    let what = "its compressed data stop early";
                    return Err(ImportError::Truncated { file: self.file.clone(), line, what });
                }
                Err(cause) => return Err(ImportError::io(&self.file, cause)),
            }
        }
    }
}

/// What the first line says separates fields, if it says nothing else.
fn told_delimiter(head: &[u8]) -> Option<u8> {
    match head.strip_prefix(EXCEL_DELIMITER)? {
        [delimiter, b'\r' | b'\n', ..] => {
            DELIMITERS.iter().map(|(known, _)| *known).find(|known| known == delimiter)
        }
        _ => None,
    }
}

/// What separates fields on the first line that has any of it outside quotes: some exports begin with
/// lines of one field.
fn delimiter_of(head: &[u8]) -> u8 {
    for line in head.split(|&b| b == b'\n' || b == b'\r') {
        let mut counts = [0_usize; DELIMITERS.len()];
        let mut quoted = false;
        for &byte in line {
            quoted ^= byte == b'"';
            if !quoted && let Some(found) = DELIMITERS.iter().position(|(delimiter, _)| *delimiter == byte) {
                counts[found] += 1;
            }
        }
        let most = counts.iter().copied().max().unwrap_or(0);
        if most > 0 {
            return DELIMITERS[counts.iter().position(|&count| count == most).unwrap_or(0)].0;
        }
    }
    DELIMITERS[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte a call, so that every seam between two calls is met.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn all(reader: impl Read, delimiter: Option<u8>) -> Result<Vec<String>> {
        let mut rows = Rows::open("t.csv", reader, delimiter)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let fields: Vec<_> = row.fields().map(String::from_utf8_lossy).collect();
            found.push(format!("{}:{}", row.line, fields.join("|")));
        }
        assert!(rows.next()?.is_none(), "the end stays the end");
        Ok(found)
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(all(text.as_bytes(), None).unwrap(), expected);
        assert_eq!(all(Trickle(text.as_bytes()), None).unwrap(), expected, "byte by byte");
    }

    #[test]
    fn fields_lose_their_quotes_and_lines_are_counted() {
        check("a,b\n1,2\n", &["1:a|b", "2:1|2"]);
        check("a,b\r\n1,2\r\n3,4", &["1:a|b", "2:1|2", "3:3|4"]);
        check("\n\r\na,b\n\n\n1,2\n\n", &["3:a|b", "6:1|2"]);
        check("a,\"b\nb\"\n\"x\"\"y\",\"1,2\"\n", &["1:a|b\nb", "3:x\"y|1,2"]);
        check("a,\"b\r\n\r\nb\"\r\n1,\n", &["1:a|b\r\n\r\nb", "4:1|"]);
        check("\u{feff}a,b\n1\n", &["1:a|b", "2:1"]);
        check("\u{feff}\"a\",b", &["1:a|b"]);
        check("a,b\n1,\"2\"", &["1:a|b", "2:1|2"]);
        check("a\n", &["1:a"]);
        check("", &[]);
        check("\n\n", &[]);
        check("a,b\n , \n", &["1:a|b", "2: | "]);
    }

    #[test]
    fn the_delimiter_is_that_of_the_first_line_that_has_one() {
        check("a;b;c,d\n1;2;3\n", &["1:a|b|c,d", "2:1|2|3"]);
        check("a\tb\n1\t2\n", &["1:a|b", "2:1|2"]);
        check("Activities\n\"a;b;c\",d\n", &["1:Activities", "2:a;b;c|d"]);
        check("a;b,c\n", &["1:a;b|c"]);
        assert_eq!(all(&b"a,b;c\n"[..], Some(b';')).unwrap(), ["1:a,b|c"]);
        check("sep=;\r\na,b;c\r\n1;2\r\n", &["2:a,b|c", "3:1|2"]);
        check("sep=x\na,b\n", &["1:sep=x", "2:a|b"]);
    }

    #[test]
    fn buffers_are_passed_without_a_seam() {
        let row = format!("{},\"{}\"\r\n", "x".repeat(70_000), "y\n".repeat(40_000));
        let text = row.repeat(3);
        let found = all(text.as_bytes(), None).unwrap();
        let lines: Vec<&str> = found.iter().map(|row| row.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["1", "40002", "80003"]);
        assert!(found.iter().all(|row| row.ends_with(&format!("x|{}", "y\n".repeat(40_000)))));
    }

    #[test]
    fn what_does_not_fit_is_an_error_in_bounded_memory() {
        let endless = std::io::repeat(b'x').take(2_000_000_000);
        let Err(ImportError::TooLarge { line: 1, limit, .. }) = all(endless, None) else {
            panic!("too large")
        };
        assert_eq!(limit, "256 KiB");
        let open = b"a,b\n1,\"2\n".chain(std::io::repeat(b'\n').take(2_000_000_000));
        assert!(matches!(all(open, None), Err(ImportError::TooLarge { line: 2, .. })));
        let wide = ",".repeat(3_000);
        let Err(ImportError::TooLarge { limit, .. }) = all(wide.as_bytes(), None) else { panic!("too wide") };
        assert_eq!(limit, "2048 fields");
    }

    #[test]
    fn a_quote_that_the_end_leaves_open_is_a_file_cut_off() {
        let cut = all(&b"a,b\n1,2\n3,\"4\n5,6\n"[..], None);
        assert!(matches!(cut, Err(ImportError::Truncated { line: 3, .. })), "{cut:?}");
        assert!(all(&b"a,b\n1,\"2\"\""[..], None).is_err());
    }

    #[test]
    fn other_encodings_say_what_to_do() {
        for head in [&b"\xff\xfea\0,\0b\0"[..], b"\xfe\xff\0a\0,\0b"] {
            let error = all(head, None).unwrap_err().to_string();
            assert!(error.contains("UTF-16") && error.contains("UTF-8"), "{error}");
        }
    }

    #[test]
    fn failures_of_the_reader_are_told() {
        struct Failing(ErrorKind);
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
        }
        let cut = all(b"a,b\n".chain(Failing(ErrorKind::UnexpectedEof)), None);
        assert!(matches!(cut, Err(ImportError::Truncated { .. })));
        let broken = all(b"a,b\n".chain(Failing(ErrorKind::InvalidData)), None);
        assert!(matches!(broken, Err(ImportError::Io { .. })));
    }
}
