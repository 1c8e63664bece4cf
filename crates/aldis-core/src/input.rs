//! Inputs: everything that can happen to a node, as the core sees it. What comes from a peer is verified before it gets
//! here; what comes from an operator is checked here.

use crate::decide::Order;
use crate::hotline::DeskOrder;
use crate::ladder::{AlertId, AlertOutcome};
use crate::peer::LinkId;
use crate::record::{DraftId, Named, Received, RecordSeq};
use crate::trust::{Person, RequestId};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Salt, VerifiedEnvelope};
use aldis_wire::frame::{Credit, Goodbye, Want};
use aldis_wire::header::{ExactHeader, Reference};
use aldis_wire::hello::Hello;
use aldis_wire::ids::{CaseId, EnvelopeId, KeyId, NodeId, UnixMillis};
use aldis_wire::kinds::{Bearing, CheckPart, Reading, Terms};
use aldis_wire::lane::Lane;
use aldis_wire::receipt::VerifiedReceipt;
use bytes::Bytes;

/// Names an operator's request, so that its reply finds the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// One input.
#[derive(Debug)]
pub enum Input {
    /// Time has passed; also the first input after a start.
    Tick,
    /// An operator submits a message.
    Submit(Token, Box<Submission>),
    /// An administrator enrols a peer.
    AddPeer {
        /// Where the reply goes.
        token: Token,
        /// The peer's card.
        card: Box<VerifiedCard>,
        /// Who.
        by: Text<128>,
    },
    /// The node has a card of its own: at each start, and whenever it says something new.
    OwnCard {
        /// Where the reply goes, if somebody waits.
        token: Option<Token>,
        /// The card, signed by the newest identity key.
        card: Box<VerifiedCard>,
        /// The keys the node can sign with.
        usable: Vec<KeyId>,
        /// Who made it, or what.
        by: Text<128>,
    },
    /// An administrator declines the key a peer offers.
    DeclineKey {
        /// Where the reply goes.
        token: Token,
        /// Whose key.
        peer: NodeId,
        /// Who.
        by: Person,
    },
    /// An administrator does something to a peer.
    Administer {
        /// Where the reply goes.
        token: Token,
        /// What, to whom, and why.
        order: Box<Order>,
    },
    /// A second administrator approves what a first one asked for.
    Approve {
        /// Where the reply goes.
        token: Token,
        /// Which request.
        request: RequestId,
        /// Who.
        by: Person,
    },
    /// An administrator takes a request back.
    Withdraw {
        /// Where the reply goes.
        token: Token,
        /// Which request.
        request: RequestId,
        /// Who.
        by: Person,
    },
    /// An administrator opens a blocked lane.
    Unblock {
        /// Where the reply goes.
        token: Token,
        /// Of which peer.
        peer: NodeId,
        /// Which lane.
        lane: Lane,
        /// Who.
        by: Text<128>,
    },
    /// An administrator sets our terms towards a peer.
    SetAgreement {
        /// Where the reply goes.
        token: Token,
        /// Towards whom.
        peer: NodeId,
        /// The terms, with a higher number than those in force.
        terms: Box<Terms>,
        /// Who.
        by: Person,
    },
    /// A dial ended without a link.
    DialFailed {
        /// Which peer.
        peer: NodeId,
    },
    /// Both Hellos of a link are verified.
    LinkUp {
        /// Which peer.
        peer: NodeId,
        /// Which link.
        link: LinkId,
        /// Whether we dialled it.
        dialled_by_us: bool,
        /// What the peer said.
        hello: Box<Hello>,
    },
    /// A link ended.
    LinkDown {
        /// Which peer.
        peer: NodeId,
        /// Which link.
        link: LinkId,
        /// Why, in words.
        cause: Text<200>,
    },
    /// A verified envelope came.
    Envelope {
        /// Over which link.
        link: LinkId,
        /// The envelope.
        envelope: Box<VerifiedEnvelope>,
        /// What its body came to.
        reading: Reading,
    },
    /// Bytes came that do not verify.
    Unverifiable {
        /// From which peer.
        peer: NodeId,
        /// Over which link.
        link: LinkId,
        /// The lane they claim, if that much can be read.
        lane: Option<Lane>,
        /// What is wrong.
        what: Text<200>,
    },
    /// A verified receipt came.
    Receipt {
        /// Over which link.
        link: LinkId,
        /// The receipt.
        receipt: Box<VerifiedReceipt>,
    },
    /// The peer allows more.
    Credit {
        /// Which peer.
        peer: NodeId,
        /// Over which link.
        link: LinkId,
        /// How much.
        credit: Credit,
    },
    /// The peer ends the link.
    Goodbye {
        /// Which peer.
        peer: NodeId,
        /// Which link.
        link: LinkId,
        /// Why.
        goodbye: Goodbye,
    },
    /// A heartbeat told the peer's clock.
    ClockDifference {
        /// Which peer.
        peer: NodeId,
        /// Its clock minus ours, in milliseconds.
        difference_ms: i64,
    },
    /// The node around the core has, or has no more, a reason for an alarm.
    NodeAlarm {
        /// What.
        code: Code,
        /// About which peer.
        peer: Option<NodeId>,
        /// What happened and what to do; `None` ends the alarm.
        text: Option<Text<400>>,
    },
    /// The node stops.
    Stop,
    /// Somebody here opens a TLP:RED message and sees it once the reply is out.
    Opened {
        /// Where the reply goes.
        token: Token,
        /// Which message.
        message: EnvelopeId,
        /// Who.
        by: Text<128>,
    },
    /// The node has brought an alert to people, or could not.
    Alerted {
        /// Which.
        alert: AlertId,
        /// What became of it.
        outcome: Box<AlertOutcome>,
    },
    /// An operator accepts a peer's recall.
    EraseRecalled {
        /// Where the reply goes.
        token: Token,
        /// What is erased, and what is said about it.
        acceptance: Box<Acceptance>,
    },
    /// A person composed a message: it is sent, or waits for another person, as the site's rules say.
    Compose {
        /// Where the reply goes.
        token: Token,
        /// The message.
        composed: Box<Composed>,
    },
    /// A person releases another's draft.
    Release {
        /// Where the reply goes.
        token: Token,
        /// Which.
        draft: DraftId,
        /// What lay beside its record, and new salts.
        bodies: Box<DraftBodies>,
        /// Who.
        by: Person,
    },
    /// The drafter, or a releaser, throws a draft away.
    Discard {
        /// Where the reply goes.
        token: Token,
        /// Which.
        draft: DraftId,
        /// Who.
        by: Person,
        /// Whether that person may release.
        is_releaser: bool,
    },
    /// Somebody opens a TLP:RED draft and sees it once the reply is out.
    OpenDraft {
        /// Where the reply goes.
        token: Token,
        /// Which.
        draft: DraftId,
        /// Who.
        by: Person,
    },
    /// An operator checks the line to a peer.
    Check {
        /// Where the reply goes.
        token: Token,
        /// Whom, and how.
        order: Box<CheckOrder>,
    },
    /// The certificate that this node shows on links from now on.
    CertificateShown {
        /// Until when it is good.
        valid_until: UnixMillis,
    },
    /// Somebody here is about to take messages out of the node's care; it happens once the reply is out.
    Export {
        /// Where the reply goes.
        token: Token,
        /// Which messages, found in the log.
        messages: Vec<EnvelopeId>,
        /// Whether their bodies go with them.
        bodies: bool,
        /// Who.
        by: Text<128>,
    },
    /// Somebody here does something in a live conversation.
    Hotline {
        /// Where the reply goes.
        token: Token,
        /// What, with whom, and who.
        order: Box<DeskOrder>,
    },
    /// What a peer said as its Hello does not verify by any key that may open a link.
    HelloNotTaken {
        /// Whose certificate it was.
        peer: NodeId,
    },
    /// A peer answered what we asked of its history.
    History {
        /// Which peer.
        peer: NodeId,
        /// Over which link.
        link: LinkId,
        /// Whether it is about an envelope of ours.
        ours: bool,
        /// Its lane.
        lane: Lane,
        /// Its place.
        seq: u64,
        /// The envelope; `None` if the peer does not hold it.
        found: Option<Box<Regained>>,
    },
    /// A peer answered with an envelope under a key that is not on record for its place; nobody is charged for that.
    HistoryUnread {
        /// Which peer.
        peer: NodeId,
        /// Over which link.
        link: LinkId,
        /// Whether it is about an envelope of ours.
        ours: bool,
        /// Its lane.
        lane: Lane,
        /// Its place.
        seq: u64,
        /// The key that it names.
        key: KeyId,
    },
    /// The journal was restored from a backup before this run.
    Restored {
        /// Who did it.
        by: Text<128>,
        /// When.
        at: UnixMillis,
    },
    /// A peer wants a piece of a file, or says what became of one.
    AttachmentWanted {
        /// Which peer.
        peer: NodeId,
        /// Over which link.
        link: LinkId,
        /// What.
        want: Want,
    },
    /// A file that was fetched is here: whole, verified, on stable storage.
    AttachmentHeld {
        /// From which peer.
        peer: NodeId,
        /// Which.
        attachment: Digest,
    },
    /// A peer answered that it does not hold a file.
    AttachmentNotHeld {
        /// Which peer.
        peer: NodeId,
        /// Which file.
        attachment: Digest,
    },
    /// What a peer sent of a file has another digest; it is thrown away.
    AttachmentBad {
        /// Which peer.
        peer: NodeId,
        /// Which file.
        attachment: Digest,
    },
    /// A file that is held by the records is not in the file store.
    AttachmentGone {
        /// From which peer it was.
        peer: NodeId,
        /// Which.
        attachment: Digest,
    },
}

/// An envelope of the past that a peer gave back, verified.
#[derive(Debug)]
pub struct Regained {
    /// The envelope.
    pub envelope: VerifiedEnvelope,
    /// What its body came to.
    pub reading: Reading,
    /// If it is a tombstone of ours: where in our journal the message stands that it says is erased, as far as it does.
    pub erases: Option<RecordSeq>,
}

/// An operator accepts a recall: the message it names is erased here, and a tombstone says so.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The Unix user behind the request.
    pub by: Text<128>,
    /// Who accepts it.
    pub author: Text<128>,
    /// The salt of the tombstone.
    pub salt: Salt,
    /// The recall's header, as it was received.
    pub recall: ExactHeader,
    /// The message it names, as it stands in the journal.
    pub message: Box<Received>,
    /// Where in the journal.
    pub record: RecordSeq,
    /// How far the message had come here: `stored`, `notified`, `seen`, `acknowledged` or `decided`.
    pub reached: Code,
    /// Whether its content is known to have left this node, by the records before [`Self::looked_at`].
    pub exported: bool,
    /// How many records of the journal whoever looked for exports knew.
    pub looked_at: RecordSeq,
    /// Words to the other side.
    pub text: Text<1000>,
    /// How long the tombstone is good, in milliseconds.
    pub lifetime_ms: u64,
}

/// A message as a person composed it.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The message.
    pub submission: Submission,
    /// Who composed it.
    pub by: Person,
    /// How many words the body of a FLASH has.
    pub words: u32,
    /// Why it is longer than a FLASH should be.
    pub long: Option<Text<200>>,
}

/// What a draft's record does not hold.
#[derive(Clone, Debug)]
pub struct DraftBodies {
    /// The salt of the record's commitment.
    pub salt: Salt,
    /// The bytes it commits to.
    pub bytes: Bytes,
    /// One new random salt per recipient.
    pub salts: Vec<Salt>,
}

/// A comm check that somebody asks for.
#[derive(Clone, Debug)]
pub struct CheckOrder {
    /// Who is checked.
    pub peer: NodeId,
    /// What is asked: its machine, its people, or its people at any hour.
    pub part: CheckPart,
    /// Words to the other side.
    pub text: Text<200>,
    /// Who asks, as the other side sees it.
    pub author: Text<128>,
    /// Who asks: the Unix user behind the request.
    pub by: Text<128>,
}

/// A message an operator submits.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Who submits it: the Unix user behind the request.
    pub by: Text<128>,
    /// The recipients, at least one, each once.
    pub to: Vec<NodeId>,
    /// One random salt per recipient.
    pub salts: Vec<Salt>,
    /// The mailbox.
    pub desk: Desk,
    /// The precedence.
    pub lane: Lane,
    /// The conversation.
    pub case: CaseId,
    /// What it answers, supersedes or relates to.
    pub references: List<Reference, 8>,
    /// Who wrote it.
    pub author: Text<128>,
    /// The third party behind it.
    pub on_behalf_of: Option<Text<128>>,
    /// Who may read it.
    pub tlp: Tlp,
    /// The exercise it is part of.
    pub exercise: Option<Text<64>>,
    /// The kind.
    pub kind: Code,
    /// The body in each version of the kind this node writes.
    pub bodies: Vec<(u16, Bytes)>,
    /// What the body does.
    pub bearing: Bearing,
    /// The files that the body names; each is in the file store.
    pub attachments: Vec<Named>,
    /// How long it is good, in milliseconds.
    pub lifetime_ms: u64,
    /// Within how many seconds it asks for an acknowledgement; as the lane has it without one.
    pub acknowledge_within_s: Option<u32>,
}
