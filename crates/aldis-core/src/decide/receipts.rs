//! A peer's receipt: it may only name what we signed. It moves deliveries to `stored`, and that is told only after the
//! receipt itself is on our disk (I3).

use super::envelopes::close;
use super::tell;
use crate::batch::Batch;
use crate::effect::{Delivery, Happening};
use crate::ladder::Duty;
use crate::moment::Moment;
use crate::peer::{LinkId, Peer};
use crate::record::{Receipted, Record, Standing};
use crate::state::Core;
use aldis_wire::codec::Blob;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::receipt::VerifiedReceipt;

/// What a peer's account of our lanes says about the two records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// It fits.
    Agrees,
    /// The peer names places that our journal does not have.
    PeerHoldsMore,
    /// The peer has less than it had receipted.
    PeerHoldsLess,
    /// Another digest stands at a place both have.
    Contradicts,
}

/// Compares what a peer says it holds of ours with what we signed. A digest we no longer keep is not compared.
pub(super) fn compare(peer: &Peer, theirs: &Marks) -> Agreement {
    let mut worst = Agreement::Agrees;
    for lane in Lane::ALL {
        let ours = &peer.durable.out[lane.index()];
        let held = theirs.seq(lane);
        if held > ours.last_seq() {
            return Agreement::PeerHoldsMore;
        }
        if held < ours.receipted_seq() {
            worst = Agreement::PeerHoldsLess;
        }
        if let Some((seq, digest)) = theirs.get(lane)
            && ours.digest_at(seq).is_some_and(|known| known != digest)
        {
            return Agreement::Contradicts;
        }
    }
    worst
}

impl Core {
    pub(super) fn receipt_came(&mut self, moment: Moment, link: LinkId, receipt: &VerifiedReceipt, batch: &mut Batch) {
        let said = receipt.receipt();
        let from = said.from.clone();
        let Some(peer) = self.peers.get(&from).filter(|peer| peer.is_verified()) else { return };
        let disagrees = match compare(peer, &said.stored) {
            // Less than before: an old receipt that a newer one overtook when links crossed. It proves nothing new.
            Agreement::Agrees | Agreement::PeerHoldsLess => None,
            Agreement::PeerHoldsMore => Some("names messages that our journal does not have: were we restored?"),
            Agreement::Contradicts => Some("names another message than the one in our journal"),
        };
        if let Some(what) = disagrees {
            // Once is enough: the link stays, so that what was lost can be fetched over it.
            if peer.durable.standing == Standing::WeLostHistory {
                return self.note_claim(moment, &from, &said.stored, &Marks::default(), batch);
            }
            let text = format!("a receipt of {from} {what}");
            self.change_standing(moment, &from, Standing::WeLostHistory, &text, None, batch);
            self.note_claim(moment, &from, &said.stored, &Marks::default(), batch);
            return close(batch, link, GoodbyeCode::RECORDS_DISAGREE, None, &text);
        }
        // What became of these before they left is part of what was lost, and is fetched first.
        let never_left = |lane: Lane| said.stored.seq(lane) > peer.durable.out[lane.index()].relayed;
        if peer.durable.standing == Standing::WeLostHistory && Lane::ALL.into_iter().any(never_left) {
            return;
        }
        let news = self.newly_stored(&from, &said.stored);
        if news.is_empty() {
            return;
        }
        let stored = Blob::new(receipt.bytes().to_vec()).expect("a verified receipt is bounded");
        let record = Receipted { peer: from.clone(), receipt: stored, at: moment.wall };
        self.decided(batch, Record::Receipted(record));
        for id in news {
            // From here on its people's answer is waited for.
            self.plan(moment, &from, Duty::Answer(id.lane, id.seq));
            tell(batch, Happening::Delivery(id, Delivery::Stored));
        }
        for lane in Lane::ALL {
            self.plan(moment, &from, Duty::Receipt(lane));
        }
        // The peer takes our mail again, so whatever it found has ended.
        self.clear(moment, "peer-finds-records-disagree", Some(&from), batch);
        self.tell_untold(moment, &from, batch);
        self.receipt_progress(moment, &from);
        batch.transmit_to(&from);
    }

    /// The envelopes a receipt covers that no earlier one did.
    fn newly_stored(&self, peer: &NodeId, stored: &Marks) -> Vec<EnvelopeId> {
        let Some(known) = self.peers.get(peer) else { return Vec::new() };
        let mut news = Vec::new();
        for mark in stored.iter() {
            let first = known.durable.out[mark.lane.index()].receipted_seq() + 1;
            let seqs = (first..=mark.seq.get()).filter_map(Seq::new);
            news.extend(seqs.map(|seq| EnvelopeId { from: self.own.clone(), to: peer.clone(), lane: mark.lane, seq }));
        }
        news
    }
}
