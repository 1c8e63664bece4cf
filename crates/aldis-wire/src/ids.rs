//! Who and which: node ids, case ids, key ids, incarnations, sequence numbers, times, and the id of one envelope.
//! Every one of them is checked when it is made, so the rest of the code never checks again.

use crate::codec::{Coded, Decode, Encode, Text, impl_coded};
use crate::digest::Digest;
use crate::lane::Lane;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest node id, in bytes.
pub const NODE_ID_MAX_BYTES: usize = 63;

/// A node's name, such as `cert.br`: labels of lower-case letters, digits and hyphens, joined by dots.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(Arc<str>);

/// A text is not an id. Whoever wrote it is to blame; the text says which rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: {rule}")]
pub struct IdError {
    text: String,
    what: &'static str,
    rule: &'static str,
}

impl NodeId {
    /// Checks and takes a node id.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if text.is_empty() || text.len() > NODE_ID_MAX_BYTES || !text.split('.').all(label) {
            return Err(IdError {
                text: Text::<80>::cut(text).to_string(),
                what: "node id",
                rule: "1 to 63 bytes of lower-case letters, digits and hyphens in labels joined by dots",
            });
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(&text)
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl Coded for NodeId {
    type Plain = Text<NODE_ID_MAX_BYTES>;
    fn to_plain(&self) -> Self::Plain {
        Text::cut(&self.0)
    }
    fn from_plain(plain: Self::Plain) -> Result<Self, String> {
        Self::new(&plain).map_err(|error| error.to_string())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The conversation an envelope belongs to: 16 random bytes, shown in base 32 (26 characters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct CaseId(pub [u8; 16]);

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl FromStr for CaseId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        data_encoding::BASE32_NOPAD
            .decode(text.to_ascii_uppercase().as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| IdError {
                text: Text::<80>::cut(text).to_string(),
                what: "case id",
                rule: "26 characters of base 32",
            })
    }
}

/// Which key signed: the first 16 bytes of SHA-256 over the identity public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct KeyId(pub [u8; 16]);

impl KeyId {
    /// The id of an identity public key.
    pub fn of(public_key: &[u8; 32]) -> Self {
        let digest = Digest::of(&[public_key]);
        let (id, _) = digest.as_bytes().split_first_chunk().expect("a digest is longer than a key id");
        Self(*id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// A random number a node journals at each start and signs into every header. Zero is never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A position in a lane. The first envelope of a lane is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(u64);

impl Seq {
    /// The first position of a lane.
    pub const FIRST: Self = Self(1);

    /// The last position a peer may write, 2^63 - 1. The rest of the range is refused so that [`Self::next`] cannot
    /// overflow.
    pub const MAX: Self = Self(u64::MAX / 2);

    /// Checks and takes a sequence number; zero is none, and none is above [`Self::MAX`].
    pub fn new(number: u64) -> Option<Self> {
        (1..=Self::MAX.0).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next position.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Coded for Seq {
    type Plain = u64;
    fn to_plain(&self) -> u64 {
        self.0
    }
    fn from_plain(plain: u64) -> Result<Self, String> {
        Self::new(plain).ok_or_else(|| format!("{plain} is not a sequence number"))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted. In JSON: RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// 9999-12-30T00:00:00Z; later times are refused so that every time can be shown.
    pub const MAX: Self = Self(253_402_128_000_000);

    /// Takes a time; one beyond the year 9999 becomes [`Self::MAX`].
    pub fn new(millis: u64) -> Self {
        Self(millis.min(Self::MAX.0))
    }

    /// Milliseconds since 1970.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The time `millis` later.
    #[must_use]
    pub fn plus_ms(self, millis: u64) -> Self {
        Self::new(self.0.saturating_add(millis))
    }
}

impl Coded for UnixMillis {
    type Plain = u64;
    fn to_plain(&self) -> u64 {
        self.0
    }
    fn from_plain(plain: u64) -> Result<Self, String> {
        if plain > Self::MAX.0 {
            return Err(format!("{plain} ms lies beyond the year 9999"));
        }
        Ok(Self(plain))
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).expect("a time is before the year 9999");
        let time = jiff::Timestamp::from_millisecond(millis).expect("a time is before the year 9999");
        write!(f, "{time:.3}")
    }
}

impl FromStr for UnixMillis {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let time: Result<jiff::Timestamp, _> = text.parse();
        time.ok().and_then(|time| u64::try_from(time.as_millisecond()).ok()).map(Self::new).ok_or_else(|| IdError {
            text: Text::<80>::cut(text).to_string(),
            what: "time",
            rule: "RFC 3339 from 1970 on, such as 2026-11-22T03:00:00Z",
        })
    }
}

impl TryFrom<String> for UnixMillis {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<UnixMillis> for String {
    fn from(time: UnixMillis) -> Self {
        time.to_string()
    }
}

impl_coded!(NodeId, Seq, UnixMillis);

/// The stream an envelope travels in: one of four per direction between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    /// The signing node.
    pub from: NodeId,
    /// The receiving node.
    pub to: NodeId,
    /// The precedence.
    pub lane: Lane,
}

/// The id of one envelope, shown as `cert.br/cert.cl/P17`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct EnvelopeId {
    /// The signing node.
    pub from: NodeId,
    /// The receiving node.
    pub to: NodeId,
    /// The precedence.
    pub lane: Lane,
    /// The place in the lane.
    pub seq: Seq,
}

impl fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}{}", self.from, self.to, self.lane.letter(), self.seq)
    }
}

impl FromStr for EnvelopeId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError {
            text: Text::<80>::cut(text).to_string(),
            what: "message id",
            rule: "FROM/TO/LANE-AND-NUMBER, such as cert.br/cert.cl/P17",
        };
        let mut parts = text.split('/');
        let (Some(from), Some(to), Some(place), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let mut characters = place.chars();
        let lane = characters.next().and_then(Lane::from_letter).ok_or_else(wrong)?;
        let seq = characters.as_str().parse().ok().and_then(Seq::new).ok_or_else(wrong)?;
        Ok(Self { from: NodeId::new(from)?, to: NodeId::new(to)?, lane, seq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_ids_are_checked() {
        for good in ["cert.br", "a", "csirt-americas.oas.org", "7.x"] {
            assert_eq!(NodeId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "Cert.br", "cert..br", "-a", "a-", "cert br", "cert/br", "çert", &"a".repeat(64)] {
            assert!(NodeId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_and_times_survive_their_text() {
        let id: EnvelopeId = "cert.br/cert.cl/P17".parse().unwrap();
        assert_eq!(id.to_string(), "cert.br/cert.cl/P17");
        for bad in ["cert.br/P17", "cert.br/cert.cl/X1", "cert.br/cert.cl/P0", "cert.br/cert.cl/P", "a/b/P1/c"] {
            assert!(bad.parse::<EnvelopeId>().is_err(), "{bad}");
        }
        let case = CaseId([7; 16]);
        assert_eq!(case.to_string().parse(), Ok(case));
        let time = UnixMillis::new(1_795_316_400_123);
        assert_eq!(time.to_string(), "2026-11-22T03:00:00.123Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!(UnixMillis::MAX.to_string(), "9999-12-30T00:00:00.000Z");
    }
}
