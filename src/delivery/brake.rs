//! What keeps a server that lies or is broken from being asked without end.
//!
//! Two kinds of answers are followed by the next question at once, whatever they bring: one that says that there is
//! more to fetch, and one that tells of another life of the server, after which everything is sent again. An honest
//! server gives what it announces, and has one life at a time; for any other there is the backoff.

use serde::{Deserialize, Serialize};

use super::policy::{FRUITLESS_PULLS_FREE, RESTORES_FREE};

/// What a receipt for the batch under way did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It told of another life of the server.
    Restored,
    /// It cleared or parked a fact, brought a change or raised the watermark.
    Progress,
    /// Nothing of that, and the batch held facts.
    NothingSent,
    /// Nothing of that, and the batch was a pull.
    NothingPulled,
}

impl Told {
    /// What a receipt for a batch of so many facts did.
    pub(crate) fn of(is_another_life: bool, is_progress: bool, facts: usize) -> Told {
        match facts {
            _ if is_another_life => Told::Restored,
            _ if is_progress => Told::Progress,
            0 => Told::NothingPulled,
            _ => Told::NothingSent,
        }
    }
}

/// How much there is still to do after a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// The server says that there is more to fetch, or it is not known whether there is.
    Pages,
    /// Everything is fetched; something is still to be sent.
    Facts,
    /// Nothing: here and there the same is known.
    Nothing,
}

/// How often the server answered to no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Brake {
    /// Pulls in a row that brought nothing although the server says that there is more.
    pulls: u8,
    /// Lives of the server that were met since nothing was left to do.
    lives: u8,
}

impl Brake {
    /// Whether anything is counted.
    pub(crate) fn is_on(self) -> bool {
        self != Brake::default()
    }

    /// Takes note of a receipt. Where it is one too many it counts as so many failures in a row, at least one.
    pub(crate) fn note(&mut self, told: Told, left: Left) -> Option<u32> {
        match told {
            Told::Restored => {
                self.pulls = 0;
                self.lives = self.lives.saturating_add(1);
                return beyond(self.lives, RESTORES_FREE);
            }
            Told::Progress => self.pulls = 0,
            Told::NothingPulled if left == Left::Pages => {
                self.pulls = self.pulls.saturating_add(1);
                return beyond(self.pulls, FRUITLESS_PULLS_FREE);
            }
            Told::NothingSent | Told::NothingPulled => {}
        }
        match left {
            // Until then a server that changes its life now and then would be sent everything for ever, although
            // each of its lives takes some.
            Left::Nothing => *self = Brake::default(),
            Left::Facts => self.pulls = 0,
            Left::Pages => {}
        }
        None
    }
}

fn beyond(count: u8, free: u8) -> Option<u32> {
    count.checked_sub(free).filter(|more| *more > 0).map(u32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulls_that_bring_nothing_are_counted_until_one_brings_something() {
        let mut brake = Brake::default();
        let mut pull = |told| brake.note(told, Left::Pages);
        assert_eq!([(); 3].map(|()| pull(Told::NothingPulled)), [None, Some(1), Some(2)]);
        assert_eq!(pull(Told::NothingSent), None, "a batch with facts is for `Stalled` to judge");
        assert_eq!(pull(Told::NothingPulled), Some(3));
        assert_eq!(pull(Told::Progress), None);
        assert_eq!([(); 2].map(|()| pull(Told::NothingPulled)), [None, Some(1)]);
        assert_eq!((0..300).filter_map(|_| pull(Told::NothingPulled)).max(), Some(254));
    }

    #[test]
    fn pulls_that_leave_nothing_to_fetch_are_never_too_many() {
        for left in [Left::Facts, Left::Nothing] {
            let mut brake = Brake::default();
            assert_eq!([(); 9].map(|()| brake.note(Told::NothingPulled, left)), [None; 9]);
        }
        let mut brake = Brake::default();
        let said = [Left::Pages, Left::Facts, Left::Pages, Left::Nothing, Left::Pages]
            .map(|left| brake.note(Told::NothingPulled, left));
        assert_eq!(said, [None; 5]);
    }

    #[test]
    fn lives_are_counted_until_nothing_is_left_to_do() {
        let mut brake = Brake::default();
        let mut meet = |told, left| brake.note(told, left);
        assert_eq!(meet(Told::Restored, Left::Pages), None);
        assert_eq!(meet(Told::Restored, Left::Pages), None);
        for left in [Left::Pages, Left::Facts] {
            assert_eq!(meet(Told::Progress, left), None);
        }
        assert_eq!(meet(Told::Restored, Left::Pages), Some(1));
        assert_eq!(meet(Told::Restored, Left::Pages), Some(2));
        assert_eq!(meet(Told::Progress, Left::Nothing), None);
        assert_eq!([(); 2].map(|()| meet(Told::Restored, Left::Pages)), [None, None]);
    }
}
