//! Where the rows lie in a file: an own small reader of SQLite's page format, so that the tests know it
//! from the documentation and not from the library.

use std::ops::Range;

pub(crate) const PAGE_LEN: usize = 4_096;

fn number(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

/// A number of SQLite's variable length and how many bytes it has.
fn varint(bytes: &[u8]) -> (usize, usize) {
    let mut number = 0;
    for (i, byte) in bytes.iter().enumerate() {
        number = number << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return (number, i + 1);
        }
    }
    panic!("a number without an end");
}

/// The bytes of every row of every table of ours: pages of tables start after the first one and hold no
/// text of the schema.
pub(crate) fn row_ranges(file: &[u8]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for (n, page) in file.chunks_exact(PAGE_LEN).enumerate().skip(1) {
        let is_schema = page.windows(7).any(|text| text == b"CREATE ");
        let (child_len, has_rowid) = match page[0] {
            0x0a => (0, false),
            0x02 => (4, false),
            0x0d => (0, true),
            _ => continue,
        };
        if is_schema {
            continue;
        }
        for i in 0..number(page, 3) {
            let start = number(page, 8 + child_len + 2 * i) + child_len;
            let (payload, mut len) = varint(&page[start..]);
            if has_rowid {
                len += varint(&page[start + len..]).1;
            }
            ranges.push(n * PAGE_LEN + start..n * PAGE_LEN + start + len + payload);
        }
    }
    ranges
}
