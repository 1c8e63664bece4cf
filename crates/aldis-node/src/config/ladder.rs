//! `[[calendars]]`, `[[ladder]]`, `[deadlines]` and `[[peer_deadlines]]` as the file has them, and the ladder they make.

use super::values::{Line, Number};
use crate::alerts::Address;
use aldis_core::ladder::{AnswerBy, Calendar, Deadlines, Hours, Ladder, OnCall, Serves, Step};
use aldis_wire::codec::Text;
use aldis_wire::ids::NodeId;
use aldis_wire::lane::Lane;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The most calendars, and the most peers with deadlines of their own.
const CALENDARS_MAX: usize = 32;
const PEER_DEADLINES_MAX: usize = 256;
/// The most channels of one person.
const CHANNELS_MAX: usize = 8;
/// A leap year, the longest time that is waited for, in seconds.
const YEAR_S: u64 = 366 * 86_400;
const DAY_MIN: u16 = 24 * 60;

type Seconds = Number<1, YEAR_S>;

/// What makes a ladder useless: the key to look at, and what to do.
type Fault = (&'static str, String);

#[derive(Deserialize)]
#[serde(try_from = "CalendarFields")]
pub(super) struct CalendarFile(Calendar);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarFields {
    name: Line<64>,
    zone: String,
    #[serde(default)]
    mon: Vec<Span>,
    #[serde(default)]
    tue: Vec<Span>,
    #[serde(default)]
    wed: Vec<Span>,
    #[serde(default)]
    thu: Vec<Span>,
    #[serde(default)]
    fri: Vec<Span>,
    #[serde(default)]
    sat: Vec<Span>,
    #[serde(default)]
    sun: Vec<Span>,
    #[serde(default)]
    holidays: Vec<String>,
}

/// Hours of a day such as `08:00-18:00`; `18:00-08:00` ends on the next day.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Span {
    from_min: u16,
    until_min: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepFile {
    name: Line<64>,
    #[serde(default, rename = "for")]
    serves: ServesName,
    wait_s: [Seconds; 4],
    people: Vec<PersonFile>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ServesName {
    #[default]
    All,
    Received,
    Sent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonFile {
    name: Line<64>,
    hours: Option<Line<64>>,
    email: Option<Email>,
    channels: Vec<Line<32>>,
}

/// An address of a person.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Email(pub(super) Address);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadlinesFile {
    receipt_s: Option<[Seconds; 4]>,
    acknowledge: Option<[AnswerWithin; 4]>,
    business_days: Option<Line<64>>,
    attend_s: Option<[Seconds; 4]>,
    pick_up_s: Option<Seconds>,
    on_arrival: Option<Vec<LaneName>>,
    grace_s: Option<Number<1, 86_400>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerDeadlinesFile {
    peer: NodeId,
    receipt_s: Option<[Seconds; 4]>,
    acknowledge: Option<[AnswerWithin; 4]>,
    business_days: Option<Line<64>>,
    attend_s: Option<[Seconds; 4]>,
    pick_up_s: Option<Seconds>,
}

/// `30m`, or the end of the next business day.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
enum AnswerWithin {
    Milliseconds(u64),
    NextBusinessDay,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct LaneName(Lane);

/// The parts of the file of which a ladder is made.
pub(super) struct LadderFile {
    pub(super) calendars: Vec<CalendarFile>,
    pub(super) steps: Vec<StepFile>,
    pub(super) deadlines: DeadlinesFile,
    pub(super) peer_deadlines: Vec<PeerDeadlinesFile>,
}

/// The addresses of people who have one.
type Addresses = BTreeMap<Text<64>, Address>;

/// The ladder that a file describes, what it leaves out being as `Ladder::default` says, and people's addresses. `channels`
/// are the names that people may be reached by; true if the channel needs an address of theirs.
pub(super) fn build(file: LadderFile, channels: &BTreeMap<Text<32>, bool>) -> Result<(Ladder, Addresses), Fault> {
    let mut ladder = Ladder::default();
    calendars(&mut ladder, file.calendars)?;
    let mut addresses = Addresses::new();
    if !file.steps.is_empty() {
        let mut steps = Vec::with_capacity(file.steps.len());
        for step in file.steps {
            steps.push(step_of(step, &ladder, channels, &mut addresses)?);
        }
        ladder.steps = steps;
    }
    if let Some(on_arrival) = &file.deadlines.on_arrival {
        ladder.on_arrival = Lane::ALL.map(|lane| on_arrival.iter().any(|named| named.0 == lane));
    }
    ladder.grace_ms = file.deadlines.grace_s.map_or(ladder.grace_ms, |seconds| seconds.get() * 1_000);
    let common = file.deadlines;
    let given = (common.receipt_s, common.acknowledge, common.business_days, common.attend_s, common.pick_up_s);
    ladder.deadlines = deadlines("deadlines", given, &ladder.deadlines, &ladder)?;
    if file.peer_deadlines.len() > PEER_DEADLINES_MAX {
        return Err(("peer_deadlines", format!("at most {PEER_DEADLINES_MAX} peers can have deadlines of their own")));
    }
    for own in file.peer_deadlines {
        let given = (own.receipt_s, own.acknowledge, own.business_days, own.attend_s, own.pick_up_s);
        let peer = deadlines("peer_deadlines", given, &ladder.deadlines, &ladder)?;
        if ladder.per_peer.insert(own.peer.clone(), peer).is_some() {
            return Err(("peer_deadlines", format!("{} stands there twice: remove one", own.peer)));
        }
    }
    // A gap in the hours is no reason to refuse the file here: it may come with the calendar of a year that has just come
    // into view, and a node that alerts most of the time is better than none. `aldisd check` refuses it, and it is an alarm.
    ladder.check_steps().map_err(|error| ("ladder", error.to_string()))?;
    Ok((ladder, addresses))
}

/// The built-in calendar stands first, unless one of its name replaces it.
fn calendars(ladder: &mut Ladder, given: Vec<CalendarFile>) -> Result<(), Fault> {
    if given.len() > CALENDARS_MAX {
        return Err(("calendars", format!("{} calendars; at most {CALENDARS_MAX}", given.len())));
    }
    let mut names = BTreeSet::new();
    for CalendarFile(calendar) in given {
        if !names.insert(calendar.name.clone()) {
            return Err(("calendars", format!("two calendars are called `{}`: rename one", calendar.name.as_str())));
        }
        match ladder.calendars.iter_mut().find(|known| known.name == calendar.name) {
            Some(built_in) => *built_in = calendar,
            None => ladder.calendars.push(calendar),
        }
    }
    Ok(())
}

fn step_of(
    file: StepFile,
    ladder: &Ladder,
    channels: &BTreeMap<Text<32>, bool>,
    addresses: &mut Addresses,
) -> Result<Step, Fault> {
    let name = file.name.into_text();
    let mut people = Vec::with_capacity(file.people.len());
    for person in file.people {
        people.push(person_of(person, &name, ladder, channels, addresses)?);
    }
    let serves = match file.serves {
        ServesName::All => Serves::All,
        ServesName::Received => Serves::Received,
        ServesName::Sent => Serves::Sent,
    };
    Ok(Step { name, people, wait_ms: file.wait_s.map(milliseconds), serves })
}

fn person_of(
    file: PersonFile,
    step: &Text<64>,
    ladder: &Ladder,
    channels: &BTreeMap<Text<32>, bool>,
    addresses: &mut Addresses,
) -> Result<OnCall, Fault> {
    let (name, step) = (file.name.into_text(), step.as_str());
    let fault = |what: String| Err(("ladder", format!("`{}` on step `{step}` {what}", name.as_str())));
    let hours = match file.hours.map(Line::into_text) {
        None => None,
        Some(calendar) => match calendar_named(ladder, &calendar) {
            Some(place) => Some(place),
            None => return fault(format!("has hours `{}`, and no [[calendars]] has that name", calendar.as_str())),
        },
    };
    if let Some(Email(address)) = file.email {
        match addresses.insert(name.clone(), address.clone()) {
            Some(before) if before != address => return fault("has two addresses on the ladder".to_owned()),
            _ => {}
        }
    }
    let names: Vec<Text<32>> = file.channels.into_iter().map(Line::into_text).collect();
    if names.len() > CHANNELS_MAX {
        return fault(format!("has more than {CHANNELS_MAX} channels"));
    }
    for channel in &names {
        match channels.get(channel) {
            None => return fault(format!("has channel `{}`, and no [[alerts]] has that name", channel.as_str())),
            Some(true) if !addresses.contains_key(&name) => {
                return fault(format!("needs `email` for channel `{}`, which has no `to`", channel.as_str()));
            }
            Some(_) => {}
        }
    }
    Ok(OnCall { name, hours, channels: names })
}

type Given = (Option<[Seconds; 4]>, Option<[AnswerWithin; 4]>, Option<Line<64>>, Option<[Seconds; 4]>, Option<Seconds>);

fn deadlines(section: &'static str, given: Given, otherwise: &Deadlines, ladder: &Ladder) -> Result<Deadlines, Fault> {
    let (receipt_s, acknowledge, business_days, attend_s, pick_up_s) = given;
    // Without a calendar of their own these deadlines follow the one of those before, if they follow any.
    let mut place = otherwise.acknowledge.iter().find_map(|by| match by {
        AnswerBy::NextBusinessDay(place) => Some(*place),
        AnswerBy::Within(_) => None,
    });
    let mut acknowledged = otherwise.acknowledge;
    if let Some(name) = business_days.map(Line::into_text) {
        place = calendar_named(ladder, &name);
        let Some(place) = place else {
            let what = format!("business_days is `{}`, and no [[calendars]] has that name", name.as_str());
            return Err((section, what));
        };
        for by in &mut acknowledged {
            if matches!(by, AnswerBy::NextBusinessDay(_)) {
                *by = AnswerBy::NextBusinessDay(place);
            }
        }
    }
    for (by, within) in acknowledged.iter_mut().zip(acknowledge.into_iter().flatten()) {
        *by = match within {
            AnswerWithin::Milliseconds(ms) => AnswerBy::Within(ms),
            AnswerWithin::NextBusinessDay => AnswerBy::NextBusinessDay(place.ok_or_else(|| {
                let what = "`next-business-day` needs business_days, the name of one of [[calendars]] or \"weekdays\"";
                (section, what.to_owned())
            })?),
        };
    }
    Ok(Deadlines {
        receipt_ms: receipt_s.map_or(otherwise.receipt_ms, |given| given.map(milliseconds)),
        acknowledge: acknowledged,
        attend_ms: attend_s.map_or(otherwise.attend_ms, |given| given.map(milliseconds)),
        pick_up_ms: pick_up_s.map_or(otherwise.pick_up_ms, milliseconds),
    })
}

pub(super) fn calendar_named(ladder: &Ladder, name: &Text<64>) -> Option<usize> {
    ladder.calendars.iter().position(|calendar| calendar.name == *name)
}

fn milliseconds(seconds: Seconds) -> u64 {
    seconds.get() * 1_000
}

impl TryFrom<CalendarFields> for CalendarFile {
    type Error = String;
    fn try_from(fields: CalendarFields) -> Result<Self, String> {
        let CalendarFields { mon, tue, wed, thu, fri, sat, sun, .. } = fields;
        let mut week: [Vec<Hours>; 7] = Default::default();
        for (day, spans) in [mon, tue, wed, thu, fri, sat, sun].into_iter().enumerate() {
            for Span { from_min, until_min } in spans {
                if from_min < until_min {
                    week[day].push(Hours { from_min, until_min });
                    continue;
                }
                week[day].push(Hours { from_min, until_min: DAY_MIN });
                if until_min > 0 {
                    week[(day + 1) % 7].push(Hours { from_min: 0, until_min });
                }
            }
        }
        let holidays: Vec<&str> = fields.holidays.iter().map(String::as_str).collect();
        let name = fields.name.into_text();
        Calendar::new(&name, &fields.zone, week, &holidays)
            .map(Self)
            .map_err(|error| format!("calendar `{}`: {error}", name.as_str()))
    }
}

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            let shown = Text::<40>::cut(&text).escape_debug().to_string();
            format!("`{shown}` is no span of hours: write 08:00-18:00, 18:00-08:00 (until the next day) or 00:00-24:00")
        };
        let (from, until) = text.split_once('-').ok_or_else(wrong)?;
        let (from_min, until_min) = (minute(from).ok_or_else(wrong)?, minute(until).ok_or_else(wrong)?);
        if from_min == until_min || from_min == DAY_MIN {
            return Err(wrong());
        }
        Ok(Self { from_min, until_min })
    }
}

/// The minute of the day of a text such as `08:30`; 24:00 is the last.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number =
        |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?;
    let (hour, minute): (u16, u16) = (number(hour)?, number(minute)?);
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= DAY_MIN).then_some(of_day)
}

impl TryFrom<String> for AnswerWithin {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "next-business-day" {
            return Ok(Self::NextBusinessDay);
        }
        let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
        let seconds = units.into_iter().find_map(|(unit, seconds)| {
            let number = text.strip_suffix(unit).filter(|number| number.bytes().all(|b| b.is_ascii_digit()))?;
            number.parse::<u64>().ok()?.checked_mul(seconds)
        });
        if let Some(seconds @ 1..=YEAR_S) = seconds {
            return Ok(Self::Milliseconds(seconds * 1_000));
        }
        let shown = Text::<40>::cut(&text).escape_debug().to_string();
        Err(format!("`{shown}` is no time: write 90s, 10m, 3h or 2d, up to 366d, or next-business-day"))
    }
}

impl TryFrom<String> for LaneName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("`{}` is no precedence: write flash, immediate, priority or routine", text.escape_debug());
        Lane::from_name(&text).map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Email {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let shown = || Text::<80>::cut(&text).escape_debug().to_string();
        text.parse().map(Self).map_err(|_| format!("`{}` is no address: write one such as duty@cert.example", shown()))
    }
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
