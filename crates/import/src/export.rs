//! From a ledger back to files: CSV that a spreadsheet cannot run, and canonical JSON lines.

use std::io::{self, Write};

use manbo::{Fact, Ledger};

/// The columns of [`write_csv`].
const HEADER: &str = "day,source,recorded,manual,epoch";

/// Writes the cells of a ledger as CSV, by day and then by source: `day,source,recorded,manual,epoch`.
/// Gives the number of rows below the header.
///
/// A cell that is absent has blank counts, which is not 0. A text that a spreadsheet would take for a
/// formula gets an apostrophe in front, which the CSV reader of this crate takes away again. Attended days
/// are not steps and are only in [`write_json_lines`].
///
/// # Errors
/// Those of `out`.
pub fn write_csv(ledger: &Ledger, out: &mut impl Write) -> io::Result<u64> {
    writeln!(out, "{HEADER}")?;
    let mut rows = 0;
    for fact in ledger.facts() {
        let Fact::Cell { day, source, register } = fact else { continue };
        write!(out, "{day},{},", field(source.as_str()))?;
        match register.counts {
            Some(counts) => write!(out, "{},{}", counts.recorded, counts.manual)?,
            None => write!(out, ",")?,
        }
        writeln!(out, ",{}", register.epoch)?;
        rows += 1;
    }
    Ok(rows)
}

/// Writes every fact of a ledger as one line of JSON: registers by day and source, then attended days.
/// Gives the number of lines.
///
/// The form is canonical, so that equal ledgers give equal bytes: keys in the order of [`Fact`], no
/// blanks, a line feed after each line.
///
/// # Errors
/// Those of `out`.
pub fn write_json_lines(ledger: &Ledger, out: &mut impl Write) -> io::Result<u64> {
    let facts = ledger.facts();
    for fact in &facts {
        serde_json::to_writer(&mut *out, fact)?;
        out.write_all(b"\n")?;
    }
    Ok(facts.len() as u64)
}

/// A text as a CSV field: never a formula, quoted where its characters would end the field.
fn field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

#[cfg(test)]
mod tests {
    use manbo::{Correction, Day, LevelRules, Now, Operation, Reading, Source};

    use super::*;

    fn source(name: &str) -> Source {
        Source::new(name).unwrap()
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn readings() -> Vec<Reading> {
        vec![
            Reading::new(day("2026-03-02"), source("watch"), 9_000).full(),
            Reading::new(day("2026-03-01"), source("watch"), 8_000).with_manual(200).full(),
            Reading::new(day("2026-03-01"), source("-2-3"), 7_000),
            Reading::new(day("2026-03-01"), source("--"), 0),
        ]
    }

    fn ledger(readings: &[Reading]) -> Ledger {
        let now = Now::on(day("2026-03-05"));
        let mut ledger = Ledger::new(LevelRules::default());
        let attend = |ledger: &mut Ledger, text| {
            let _ = ledger.apply(Operation::Attend(day(text)), now).unwrap();
        };
        attend(&mut ledger, "2026-03-02");
        for reading in readings {
            let _ = ledger.apply(Operation::Read(reading), now).unwrap();
        }
        attend(&mut ledger, "2026-02-27");
        let gone =
            Correction { day: day("2026-03-02"), source: source("phone"), to: None, reason: "ticket 1" };
        let _ = ledger.apply(Operation::Correct(&gone), now).unwrap();
        ledger
    }

    fn csv(ledger: &Ledger) -> String {
        let mut out = Vec::new();
        let rows = write_csv(ledger, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(rows, text.lines().count() as u64 - 1);
        text
    }

    fn json_lines(ledger: &Ledger) -> String {
        let mut out = Vec::new();
        let lines = write_json_lines(ledger, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(lines, text.lines().count() as u64);
        text
    }

    #[test]
    fn no_cell_is_a_formula_and_absent_is_blank() {
        assert_eq!(
            csv(&ledger(&readings())),
            "day,source,recorded,manual,epoch\n\
             2026-03-01,'--,0,0,0\n\
             2026-03-01,'-2-3,7000,0,0\n\
             2026-03-01,watch,8000,200,0\n\
             2026-03-02,phone,,,1\n\
             2026-03-02,watch,9000,0,0\n"
        );
    }

    #[test]
    fn json_lines_are_canonical() {
        assert_eq!(
            json_lines(&ledger(&readings())),
            "{\"day\":\"2026-03-01\",\"source\":\"--\",\"epoch\":0,\"recorded\":0,\"manual\":0}\n\
             {\"day\":\"2026-03-01\",\"source\":\"-2-3\",\"epoch\":0,\"recorded\":7000,\"manual\":0}\n\
             {\"day\":\"2026-03-01\",\"source\":\"watch\",\"epoch\":0,\"recorded\":8000,\"manual\":200}\n\
             {\"day\":\"2026-03-02\",\"source\":\"phone\",\"epoch\":1,\"recorded\":null,\"manual\":0}\n\
             {\"day\":\"2026-03-02\",\"source\":\"watch\",\"epoch\":0,\"recorded\":9000,\"manual\":0}\n\
             {\"attended\":\"2026-02-27\"}\n{\"attended\":\"2026-03-02\"}\n"
        );
    }

    #[test]
    fn equal_ledgers_give_equal_bytes() {
        let mut turned = readings();
        let one = ledger(&turned);
        for _ in 0..turned.len() {
            turned.rotate_left(1);
            let other = ledger(&turned);
            assert_eq!((csv(&one), json_lines(&one)), (csv(&other), json_lines(&other)));
        }
        let nothing = Ledger::new(LevelRules::default());
        assert_eq!(
            (csv(&nothing).as_str(), json_lines(&nothing).as_str()),
            ("day,source,recorded,manual,epoch\n", "")
        );
    }

    #[test]
    fn hostile_texts_stay_text() {
        let cases = [
            ("watch", "watch"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("-1,2", "\"'-1,2\""),
            ("=\"a\"", "\"'=\"\"a\"\"\""),
            ("\rx", "\"'\rx\""),
            ("a\nb", "\"a\nb\""),
        ];
        for (text, written) in cases {
            assert_eq!(field(text), written);
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let ledger = ledger(&readings());
        assert_eq!(write_csv(&ledger, &mut Full).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(write_json_lines(&ledger, &mut Full).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
