//! Snapshots: everything that follows from the journal so far, as bytes, so that a start reads open work and not history. The
//! state is held still in no time, and encoded while the core goes on.

use crate::ladder::AlertId;
use crate::limits::Limits;
use crate::peer::{Durable, Peer, StoredCard};
use crate::record::{Alarm, Climbed, DraftId, Drafted, Gap, RecordSeq, Restored};
use crate::state::Core;
use crate::trust::{ApprovalRequest, RequestId};
use aldis_wire::codec::{self, CodecError, Decode, Encode};
use aldis_wire::ids::{Incarnation, KeyId, NodeId, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

/// The structure's version; a program refuses one it does not know.
const VERSION: u16 = 8;
/// About what an open message takes in a snapshot, and what the rest does.
const OPEN_BYTES: usize = 64;
const REST_BYTES: usize = 64 * 1_024;

/// A snapshot cannot be used. Our own program wrote it, so it is damaged, or of a newer version.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes are not its structure.
    #[error("the snapshot of the node's state: {0}")]
    Malformed(#[from] CodecError),
    /// Another version.
    #[error(
        "the snapshot of the node's state has version {0}; this program reads {VERSION}: use the program that wrote it"
    )]
    Version(u16),
    /// The journal is another node's.
    #[error("the journal belongs to {found}, but the configuration is that of {expected}")]
    OtherNode {
        /// Whose configuration it is.
        expected: NodeId,
        /// Whose journal it is.
        found: NodeId,
    },
}

/// Everything that follows from the journal at one moment, held still.
#[derive(Debug)]
pub struct Frozen(Snapshot);

#[derive(Debug, Encode, Decode)]
struct Snapshot {
    version: u16,
    own: NodeId,
    incarnation: Option<Incarnation>,
    next_record: RecordSeq,
    peers: Vec<(NodeId, Durable)>,
    alarms: Vec<Alarm>,
    requests: Vec<(RequestId, ApprovalRequest)>,
    own_card: Option<StoredCard>,
    own_card_known: bool,
    latest_at: UnixMillis,
    alerts: Vec<(AlertId, Climbed)>,
    drafts: Vec<(DraftId, Drafted)>,
    last_export: Option<RecordSeq>,
    drafts_told: Vec<DraftId>,
    run_gap: Option<Gap>,
    restored: Option<Restored>,
}

impl Frozen {
    /// The snapshot, as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Self(snapshot) = self;
        codec::encode_large(snapshot, REST_BYTES + snapshot.open_entries() * OPEN_BYTES)
    }
}

impl Snapshot {
    /// How many messages of all peers are open, either way.
    fn open_entries(&self) -> usize {
        let of = |durable: &Durable| {
            let out: usize = durable.out.iter().map(|lane| lane.open.len()).sum();
            out + durable.inbound.iter().map(|lane| lane.open.len()).sum::<usize>()
        };
        self.peers.iter().map(|(_, durable)| of(durable)).sum()
    }
}

impl Core {
    /// The state of now. Take it only between batches. What is open is shared until the core changes it.
    pub fn freeze(&self) -> Frozen {
        Frozen(Snapshot {
            version: VERSION,
            own: self.own.clone(),
            incarnation: self.incarnation,
            next_record: self.next_record,
            peers: self.peers.iter().map(|(id, peer)| (id.clone(), peer.durable.clone())).collect(),
            alarms: self.alarms.values().cloned().collect(),
            requests: self.requests().map(|(id, request)| (id, request.clone())).collect(),
            own_card: self.own_card.clone(),
            own_card_known: self.own_card_known,
            latest_at: self.latest_at,
            alerts: self.alerts.iter().map(|(id, climbed)| (*id, climbed.clone())).collect(),
            drafts: self.drafts().map(|(id, drafted)| (id, drafted.clone())).collect(),
            last_export: self.last_export,
            drafts_told: self.drafts_told.iter().copied().collect(),
            run_gap: self.run_gap,
            restored: self.restored.clone(),
        })
    }

    /// The snapshot of now. Take it only between batches.
    pub fn snapshot(&self) -> Vec<u8> {
        self.freeze().encode()
    }

    /// The core a snapshot was taken of; records that follow it are applied one by one.
    pub fn from_snapshot(bytes: &[u8], own: NodeId, key_id: KeyId, limits: Limits) -> Result<Self, SnapshotError> {
        let snapshot: Snapshot = codec::decode_stored(bytes)?;
        if snapshot.version != VERSION {
            return Err(SnapshotError::Version(snapshot.version));
        }
        if snapshot.own != own {
            return Err(SnapshotError::OtherNode { expected: own, found: snapshot.own });
        }
        let peers = snapshot.peers.into_iter().map(|(id, durable)| (id, Peer::recovered(durable)));
        let alarms = snapshot.alarms.into_iter().map(|alarm| ((alarm.code.clone(), alarm.peer.clone()), alarm));
        Ok(Self {
            own,
            key_id,
            limits,
            incarnation: snapshot.incarnation,
            peers: peers.collect(),
            alarms: alarms.collect(),
            requests: snapshot.requests.into_iter().collect(),
            drafts: snapshot.drafts.into_iter().collect(),
            drafts_told: snapshot.drafts_told.into_iter().collect(),
            own_card: snapshot.own_card,
            own_card_known: snapshot.own_card_known,
            next_record: snapshot.next_record,
            batches: 0,
            // Not known yet: the first look finds out.
            next_expiry: Some(UnixMillis::new(0)),
            next_agreement_look: Some(UnixMillis::new(0)),
            latest_at: snapshot.latest_at,
            alerts: snapshot.alerts.into_iter().collect(),
            alerts_due: BTreeMap::new(),
            silences_changed: BTreeSet::new(),
            run_gap: snapshot.run_gap,
            restored: snapshot.restored,
            certificate_valid_until: None,
            last_export: snapshot.last_export,
        })
    }
}
