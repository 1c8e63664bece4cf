//! How much went one way, per hour and FLASH per day of UTC: counted from headers alone, so that a replay comes to the
//! same (I11). A message counts in the hour in which its header says it was signed. So what was within the terms when it
//! was signed is within them when it arrives, however long an outage kept it; a sender that lies about the hour gains no
//! more than it left unused in the hours that are remembered.

use super::Breach;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::UnixMillis;
use aldis_wire::kinds::Terms;
use aldis_wire::lane::Lane;

/// How many hours are remembered: as long as a message is good unless its sender says otherwise, and a day more.
pub const REMEMBERED_HOURS: u64 = 8 * 24;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What went one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Traffic {
    /// Ascending, at most [`REMEMBERED_HOURS`] and two.
    hours: Vec<Hour>,
    /// Ascending, at most as many days and two.
    days: Vec<Day>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Hour {
    /// Hours since 1970.
    number: u64,
    messages: u64,
    bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Day {
    /// Days since 1970.
    number: u64,
    flash: u64,
}

impl Traffic {
    /// How many messages and bytes count in the hour of a time.
    pub fn in_hour(&self, at: UnixMillis) -> (u64, u64) {
        self.hour(at.get() / HOUR_MS)
    }

    /// How many FLASH messages count in the day of a time.
    pub fn flash_in_day(&self, at: UnixMillis) -> u64 {
        self.day(at.get() / DAY_MS)
    }

    /// Counts a message that was signed or came at `now`; what no terms concern does not count.
    pub(crate) fn count(&mut self, header: &ExactHeader, now: UnixMillis) {
        if !Terms::concern(&header.kind) {
            return;
        }
        let hour = self.hour_mut(window(header, now, HOUR_MS), now.get() / HOUR_MS);
        hour.messages += 1;
        hour.bytes += bytes_of(header);
        if header.lane == Lane::Flash {
            self.day_mut(window(header, now, DAY_MS), now.get() / DAY_MS).flash += 1;
        }
    }

    /// What a message would make too much of.
    pub(super) fn breach(&self, terms: &Terms, header: &ExactHeader, now: UnixMillis) -> Option<Breach> {
        let (hour, day) = (window(header, now, HOUR_MS), window(header, now, DAY_MS));
        let next = |number: u64, length_ms: u64| UnixMillis::new((number + 1) * length_ms);
        if header.lane == Lane::Flash && self.day(day) >= u64::from(terms.flash_per_day) {
            return Some(Breach::Flash(terms.flash_per_day, next(day, DAY_MS)));
        }
        // The day's number is all that bounds FLASH: what the other lanes used up of an hour never keeps one back.
        if header.lane == Lane::Flash {
            return None;
        }
        let (messages, bytes) = self.hour(hour);
        if messages >= u64::from(terms.messages_per_hour) {
            return Some(Breach::Messages(terms.messages_per_hour, next(hour, HOUR_MS)));
        }
        let over = bytes.saturating_add(bytes_of(header)) > terms.bytes_per_hour;
        over.then(|| Breach::Bytes(terms.bytes_per_hour, next(hour, HOUR_MS)))
    }

    fn hour(&self, number: u64) -> (u64, u64) {
        let at = self.hours.binary_search_by_key(&number, |hour| hour.number);
        at.map_or((0, 0), |at| (self.hours[at].messages, self.hours[at].bytes))
    }

    fn day(&self, number: u64) -> u64 {
        let at = self.days.binary_search_by_key(&number, |day| day.number);
        at.map_or(0, |at| self.days[at].flash)
    }

    fn hour_mut(&mut self, number: u64, now: u64) -> &mut Hour {
        let at = self.hours.binary_search_by_key(&number, |hour| hour.number).unwrap_or_else(|_| {
            self.hours.retain(|hour| is_remembered(hour.number, now, REMEMBERED_HOURS));
            let at = self.hours.partition_point(|hour| hour.number < number);
            self.hours.insert(at, Hour { number, messages: 0, bytes: 0 });
            at
        });
        &mut self.hours[at]
    }

    fn day_mut(&mut self, number: u64, now: u64) -> &mut Day {
        let at = self.days.binary_search_by_key(&number, |day| day.number).unwrap_or_else(|_| {
            self.days.retain(|day| is_remembered(day.number, now, REMEMBERED_HOURS / 24));
            let at = self.days.partition_point(|day| day.number < number);
            self.days.insert(at, Day { number, flash: 0 });
            at
        });
        &mut self.days[at]
    }
}

/// The hour or day a message counts in: that of its signature, as far as it is remembered. The sender's clock may be a
/// little ahead.
fn window(header: &ExactHeader, now: UnixMillis, length_ms: u64) -> u64 {
    let (now, said) = (now.get() / length_ms, header.sent_at.get() / length_ms);
    said.clamp(now.saturating_sub(REMEMBERED_HOURS * HOUR_MS / length_ms), now + 1)
}

fn is_remembered(number: u64, now: u64, remembered: u64) -> bool {
    (now.saturating_sub(remembered)..=now + 1).contains(&number)
}

fn bytes_of(header: &ExactHeader) -> u64 {
    header.bytes().len() as u64 + u64::from(header.body_length)
}
