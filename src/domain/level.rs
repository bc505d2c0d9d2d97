//! Health levels: the transition of a day, and how transitions compose.
//!
//! The day-by-day fold is the definition. A day is the function `f(x) = clamp(x + k, lo, hi)` on five
//! states; such functions are closed under composition, so a long history can be cut in blocks.

use serde::{Deserialize, Serialize};

use super::code::Refusal;

/// The five levels, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The lowest.
    VeryObese,
    /// The second.
    Obese,
    /// Where a new walker starts, unless the rules say otherwise.
    Overweight,
    /// The fourth.
    Healthy,
    /// The highest.
    VeryHealthy,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Level; 5] =
        [Level::VeryObese, Level::Obese, Level::Overweight, Level::Healthy, Level::VeryHealthy];

    /// 0 to 4.
    pub const fn index(self) -> u8 {
        self as u8
    }

    /// One higher; the highest stays.
    pub fn raised(self) -> Level {
        Level::ALL[(self as usize + 1).min(4)]
    }

    /// One lower; the lowest stays.
    pub fn lowered(self) -> Level {
        Level::ALL[(self as usize).saturating_sub(1)]
    }

    /// The name as in files and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::VeryObese => "very_obese",
            Level::Obese => "obese",
            Level::Overweight => "overweight",
            Level::Healthy => "healthy",
            Level::VeryHealthy => "very_healthy",
        }
    }
}

impl std::fmt::Display for Level {
    /// The name for people: `very healthy`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.as_str().replace('_', " "))
    }
}

/// What days without a log between two days mean for levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapPolicy {
    /// They do not exist.
    #[default]
    Skip,
    /// Each is folded as a day of 0 steps.
    CountAsZero,
}

/// The rules of levels, validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LevelRules {
    start: Level,
    raise_at: u32,
    drop_below: u32,
    gap: GapPolicy,
}

impl Default for LevelRules {
    /// Overweight to start, up at 10,000 steps, down below 6,000, gaps skipped: domain contract, section 4.
    fn default() -> LevelRules {
        LevelRules { start: Level::Overweight, raise_at: 10_000, drop_below: 6_000, gap: GapPolicy::Skip }
    }
}

impl LevelRules {
    /// Rules with these thresholds, in steps a day.
    ///
    /// # Errors
    /// [`Refusal::BadRules`] unless 1 <= `drop_below` <= `raise_at`.
    pub fn new(start: Level, raise_at: u32, drop_below: u32, gap: GapPolicy) -> Result<LevelRules, Refusal> {
        if drop_below == 0 {
            return Err(Refusal::BadRules { rule: "drop_below must be at least 1" });
        }
        if drop_below > raise_at {
            return Err(Refusal::BadRules { rule: "drop_below must not be above raise_at" });
        }
        Ok(LevelRules { start, raise_at, drop_below, gap })
    }

    /// The initial level of the first logged day.
    pub const fn start(&self) -> Level {
        self.start
    }

    /// From how many shown steps a day raises the level.
    pub const fn raise_at(&self) -> u32 {
        self.raise_at
    }

    /// Below how many shown steps a day lowers the next day's initial level.
    pub const fn drop_below(&self) -> u32 {
        self.drop_below
    }

    /// What unlogged days mean.
    pub const fn gap(&self) -> GapPolicy {
        self.gap
    }

    /// The level of a day that begins at `initial`: one higher if the day reached the threshold.
    pub fn level(&self, initial: Level, shown: u32) -> Level {
        if shown >= self.raise_at { initial.raised() } else { initial }
    }

    /// The initial level of the day after a logged day.
    pub fn after(&self, initial: Level, shown: u32) -> Level {
        let level = self.level(initial, shown);
        if shown < self.drop_below { level.lowered() } else { level }
    }

    /// The initial level of the day after an unlogged day.
    pub fn after_gap(&self, initial: Level) -> Level {
        match self.gap {
            GapPolicy::Skip => initial,
            GapPolicy::CountAsZero => self.after(initial, 0),
        }
    }

    /// A logged day as a function from its initial level to the next day's.
    pub fn transition(&self, shown: u32) -> Transition {
        if shown >= self.raise_at {
            Transition::shift(1)
        } else if shown < self.drop_below {
            Transition::shift(-1)
        } else {
            Transition::IDENTITY
        }
    }

    /// So many unlogged days in a row as one function.
    pub fn gap_transition(&self, days: u32) -> Transition {
        match self.gap {
            GapPolicy::Skip => Transition::IDENTITY,
            // Five states: four days without a step reach the bottom.
            GapPolicy::CountAsZero => Transition::shift(if days > 4 { -4 } else { -days.cast_signed() }),
        }
    }
}

/// A function on the five levels of the form `clamp(x + k, lo, hi)`.
///
/// ```
/// use manbo::{Level, Transition};
/// let week = [1, 1, -1, 0, 1].map(Transition::shift).into_iter().fold(Transition::IDENTITY, Transition::then);
/// assert_eq!(week.apply(Level::Overweight), Level::VeryHealthy);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transition {
    shift: i32,
    low: i32,
    high: i32,
}

impl Transition {
    /// The function that changes nothing.
    pub const IDENTITY: Transition = Transition { shift: 0, low: 0, high: 4 };

    /// So many levels up (down when negative), saturating.
    pub fn shift(levels: i32) -> Transition {
        Transition { shift: levels.clamp(-4, 4), low: 0, high: 4 }
    }

    /// This function, then the next one. Associative.
    pub fn then(self, next: Transition) -> Transition {
        let through = |x: i32| (x + next.shift).clamp(next.low, next.high);
        // Shifts beyond +-4 mean the same on five states; the clamp keeps them from growing.
        Transition {
            shift: (self.shift + next.shift).clamp(-8, 8),
            low: through(self.low),
            high: through(self.high),
        }
    }

    /// The level it leads to.
    pub fn apply(self, level: Level) -> Level {
        let index = (i32::from(level.index()) + self.shift).clamp(self.low, self.high);
        Level::ALL[usize::try_from(index).unwrap_or(0).min(4)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_transitions(depth: usize) -> Vec<(Vec<i32>, Transition)> {
        let mut all = vec![(vec![], Transition::IDENTITY)];
        for _ in 0..depth {
            all = all
                .iter()
                .flat_map(|(path, t)| {
                    (-1..=1).map(move |k| ([path.as_slice(), &[k]].concat(), t.then(Transition::shift(k))))
                })
                .collect();
        }
        all
    }

    #[test]
    fn composition_equals_the_fold_for_every_path_of_nine_days() {
        for (path, composed) in all_transitions(9) {
            for start in Level::ALL {
                let fold = path.iter().fold(start, |x, k| match k {
                    1 => x.raised(),
                    -1 => x.lowered(),
                    _ => x,
                });
                assert_eq!(composed.apply(start), fold, "{path:?} from {start}");
            }
        }
    }

    #[test]
    fn rules_are_validated_once() {
        let new = |raise, drop| LevelRules::new(Level::Overweight, raise, drop, GapPolicy::Skip);
        assert!(new(1, 1).is_ok() && new(u32::MAX, 1).is_ok());
        assert!(matches!(new(10_000, 0), Err(Refusal::BadRules { .. })));
        assert!(matches!(new(5_999, 6_000), Err(Refusal::BadRules { .. })));
    }

    #[test]
    fn a_transition_is_the_day() {
        let rules = LevelRules::new(Level::Overweight, 10_000, 6_000, GapPolicy::CountAsZero).unwrap();
        for start in Level::ALL {
            for shown in [0, 5_999, 6_000, 9_999, 10_000, 300_000] {
                assert_eq!(rules.transition(shown).apply(start), rules.after(start, shown));
            }
            for days in 0..9 {
                let fold = (0..days).fold(start, |x, _| rules.after_gap(x));
                assert_eq!(rules.gap_transition(days).apply(start), fold);
            }
            assert_eq!(rules.gap_transition(u32::MAX).apply(start), Level::VeryObese);
        }
    }
}
