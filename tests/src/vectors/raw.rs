//! An encoder without bounds or checks: structures of plain fields, written as docs/protocol.md says, so that a case can
//! break any one rule. It shares no code with the wire crate's encoder.

use aldis_wire::digest::Digest;
use aldis_wire::signing::{Context, IdentityKey};

/// Bytes in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw(pub(super) Vec<u8>);

/// A mark: lane, seq, digest.
pub(super) type RawMark = (u8, u64, [u8; 32]);

/// Extensions: tag, bytes.
pub(super) type RawExtensions = Vec<(u64, Vec<u8>)>;

impl Raw {
    /// A number, in the narrowest form.
    pub(super) fn number(mut self, number: u64) -> Self {
        let wide = number.to_be_bytes();
        match number {
            0..=250 => self.0.push(wide[7]),
            251..=0xffff => self.0.extend([&[251], &wide[6..]].concat()),
            0x1_0000..=0xffff_ffff => self.0.extend([&[252], &wide[4..]].concat()),
            _ => self.0.extend([&[253], &wide[..]].concat()),
        }
        self
    }

    /// Bytes without a length.
    pub(super) fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length before them.
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        self.number(bytes.len() as u64).fixed(bytes)
    }

    /// A text.
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// A count and the values.
    pub(super) fn list<T>(self, values: &[T], write: impl Fn(Self, &T) -> Self) -> Self {
        values.iter().fold(self.number(values.len() as u64), write)
    }

    /// Something or nothing.
    pub(super) fn optional<T>(self, value: Option<&T>, write: impl FnOnce(Self, &T) -> Self) -> Self {
        match value {
            None => self.fixed(&[0]),
            Some(value) => write(self.fixed(&[1]), value),
        }
    }

    /// A text or nothing.
    pub(super) fn optional_text(self, text: Option<&str>) -> Self {
        self.optional(text.as_ref(), |raw, text| raw.text(text))
    }

    /// A mark.
    pub(super) fn mark(self, mark: &RawMark) -> Self {
        self.fixed(&[mark.0]).number(mark.1).fixed(&mark.2)
    }

    /// Marks.
    pub(super) fn marks(self, marks: &[RawMark]) -> Self {
        self.list(marks, Self::mark)
    }

    /// Extensions.
    pub(super) fn extensions(self, extensions: &[(u64, Vec<u8>)]) -> Self {
        self.list(extensions, |raw, (tag, bytes)| raw.number(*tag).bytes(bytes))
    }
}

/// A signed structure: bytes with their length, then the signature over them.
pub(super) fn signed(inner: &[u8], context: Context, key: &IdentityKey) -> Vec<u8> {
    Raw::default().bytes(inner).fixed(&key.sign(context, inner).0).0
}

/// A header's plain fields: docs/protocol.md, section 4.
#[derive(Clone, Debug)]
pub(super) struct RawHeader {
    pub(super) version: u64,
    pub(super) key_id: [u8; 16],
    pub(super) incarnation: u64,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) also_to: Vec<String>,
    pub(super) desk: u64,
    pub(super) lane: u8,
    pub(super) seq: u64,
    pub(super) previous: [u8; 32],
    pub(super) received: Option<RawMark>,
    pub(super) sent_at: u64,
    pub(super) expires_at: u64,
    pub(super) case: [u8; 16],
    pub(super) references: Vec<(u64, String, String, RawMark)>,
    pub(super) author: String,
    pub(super) released_by: Option<String>,
    pub(super) on_behalf_of: Option<String>,
    pub(super) tlp: u64,
    pub(super) exercise: Option<String>,
    pub(super) kind: String,
    pub(super) kind_version: u64,
    pub(super) body_length: u64,
    pub(super) body_commitment: [u8; 32],
    pub(super) extensions: RawExtensions,
}

impl RawHeader {
    /// The header's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        Raw::default()
            .number(self.version)
            .fixed(&self.key_id)
            .number(self.incarnation)
            .text(&self.from)
            .text(&self.to)
            .list(&self.also_to, |raw, id| raw.text(id))
            .number(self.desk)
            .fixed(&[self.lane])
            .number(self.seq)
            .fixed(&self.previous)
            .optional(self.received.as_ref(), Raw::mark)
            .number(self.sent_at)
            .number(self.expires_at)
            .fixed(&self.case)
            .list(&self.references, |raw, (role, from, to, mark)| raw.number(*role).text(from).text(to).mark(mark))
            .text(&self.author)
            .optional_text(self.released_by.as_deref())
            .optional_text(self.on_behalf_of.as_deref())
            .number(self.tlp)
            .optional_text(self.exercise.as_deref())
            .text(&self.kind)
            .number(self.kind_version)
            .number(self.body_length)
            .fixed(&self.body_commitment)
            .extensions(&self.extensions)
            .0
    }
}

/// An envelope's plain parts: docs/protocol.md, section 6.
#[derive(Clone, Debug)]
pub(super) struct RawEnvelope {
    pub(super) header: Vec<u8>,
    pub(super) withheld: u64,
    pub(super) salt: [u8; 16],
    pub(super) body: Vec<u8>,
    pub(super) proof: Vec<u8>,
}

impl RawEnvelope {
    /// The envelope's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let raw = Raw::default().bytes(&self.header).number(self.withheld).fixed(&self.salt);
        raw.bytes(&self.body).bytes(&self.proof).0
    }
}

/// A proof's plain fields: docs/protocol.md, section 5.
#[derive(Clone, Debug)]
pub(super) struct RawProof {
    pub(super) size: u64,
    pub(super) index: u64,
    pub(super) path: Vec<Digest>,
    pub(super) signature: [u8; 64],
}

impl RawProof {
    /// The proof's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let raw = Raw::default().number(self.size).number(self.index);
        raw.list(&self.path, |raw, digest| raw.fixed(digest.as_bytes())).fixed(&self.signature).0
    }
}

/// A receipt's plain fields: docs/protocol.md, section 7.
#[derive(Clone, Debug)]
pub(super) struct RawReceipt {
    pub(super) version: u64,
    pub(super) key_id: [u8; 16],
    pub(super) incarnation: u64,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) stored: Vec<RawMark>,
    pub(super) sent: Vec<RawMark>,
    pub(super) stored_at: u64,
    pub(super) commitment: [u8; 32],
    pub(super) extensions: RawExtensions,
}

impl RawReceipt {
    /// The receipt's bytes, without the signature.
    pub(super) fn encode(&self) -> Vec<u8> {
        let raw = Raw::default().number(self.version).fixed(&self.key_id).number(self.incarnation);
        let raw = raw.text(&self.from).text(&self.to).marks(&self.stored).marks(&self.sent);
        raw.number(self.stored_at).fixed(&self.commitment).extensions(&self.extensions).0
    }
}

/// A Hello's plain fields: docs/protocol.md, section 8.
#[derive(Clone, Debug)]
pub(super) struct RawHello {
    pub(super) versions: Vec<u64>,
    pub(super) role: u64,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) exporter: [u8; 32],
    pub(super) key_id: [u8; 16],
    pub(super) incarnation: u64,
    pub(super) card: [u8; 32],
    pub(super) peer_card: [u8; 32],
    pub(super) received: Vec<RawMark>,
    pub(super) sent: Vec<RawMark>,
    pub(super) sent_at: u64,
    pub(super) extensions: RawExtensions,
}

impl RawHello {
    /// The Hello's bytes, without the signature.
    pub(super) fn encode(&self) -> Vec<u8> {
        let raw = Raw::default().list(&self.versions, |raw, version| raw.number(*version)).number(self.role);
        let raw = raw.text(&self.from).text(&self.to).fixed(&self.exporter).fixed(&self.key_id);
        let raw = raw.number(self.incarnation).fixed(&self.card).fixed(&self.peer_card);
        raw.marks(&self.received).marks(&self.sent).number(self.sent_at).extensions(&self.extensions).0
    }
}

/// A card's plain fields: docs/protocol.md, section 9.
#[derive(Clone, Debug)]
pub(super) struct RawCard {
    pub(super) version: u64,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) country: String,
    pub(super) identity_key: [u8; 32],
    pub(super) tls_certificate: Vec<u8>,
    pub(super) tls_name: Option<String>,
    pub(super) endpoints: Vec<String>,
    /// Desk, name, telephone, e-mail, hours, languages.
    pub(super) contacts: Vec<(u64, [String; 4], Vec<String>)>,
    pub(super) kinds: Vec<(String, Vec<u64>)>,
    pub(super) issued_at: u64,
    pub(super) valid_until: u64,
    pub(super) sequence: u64,
    pub(super) extensions: RawExtensions,
}

impl RawCard {
    /// The card's bytes, without the signature.
    pub(super) fn encode(&self) -> Vec<u8> {
        let contact = |raw: Raw, (desk, texts, languages): &(u64, [String; 4], Vec<String>)| {
            let raw = texts.iter().fold(raw.number(*desk), |raw, text| raw.text(text));
            raw.list(languages, |raw, language| raw.text(language))
        };
        let kind = |raw: Raw, (kind, versions): &(String, Vec<u64>)| {
            raw.text(kind).list(versions, |raw, version| raw.number(*version))
        };
        Raw::default()
            .number(self.version)
            .text(&self.id)
            .text(&self.name)
            .text(&self.country)
            .fixed(&self.identity_key)
            .bytes(&self.tls_certificate)
            .optional_text(self.tls_name.as_deref())
            .list(&self.endpoints, |raw, endpoint| raw.text(endpoint))
            .list(&self.contacts, contact)
            .list(&self.kinds, kind)
            .number(self.issued_at)
            .number(self.valid_until)
            .number(self.sequence)
            .extensions(&self.extensions)
            .0
    }
}
