//! The hotline: one conversation per peer at a time. Opening it is a submission like any other; the turns in it are signed
//! here, each an envelope of its own in FLASH. When both sides open one at once, a real one stays before an exercise, then
//! that of the node whose id sorts first: the other opening is refused there, and closed by its own side.

use super::submit::Letter;
use super::{reply, tell};
use crate::batch::Batch;
use crate::effect::{Declined, Done, Happening};
use crate::hotline::{DeskOrder, Session, SessionState, Turn};
use crate::input::{Submission, Token};
use crate::ladder::Duty;
use crate::limits::TURNS_PER_HOUR;
use crate::moment::Moment;
use crate::peer::Peer;
use crate::record::Outcome;
use crate::state::{Core, words};
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};
use aldis_wire::kinds::{Acknowledgement, Bearing, HotlineLine, HotlineSummary, LinePart, RefusalCode};
use aldis_wire::lane::Lane;
use bytes::Bytes;

/// How long a line is good, in milliseconds: a day. One that could not be delivered by then was said by telephone.
const LINE_LIFETIME_MS: u64 = 24 * 3_600_000;

/// What of a turn is signed.
struct Signed<'a> {
    kind: Code,
    role: ReferenceRole,
    body: Vec<u8>,
    bearing: Bearing,
    lifetime_ms: u64,
    order: &'a DeskOrder,
}

impl Core {
    /// Whether an operator's opening may go: to one peer, in FLASH, and none is there yet.
    pub(super) fn check_opening(&self, to: &NodeId, submission: &Submission) -> Result<(), Declined> {
        match submission.bearing {
            Bearing::Hotline => {}
            Bearing::Line(_) => return Err(Declined::Message("a hotline's lines are said in it".into())),
            _ => return Ok(()),
        }
        if submission.to.len() != 1 || submission.lane != Lane::Flash {
            return Err(Declined::Message("a hotline is opened with one peer, and in FLASH".into()));
        }
        let session = self.peers.get(to).and_then(|peer| peer.durable.hotline.as_ref());
        match session.is_some_and(Session::is_alive) {
            true => Err(Declined::HotlineAlive(to.clone())),
            false => Ok(()),
        }
    }

    /// What becomes of a peer's opening: one that crosses ours may have to give way, and no exercise takes the place of a
    /// real conversation (I12).
    pub(super) fn place_opening(&self, peer: &Peer, header: &ExactHeader) -> (Outcome, String) {
        if header.lane != Lane::Flash {
            return (Outcome::refused(RefusalCode::MalformedBody), "a hotline is opened as FLASH".to_owned());
        }
        let alive = peer.durable.hotline.as_ref().filter(|session| session.is_alive());
        let real_is_there = alive.is_some_and(|session| session.exercise.is_none()) && header.exercise.is_some();
        let ours_stays = self
            .ringing_ours(peer)
            .is_some_and(|ours| (ours.exercise.is_some(), &self.own) < (header.exercise.is_some(), &header.from));
        let outcome = match real_is_there || ours_stays {
            true => Outcome::refused(RefusalCode::Crossed),
            false => Outcome::Accepted,
        };
        (outcome, String::new())
    }

    fn ringing_ours<'a>(&self, peer: &'a Peer) -> Option<&'a Session> {
        peer.durable.hotline.as_ref().filter(|session| session.rings_for_us(&self.own))
    }

    /// What becomes of a peer's turn. Where no conversation is, only words are refused: about the rest two machines must
    /// not quarrel. What is of another exercise is refused whatever it says (I12), and so is what no terms bound and no
    /// people can have typed (I7).
    pub(super) fn place_turn(
        &self,
        moment: Moment,
        peer: &Peer,
        header: &ExactHeader,
        part: &LinePart,
    ) -> (Outcome, String) {
        // Each ends one opening, and of those there are only so many.
        let ends = peer.opening_ended_by(&self.own, header, part).is_some();
        if ends {
            return (Outcome::Accepted, String::new());
        }
        if peer.durable.turns.in_hour(moment.wall) >= TURNS_PER_HOUR {
            return (Outcome::refused(RefusalCode::OverRate), format!("{TURNS_PER_HOUR} lines and marks an hour"));
        }
        (Self::place_turn_at_any_rate(peer, header, part), String::new())
    }

    /// The same, however many turns there were.
    pub(super) fn place_turn_at_any_rate(peer: &Peer, header: &ExactHeader, part: &LinePart) -> Outcome {
        let session = peer.durable.hotline.as_ref().filter(|session| session.is_named_by(header));
        let session = session.filter(|_| header.lane == Lane::Flash);
        match (session, part) {
            (Some(session), _) if session.exercise != header.exercise => {
                Outcome::refused(RefusalCode::ExerciseMismatch)
            }
            (Some(session), LinePart::Line) if session.lets_write(&header.from) => Outcome::Accepted,
            (_, LinePart::Line) => Outcome::refused(RefusalCode::NoSession),
            (Some(_), _) => Outcome::Accepted,
            (None, _) => Outcome::Unmatched,
        }
    }

    /// A conversation that a peer's opening took the place of: nobody has to answer its opening any more, and ours is
    /// closed, so that the peer knows too.
    pub(super) fn give_way(&mut self, moment: Moment, session: &Session, batch: &mut Batch) {
        let opening = &session.opening;
        let peer = if session.is_ours(&self.own) { &opening.to } else { &opening.from };
        if !session.rings_for_us(&self.own) {
            return self.plan_opening(moment, peer, opening);
        }
        // While the records disagree nothing new is signed (I9): both ends wait for an answer to ours, or the peer has
        // refused it.
        if !self.may_sign_for(peer) {
            return;
        }
        let order = DeskOrder {
            peer: session.opening.to.clone(),
            turn: Turn::Close,
            author: self.machine(),
            by: words("node"),
        };
        let body = closing(session, moment.wall, "crossed");
        let signed = self.turn_of(LinePart::Closed, body, &order);
        // A peer that does not read it refuses our opening, or waits for an answer to it as we do.
        let _declined = self.sign_turn(moment, session, &signed, batch);
    }

    /// The conversation that an accepted opening of the peer's will take the place of.
    pub(super) fn replaced_by(&self, header: &ExactHeader, bearing: Option<&Bearing>) -> Option<Session> {
        let peer = self.peers.get(&header.from).filter(|_| bearing == Some(&Bearing::Hotline))?;
        peer.durable.hotline.clone().filter(Session::is_alive)
    }

    /// Somebody here does something in a conversation.
    pub(super) fn take_turn(&mut self, moment: Moment, token: Token, order: &DeskOrder, batch: &mut Batch) {
        let result = self.try_turn(moment, order, batch);
        reply(batch, token, result.map(Done::Submitted));
    }

    fn try_turn(
        &mut self,
        moment: Moment,
        order: &DeskOrder,
        batch: &mut Batch,
    ) -> Result<Vec<(EnvelopeId, Digest)>, Declined> {
        let peer = self.check_writes(&order.peer, Lane::Flash)?;
        let session = peer.durable.hotline.as_ref().filter(|session| session.is_alive());
        let session = session.cloned().ok_or_else(|| Declined::NoHotline(order.peer.clone()))?;
        let rings_here = session.state == SessionState::Ringing && !session.is_ours(&self.own);
        let mut signed = Vec::new();
        match &order.turn {
            Turn::Join => {
                if rings_here {
                    signed.push(Signed {
                        kind: Code::known("acknowledgement"),
                        role: ReferenceRole::ANSWERS,
                        body: Acknowledgement::picked_up(),
                        bearing: Bearing::Answer(aldis_wire::kinds::Answer::Acknowledged),
                        lifetime_ms: self.limits.refusal_lifetime_ms,
                        order,
                    });
                }
                if rings_here || !session.here.contains(&order.author) {
                    signed.push(self.turn_of(LinePart::Joined, none_body(&LinePart::Joined), order));
                }
            }
            Turn::Line(case, text) => {
                if *case != session.case {
                    return Err(Declined::OtherHotline { peer: order.peer.clone(), there: session.case });
                }
                if !session.lets_write(&self.own) || text.trim().is_empty() {
                    return Err(Declined::NoHotline(order.peer.clone()));
                }
                let body = HotlineLine::body(&LinePart::Line, text.clone(), None);
                signed.push(Signed { lifetime_ms: LINE_LIFETIME_MS, ..self.turn_of(LinePart::Line, body, order) });
            }
            Turn::Read(through) => {
                let last = peer.durable.inbound[Lane::Flash.index()].last_seq();
                if *through > session.read_here && *through <= last {
                    let part = LinePart::Read(*through);
                    let body = none_body(&part);
                    signed.push(self.turn_of(part, body, order));
                }
            }
            Turn::Leave => {
                if session.here.contains(&order.author) {
                    signed.push(self.turn_of(LinePart::Left, none_body(&LinePart::Left), order));
                }
            }
            Turn::Close => {
                let (part, reason) = match session.state {
                    SessionState::Open => (LinePart::Closed, "ended"),
                    _ => (LinePart::Unanswered, "not-answered"),
                };
                signed.push(self.turn_of(part, closing(&session, moment.wall, reason), order));
            }
        }
        signed.iter().map(|signed| self.sign_turn(moment, &session, signed, batch)).collect()
    }

    fn turn_of<'a>(&self, part: LinePart, body: Vec<u8>, order: &'a DeskOrder) -> Signed<'a> {
        Signed {
            kind: Code::known("hotline-line"),
            role: ReferenceRole::RELATES,
            body,
            bearing: Bearing::Line(part),
            lifetime_ms: self.limits.refusal_lifetime_ms,
            order,
        }
    }

    fn sign_turn(
        &mut self,
        moment: Moment,
        session: &Session,
        signed: &Signed<'_>,
        batch: &mut Batch,
    ) -> Result<(EnvelopeId, Digest), Declined> {
        let Signed { kind, role, body, bearing, lifetime_ms, order } = signed;
        let to = &order.peer;
        let known = self.peers.get(to).ok_or_else(|| Declined::UnknownPeer(to.clone()))?;
        if !known.reads(kind) {
            return Err(Declined::NoCommonKindVersion { peer: to.clone(), kind: kind.clone() });
        }
        let references = vec![Reference { role: *role, envelope: session.opening.clone(), digest: session.digest }];
        let letter = Letter {
            to,
            also_to: List::empty(),
            desk: session.desk,
            lane: Lane::Flash,
            expires_at: moment.wall.plus_ms(*lifetime_ms),
            case: session.case,
            references: List::new(references).expect("one reference fits"),
            author: order.author.clone(),
            on_behalf_of: None,
            tlp: session.tlp,
            exercise: session.exercise.clone(),
            kind: kind.clone(),
            kind_version: 1,
            salt: moment.salt(format!("turn {kind} {}", self.next_record.0).as_bytes()),
            body: Bytes::from(body.clone()),
            bearing: bearing.clone(),
            by: order.by.clone(),
            acknowledge_within_s: None,
        };
        let (draft, body) = self.draft(moment, letter)?;
        let sent = (draft.header.id(), draft.header.digest());
        self.decided_to_send(moment, batch, draft, body);
        self.plan_opening(moment, to, &session.opening);
        batch.transmit_to(to);
        self.dial_soon(moment, to);
        self.tell_hotline(to, batch);
        Ok(sent)
    }

    /// What is waited for about an opening, after something happened to its conversation.
    pub(super) fn plan_opening(&mut self, moment: Moment, peer: &NodeId, opening: &EnvelopeId) {
        let duty = match opening.from == self.own {
            true => Duty::Answer(opening.lane, opening.seq),
            false => Duty::Attend(opening.lane, opening.seq),
        };
        self.plan(moment, peer, duty);
    }

    /// An envelope, the peer's or ours to it, took effect; it may be part of the conversation.
    pub(super) fn hotline_moved(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        id: &EnvelopeId,
        references: &[Reference],
        batch: &mut Batch,
    ) {
        let session = self.peers.get(peer).and_then(|known| known.durable.hotline.as_ref());
        let Some(opening) = session.map(|session| &session.opening) else { return };
        let is_part = opening == id || references.iter().any(|one| one.envelope == *opening);
        let opening = opening.clone();
        let named = references.iter().find(|one| one.role == ReferenceRole::RELATES);
        let ended = named.map(|named| &named.envelope);
        if let Some(ended) = ended.filter(|ended| **ended != opening) {
            self.plan_opening(moment, peer, ended);
        }
        if is_part {
            self.plan_opening(moment, peer, &opening);
            self.tell_hotline(peer, batch);
        }
    }

    /// Something happened in the conversation with a peer.
    pub(super) fn tell_hotline(&self, peer: &NodeId, batch: &mut Batch) {
        if let Some(session) = self.peers.get(peer).and_then(|known| known.durable.hotline.as_ref()) {
            tell(batch, Happening::Hotline(peer.clone(), session.state, session.desk, session.exercise.clone()));
        }
    }
}

fn none_body(part: &LinePart) -> Vec<u8> {
    HotlineLine::body(part, Text::cut(""), None)
}

/// The body of the end, with what the conversation came to.
fn closing(session: &Session, at: UnixMillis, reason: &'static str) -> Vec<u8> {
    let summary = HotlineSummary {
        opened_at: session.opened_at,
        closed_at: at,
        lines: session.lines,
        reason: Code::known(reason),
    };
    HotlineLine::body(&LinePart::Closed, Text::cut(""), Some(summary))
}
