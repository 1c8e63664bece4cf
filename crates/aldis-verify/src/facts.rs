//! What an evidence file proves. Its JSON form is the verdict that a second program must come to as well.

use crate::index::BodyGiven;
use aldis_wire::ids::{NodeId, UnixMillis};
use serde::Serialize;

/// What a good file proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The node that made the file.
    pub exporter: NodeId,
    /// When, by its clock.
    pub exported_at: UnixMillis,
    /// Its journal as it signed it.
    pub checkpoint: CheckpointFact,
    /// The identity keys in the file, by node, oldest card first.
    pub keys: Vec<KeyFact>,
    /// The messages, in the order of their ids.
    pub messages: Vec<MessageFact>,
    /// The contradictions, in the order of their places.
    pub contradictions: Vec<ContradictionFact>,
}

/// The exporting node's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointFact {
    /// How many records it has.
    pub size: u64,
    /// The root over them, in hexadecimal.
    pub root: String,
    /// The id of the key that signed it, in hexadecimal.
    pub key: String,
}

/// One key of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyFact {
    /// The node.
    pub node: NodeId,
    /// The key's id, in hexadecimal.
    pub key: String,
    /// What people compare, 64 hexadecimal digits.
    pub fingerprint: String,
}

/// What is proven about one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MessageFact {
    /// Its id.
    pub id: String,
    /// The digest of its header, in hexadecimal.
    pub digest: String,
    /// The id of the key that signed it, in hexadecimal.
    pub key: String,
    /// When it was signed, as its sender says.
    pub sent_at: UnixMillis,
    /// What it is.
    pub kind: String,
    /// Its marking.
    pub tlp: String,
    /// Whether its body is in the file, and the one that was signed.
    pub body: BodyGiven,
    /// The receipt of its recipient that covers it.
    pub receipt: Option<ReceiptFact>,
    /// Messages that its recipient signed and that name it by its digest, in the order of their ids.
    pub named_by: Vec<NamedFact>,
    /// Which record of the exporting node's journal it is.
    pub record: Option<u64>,
    /// Who else held a commitment to a journal with that record, and when first.
    pub witness: Option<WitnessFact>,
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptFact {
    /// The entry.
    pub file: String,
    /// The id of the key that signed it, in hexadecimal.
    pub key: String,
    /// When its signer says it stored the latest of what it covers.
    pub stored_at: UnixMillis,
    /// How many headers further the receipt names one; 0 if it names this very message.
    pub links: u64,
}

/// A message that names another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedFact {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// When it was signed, as its sender says.
    pub sent_at: UnixMillis,
}

/// A witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WitnessFact {
    /// The entry of the receipt that names the commitment.
    pub file: String,
    /// When its signer says it stored the latest of what it covers.
    pub stored_at: UnixMillis,
    /// How many records the journal had by then at least.
    pub size: u64,
}

/// Two headers that cannot both be meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContradictionFact {
    /// The place of the first.
    pub id: String,
    /// How it can be.
    pub how: How,
}

/// How one node comes to sign two such headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// In one run: it said two things, and cannot have meant both.
    Equivocation,
    /// In two runs: it was restored from a backup, or cloned, in between.
    Restored,
}
