//! The simulated walker: what each day was like, from a seed. Integers only, so that every machine
//! draws the same year.

use std::ops::Range;

use manbo::{Day, UtcOffset};

/// The walker's first day: a whole civil year by default.
const FIRST: (i32, u32, u32) = (2025, 1, 1);
const YEAR: usize = 365;
const HOME_MINUTES: i32 = 60;
const ABROAD_MINUTES: i32 = 540;
/// How much of the year's average each month walks, in percent: long evenings, short evenings.
const MONTH_PERCENT: [u32; 12] = [90, 92, 97, 104, 108, 106, 102, 100, 105, 101, 94, 91];
/// Moods last some weeks; in percent of what the walker would walk otherwise.
const MOOD_PERCENT: [u32; 6] = [62, 76, 84, 88, 94, 106];
/// What the walker would walk from Monday to Sunday.
const WEEKDAY_STEPS: [u32; 7] = [8_900, 9_300, 9_100, 9_400, 8_600, 10_800, 7_000];

/// A small generator of pseudo-random numbers (SplitMix64): the same on every machine.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number of the half-open range; its start when it is empty.
    pub(crate) fn within(&mut self, range: Range<u32>) -> u32 {
        let width = u64::from(range.end.saturating_sub(range.start));
        let offset = ((self.roll() >> 32) * width) >> 32;
        range.start + u32::try_from(offset).unwrap_or(0)
    }

    fn index(&mut self, range: Range<usize>) -> usize {
        let width = u32::try_from(range.len()).unwrap_or(u32::MAX);
        range.start + self.within(0..width) as usize
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.within(0..100) < percent
    }

    /// Around 100 percent, most often near it: the mean of four even draws.
    fn percent_around(&mut self, spread: u32) -> u32 {
        let draws: u32 = (0..4).map(|_| self.within(0..2 * spread + 1)).sum();
        100 - spread + draws / 4
    }
}

/// What a day was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Rest,
    Holiday,
    Sick,
    Hut,
}

/// What the sources of a day will say once they have said everything.
#[derive(Debug, Clone)]
pub(crate) struct DayPlan {
    pub(crate) day: Day,
    /// The phone's own zone on this day, in minutes from UTC.
    pub(crate) offset: UtcOffset,
    /// Measured by the phone; `None` when it was off.
    pub(crate) phone: Option<u32>,
    /// Measured by the watch; `None` when it was not worn.
    pub(crate) watch: Option<u32>,
    /// Typed in that evening.
    pub(crate) manual: u32,
    /// Days after which the typed-in steps are deleted.
    pub(crate) deleted_after: Option<usize>,
    /// How much the phone showed too many in the evening, until it merged its doubles.
    pub(crate) doubled: u32,
    /// How many days later the watch's steps arrive; 0 in the evening.
    pub(crate) watch_delay: usize,
    /// No network all day.
    pub(crate) offline: bool,
    /// The person opened the app.
    pub(crate) opened: bool,
}

/// The whole life of a walker, as far as it is simulated.
pub(crate) struct Walker {
    pub(crate) days: Vec<DayPlan>,
    /// The day whose typed-in steps are deleted again: the one worth explaining.
    pub(crate) story: Option<Day>,
}

/// Draws a walker's days.
///
/// # Errors
/// None for the ranges that the options allow; the calendar says so.
pub(crate) fn walker(seed: u64, days: u32) -> manbo::Result<Walker> {
    let mut dice = Dice::new(seed);
    let first = Day::from_ymd(FIRST.0, FIRST.1, FIRST.2)?;
    let home = UtcOffset::from_minutes(HOME_MINUTES)?;
    let count = days as usize;
    let whole_years = count.div_ceil(YEAR);
    let mut plans = Vec::with_capacity(whole_years * YEAR);
    for year in 0..whole_years {
        let mut drawn = draw_year(&mut dice, first.plus(i32::try_from(year * YEAR).unwrap_or(0)), home);
        happenings(&mut dice, &mut drawn)?;
        plans.append(&mut drawn);
    }
    // Whole years are drawn, so that a shorter walk is the beginning of a longer one.
    plans.truncate(count);
    let story = plans
        .iter()
        .enumerate()
        .find(|(at, plan)| plan.deleted_after.is_some_and(|later| at + later < count))
        .map(|(_, plan)| plan.day);
    Ok(Walker { days: plans, story })
}

fn draw_year(dice: &mut Dice, first: Day, home: UtcOffset) -> Vec<DayPlan> {
    let kinds = kinds_of_year(dice, first);
    let mut mood = 2;
    let mut mood_left = 0;
    let mut plans = Vec::with_capacity(YEAR);
    for (day, kind) in (0..).map(|n| first.plus(n)).zip(kinds) {
        if mood_left == 0 {
            mood_left = dice.within(12..30);
            mood = dice.index(0..MOOD_PERCENT.len());
        }
        mood_left -= 1;
        let walked = steps_walked(dice, day, kind, MOOD_PERCENT[mood]);
        let worn = kind != Kind::Sick && dice.chance(86);
        let left_on_desk = worn && dice.chance(12);
        plans.push(DayPlan {
            day,
            offset: home,
            phone: Some(if left_on_desk { walked * dice.within(25..55) / 100 } else { walked }),
            // A watch also counts the steps to the kettle.
            watch: worn.then(|| walked * dice.within(99..108) / 100),
            manual: 0,
            deleted_after: None,
            doubled: 0,
            watch_delay: 0,
            offline: false,
            opened: dice.chance(if kind == Kind::Sick { 55 } else { 95 }),
        });
    }
    plans
}

fn steps_walked(dice: &mut Dice, day: Day, kind: Kind, mood: u32) -> u32 {
    let month = MONTH_PERCENT[day.ymd().1 as usize - 1];
    let usual = WEEKDAY_STEPS[day.weekday() as usize] * month / 100;
    match kind {
        Kind::Ordinary => usual * mood / 100 * dice.percent_around(55) / 100,
        Kind::Rest => usual * dice.percent_around(40) / 160,
        Kind::Holiday => 12_600 * dice.percent_around(50) / 100,
        Kind::Sick => dice.within(240..1_900),
        Kind::Hut => dice.within(17_000..26_000),
    }
}

/// The trip of a year: a flight east on its first day, back on its last, three days in a mountain hut.
fn trip(dice: &mut Dice) -> (Range<usize>, Range<usize>) {
    let start = dice.index(186..200);
    let hut = start + dice.index(4..8);
    (start..start + 16, hut..hut + 3)
}

fn kinds_of_year(dice: &mut Dice, first: Day) -> Vec<Kind> {
    let mut kinds = vec![Kind::Ordinary; YEAR];
    for (day, kind) in (0..).map(|n| first.plus(n)).zip(&mut kinds) {
        if matches!(day.ymd(), (_, 1 | 5, 1) | (_, 12, 24..=26)) {
            *kind = Kind::Rest;
        }
    }
    let spring = dice.index(98..112);
    kinds[spring..spring + 9].fill(Kind::Holiday);
    let winter = dice.index(36..60);
    kinds[winter..winter + 4].fill(Kind::Sick);
    let autumn = dice.index(300..330);
    kinds[autumn..autumn + 3].fill(Kind::Sick);
    kinds
}

/// What happens to the data of a year: a trip, late watches, typed-in steps, doubles, an empty battery.
fn happenings(dice: &mut Dice, plans: &mut [DayPlan]) -> manbo::Result<()> {
    let (away, hut) = trip(dice);
    for plan in &mut plans[away.clone()] {
        let walked = steps_walked(dice, plan.day, Kind::Holiday, 100);
        (plan.phone, plan.watch, plan.opened) = (Some(walked), Some(walked + walked / 30), dice.chance(97));
    }
    for plan in &mut plans[hut.clone()] {
        let walked = steps_walked(dice, plan.day, Kind::Hut, 100);
        (plan.phone, plan.watch, plan.offline) = (Some(walked), Some(walked + walked / 40), true);
    }
    let abroad = UtcOffset::from_minutes(ABROAD_MINUTES)?;
    for plan in &mut plans[away.start + 1..away.end] {
        plan.offset = abroad;
    }
    for _ in 0..8 {
        late_watch(dice.index(5..YEAR - 12), dice.index(2..10), plans);
    }
    late_watch(hut.start, hut.len() + 1, plans);
    for _ in 0..3 {
        let day = dice.index(70..180);
        (plans[day].phone, plans[day].watch, plans[day].opened) = (None, None, false);
    }
    for _ in 0..4 {
        let plan = &mut plans[dice.index(14..YEAR - 8)];
        plan.doubled = plan.phone.unwrap_or(0) * dice.within(70..95) / 100;
    }
    for _ in 0..3 {
        let plan = &mut plans[dice.index(20..YEAR)];
        plan.manual = if plan.phone.is_some() { 500 * dice.within(30..56) } else { 0 };
    }
    regret(plans);
    Ok(())
}

/// The watch is not synced for some days, and then says everything at once.
fn late_watch(start: usize, days: usize, plans: &mut [DayPlan]) {
    for ago in 0..days {
        if let Some(plan) = plans.get_mut(start + ago) {
            plan.watch_delay = days - ago;
        }
    }
}

/// Typed in on the laziest day of spring, and deleted three weeks later.
fn regret(plans: &mut [DayPlan]) {
    let steps = |plan: &DayPlan| plan.phone.map(|phone| phone.max(plan.watch.unwrap_or(0)));
    let candidates = plans.iter().enumerate().take(96).skip(66);
    let laziest = candidates
        .filter(|(_, plan)| plan.manual == 0 && plan.doubled == 0)
        .filter_map(|(at, plan)| Some((steps(plan)?, at)))
        .min();
    if let Some((_, at)) = laziest {
        plans[at].manual = 9_000;
        plans[at].deleted_after = Some(21);
    }
}
