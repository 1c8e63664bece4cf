//! Applying records: how each journalled fact changes the state. Applying cannot fail and has no effects; a start replays
//! exactly this.

mod answers;
mod attachments;
mod checks;
mod hotline;
mod ladder;
pub(crate) mod recalls;
mod recovery;

use crate::agreement::Agreement;
use crate::inbound::{InState, OpenIn};
use crate::ladder::{Climb, Wants};
use crate::outbound::{OpenOut, OutState};
use crate::peer::{Accepted, Announced, HeldAnswer, Offered, OwedRefusal, Peer, StoredCard};
use crate::record::{
    CardBytes, DraftId, Gap, KeyOffered, OfferEnded, Outcome, PeerAdded, PeerKeySwitched, Receipted, Received, Record,
    RecordSeq, RefusedAs, Restored, SentDraft, Standing, StandingChanged,
};
use crate::recovery::RESTORE_COUNTS_MS;
use crate::state::Core;
use crate::trust::{Act, RequestId, TrustChanged};
use aldis_wire::card::VerifiedCard;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::ids::{NodeId, Seq, UnixMillis};
use aldis_wire::keyring::KeySwitch;
use aldis_wire::kinds::{Bearing, CheckPart, LinePart, RefusalCode};
use aldis_wire::lane::{Lane, LaneMark};

impl Core {
    /// Applies the next record of the journal. A record about a peer that is not enrolled changes nothing: such a journal
    /// cannot be written by this program.
    pub fn apply(&mut self, record: &Record) {
        let before = self.latest_at;
        self.latest_at = record.at().unwrap_or(self.latest_at);
        match record {
            Record::Exported(exported) if exported.bodies => self.last_export = Some(self.next_record),
            Record::Started(started) => {
                self.incarnation = Some(started.incarnation);
                self.run_gap = Some(Gap { after: before, until: started.at });
            }
            Record::Stopped(_)
            | Record::Opened(_)
            | Record::BodyErased(_)
            | Record::DraftOpened(_)
            | Record::LongFlash(_)
            | Record::Exported(_) => {}
            Record::Drafted(drafted) => {
                self.drafts.insert(DraftId(self.next_record), drafted.clone());
            }
            Record::DraftEnded(ended) => {
                self.drafts.remove(&ended.draft);
                self.drafts_told.remove(&ended.draft);
            }
            Record::PeerAdded(added) => self.apply_peer(added),
            Record::Sent(sent) => return self.apply_sent(&sent.draft),
            Record::Received(received) => self.apply_received(received, false),
            Record::Recovered(recovered) => self.apply_recovered(recovered),
            Record::RecoveryEnded(ended) => self.apply_recovery_ended(ended),
            Record::Restored(restored) => self.apply_restored(restored),
            Record::Claimed(claimed) => self.apply_claimed(claimed),
            Record::GivenBare(given) => self.apply_given_bare(given),
            Record::Receipted(receipted) => self.apply_receipt(receipted),
            Record::Relayed(relayed) => {
                self.out_lane(&relayed.peer, relayed.lane, |lane| lane.relay(relayed.through));
            }
            Record::Expired(expired) => {
                self.out_lane(&expired.peer, expired.lane, |lane| lane.expire(expired.seq));
                self.apply_agreement(&expired.peer, |agreement| {
                    agreement.told = agreement.told.filter(|told| *told != (expired.lane, expired.seq));
                });
                if let Some(peer) = self.peers.get_mut(&expired.peer) {
                    fail_announced(peer, expired.lane, expired.seq);
                    hotline::expired(peer, &self.own, expired.lane, expired.seq);
                }
                self.forget_ours(&expired.peer, expired.lane, expired.seq);
            }
            Record::Strike(strike) => {
                if let Some(peer) = self.peers.get_mut(&strike.peer) {
                    peer.durable.inbound[strike.lane.index()].strikes = strike.count;
                }
            }
            Record::LaneUnblocked(unblocked) => {
                if let Some(peer) = self.peers.get_mut(&unblocked.peer) {
                    peer.durable.inbound[unblocked.lane.index()].strikes = 0;
                    peer.durable.out[unblocked.lane.index()].blocked_by_peer = false;
                }
            }
            Record::Standing(changed) => self.apply_standing(changed),
            Record::AlarmRaised(alarm) => {
                self.alarms.insert((alarm.code.clone(), alarm.peer.clone()), alarm.clone());
            }
            Record::AlarmCleared(cleared) => {
                self.alarms.remove(&(cleared.code.clone(), cleared.peer.clone()));
            }
            Record::Requested(request) => {
                self.requests.insert(RequestId(self.next_record), request.clone());
            }
            Record::RequestEnded(ended) => {
                self.requests.remove(&ended.request);
            }
            Record::TrustChanged(changed) => self.apply_trust(changed),
            Record::OwnCardMade(made) => self.apply_own_card(made),
            Record::OwnCardAnnounced(told) => {
                if let Some(peer) = self.peers.get_mut(&told.peer) {
                    peer.durable.announced =
                        Some(Announced { card: told.card, place: told.place, failed: false, heard_at: None });
                }
            }
            Record::OwnCardKnown(_) => self.own_card_known = true,
            Record::OwnKeySwitched(switched) => {
                if let Some(peer) = self.peers.get_mut(&switched.peer) {
                    peer.durable.own_key = switched.key;
                    peer.durable.own_switch = Some(KeySwitch { ended: switched.ended, last: switched.last });
                }
            }
            Record::CardTaken(taken) => self.apply_card(&taken.card),
            Record::KeyOffered(offered) => self.apply_offer(offered),
            Record::OfferEnded(ended) => self.apply_offer_ended(ended),
            Record::PeerKeySwitched(switched) => self.apply_peer_key(switched),
            Record::AgreementSet(set) => self.apply_agreement(&set.peer, |agreement| {
                (agreement.ours, agreement.told) = (Some(set.terms.clone()), None);
            }),
            Record::AgreementTaken(taken) => {
                self.apply_agreement(&taken.peer, |agreement| agreement.theirs = Some(taken.terms.clone()));
            }
            Record::Climbed(climbed) => self.apply_climbed(climbed),
            Record::Alerted(alerted) => self.apply_alerted(alerted),
            Record::Recalled(recalled) => {
                self.out_lane(&recalled.peer, recalled.lane, |lane| lane.recall(recalled.seq));
                self.forget_ours(&recalled.peer, recalled.lane, recalled.seq);
            }
            Record::Checked(checked) => self.apply_checked(checked),
            Record::AttachmentHeld(held) => self.apply_attachment_held(held),
            Record::AttachmentTaken(taken) => self.apply_attachment_taken(taken),
            Record::AttachmentLost(lost) => self.apply_attachment_lost(lost),
            Record::LaneBlockedByPeer(blocked) => {
                self.out_lane(&blocked.peer, blocked.lane, |lane| lane.blocked_by_peer = true);
            }
            Record::HeldGivenUp(given_up) => {
                if let Some(peer) = self.peers.get_mut(&given_up.peer) {
                    let place = (given_up.lane, given_up.seq);
                    let over = peer.durable.held.extract_if(.., |held| (held.header.lane, held.header.seq) == place);
                    let over: Vec<HeldAnswer> = over.collect();
                    for held in over {
                        owe_refusal(peer, &held.header, RefusedAs(RefusalCode::HeldTooLong));
                    }
                }
            }
        }
        self.next_record = RecordSeq(self.next_record.0 + 1);
    }

    /// Applies an envelope we decided to send. Its proof comes later and changes nothing here.
    pub(crate) fn apply_sent(&mut self, draft: &SentDraft) {
        self.apply_sent_with(draft, false);
        self.next_record = RecordSeq(self.next_record.0 + 1);
    }

    /// `again` says that it came back from the peer; a comm check among that is over.
    fn apply_sent_with(&mut self, draft: &SentDraft, again: bool) {
        let header = &draft.header;
        let record = self.next_record;
        self.latest_at = header.sent_at;
        self.next_expiry = Some(self.next_expiry.map_or(header.expires_at, |at| at.min(header.expires_at)));
        let Some(peer) = self.peers.get_mut(&header.to) else { return };
        let bearing = draft.bearing.get();
        let is_over = again && matches!(bearing, Bearing::Check(_));
        peer.durable.agreement.sent.count(header, header.sent_at);
        if bearing == Bearing::Agreement {
            peer.durable.agreement.told = Some((header.lane, header.seq));
        }
        let entry = OpenOut {
            record,
            digest: header.digest(),
            expires_at: expires(&bearing).then_some(header.expires_at),
            state: OutState::Submitted,
            wants: if is_over { Wants::Nothing } else { Wants::of(&bearing) },
            climb: Climb::from(header.sent_at),
            promised_s: 0,
            told_step: 0,
            within_s: header.acknowledge_within_s().unwrap_or(0),
            exercise: exercise(header),
            recalls: recalls::named(header, Some(&bearing)),
            case: (bearing == Bearing::Hotline).then(|| Box::new(header.case)),
        };
        peer.machines_words += u64::from(entry.wants == Wants::Machine);
        peer.durable.out[header.lane.index()].append(header.seq, entry, Wants::matters(&bearing));
        if !again {
            checks::sent(&mut peer.durable, header, &bearing);
        }
        attachments::name_ours(peer, header, record, &draft.bearing);
        join_held(peer, header);
        hotline::moved(peer, &self.own, header, &bearing, header.sent_at);
        let Some(reference) = answered(header) else { return };
        let (lane, seq) = (reference.envelope.lane, reference.envelope.seq);
        match bearing {
            Bearing::Notice
            | Bearing::Card
            | Bearing::Rotation
            | Bearing::Agreement
            | Bearing::Hotline
            | Bearing::Line(_)
            | Bearing::Check(_)
            | Bearing::Recall => {}
            Bearing::Step(_) => peer.durable.inbound[lane.index()].told(seq),
            Bearing::Answer(answer) => {
                answers::answered(&mut peer.durable.inbound[lane.index()], seq, &answer, header.sent_at);
                recalls::erased_here(peer, header);
                // What we answered then is not refused now.
                if again {
                    peer.durable.inbound[lane.index()].attended(seq);
                    peer.durable.owed.retain(|owed| (owed.header.lane, owed.header.seq) != (lane, seq));
                }
            }
            Bearing::Refusal(_) => {
                peer.durable.inbound[lane.index()].answer(seq, None, header.sent_at, 0);
                peer.durable.owed.retain(|owed| (owed.header.lane, owed.header.seq) != (lane, seq));
            }
        }
    }

    fn apply_peer(&mut self, added: &PeerAdded) {
        // A card in the journal verified when it was written; one that does not is damage that `verify` reports.
        let Ok(card) = VerifiedCard::from_signed_bytes(&added.card) else { return };
        let id = card.card().id.clone();
        let own_key = self.newest_key();
        match self.peers.get_mut(&id) {
            Some(peer) if peer.card().key() == card.key() => replace_card(peer, card),
            // Only a peer that was never let in is replaced whole: nothing rests on the key it was added with.
            _ => {
                let mut peer = Peer::new(card, own_key);
                // Before the restore it may have been a peer already, and hold what we signed.
                let counts =
                    |restored: &&Restored| added.at < recovery::counts_from(restored).plus_ms(RESTORE_COUNTS_MS);
                if let Some(restored) = self.restored.as_ref().filter(counts) {
                    (peer.durable.standing, peer.durable.recovery.gap) = (Standing::NotCompared, restored.gap);
                }
                self.peers.insert(id, peer);
            }
        }
    }

    fn apply_card(&mut self, bytes: &CardBytes) {
        let Ok(card) = VerifiedCard::from_signed_bytes(bytes) else { return };
        if let Some(peer) = self.peers.get_mut(&card.card().id) {
            replace_card(peer, card);
        }
    }

    fn apply_offer(&mut self, offered: &KeyOffered) {
        let Ok(card) = VerifiedCard::from_signed_bytes(&offered.card) else { return };
        if let Some(peer) = self.peers.get_mut(&card.card().id) {
            peer.durable.offered = Some(Offered { card: StoredCard(card), announced: offered.announced.clone() });
        }
    }

    fn apply_offer_ended(&mut self, ended: &OfferEnded) {
        let Some(peer) = self.peers.get_mut(&ended.peer) else { return };
        if let Some(Offered { card, announced }) = peer.durable.offered.take()
            && ended.taken
        {
            peer.durable.accepted = Some(Accepted { card, only: announced.is_none() });
        }
    }

    fn apply_peer_key(&mut self, switched: &PeerKeySwitched) {
        let Some(peer) = self.peers.get_mut(&switched.peer) else { return };
        if let Some(accepted) = peer.durable.accepted.take() {
            peer.durable.keys.switch(switched.last, accepted.card.0.key().clone());
            replace_card(peer, accepted.card.0);
        }
    }

    /// `again` says that it came back from the peer, or that the peer says so: people are told of what is open of it once the
    /// records agree, and a comm check is over.
    fn apply_received(&mut self, received: &Received, again: bool) {
        let header = &received.header;
        let record = self.next_record;
        let Some(peer) = self.peers.get_mut(&header.from) else { return };
        let bearing = received.bearing.as_ref().map(crate::record::StoredBearing::get);
        let accepted = received.outcome == Outcome::Accepted;
        // What came back of a check is over.
        let asks = |bearing: &Bearing| opens(bearing) && !(again && matches!(bearing, Bearing::Check(_)));
        let open = (accepted && bearing.as_ref().is_some_and(asks)).then(|| OpenIn {
            record,
            digest: header.digest(),
            state: InState::Stored,
            wants: bearing.as_ref().map_or(Wants::Nothing, Wants::of),
            climb: Climb::from(received.at),
            arrival_told: false,
            promised_s: 0,
            within_s: header.acknowledge_within_s().unwrap_or(0),
            desk: header.desk,
            case: header.case,
            tlp: header.tlp,
            exercise: exercise(header),
            recalls: recalls::named(header, bearing.as_ref()),
            untold: None,
        });
        // What comes back erased could be recalled, and was.
        let was_recalled = again && received.outcome == Outcome::Withheld(WithheldReason::ERASED.0);
        let recallable = was_recalled || recalls::is_recallable(bearing.as_ref(), received.outcome);
        peer.durable.inbound[header.lane.index()].append(header, record, recallable, open);
        peer.durable.latest_received = Some(LaneMark { lane: header.lane, seq: header.seq, digest: header.digest() });
        peer.durable.stored_at = Some(received.at);
        peer.durable.agreement.received.count(header, received.at);
        if let Outcome::Refused(code) = received.outcome {
            owe_refusal(peer, header, code);
        }
        if let Some(Bearing::Line(_)) = bearing
            && !again
        {
            peer.durable.turns.count(received.at);
        }
        if let Some(stored) = received.bearing.as_ref().filter(|_| accepted) {
            attachments::name_theirs(peer, header, record, stored);
        }
        if let Some(bearing) = bearing.as_ref().filter(|_| accepted) {
            if !again {
                checks::received(&mut peer.durable, header, bearing, received.at);
            }
            hotline::moved(peer, &self.own, header, bearing, received.at);
        }
        let (Some(bearing), Some(reference)) = (bearing, answered(header)) else { return };
        if received.outcome == Outcome::Held {
            peer.durable.held.push(HeldAnswer { header: header.clone(), bearing: bearing.into(), at: received.at });
        } else if accepted && reference.envelope.from == self.own {
            let (lane, seq) = (reference.envelope.lane, reference.envelope.seq);
            answers::told(&mut peer.durable.out[lane.index()], seq, &bearing, received.at, header.sent_at);
            recalls::erased_there(peer, header, received.at);
            if matches!(bearing, Bearing::Refusal(_)) {
                fail_announced(peer, lane, seq);
            }
        }
    }

    fn apply_receipt(&mut self, receipted: &Receipted) {
        let Some(peer) = self.peers.get_mut(&receipted.peer) else { return };
        // Verified when it was written, so only its structure is read here.
        let Ok(receipt) = aldis_wire::receipt::Receipt::from_journal(&receipted.receipt) else { return };
        checks::receipted(&mut peer.durable, &receipt);
        // A commitment to nothing, of a journal's first commit, says nothing about it.
        if receipt.commitment != Digest::ZERO {
            peer.durable.commitment = Some(receipt.commitment);
        }
        for mark in receipt.stored.iter() {
            let lane = &mut peer.durable.out[mark.lane.index()];
            if mark.seq.get() > lane.receipted_seq() && mark.seq.get() <= lane.last_seq() {
                let ended = lane.receipt(mark.seq, mark.digest, receipted.at);
                peer.machines_words = peer.machines_words.saturating_sub(ended);
            }
            if let Some(announced) = &mut peer.durable.announced
                && announced.place.is_some_and(|(lane, seq)| lane == mark.lane && seq <= mark.seq)
            {
                announced.heard_at.get_or_insert(receipt.sent.seq(mark.lane));
            }
        }
    }

    fn apply_standing(&mut self, changed: &StandingChanged) {
        if let Some(peer) = self.peers.get_mut(&changed.peer) {
            let before = std::mem::replace(&mut peer.durable.standing, changed.standing);
            recovery::follow_standing(&mut peer.durable.recovery, before, changed.standing, self.run_gap);
            // It may have lost our terms and our card too.
            if changed.standing == Standing::PeerLostHistory {
                peer.durable.agreement.told = None;
                peer.durable.announced = None;
            }
        }
    }

    fn apply_trust(&mut self, changed: &TrustChanged) {
        if changed.act == Act::Recover {
            return self.apply_recovery_confirmed(changed);
        }
        self.next_agreement_look = Some(UnixMillis::new(0));
        let Some(peer) = self.peers.get_mut(&changed.peer) else { return };
        let durable = &mut peer.durable;
        if changed.act == Act::Revoke {
            durable.before_revocation = durable.trust;
        }
        durable.trust = changed.trust;
        // Taking a key makes the peer nothing else than it was: who revoked it, and when, stays known.
        if changed.act != Act::AcceptKey {
            durable.trusted = Some(changed.clone());
        }
    }

    fn apply_agreement(&mut self, peer: &NodeId, change: impl FnOnce(&mut Agreement)) {
        self.next_agreement_look = Some(UnixMillis::new(0));
        if let Some(peer) = self.peers.get_mut(peer) {
            change(&mut peer.durable.agreement);
        }
    }

    fn out_lane(&mut self, peer: &NodeId, lane: Lane, change: impl FnOnce(&mut crate::outbound::OutLane)) {
        if let Some(peer) = self.peers.get_mut(peer) {
            change(&mut peer.durable.out[lane.index()]);
        }
    }
}

/// Whether what was not relayed in its time goes without its body. An answer is never too late, nor the end of a
/// conversation, nor the word that a case is open again: whoever waits for it would wait for ever, and neither end would
/// know why (I8).
fn expires(bearing: &Bearing) -> bool {
    let ends = matches!(bearing, Bearing::Line(LinePart::Closed | LinePart::Unanswered));
    !ends && !matches!(bearing, Bearing::Answer(_) | Bearing::Refusal(_) | Bearing::Step(_))
}

/// Whether a peer's envelope waits for an answer of people here. The machine replies to a machine check at once: people never
/// see it open.
pub(crate) fn opens(bearing: &Bearing) -> bool {
    bearing.wants_answer() && *bearing != Bearing::Check(CheckPart::Machine)
}

/// The envelope an answer or refusal is about.
pub(crate) fn answered(header: &ExactHeader) -> Option<&Reference> {
    header.reference(ReferenceRole::ANSWERS)
}

/// While the records disagree nothing new is signed (I9), so the refusal waits. A refusal is never refused.
fn owe_refusal(peer: &mut Peer, header: &ExactHeader, code: RefusedAs) {
    if peer.durable.standing != Standing::Good && header.kind.as_str() != "refusal" {
        peer.durable.owed.push(OwedRefusal { header: header.clone(), code });
    }
}

/// The certificate of the card before stays good until the next one changes: the peer may still show it.
fn replace_card(peer: &mut Peer, card: VerifiedCard) {
    let before = std::mem::replace(&mut peer.durable.card, StoredCard(card));
    let (old, new) = (before.0.card(), peer.durable.card.0.card());
    if (&old.tls_certificate, &old.tls_name) != (&new.tls_certificate, &new.tls_name) {
        peer.durable.earlier_card = Some(before);
    }
}

/// A card of ours did not get to the peer.
fn fail_announced(peer: &mut Peer, lane: Lane, seq: Seq) {
    if let Some(announced) = peer.durable.announced.as_mut().filter(|announced| announced.is_at(lane, seq)) {
        announced.failed = true;
    }
}

fn exercise(header: &ExactHeader) -> Option<Box<str>> {
    header.exercise.as_ref().map(|name| name.as_str().into())
}

/// What a held answer answers has come: the answer takes effect.
fn join_held(peer: &mut Peer, header: &ExactHeader) {
    let fits = |held: &HeldAnswer| {
        answered(&held.header).is_some_and(|reference| {
            (reference.envelope.lane, reference.envelope.seq) == (header.lane, header.seq)
                && reference.digest == header.digest()
        })
    };
    let (joined, rest) = std::mem::take(&mut peer.durable.held).into_iter().partition(fits);
    peer.durable.held = rest;
    let joined: Vec<HeldAnswer> = joined;
    for held in joined {
        let lane = &mut peer.durable.out[header.lane.index()];
        answers::told(lane, header.seq, &held.bearing.get(), held.at, held.header.sent_at);
    }
}
