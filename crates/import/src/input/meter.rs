//! What flows through: bytes of the file for the progress, and bytes out of a compressed stream, which may
//! not be endlessly more than went in.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::Progress;
use crate::error::ImportError;

/// From here on the ratio counts: 64 MiB hurt nobody, and a short file may well be one repeated line.
pub(super) const UNPACKED_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes that may come out of one that went in. Measured with deflate: Apple's XML of steps 12 to 19, of
/// heart rates that never change 47, Fitbit's minutes of 0 steps 23. Deflate itself ends at 1,032.
pub(super) const UNPACKED_RATIO_MAX: u64 = 250;

/// How many line feeds there are.
pub(crate) fn newlines(bytes: &[u8]) -> u64 {
    // In chunks that a `u8` can count: so the compiler compares 16 bytes at once.
    bytes
        .chunks(255)
        .map(|chunk| u64::from(chunk.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>()))
        .sum()
}

/// How many bytes were read, seen from several places.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Rc<Cell<u64>>);

impl Count {
    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Counts what is read.
pub(super) struct Metered<R> {
    inner: R,
    count: Count,
    /// Where the count may not go beyond.
    stop: Rc<Cell<u64>>,
}

impl<R> Metered<R> {
    pub(super) fn new(inner: R) -> Metered<R> {
        Metered { inner, count: Count::default(), stop: Rc::new(Cell::new(u64::MAX)) }
    }

    pub(super) fn count(&self) -> Count {
        self.count.clone()
    }

    /// The hand on the count's limit.
    pub(super) fn stop(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.stop)
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.count.get() > self.stop.get() {
            return Err(io::Error::other(Fault::Stop));
        }
        let len = self.inner.read(buf)?;
        self.count.0.set(self.count.get() + len as u64);
        Ok(len)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Tells the progress how much of the file was read.
pub(super) struct Told<'a, R> {
    inner: R,
    count: Count,
    before: u64,
    progress: Option<&'a mut (dyn Progress + 'static)>,
}

impl<'a, R> Told<'a, R> {
    /// Tells of `count` what goes beyond `before`.
    pub(super) fn new(
        inner: R,
        count: Count,
        before: u64,
        progress: Option<&'a mut (dyn Progress + 'static)>,
    ) -> Told<'a, R> {
        Told { inner, count, before, progress }
    }
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buf);
        let now = self.count.get();
        if let Some(progress) = self.progress.as_mut()
            && now > self.before
        {
            progress.advance(now - self.before);
            self.before = now;
        }
        result
    }
}

/// What is wrong with a compressed stream, and on which line of what came out of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("cut off")]
    Cut { line: u64 },
    #[error("damaged")]
    Damaged { line: u64 },
    #[error("not of the size that was said")]
    Size { line: u64 },
    #[error("far more comes out than went in")]
    Ratio { line: u64 },
    #[error("too much was read")]
    Stop,
}

/// Watches what comes out of a decompressor.
pub(super) struct Unpacked<R> {
    inner: R,
    packed: Count,
    /// Where that count stood before this stream.
    packed_before: u64,
    /// How many bytes came out.
    given: u64,
    line: u64,
    claimed: Option<u64>,
}

impl<R> Unpacked<R> {
    /// `packed` counts what goes in; `claimed` is how much is said to come out.
    pub(super) fn new(inner: R, packed: Count, claimed: Option<u64>) -> Unpacked<R> {
        let packed_before = packed.get();
        Unpacked { inner, packed, packed_before, given: 0, line: 1, claimed }
    }

    fn check(&self, end: bool) -> Result<(), Fault> {
        let line = self.line;
        if self.claimed.is_some_and(|claimed| self.given > claimed || (end && self.given < claimed)) {
            return Err(Fault::Size { line });
        }
        let packed = self.packed.get() - self.packed_before;
        if self.given > UNPACKED_FREE_BYTES && self.given / UNPACKED_RATIO_MAX > packed {
            return Err(Fault::Ratio { line });
        }
        Ok(())
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let line = self.line;
        let len = self.inner.read(buf).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::other(Fault::Cut { line }),
            io::ErrorKind::Interrupted => error,
            // What the system says has a number; the rest is the decompressor's.
            _ if error.raw_os_error().is_some() || fault(&error).is_some() => error,
            _ => io::Error::other(Fault::Damaged { line }),
        })?;
        self.given += len as u64;
        self.line += newlines(&buf[..len]);
        self.check(len == 0 && !buf.is_empty()).map_err(io::Error::other)?;
        Ok(len)
    }
}

fn fault(error: &io::Error) -> Option<&Fault> {
    error.get_ref().and_then(|cause| cause.downcast_ref())
}

/// Whether reading ended at [`Metered::stop`].
pub(super) fn is_stop(error: &io::Error) -> bool {
    matches!(fault(error), Some(Fault::Stop))
}

/// A reader's error as it is, unless its cause is the compression's.
pub(super) fn settle(error: ImportError) -> ImportError {
    let ImportError::Io { file, cause } = error else { return error };
    match fault(&cause) {
        None | Some(Fault::Stop) => ImportError::Io { file, cause },
        Some(Fault::Cut { line }) => {
            ImportError::Truncated { file, line: *line, what: "the compressed data stops in the middle" }
        }
        Some(Fault::Damaged { line }) => {
            ImportError::Malformed { file, line: *line, what: "the compressed data is damaged".to_owned() }
        }
        Some(Fault::Size { line }) => {
            let what = "the archive says another size than what it holds".to_owned();
            ImportError::Malformed { file, line: *line, what }
        }
        Some(Fault::Ratio { line }) => ImportError::TooLarge {
            file,
            line: *line,
            what: "what comes out of the compressed data",
            limit: format!("{UNPACKED_RATIO_MAX} times what went in"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_line_feeds_over_chunks() {
        assert_eq!(newlines(b""), 0);
        assert_eq!(newlines(b"a\nb\r\n"), 2);
        assert_eq!(newlines(&[b'\n'; 1_000]), 1_000);
    }

    fn drained(mut reader: impl Read) -> (u64, String) {
        let mut buf = [0; 8192];
        let mut got = 0;
        loop {
            match reader.read(&mut buf) {
                Ok(0) => return (got, String::new()),
                Ok(len) => got += len as u64,
                Err(error) => return (got, settle(ImportError::io("x", error)).to_string()),
            }
        }
    }

    #[test]
    fn a_ratio_counts_after_the_free_part() {
        const NEAR: u64 = UNPACKED_FREE_BYTES - 10_000;
        let after = |packed: u64, unpacked: u64| {
            let count = Count::default();
            let mut reader = Unpacked::new(io::repeat(b' ').take(50_000), count.clone(), None);
            count.0.set(packed);
            reader.given = unpacked;
            drained(reader)
        };
        let limit =
            "x, line 1: what comes out of the compressed data is over the limit of 250 times what went in";
        // The last read goes beyond the free part.
        assert_eq!(after(0, NEAR), (8192, limit.to_owned()));
        assert_eq!(after(0, NEAR - 50_000), (50_000, String::new()));
        // What went in is enough for all of it, or for all but its last read.
        let enough = (NEAR + 50_000).div_ceil(UNPACKED_RATIO_MAX);
        assert_eq!(after(enough, NEAR), (50_000, String::new()));
        assert_eq!(after(enough - 2, NEAR), (49_152, limit.to_owned()));
    }

    #[test]
    fn sizes_must_be_as_claimed() {
        let of = |claimed| drained(Unpacked::new(&b"a\nb"[..], Count::default(), Some(claimed)));
        assert_eq!(of(3), (3, String::new()));
        for claimed in [2, 4] {
            assert_eq!(of(claimed).1, "x, line 2: the archive says another size than what it holds");
        }
    }
}
