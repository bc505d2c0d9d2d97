//! Ratios from one run: in every round each side runs once, the order turning with the round, and the
//! ratio of a round is taken within it. What another job does to the machine hits both sides alike.

use std::time::Duration;

use crate::cases::{Case, Goal};
use crate::data::Result;

/// Rounds that are thrown away: caches and branch predictors are cold.
const WARM_UP: usize = 3;

struct Measured {
    floor_us: f64,
    ours_us: f64,
    /// Ours in the best tenth of the rounds: without what other jobs took of the processor.
    ours_best_us: f64,
    /// Ours divided by the floor: median of the rounds, and its tenth and ninetieth percentile.
    ratio: f64,
    low: f64,
    high: f64,
}

fn micros(time: Duration, repeat: u64) -> Result<f64> {
    Ok(time.as_secs_f64() * 1e6 / f64::from(u32::try_from(repeat)?))
}

fn at_percent(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

fn measure(case: &mut Case, rounds: usize, repeat: u64) -> Result<Vec<Measured>> {
    let sides = case.floors.len() + 1;
    let mut times = vec![Vec::with_capacity(rounds); sides];
    for round in 0..WARM_UP + rounds {
        for turn in 0..sides {
            let side = (round + turn) % sides;
            let time = match case.floors.get_mut(side) {
                Some((_, floor)) => floor(repeat)?,
                None => (case.ours)(repeat)?,
            };
            if round >= WARM_UP {
                times[side].push(micros(time, repeat)?);
            }
        }
    }
    let ours = times.pop().ok_or("no side of ours")?;
    let against = |floor: &Vec<f64>| {
        let mut ratios: Vec<f64> = ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect();
        Measured {
            floor_us: at_percent(&mut floor.clone(), 50),
            ours_us: at_percent(&mut ours.clone(), 50),
            ours_best_us: at_percent(&mut ours.clone(), 10),
            ratio: at_percent(&mut ratios, 50),
            low: at_percent(&mut ratios, 10),
            high: at_percent(&mut ratios, 90),
        }
    };
    Ok(times.iter().map(against).collect())
}

/// The ratio in the form in which its goal is stated, the goal, and whether it is met.
fn judged(goal: Goal, measured: &Measured) -> (String, String, &'static str) {
    let ratio = measured.ratio;
    let word = |met: bool| if met { "yes" } else { "NO" };
    let spread = format!("({:.2}-{:.2})", measured.low, measured.high);
    match goal {
        Goal::AtMost(most) => (format!("{ratio:.2} x {spread}"), format!("<= {most} x"), word(ratio <= most)),
        Goal::RateAtLeast(least) => (
            format!("{:.0} % of the rate", 100.0 / ratio),
            format!(">= {:.0} %", least * 100.0),
            word(1.0 / ratio >= least),
        ),
        Goal::FasterAtLeast(least) => {
            (format!("{:.1} x faster", 1.0 / ratio), format!(">= {least} x"), word(1.0 / ratio >= least))
        }
        Goal::MicrosAtMost(most) => (
            format!("{ratio:.2} x, p10 {:.0} us", measured.ours_best_us),
            format!("<= {most:.0} us"),
            word(measured.ours_us <= most),
        ),
        Goal::None => (format!("{ratio:.2} x {spread}"), "-".to_owned(), "-"),
    }
}

/// How long the table measures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Everything once, without judgement: for CI.
    Test,
    /// Enough rounds for a median.
    Measure,
}

/// Measures every case and gives the rows of the table.
pub(crate) fn rows(cases: &mut [Case], effort: Effort) -> Result<Vec<[String; 8]>> {
    let mut rows = Vec::new();
    for case in cases {
        let (rounds, repeat) = match effort {
            Effort::Test => (1, 1),
            Effort::Measure => (201, case.repeat),
        };
        let measured = measure(case, rounds, repeat)?;
        for (index, ((label, _), measured)) in case.floors.iter().zip(&measured).enumerate() {
            let goal = if index == 0 { case.goal } else { Goal::None };
            let (ratio, goal, met) = judged(goal, measured);
            rows.push([
                case.name.to_owned(),
                case.mode.to_owned(),
                (*label).to_owned(),
                format!("{:.2}", measured.floor_us),
                format!("{:.2}", measured.ours_us),
                ratio,
                goal,
                if effort == Effort::Test { "not judged".to_owned() } else { met.to_owned() },
            ]);
        }
    }
    Ok(rows)
}

const HEAD: [&str; 8] = ["case", "mode", "floor", "floor us", "ours us", "ratio (p10-p90)", "goal", "met"];

/// The table as Markdown, in columns.
pub(crate) fn render(rows: &[[String; 8]]) -> String {
    let head = HEAD.map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&head]).map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!(" {cell:width$} "));
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let rule = widths.map(|width| "-".repeat(width));
    let mut text = line(&head) + &line(&rule);
    text.extend(rows.iter().map(line));
    text
}
