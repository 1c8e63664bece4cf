//! Effects: what the node has to do, and only after the records of the same batch are on stable storage. The one way to
//! get them is [`crate::batch::Complete::commit`].

use crate::agreement::Breach;
use crate::hotline::SessionState;
use crate::input::Token;
use crate::ladder::Alert;
use crate::peer::LinkId;
use crate::record::{Checked, Climbed, DraftEnd, DraftId, Drafted, EXPORTED_MAX, LostReason, RecordSeq};
use crate::trust::{Act, ApprovalRequest, Person, RequestEnd, RequestId, Trust};
use aldis_wire::codec::Text;
use aldis_wire::codes::{Code, Desk};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::frame::{Credit, Fetch, Goodbye, Want};
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::kinds::{RefusalCode, StepTold};
use aldis_wire::lane::Lane;
use bytes::Bytes;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write an envelope to a link.
    Transmit {
        /// Which link.
        link: LinkId,
        /// Its lane.
        lane: Lane,
        /// Its place.
        seq: Seq,
        /// Where its bytes are.
        bytes: Outgoing,
    },
    /// Sign a receipt over what the core now holds of the peer, and write it.
    Receipt {
        /// For which peer.
        peer: NodeId,
        /// Which link.
        link: LinkId,
    },
    /// Allow the peer more envelopes.
    Grant {
        /// Which link.
        link: LinkId,
        /// How many.
        credit: Credit,
    },
    /// Dial a peer, whose card tells where.
    Dial {
        /// Which peer.
        peer: NodeId,
    },
    /// Say goodbye and close a link.
    Close {
        /// Which link.
        link: LinkId,
        /// Why.
        goodbye: Goodbye,
    },
    /// Answer an operator's request.
    Reply {
        /// Which request.
        token: Token,
        /// What came of it.
        result: Result<Done, Declined>,
    },
    /// Tell whoever watches.
    Tell(Happening),
    /// Bring an alert to people; what became of it comes back as an input.
    Alert(Box<Alert>),
    /// Erase the body beside a record, for good. A start does it again for each erasure it replays, so that one that was
    /// interrupted is finished.
    Erase {
        /// Beside which record.
        record: RecordSeq,
    },
    /// Ask a peer for envelopes that were lost here.
    Fetch {
        /// Over which link.
        link: LinkId,
        /// Which.
        fetch: Fetch,
    },
    /// Fetch a file that a peer's message names; what becomes of it comes back as an input. A link that ends takes it with
    /// it: it is asked for anew on the next.
    Obtain {
        /// From which peer.
        peer: NodeId,
        /// Over which link.
        link: LinkId,
        /// Which.
        attachment: Digest,
        /// Its size in bytes.
        size: u64,
        /// The lane of the message: the more urgent, the sooner it is fetched.
        lane: Lane,
    },
    /// Answer a peer that wants a piece of a file.
    Serve {
        /// Over which link.
        link: LinkId,
        /// What it wants.
        want: Want,
        /// The file's size in bytes; `None` if it is not one that the peer may have.
        size: Option<u64>,
    },
    /// Tell a peer what became of a file of its.
    Want {
        /// Over which link.
        link: LinkId,
        /// The words.
        want: Want,
    },
    /// Remove a file that nothing names any more, or what there is of one that was given up. A start removes whatever is
    /// not named, so one that was interrupted is finished.
    EraseAttachment {
        /// Whose message named it; `None` if it was one of ours.
        peer: Option<NodeId>,
        /// Which.
        attachment: Digest,
    },
}

/// Where the bytes of an outgoing envelope are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// Here: it was signed in this batch.
    Fresh {
        /// Its record, where its bytes are too.
        record: RecordSeq,
        /// Its bytes.
        bytes: Bytes,
    },
    /// In the journal.
    Stored {
        /// Its record.
        record: RecordSeq,
        /// Leave the body out, for this reason.
        withhold: Option<WithheldReason>,
    },
}

/// A request was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Messages were signed and stored (I1).
    Submitted(Vec<(EnvelopeId, Digest)>),
    /// A peer was enrolled.
    PeerAdded(NodeId),
    /// A lane was opened.
    Unblocked,
    /// A second person must approve it.
    Requested(RequestId),
    /// A request was taken back.
    Withdrawn,
    /// Our new card is in force.
    OwnCardTaken,
    /// The card holds another identity key of a known peer, which waits for the administrators.
    KeyOffered(NodeId),
    /// An offered key was declined.
    KeyDeclined(NodeId),
    /// An act was carried out, and this is what the peer is now.
    TrustChanged(NodeId, Trust),
    /// The opening of a message is on record.
    Opened,
    /// Our terms towards a peer are in force.
    AgreementSet(NodeId),
    /// A message was taken back before it was relayed; its body is erased.
    Recalled(EnvelopeId),
    /// The message waits for another person, until this time.
    Drafted(DraftId, UnixMillis),
    /// The draft was thrown away.
    Discarded,
    /// A comm check was signed and stored (I1).
    Checking(EnvelopeId),
    /// The export is on record, and may happen.
    Exported,
}

/// Why a request was not carried out. The operator is to blame, or must wait; nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// No such peer.
    #[error("{0} is not an enrolled peer")]
    UnknownPeer(NodeId),
    /// The peer's records and ours do not agree.
    #[error("nothing new is signed for {0}: {1}")]
    RecordsDisagree(NodeId, &'static str),
    /// The peer reads no version of the kind that we write.
    #[error("{peer} reads no version of kind `{kind}` that this node writes")]
    NoCommonKindVersion {
        /// The peer.
        peer: NodeId,
        /// The kind.
        kind: Code,
    },
    /// Too many open messages.
    #[error("{0} has as many open messages as are allowed")]
    QueueFull(NodeId),
    /// An answer that the state of the message does not allow.
    #[error("{message}: {}", .why.explanation())]
    Answer {
        /// The message it answers.
        message: EnvelopeId,
        /// Why not.
        why: RefusalCode,
    },
    /// Something about the message itself.
    #[error("{0}")]
    Message(String),
    /// The card belongs to this node, or to another peer with the same key.
    #[error("{0}")]
    Card(String),
    /// The peer is not one that is talked to.
    #[error("{}", crate::decide::not_verified(.0, *.1))]
    NotVerified(NodeId, Trust),
    /// The act does not fit what the peer is now.
    #[error("{peer} is {}: `{}` does not apply", .trust.name(), .act.name())]
    NotNow {
        /// What was asked.
        act: Act,
        /// Of which peer.
        peer: NodeId,
        /// What it is.
        trust: Trust,
    },
    /// The key is not the one the person saw.
    #[error("the key of {0} has changed since it was looked at; look again")]
    KeyChanged(NodeId),
    /// There is no new key to take.
    #[error("{0} has announced no new identity key")]
    NoNewKey(NodeId),
    /// The same thing was asked already.
    #[error("request {0} already asks for that; another administrator approves it with `aldis approve {0}`")]
    RequestOpen(RequestId),
    /// No such request waits.
    #[error("no request {0} waits: it was carried out, taken back, overtaken, or ran out")]
    NoSuchRequest(RequestId),
    /// The second person is the first.
    #[error("request {0} is yours: another administrator, with another Unix user, must approve it")]
    SamePerson(RequestId),
    /// Too many wait.
    #[error("as many requests wait as are allowed; approve some, or take some back")]
    TooManyRequests,
    /// The message is not within the agreement.
    #[error("not agreed with {peer} (terms {sequence} of {whose}): {what}")]
    NotAgreed {
        /// The recipient.
        peer: NodeId,
        /// Whose terms it breaks.
        whose: NodeId,
        /// Which of them.
        sequence: u64,
        /// In what.
        what: Breach,
    },
    /// Something about the terms themselves.
    #[error("{0}")]
    Terms(String),
    /// The lane is not blocked.
    #[error("the lane is not blocked")]
    NotBlocked,
    /// The message cannot be taken back, or no more.
    #[error("{message} cannot be recalled: {why}")]
    NotRecallable {
        /// Which.
        message: EnvelopeId,
        /// Why not.
        why: String,
    },
    /// It takes a second person, and came by a way that cannot wait for one.
    #[error("this node's rules want a second person for that")]
    NeedsRelease,
    /// No such draft waits.
    #[error("no draft {0} waits: it was released, thrown away, or ran out; see `aldis drafts`")]
    NoSuchDraft(DraftId),
    /// Whoever composed it cannot release it.
    #[error("draft {0} is yours: another person, with another Unix user, must release it")]
    OwnDraft(DraftId),
    /// Neither its drafter nor somebody who may release.
    #[error("draft {0} is another's: its drafter or a releaser can throw it away")]
    OthersDraft(DraftId),
    /// Too many wait.
    #[error("as many drafts wait as are allowed; release some, or throw some away")]
    TooManyDrafts,
    /// Too many words for a FLASH.
    #[error("{words} words where a FLASH has {allowed}: say less, or say why it must be this long")]
    TooLong {
        /// How many it has.
        words: u32,
        /// How many it may have.
        allowed: u32,
    },
    /// The site's own FLASH messages of the day are used up.
    #[error(
        "this site sends {allowed} FLASH messages a day to a peer, and {peer} got them; use IMMEDIATE, or telephone"
    )]
    FlashUsedUp {
        /// To which peer.
        peer: NodeId,
        /// How many.
        allowed: u32,
    },
    /// A check of the peer is open already.
    #[error("a comm check of {0} is open already; wait for what comes of it")]
    CheckOpen(NodeId),
    /// The check is over.
    #[error("{0} is a comm check that is over; nobody waits for its answer any more")]
    CheckOver(EnvelopeId),
    /// A hotline with the peer is there already.
    #[error("a hotline with {0} is there already; `aldis hotline {0}` joins it")]
    HotlineAlive(NodeId),
    /// The messages to be given out are not named as they must be.
    #[error("nothing was exported: {0}")]
    Export(ExportFault),
    /// Something was given out since whoever accepts a recall looked.
    #[error("messages were exported a moment ago; accept the recall once more")]
    ExportedMeanwhile,
    /// There is no hotline in which that could be said.
    #[error("no hotline with {0} is open here; `aldis hotline {0}` opens one, or picks up")]
    NoHotline(NodeId),
    /// The conversation that was meant is over, and another one has taken its place.
    #[error("the hotline with {peer} is another one now, case {there}: nothing was said in it")]
    OtherHotline {
        /// With whom.
        peer: NodeId,
        /// The one that is there.
        there: CaseId,
    },
    /// No history was lost, as far as is known.
    #[error("{0} does not hold anything that is missing here: {1}")]
    NothingToRecover(NodeId, &'static str),
    /// What was signed here since the restore contradicts what the peer holds.
    #[error("{}", crate::record::contradiction(.0, None))]
    HistoriesContradict(NodeId),
}

/// Why messages cannot be given out. Whoever names them is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportFault {
    /// None is named.
    #[error("no message is named")]
    Nothing,
    /// Too many at once.
    #[error("{0} messages at once, and at most {EXPORTED_MAX} fit; give them out in several parts")]
    TooMany(usize),
    /// One is named twice.
    #[error("a message is named twice; name each once")]
    Twice,
    /// A message of two other nodes.
    #[error("a message is named that neither came here nor went out from here")]
    NotOurs,
}

/// Something people may want to know at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A peer's envelope took its place.
    Received(EnvelopeId),
    /// An envelope of ours came further.
    Delivery(EnvelopeId, Delivery),
    /// A link came up.
    LinkUp(NodeId),
    /// A link went down.
    LinkDown(NodeId, String),
    /// An alarm began.
    AlarmRaised(Code, Option<NodeId>, String),
    /// An alarm ended.
    AlarmCleared(Code, Option<NodeId>),
    /// A peer was enrolled.
    PeerAdded(NodeId),
    /// An administrator asks for a second one.
    Requested(RequestId, ApprovalRequest),
    /// Such a request ended.
    RequestEnded(RequestId, RequestEnd),
    /// What a peer is to this node changed.
    TrustChanged(NodeId, Act, Trust),
    /// Our new card is in force.
    OwnCard(Digest),
    /// Every peer has our newest card.
    OwnCardKnown(Digest),
    /// Our newest key signs what goes to the peer from now on.
    OwnKeySwitched(NodeId),
    /// What we know of a peer's cards and keys changed.
    CardTaken(NodeId),
    /// A peer's next identity key waits for our administrators.
    KeyOffered(NodeId),
    /// Our terms towards the peer changed, or its own.
    AgreementChanged(NodeId),
    /// A step of the ladder was taken.
    Climbed(Box<Climbed>),
    /// A peer's node says what it did because nobody there answers a message of ours.
    StepTold(EnvelopeId, Box<StepTold>),
    /// Something happened in the live conversation with a peer: how far it is, for which desk, and in which exercise.
    Hotline(NodeId, SessionState, Desk, Option<Text<64>>),
    /// The node tells whoever watches of an alert; the core itself never says this.
    Alerted(Box<Alert>),
    /// A message waits for another person to release it.
    Drafted(DraftId, Box<Drafted>),
    /// Such a draft ended, by whom if not by time.
    DraftEnded(DraftId, DraftEnd, Box<Drafted>, Option<Person>),
    /// A comm check of ours ended.
    Checked(Box<Checked>),
    /// A file that a message between the peer and this node names came to its end.
    Attachment(NodeId, Digest, AttachmentNews),
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachmentNews {
    /// It is here.
    Held,
    /// The peer has it.
    Taken,
    /// It was given up.
    Lost(LostReason),
}

/// How far an envelope of ours has come, as told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Signed and on our disk.
    Submitted,
    /// Handed to a link.
    Relayed,
    /// The peer's receipt is on our disk (I3).
    Stored,
    /// An alert about it has reached a person.
    Notified,
    /// Somebody opened it.
    Seen,
    /// Somebody is dealing with it.
    Acknowledged,
    /// Decided, with the RID status.
    Decided(Code),
    /// Refused, with the code.
    Refused(Code),
    /// It expired before it was relayed.
    Expired,
    /// It was taken back: before it was relayed, or its body was erased where it went.
    Recalled,
}
