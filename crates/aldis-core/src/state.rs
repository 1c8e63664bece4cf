//! The state of the core and how it is read. It changes only in `apply` (what follows from the journal) and in the link
//! state of a peer (what is forgotten at every start).

use crate::batch::Batch;
use crate::ladder::AlertId;
use crate::limits::Limits;
use crate::peer::{Peer, StoredCard};
use crate::record::{Alarm, Climbed, DraftId, Drafted, Gap, RecordSeq, Restored};
use crate::trust::{ApprovalRequest, RequestId};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::header::PROTOCOL_VERSION;
use aldis_wire::ids::{Incarnation, KeyId, NodeId, UnixMillis};
use aldis_wire::receipt::Receipt;
use std::collections::{BTreeMap, BTreeSet};

/// The state machine of one node.
#[derive(Debug)]
pub struct Core {
    pub(crate) own: NodeId,
    pub(crate) key_id: KeyId,
    pub(crate) limits: Limits,
    /// This run's number; `None` until [`Core::start`] has journalled one.
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    pub(crate) alarms: BTreeMap<(Code, Option<NodeId>), Alarm>,
    /// Acts that wait for a second person.
    pub(crate) requests: BTreeMap<RequestId, ApprovalRequest>,
    /// Messages that wait for a second person.
    pub(crate) drafts: BTreeMap<DraftId, Drafted>,
    /// Drafts of which people were told that they still wait.
    pub(crate) drafts_told: BTreeSet<DraftId>,
    /// Our newest card.
    pub(crate) own_card: Option<StoredCard>,
    /// Whether every peer has it.
    pub(crate) own_card_known: bool,
    pub(crate) next_record: RecordSeq,
    /// How many batches this run has begun.
    pub(crate) batches: u64,
    /// When the next unrelayed envelope may expire, as far as known; looked at again from then on.
    pub(crate) next_expiry: Option<UnixMillis>,
    /// When an agreement may have to be warned of, as far as known; looked at again from then on.
    pub(crate) next_agreement_look: Option<UnixMillis>,
    /// The time of the journal's last record that has one.
    pub(crate) latest_at: UnixMillis,
    /// Steps whose alerts are on their way to people.
    pub(crate) alerts: BTreeMap<AlertId, Climbed>,
    /// When each of them is given up, on the monotonic clock in milliseconds.
    pub(crate) alerts_due: BTreeMap<AlertId, u64>,
    /// Peers towards which a silence may have begun or ended since the alarms were last looked at.
    pub(crate) silences_changed: BTreeSet<NodeId>,
    /// From the latest time of the run before to the start of this one.
    pub(crate) run_gap: Option<Gap>,
    /// The journal was restored from a backup: peers that are added are compared with before anything is signed for them.
    pub(crate) restored: Option<Restored>,
    /// Until when the certificate is good that this node shows on links, as far as it was told.
    pub(crate) certificate_valid_until: Option<UnixMillis>,
    /// The latest record that says that bodies were given out.
    pub(crate) last_export: Option<RecordSeq>,
}

impl Core {
    /// A core without history, for the node `own` that signs with the key `key_id`.
    pub fn new(own: NodeId, key_id: KeyId, limits: Limits) -> Self {
        Self {
            own,
            key_id,
            limits,
            incarnation: None,
            peers: BTreeMap::new(),
            alarms: BTreeMap::new(),
            requests: BTreeMap::new(),
            drafts: BTreeMap::new(),
            drafts_told: BTreeSet::new(),
            own_card: None,
            own_card_known: false,
            next_record: RecordSeq(0),
            batches: 0,
            next_expiry: None,
            next_agreement_look: None,
            latest_at: UnixMillis::new(0),
            alerts: BTreeMap::new(),
            alerts_due: BTreeMap::new(),
            silences_changed: BTreeSet::new(),
            run_gap: None,
            restored: None,
            certificate_valid_until: None,
            last_export: None,
        }
    }

    /// The node this core decides for.
    pub fn own(&self) -> &NodeId {
        &self.own
    }

    /// This run's number.
    ///
    /// # Panics
    /// Before [`Core::start`].
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation.expect("the core was started before it is asked to sign")
    }

    /// The author of what the machine itself says.
    pub(crate) fn machine(&self) -> Text<128> {
        words(&format!("node {}", self.own))
    }

    /// The number the next record will have: how many records were applied.
    pub fn next_record(&self) -> RecordSeq {
        self.next_record
    }

    /// An empty batch for the next group commit.
    pub fn batch(&mut self) -> Batch {
        self.batches += 1;
        Batch::new(self.batches, self.next_record)
    }

    /// A peer.
    pub fn peer(&self, id: &NodeId) -> Option<&Peer> {
        self.peers.get(id)
    }

    /// Our newest card, once one was journalled, and whether every peer has it.
    pub fn own_card(&self) -> Option<(&VerifiedCard, bool)> {
        self.own_card.as_ref().map(|own| (&own.0, self.own_card_known))
    }

    /// The key new peers are given: that of our newest card.
    pub(crate) fn newest_key(&self) -> KeyId {
        self.own_card.as_ref().map_or(self.key_id, |own| own.0.key().id())
    }

    /// All peers, by id.
    pub fn peers(&self) -> impl Iterator<Item = (&NodeId, &Peer)> {
        self.peers.iter()
    }

    /// The alarms that last.
    pub fn alarms(&self) -> impl Iterator<Item = &Alarm> {
        self.alarms.values()
    }

    /// The acts that wait for a second person.
    pub fn requests(&self) -> impl Iterator<Item = (RequestId, &ApprovalRequest)> {
        self.requests.iter().map(|(id, request)| (*id, request))
    }

    /// The messages that wait for a second person.
    pub fn drafts(&self) -> impl Iterator<Item = (DraftId, &Drafted)> {
        self.drafts.iter().map(|(id, draft)| (*id, draft))
    }

    /// The receipt this node owes a peer now, over everything of the peer's that is on disk (I2: ask only after a commit).
    /// `commitment` fixes our journal as of an earlier commit; what we hold of the peer's is named beside it.
    pub fn receipt(&self, peer: &NodeId, now: UnixMillis, commitment: Digest) -> Option<Receipt> {
        let known = self.peers.get(peer)?;
        Some(Receipt {
            version: PROTOCOL_VERSION,
            key_id: known.durable.own_key,
            incarnation: self.incarnation(),
            from: self.own.clone(),
            to: peer.clone(),
            stored: known.received_marks(),
            sent: known.sent_marks(),
            stored_at: known.durable.stored_at.unwrap_or(now),
            commitment,
            extensions: Receipt::extensions_with(known.durable.commitment),
        })
    }
}

/// Cuts a text of ours to a field.
pub(crate) fn words<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::cut(text)
}
