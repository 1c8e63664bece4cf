//! The way into the event loop: requests of operators, inputs of links, and questions about the state. Everything is
//! bounded; whoever comes while the queue is full waits.

use super::reply::{HandedIn, Reply};
use crate::journal::TreeHead;
use crate::link::LinkFacts;
use aldis_core::checks::Checks;
use aldis_core::effect::{Declined, Done};
use aldis_core::hotline::{DeskOrder, Session, Turn};
use aldis_core::input::{Acceptance, CheckOrder, Composed, DraftBodies, Input, Submission, Token};
use aldis_core::peer::Offered;
use aldis_core::record::{Alarm, DraftId, Drafted, Standing};
use aldis_core::recovery::Progress;
use aldis_core::trust::{ApprovalRequest, Person, RequestId, Trust, TrustChanged};
use aldis_core::{Climbing, OnLadder, Order};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::Text;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, Incarnation, KeyId, NodeId, UnixMillis};
use aldis_wire::keyring::KeyRing;
use aldis_wire::kinds::Terms;
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// How many messages wait for the loop; FLASH and operators have a queue of their own of the same length (I14).
pub const QUEUE_LENGTH: usize = 1_024;

/// The way into the loop. Clones lead to the same loop.
#[derive(Clone, Debug)]
pub struct LoopHandle {
    pub(crate) urgent: mpsc::Sender<Message>,
    pub(crate) normal: mpsc::Sender<Message>,
}

/// What waits for the loop.
#[derive(Debug)]
pub enum Message {
    /// Something happened.
    Input(Input),
    /// The same of something large: its link is given back the room for it when the loop takes it.
    Weighed(Input, OwnedSemaphorePermit),
    /// An operator wants something, and an answer.
    Request(Request, Reply),
    /// Somebody asks for the state.
    View(oneshot::Sender<NodeView>),
    /// Somebody asks how messages stand on their ladders.
    OnLadder(Vec<EnvelopeId>, oneshot::Sender<Vec<Option<LadderView>>>),
    /// Somebody asks what is silent, and how much of what waits is an exercise.
    Silences(oneshot::Sender<SilencesView>),
    /// A new link asks for what its Hello must say; the answer is `None` for a stranger.
    LinkFacts(NodeId, oneshot::Sender<Option<LinkFacts>>),
    /// Somebody waits until what was handed in before is decided and on disk.
    Settled(oneshot::Sender<()>),
    /// The node is to stop; the answer comes when everything is on disk.
    Stop(oneshot::Sender<()>),
}

/// What an operator wants.
#[derive(Debug)]
pub enum Request {
    /// To send a message.
    Submit(Box<Submission>),
    /// To enrol a peer.
    AddPeer {
        /// Its card.
        card: Box<VerifiedCard>,
        /// Who.
        by: Text<128>,
    },
    /// To do something to a peer.
    Administer(Box<Order>),
    /// To approve what another administrator asked for.
    Approve {
        /// Which request.
        request: RequestId,
        /// Who.
        by: Person,
    },
    /// To take a request back.
    Withdraw {
        /// Which request.
        request: RequestId,
        /// Who.
        by: Person,
    },
    /// Not to take the key a peer offers.
    DeclineKey {
        /// Whose key.
        peer: NodeId,
        /// Who.
        by: Person,
    },
    /// To set our terms towards a peer.
    SetAgreement {
        /// Towards whom.
        peer: NodeId,
        /// The terms.
        terms: Box<Terms>,
        /// Who.
        by: Person,
    },
    /// To put our own new card in force.
    OwnCard {
        /// The card, signed by the newest key.
        card: Box<VerifiedCard>,
        /// Who made it, or what.
        by: Text<128>,
    },
    /// To open a blocked lane.
    Unblock {
        /// Of which peer.
        peer: NodeId,
        /// Which.
        lane: Lane,
        /// Who.
        by: Text<128>,
    },
    /// To send what a person composed, or to have it wait for another person.
    Compose(Box<Composed>),
    /// To release another's draft.
    Release {
        /// Which.
        draft: DraftId,
        /// What lies beside its record, and new salts.
        bodies: Box<DraftBodies>,
        /// Who.
        by: Person,
    },
    /// To throw a draft away.
    Discard {
        /// Which.
        draft: DraftId,
        /// Who.
        by: Person,
        /// Whether that person may release.
        is_releaser: bool,
    },
    /// To read a TLP:RED draft, which is shown only once this is on disk.
    OpenDraft {
        /// Which.
        draft: DraftId,
        /// Who.
        by: Person,
    },
    /// To check the line to a peer.
    Check(Box<CheckOrder>),
    /// To read a TLP:RED message, which is shown only once this is on disk.
    Open {
        /// Which.
        message: EnvelopeId,
        /// Who.
        by: Text<128>,
    },
    /// To erase what a peer recalls.
    EraseRecalled(Box<Acceptance>),
    /// To take messages out of the node's care, which happens only once this is on disk; see [`crate::exports`].
    Export {
        /// Which.
        messages: Vec<EnvelopeId>,
        /// Whether their bodies go with them.
        bodies: bool,
        /// Who.
        by: Text<128>,
    },
    /// To do something in a live conversation.
    Hotline(Box<DeskOrder>),
}

impl Message {
    /// Whether it is a FLASH, or has one sent.
    pub(crate) fn is_flash(&self) -> bool {
        let lane = match self {
            Self::Weighed(Input::Envelope { envelope, .. }, _) => envelope.header().lane,
            Self::Request(Request::Compose(composed), _) => composed.submission.lane,
            Self::Request(Request::Submit(submission), _) => submission.lane,
            _ => return false,
        };
        lane == Lane::Flash
    }
}

impl Request {
    /// Whether it brings something new to be said, which waits where the disk has no room.
    pub(crate) fn says_something(&self) -> bool {
        match self {
            Self::Submit(_) | Self::Compose(_) | Self::Release { .. } => true,
            Self::Hotline(order) => matches!(order.turn, Turn::Line(..)),
            _ => false,
        }
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The operator is to blame, or must wait.
    #[error(transparent)]
    Declined(#[from] Declined),
    /// The node stops, or its disk failed; whatever was confirmed before holds.
    #[error("the node is stopping")]
    Stopping,
}

/// The state of the node at one moment.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// The node.
    pub own: NodeId,
    /// This run's number.
    pub incarnation: Incarnation,
    /// When this run began.
    pub started_at: UnixMillis,
    /// The journal's size and root.
    pub journal: TreeHead,
    /// The peers, by id.
    pub peers: Vec<PeerStatus>,
    /// The alarms that last.
    pub alarms: Vec<Alarm>,
    /// Acts that wait for a second person.
    pub requests: Vec<(RequestId, ApprovalRequest)>,
    /// Messages that wait for a second person.
    pub drafts: Vec<(DraftId, Drafted)>,
    /// Whether every peer not revoked has our newest card.
    pub own_card_known: bool,
}

/// How a message stands on its ladder at one moment.
#[derive(Clone, Debug)]
pub struct LadderView {
    /// What the core says.
    pub stands: OnLadder,
    /// When the next step is due, by the wall clock as it goes now.
    pub next_at: Option<UnixMillis>,
}

/// What is silent at one moment, and how much of what waits is only an exercise (I12).
#[derive(Clone, Debug)]
pub struct SilencesView {
    /// The silences that climb, by peer.
    pub climbing: Vec<Climbing>,
    /// By peer, its messages of exercises that wait for our answer, and ours that it has not receipted.
    pub exercises: BTreeMap<NodeId, (u64, u64)>,
}

/// One peer at one moment.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its card.
    pub card: VerifiedCard,
    /// Whether it is talked to.
    pub trust: Trust,
    /// The act that made it so.
    pub trusted: Option<TrustChanged>,
    /// Its next identity key, which waits for our administrators.
    pub offered: Option<Offered>,
    /// Its next identity key, taken and not used yet.
    pub accepted: Option<KeyId>,
    /// Its identity keys, the one in force and those before it.
    pub keys: KeyRing,
    /// Our identity key that signs what goes to it.
    pub own_key: KeyId,
    /// What was agreed with it.
    pub agreement: AgreementStatus,
    /// The latest live conversation with it.
    pub hotline: Option<Session>,
    /// What we make of its records.
    pub standing: Standing,
    /// What came back of a history that was lost here.
    pub recovery: Progress,
    /// Its link.
    pub link: LinkStatus,
    /// Its lanes, the most urgent first.
    pub lanes: [LaneStatus; 4],
    /// Comm checks, both ways.
    pub checks: Arc<Checks>,
    /// When an answer to our open check no longer counts.
    pub check_until: Option<UnixMillis>,
    /// Whether the latest human check of the peer's waits for somebody here.
    pub check_waits: bool,
}

/// What was agreed with a peer, at one moment.
#[derive(Clone, Debug, Default)]
pub struct AgreementStatus {
    /// Our terms.
    pub ours: Option<Terms>,
    /// The peer's terms.
    pub theirs: Option<Terms>,
    /// Whether the peer has our terms on its disk.
    pub is_known: bool,
}

/// A peer's link at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkStatus {
    /// Frames flow.
    Up,
    /// A dial is under way.
    Connecting,
    /// It is tried again by itself.
    Down,
}

/// One lane, both ways, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct LaneStatus {
    /// The latest place signed for the peer.
    pub sent: u64,
    /// The digest there.
    pub sent_digest: Option<Digest>,
    /// The latest place the peer has receipted.
    pub receipted: u64,
    /// The latest place received.
    pub received: u64,
    /// The digest there.
    pub received_digest: Option<Digest>,
    /// Notices from the peer that wait for an answer; a comm check is none.
    pub unanswered: u64,
    /// Whether we have blocked the lane.
    pub blocked_here: bool,
    /// Whether the peer has blocked it.
    pub blocked_there: bool,
}

impl LoopHandle {
    /// Signs and stores a message; when this succeeds it is on stable storage here (I1).
    pub async fn submit(&self, submission: Submission) -> Result<Vec<(EnvelopeId, Digest)>, RequestError> {
        match self.request(Request::Submit(Box::new(submission))).await? {
            Done::Submitted(submitted) => Ok(submitted),
            _ => Err(RequestError::Stopping),
        }
    }

    /// Carries out a request.
    pub async fn request(&self, request: Request) -> Result<Done, RequestError> {
        let (reply, handed_in) = Reply::new(false);
        self.urgent.send(Message::Request(request, reply)).await.map_err(|_| RequestError::Stopping)?;
        Ok(handed_in.answer().await?.done)
    }

    /// Hands in what a person composed, which overtakes the rest. With `follows` its messages are followed until they are
    /// stored. Returns when the loop's queue has taken it.
    pub(crate) async fn compose(&self, composed: Composed, follows: bool) -> Result<HandedIn, RequestError> {
        compose(&self.urgent, composed, follows).await
    }

    /// The same for one of many messages that a program has composed: only FLASH overtakes, or they would stand before a
    /// peer's FLASH (I14). Messages of one lane stay in the order in which they are handed in.
    pub(crate) async fn compose_in_bulk(&self, composed: Composed, follows: bool) -> Result<HandedIn, RequestError> {
        let queue = if composed.submission.lane == Lane::Flash { &self.urgent } else { &self.normal };
        compose(queue, composed, follows).await
    }

    /// The state of the node now.
    pub async fn view(&self) -> Result<NodeView, RequestError> {
        let (sender, receiver) = oneshot::channel();
        self.urgent.send(Message::View(sender)).await.map_err(|_| RequestError::Stopping)?;
        receiver.await.map_err(|_| RequestError::Stopping)
    }

    /// How these messages stand on their ladders; `None` for those about which nobody waits for anything.
    pub async fn on_ladder(&self, messages: Vec<EnvelopeId>) -> Result<Vec<Option<LadderView>>, RequestError> {
        let (sender, receiver) = oneshot::channel();
        self.urgent.send(Message::OnLadder(messages, sender)).await.map_err(|_| RequestError::Stopping)?;
        receiver.await.map_err(|_| RequestError::Stopping)
    }

    /// What is silent, and how much of what waits is an exercise.
    pub async fn silences(&self) -> Result<SilencesView, RequestError> {
        let (sender, receiver) = oneshot::channel();
        self.urgent.send(Message::Silences(sender)).await.map_err(|_| RequestError::Stopping)?;
        receiver.await.map_err(|_| RequestError::Stopping)
    }

    /// What a new link's Hello must say; `None` for a stranger.
    pub async fn link_facts(&self, peer: &NodeId) -> Result<Option<LinkFacts>, RequestError> {
        let (sender, receiver) = oneshot::channel();
        let question = Message::LinkFacts(peer.clone(), sender);
        self.normal.send(question).await.map_err(|_| RequestError::Stopping)?;
        receiver.await.map_err(|_| RequestError::Stopping)
    }

    /// Hands in an input; what concerns FLASH overtakes the rest. `Err` if the loop has ended.
    pub async fn input(&self, input: Input) -> Result<(), RequestError> {
        let queue = if is_urgent(&input) { &self.urgent } else { &self.normal };
        queue.send(Message::Input(input)).await.map_err(|_| RequestError::Stopping)
    }

    /// Hands in an input of a size for which its link has room only once the loop has taken others of it. `Err` if the
    /// loop has ended.
    pub(crate) async fn weighed_input(&self, input: Input, room: OwnedSemaphorePermit) -> Result<(), RequestError> {
        let queue = if is_urgent(&input) { &self.urgent } else { &self.normal };
        queue.send(Message::Weighed(input, room)).await.map_err(|_| RequestError::Stopping)
    }

    /// Hands in an input that overtakes the rest, whatever it is: news about a FLASH of ours. `Err` if the loop has ended.
    pub(crate) async fn urgent_input(&self, input: Input) -> Result<(), RequestError> {
        self.urgent.send(Message::Input(input)).await.map_err(|_| RequestError::Stopping)
    }

    /// Hands in an input and waits until it is decided and on disk. A link comes up so: nothing it reads, however urgent,
    /// may reach the loop before the link itself. `Err` if the loop has ended.
    pub async fn input_settled(&self, input: Input) -> Result<(), RequestError> {
        let (sender, receiver) = oneshot::channel();
        self.normal.send(Message::Input(input)).await.map_err(|_| RequestError::Stopping)?;
        self.normal.send(Message::Settled(sender)).await.map_err(|_| RequestError::Stopping)?;
        receiver.await.map_err(|_| RequestError::Stopping)
    }

    /// Stops the loop; returns when everything is on disk.
    pub async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.normal.send(Message::Stop(sender)).await.is_ok() {
            // An error means that the loop has ended already, which is what is wanted.
            let _ended = receiver.await;
        }
    }
}

/// Names requests of this run, so that replies find the way back.
#[derive(Debug, Default)]
pub(crate) struct Tokens(u64);

impl Tokens {
    pub(crate) fn next(&mut self) -> Token {
        self.0 += 1;
        Token(self.0)
    }
}

async fn compose(queue: &mpsc::Sender<Message>, composed: Composed, follows: bool) -> Result<HandedIn, RequestError> {
    let (reply, handed_in) = Reply::new(follows);
    let request = Request::Compose(Box::new(composed));
    queue.send(Message::Request(request, reply)).await.map_err(|_| RequestError::Stopping)?;
    Ok(handed_in)
}

fn is_urgent(input: &Input) -> bool {
    match input {
        Input::Envelope { envelope, .. } => envelope.header().lane == Lane::Flash,
        Input::Credit { credit, .. } => credit.lane == Lane::Flash,
        _ => false,
    }
}
