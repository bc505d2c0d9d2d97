//! Numbers for names, and names of the ledger for names of devices.

use std::collections::HashMap;

use manbo::{SOURCE_LEN_MAX, Source};

/// Numbers strings in the order in which they come; the last one asked for is found without a look-up.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<String, u32>,
    in_order: Vec<String>,
    last: Option<u32>,
}

impl Names {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(last) = self.last.filter(|last| self.in_order[*last as usize] == name) {
            return last;
        }
        let number = if let Some(known) = self.known.get(name) {
            *known
        } else {
            // Their number is limited far below by the collector.
            let number = u32::try_from(self.in_order.len()).unwrap_or(u32::MAX);
            self.known.insert(name.to_owned(), number);
            self.in_order.push(name.to_owned());
            number
        };
        self.last = Some(number);
        number
    }

    pub(super) fn len(&self) -> usize {
        self.in_order.len()
    }

    pub(super) fn get(&self, number: u32) -> &str {
        &self.in_order[number as usize]
    }
}

/// The name in the ledger of a device or app: lower-case ASCII letters and digits, everything else a
/// hyphen. Names that differ only in what stands between the letters, such as the two kinds of apostrophe
/// that Apple writes, are one source. A name with letters that have no such spelling gets four digits of
/// its checksum, so that two of them stay apart, and so does one that has to be cut. A name of the ledger stays as it is, so that what was
/// exported comes back.
pub(super) fn source_of(name: &str) -> Option<Source> {
    if let Ok(source) = Source::new(name) {
        return Some(source);
    }
    let lower = name.to_lowercase();
    let mut slug = String::new();
    for c in lower.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let whole = slug.trim_end_matches('-').to_owned();
    let told_apart_by = if lower.chars().any(|c| c.is_alphanumeric() && !c.is_ascii()) {
        Some(&lower)
    } else {
        Some(&whole).filter(|whole| whole.len() > SOURCE_LEN_MAX)
    };
    let digits = told_apart_by
        .map(|text| format!("{:08x}", crc32fast::hash(text.as_bytes()))[..4].to_owned())
        .unwrap_or_default();
    let room = SOURCE_LEN_MAX - if digits.is_empty() { 0 } else { digits.len() + 1 };
    slug.truncate(room);
    let slug = slug.trim_end_matches('-');
    let parts: Vec<&str> = [slug, digits.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
    Source::new(&parts.join("-")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(source_of(name).map(|source| source.to_string()).unwrap_or_default(), expected, "{name}");
    }

    #[test]
    fn names_become_plain() {
        check("iPhone", "iphone");
        check("--my--watch-", "--my--watch-");
        check("Jane's Apple Watch", "jane-s-apple-watch");
        check("Jane\u{2019}s Apple\u{a0}Watch", "jane-s-apple-watch");
        check("  Health Mate (Withings) ", "health-mate-withings");
        check("=cmd()", "cmd");
        check("", "");
        check("...", "");
    }

    #[test]
    fn unspellable_names_stay_apart() {
        let (one, two) = (source_of("\u{bbfc}\u{d638} iPhone"), source_of("\u{c9c0}\u{c218} iPhone"));
        assert!(one.is_some() && two.is_some() && one != two);
        assert!(one.unwrap().as_str().starts_with("iphone-"));
        assert!(source_of("\u{bbfc}\u{d638}").is_some());
    }

    #[test]
    fn long_names_fit() {
        let long = "a very long name of a device that nobody would want to type";
        assert!(source_of(long).unwrap().as_str().starts_with("a-very-long-name-of-a-devic-"));
        assert_ne!(source_of(long), source_of(&format!("{long} too")));
        assert_eq!(source_of(long), source_of(&long.to_uppercase()));
        let unspellable = format!("{long}\u{e9}");
        assert_eq!(source_of(&unspellable).unwrap().as_str().len(), SOURCE_LEN_MAX);
    }

    #[test]
    fn numbers_are_stable() {
        let mut names = Names::default();
        assert_eq!([names.number("b"), names.number("a"), names.number("b")], [0, 1, 0]);
        assert_eq!((names.get(1), names.len()), ("a", 2));
    }
}
