//! How many steps overlapping records of one source are worth together.
//!
//! Shortest first: a record adds only what the shorter ones do not explain within its time, spread over
//! the time that they leave free. So the union of a set of records is at least its largest record, because
//! after each one its time holds at least its steps; and at most the sum, because none adds more than it
//! says. The order is one of the records' own properties, so it does not matter how they come.

use std::cmp::Reverse;

use super::sorter::Item;

/// A piece of time, from and until, in milliseconds.
pub(super) type Piece = (i64, i64);

/// Tells for each record how many steps it adds, and over which pieces of time, ascending, they spread.
pub(super) fn unite(items: &[Item], mut each: impl FnMut(&Item, u32, &[Piece])) {
    if let [item] = items {
        return each(item, item.steps, &[(item.start, item.end())]);
    }
    let mut order: Vec<&Item> = items.iter().collect();
    order.sort_unstable_by_key(|item| (item.len, item.start, Reverse(item.steps), item.offset));
    let mut table = Table::new(items);
    let mut free = Vec::new();
    for item in order {
        let (low, high) = (table.index(item.start), table.index(item.end()));
        let explained = table.sum(high) - table.sum(low);
        // Saturating at the record itself: u32 again.
        let adds = item.steps - u32::try_from(explained).unwrap_or(u32::MAX).min(item.steps);
        free.clear();
        table.cover(low, high, |piece| free.push(piece));
        let mut share = Share::new(adds, &free);
        for piece in &free {
            let at = table.index(piece.0);
            table.add(at, share.take(piece.1 - piece.0));
        }
        if free.is_empty() {
            // Shorter records fill its time and say less. Where exactly the rest was walked is not known;
            // one place keeps the sums right, and a long chain of records quick.
            table.add(low, adds);
            free.push((item.start, item.end()));
        }
        each(item, adds, &free);
    }
}

/// Gives out steps over pieces of time in proportion, by the running total rounded half up, so that the
/// parts add up to the whole.
pub(super) struct Share {
    steps: u128,
    time: u128,
    elapsed: u128,
    given: u32,
}

impl Share {
    pub(super) fn new(steps: u32, pieces: &[Piece]) -> Share {
        let time = pieces.iter().map(|(from, until)| u128::from(from.abs_diff(*until))).sum();
        Share { steps: u128::from(steps), time, elapsed: 0, given: 0 }
    }

    /// The part of the next so many milliseconds.
    pub(super) fn take(&mut self, ms: i64) -> u32 {
        self.elapsed += u128::from(ms.unsigned_abs());
        let running = (2 * self.steps * self.elapsed + self.time) / (2 * self.time).max(1);
        // The running total never exceeds the steps, which are u32.
        let running = u32::try_from(running).unwrap_or(u32::MAX);
        let part = running - self.given;
        self.given = running;
        part
    }
}

/// The steps placed so far, by the stretches between all starts and ends.
struct Table {
    cuts: Vec<i64>,
    /// A Fenwick tree over the stretches.
    sums: Vec<u64>,
    /// The next stretch, from here on, that no record covers yet.
    next_free: Vec<u32>,
}

impl Table {
    fn new(items: &[Item]) -> Table {
        let mut cuts: Vec<i64> = items.iter().flat_map(|item| [item.start, item.end()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let sums = vec![0; cuts.len() + 1];
        let next_free = (0..).take(cuts.len() + 1).collect();
        Table { cuts, sums, next_free }
    }

    /// The stretch that begins at a cut.
    fn index(&self, cut: i64) -> usize {
        self.cuts.partition_point(|other| *other < cut)
    }

    fn add(&mut self, index: usize, steps: u32) {
        let mut at = index + 1;
        while at < self.sums.len() {
            self.sums[at] += u64::from(steps);
            at += at & at.wrapping_neg();
        }
    }

    /// The steps in the stretches before an index.
    fn sum(&self, index: usize) -> u64 {
        let mut at = index;
        let mut sum = 0;
        while at > 0 {
            sum += self.sums[at];
            at -= at & at.wrapping_neg();
        }
        sum
    }

    fn free_from(&mut self, index: usize) -> usize {
        let mut at = index;
        while self.next_free[at] as usize != at {
            let next = self.next_free[at] as usize;
            self.next_free[at] = self.next_free[next];
            at = next;
        }
        at
    }

    /// Covers the stretches from one index until another; tells those that were free.
    fn cover(&mut self, low: usize, high: usize, mut each: impl FnMut(Piece)) {
        let mut at = self.free_from(low);
        while at < high {
            each((self.cuts[at], self.cuts[at + 1]));
            self.next_free[at] = self.next_free[at + 1];
            at = self.free_from(at + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(start: i64, len: u32, steps: u32) -> Item {
        Item { series: 0, start, len, steps, offset: 0 }
    }

    #[track_caller]
    fn check(records: &[(i64, u32, u32)], total: u32) {
        let items: Vec<Item> = records.iter().map(|(start, len, steps)| item(*start, *len, *steps)).collect();
        for turn in 0..items.len() {
            let mut turned = items.clone();
            turned.rotate_left(turn);
            let mut sum = 0;
            unite(&turned, |_, adds, pieces| {
                assert!(pieces.windows(2).all(|pair| pair[0].1 <= pair[1].0));
                sum += adds;
            });
            assert_eq!(sum, total, "{records:?}");
        }
    }

    #[test]
    fn what_a_longer_record_explains_counts_once() {
        check(&[(0, 60, 600), (0, 10, 100), (10, 50, 500)], 600);
        check(&[(0, 60, 700), (0, 10, 100), (10, 50, 500)], 700);
        check(&[(0, 60, 500), (0, 10, 100), (10, 50, 500)], 600);
        check(&[(0, 60, 600), (50, 10, 600)], 600);
    }

    #[test]
    fn a_repeated_record_counts_once_and_its_larger_version_wins() {
        check(&[(0, 10, 7), (0, 10, 7), (0, 10, 7)], 7);
        check(&[(0, 10, 7), (0, 10, 9)], 9);
    }

    #[test]
    fn records_that_overlap_in_part_share_in_proportion() {
        check(&[(0, 10, 1_000), (9, 10, 1_000)], 1_900);
        check(&[(0, 10, 5), (5, 10, 7)], 5 + 7 - 2);
        check(&[(0, 10, 0), (5, 10, 7)], 7);
    }

    #[test]
    fn records_that_only_touch_add_up() {
        check(&[(0, 10, 5), (10, 10, 7), (20, 1, 1)], 13);
    }

    #[test]
    fn shares_add_up_to_the_whole() {
        let pieces = [(0, 1), (1, 3), (10, 17)];
        let mut share = Share::new(5, &pieces);
        let parts: Vec<u32> = pieces.iter().map(|(from, until)| share.take(until - from)).collect();
        assert_eq!(parts, [1, 1, 3]);
        let mut share = Share::new(u32::MAX, &[(0, i64::MAX)]);
        assert_eq!(share.take(i64::MAX), u32::MAX);
    }

    /// The law read aloud, millisecond by millisecond: which steps lie where, and what is covered.
    fn plainly(items: &[Item]) -> Vec<u32> {
        let end = items.iter().map(Item::end).max().unwrap_or(0);
        let mut cuts: Vec<i64> = items.iter().flat_map(|item| [item.start, item.end()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut placed = vec![0_u32; usize::try_from(end).unwrap()];
        let mut covered = vec![false; placed.len()];
        let mut order = items.to_vec();
        order.sort_by_key(|item| (item.len, item.start, Reverse(item.steps), item.offset));
        let mut adds = Vec::new();
        for item in order {
            let span = usize::try_from(item.start).unwrap()..usize::try_from(item.end()).unwrap();
            let add = item.steps.saturating_sub(placed[span.clone()].iter().sum());
            let free: Vec<usize> = span.clone().filter(|ms| !covered[*ms]).collect();
            if free.is_empty() {
                placed[span.start] += add;
            }
            let mut given = 0;
            let mut piece_start = free.first().copied();
            for (n, ms) in free.iter().enumerate() {
                // A piece ends at a cut or where covered time begins; its steps lie at its start.
                let ends =
                    cuts.contains(&i64::try_from(ms + 1).unwrap()) || free.get(n + 1) != Some(&(ms + 1));
                if ends {
                    let time = u32::try_from(free.len()).unwrap();
                    let running = (2 * add * u32::try_from(n + 1).unwrap() + time) / (2 * time);
                    placed[piece_start.unwrap()] += running - given;
                    given = running;
                    piece_start = free.get(n + 1).copied();
                }
            }
            span.for_each(|ms| covered[ms] = true);
            adds.push(add);
        }
        adds
    }

    proptest::proptest! {
        #[test]
        fn the_table_gives_what_the_law_says(
            records in proptest::collection::vec((0_i64..40, 1_u32..30, 0_u32..200), 1..12)
        ) {
            let items: Vec<Item> = records.iter().map(|(start, len, steps)| item(*start, *len, *steps)).collect();
            let mut adds = Vec::new();
            unite(&items, |_, add, _| adds.push(add));
            proptest::prop_assert_eq!(adds, plainly(&items));
        }
    }

    #[test]
    fn a_long_chain_takes_no_long_time() {
        // Nested, chained and filled from below: the table must not walk all stretches for each record.
        let chain: Vec<Item> =
            (0..60_000).map(|n| item(i64::from(n), 1 + 40_000 * u32::from(n % 2 == 1), n)).collect();
        let mut adds_sum = 0_u64;
        unite(&chain, |_, adds, _| adds_sum += u64::from(adds));
        assert!(adds_sum >= 59_999);
    }
}
