//! Counts what a test program says it ran: a suite whose filter matches nothing must not pass.

/// Whose output is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// The `test result:` lines of the standard test harness.
    Tests,
    /// One `Success` a bench in test mode, one `time:` a bench that was measured.
    Benches,
}

/// What ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that ran and passed.
    pub(crate) passed: u64,
    /// Tests that ran and failed.
    pub(crate) failed: u64,
    /// Tests that exist and did not run.
    pub(crate) ignored: u64,
}

impl Tally {
    /// How many ran at all.
    pub(crate) fn ran(self) -> u64 {
        self.passed + self.failed
    }

    /// Adds what one line of output tells; most lines tell nothing.
    pub(crate) fn read(&mut self, count: Count, line: &str) {
        match count {
            Count::Tests => self.read_test_result(line),
            Count::Benches => {
                if line.trim() == "Success" || line.contains(" time:   [") {
                    self.passed += 1;
                }
            }
        }
    }

    /// For example `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s`.
    fn read_test_result(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        let Some((_verdict, numbers)) = result.split_once(". ") else { return };
        for part in numbers.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(count: Count, text: &str) -> Tally {
        let mut tally = Tally::default();
        for line in text.lines() {
            tally.read(count, line);
        }
        tally
    }

    #[test]
    fn sums_every_result_line() {
        let text = "\
running 3 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s

running 2 tests
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let tally = tally(Count::Tests, text);
        assert_eq!(tally, Tally { passed: 3, failed: 1, ignored: 1 });
        assert_eq!(tally.ran(), 4);
    }

    #[test]
    fn ignored_and_filtered_tests_did_not_run() {
        let text = "\
running 0 tests
test result: ok. 0 passed; 0 failed; 2 ignored; 0 measured; 40 filtered out; finished in 0.00s
";
        assert_eq!(tally(Count::Tests, text).ran(), 0);
    }

    #[test]
    fn other_lines_count_for_nothing() {
        let text = "test result\ntest result: \ntest result: ok\n5 passed; 5 failed\nSuccess\r\n";
        assert_eq!(tally(Count::Tests, text), Tally::default());
        assert_eq!(tally(Count::Benches, "test result: ok. 2 passed; 0 failed;"), Tally::default());
    }

    #[test]
    fn a_carriage_return_at_the_end_does_no_harm() {
        let text = "test result: ok. 7 passed; 0 failed; 0 ignored\r\n";
        assert_eq!(tally(Count::Tests, text).passed, 7);
    }

    #[test]
    fn benches_count_once_each_in_either_mode() {
        assert_eq!(tally(Count::Benches, "Testing a\nSuccess\nTesting b/1\nSuccess\n").passed, 2);
        let measured =
            "a                time:   [1.2 ns 1.3 ns 1.4 ns]\n                 change: [-1% +0% +1%]\n";
        assert_eq!(tally(Count::Benches, measured).passed, 1);
    }
}
