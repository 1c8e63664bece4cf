//! Inputs: everything that can happen to a node, as the core sees it. What comes from a peer is verified before it gets
//! here; what comes from an operator is checked here.

use crate::decide::Order;
use crate::hotline::DeskOrder;
use crate::ladder::{AlertId, AlertOutcome};
use crate::peer::LinkId;
use crate::trust::{Person, RequestId};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::envelope::{Salt, VerifiedEnvelope};
use aldis_wire::frame::{Credit, Goodbye};
use aldis_wire::header::Reference;
use aldis_wire::hello::Hello;
use aldis_wire::ids::{CaseId, EnvelopeId, KeyId, NodeId};
use aldis_wire::kinds::{Bearing, Reading, Terms};
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
    /// Somebody here does something in a live conversation.
    Hotline {
        /// Where the reply goes.
        token: Token,
        /// What, with whom, and who.
        order: Box<DeskOrder>,
    },
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
    /// How long it is good, in milliseconds.
    pub lifetime_ms: u64,
    /// Within how many seconds it asks for an acknowledgement; as the lane has it without one.
    pub acknowledge_within_s: Option<u32>,
}
