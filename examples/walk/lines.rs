//! Text with one kind of line end, so that lines can be counted.

use std::io::{Read, Result};

/// Makes a newline of every line end (`\r\n`, `\r`), and ends the last line if nothing else does.
pub(crate) struct Lines<R> {
    inner: R,
    after_return: bool,
    ended: bool,
}

impl<R: Read> Lines<R> {
    pub(crate) const fn new(inner: R) -> Lines<R> {
        Lines { inner, after_return: false, ended: true }
    }

    /// Rewrites a buffer in place; gives the length that is left.
    fn rewrite(&mut self, buffer: &mut [u8]) -> usize {
        let mut kept = 0;
        for at in 0..buffer.len() {
            let byte = buffer[at];
            let is_second_half = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            if !is_second_half {
                buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
                kept += 1;
            }
        }
        if let Some(last) = kept.checked_sub(1) {
            self.ended = buffer[last] == b'\n';
        }
        kept
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let length = self.inner.read(buffer)?;
            if length == 0 {
                let Some(first) = buffer.first_mut().filter(|_| !self.ended) else { return Ok(0) };
                *first = b'\n';
                self.ended = true;
                return Ok(1);
            }
            // A buffer may hold nothing but the second half of a line end; 0 would mean the end.
            match self.rewrite(&mut buffer[..length]) {
                0 => {}
                kept => return Ok(kept),
            }
        }
    }
}
