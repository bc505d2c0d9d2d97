//! A look at a WAL before SQLite takes it.
//!
//! SQLite ends a WAL at the first frame whose checksum disagrees, without a word: that is right for a
//! write that was cut off, and it throws away whole commits where a bit flipped in the middle. What tells
//! the two apart is a commit of the same WAL behind the frame that disagrees.

use std::io::Read;
use std::path::Path;

use super::carve::{FRAME_HEADER_LEN, PAGE_LEN, WAL_HEADER_LEN};

/// What SQLite will make of a WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wal {
    /// Nothing is in it.
    Empty,
    /// All that was committed to it.
    Whole,
    /// Less than was committed to it: its header or a frame before a commit is damaged.
    Damaged,
}

impl Wal {
    /// Looks at a WAL; one that cannot be read is SQLite's to name.
    pub(crate) fn look(path: &Path) -> Wal {
        let Ok(file) = std::fs::File::open(path) else { return Wal::Empty };
        let mut file = std::io::BufReader::with_capacity(1 << 16, file);
        let mut header = [0; WAL_HEADER_LEN];
        if file.read_exact(&mut header).is_err() {
            return Wal::Empty;
        }
        let big_endian = word(&header, 0) & 1 == 1;
        let mut sum = add((0, 0), &header[..24], big_endian);
        let believed = word(&header, 0) & !1 == 0x377f_0682 && sum == (word(&header, 24), word(&header, 28));
        let mut frame = [0; FRAME_HEADER_LEN + PAGE_LEN];
        let mut whole = true;
        while file.read_exact(&mut frame).is_ok() {
            if !believed {
                // A file of zeros is room that was never written.
                if header.iter().chain(&frame).any(|byte| *byte != 0) {
                    return Wal::Damaged;
                }
                continue;
            }
            let of_this_wal = frame[8..16] == header[16..24];
            let is_commit = word(&frame, 4) != 0;
            if !whole && of_this_wal && is_commit {
                return Wal::Damaged;
            }
            if whole {
                sum = add(add(sum, &frame[..8], big_endian), &frame[FRAME_HEADER_LEN..], big_endian);
                whole = of_this_wal && sum == (word(&frame, 16), word(&frame, 20));
            }
        }
        Wal::Whole
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The checksum of the WAL format (`sqlite.org/fileformat2.html#checksum_algorithm`).
fn add((mut s0, mut s1): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    for pair in bytes.chunks_exact(8) {
        let [a, b] = [word(pair, 0), word(pair, 4)].map(|w| if big_endian { w } else { w.swap_bytes() });
        s0 = s0.wrapping_add(a).wrapping_add(s1);
        s1 = s1.wrapping_add(b).wrapping_add(s0);
    }
    (s0, s1)
}
