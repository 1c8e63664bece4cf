//! An operator's message: checked for every recipient first, then signed for all or for none.

use super::{reply, tell};
use crate::batch::Batch;
use crate::effect::{Declined, Delivery, Done, Happening};
use crate::input::{Submission, Token};
use crate::limits::FLASH_RESERVE;
use crate::moment::Moment;
use crate::peer::Peer;
use crate::record::{SentDraft, Standing, StoredBearing};
use crate::state::Core;
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, Salt, commitment};
use aldis_wire::header::{ExactHeader, Header, PROTOCOL_VERSION, Reference};
use aldis_wire::hello::highest_common;
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::kinds::Bearing;
use aldis_wire::lane::Lane;
use bytes::Bytes;

/// Everything about a new envelope that does not follow from its lane.
pub(super) struct Letter<'a> {
    pub(super) to: &'a NodeId,
    pub(super) also_to: List<NodeId, 255>,
    pub(super) desk: Desk,
    pub(super) lane: Lane,
    pub(super) expires_at: UnixMillis,
    pub(super) case: CaseId,
    pub(super) references: List<Reference, 8>,
    pub(super) author: Text<128>,
    pub(super) on_behalf_of: Option<Text<128>>,
    pub(super) tlp: Tlp,
    pub(super) exercise: Option<Text<64>>,
    pub(super) kind: Code,
    pub(super) kind_version: u16,
    pub(super) salt: Salt,
    pub(super) body: Bytes,
    pub(super) bearing: Bearing,
    pub(super) by: Text<128>,
    pub(super) acknowledge_within_s: Option<u32>,
}

impl Core {
    pub(super) fn submit(&mut self, moment: Moment, token: Token, submission: &Submission, batch: &mut Batch) {
        if let Some(result) = self.recall_before_relay(moment, submission, batch) {
            return reply(batch, token, result);
        }
        let result = if self.takes_release(submission) {
            Err(Declined::NeedsRelease)
        } else {
            self.sign(moment, submission, None, batch).map(Done::Submitted)
        };
        reply(batch, token, result);
    }

    /// Has a message signed for every recipient, or for none.
    pub(super) fn sign(
        &mut self,
        moment: Moment,
        submission: &Submission,
        released_by: Option<&Text<128>>,
        batch: &mut Batch,
    ) -> Result<Vec<(EnvelopeId, Digest)>, Declined> {
        let letters = self.letters(moment, submission, released_by)?;
        let mut submitted = Vec::with_capacity(letters.len());
        for (draft, body) in letters {
            let (id, digest) = (draft.header.id(), draft.header.digest());
            let references: Vec<Reference> = draft.header.references.iter().cloned().collect();
            self.decided_to_send(moment, batch, draft, body);
            batch.transmit_to(&id.to);
            if id.lane == Lane::Flash {
                self.dial_soon(moment, &id.to);
            }
            tell(batch, Happening::Delivery(id.clone(), Delivery::Submitted));
            self.hotline_moved(moment, &id.to, &id, &references, batch);
            submitted.push((id, digest));
        }
        Ok(submitted)
    }

    /// The envelopes for every recipient, or the first reason why one cannot be.
    pub(super) fn letters(
        &self,
        moment: Moment,
        submission: &Submission,
        released_by: Option<&Text<128>>,
    ) -> Result<Vec<(SentDraft, Body)>, Declined> {
        if submission.to.is_empty() || submission.to.len() != submission.salts.len() {
            return Err(Declined::Message("a message needs at least one recipient".into()));
        }
        let mut drafts = Vec::with_capacity(submission.to.len());
        for (place, (to, salt)) in submission.to.iter().zip(&submission.salts).enumerate() {
            if submission.to[..place].contains(to) {
                return Err(Declined::Message(format!("{to} stands twice among the recipients")));
            }
            let (kind_version, body) = self.body_for(to, submission)?;
            self.check_answer(to, submission)?;
            self.check_not_over(moment, to, submission)?;
            self.check_opening(to, submission)?;
            let others = submission.to.iter().filter(|other| *other != to).cloned().collect();
            let letter = Letter {
                to,
                also_to: List::new(others).ok_or_else(|| Declined::Message("more than 256 recipients".into()))?,
                desk: submission.desk,
                lane: submission.lane,
                expires_at: moment.wall.plus_ms(submission.lifetime_ms),
                case: submission.case,
                references: submission.references.clone(),
                author: submission.author.clone(),
                on_behalf_of: submission.on_behalf_of.clone(),
                tlp: submission.tlp,
                exercise: submission.exercise.clone(),
                kind: submission.kind.clone(),
                kind_version,
                salt: *salt,
                body,
                bearing: submission.bearing.clone(),
                by: submission.by.clone(),
                acknowledge_within_s: submission.acknowledge_within_s,
            };
            self.check_attachments(to, &submission.attachments)?;
            let (mut draft, body) = self.draft_released(moment, letter, released_by)?;
            draft.bearing = StoredBearing::naming(submission.bearing.clone(), &submission.attachments);
            self.check_agreed(moment, &draft.header)?;
            self.check_flash_per_day(moment, &draft.header)?;
            drafts.push((draft, body));
        }
        Ok(drafts)
    }

    /// The body in the highest version both sides know, if the peer may be written to at all.
    fn body_for(&self, to: &NodeId, submission: &Submission) -> Result<(u16, Bytes), Declined> {
        let peer = self.check_writes(to, submission.lane)?;
        let ours: Vec<u16> = submission.bodies.iter().map(|(version, _)| *version).collect();
        let theirs = peer.card().card().versions_of(&submission.kind);
        let version = highest_common(&ours, theirs);
        let body = submission.bodies.iter().find(|(known, _)| Some(*known) == version);
        body.cloned().ok_or_else(|| Declined::NoCommonKindVersion { peer: to.clone(), kind: submission.kind.clone() })
    }

    /// Whether something new may be written to a peer.
    pub(super) fn check_writes(&self, to: &NodeId, lane: Lane) -> Result<&Peer, Declined> {
        let peer = self.peers.get(to).ok_or_else(|| Declined::UnknownPeer(to.clone()))?;
        if !peer.is_verified() {
            return Err(Declined::NotVerified(to.clone(), peer.durable.trust));
        }
        let disagree = |why| Err(Declined::RecordsDisagree(to.clone(), why));
        match peer.durable.standing {
            Standing::Good => {}
            Standing::WeLostHistory => return disagree("it holds messages of ours that our journal does not have"),
            Standing::PeerLostHistory => return disagree("it has lost messages that it had receipted"),
            Standing::Quarantined => return disagree("it signed two contradicting messages and is quarantined"),
            Standing::NotCompared => {
                return disagree(
                    "This node was restored from a backup, and that peer has not told since what it holds",
                );
            }
        }
        let reserve = if lane == Lane::Flash { FLASH_RESERVE } else { 0 };
        if peer.open_count() >= self.limits.open_per_peer.saturating_add(reserve) {
            return Err(Declined::QueueFull(to.clone()));
        }
        Ok(peer)
    }

    /// A header at the next place of its lane, with its body.
    pub(super) fn draft(&self, moment: Moment, letter: Letter<'_>) -> Result<(SentDraft, Body), Declined> {
        self.draft_released(moment, letter, None)
    }

    /// The same, of what a second person may have released.
    fn draft_released(
        &self,
        moment: Moment,
        letter: Letter<'_>,
        released_by: Option<&Text<128>>,
    ) -> Result<(SentDraft, Body), Declined> {
        let peer = self.peers.get(letter.to).ok_or_else(|| Declined::UnknownPeer(letter.to.clone()))?;
        let last = peer.durable.out[letter.lane.index()].last;
        let body_length =
            u32::try_from(letter.body.len()).map_err(|_| Declined::Message("the body is too long".into()))?;
        let header = Header {
            version: PROTOCOL_VERSION,
            key_id: peer.durable.own_key,
            incarnation: self.incarnation(),
            from: self.own.clone(),
            to: letter.to.clone(),
            also_to: letter.also_to,
            desk: letter.desk,
            lane: letter.lane,
            seq: last.map_or(Seq::FIRST, |(seq, _)| seq.next()),
            previous: last.map_or(Digest::ZERO, |(_, digest)| digest),
            received: peer.durable.latest_received,
            sent_at: moment.wall,
            expires_at: letter.expires_at,
            case: letter.case,
            references: letter.references,
            author: letter.author,
            released_by: released_by.cloned(),
            on_behalf_of: letter.on_behalf_of,
            tlp: letter.tlp,
            exercise: letter.exercise,
            kind: letter.kind,
            kind_version: letter.kind_version,
            body_length,
            body_commitment: commitment(&letter.salt, &letter.body),
            extensions: Header::extensions_with(letter.acknowledge_within_s),
        };
        let header = ExactHeader::encode(header).map_err(|error| Declined::Message(error.to_string()))?;
        let draft = SentDraft { header, bearing: letter.bearing.into(), by: letter.by };
        Ok((draft, Body::Present { salt: letter.salt, bytes: letter.body }))
    }
}

/// What an operator's answer says of itself, for its errors.
pub(super) fn declined_answer(message: &EnvelopeId, why: aldis_wire::kinds::RefusalCode) -> Declined {
    Declined::Answer { message: message.clone(), why }
}
