//! From the library's words to the oracle's plain numbers and back.

use std::sync::LazyLock;

use manbo::{Counts, Day, Fact, Register, Source};

use crate::oracle::{Item, Value};

/// The first day of every world: day number 0 of its events.
pub const FIRST_DAY: i32 = 19_000;

/// The names of the sources, in the order of their numbers. The last is a chip that counts since boot.
pub(super) static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    ["a-store", "b-watch", "c-phone", "d-chip"].iter().filter_map(|name| Source::new(name).ok()).collect()
});

/// The number of the chip.
pub const CHIP: u8 = 3;

/// The source of a number.
pub(super) fn source(number: u8) -> Source {
    SOURCES[usize::from(number) % SOURCES.len()]
}

/// The number of a source; `None` for one that no world has.
pub(super) fn source_number(source: Source) -> Option<u8> {
    SOURCES.iter().position(|known| *known == source).and_then(|index| u8::try_from(index).ok())
}

/// A day of a world.
pub(super) fn day(number: u8) -> Day {
    // Far within the calendar; the first day of all is the harmless answer to the impossible.
    Day::from_number(FIRST_DAY + i32::from(number)).unwrap_or(Day::FIRST)
}

/// A register as plain numbers.
pub(super) fn value(register: Register) -> Value {
    Value { epoch: register.epoch, counts: register.counts.map(|counts| (counts.recorded, counts.manual)) }
}

/// A fact as plain numbers; `None` for a source that no world has.
pub(super) fn item(fact: &Fact) -> Option<Item> {
    Some(match fact {
        Fact::Cell { day, source, register } => {
            Item::Cell { day: day.number(), source: source_number(*source)?, value: value(*register) }
        }
        Fact::Attended(day) => Item::Attended(day.number()),
    })
}

/// Facts as plain numbers.
pub(super) fn items(facts: &[Fact]) -> Vec<Item> {
    facts.iter().filter_map(item).collect()
}

/// Counts from plain numbers.
pub(super) fn counts((recorded, manual): (u32, u32)) -> Counts {
    Counts::new(recorded, manual)
}
