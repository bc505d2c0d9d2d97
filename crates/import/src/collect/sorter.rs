//! Records in order, in bounded memory: sorted runs go to temporary files and are merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

/// Records sorted in memory at once: at 24 bytes each, 24 MB.
const RUN_MAX: usize = 1 << 20;
/// What is read ahead of each run: a thousand runs (a thousand million records) read 16 MB ahead.
const RUN_BUFFER: usize = 16 << 10;
/// 4 + 8 + 4 + 4 + 2 bytes of an [`Item`]'s fields.
const ITEM_BYTES: usize = 22;

/// A record on a line of time. The order is the order in which records are united.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// Whose, from where, in which report: an index into the collector's table.
    pub(super) series: u32,
    /// When it starts, in milliseconds on the line of its series.
    pub(super) start: i64,
    /// How long it lasts, in milliseconds, at least 1.
    pub(super) len: u32,
    /// How many steps.
    pub(super) steps: u32,
    /// The printed offset in minutes; 0 on a wall line.
    pub(super) offset: i16,
}

const _: () = assert!(std::mem::size_of::<Item>() == 24);

impl Item {
    pub(super) fn end(&self) -> i64 {
        self.start + i64::from(self.len)
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut bytes = [0; ITEM_BYTES];
        bytes[0..4].copy_from_slice(&self.series.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.start.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.len.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.steps.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.offset.to_le_bytes());
        out.write_all(&bytes)
    }
}

impl Item {
    fn read(bytes: &[u8; ITEM_BYTES]) -> Item {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let start = i64::from(word(4)) | (i64::from(word(8).cast_signed()) << 32);
        let offset = i16::from_le_bytes([bytes[20], bytes[21]]);
        Item { series: word(0), start, len: word(12), steps: word(16), offset }
    }
}

/// Takes items in any order and gives them back sorted.
#[derive(Default)]
pub(super) struct Sorter {
    items: Vec<Item>,
    runs: Vec<Run>,
}

struct Run {
    file: File,
    items: usize,
}

impl Sorter {
    /// Adds an item. Fails when a run cannot be written.
    pub(super) fn push(&mut self, item: Item) -> io::Result<()> {
        if self.items.len() == RUN_MAX {
            self.spill()?;
        }
        self.items.push(item);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.items.sort_unstable();
        let mut out = BufWriter::with_capacity(RUN_BUFFER, tempfile::tempfile()?);
        for item in &self.items {
            item.write(&mut out)?;
        }
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(Run { file, items: self.items.len() });
        self.items.clear();
        Ok(())
    }

    /// Hands out every item in order.
    pub(super) fn drain<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(Item) -> Result<(), E>,
    ) -> Result<(), E> {
        self.items.sort_unstable();
        if self.runs.is_empty() {
            return self.items.into_iter().try_for_each(each);
        }
        self.spill()?;
        self.items = Vec::new();
        let mut runs: Vec<RunReader> = self.runs.into_iter().map(RunReader::new).collect();
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (index, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next()?.map(|item| Reverse((item, index))));
        }
        while let Some(Reverse((item, index))) = heads.pop() {
            heads.extend(runs[index].next()?.map(|next| Reverse((next, index))));
            each(item)?;
        }
        Ok(())
    }
}

struct RunReader {
    input: BufReader<File>,
    left: usize,
}

impl RunReader {
    fn new(run: Run) -> RunReader {
        RunReader { input: BufReader::with_capacity(RUN_BUFFER, run.file), left: run.items }
    }

    fn next(&mut self) -> io::Result<Option<Item>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut bytes = [0; ITEM_BYTES];
        self.input.read_exact(&mut bytes)?;
        self.left -= 1;
        Ok(Some(Item::read(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: u32) -> Vec<Item> {
        let mut state = 1_u64;
        (0..count)
            .map(|n| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let high = u32::try_from(state >> 32).unwrap();
                let start = i64::from(high) * 1_000 - (1 << 41);
                let offset = i16::try_from(high % 1_500).unwrap() - 720;
                Item { series: high % 3, start, len: 1 + high % 7, steps: n, offset }
            })
            .collect()
    }

    fn drained(sorter: Sorter) -> Vec<Item> {
        let mut out = Vec::new();
        sorter
            .drain(|item| {
                out.push(item);
                Ok::<(), io::Error>(())
            })
            .unwrap();
        out
    }

    #[test]
    fn spilled_runs_merge_into_the_same_order() {
        let mut expected = items(10_000);
        let mut plain = Sorter::default();
        let mut spilling = Sorter::default();
        for (n, item) in expected.iter().enumerate() {
            plain.push(*item).unwrap();
            spilling.push(*item).unwrap();
            if n % 3_000 == 2_999 {
                spilling.spill().unwrap();
            }
        }
        assert_eq!(spilling.runs.len(), 3);
        expected.sort_unstable();
        assert_eq!(drained(plain), expected);
        assert_eq!(drained(spilling), expected);
        assert!(drained(Sorter::default()).is_empty());
    }

    #[test]
    fn an_error_of_the_taker_stops_the_merge() {
        let mut sorter = Sorter::default();
        for item in items(10) {
            sorter.push(item).unwrap();
        }
        sorter.spill().unwrap();
        let mut seen = 0;
        let result = sorter.drain(|_| {
            seen += 1;
            if seen == 4 { Err(io::Error::other("enough")) } else { Ok(()) }
        });
        assert!(result.is_err() && seen == 4);
    }
}
