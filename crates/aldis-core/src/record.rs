//! Records: what the journal holds, one per decision. Everything the core knows follows from them in order; bodies lie
//! beside their records and are never needed to apply one. Variants are only ever added at the end.

mod agreement;
mod attachments;
mod bearing;
mod beside;
mod cards;
mod checks;
mod drafts;
mod erasure;
mod export;
mod ladder;
mod recall;
mod recovery;

pub use agreement::{AgreementSet, AgreementTaken};
pub use attachments::{AttachmentHeld, AttachmentLost, AttachmentTaken, LostReason, Named};
pub use bearing::StoredBearing;
pub use cards::{
    Announcement, CardBytes, CardTaken, KeyOffered, OfferEnded, OwnCardAnnounced, OwnCardKnown, OwnCardMade,
    OwnKeySwitched, PeerKeySwitched,
};

pub use checks::Checked;
pub use drafts::{DraftBody, DraftEnd, DraftEnded, DraftId, DraftOpened, Drafted, Long, LongFlash};
pub use erasure::BodyErased;
pub use export::{EXPORTED_MAX, Exported};
pub use ladder::{Alerted, Climbed};
pub use recall::Recalled;
pub(crate) use recovery::contradiction;
pub use recovery::{BODILESS_NAMED_MAX, Claimed, Gap, GivenBare, RecoveryEnd, RecoveryEnded, Restored, UnknownKey};

use crate::trust::{ApprovalRequest, RequestEnded, TrustChanged};
use aldis_wire::codec::{self, Blob, CodecError, Decode, Encode, Text};
use aldis_wire::codes::Code;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, Incarnation, NodeId, Seq, UnixMillis};
use aldis_wire::kinds::RefusalCode;
use aldis_wire::lane::Lane;
use aldis_wire::proof::PROOF_MAX_BYTES;

/// The number of a record in the journal: the first is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct RecordSeq(pub u64);

/// One journalled fact.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Record {
    /// The node started.
    Started(Started),
    /// The node stopped in good order.
    Stopped(UnixMillis),
    /// A peer was enrolled, or its card replaced.
    PeerAdded(PeerAdded),
    /// We signed an envelope. Its salt and body lie beside the record.
    Sent(Sent),
    /// A peer's envelope took its place. Its salt and body, if they came, lie beside the record.
    Received(Received),
    /// A peer's receipt moved at least one lane on.
    Receipted(Receipted),
    /// Envelopes were handed to a link.
    Relayed(Relayed),
    /// An envelope expired before it was relayed; its header will travel without its body.
    Expired(Expired),
    /// A peer's bytes in a lane did not verify.
    Strike(Strike),
    /// An administrator opened a blocked lane again.
    LaneUnblocked(LaneUnblocked),
    /// What we make of a peer's records changed.
    Standing(StandingChanged),
    /// An alarm began.
    AlarmRaised(Alarm),
    /// An alarm ended.
    AlarmCleared(AlarmCleared),
    /// A held answer was given up.
    HeldGivenUp(HeldGivenUp),
    /// The peer has blocked a lane of ours.
    LaneBlockedByPeer(LaneBlockedByPeer),
    /// An act waits for a second person; its id is the place of this record.
    Requested(ApprovalRequest),
    /// Such a request ended.
    RequestEnded(RequestEnded),
    /// An act was carried out on a peer.
    TrustChanged(TrustChanged),
    /// The node made a new card of its own.
    OwnCardMade(OwnCardMade),
    /// A peer was sent our card.
    OwnCardAnnounced(OwnCardAnnounced),
    /// Every peer has our newest card.
    OwnCardKnown(OwnCardKnown),
    /// From here on our newest key signs what goes to a peer.
    OwnKeySwitched(OwnKeySwitched),
    /// A peer's new card took the place of the one before.
    CardTaken(CardTaken),
    /// A card with another identity key waits for our administrators.
    KeyOffered(KeyOffered),
    /// The administrators have decided about it.
    OfferEnded(OfferEnded),
    /// A peer speaks with its next key.
    PeerKeySwitched(PeerKeySwitched),
    /// Somebody here opened a TLP:RED message.
    Opened(Opened),
    /// Our terms towards a peer were set.
    AgreementSet(AgreementSet),
    /// A peer's new terms took the place of the ones before.
    AgreementTaken(AgreementTaken),
    /// A step of the ladder was taken.
    Climbed(Climbed),
    /// What became of its alert.
    Alerted(Alerted),
    /// The body beside a record was erased.
    BodyErased(BodyErased),
    /// An operator took a message of ours back before it was relayed; its header will travel without its body.
    Recalled(Recalled),
    /// A message waits for another person to release it; its id is the place of this record.
    Drafted(Drafted),
    /// Such a draft ended.
    DraftEnded(DraftEnded),
    /// Somebody here opened a TLP:RED draft.
    DraftOpened(DraftOpened),
    /// A FLASH is longer than it should be, and somebody said why.
    LongFlash(LongFlash),
    /// A comm check of ours ended.
    Checked(Checked),
    /// Somebody here took messages out of the node's care.
    Exported(Exported),
    /// An envelope that was lost here came back from the peer, which had it or had sent it: as it was signed, and when it
    /// came back. Its salt and body, if anybody holds them, lie beside the record.
    Recovered(Received),
    /// What came back of a history that was lost, and what did not.
    RecoveryEnded(RecoveryEnded),
    /// The journal was restored from a backup.
    Restored(Restored),
    /// A peer says that it holds more than is here.
    Claimed(Claimed),
    /// A peer gave an envelope of ours back without its body, which is here.
    GivenBare(GivenBare),
    /// A file that a peer's message names is here.
    AttachmentHeld(AttachmentHeld),
    /// A peer says that it holds a file of ours.
    AttachmentTaken(AttachmentTaken),
    /// A file is not where it belongs.
    AttachmentLost(AttachmentLost),
}

/// The node started.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Started {
    /// The number this run signs into headers.
    pub incarnation: Incarnation,
    /// When.
    pub at: UnixMillis,
    /// The program's version.
    pub version: Text<64>,
}

/// A peer was enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PeerAdded {
    /// The peer's signed card.
    pub card: Blob<{ aldis_wire::card::CARD_MAX_BYTES + 128 }>,
    /// Who did it.
    pub by: Text<128>,
    /// When.
    pub at: UnixMillis,
}

/// An envelope we decided to send, not yet signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SentDraft {
    /// The header.
    pub header: ExactHeader,
    /// What the body does.
    pub bearing: StoredBearing,
    /// Who submitted it.
    pub by: Text<128>,
}

/// An envelope we signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sent {
    /// What was decided.
    pub draft: SentDraft,
    /// The exact bytes of its proof.
    pub proof: Blob<PROOF_MAX_BYTES>,
}

/// A peer's envelope that took its place.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Received {
    /// The header.
    pub header: ExactHeader,
    /// The exact bytes of its proof.
    pub proof: Blob<PROOF_MAX_BYTES>,
    /// What the body does, as far as we understand it.
    pub bearing: Option<StoredBearing>,
    /// What we made of it.
    pub outcome: Outcome,
    /// When it was stored.
    pub at: UnixMillis,
}

/// What became of an envelope that took its place. A duplicate gets the same again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// It was taken in.
    Accepted,
    /// A refusal was sent.
    Refused(RefusedAs),
    /// An answer that waits for what it answers.
    Held,
    /// Its body did not come; the reason is the sender's code.
    Withheld(u16),
    /// A machine's message (a refusal) that fits nothing we know: kept, shown, never answered.
    Unmatched,
}

impl Outcome {
    /// Refused, with this code.
    pub const fn refused(code: RefusalCode) -> Self {
        Self::Refused(RefusedAs(code))
    }
}

/// A refusal code in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedAs(pub RefusalCode);

/// A peer's receipt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Receipted {
    /// Who signed it.
    pub peer: NodeId,
    /// Its exact signed bytes.
    pub receipt: Blob<{ aldis_wire::receipt::RECEIPT_MAX_BYTES + 128 }>,
    /// When it was verified.
    pub at: UnixMillis,
}

/// Envelopes were handed to a link.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Relayed {
    /// To whom.
    pub peer: NodeId,
    /// In which lane.
    pub lane: Lane,
    /// Up to which place.
    pub through: Seq,
    /// When.
    pub at: UnixMillis,
}

/// An envelope expired before it was relayed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Expired {
    /// For whom it was.
    pub peer: NodeId,
    /// In which lane.
    pub lane: Lane,
    /// At which place.
    pub seq: Seq,
    /// When it was noticed.
    pub at: UnixMillis,
}

/// A peer's bytes did not verify.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Strike {
    /// Whose.
    pub peer: NodeId,
    /// In which lane.
    pub lane: Lane,
    /// How many times in a row now.
    pub count: u8,
    /// What was wrong.
    pub text: Text<200>,
    /// When.
    pub at: UnixMillis,
}

/// An administrator opened a lane.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LaneUnblocked {
    /// Of which peer.
    pub peer: NodeId,
    /// Which.
    pub lane: Lane,
    /// Who did it.
    pub by: Text<128>,
    /// When.
    pub at: UnixMillis,
}

/// What we make of a peer's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Standing {
    /// They agree with ours.
    Good,
    /// The peer holds more of ours than we do: we were restored from a backup. We sign nothing new for it.
    WeLostHistory,
    /// We hold more than the peer does: it was restored from a backup.
    PeerLostHistory,
    /// The peer signed two contradicting headers. Final until an administrator acts.
    Quarantined,
    /// Our journal was restored from a backup, and the peer has not told since what it holds. We sign nothing new for it.
    NotCompared,
}

impl Standing {
    /// Whether what our journal says was never handed to a link may have been, in a part of it that is lost.
    pub(crate) fn may_have_relayed(self) -> bool {
        matches!(self, Self::WeLostHistory | Self::NotCompared)
    }
}

/// What we make of a peer's records changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StandingChanged {
    /// Whose.
    pub peer: NodeId,
    /// To what.
    pub standing: Standing,
    /// What was seen.
    pub text: Text<400>,
    /// The contradicting header and its proof, where there is one.
    pub evidence: Option<(ExactHeader, Blob<PROOF_MAX_BYTES>)>,
    /// When.
    pub at: UnixMillis,
}

/// Something people must know, for as long as it lasts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Alarm {
    /// What.
    pub code: Code,
    /// About which peer.
    pub peer: Option<NodeId>,
    /// What happened and what to do.
    pub text: Text<400>,
    /// Since when.
    pub at: UnixMillis,
}

/// An alarm ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AlarmCleared {
    /// What.
    pub code: Code,
    /// About which peer.
    pub peer: Option<NodeId>,
    /// When.
    pub at: UnixMillis,
}

/// A held answer was given up: what it answers did not come in time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HeldGivenUp {
    /// Whose answer.
    pub peer: NodeId,
    /// Its lane.
    pub lane: Lane,
    /// Its place.
    pub seq: Seq,
    /// When.
    pub at: UnixMillis,
}

/// The peer has blocked a lane of ours, after envelopes that did not verify there.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LaneBlockedByPeer {
    /// Which peer.
    pub peer: NodeId,
    /// Which lane.
    pub lane: Lane,
    /// When it said so.
    pub at: UnixMillis,
}

/// Somebody here opened a TLP:RED message. It changes nothing but what people see of the message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Opened {
    /// Which.
    pub message: EnvelopeId,
    /// Who.
    pub by: Text<128>,
    /// When.
    pub at: UnixMillis,
}

impl Record {
    /// The record's bytes in the journal.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// When it was written, by the wall clock; `None` for records that do not say.
    pub fn at(&self) -> Option<UnixMillis> {
        Some(match self {
            Self::Started(started) => started.at,
            Self::Stopped(at) => *at,
            Self::PeerAdded(added) => added.at,
            Self::Sent(sent) => sent.draft.header.sent_at,
            Self::Received(received) => received.at,
            Self::Receipted(receipted) => receipted.at,
            Self::Relayed(relayed) => relayed.at,
            Self::Expired(expired) => expired.at,
            Self::Strike(strike) => strike.at,
            Self::LaneUnblocked(unblocked) => unblocked.at,
            Self::Standing(changed) => changed.at,
            Self::AlarmRaised(alarm) => alarm.at,
            Self::AlarmCleared(cleared) => cleared.at,
            Self::HeldGivenUp(given_up) => given_up.at,
            Self::LaneBlockedByPeer(blocked) => blocked.at,
            Self::Requested(request) => request.at,
            Self::RequestEnded(ended) => ended.at,
            Self::TrustChanged(changed) => changed.at,
            Self::OwnCardMade(made) => made.at,
            Self::OwnCardAnnounced(_) => return None,
            Self::OwnCardKnown(known) => known.at,
            Self::OwnKeySwitched(switched) => switched.at,
            Self::CardTaken(taken) => taken.at,
            Self::KeyOffered(offered) => offered.at,
            Self::OfferEnded(ended) => ended.at,
            Self::PeerKeySwitched(switched) => switched.at,
            Self::Opened(opened) => opened.at,
            Self::AgreementSet(set) => set.at,
            Self::AgreementTaken(taken) => taken.at,
            Self::Climbed(climbed) => climbed.at,
            Self::Alerted(alerted) => alerted.at,
            Self::BodyErased(erased) => erased.at,
            Self::Recalled(recalled) => recalled.at,
            Self::Drafted(drafted) => drafted.at,
            Self::DraftEnded(ended) => ended.at,
            Self::DraftOpened(opened) => opened.at,
            Self::LongFlash(long) => long.at,
            Self::Checked(checked) => checked.at,
            Self::Exported(exported) => exported.at,
            Self::Recovered(recovered) => recovered.at,
            Self::RecoveryEnded(ended) => ended.at,
            Self::Restored(restored) => restored.at,
            Self::Claimed(claimed) => claimed.at,
            Self::GivenBare(given) => given.at,
            Self::AttachmentHeld(held) => held.at,
            Self::AttachmentTaken(taken) => taken.at,
            Self::AttachmentLost(lost) => lost.at,
        })
    }

    /// Reads a record back. An error means that the journal was written by a newer program, or is damaged in a way its
    /// checksums did not catch.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode_stored(bytes)
    }
}

impl codec::Coded for RefusedAs {
    type Plain = u8;
    fn to_plain(&self) -> u8 {
        let place = RefusalCode::ALL.iter().position(|code| *code == self.0);
        u8::try_from(place.expect("every code stands in the list")).expect("there are few codes")
    }
    fn from_plain(plain: u8) -> Result<Self, String> {
        let code = RefusalCode::ALL.get(usize::from(plain)).copied();
        code.map(Self).ok_or_else(|| format!("{plain} is not a refusal code"))
    }
}

codec::impl_coded!(RefusedAs);
