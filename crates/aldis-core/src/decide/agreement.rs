//! Agreements: our terms on their way to a peer, the peer's terms taken, and both enforced. What breaks either side's
//! terms is declined before it is signed here, and refused, with a signed code, when it comes from there.

use super::submit::Letter;
use super::{reply, tell};
use crate::agreement::{Agreement, breach};
use crate::batch::Batch;
use crate::effect::{Declined, Done, Happening};
use crate::input::Token;
use crate::moment::Moment;
use crate::peer::{Peer, UpLink};
use crate::record::{AgreementSet, AgreementTaken, Outcome, Record, Standing};
use crate::state::{Core, words};
use crate::trust::Person;
use aldis_wire::codec::List;
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, UnixMillis};
use aldis_wire::kinds::{Attached, Bearing, RefusalCode, Summary, Terms};
use aldis_wire::lane::Lane;
use bytes::Bytes;

/// The lane in which terms travel, with the cards.
const TERMS_LANE: Lane = Lane::Immediate;

/// How long before terms run out an alarm says so, in milliseconds.
const WARNING_MS: u64 = 14 * 24 * 3_600_000;

impl Core {
    /// An administrator sets our terms towards a peer.
    pub(super) fn set_agreement(
        &mut self,
        moment: Moment,
        token: Token,
        peer: &NodeId,
        terms: Terms,
        by: Person,
        batch: &mut Batch,
    ) {
        if let Err(declined) = self.check_terms(moment, peer, &terms) {
            return reply(batch, token, Err(declined));
        }
        let set = AgreementSet { peer: peer.clone(), terms, by, at: moment.wall };
        self.decided(batch, Record::AgreementSet(set));
        self.clear(moment, "agreement-not-taken", Some(peer), batch);
        self.agreement_changed(moment, peer, batch);
        self.tell_terms(moment, peer, batch);
        reply(batch, token, Ok(Done::AgreementSet(peer.clone())));
    }

    fn check_terms(&self, moment: Moment, peer: &NodeId, terms: &Terms) -> Result<(), Declined> {
        let known = self.peers.get(peer).ok_or_else(|| Declined::UnknownPeer(peer.clone()))?;
        terms.check().map_err(Declined::Terms)?;
        if terms.expires_at <= moment.wall {
            return Err(Declined::Terms(format!("{} has passed: terms must be good for a while", terms.expires_at)));
        }
        if let Some(ours) = known.durable.agreement.ours.as_ref().filter(|ours| ours.sequence >= terms.sequence) {
            let text = format!("terms number {} are in force; look at them again, and set newer ones", ours.sequence);
            return Err(Declined::Terms(text));
        }
        Ok(())
    }

    /// Sends our terms to a peer that is there, unless that was done.
    pub(super) fn tell_terms(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let Some(known) = self.peers.get(peer) else { return };
        let agreement = &known.durable.agreement;
        let Some(terms) = agreement.ours.as_ref().filter(|_| agreement.told.is_none()) else { return };
        let kind = Code::known("agreement");
        // A peer that does not read the kind cannot be told; our side is enforced all the same.
        let reads = known.reads(&kind);
        let lets_us_in = known.up().is_some_and(UpLink::lets_us_in);
        if !reads || !known.is_verified() || !lets_us_in || known.durable.standing != Standing::Good {
            return;
        }
        let letter = Letter {
            to: peer,
            also_to: List::empty(),
            desk: Desk::TECHNICAL,
            lane: TERMS_LANE,
            expires_at: moment.wall.plus_ms(self.limits.refusal_lifetime_ms),
            case: CaseId(moment.salt(b"terms")),
            references: List::empty(),
            author: self.machine(),
            on_behalf_of: None,
            tlp: Tlp::AMBER,
            exercise: None,
            kind,
            kind_version: 1,
            salt: moment.salt(peer.as_str().as_bytes()),
            body: Bytes::from(terms.body()),
            bearing: Bearing::Agreement,
            by: words("node"),
            acknowledge_within_s: None,
        };
        if let Ok((draft, body)) = self.draft(moment, letter) {
            self.decided_to_send(moment, batch, draft, body);
            batch.transmit_to(peer);
        }
    }

    /// What becomes of terms that a peer sends.
    pub(super) fn place_terms(&self, moment: Moment, header: &ExactHeader, summary: &Summary) -> (Outcome, String) {
        let refused = |code, text| (Outcome::refused(code), text);
        let Some(Attached::Terms(terms)) = &summary.attached else {
            return refused(RefusalCode::MalformedBody, String::new());
        };
        let terms: &Terms = terms;
        let known = self.peers.get(&header.from).and_then(|peer| peer.durable.agreement.theirs.as_ref());
        if known == Some(terms) {
            return (Outcome::Accepted, String::new());
        }
        if let Some(known) = known.filter(|known| known.sequence >= terms.sequence) {
            let text = format!("number {}, where number {} is known", terms.sequence, known.sequence);
            return refused(RefusalCode::TermsNotTaken, text);
        }
        if terms.expires_at <= moment.wall {
            return refused(RefusalCode::TermsNotTaken, format!("they ran out at {}", terms.expires_at));
        }
        (Outcome::Accepted, String::new())
    }

    /// Takes terms that were found good.
    pub(super) fn take_terms(&mut self, moment: Moment, peer: &NodeId, terms: Terms, batch: &mut Batch) {
        let known = self.peers.get(peer).and_then(|known| known.durable.agreement.theirs.as_ref());
        if known == Some(&terms) {
            return;
        }
        let taken = AgreementTaken { peer: peer.clone(), terms, at: moment.wall };
        self.decided(batch, Record::AgreementTaken(taken));
        self.agreement_changed(moment, peer, batch);
    }

    /// The peer refused our terms: people must speak about it.
    pub(super) fn terms_refused(&mut self, moment: Moment, message: &EnvelopeId, code: &Code, batch: &mut Batch) {
        let place = Some((message.lane, message.seq));
        if self.peers.get(&message.to).is_some_and(|known| known.durable.agreement.told == place) {
            let text = format!(
                "{peer} did not take our terms ({code}); ask its administrators, then set new ones with `aldis peer \
                 agreement {peer} --set`",
                peer = message.to
            );
            self.raise(moment, "agreement-not-taken", Some(&message.to), &text, batch);
        }
    }

    /// Whether a message to a peer is within the terms of both sides.
    pub(super) fn check_agreed(&self, moment: Moment, header: &ExactHeader) -> Result<(), Declined> {
        let Some(known) = self.peers.get(&header.to) else { return Ok(()) };
        let agreement = &known.durable.agreement;
        for (whose, terms) in self.terms_of(&header.to, agreement) {
            if let Some(broken) = breach(terms, &agreement.sent, header, moment.wall) {
                let (peer, whose) = (header.to.clone(), whose.clone());
                return Err(Declined::NotAgreed { peer, whose, sequence: terms.sequence, what: broken });
            }
        }
        Ok(())
    }

    /// Why a peer's message is not within the terms of both sides.
    pub(super) fn disagreement(
        &self,
        moment: Moment,
        peer: &Peer,
        header: &ExactHeader,
    ) -> Option<(RefusalCode, String)> {
        let agreement = &peer.durable.agreement;
        self.terms_of(&header.from, agreement).find_map(|(whose, terms)| {
            let broken = breach(terms, &agreement.received, header, moment.wall)?;
            Some((broken.code(), format!("terms {} of {whose}: {broken}", terms.sequence)))
        })
    }

    fn terms_of<'a>(
        &'a self,
        peer: &'a NodeId,
        agreement: &'a Agreement,
    ) -> impl Iterator<Item = (&'a NodeId, &'a Terms)> {
        let ours = agreement.ours.iter().map(|terms| (&self.own, terms));
        ours.chain(agreement.theirs.iter().map(move |terms| (peer, terms)))
    }

    fn agreement_changed(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        self.clear(moment, "agreement-expires", Some(peer), batch);
        self.clear(moment, "agreement-expired", Some(peer), batch);
        self.agreements_due(moment, batch);
        tell(batch, Happening::AgreementChanged(peer.clone()));
    }

    /// Says of every verified peer whether the agreement with it has run out, or soon will.
    pub(super) fn agreements_due(&mut self, moment: Moment, batch: &mut Batch) {
        let verified = self.peers.iter().filter(|(_, peer)| peer.is_verified());
        let ends = verified.filter_map(|(id, peer)| Some((id.clone(), peer.durable.agreement.ends_at()?)));
        let ends: Vec<(NodeId, UnixMillis)> = ends.collect();
        self.next_agreement_look = None;
        for (peer, ends_at) in ends {
            let look_at = self.agreement_due(moment, &peer, ends_at, batch);
            let looks = [self.next_agreement_look, look_at];
            self.next_agreement_look = looks.into_iter().flatten().min();
        }
    }

    /// The next time to look again.
    fn agreement_due(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        ends_at: UnixMillis,
        batch: &mut Batch,
    ) -> Option<UnixMillis> {
        let warns_at = UnixMillis::new(ends_at.get().saturating_sub(WARNING_MS));
        if moment.wall < warns_at {
            return Some(warns_at);
        }
        let advice = format!("see `aldis peer agreement {peer}`, and set or ask for new terms");
        if moment.wall < ends_at {
            let text = format!("the agreement with {peer} runs out at {ends_at}; after that only answers go. {advice}");
            self.raise(moment, "agreement-expires", Some(peer), &text, batch);
            return Some(ends_at);
        }
        self.clear(moment, "agreement-expires", Some(peer), batch);
        let text = format!("the agreement with {peer} ran out at {ends_at}; only answers go either way. {advice}");
        self.raise(moment, "agreement-expired", Some(peer), &text, batch);
        None
    }
}
