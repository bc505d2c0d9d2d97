//! A limit on how much a reader may swallow before it has understood something.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Fails once more than a limit of bytes were handed out since the last [`Mark::reset`]. A reader resets
/// the mark at each line, event or element, so that one without an end costs the limit, not the memory.
pub(crate) struct Guard<R> {
    inner: R,
    limit: u64,
    handed_out: Rc<Cell<u64>>,
}

/// The reader's hand on its [`Guard`].
pub(crate) struct Mark {
    handed_out: Rc<Cell<u64>>,
}

#[derive(Debug, thiserror::Error)]
#[error("a single element without an end")]
struct TooLong;

impl<R: Read> Guard<R> {
    /// The guarded reader, and the mark that resets its count.
    pub(crate) fn new(inner: R, limit_bytes: u64) -> (Guard<R>, Mark) {
        let handed_out = Rc::new(Cell::new(0));
        let mark = Mark { handed_out: Rc::clone(&handed_out) };
        (Guard { inner, limit: limit_bytes, handed_out }, mark)
    }
}

impl Mark {
    /// Something was understood: the count starts again.
    pub(crate) fn reset(&self) {
        self.handed_out.set(0);
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.handed_out.get() > self.limit {
            return Err(io::Error::other(TooLong));
        }
        let len = self.inner.read(buf)?;
        self.handed_out.set(self.handed_out.get() + len as u64);
        Ok(len)
    }
}

/// Whether an error is a [`Guard`]'s.
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    error.get_ref().and_then(|cause| cause.downcast_ref::<TooLong>()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_little_more_than_the_limit() {
        let (mut guard, _mark) = Guard::new(io::repeat(b'x'), 1_000);
        let mut buf = [0; 64];
        let mut got = 0;
        let error = loop {
            match guard.read(&mut buf) {
                Ok(len) => got += len,
                Err(error) => break error,
            }
        };
        assert!(is_too_long(&error));
        assert!((1_001..=1_064).contains(&got), "{got}");
    }

    #[test]
    fn a_reset_starts_the_count_again() {
        let (mut guard, mark) = Guard::new(io::repeat(b'x'), 100);
        let mut buf = [0; 100];
        for _ in 0..50 {
            guard.read_exact(&mut buf).unwrap();
            mark.reset();
        }
    }

    #[test]
    fn errors_of_others_are_told_apart() {
        assert!(!is_too_long(&io::Error::other("a disk")));
        assert!(!is_too_long(&io::Error::from_raw_os_error(5)));
    }
}
