//! The rows of the message log: what is stored under which key. Rows never hold a body nor anything made of one (subject,
//! stage, deadline): bodies can be erased from the journal, and sled forgets nothing. Whoever lists messages reads those
//! from the journal.
//!
//! A *place* is `from 00 to 00 lane`, a *name* is `place seq`; a *moment* is `at record`. Numbers are 8 bytes big-endian,
//! a lane is one byte, 0 for FLASH. An *epoch* is the number of 16,384 records. Times are this node's: when it signed, or stored what a peer signed.
//!
//! | key | value | for |
//! |---|---|---|
//! | `v` | [`Meta`] | telling a log of another program or node |
//! | `g` record | [`Gap`] | records that could not be read |
//! | `m` name | [`Message`] | one message |
//! | `t` moment | name | review by time |
//! | `p` peer `00` moment | name | review of one peer |
//! | `k` kind `00` moment | name | review of one kind |
//! | `c` epoch case moment | name | a case |
//! | `i` lane moment | name | received notices that wait for our answer |
//! | `o` lane moment | name | sent notices that are not finally answered |
//! | `s` place | [`Stream`] | how far a lane has come |
//! | `d` place way seq | [`Mark`] | what was relayed (way 0) or receipted (way 1) up to a place: one row for a whole range |
//! | `r` name record | name | answers and refusals, by what they answer |
//! | `w` name record | [`Waiting`] | what came before the message it is about |
//! | `h` name record | [`Step`] | what happened to one message alone |
//! | `e` name record | [`Opening`] | who opened a TLP:RED message here |
//! | `x` name record | [`Export`] | who gave a message out |
//! | `l` place record | [`LaneStep`] | a step of our ladder because the peer's node receipts nothing in a lane |
//! | `a` record | [`AlertOf`] | which messages an alert is about, until it is known what became of it |
//! | `f` way peer `00` digest | [`Fate`] | what became of a file that a message names |
//! | `n` moment | [`NodeEvent`] | what happened to the node or a peer |
//!
//! How far a sent message is delivered is not in its row: receipts are cumulative, so it follows from the stream's marks.
//! One record therefore changes a bounded number of rows, however many messages it covers.

use aldis_core::ladder::{ALERT_MESSAGES_MAX, Silence};
use aldis_wire::codec::{self, Decode, Encode, List, Text};
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;

/// Raised whenever a row or key changes; a log of another format is built again.
pub(super) const FORMAT: u16 = 6;

pub(super) const META: u8 = b'v';
pub(super) const GAP: u8 = b'g';
pub(super) const MESSAGE: u8 = b'm';
pub(super) const BY_TIME: u8 = b't';
pub(super) const BY_PEER: u8 = b'p';
pub(super) const BY_KIND: u8 = b'k';
pub(super) const BY_CASE: u8 = b'c';
pub(super) const OPEN_IN: u8 = b'i';
pub(super) const OPEN_OUT: u8 = b'o';
pub(super) const STREAM: u8 = b's';
pub(super) const MARK: u8 = b'd';
pub(super) const ANSWER: u8 = b'r';
pub(super) const WAITING: u8 = b'w';
pub(super) const STEP: u8 = b'h';
pub(super) const OPENING: u8 = b'e';
pub(super) const EXPORT: u8 = b'x';
pub(super) const NODE_EVENT: u8 = b'n';
pub(super) const LANE_STEP: u8 = b'l';
pub(super) const ALERT: u8 = b'a';
pub(super) const FATE: u8 = b'f';

/// Which program wrote the log, and for which node.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Meta {
    pub(super) format: u16,
    pub(super) own: NodeId,
}

/// Records of the journal that could not be read when the log was built.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Gap {
    /// The first record behind the gap.
    pub(super) end: u64,
    pub(super) what: Text<500>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Message {
    /// The record it stands in.
    pub(super) record: u64,
    pub(super) way: Way,
    pub(super) digest: Digest,
    /// When it was signed or stored here.
    pub(super) at: UnixMillis,
    pub(super) sent_at: UnixMillis,
    pub(super) expires_at: UnixMillis,
    pub(super) case: CaseId,
    pub(super) desk: u16,
    pub(super) tlp: u16,
    pub(super) kind: Code,
    pub(super) kind_version: u16,
    pub(super) exercise: Option<Text<64>>,
    pub(super) says: Says,
    /// The sender's code for a body that never came.
    pub(super) withheld: Option<u16>,
    /// An answer that waits for what it answers.
    pub(super) held: bool,
    pub(super) progress: Progress,
    /// The latest decision's RID status; final unless it is `pending`.
    pub(super) status: Option<Code>,
    /// Why nothing more comes of it: the first cause, never a later one.
    pub(super) end: Option<End>,
    /// When somebody first took it on: the first answer that says more than `seen`.
    pub(super) answered_at: Option<UnixMillis>,
    /// The latest message that takes its place.
    pub(super) superseded_by: Option<EnvelopeId>,
    /// The latest message that asks to erase it.
    pub(super) recalled_by: Option<EnvelopeId>,
    /// Whether its body was given out.
    pub(super) exported: bool,
}

/// Received or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Way {
    In,
    Out,
}

/// What a body does, as far as it was understood when it came.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Says {
    Notice,
    Seen,
    Acknowledged,
    Decided(Code),
    OtherAnswer(Code),
    Refusal(Code),
    NotUnderstood,
    /// Something the machine acts upon and nobody has to answer.
    ForTheNode,
    /// That a hotline is over; the opening it names is dealt with, if somebody had picked up.
    HotlineOver,
}

/// How far people have come with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(super) enum Progress {
    Nothing,
    /// An alert about it has reached a person.
    Notified,
    Seen,
    /// Somebody had taken it on, and it is open again.
    Reopened,
    Acknowledged,
    Decided,
}

/// Why nothing more comes of a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum End {
    Refused(Code),
    Expired,
    Recalled,
}

/// How far a lane has come. For a lane towards a peer `receipted` and `relayed` say how far; for one from a peer `open`
/// counts the notices that wait for our answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Stream {
    pub(super) outgoing: bool,
    pub(super) last: u64,
    pub(super) relayed: u64,
    pub(super) receipted: u64,
    pub(super) open: u64,
}

/// Everything up to a place was relayed or receipted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Mark {
    pub(super) record: u64,
    pub(super) at: UnixMillis,
    /// What a receipt says beside the place: when the peer stored it, and the digest there.
    pub(super) receipt: Option<(UnixMillis, Digest)>,
}

/// Which of the two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkWay {
    Relayed = 0,
    Receipted = 1,
}

/// A message that names one that is not here yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Waiting {
    /// Which one.
    pub(super) source: EnvelopeId,
    /// Whether it supersedes; otherwise it answers.
    pub(super) supersedes: bool,
    /// The digest it names.
    pub(super) digest: Digest,
    /// Who wrote it.
    pub(super) by: Text<128>,
}

/// Something that happened to one message alone.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Step {
    pub(super) at: UnixMillis,
    pub(super) to: StepTo,
    pub(super) cause: Text<400>,
    pub(super) by: Option<Text<256>>,
    /// The step of a ladder that was taken, here or at the peer; then the state may be what it was before.
    pub(super) ladder: Option<u8>,
}

/// What a step led to, or left as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum StepTo {
    Stored,
    Seen,
    Acknowledged,
    Decided,
    Refused,
    Expired,
    Recalled,
    Held,
    Submitted,
    Relayed,
    Notified,
    Reopened,
}

/// Something that happened to a range of a lane towards a peer whose node receipts nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct LaneStep {
    pub(super) at: UnixMillis,
    /// The first place it is about.
    pub(super) first: u64,
    /// The last place it is about.
    pub(super) last: u64,
    /// The step of our ladder.
    pub(super) step: u8,
    pub(super) cause: Text<400>,
}

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct AlertOf {
    pub(super) silence: Silence,
    pub(super) peer: NodeId,
    pub(super) lane: Lane,
    pub(super) messages: List<Seq, ALERT_MESSAGES_MAX>,
    pub(super) step: u8,
}

/// Somebody here opened a TLP:RED message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Opening {
    pub(super) at: UnixMillis,
    pub(super) by: Text<128>,
}

/// Somebody here gave a message out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Export {
    pub(super) at: UnixMillis,
    /// Whether its body went too.
    pub(super) bodies: bool,
    pub(super) by: Text<128>,
}

/// What became of a file that a message names, unless it is here or still to come: the file store knows that.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Fate {
    /// The record that says so.
    pub(super) record: u64,
    pub(super) to: FateOf,
}

/// The fate itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum FateOf {
    /// The peer says that it has ours.
    Taken,
    /// It was given up.
    Lost(Text<200>),
}

/// Something that happened to the node or to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct NodeEvent {
    pub(super) what: Code,
    pub(super) peer: Option<NodeId>,
    pub(super) text: Text<512>,
    pub(super) by: Option<Text<128>>,
}

impl Message {
    /// How far it has come: what ended it, what people said, or how far its lane is delivered, for which alone `stream`
    /// is asked. `seq` is its place in the lane.
    pub(super) fn state<E>(&self, seq: Seq, stream: impl FnOnce() -> Result<Stream, E>) -> Result<StepTo, E> {
        Ok(match (&self.end, self.progress) {
            (Some(End::Refused(_)), _) => StepTo::Refused,
            (Some(End::Expired), _) => StepTo::Expired,
            (Some(End::Recalled), _) => StepTo::Recalled,
            (None, Progress::Decided) => StepTo::Decided,
            (None, Progress::Acknowledged) => StepTo::Acknowledged,
            (None, Progress::Reopened) => StepTo::Reopened,
            (None, Progress::Seen) => StepTo::Seen,
            (None, Progress::Notified) => StepTo::Notified,
            (None, Progress::Nothing) if self.held => StepTo::Held,
            (None, Progress::Nothing) if self.way == Way::In => StepTo::Stored,
            (None, Progress::Nothing) => {
                let stream = stream()?;
                match seq.get() {
                    seq if seq <= stream.receipted => StepTo::Stored,
                    seq if seq <= stream.relayed => StepTo::Relayed,
                    _ => StepTo::Submitted,
                }
            }
        })
    }

    /// Whether a decision that closes the matter was taken.
    pub(super) fn is_decided(&self) -> bool {
        self.progress == Progress::Decided && self.status.as_ref().is_some_and(|status| status.as_str() != "pending")
    }
}

/// A row's bytes.
pub(super) fn value<T: Encode>(row: &T) -> Vec<u8> {
    codec::encode(row)
}

/// The key of the rows there is one of.
pub(super) fn meta_key() -> Vec<u8> {
    vec![META]
}

pub(super) fn gap_key(first: u64) -> Vec<u8> {
    [&[GAP], &first.to_be_bytes()[..]].concat()
}

pub(super) fn message_key(id: &EnvelopeId) -> Vec<u8> {
    named(&[MESSAGE], id)
}

pub(super) fn stream_key(from: &NodeId, to: &NodeId, lane: Lane) -> Vec<u8> {
    placed(&[STREAM], from, to, lane)
}

/// The key of what became of a file between this node and a peer.
pub(super) fn fate_key(way: Way, peer: &NodeId, attachment: Digest) -> Vec<u8> {
    let way = match way {
        Way::In => 0,
        Way::Out => 1,
    };
    [&[FATE, way], peer.as_str().as_bytes(), &[0], attachment.as_bytes()].concat()
}

/// The key of the marks of a lane, or where those of one way begin.
pub(super) fn mark_prefix(from: &NodeId, to: &NodeId, lane: Lane, way: MarkWay) -> Vec<u8> {
    let mut prefix = placed(&[MARK], from, to, lane);
    prefix.push(way as u8);
    prefix
}

pub(super) fn mark_key(from: &NodeId, to: &NodeId, lane: Lane, way: MarkWay, seq: Seq) -> Vec<u8> {
    numbered(mark_prefix(from, to, lane, way), seq.get())
}

/// Where the rows of one message begin, under [`ANSWER`], [`WAITING`], [`STEP`], [`OPENING`] or [`EXPORT`].
pub(super) fn of_message_prefix(tag: u8, id: &EnvelopeId) -> Vec<u8> {
    named(&[tag], id)
}

pub(super) fn of_message_key(tag: u8, id: &EnvelopeId, record: u64) -> Vec<u8> {
    numbered(of_message_prefix(tag, id), record)
}

/// Where an index begins: [`BY_TIME`] alone, [`BY_PEER`] with a peer, and so on.
pub(super) fn time_prefix() -> Vec<u8> {
    vec![BY_TIME]
}

pub(super) fn peer_prefix(peer: &NodeId) -> Vec<u8> {
    [&[BY_PEER], peer.as_str().as_bytes(), &[0]].concat()
}

pub(super) fn kind_prefix(kind: &Code) -> Vec<u8> {
    [&[BY_KIND], kind.as_str().as_bytes(), &[0]].concat()
}

pub(super) fn open_prefix(way: Way, lane: Lane) -> Vec<u8> {
    let tag = match way {
        Way::In => OPEN_IN,
        Way::Out => OPEN_OUT,
    };
    vec![tag, lane.code()]
}

/// Where the steps about a lane begin.
pub(super) fn lane_step_prefix(from: &NodeId, to: &NodeId, lane: Lane) -> Vec<u8> {
    placed(&[LANE_STEP], from, to, lane)
}

pub(super) fn lane_step_key(from: &NodeId, to: &NodeId, lane: Lane, record: u64) -> Vec<u8> {
    numbered(lane_step_prefix(from, to, lane), record)
}

pub(super) fn alert_key(record: u64) -> Vec<u8> {
    [&[ALERT], &record.to_be_bytes()[..]].concat()
}

pub(super) fn node_event_key(moment: Moment) -> Vec<u8> {
    moment.under(vec![NODE_EVENT])
}

/// A place in an index that is ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) at: UnixMillis,
    pub(super) record: u64,
}

impl Moment {
    pub(super) const BYTES: usize = 16;

    /// The index key at this moment.
    pub(super) fn under(self, mut prefix: Vec<u8>) -> Vec<u8> {
        prefix.extend_from_slice(&self.to_bytes());
        prefix
    }

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        (u128::from(self.at.get()) << 64 | u128::from(self.record)).to_be_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (at, record) = bytes.split_at(8);
        let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("half of 16 bytes is 8"));
        Self { at: UnixMillis::new(number(at)), record: number(record) }
    }

    /// The moment at the end of an index key.
    pub(super) fn of_key(key: &[u8]) -> Option<Self> {
        key.last_chunk().map(|bytes| Self::from_bytes(*bytes))
    }
}

/// A message's name, which is what index rows hold.
pub(super) fn name(id: &EnvelopeId) -> Vec<u8> {
    named(&[], id)
}

/// The id a name stands for; `None` if these bytes are no name.
pub(super) fn parse_name(name: &[u8]) -> Option<EnvelopeId> {
    let (place, seq) = name.split_last_chunk()?;
    let (from, to, lane) = parse_place(place)?;
    Some(EnvelopeId { from, to, lane, seq: Seq::new(u64::from_be_bytes(*seq))? })
}

/// The stream a place stands for; `None` if these bytes are no place.
pub(super) fn parse_place(place: &[u8]) -> Option<(NodeId, NodeId, Lane)> {
    let (lane, ids) = place.split_last()?;
    let mut ids = ids.split(|byte| *byte == 0).map(|id| NodeId::new(std::str::from_utf8(id).ok()?).ok());
    let (Some(Some(from)), Some(Some(to)), Some(None), None) = (ids.next(), ids.next(), ids.next(), ids.next()) else {
        return None;
    };
    Some((from, to, Lane::from_code(*lane)?))
}

/// A prefix with a message's name behind it. It is made for every message many times, so in one piece of memory.
fn named(prefix: &[u8], id: &EnvelopeId) -> Vec<u8> {
    numbered(placed(prefix, &id.from, &id.to, id.lane), id.seq.get())
}

/// A prefix with a stream's place behind it, and room for two numbers.
fn placed(prefix: &[u8], from: &NodeId, to: &NodeId, lane: Lane) -> Vec<u8> {
    let (from, to) = (from.as_str().as_bytes(), to.as_str().as_bytes());
    let mut key = Vec::with_capacity(prefix.len() + from.len() + to.len() + 3 + 2 * size_of::<u64>());
    for part in [prefix, from, &[0], to, &[0, lane.code()]] {
        key.extend_from_slice(part);
    }
    key
}

fn numbered(mut key: Vec<u8>, number: u64) -> Vec<u8> {
    key.extend_from_slice(&number.to_be_bytes());
    key
}
