//! The index of an evidence file: who made it and when, which messages it holds, and the digest of every other entry.
//! The checkpoint is signed over the index, so the whole file is fixed by one signature of the node that made it.

use aldis_wire::digest::Digest;
use aldis_wire::ids::{NodeId, UnixMillis};
use serde::{Deserialize, Serialize};

/// The only format this program writes and reads.
pub const FORMAT: &str = "aldis-evidence-1";

/// The longest name of the program that made the file, in bytes.
pub const PROGRAM_MAX_BYTES: usize = 64;

/// The index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// See [`FORMAT`].
    pub format: String,
    /// The node that made the file.
    pub exporter: NodeId,
    /// When, by its clock.
    pub exported_at: UnixMillis,
    /// The program that made it.
    pub program: String,
    /// The messages.
    pub messages: Vec<IndexedMessage>,
    /// Every entry but the index and the checkpoint, names ascending.
    pub files: Vec<IndexedFile>,
}

/// A message in the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedMessage {
    /// Its id, such as `cert.br/cert.cl/P17`.
    pub id: String,
    /// Whether its body is in the file.
    pub body: BodyGiven,
}

/// Whether a body is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyGiven {
    /// It is.
    Given,
    /// It is not; the header commits to it all the same.
    Withheld,
}

/// An entry in the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedFile {
    /// Its name.
    pub name: String,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

impl Index {
    /// Its bytes in the file: JSON, indented by two, with a line feed at the end.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("an index is made of texts");
        bytes.push(b'\n');
        bytes
    }

    /// Reads an index that is written as [`Self::write`] writes it; `None` if it is anything else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let index: Self = serde_json::from_slice(bytes).ok()?;
        let of_program = |byte: u8| byte.is_ascii_alphanumeric() || b" +-._".contains(&byte);
        let is_good = index.format == FORMAT
            && index.program.len() <= PROGRAM_MAX_BYTES
            && index.program.bytes().all(of_program)
            && index.write() == bytes;
        is_good.then_some(index)
    }

    /// What the checkpoint is signed over.
    pub fn digest(bytes: &[u8]) -> Digest {
        Digest::of(&[bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_written_in_one_way() {
        let index = Index {
            format: FORMAT.to_owned(),
            exporter: NodeId::new("cert.br").unwrap(),
            exported_at: UnixMillis::new(1_795_316_400_123),
            program: "aldisd 0.1.0".to_owned(),
            messages: vec![IndexedMessage { id: "cert.br/cert.cl/P17".to_owned(), body: BodyGiven::Withheld }],
            files: vec![IndexedFile { name: "README.txt".to_owned(), sha256: "00".repeat(32) }],
        };
        let text = String::from_utf8(index.write()).unwrap();
        assert!(text.starts_with("{\n  \"format\": \"aldis-evidence-1\",\n  \"exporter\": \"cert.br\",\n"), "{text}");
        assert_eq!(Index::read(text.as_bytes()), Some(index));
        for (from, to) in [
            ("evidence-1", "evidence-2"),
            ("  \"exp", " \"exp"),
            ("cert.br\"", "Cert.br\""),
            ("123Z", "123+00:00"),
            ("0.1.0", "0.1.0\\u0007"),
            ("withheld", "lost"),
            ("\"program\"", "\"more\": 1,\n  \"program\""),
        ] {
            assert_eq!(Index::read(text.replacen(from, to, 1).as_bytes()), None, "{from}");
        }
    }
}
