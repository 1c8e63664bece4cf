//! Records of a history that was lost and comes back: that the journal was restored, and how the fetching ended. The
//! envelopes themselves stand in `Record::Recovered`, each as it was signed.

use aldis_wire::codec::{Decode, Encode, List, Text};
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};

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
    /// The peer does not hold this one any more, and nothing behind it can be taken.
    NotHeld(EnvelopeId),
    /// This one contradicts what stands here.
    Contradicts(EnvelopeId),
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
            RecoveryEnd::NotHeld(id) => format!(
                "{peer} does not hold {id} any more, and nothing behind it can be taken: ask its administrators to run `aldis \
                 verify`, then `aldis peer recover {peer}` again ({ours} of ours and {theirs} of theirs came back before)"
            ),
            RecoveryEnd::Contradicts(id) => contradiction(peer, Some(id)),
        }
    }

    fn bodies(&self) -> String {
        if self.bodiless == 0 {
            return String::new();
        }
        let named: Vec<String> = self.bodiless_first.iter().map(ToString::to_string).collect();
        let more = if self.bodiless > named.len() as u64 { ", ..." } else { "" };
        format!("Nobody holds the body of {}: {}{more}. ", self.bodiless, named.join(", "))
    }

    fn loss(&self) -> String {
        let Some(Gap { after, until }) = self.gap else { return String::new() };
        let between = match after.get() {
            0 => format!("before {until}"),
            _ => format!("between {after} and {until}"),
        };
        format!("What was submitted here {between} and had not reached {} is lost", self.peer)
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
