//! Comm checks: ours, by hand or when their time comes, and the answer to a peer's. One at a time is open towards a peer.
//! A reply ends an open check of ours and nothing else; silence about one is counted and climbs no ladder.

use super::submit::Letter;
use super::{reply, tell};
use crate::apply::answered;
use crate::batch::Batch;
use crate::checks::{CHECK_LANE, CheckEnd, lifetime_ms};
use crate::effect::{Declined, Delivery, Done, Happening};
use crate::input::{CheckOrder, Submission, Token};
use crate::moment::Moment;
use crate::outbound::OutState;
use crate::peer::Peer;
use crate::record::{Checked, Expired, Outcome, Record};
use crate::state::{Core, words};
use aldis_wire::codec::List;
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, UnixMillis};
use aldis_wire::kinds::{Answer, Attached, Bearing, CheckPart, CheckReply, CommCheck, RefusalCode};
use bytes::Bytes;

const KIND: &str = "comm-check";

impl Core {
    /// An operator checks a peer.
    pub(super) fn check_peer(&mut self, moment: Moment, token: Token, order: &CheckOrder, batch: &mut Batch) {
        let result = self.send_check(moment, order, batch);
        if result.is_ok() {
            self.dial_soon(moment, &order.peer);
        }
        reply(batch, token, result.map(Done::Checking));
    }

    fn send_check(&mut self, moment: Moment, order: &CheckOrder, batch: &mut Batch) -> Result<EnvelopeId, Declined> {
        let known = self.check_writes(&order.peer, CHECK_LANE)?;
        if known.durable.checks.open.is_some() {
            return Err(Declined::CheckOpen(order.peer.clone()));
        }
        let kind = Code::known(KIND);
        if !known.reads(&kind) {
            return Err(Declined::NoCommonKindVersion { peer: order.peer.clone(), kind });
        }
        let human = order.part.is_human();
        let expires_at = moment.wall.plus_ms(self.limits.drill.wait_ms(human));
        let letter = Letter {
            author: order.author.clone(),
            by: order.by.clone(),
            expires_at,
            case: CaseId(moment.salt(format!("check {}", order.peer).as_bytes())),
            salt: moment.salt(order.peer.as_str().as_bytes()),
            body: Bytes::from(CommCheck::check_body(&order.part, order.text.clone())),
            ..check_letter(&order.peer, Bearing::Check(order.part.clone()))
        };
        let (draft, body) = self.draft(moment, letter)?;
        let id = draft.header.id();
        self.decided_to_send(moment, batch, draft, body);
        batch.transmit_to(&order.peer);
        tell(batch, Happening::Delivery(id.clone(), Delivery::Submitted));
        if let Some(known) = self.peers.get_mut(&order.peer) {
            known.check_clock.began = Some((id.seq, moment.monotonic_ms));
            known.check_clock.planned = false;
        }
        Ok(id)
    }

    /// What becomes of a peer's check, or of its reply to one.
    pub(super) fn place_check(
        &self,
        moment: Moment,
        peer: &Peer,
        header: &ExactHeader,
        part: &CheckPart,
    ) -> (Outcome, String) {
        let human = part.is_human();
        let an_hour = self.limits.drill.an_hour(human);
        let refused = |code, text| (Outcome::refused(code), text);
        if part.is_asked() && header.lane != CHECK_LANE {
            return refused(RefusalCode::MalformedBody, format!("comm checks go as {}", CHECK_LANE.name()));
        }
        match part {
            // A reply to ours is bounded by ours.
            CheckPart::Reply if names_open(peer, header) => (self.place_machines_word(peer, header), String::new()),
            _ if peer.durable.checks.taken_in_hour(human, moment.wall) >= an_hour => {
                refused(RefusalCode::OverRate, format!("{an_hour} of this sort an hour"))
            }
            CheckPart::Human | CheckPart::Wake if !self.may_ask_people(moment, part) => {
                refused(RefusalCode::NotNow, String::new())
            }
            CheckPart::Reply => (Outcome::Unmatched, String::new()),
            _ => (Outcome::Accepted, String::new()),
        }
    }

    /// Whether a peer's check of this sort may reach people now.
    fn may_ask_people(&self, moment: Moment, part: &CheckPart) -> bool {
        self.people_may_be_checked(moment) || (*part == CheckPart::Wake && self.limits.drill.wake)
    }

    /// Whether now is within the hours in which people may be checked.
    fn people_may_be_checked(&self, moment: Moment) -> bool {
        let hours = self.limits.drill.human_hours.and_then(|place| self.limits.ladder.calendars.get(place));
        hours.is_none_or(|hours| hours.covers(moment.wall))
    }

    /// Replies to a peer's machine check that was taken in.
    pub(super) fn reply_to_check(&mut self, moment: Moment, header: &ExactHeader, batch: &mut Batch) {
        let room = self.peers.get(&header.from).is_some_and(|known| self.has_room_for_refusal(known));
        // While the records disagree nothing new is signed (I9): the peer counts the check as missed, and that it is.
        if !room || !self.may_sign_for(&header.from) {
            return;
        }
        let own_card = self.own_card.as_ref().map(|own| own.0.card().valid_until);
        let certificate_valid_until = self.certificate_valid_until.or(own_card).unwrap_or(moment.wall);
        let said = CheckReply { received_at: moment.wall, clock: moment.wall, certificate_valid_until };
        let reference = Reference { role: ReferenceRole::ANSWERS, envelope: header.id(), digest: header.digest() };
        let letter = Letter {
            author: self.machine(),
            lane: header.lane,
            desk: header.desk,
            tlp: header.tlp,
            exercise: header.exercise.clone(),
            expires_at: moment.wall.plus_ms(lifetime_ms(header).min(self.limits.refusal_lifetime_ms)),
            case: header.case,
            references: List::new(vec![reference]).expect("one reference fits"),
            salt: moment.salt(header.digest().as_bytes()),
            body: Bytes::from(CommCheck::reply_body(said)),
            ..check_letter(&header.from, Bearing::Check(CheckPart::Reply))
        };
        // The parts come from a header that was checked, so a draft cannot be declined.
        if let Ok((draft, body)) = self.draft(moment, letter) {
            self.decided_to_send(moment, batch, draft, body);
            batch.transmit_to(&header.from);
        }
    }

    /// Ends our open check if an accepted envelope of the peer is what it waits for.
    pub(super) fn check_answered(
        &mut self,
        moment: Moment,
        header: &ExactHeader,
        bearing: Option<&Bearing>,
        attached: Option<&Attached>,
        batch: &mut Batch,
    ) {
        let (Some(named), Some(known)) = (answered(header), self.peers.get(&header.from)) else { return };
        let checks = &known.durable.checks;
        let [machine, human] = [false, true].map(|human| checks.is_open(&named.envelope, human));
        if named.envelope.from != self.own || !(machine || human) {
            return;
        }
        let (end, said) = match (bearing, attached) {
            (Some(Bearing::Check(CheckPart::Reply)), Some(Attached::Check(said))) if machine => {
                (CheckEnd::Replied, Some(said))
            }
            (Some(Bearing::Answer(Answer::Acknowledged | Answer::Pending(_) | Answer::Decided(_))), _) if human => {
                (CheckEnd::Answered, None)
            }
            (Some(Bearing::Refusal(code)), _) => (CheckEnd::Refused(code.clone()), None),
            _ => return,
        };
        self.check_ended(moment, &header.from, end, said, batch);
    }

    fn check_ended(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        end: CheckEnd,
        said: Option<&CheckReply>,
        batch: &mut Batch,
    ) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let Some(open) = known.durable.checks.open.clone() else { return };
        let came = matches!(end, CheckEnd::Replied | CheckEnd::Answered);
        let began = known.check_clock.began.take().filter(|(seq, _)| came && *seq == open.seq);
        known.check_clock.planned = false;
        let checked = Checked {
            peer: peer.clone(),
            seq: open.seq,
            human: open.part.is_human(),
            end,
            round_trip_ms: began.map(|(_, began_ms)| moment.monotonic_ms.saturating_sub(began_ms)),
            clock_difference_ms: said.map(|said| difference_ms(open.at, said, moment.wall)),
            certificate_valid_until: said.map(|said| said.certificate_valid_until),
            at: moment.wall,
        };
        self.decided(batch, Record::Checked(checked.clone()));
        tell(batch, Happening::Checked(Box::new(checked)));
    }

    /// Sends the checks whose time has come, and counts those as missed whose time is over.
    pub(super) fn checks_due(&mut self, moment: Moment, batch: &mut Batch) {
        let now_ms = moment.monotonic_ms;
        let due = self.peers.iter().filter(|(_, known)| check_due_ms(known).is_some_and(|due_ms| due_ms <= now_ms));
        let due: Vec<NodeId> = due.map(|(id, _)| id.clone()).collect();
        for peer in due {
            self.plan_checks(moment, &peer, batch);
            let Some(known) = self.peers.get(&peer) else { continue };
            let clock = &known.check_clock;
            if known.durable.checks.open.is_some() {
                if clock.over_ms.is_some_and(|over_ms| over_ms <= now_ms) {
                    self.check_missed(moment, &peer, batch);
                    self.plan_checks(moment, &peer, batch);
                }
                continue;
            }
            let sort = [false, true]
                .into_iter()
                .find(|human| clock.next_ms[usize::from(*human)].is_some_and(|next_ms| next_ms <= now_ms));
            if let Some(human) = sort {
                self.check_by_itself(moment, &peer, human, batch);
            }
        }
    }

    /// The first time at which [`Self::checks_due`] has something to do.
    pub(super) fn first_check_ms(&self) -> Option<u64> {
        self.peers.values().filter_map(check_due_ms).min()
    }

    fn check_by_itself(&mut self, moment: Moment, peer: &NodeId, human: bool, batch: &mut Batch) {
        let order = CheckOrder {
            peer: peer.clone(),
            part: if human { CheckPart::Human } else { CheckPart::Machine },
            text: words(""),
            author: self.machine(),
            by: words("node"),
        };
        let in_hours = !human || self.people_may_be_checked(moment);
        if in_hours && self.send_check(moment, &order, batch).is_ok() {
            return self.plan_checks(moment, peer, batch);
        }
        let later_ms = self.limits.drill.every_ms(human).min(LATER_MS);
        let chance_ms = moment.jitter(peer.as_str().as_bytes(), later_ms);
        if let Some(known) = self.peers.get_mut(peer) {
            known.check_clock.next_ms[usize::from(human)] = Some(moment.monotonic_ms + later_ms / 2 + chance_ms + 1);
        }
    }

    /// Nothing came in time. What was not handed to a link will not be: its header goes alone.
    fn check_missed(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let Some(known) = self.peers.get(peer) else { return };
        let Some(open) = &known.durable.checks.open else { return };
        let waiting = known.durable.out[CHECK_LANE.index()].open.get(&open.seq.get());
        if waiting.is_some_and(|waiting| waiting.state == OutState::Submitted) {
            let id = EnvelopeId { from: self.own.clone(), to: peer.clone(), lane: CHECK_LANE, seq: open.seq };
            let expired = Expired { peer: peer.clone(), lane: CHECK_LANE, seq: open.seq, at: moment.wall };
            self.decided(batch, Record::Expired(expired));
            tell(batch, Happening::Delivery(id, Delivery::Expired));
        }
        self.check_ended(moment, peer, CheckEnd::Missed, None, batch);
    }

    /// Works out when something is due for a peer, after anything changed or at a start. Waits are joined to the clock that
    /// never goes back here, and no longer than they can be, whatever the wall clock shows.
    fn plan_checks(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let Some(known) = self.peers.get(peer).filter(|known| !known.check_clock.planned) else { return };
        let (drill, checks) = (&self.limits.drill, &known.durable.checks);
        let now_ms = moment.monotonic_ms;
        let over_ms = checks.open.as_ref().map(|open| {
            let wait_ms = drill.wait_ms(open.part.is_human());
            match known.check_clock.began {
                Some((seq, began_ms)) if seq == open.seq => began_ms + wait_ms,
                // Of a run before: a clock that shows less than then cannot tell how much of the wait is over.
                _ if moment.wall < open.at => now_ms,
                _ => now_ms + open.at.plus_ms(wait_ms).get().saturating_sub(moment.wall.get()).min(wait_ms),
            }
        });
        let since = known.durable.trusted.as_ref().map_or(UnixMillis::new(0), |trusted| trusted.at);
        let next_ms = [false, true].map(|human| {
            let next_at = checks.next_at(drill, human, since, &self.own, peer)?;
            let every_ms = drill.every_ms(human);
            if next_at > moment.wall {
                return Some(now_ms + (next_at.get() - moment.wall.get()).min(2 * every_ms));
            }
            // Overdue for all peers alike, as after a long stop: they are not checked all at once.
            Some(now_ms + moment.jitter(format!("{human} {peer}").as_bytes(), (every_ms / 10).min(LATER_MS)))
        });
        if let Some(known) = self.peers.get_mut(peer) {
            let clock = &mut known.check_clock;
            (clock.planned, clock.over_ms, clock.next_ms) = (true, over_ms, next_ms);
        }
        self.tell_misses(moment, peer, batch);
    }

    fn tell_misses(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let Some(known) = self.peers.get(peer) else { return };
        let missed = [false, true].map(|human| known.durable.checks.missed_in_a_row(human));
        let most = self.limits.drill.missed_alarm.max(1);
        if !known.is_verified() || missed.iter().all(|missed| *missed < most) {
            return self.clear(moment, "comm-check-missed", Some(peer), batch);
        }
        let text = format!(
            "{peer} has missed {} machine and {} human comm checks in a row: see `aldis drill --statistics`, and call its \
             contacts (`aldis peer show {peer}`)",
            missed[0], missed[1]
        );
        self.raise(moment, "comm-check-missed", Some(peer), &text, batch);
    }

    /// An answer to a peer's check that is over would only be refused there.
    pub(super) fn check_not_over(&self, moment: Moment, to: &NodeId, submission: &Submission) -> Result<(), Declined> {
        let Bearing::Answer(_) = submission.bearing else { return Ok(()) };
        let asked = self.peers.get(to).and_then(|known| known.durable.checks.asked.as_ref());
        let named = submission.references.iter().find(|reference| reference.role == ReferenceRole::ANSWERS);
        match (asked, named) {
            (Some(asked), Some(named))
                if (asked.lane, asked.seq) == (named.envelope.lane, named.envelope.seq)
                    && asked.until <= moment.wall =>
            {
                Err(Declined::CheckOver(named.envelope.clone()))
            }
            _ => Ok(()),
        }
    }
}

/// How long a check that could not be sent waits at most, and within what time overdue ones begin, in milliseconds.
const LATER_MS: u64 = 3_600_000;

/// The parts of a check's letter that are always the same, or are set by the caller.
fn check_letter(to: &NodeId, bearing: Bearing) -> Letter<'_> {
    Letter {
        to,
        also_to: List::empty(),
        desk: Desk::TECHNICAL,
        lane: CHECK_LANE,
        expires_at: UnixMillis::new(0),
        case: CaseId([0; 16]),
        references: List::empty(),
        author: words("node"),
        on_behalf_of: None,
        tlp: Tlp::AMBER,
        exercise: None,
        kind: Code::known(KIND),
        kind_version: 1,
        salt: [0; 16],
        body: Bytes::new(),
        bearing,
        by: words("node"),
        acknowledge_within_s: None,
    }
}

/// Whether an envelope of a peer's names our open machine check.
fn names_open(peer: &Peer, header: &ExactHeader) -> bool {
    answered(header).is_some_and(|named| peer.durable.checks.is_open(&named.envelope, false))
}

/// When a peer's checks have to be looked at.
fn check_due_ms(known: &Peer) -> Option<u64> {
    let clock = &known.check_clock;
    let open = known.durable.checks.open.is_some();
    match (clock.planned, open, known.is_verified()) {
        (false, ..) => Some(0),
        (true, true, _) => clock.over_ms,
        (true, false, true) => clock.next_ms.into_iter().flatten().min(),
        (true, false, false) => None,
    }
}

/// The peer's clock minus ours: half of what it showed beyond ours on the way there, and half on the way back.
fn difference_ms(sent_at: UnixMillis, said: &CheckReply, now: UnixMillis) -> i64 {
    let signed = |at: UnixMillis| i64::try_from(at.get()).unwrap_or(i64::MAX / 4);
    let there = signed(said.received_at) - signed(sent_at);
    let back = signed(said.clock) - signed(now);
    there.midpoint(back)
}
