//! What stands in a node's journal, read from its records alone. It knows nothing of the core's state.

use aldis_core::checks::CheckEnd;
use aldis_core::record::{DraftEnd, Outcome, Record, Sent, Standing};
use aldis_core::trust::{Act, Trust};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codes::Tlp;
use aldis_wire::digest::Digest;
use aldis_wire::header::{ExactHeader, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, KeyId, NodeId};
use aldis_wire::kinds::Bearing;
use aldis_wire::receipt::Receipt;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// One journal.
#[derive(Default)]
pub(super) struct Ledger {
    /// How many records were read, and a hash over them.
    pub(super) read: usize,
    hash: DefaultHasher,
    pub(super) peers: BTreeMap<NodeId, Account>,
    /// Records whose bodies were erased.
    pub(super) erased: BTreeSet<usize>,
    /// How many drafts nobody released in time.
    pub(super) drafts_expired: u64,
    /// How many checks of a peer, of machines or of people, nothing came of since something did.
    pub(super) missed: BTreeMap<(NodeId, bool), u64>,
}

/// What it says about one peer.
#[derive(Default)]
pub(super) struct Account {
    pub(super) lanes: [Stream; 4],
    pub(super) trust: Option<Trust>,
    pub(super) standing: Option<Standing>,
    /// In which record it was last put aside, or only asked for.
    pub(super) aside_at: usize,
    /// The key in force, the one that was taken for later, and those that ended, with their last places.
    pub(super) key: Option<KeyId>,
    pub(super) next_key: Option<KeyId>,
    pub(super) ended: Vec<(KeyId, [u64; 4])>,
}

/// Both directions of a lane.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) sent: Vec<Row>,
    pub(super) received: Vec<Row>,
    /// Receipts by the place they cover: in which record each stands.
    pub(super) receipted: BTreeMap<u64, usize>,
    pub(super) relayed: BTreeMap<u64, usize>,
    /// What goes without its body: it expired, or was taken back.
    pub(super) bodiless: BTreeSet<u64>,
}

/// An envelope in a journal.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// In which record.
    pub(super) at: usize,
    pub(super) id: EnvelopeId,
    pub(super) digest: Digest,
    pub(super) kind: String,
    pub(super) bearing: Option<Bearing>,
    pub(super) tlp: Tlp,
    pub(super) exercise: Option<String>,
    pub(super) answers: Option<(EnvelopeId, Digest)>,
    /// What became of it, if it came from the peer.
    pub(super) outcome: Option<Outcome>,
}

impl Row {
    fn new(at: usize, header: &ExactHeader, bearing: Option<Bearing>, outcome: Option<Outcome>) -> Self {
        let answers = header.reference(ReferenceRole::ANSWERS);
        Self {
            at,
            id: header.id(),
            digest: header.digest(),
            kind: header.kind.to_string(),
            bearing,
            tlp: header.tlp,
            exercise: header.exercise.as_ref().map(ToString::to_string),
            answers: answers.map(|reference| (reference.envelope.clone(), reference.digest)),
            outcome,
        }
    }
}

impl Account {
    /// Which key may have signed a place of the peer's.
    pub(super) fn key_for(&self, lane: usize, seq: u64) -> Option<KeyId> {
        let ended = self.ended.iter().find(|(_, last)| seq <= last[lane]);
        ended.map(|(key, _)| *key).or(self.key)
    }
}

impl Ledger {
    /// A hash over what was read, to be compared with one over the same records later.
    pub(super) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub(super) fn account(&self, peer: &NodeId) -> Option<&Account> {
        self.peers.get(peer)
    }

    /// The row of an envelope, whichever way it went.
    pub(super) fn row(&self, own: &NodeId, id: &EnvelopeId) -> Option<&Row> {
        let (peer, ours) = if id.from == *own { (&id.to, true) } else { (&id.from, false) };
        let stream = &self.peers.get(peer)?.lanes[id.lane.index()];
        let rows = if ours { &stream.sent } else { &stream.received };
        rows.get(usize::try_from(id.seq.get() - 1).ok()?)
    }

    /// Takes in one record, and checks what a record must hold by itself (I4, I5, I9).
    pub(super) fn take(&mut self, bytes: &[u8], record: &Record) {
        bytes.hash(&mut self.hash);
        let at = self.read;
        self.read += 1;
        match record {
            Record::Sent(sent) => self.take_sent(at, sent),
            Record::Received(received) => {
                let (header, account) = (&received.header, self.peers.entry(received.header.from.clone()).or_default());
                super::invariants::i4_of_a_verified_peer_under_its_key(account, header);
                let bearing = received.bearing.as_ref().map(aldis_core::record::StoredBearing::get);
                let lane = &mut account.lanes[header.lane.index()].received;
                super::invariants::i5_gap_free_and_linked(lane, header);
                lane.push(Row::new(at, header, bearing, Some(received.outcome)));
            }
            Record::Receipted(receipted) => {
                let receipt = Receipt::from_journal(&receipted.receipt).expect("a receipt reads back");
                let account = self.peers.entry(receipted.peer.clone()).or_default();
                for mark in receipt.stored.iter() {
                    account.lanes[mark.lane.index()].receipted.entry(mark.seq.get()).or_insert(at);
                }
            }
            Record::Relayed(relayed) => {
                let account = self.peers.entry(relayed.peer.clone()).or_default();
                account.lanes[relayed.lane.index()].relayed.entry(relayed.through.get()).or_insert(at);
            }
            Record::Expired(expired) => self.goes_bodiless(&expired.peer, expired.lane.index(), expired.seq.get()),
            Record::Recalled(recalled) => self.goes_bodiless(&recalled.peer, recalled.lane.index(), recalled.seq.get()),
            Record::BodyErased(erased) => {
                self.erased.insert(usize::try_from(erased.record.0).expect("a short journal"));
            }
            Record::Standing(changed) => {
                self.peers.entry(changed.peer.clone()).or_default().standing = Some(changed.standing);
            }
            Record::DraftEnded(ended) => self.drafts_expired += u64::from(ended.end == DraftEnd::Expired),
            Record::Checked(checked) => {
                let missed = self.missed.entry((checked.peer.clone(), checked.human)).or_default();
                *missed = match checked.end {
                    CheckEnd::Missed => *missed + 1,
                    // A machine that refuses says nothing about people.
                    CheckEnd::Refused(_) if checked.human => *missed,
                    _ => 0,
                };
            }
            _ => self.take_key(record),
        }
    }

    fn take_sent(&mut self, at: usize, sent: &Sent) {
        let header = &sent.draft.header;
        let account = self.peers.entry(header.to.clone()).or_default();
        super::invariants::i9_nothing_new_for_whom_the_records_disagree(account, header);
        let lane = &mut account.lanes[header.lane.index()].sent;
        super::invariants::i5_gap_free_and_linked(lane, header);
        lane.push(Row::new(at, header, Some(sent.draft.bearing.get()), None));
    }

    fn goes_bodiless(&mut self, peer: &NodeId, lane: usize, seq: u64) {
        let stream = &mut self.peers.entry(peer.clone()).or_default().lanes[lane];
        let relayed = stream.relayed.last_key_value().map_or(0, |(through, _)| *through);
        assert!(relayed < seq, "i6: {peer} {lane} {seq} was relayed whole and then lost its body");
        stream.bodiless.insert(seq);
    }

    /// Cards, keys and trust.
    fn take_key(&mut self, record: &Record) {
        match record {
            Record::PeerAdded(added) => {
                let card = VerifiedCard::from_signed_bytes(&added.card).expect("a card reads back");
                let account = self.peers.entry(card.card().id.clone()).or_default();
                (account.key, account.trust) = (Some(card.key().id()), Some(Trust::Pending));
            }
            Record::TrustChanged(changed) => {
                let account = self.peers.entry(changed.peer.clone()).or_default();
                account.trust = Some(changed.trust);
                if changed.trust != Trust::Verified {
                    account.aside_at = self.read - 1;
                }
                if changed.act == Act::AcceptKey {
                    account.next_key = Some(changed.key);
                }
                let alone = changed.approved_by.as_ref().is_none_or(|second| second.uid == changed.by.uid);
                assert!(!alone || !changed.act.takes_two(), "i4: one person alone let a peer in: {changed:?}");
            }
            Record::PeerKeySwitched(switched) => {
                let account = self.peers.entry(switched.peer.clone()).or_default();
                let key = account.key.expect("a peer has a key");
                account.ended.push((key, switched.last));
                account.key = account.next_key.take();
                assert!(account.key.is_some(), "i4: {} speaks with a key that nobody has taken", switched.peer);
            }
            _ => {}
        }
    }
}
