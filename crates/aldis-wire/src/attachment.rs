//! Attachments: files that a message names in its signed body and that travel apart from it. Here is only how one is
//! named; its bytes go as [`crate::frame::Chunk`]s and are never in memory as a whole.

use crate::codec::{Decode, Encode, Text};
use crate::digest::Digest;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most attachments a message names.
pub const ATTACHMENTS_MAX: usize = 16;

/// The largest attachment, in bytes (4 GiB).
pub const ATTACHMENT_MAX_BYTES: u64 = 4 << 30;

/// The largest attachment, in bytes, under terms that say nothing about it (1 GiB).
pub const ATTACHMENT_DEFAULT_MAX_BYTES: u64 = 1 << 30;

/// A file that a message names.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// SHA-256 of its content: what it is known by.
    #[serde(serialize_with = "digest_to_hex", deserialize_with = "digest_from_hex")]
    pub digest: Digest,
    /// Its size in bytes: 1 to [`ATTACHMENT_MAX_BYTES`].
    pub size: u64,
    /// What the sender calls it; never where it is stored.
    pub name: Text<255>,
    /// What the sender says that it is, such as `application/pdf`; never looked for in the content.
    pub media_type: Text<127>,
}

impl Attachment {
    /// What is wrong with one beyond its structure, as a rule.
    pub fn check(&self) -> Result<(), String> {
        if self.size == 0 || self.size > ATTACHMENT_MAX_BYTES {
            return Err(format!("size: {} where 1 to {ATTACHMENT_MAX_BYTES} bytes are allowed", self.size));
        }
        let bad = |c: char| c.is_control() || c == '/' || c == '\\';
        if self.name.trim().is_empty() || self.name.contains(bad) || matches!(&*self.name, "." | "..") {
            return Err("name: a file's name, without its folder and without control characters".into());
        }
        if !is_media_type(&self.media_type) {
            return Err("media_type: two words of letters, digits and ! # $ & ^ _ . + - with a slash between".into());
        }
        Ok(())
    }
}

/// What is wrong with the attachments of one message, beyond their structure.
pub fn check_all(attachments: &[Attachment]) -> Result<(), String> {
    for (place, attachment) in attachments.iter().enumerate() {
        attachment.check().map_err(|what| format!("attachments: {what}"))?;
        if attachments[..place].iter().any(|other| other.digest == attachment.digest) {
            return Err(format!("attachments: {} stands there twice", attachment.digest));
        }
    }
    Ok(())
}

fn is_media_type(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(allowed);
    text.split_once('/').is_some_and(|(kind, subtype)| is_word(kind) && is_word(subtype))
}

fn digest_to_hex<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}

fn digest_from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let hex = String::deserialize(deserializer)?;
    Digest::from_hex(&hex).ok_or_else(|| D::Error::custom("digest: 64 hexadecimal characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(byte: u8) -> Attachment {
        Attachment {
            digest: Digest::from_bytes([byte; 32]),
            size: 1,
            name: Text::cut("probe.bin"),
            media_type: Text::cut("application/octet-stream"),
        }
    }

    #[test]
    fn i7_an_attachment_is_named_within_its_limits_or_not_at_all() {
        type Defect = (&'static str, fn(&mut Attachment));
        let defects: [Defect; 9] = [
            ("no bytes", |a| a.size = 0),
            ("a byte too many", |a| a.size = ATTACHMENT_MAX_BYTES + 1),
            ("no name", |a| a.name = Text::cut(" ")),
            ("a folder", |a| a.name = Text::cut("../probe.bin")),
            ("a folder of another system", |a| a.name = Text::cut("c:\\probe.bin")),
            ("the folder above", |a| a.name = Text::cut("..")),
            ("a control character", |a| a.name = Text::cut("probe\u{1b}[2J.bin")),
            ("one word", |a| a.media_type = Text::cut("application")),
            ("a parameter", |a| a.media_type = Text::cut("text/html; charset=utf-8")),
        ];
        for (what, change) in defects {
            let mut one = attachment(1);
            change(&mut one);
            assert!(check_all(&[one]).is_err(), "{what}");
        }
        let largest = Attachment { size: ATTACHMENT_MAX_BYTES, ..attachment(2) };
        assert_eq!(check_all(&[attachment(1), largest]), Ok(()));
        assert!(check_all(&[attachment(1), attachment(2), attachment(1)]).is_err(), "each digest once");
    }
}
