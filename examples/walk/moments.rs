//! What the phone hears, and when: the walker's days as a row of moments, each with its own present.

use manbo::{Counts, Day, Deletion, Now, Reading, Source, UtcOffset};

use crate::generator::{DayPlan, Dice, Walker};

/// When the phone looks: minutes after midnight, and how much of the day's steps are walked by then.
const LOOKS: [(i64, u32); 4] = [(450, 7), (765, 41), (1_110, 76), (1_335, 99)];
/// A walk of more days than this syncs on Sundays only: a server loads the whole ledger for each batch.
const DAYS_SYNCED_DAILY: usize = 1_000;
/// The second device is taken up on Sundays.
const SUNDAY: u32 = 6;
const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// Something about a day that was already thought to be known.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Late {
    Reading(Reading),
    Deletion(Deletion),
}

/// One moment of the phone's life.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) now: Now,
    /// What is said about today and yesterday.
    pub(crate) readings: Vec<Reading>,
    /// What is said about days before.
    pub(crate) late: Vec<Late>,
    pub(crate) attends: bool,
    pub(crate) sync: Option<Sync>,
}

/// The network at the end of a day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sync {
    /// The server stores the batch, but its answer never arrives.
    pub(crate) receipt_lost: bool,
    /// The second device is taken up, too; whether by the person or only by the system.
    pub(crate) tablet: Option<TabletVisit>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct TabletVisit {
    pub(crate) attends: bool,
}

struct Scene<'a> {
    plans: &'a [DayPlan],
    dice: Dice,
    phone: Source,
    watch: Source,
}

/// All moments in order; the last is the morning after the last day.
///
/// # Errors
/// None: the names of the sources are valid.
pub(crate) fn moments(walker: &Walker, seed: u64) -> manbo::Result<Vec<Moment>> {
    let mut scene = Scene {
        plans: &walker.days,
        // Another stream than the walker's, so that the network does not change the walks.
        dice: Dice::new(!seed),
        phone: Source::new("apple-health")?,
        watch: Source::new("garmin")?,
    };
    let mut moments = Vec::with_capacity(walker.days.len() * LOOKS.len() + 1);
    for at in 0..walker.days.len() {
        scene.add_day(at, &mut moments);
    }
    if let Some(last) = walker.days.last() {
        let now = present(last.day.next(), LOOKS[0].0, last.offset);
        moments.push(scene.morning(walker.days.len(), now));
    }
    Ok(moments)
}

/// The instant at which a clock of this zone shows so many minutes of this day.
fn present(day: Day, minute: i64, offset: UtcOffset) -> Now {
    let local_ms = i64::from(day.number()) * DAY_MS + minute * MINUTE_MS;
    Now::at(local_ms - i64::from(offset.minutes()) * MINUTE_MS, offset)
}

impl Scene<'_> {
    fn add_day(&mut self, at: usize, moments: &mut Vec<Moment>) {
        let plan = &self.plans[at];
        let opened_at = plan.opened.then(|| self.dice.within(0..4));
        for (look, (minute, percent)) in (0u32..).zip(LOOKS) {
            let now = present(plan.day, minute, plan.offset);
            let mut moment = if look == 0 { self.morning(at, now) } else { empty(now) };
            // Now and then the health store is still loading and knows only a part.
            let known = if look == 2 && self.dice.chance(4) { percent / 3 } else { percent };
            let is_evening = look == 3;
            moment.readings.extend(self.phone_so_far(plan, known, is_evening));
            if let (true, 0, Some(watch)) = (is_evening, plan.watch_delay, plan.watch) {
                moment
                    .readings
                    .push(Reading::new(plan.day, self.watch, watch * percent / 100).with_offset(plan.offset));
            }
            moment.attends = opened_at == Some(look);
            let syncs = self.plans.len() <= DAYS_SYNCED_DAILY || plan.day.weekday() == SUNDAY;
            moment.sync = (is_evening && syncs && !plan.offline).then(|| self.network(plan.day));
            moments.push(moment);
        }
    }

    fn network(&mut self, day: Day) -> Sync {
        let attends = self.dice.chance(40);
        let tablet = (day.weekday() == SUNDAY).then_some(TabletVisit { attends });
        Sync { receipt_lost: self.dice.chance(5), tablet }
    }

    fn phone_so_far(&self, plan: &DayPlan, percent: u32, is_evening: bool) -> Option<Reading> {
        let walked = plan.phone? * percent / 100;
        let (doubled, manual) = if is_evening { (plan.doubled, plan.manual) } else { (0, 0) };
        let reading = Reading::new(plan.day, self.phone, walked + doubled);
        Some(reading.with_manual(manual).with_offset(plan.offset))
    }

    /// The first look of a day: yesterday as a whole, and whatever comes late.
    fn morning(&self, at: usize, now: Now) -> Moment {
        let mut moment = empty(now);
        let Some(yesterday) = at.checked_sub(1).map(|before| &self.plans[before]) else { return moment };
        let zone = self.plans.get(at).map_or(yesterday.offset, |plan| plan.offset);
        moment.readings.extend(self.whole_phone_day(at - 1, zone));
        if let (0 | 1, Some(watch)) = (yesterday.watch_delay, yesterday.watch) {
            let reading = Reading::new(yesterday.day, self.watch, watch).full();
            moment.readings.push(reading.with_offset(yesterday.offset));
        }
        if zone != yesterday.offset {
            // After a flight the platform cuts the past at the new midnight; the phone reads it again.
            let again = (at.saturating_sub(4)..at - 1).filter_map(|day| self.whole_phone_day(day, zone));
            moment.late.extend(again.map(Late::Reading));
        }
        let is_last_morning = at == self.plans.len();
        for (day, plan) in self.plans.iter().enumerate().take(at).skip(at.saturating_sub(40)) {
            let due = plan.watch_delay > 1
                && (day + plan.watch_delay == at || (is_last_morning && day + plan.watch_delay > at));
            if let (true, Some(watch)) = (due, plan.watch) {
                let reading = Reading::new(plan.day, self.watch, watch).full().with_offset(plan.offset);
                moment.late.push(Late::Reading(reading));
            }
            if plan.deleted_after == Some(at - day) {
                let left = plan.phone.map(|phone| Counts::new(phone, 0));
                let deletion = Deletion { day: plan.day, source: self.phone, left };
                moment.late.push(Late::Deletion(deletion));
            }
        }
        moment
    }

    /// A complete read of a closed day, cut at the midnights of a zone.
    fn whole_phone_day(&self, at: usize, zone: UtcOffset) -> Option<Reading> {
        let plan = &self.plans[at];
        let own = plan.phone?;
        let shift_hours = u32::from((zone.minutes() - plan.offset.minutes()).unsigned_abs() / 60);
        let before = at.checked_sub(1).and_then(|before| self.plans[before].phone).unwrap_or(0);
        // Steps spread over the sixteen waking hours: the evening of one day is the morning of another.
        let moved = shift_hours.min(16);
        let said = (own * (16 - moved) + before * moved) / 16;
        Some(Reading::new(plan.day, self.phone, said).with_manual(plan.manual).full().with_offset(zone))
    }
}

fn empty(now: Now) -> Moment {
    Moment { now, readings: Vec::new(), late: Vec::new(), attends: false, sync: None }
}
