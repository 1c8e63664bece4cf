//! What the core knows about one peer: its card, the eight lanes, what it makes of the peer's records, and the link of
//! the moment. The durable part follows from records alone; the link is forgotten at every start.

use crate::agreement::Agreement;
use crate::attachments::Attachments;
use crate::checks::{CheckClock, Checks};
use crate::hotline::Session;
use crate::hourly::Hourly;
use crate::inbound::InLane;
use crate::intake::Buckets;
use crate::ladder::{Agenda, Duty, Wants};
use crate::outbound::OutLane;
use crate::record::{Announcement, Standing};
use crate::recovery::{Fetching, Progress, Recovery, Stream};
use crate::trust::{Trust, TrustChanged};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::{Coded, Decode, Encode, impl_coded};
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::header::ExactHeader;
use aldis_wire::hello::highest_common;
use aldis_wire::ids::{Incarnation, KeyId, Seq, UnixMillis};
use aldis_wire::keyring::{KeyRing, KeySwitch};
use aldis_wire::lane::{Lane, LaneMark, Marks};
use aldis_wire::signing::PublicKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names one link of this run. A later link has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// A peer.
#[derive(Debug)]
pub struct Peer {
    /// What follows from the journal.
    pub durable: Durable,
    /// The link of the moment.
    pub link: Link,
    /// The peer's incarnation in its latest Hello of this run.
    pub(crate) run: Option<Incarnation>,
    /// What is due when.
    pub(crate) agenda: Agenda,
    /// How many refusals and other words of our machine the peer has not receipted: counted anew at each start.
    pub(crate) machines_words: u64,
    /// The duties for which a step of the ladder was taken.
    pub(crate) climbing: BTreeSet<Duty>,
    /// How many links in a row were closed on purpose before they had held.
    pub(crate) renewals: u32,
    /// When it is checked next.
    pub(crate) check_clock: CheckClock,
    /// How fast it sends.
    pub(crate) buckets: Buckets,
    /// Whether credit was withheld until there is room for its messages, or for refusals of them.
    pub(crate) waits_for_room: bool,
    /// The places of its messages of which it has to be told a step of the ladder and could not be.
    pub(crate) untold: BTreeSet<(Lane, Seq)>,
    /// How many times the bytes of a file of its had another digest, of files that are still to come.
    pub(crate) bad_attachments: BTreeMap<Digest, u8>,
}

/// What follows from the journal.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Durable {
    /// Its card.
    pub card: StoredCard,
    /// Lanes towards it.
    pub out: [OutLane; 4],
    /// Lanes from it.
    pub inbound: [InLane; 4],
    /// The latest envelope received from it.
    pub latest_received: Option<LaneMark>,
    /// When the latest envelope from it was stored.
    pub stored_at: Option<UnixMillis>,
    /// Whether it is talked to.
    pub trust: Trust,
    /// What it was before it was revoked.
    pub before_revocation: Trust,
    /// The act that made it so, as it was journalled; `None` for a peer that was only added.
    pub trusted: Option<TrustChanged>,
    /// Its identity keys, with the places where the earlier ones ended.
    pub keys: KeyRing,
    /// The card before, as long as the peer may still show its certificate.
    pub earlier_card: Option<StoredCard>,
    /// A card with another identity key that waits for our administrators.
    pub offered: Option<Offered>,
    /// A card whose key was taken and that the peer has not spoken with yet.
    pub accepted: Option<Accepted>,
    /// Our key that signs what goes to it.
    pub own_key: KeyId,
    /// Where our key before that one ended.
    pub own_switch: Option<KeySwitch>,
    /// Which of our cards it was sent last.
    pub announced: Option<Announced>,
    /// What was agreed with it, and how much went each way.
    pub agreement: Agreement,
    /// What we make of its records.
    pub standing: Standing,
    /// Answers that wait for what they answer, in the order in which they came.
    pub held: Vec<HeldAnswer>,
    /// Refusals that are signed as soon as the records agree again.
    pub owed: Vec<OwedRefusal>,
    /// Comm checks, both ways. Shared with whoever looks at the state.
    pub checks: Arc<Checks>,
    /// The latest live conversation with it.
    pub hotline: Option<Session>,
    /// The peer's turns in conversations.
    pub(crate) turns: Hourly,
    /// What the latest of its receipts in our journal says of its journal: our receipts name it, so that it can hold
    /// its own journal against our word. `None` until one does.
    pub commitment: Option<Digest>,
    /// A history that was lost here and comes back from it.
    pub recovery: Recovery,
    /// The files that messages between it and us name.
    pub attachments: Attachments,
}

/// A card with another identity key.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Offered {
    /// The card.
    pub card: StoredCard,
    /// What announced it; `None` if it came by hand, and nothing but a voice vouches for it.
    pub announced: Option<Announcement>,
}

/// A card whose key was taken.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Accepted {
    /// The card.
    pub card: StoredCard,
    /// Whether the key before is lost: then it opens no link any more.
    pub only: bool,
}

/// A card of ours on its way to a peer, or there.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Announced {
    /// The card's digest.
    pub card: Digest,
    /// Where it is in the lanes towards the peer; `None` if the peer has it already by its own word.
    pub place: Option<(Lane, Seq)>,
    /// Whether it did not get there: the peer refused it, or it expired before it was relayed.
    pub failed: bool,
    /// How far the peer had signed in that lane when it receipted the card; `None` until then. A refusal is signed in the
    /// same commit, so once we have heard that far and none came, the card was taken.
    pub heard_at: Option<u64>,
}

impl Announced {
    /// Whether it is what stands at a place towards the peer.
    pub(crate) fn is_at(&self, lane: Lane, seq: Seq) -> bool {
        self.place == Some((lane, seq))
    }
}

/// An answer that came before what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HeldAnswer {
    /// The answer's header.
    pub header: ExactHeader,
    /// What it says.
    pub bearing: crate::record::StoredBearing,
    /// When it came.
    pub at: UnixMillis,
}

/// A refusal that was decided while nothing new may be signed for the peer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OwedRefusal {
    /// The header of what is refused.
    pub header: ExactHeader,
    /// Why.
    pub code: crate::record::RefusedAs,
}

/// A verified card that can be stored; it is verified again when read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCard(pub VerifiedCard);

/// The link of the moment.
#[derive(Debug)]
pub enum Link {
    /// No link; the next attempt comes at this time.
    Down {
        /// How many attempts failed since the last link.
        failures: u32,
        /// When to dial again, on the monotonic clock in milliseconds.
        dial_at_ms: u64,
    },
    /// Dialling.
    Dialling {
        /// How many attempts failed before this one.
        failures: u32,
    },
    /// Both Hellos were exchanged.
    Up(Box<UpLink>),
}

/// A link that carries frames.
#[derive(Debug)]
pub struct UpLink {
    /// Which.
    pub id: LinkId,
    /// Whether we dialled it.
    pub dialled_by_us: bool,
    /// Since when, on the monotonic clock in milliseconds.
    pub since_ms: u64,
    /// How many attempts failed before this one; forgotten once the link has held.
    pub failures: u32,
    /// Since when a receipt is owed to us, on the monotonic clock in milliseconds.
    pub receipt_due_since_ms: Option<u64>,
    /// The digest of the card of ours that the peer holds, by its Hello.
    pub own_card: Digest,
    /// Whether our card was sent on this link: one that is refused is not sent twice on one link.
    pub card_sent: bool,
    /// Whether one end closes it on purpose, for a new key or certificate: then whoever dials comes back at once.
    pub comes_back: bool,
    /// What the peer has told of its own latest envelopes and of what it holds of ours.
    pub peer_received: Marks,
    /// Of its own, what it has our receipts for.
    pub peer_receipted: Marks,
    /// The files that are asked for over it.
    pub(crate) obtaining: BTreeSet<Digest>,
    /// The history that is fetched over it.
    pub fetching: Option<Fetching>,
    /// Whether no more history is taken from it: the peer broke the rules, or all is here.
    pub history_over: bool,
    /// Flow towards the peer, per lane.
    pub towards: [FlowOut; 4],
    /// Flow from the peer, per lane.
    pub from: [FlowIn; 4],
}

/// What may go out in a lane of a link.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowOut {
    /// The next place to transmit.
    pub next: u64,
    /// How many were transmitted on this link.
    pub sent: u64,
    /// How many the peer allows in all.
    pub credit: u64,
}

/// What may come in on a lane of a link.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowIn {
    /// How many came on this link.
    pub came: u64,
    /// How many we have allowed in all, in a batch that was committed: the peer can know no more.
    pub granted: u64,
    /// How many we allow in all with the batch [`Self::promised_in`].
    pub promised: u64,
    /// The batch that holds the latest promise.
    pub promised_in: u64,
}

impl UpLink {
    /// Whether the peer has taken our Hello: it allows us envelopes only then. Before that nothing is signed for a link, for
    /// what a key signs that the peer refuses could not be verified there, ever.
    pub(crate) fn lets_us_in(&self) -> bool {
        self.towards.iter().any(|flow| flow.credit > 0)
    }
}

impl Peer {
    /// Whether the peer's card says that it reads a kind, in its first version.
    pub(crate) fn reads(&self, kind: &Code) -> bool {
        highest_common(&[1], self.card().card().versions_of(kind)).is_some()
    }

    /// A newly enrolled peer.
    pub(crate) fn new(card: VerifiedCard, own_key: KeyId) -> Self {
        Self {
            durable: Durable {
                keys: KeyRing::from(card.key().clone()),
                card: StoredCard(card),
                out: Default::default(),
                inbound: Default::default(),
                latest_received: None,
                stored_at: None,
                trust: Trust::Pending,
                before_revocation: Trust::Pending,
                trusted: None,
                earlier_card: None,
                offered: None,
                accepted: None,
                own_key,
                own_switch: None,
                announced: None,
                agreement: Agreement::default(),
                standing: Standing::Good,
                held: Vec::new(),
                owed: Vec::new(),
                checks: Arc::default(),
                hotline: None,
                turns: Hourly::default(),
                commitment: None,
                recovery: Recovery::default(),
                attachments: Attachments::default(),
            },
            link: Link::down(),
            run: None,
            agenda: Agenda::default(),
            machines_words: 0,
            climbing: BTreeSet::new(),
            renewals: 0,
            check_clock: CheckClock::default(),
            buckets: Buckets::default(),
            waits_for_room: false,
            untold: BTreeSet::new(),
            bad_attachments: BTreeMap::new(),
        }
    }

    /// A peer as the journal left it.
    pub(crate) fn recovered(durable: Durable) -> Self {
        let lanes = durable.out.iter().flat_map(|lane| lane.open.starting_at(lane.receipted_seq() + 1));
        let machines_words = lanes.filter(|(_, open)| open.wants == Wants::Machine).count() as u64;
        Self {
            durable,
            link: Link::down(),
            run: None,
            agenda: Agenda::default(),
            machines_words,
            climbing: BTreeSet::new(),
            renewals: 0,
            check_clock: CheckClock::default(),
            buckets: Buckets::default(),
            waits_for_room: false,
            untold: BTreeSet::new(),
            bad_attachments: BTreeMap::new(),
        }
    }

    /// The peer's card.
    pub fn card(&self) -> &VerifiedCard {
        &self.durable.card.0
    }

    /// The keys that may open a link: the one in force, unless it is lost, and the next one once it is taken.
    pub fn hello_keys(&self) -> Vec<PublicKey> {
        let accepted = self.durable.accepted.as_ref();
        let current = accepted.is_none_or(|accepted| !accepted.only).then(|| self.card().key().clone());
        current.into_iter().chain(accepted.map(|accepted| accepted.card.0.key().clone())).collect()
    }

    /// The newest card of the peer that this node has taken: what its Hellos say it holds.
    pub fn newest_card(&self) -> &VerifiedCard {
        self.durable.accepted.as_ref().map_or(self.card(), |accepted| &accepted.card.0)
    }

    /// The cards whose certificates the peer may show: the one in force, the one before, and the next one.
    pub fn cards(&self) -> impl Iterator<Item = &VerifiedCard> {
        let accepted = self.durable.accepted.as_ref().map(|accepted| &accepted.card.0);
        let earlier = self.durable.earlier_card.as_ref().map(|earlier| &earlier.0);
        std::iter::once(self.card()).chain(earlier).chain(accepted)
    }

    /// Whether the peer was never let in: nothing was sent to it or taken from it, and nothing rests on its key.
    pub(crate) fn was_never_let_in(&self) -> bool {
        let durable = &self.durable;
        let now = if durable.trust == Trust::Revoked { durable.before_revocation } else { durable.trust };
        let silent = durable.out.iter().all(|lane| lane.last.is_none());
        now == Trust::Pending && silent && durable.inbound.iter().all(|lane| lane.last.is_none())
    }

    /// Whether anything is sent to the peer or taken from it.
    pub fn is_verified(&self) -> bool {
        self.durable.trust == Trust::Verified
    }

    /// Whether the peer has this card of ours on its disk, and has not refused it.
    pub(crate) fn has_our_card(&self, card: Digest) -> bool {
        self.durable.announced.as_ref().is_some_and(|announced| {
            let heard = |lane: Lane| {
                announced.heard_at.is_some_and(|through| self.durable.inbound[lane.index()].last_seq() >= through)
            };
            announced.card == card && !announced.failed && announced.place.is_none_or(|(lane, _)| heard(lane))
        })
    }

    /// Whether the peer has receipted the latest of our terms.
    pub fn has_our_terms(&self) -> bool {
        let told = self.durable.agreement.told;
        told.is_some_and(|(lane, seq)| self.durable.out[lane.index()].receipted_seq() >= seq.get())
    }

    /// Whether we dial the peer: one that is not verified is not talked to, one without an endpoint dials us.
    pub(crate) fn is_dialled(&self) -> bool {
        self.is_verified() && !self.card().card().endpoints.is_empty()
    }

    /// How far we have the peer's envelopes.
    pub fn received_marks(&self) -> Marks {
        marks(Lane::ALL.map(|lane| self.durable.inbound[lane.index()].last))
    }

    /// The latest we have signed for the peer.
    pub fn sent_marks(&self) -> Marks {
        marks(Lane::ALL.map(|lane| self.durable.out[lane.index()].last))
    }

    /// What of ours we hold the peer's receipts for.
    pub fn receipted_marks(&self) -> Marks {
        marks(Lane::ALL.map(|lane| self.durable.out[lane.index()].receipted))
    }

    /// How far the history that was lost here has come back.
    pub fn recovery(&self) -> Progress {
        let goal = |stream: Stream| self.up().and_then(|up| stream.goal(up)).map_or(0, |(seq, _)| seq.get());
        let here = |stream: Stream| self.durable.last_of(stream).map_or(0, |(seq, _)| seq.get()).min(goal(stream));
        Progress {
            recovery: self.durable.recovery.clone(),
            done: Stream::all().map(here).sum(),
            total: Stream::all().map(goal).fold(0, u64::saturating_add),
            is_fetching: self.up().is_some_and(|up| up.fetching.is_some()),
            is_short: self.durable.is_short(),
        }
    }

    /// The link, if one is up.
    pub fn up(&self) -> Option<&UpLink> {
        match &self.link {
            Link::Up(up) => Some(up),
            _ => None,
        }
    }

    pub(crate) fn up_as(&mut self, id: LinkId) -> Option<&mut UpLink> {
        match &mut self.link {
            Link::Up(up) if up.id == id => Some(up),
            _ => None,
        }
    }

    /// How many messages of the peer wait for an answer here.
    pub(crate) fn unanswered_count(&self) -> u64 {
        self.durable.inbound.iter().map(|lane| lane.open.len() as u64).sum()
    }

    /// Notes a place of which a step is to be told. Places that were answered meanwhile are dropped as soon as they are more
    /// than what waits, so the rest is bounded as that is (I7).
    pub(crate) fn note_untold(&mut self, lane: Lane, seq: Seq) {
        self.untold.insert((lane, seq));
        if self.untold.len() as u64 > self.unanswered_count().saturating_mul(2) {
            let inbound = &self.durable.inbound;
            self.untold.retain(|(lane, seq)| {
                let open = inbound[lane.index()].open.get(&seq.get());
                open.is_some_and(|open| open.untold.is_some())
            });
        }
    }

    /// How many messages to the peer are open.
    pub(crate) fn open_count(&self) -> u64 {
        self.durable.out.iter().map(|lane| lane.open.len() as u64).sum()
    }
}

impl Link {
    pub(crate) fn down() -> Self {
        Self::Down { failures: 0, dial_at_ms: 0 }
    }

    /// How many attempts failed since the last link that held.
    pub(crate) fn failures(&self) -> u32 {
        match self {
            Self::Down { failures, .. } | Self::Dialling { failures } => *failures,
            Self::Up(up) => up.failures,
        }
    }
}

impl Coded for StoredCard {
    type Plain = Vec<u8>;
    fn to_plain(&self) -> Vec<u8> {
        self.0.signed_bytes().to_vec()
    }
    fn from_plain(plain: Vec<u8>) -> Result<Self, String> {
        VerifiedCard::from_signed_bytes(&plain).map(Self).map_err(|error| error.to_string())
    }
}

impl_coded!(StoredCard);

fn marks(lanes: [Option<(Seq, Digest)>; 4]) -> Marks {
    let mut marks = Marks::default();
    for (lane, last) in Lane::ALL.into_iter().zip(lanes) {
        if let Some((seq, digest)) = last {
            marks.set(lane, seq, digest);
        }
    }
    marks
}
