//! Records about cards and identity keys: ours and the peers'.

use crate::trust::Person;
use aldis_wire::card::CARD_MAX_BYTES;
use aldis_wire::codec::{Blob, Decode, Encode, Text};
use aldis_wire::digest::Digest;
use aldis_wire::header::Reference;
use aldis_wire::ids::{CaseId, KeyId, NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;

/// A card's exact signed bytes.
pub type CardBytes = Blob<{ CARD_MAX_BYTES + 128 }>;

/// The node made a new card of its own.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OwnCardMade {
    /// The card.
    pub card: CardBytes,
    /// Who did it, or what.
    pub by: Text<128>,
    /// When.
    pub at: UnixMillis,
}

/// A peer was sent our card, or says that it has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OwnCardAnnounced {
    /// To whom.
    pub peer: NodeId,
    /// The card's digest.
    pub card: Digest,
    /// Where the card is in the peer's lanes; `None` if the peer has it already by its own word.
    pub place: Option<(Lane, Seq)>,
}

/// Every peer has our newest card on its disk.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OwnCardKnown {
    /// The card's digest.
    pub card: Digest,
    /// When.
    pub at: UnixMillis,
}

/// From here on our newest key signs what goes to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OwnKeySwitched {
    /// To whom.
    pub peer: NodeId,
    /// The key that ended.
    pub ended: KeyId,
    /// The key that follows it.
    pub key: KeyId,
    /// Per lane, the last place the ended key signed.
    pub last: [u64; 4],
    /// When.
    pub at: UnixMillis,
}

/// A peer's new card with the identity key we know took the place of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CardTaken {
    /// The card.
    pub card: CardBytes,
    /// When.
    pub at: UnixMillis,
}

/// A card with another identity key of a known peer waits for our administrators.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KeyOffered {
    /// The card.
    pub card: CardBytes,
    /// The announcement, signed by the key before; `None` if an administrator brought the card, because that key is lost.
    pub announced: Option<Announcement>,
    /// When.
    pub at: UnixMillis,
}

/// The envelope that announced a key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Announcement {
    /// Its lane.
    pub lane: Lane,
    /// Its conversation.
    pub case: CaseId,
    /// The reference an answer to it carries.
    pub reference: Reference,
}

/// The administrators have decided about an offered key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OfferEnded {
    /// Whose key.
    pub peer: NodeId,
    /// Whether it was taken.
    pub taken: bool,
    /// Who declined it; who took it stands in the act's own record.
    pub by: Option<Person>,
    /// When.
    pub at: UnixMillis,
}

/// A peer speaks with the key that was taken; the one before has ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PeerKeySwitched {
    /// Which peer.
    pub peer: NodeId,
    /// Per lane, the last place the ended key signed.
    pub last: [u64; 4],
    /// When.
    pub at: UnixMillis,
}
