//! Records of a history that was lost and comes back: that the journal was restored, and how the fetching ended. The
//! envelopes themselves stand in `Record::Recovered`, each as it was signed.

use aldis_wire::codec::{Decode, Encode, List, Text};
use aldis_wire::ids::{EnvelopeId, KeyId, NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;
use std::fmt;

/// How many envelopes without a body the end of a recovery names; the rest it counts.
pub const BODILESS_NAMED_MAX: usize = 16;

/// The journal was put back from a backup, or its node was built anew with its old keys. Nothing is signed for a peer from
/// here on until its records were compared with ours.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Restored {
    /// Who did it.
    pub by: Text<128>,
    /// When.
    pub at: UnixMillis,
    /// The time whose journal is lost, as the first start after it had it.
    pub gap: Option<Gap>,
}

/// The time whose journal is lost: from the latest record that is left to the first start without the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Gap {
    /// The latest time in the journal that is left; 0 if nothing is.
    pub after: UnixMillis,
    /// When the node started without the rest.
    pub until: UnixMillis,
}

/// How a recovery ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RecoveryEnd {
    /// Everything the peer holds is here again.
    Complete,
    /// The peer does not hold these any more, the first of each lane, and nothing behind them in their lanes can be taken.
    /// The other lanes are whole.
    NotHeld(List<EnvelopeId, 8>),
    /// This one contradicts what stands here.
    Contradicts(EnvelopeId),
    /// One is signed with a key that this node does not have on record for its place.
    UnknownKey(UnknownKey),
}

/// An envelope that comes back under a key that cannot be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct UnknownKey {
    /// Which envelope.
    pub envelope: EnvelopeId,
    /// The key that it names.
    pub key: KeyId,
}

/// What a peer said that it holds, where that is more than is here: the most it ever said, until the records agree.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Claimed {
    /// Which peer.
    pub peer: NodeId,
    /// Per lane, the latest place of ours.
    pub ours: [u64; 4],
    /// Per lane, the latest of its own that it has our receipt for.
    pub theirs: [u64; 4],
    /// When.
    pub at: UnixMillis,
}

/// The peer gave an envelope of ours back without its body, which is here. Why is signed by nobody, so nothing follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GivenBare {
    /// Which peer.
    pub peer: NodeId,
    /// The envelope's lane.
    pub lane: Lane,
    /// Its place.
    pub seq: Seq,
    /// What the peer says, as in `WithheldReason`.
    pub reason: u16,
    /// When.
    pub at: UnixMillis,
}

/// A recovery ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecoveryEnded {
    /// From which peer the history came.
    pub peer: NodeId,
    /// How.
    pub end: RecoveryEnd,
    /// How many envelopes of ours came back.
    pub ours: u64,
    /// How many of the peer's came back.
    pub theirs: u64,
    /// How many of them came without their body, which nobody holds any more.
    pub bodiless: u64,
    /// The first of those.
    pub bodiless_first: List<EnvelopeId, BODILESS_NAMED_MAX>,
    /// The time whose journal was lost.
    pub gap: Option<Gap>,
    /// When.
    pub at: UnixMillis,
}

impl RecoveryEnded {
    /// What is there again, what is not, and what to do, in plain sentences.
    pub fn words(&self) -> String {
        let (peer, ours, theirs) = (&self.peer, self.ours, self.theirs);
        match &self.end {
            RecoveryEnd::Complete => {
                let counts = format!("{ours} of ours and {theirs} of {peer} came back, each verified");
                format!("{counts}. {}{}", self.bodies(), self.loss())
            }
            RecoveryEnd::NotHeld(ids) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                format!(
                    "{peer} does not hold {} any more, and nothing behind that in its lane can be taken; the other lanes are \
                     whole. Ask its administrators to run `aldis verify`, then `aldis peer recover {peer}` again ({ours} of \
                     ours and {theirs} of theirs came back). {}{}",
                    ids.join(", "),
                    self.bodies(),
                    self.loss()
                )
            }
            RecoveryEnd::Contradicts(id) => contradiction(peer, Some(id)),
            RecoveryEnd::UnknownKey(UnknownKey { envelope, key }) if envelope.from == *peer => format!(
                "{envelope} is signed with the key {key}, which is not on record here for {peer}: it may be one that {peer} \
                 gave up, and cannot be checked without it. Restore from a backup that knows that key, or ask {peer}; nothing \
                 is signed for it meanwhile ({ours} of ours and {theirs} of theirs came back)"
            ),
            RecoveryEnd::UnknownKey(UnknownKey { envelope, key }) => format!(
                "{envelope}, which should be ours, names the key {key}, which is not among this node's keys: put it back beside \
                 the others if it was one, restart, then `aldis peer recover {peer}` again; if it never was, ask {peer} \
                 ({ours} of ours and {theirs} of theirs came back)"
            ),
        }
    }

    fn bodies(&self) -> String {
        if self.bodiless == 0 {
            return String::new();
        }
        let named: Vec<String> = self.bodiless_first.iter().map(ToString::to_string).collect();
        let more = if self.bodiless > named.len() as u64 { ", ..." } else { "" };
        format!(
            "{} came without their body: {}{more}. Why is signed by nobody, so what is ours of them stays open. ",
            self.bodiless,
            named.join(", ")
        )
    }

    fn loss(&self) -> String {
        self.gap.map(|gap| gap.words(&self.peer)).unwrap_or_default()
    }
}

impl Gap {
    /// What is lost for good.
    pub fn words(&self, peer: &NodeId) -> String {
        format!("What was submitted here {self} and had not reached {peer} is lost")
    }

    /// From the earlier beginning to the later end.
    pub(crate) fn merged(self, other: Self) -> Self {
        Self { after: self.after.min(other.after), until: self.until.max(other.until) }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after.get() {
            0 => write!(f, "before {}", self.until),
            _ => write!(f, "between {} and {}", self.after, self.until),
        }
    }
}

/// What to do where two histories of ours contradict each other.
pub(crate) fn contradiction(peer: &NodeId, at: Option<&EnvelopeId>) -> String {
    let place = at.map(|id| format!(" at {id}")).unwrap_or_default();
    format!(
        "{peer} holds another message{place} than this journal: something was signed after the backup was put back. Export \
         what was written since, restore again with `aldis restore`, which keeps the node from signing, then `aldis peer \
         recover {peer}`"
    )
}
