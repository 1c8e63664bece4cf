//! How envelopes both ways move the conversation with a peer. Both nodes apply the same envelopes and come to the same end.

use crate::hotline::{AT_DESK_MAX, Session, SessionState};
use crate::outbound::OutState;
use crate::peer::Peer;
use aldis_wire::codec::Text;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::kinds::{Answer, Bearing, LinePart};
use aldis_wire::lane::Lane;

/// Takes an envelope in that was sent, or received and accepted, at `at`.
pub(super) fn moved(peer: &mut Peer, own: &NodeId, header: &ExactHeader, bearing: &Bearing, at: UnixMillis) {
    match bearing {
        Bearing::Hotline => opened(peer, own, header, at),
        Bearing::Line(part) => turned(peer, own, header, part, at),
        Bearing::Answer(Answer::Acknowledged) => answered(peer, header, SessionState::Open),
        Bearing::Answer(Answer::Decided(status)) if status.as_str() == "approved" => {
            answered(peer, header, SessionState::Open);
        }
        Bearing::Answer(Answer::Decided(_)) | Bearing::Refusal(_) => answered(peer, header, SessionState::Closed),
        _ => {}
    }
}

/// An opening takes the place of whatever was before. One that must give way to ours is refused and never gets here; if
/// ours gives way, that is said by a turn, which ends it at both ends.
fn opened(peer: &mut Peer, own: &NodeId, header: &ExactHeader, at: UnixMillis) {
    let alive = peer.durable.hotline.take().filter(Session::is_alive);
    if let Some(before) = alive.filter(|before| !before.rings_for_us(own)) {
        end_duties(peer, own, &before.opening, at);
    }
    let mut session = Session {
        case: header.case,
        opening: header.id(),
        digest: header.digest(),
        desk: header.desk,
        tlp: header.tlp,
        exercise: header.exercise.clone(),
        opened_at: header.sent_at,
        state: SessionState::Ringing,
        here: Vec::new(),
        there: Vec::new(),
        lines: [0; 2],
        read_here: 0,
        read_there: 0,
    };
    come(desk_of(&mut session, &header.from, own), &header.author);
    peer.durable.hotline = Some(session);
}

/// An answer to the opening, by whatever command, or its refusal.
fn answered(peer: &mut Peer, header: &ExactHeader, to: SessionState) {
    let Some(session) = &mut peer.durable.hotline else { return };
    if super::answered(header).is_some_and(|reference| reference.envelope == session.opening) {
        session.state = session.state.max(to);
    }
}

/// The opening expired before it was relayed.
pub(super) fn expired(peer: &mut Peer, own: &NodeId, lane: Lane, seq: Seq) {
    let is_it = |opening: &EnvelopeId| opening.from == *own && (opening.lane, opening.seq) == (lane, seq);
    if let Some(session) = peer.durable.hotline.as_mut().filter(|session| is_it(&session.opening)) {
        session.state = SessionState::Closed;
    }
}

fn turned(peer: &mut Peer, own: &NodeId, header: &ExactHeader, part: &LinePart, at: UnixMillis) {
    let ours = header.from == *own;
    // Whatever conversation is there now: the word that ends an opening ends it at both ends, or one would wait alone.
    if let Some(opening) = peer.opening_ended_by(own, header, part) {
        end_duties(peer, own, &opening, at);
    }
    let Some(session) = peer.durable.hotline.as_mut().filter(|session| session.is_named_by(header)) else { return };
    if !session.is_alive() {
        return;
    }
    match part {
        LinePart::Line => {
            let lines = &mut session.lines[usize::from(!ours)];
            *lines = lines.saturating_add(1);
        }
        LinePart::Read(through) => {
            let read = if ours { &mut session.read_here } else { &mut session.read_there };
            // Nobody was shown what was not signed yet.
            let last = if ours {
                &peer.durable.inbound[Lane::Flash.index()].last
            } else {
                &peer.durable.out[Lane::Flash.index()].last
            };
            *read = (*read).max((*through).min(last.map_or(0, |(seq, _)| seq.get())));
        }
        LinePart::Joined => {
            come(desk_of(session, &header.from, own), &header.author);
            if header.from != session.opening.from {
                session.state = SessionState::Open;
            }
        }
        LinePart::Left => desk_of(session, &header.from, own).retain(|name| *name != header.author),
        LinePart::Closed | LinePart::Unanswered => session.state = SessionState::Closed,
        LinePart::Other(_) => {}
    }
}

/// Nobody has to answer the opening any more.
fn end_duties(peer: &mut Peer, own: &NodeId, opening: &EnvelopeId, at: UnixMillis) {
    let lane = opening.lane.index();
    match opening.from == *own {
        true => peer.durable.out[lane].answer(opening.seq, OutState::Closed, at, 0),
        false => peer.durable.inbound[lane].answer(opening.seq, None, at, 0),
    }
}

fn desk_of<'a>(session: &'a mut Session, from: &NodeId, own: &NodeId) -> &'a mut Vec<Text<128>> {
    if from == own { &mut session.here } else { &mut session.there }
}

fn come(desk: &mut Vec<Text<128>>, author: &Text<128>) {
    if !desk.contains(author) && desk.len() < AT_DESK_MAX {
        desk.push(author.clone());
    }
}
