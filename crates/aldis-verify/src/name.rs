//! The names of the entries of an evidence file: what each holds, and where. A name that is not written exactly so is
//! none.

use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::lane::Lane;
use std::fmt;

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryName {
    /// What this is and how to check it: `README.txt`.
    Readme,
    /// What is in the file: `index.json`.
    Index,
    /// What happened, in plain text: `timeline.txt`.
    Timeline,
    /// The exporting node's signed word on its journal and on the index: `openings/checkpoint`.
    Checkpoint,
    /// A node's card: `cards/NODE/SEQUENCE`.
    Card(NodeId, u64),
    /// The keys one node used towards another: `keys/FROM/TO.txt`.
    Keys(NodeId, NodeId),
    /// A part of a message: `envelopes/FROM/TO/LANE/SEQ.header`, `.proof` or `.body`.
    Envelope(EnvelopeId, Part),
    /// A header that only links a message to what a receipt names: `links/FROM/TO/LANE/SEQ.header`.
    Link(EnvelopeId),
    /// A signed receipt: `receipts/FROM/TO/DIGEST`.
    Receipt(NodeId, NodeId, ShortDigest),
    /// That the exporting node's journal holds a message: `openings/records/FROM/TO/LANE/SEQ`.
    Record(EnvelopeId),
    /// What the witness in a receipt stands for: `openings/witnesses/DIGEST`, the digest being the receipt's.
    Witness(ShortDigest),
    /// One of two headers for one place: `contradictions/FROM/TO/LANE/SEQ/1.header` and so on.
    Contradiction(EnvelopeId, Side, Part),
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Its exact header.
    Header,
    /// Its exact proof.
    Proof,
    /// Its salt, then its body.
    Body,
}

/// Which of two contradicting headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one.
    One,
    /// The other.
    Two,
}

/// The first 16 hexadecimal digits of the SHA-256 of some bytes. It names an entry and proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShortDigest(String);

impl ShortDigest {
    /// The name of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(aldis_wire::digest::Digest::of(&[bytes]).to_hex()[..16].to_owned())
    }
}

impl fmt::Display for ShortDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl EntryName {
    /// Reads a name; `None` if an evidence file has no such entry.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let parsed = match parts[..] {
            ["README.txt"] => Self::Readme,
            ["index.json"] => Self::Index,
            ["timeline.txt"] => Self::Timeline,
            ["openings", "checkpoint"] => Self::Checkpoint,
            ["cards", node, sequence] => Self::Card(id(node)?, sequence.parse().ok()?),
            ["keys", from, to] => Self::Keys(id(from)?, id(to.strip_suffix(".txt")?)?),
            ["envelopes", from, to, lane, file] => {
                let (seq, part) = part(file)?;
                Self::Envelope(place(from, to, lane, seq)?, part)
            }
            ["links", from, to, lane, file] => Self::Link(place(from, to, lane, file.strip_suffix(".header")?)?),
            ["receipts", from, to, digest] => Self::Receipt(id(from)?, id(to)?, ShortDigest(digest.to_owned())),
            ["openings", "records", from, to, lane, seq] => Self::Record(place(from, to, lane, seq)?),
            ["openings", "witnesses", digest] => Self::Witness(ShortDigest(digest.to_owned())),
            ["contradictions", from, to, lane, seq, file] => {
                let (side, part) = part(file)?;
                let side = if side == "1" { Side::One } else { Side::Two };
                Self::Contradiction(place(from, to, lane, seq)?, side, part)
            }
            _ => return None,
        };
        // Lower-case lanes, numbers with zeroes in front and the like come out another way.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readme => f.write_str("README.txt"),
            Self::Index => f.write_str("index.json"),
            Self::Timeline => f.write_str("timeline.txt"),
            Self::Checkpoint => f.write_str("openings/checkpoint"),
            Self::Card(node, sequence) => write!(f, "cards/{node}/{sequence}"),
            Self::Keys(from, to) => write!(f, "keys/{from}/{to}.txt"),
            Self::Envelope(id, part) => write!(f, "envelopes/{}.{part}", Place(id)),
            Self::Link(id) => write!(f, "links/{}.header", Place(id)),
            Self::Receipt(from, to, digest) => write!(f, "receipts/{from}/{to}/{digest}"),
            Self::Record(id) => write!(f, "openings/records/{}", Place(id)),
            Self::Witness(digest) => write!(f, "openings/witnesses/{digest}"),
            Self::Contradiction(id, side, part) => {
                let side = if *side == Side::One { 1 } else { 2 };
                write!(f, "contradictions/{}/{side}.{part}", Place(id))
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Proof => "proof",
            Self::Body => "body",
        })
    }
}

/// A message's place as a path.
struct Place<'a>(&'a EnvelopeId);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EnvelopeId { from, to, lane, seq } = self.0;
        write!(f, "{from}/{to}/{}/{seq}", lane.letter())
    }
}

fn id(text: &str) -> Option<NodeId> {
    NodeId::new(text).ok()
}

fn place(from: &str, to: &str, lane: &str, seq: &str) -> Option<EnvelopeId> {
    let lane = lane.parse().ok().and_then(Lane::from_letter)?;
    Some(EnvelopeId { from: id(from)?, to: id(to)?, lane, seq: Seq::new(seq.parse().ok()?)? })
}

fn part(file: &str) -> Option<(&str, Part)> {
    let (before, part) = file.split_once('.')?;
    let part = [Part::Header, Part::Proof, Part::Body].into_iter().find(|known| known.to_string() == part)?;
    Some((before, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_in_one_way() {
        for good in [
            "README.txt",
            "index.json",
            "timeline.txt",
            "openings/checkpoint",
            "cards/cert.br/3",
            "keys/cert.br/cert.cl.txt",
            "envelopes/cert.br/cert.cl/P/17.body",
            "links/cert.br/cert.cl/F/1.header",
            "receipts/cert.cl/cert.br/0123456789abcdef",
            "openings/records/cert.br/cert.cl/P/17",
            "openings/witnesses/0123456789abcdef",
            "contradictions/cert.br/cert.cl/R/9/2.proof",
        ] {
            assert_eq!(EntryName::parse(good).map(|name| name.to_string()).as_deref(), Some(good));
        }
        for bad in [
            "",
            "readme.txt",
            "README.txt/",
            "/README.txt",
            "cards/cert.br/03",
            "cards/cert.br/+3",
            "cards/../3",
            "keys/cert.br/cert.cl",
            "envelopes/cert.br/cert.cl/p/17.body",
            "envelopes/cert.br/cert.cl/P/0.body",
            "envelopes/cert.br/cert.cl/P/17.text",
            "contradictions/cert.br/cert.cl/R/9/3.proof",
            "links/cert.br/cert.cl/F/1.proof",
        ] {
            assert_eq!(EntryName::parse(bad), None, "{bad}");
        }
    }
}
