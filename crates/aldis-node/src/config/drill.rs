//! `[drill]` as the file has it, and when comm checks are made and taken.

use super::ladder::calendar_named;
use super::values::{Line, Number};
use aldis_core::checks::Drill;
use aldis_core::ladder::Ladder;
use serde::Deserialize;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How often each peer's machine is checked where the file says nothing: often enough that a line which is broken is known
/// before it is needed, seldom enough that journals do not notice.
const MACHINE_EVERY_MS: u64 = HOUR_MS;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrillFile {
    machine_every_h: Option<Number<0, 8_784>>,
    human_every_days: Option<Number<0, 366>>,
    jitter_percent: Option<Number<0, 100>>,
    machine_wait_s: Option<Number<1, 3_600>>,
    human_wait_min: Option<Number<1, 1_440>>,
    missed_alarm: Option<Number<1, 100>>,
    machine_per_hour: Option<Number<1, 10_000>>,
    human_per_hour: Option<Number<1, 60>>,
    human_hours: Option<Line<64>>,
    wake: Option<bool>,
}

/// The checks a file describes; machines are checked unless it says otherwise, and what else it
/// leaves out is as `Drill::default` says. The hours are those of a calendar of the
/// ladder's, or `always`.
pub(super) fn build(file: DrillFile, ladder: &Ladder) -> Result<Drill, (&'static str, String)> {
    let default = Drill::default();
    let human_hours = match file.human_hours.map(Line::into_text) {
        None => default.human_hours,
        Some(name) if name.as_str() == "always" => None,
        Some(name) => {
            let place = calendar_named(ladder, &name);
            let problem = || format!("`{}` is no [[calendars]]; write its name, or \"always\"", name.as_str());
            Some(place.ok_or_else(|| ("drill.human_hours", problem()))?)
        }
    };
    let number = |given: Option<u64>, unit_ms: u64, default_ms| given.map_or(default_ms, |given| given * unit_ms);
    Ok(Drill {
        machine_every_ms: number(file.machine_every_h.map(Number::get), HOUR_MS, MACHINE_EVERY_MS),
        human_every_ms: number(file.human_every_days.map(Number::get), DAY_MS, default.human_every_ms),
        jitter_percent: file.jitter_percent.map_or(default.jitter_percent, Number::get),
        machine_wait_ms: number(file.machine_wait_s.map(Number::get), 1_000, default.machine_wait_ms),
        human_wait_ms: number(file.human_wait_min.map(Number::get), 60_000, default.human_wait_ms),
        missed_alarm: file.missed_alarm.map_or(default.missed_alarm, |most| usize::try_from(most.get()).unwrap_or(100)),
        machine_per_hour: file
            .machine_per_hour
            .map_or(default.machine_per_hour, |most| u32::try_from(most.get()).unwrap_or(u32::MAX)),
        human_per_hour: file
            .human_per_hour
            .map_or(default.human_per_hour, |most| u32::try_from(most.get()).unwrap_or(u32::MAX)),
        human_hours,
        wake: file.wake.unwrap_or(default.wake),
    })
}
