//! The rules of levels and statistics that worlds run under.

/// The sets of rules that worlds have: the defaults, and others.
pub fn rules(number: u8) -> manbo::Rules {
    use manbo::{GapPolicy, Level, Rules, WeekStart};
    let builder = Rules::builder();
    let builder = match number % 4 {
        1 => builder.gap(GapPolicy::CountAsZero).week_start(WeekStart::Sunday),
        2 => builder.start_level(Level::VeryHealthy).raise_at(6_000).goal(5_999),
        3 => {
            builder.start_level(Level::VeryObese).gap(GapPolicy::CountAsZero).week_start(WeekStart::Saturday)
        }
        _ => builder,
    };
    builder.build().unwrap_or_default()
}
