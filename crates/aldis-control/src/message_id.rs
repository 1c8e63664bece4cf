//! How people and programs name a message: `FROM/TO/Ln`, such as `cert.br/cert.cl/P17`.
//!
//! It only reads and writes the name; whether such a message exists is for the daemon to say.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::Precedence;

/// The name of one envelope: sender, recipient, lane and sequence number, written `cert.br/cert.cl/P17`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// The sending node.
    pub from: String,
    /// The receiving node.
    pub to: String,
    /// The lane, which is the precedence.
    pub lane: Precedence,
    /// The sequence number in that lane, from 1.
    pub seq: u64,
}

/// A message as a person may name it: in full, or without the recipient when that is this node (`cert.br/P17`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRef {
    /// The sending node.
    pub from: String,
    /// The receiving node; absent means the node that is asked.
    pub to: Option<String>,
    /// The lane, which is the precedence.
    pub lane: Precedence,
    /// The sequence number in that lane.
    pub seq: u64,
}

/// The text is not a message id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a message id: write FROM/TO/Ln as in cert.br/cert.cl/P17, or cert.br/P17 for one received here")]
pub struct InvalidMessageId(pub String);

impl MessageRef {
    /// The full id, with `this_node` as the recipient where none was written.
    pub fn resolve(self, this_node: &str) -> MessageId {
        let to = self.to.unwrap_or_else(|| this_node.to_owned());
        MessageId { from: self.from, to, lane: self.lane, seq: self.seq }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}{}", self.from, self.to, self.lane.letter(), self.seq)
    }
}

impl FromStr for MessageRef {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        let invalid = || InvalidMessageId(text.chars().take(80).collect());
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        let (from, to, place) = match parts[..] {
            [from, place] => (from, None, place),
            [from, to, place] => (from, Some(to), place),
            _ => return Err(invalid()),
        };
        if !is_node_id(from) || !to.is_none_or(is_node_id) {
            return Err(invalid());
        }
        let (lane, seq) = parse_place(place).ok_or_else(invalid)?;
        Ok(Self { from: from.to_owned(), to: to.map(str::to_owned), lane, seq })
    }
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        let MessageRef { from, to, lane, seq } = text.parse()?;
        let to = to.ok_or_else(|| InvalidMessageId(text.chars().take(80).collect()))?;
        Ok(Self { from, to, lane, seq })
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for MessageId {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "The name of one envelope: sender, recipient, lane letter (F, I, P, R) and sequence number.",
            ))
            .examples(["cert.br/cert.cl/P17"]);
        object.into()
    }
}

impl ToSchema for MessageId {}

/// Whether the text can be a node id: short, and only the characters that need no escaping anywhere.
fn is_node_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(allowed)
}

/// Reads `P17`: a lane letter and a number without sign or leading zero.
fn parse_place(text: &str) -> Option<(Precedence, u64)> {
    let mut chars = text.chars();
    let lane = Precedence::from_letter(chars.next()?)?;
    let digits = chars.as_str();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    plain.then(|| digits.parse().ok()).flatten().map(|seq| (lane, seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id: MessageId = "cert.br/cert.cl/P17".parse().unwrap();
        assert_eq!((id.lane, id.seq), (Precedence::Priority, 17));
        assert_eq!(id.to_string(), "cert.br/cert.cl/P17");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"cert.br/cert.cl/P17\"");
    }

    #[test]
    fn the_short_form_means_received_here() {
        let short: MessageRef = "cert.br/f3".parse().unwrap();
        assert_eq!(short.resolve("cert.cl").to_string(), "cert.br/cert.cl/F3");
        assert!("cert.br/F3".parse::<MessageId>().is_err());
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let wrong = [
            "",
            "P17",
            "/P17",
            "cert.br//P17",
            "cert.br/P",
            "cert.br/X1",
            "cert.br/P-1",
            "cert.br/P+1",
            "cert.br/P0",
            "cert.br/P01",
            "a/b/c/P1",
            "CERT.BR/P1",
            "cert br/P1",
            "cert.br/P99999999999999999999",
            "c\u{202e}/P1",
        ];
        for text in wrong {
            assert!(text.parse::<MessageRef>().is_err(), "{text}");
        }
    }
}
