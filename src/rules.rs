//! The rules of a ledger: thresholds, gap policy, goal and week start, validated once when built.

use crate::domain::code::Refusal;
use crate::domain::day::WeekStart;
use crate::domain::level::{GapPolicy, Level, LevelRules};
use crate::domain::stats::StatRules;

/// The rules that turn steps into levels and statistics. They apply to the whole history.
///
/// ```
/// use manbo::{GapPolicy, Rules, WeekStart};
/// let rules = Rules::builder().goal(8_000).week_start(WeekStart::Sunday).gap(GapPolicy::CountAsZero).build()?;
/// assert_eq!(rules.levels().raise_at(), 10_000);
/// assert!(Rules::builder().raise_at(5_000).drop_below(6_000).build().is_err());
/// # Ok::<(), manbo::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    levels: LevelRules,
    goal: u32,
    week_start: WeekStart,
    version: u32,
}

impl Rules {
    /// Starts from the defaults.
    pub fn builder() -> RulesBuilder {
        RulesBuilder::default()
    }

    /// The rules of levels.
    pub const fn levels(&self) -> &LevelRules {
        &self.levels
    }

    /// Shown steps from which a day meets the goal.
    pub const fn goal(&self) -> u32 {
        self.goal
    }

    /// The day on which a week begins.
    pub const fn week_start(&self) -> WeekStart {
        self.week_start
    }

    /// The version that receipts repeat, so that a host sees when device and server differ.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// What the statistics need.
    pub const fn statistics(&self) -> StatRules {
        StatRules { goal: self.goal, week_start: self.week_start }
    }
}

impl Default for Rules {
    /// Overweight to start, up at 10,000, down below 6,000, gaps skipped, goal 10,000, ISO weeks.
    fn default() -> Rules {
        let RulesBuilder { goal, week_start, version, .. } = RulesBuilder::default();
        Rules { levels: LevelRules::default(), goal, week_start, version }
    }
}

/// Collects rules; [`RulesBuilder::build`] validates them.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct RulesBuilder {
    start_level: Level,
    raise_at: u32,
    drop_below: u32,
    gap: GapPolicy,
    goal: u32,
    week_start: WeekStart,
    version: u32,
}

impl Default for RulesBuilder {
    fn default() -> RulesBuilder {
        let levels = LevelRules::default();
        RulesBuilder {
            start_level: levels.start(),
            raise_at: levels.raise_at(),
            drop_below: levels.drop_below(),
            gap: levels.gap(),
            goal: 10_000,
            week_start: WeekStart::Monday,
            version: 1,
        }
    }
}

impl RulesBuilder {
    /// The initial level of the first logged day.
    pub const fn start_level(mut self, level: Level) -> Self {
        self.start_level = level;
        self
    }

    /// From how many shown steps a day raises the level.
    pub const fn raise_at(mut self, steps: u32) -> Self {
        self.raise_at = steps;
        self
    }

    /// Below how many shown steps a day lowers the next day's initial level.
    pub const fn drop_below(mut self, steps: u32) -> Self {
        self.drop_below = steps;
        self
    }

    /// What days without a log mean.
    pub const fn gap(mut self, gap: GapPolicy) -> Self {
        self.gap = gap;
        self
    }

    /// Shown steps from which a day meets the goal.
    pub const fn goal(mut self, steps: u32) -> Self {
        self.goal = steps;
        self
    }

    /// The day on which a week begins.
    pub const fn week_start(mut self, start: WeekStart) -> Self {
        self.week_start = start;
        self
    }

    /// The version that receipts repeat.
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Validates.
    ///
    /// # Errors
    /// [`Refusal::BadRules`] unless 1 <= `drop_below` <= `raise_at` and `goal` >= 1.
    pub fn build(self) -> Result<Rules, Refusal> {
        if self.goal == 0 {
            return Err(Refusal::BadRules { rule: "goal must be at least 1" });
        }
        let levels = LevelRules::new(self.start_level, self.raise_at, self.drop_below, self.gap)?;
        Ok(Rules { levels, goal: self.goal, week_start: self.week_start, version: self.version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_contract() {
        let rules = Rules::default();
        assert_eq!(
            (rules.levels().raise_at(), rules.levels().drop_below(), rules.goal()),
            (10_000, 6_000, 10_000)
        );
        assert_eq!((rules.levels().start(), rules.levels().gap()), (Level::Overweight, GapPolicy::Skip));
        assert!(matches!(Rules::builder().goal(0).build(), Err(Refusal::BadRules { .. })));
    }
}
