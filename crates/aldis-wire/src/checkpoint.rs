//! Checkpoints: a node's signed word on how large its journal is and what its root is, in the format of C2SP
//! tlog-checkpoint and signed-note, so that other tools read them. The identity key signs the text as C2SP wants it;
//! why that cannot be taken for a signature of another purpose stands at [`NoteText`].

use crate::digest::Digest;
use crate::ids::NodeId;
use crate::signing::{IdentityKey, NoteText, PublicKey, Signature};

/// The longest checkpoint, in bytes.
pub const CHECKPOINT_MAX_BYTES: usize = 1_024;

/// The signature type of Ed25519 in signed notes.
const ED25519: u8 = 1;

/// What a node says about its journal. The node is also the log's origin and the name of the key: `aldis/` and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The node.
    pub node: NodeId,
    /// How many records the journal has.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
    /// The digest of what the checkpoint was made for, in the one extension line.
    pub made_for: Digest,
}

/// A checkpoint as it was read, whose signature is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    key_id: [u8; 4],
    signature: Signature,
}

/// Why a text is no checkpoint of a node. Whoever gave it is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not the one way in which a checkpoint is written.
    #[error("not a checkpoint as a node writes it")]
    Malformed,
    /// None of the node's keys signed it.
    #[error("the signature is of none of the node's keys")]
    Signature,
}

impl Checkpoint {
    /// Signs it; the result is the whole note.
    pub fn sign(&self, key: &IdentityKey) -> String {
        let signature = key.sign_note(&self.text());
        SignedCheckpoint { checkpoint: self.clone(), key_id: note_key_id(&self.node, &key.public()), signature }
            .to_note()
    }

    fn text(&self) -> NoteText {
        let root = data_encoding::BASE64.encode(self.root.as_bytes());
        let text = format!("aldis/{}\n{}\n{root}\nevidence {}\n", self.node, self.size, self.made_for);
        NoteText::new(text).expect("ids, numbers and digests hold no control characters")
    }
}

impl SignedCheckpoint {
    /// Reads a note. There is one way to write a checkpoint, and no other is taken.
    pub fn parse(note: &[u8]) -> Result<Self, CheckpointError> {
        let text = std::str::from_utf8(note).ok().filter(|text| text.len() <= CHECKPOINT_MAX_BYTES);
        let parsed = text.and_then(Self::read).ok_or(CheckpointError::Malformed)?;
        // Numbers with a sign or zeroes in front, and everything else that reads the same, come out another way.
        if parsed.to_note().as_bytes() == note { Ok(parsed) } else { Err(CheckpointError::Malformed) }
    }

    /// What it says, and with which of these keys of the node it is signed.
    pub fn verify<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a PublicKey>,
    ) -> Result<(&Checkpoint, &'a PublicKey), CheckpointError> {
        let text = self.checkpoint.text();
        let mut keys = keys.into_iter().filter(|key| note_key_id(&self.checkpoint.node, key) == self.key_id);
        let key = keys.find(|key| key.verify_note(&text, &self.signature).is_ok());
        key.map(|key| (&self.checkpoint, key)).ok_or(CheckpointError::Signature)
    }

    /// What it claims to say, whoever signed it.
    pub fn claims(&self) -> &Checkpoint {
        &self.checkpoint
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let node = NodeId::new(lines.next()?.strip_prefix("aldis/")?).ok()?;
        let size = lines.next()?.parse().ok()?;
        let root = digest(&data_encoding::BASE64.decode(lines.next()?.as_bytes()).ok()?)?;
        let made_for = lines.next()?.strip_prefix("evidence ")?;
        let made_for = digest(&data_encoding::HEXLOWER.decode(made_for.as_bytes()).ok()?)?;
        let signed = lines.nth(1)?.rsplit_once(' ')?.1;
        let signed = data_encoding::BASE64.decode(signed.as_bytes()).ok()?;
        let (key_id, signature) = signed.split_first_chunk::<4>()?;
        let signature = Signature(signature.try_into().ok()?);
        Some(Self { checkpoint: Checkpoint { node, size, root, made_for }, key_id: *key_id, signature })
    }

    fn to_note(&self) -> String {
        let signed = [&self.key_id[..], &self.signature.0[..]].concat();
        let text = self.checkpoint.text();
        let signed = data_encoding::BASE64.encode(&signed);
        format!("{}\n\u{2014} aldis/{} {signed}\n", text.as_str(), self.checkpoint.node)
    }
}

/// The first 4 bytes of SHA-256(name || line feed || type || key).
fn note_key_id(node: &NodeId, key: &PublicKey) -> [u8; 4] {
    let name = format!("aldis/{node}\n");
    let whole = Digest::of(&[name.as_bytes(), &[ED25519], key.as_bytes()]);
    *whole.as_bytes().first_chunk().expect("a digest has 32 bytes")
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn checkpoint() -> Checkpoint {
        Checkpoint { node: samples::br(), size: 17, root: samples::digest(3), made_for: samples::digest(4) }
    }

    #[test]
    fn a_checkpoint_is_a_signed_note_of_its_node() {
        let (key, other) = (samples::br_key(), samples::cl_key());
        let note = checkpoint().sign(&key);
        let expected = "aldis/cert.br\n17\nAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\nevidence 0404040404040404040404\
                        040404040404040404040404040404040404040404\n\n\u{2014} aldis/cert.br ";
        assert!(note.starts_with(expected), "{note}");
        let read = SignedCheckpoint::parse(note.as_bytes()).unwrap();
        let keys = [other.public(), key.public()];
        assert_eq!(read.verify(&keys), Ok((&checkpoint(), &keys[1])));
        assert_eq!(read.verify([&other.public()]), Err(CheckpointError::Signature));
    }

    #[test]
    fn i4_no_byte_of_a_checkpoint_can_change() {
        let key = samples::br_key();
        let note = checkpoint().sign(&key).into_bytes();
        for at in 0..note.len() {
            for bit in [1, 0x20, 0x80] {
                let mut changed = note.clone();
                changed[at] ^= bit;
                let holds = SignedCheckpoint::parse(&changed).is_ok_and(|read| read.verify([&key.public()]).is_ok());
                assert!(!holds, "byte {at}");
            }
            assert!(SignedCheckpoint::parse(&note[..at]).is_err(), "cut at {at}");
        }
        for bad in [b" ".as_slice(), b"\n", b"\n\xe2\x80\x94 aldis/cert.br AAAA\n"] {
            assert!(SignedCheckpoint::parse(&[note.as_slice(), bad].concat()).is_err());
        }
    }
}
