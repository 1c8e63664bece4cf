//! Cards: a node's signed public description, and the armoured text in which they travel by e-mail. A card proves only
//! that its identity key signed it; whether that key is the right one, people compare by voice.

use crate::codec::{self, Blob, Decode, Encode, List, Text};
use crate::codes::{Code, Desk, Extension, Extensions};
use crate::digest::Digest;
use crate::ids::{NodeId, UnixMillis};
use crate::receipt::Signed;
use crate::signing::{Context, IdentityKey, PublicKey, SigningError};

/// The longest encoded card without its signature, in bytes. A card whose every field is as long as it may be has
/// 36,294, so signing never meets the limit.
pub const CARD_MAX_BYTES: usize = 40_960;

/// The version of the card's structure.
pub const CARD_VERSION: u16 = 1;

/// The extension of a card whose node lets one administrator alone let a peer in. It has no bytes.
const SINGLE_ADMINISTRATOR_TAG: u16 = 1;

const BEGIN: &str = "-----BEGIN ALDIS CARD-----";
const END: &str = "-----END ALDIS CARD-----";

/// A person or function at a desk.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Contact {
    /// The desk.
    pub desk: Desk,
    /// A name or function.
    pub name: Text<128>,
    /// A telephone number.
    pub telephone: Text<64>,
    /// An e-mail address.
    pub email: Text<254>,
    /// When somebody is there, in words.
    pub hours: Text<128>,
    /// Languages spoken (BCP 47).
    pub languages: List<Text<35>, 8>,
}

/// Which versions of a kind a node reads.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KindVersions {
    /// The kind.
    pub kind: Code,
    /// The versions, ascending.
    pub versions: List<u16, 16>,
}

/// A node's public description.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Card {
    /// The structure's version; see [`CARD_VERSION`].
    pub version: u16,
    /// The node.
    pub id: NodeId,
    /// Its name in words.
    pub name: Text<200>,
    /// Its country (ISO 3166-1 alpha-2) or organisation.
    pub country: Text<16>,
    /// Its identity public key (Ed25519).
    pub identity_key: [u8; 32],
    /// Its TLS certificate (DER): the node's own, or its authority's if `tls_name` is given.
    pub tls_certificate: Blob<4096>,
    /// With a certificate of an authority: the name the node's certificate carries.
    pub tls_name: Option<Text<253>>,
    /// Where it listens, host:port, tried in order.
    pub endpoints: List<Text<260>, 8>,
    /// Whom to call.
    pub contacts: List<Contact, 16>,
    /// The kinds it reads.
    pub kinds: List<KindVersions, 64>,
    /// When the card was made.
    pub issued_at: UnixMillis,
    /// Until when it is good.
    pub valid_until: UnixMillis,
    /// Counts the node's cards; a higher one replaces a lower one.
    pub sequence: u64,
    /// Fields of newer versions.
    pub extensions: Extensions,
}

/// A card whose signature was checked against the key it names, with its exact bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCard {
    card: Card,
    key: PublicKey,
    signed: Vec<u8>,
    digest: Digest,
}

/// Why a text or bytes are no card. Whoever gave the card is to blame; ask for it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The armour lines are missing or damaged.
    #[error("no card found: expected a line `{BEGIN}`, base 64, and a line `{END}`")]
    NoArmour,
    /// Between the armour lines there is something else than base 64.
    #[error("the card is damaged: its text is not base 64")]
    NotBase64,
    /// The bytes are not the structure of a card.
    #[error("the card is damaged: {0}")]
    Malformed(String),
    /// A structure version this program does not read.
    #[error("a card of version {0}; this program reads version {CARD_VERSION}")]
    Version(u16),
    /// The identity key is none, or weak.
    #[error("the card's identity key: {0}")]
    Key(SigningError),
    /// The signature does not verify.
    #[error("the card was changed after it was signed, or signed by another key")]
    Signature,
}

impl Card {
    /// Signs the card with its own identity key.
    pub fn sign(self, key: &IdentityKey) -> VerifiedCard {
        let bytes = codec::encode(&self);
        let signature = key.sign(Context::Card, &bytes);
        let digest = Digest::of(&[&bytes]);
        let bytes = Blob::new(bytes).expect("a card's fields are bounded below the limit");
        let signed = codec::encode(&Signed::<CARD_MAX_BYTES> { bytes, signature });
        VerifiedCard { card: self, key: key.public(), signed, digest }
    }

    /// Whether one administrator of the node alone can let a peer in.
    pub fn is_single_administrator(&self) -> bool {
        self.extensions.iter().any(|extension| extension.tag == SINGLE_ADMINISTRATOR_TAG)
    }

    /// The extensions of a card whose node lets one administrator alone let a peer in, or does not.
    pub fn extensions_with(single_administrator: bool) -> Extensions {
        let extension = Extension { tag: SINGLE_ADMINISTRATOR_TAG, bytes: Blob::default() };
        let extensions = if single_administrator { vec![extension] } else { Vec::new() };
        Extensions::new(extensions).expect("one extension fits")
    }

    /// The versions of a kind the node reads; empty if it does not know the kind.
    pub fn versions_of(&self, kind: &Code) -> &[u16] {
        self.kinds.iter().find(|known| known.kind == *kind).map_or(&[], |known| &known.versions)
    }
}

impl VerifiedCard {
    /// Checks signed card bytes, as [`Self::signed_bytes`] gives them.
    pub fn from_signed_bytes(signed_bytes: &[u8]) -> Result<Self, CardError> {
        let malformed = |error: codec::CodecError| CardError::Malformed(error.to_string());
        let signed: Signed<CARD_MAX_BYTES> = codec::decode(signed_bytes).map_err(malformed)?;
        let card: Card = codec::decode(&signed.bytes).map_err(malformed)?;
        if card.version != CARD_VERSION {
            return Err(CardError::Version(card.version));
        }
        let key = PublicKey::from_bytes(&card.identity_key).map_err(CardError::Key)?;
        key.verify(Context::Card, &signed.bytes, &signed.signature).map_err(|_| CardError::Signature)?;
        let digest = Digest::of(&[&signed.bytes]);
        Ok(Self { card, key, signed: signed_bytes.to_vec(), digest })
    }

    /// Reads an armoured card out of a text, such as an e-mail; what stands around it is ignored.
    pub fn from_text(text: &str) -> Result<Self, CardError> {
        let (_, rest) = text.split_once(BEGIN).ok_or(CardError::NoArmour)?;
        let (inside, _) = rest.split_once(END).ok_or(CardError::NoArmour)?;
        // Mail programs quote with `>` and wrap lines: both are undone, nothing else is.
        let base64: String = inside.chars().filter(|c| !c.is_ascii_whitespace() && *c != '>').collect();
        if base64.len() > CARD_MAX_BYTES * 2 {
            return Err(CardError::Malformed("longer than a card can be".into()));
        }
        let bytes = data_encoding::BASE64.decode(base64.as_bytes()).map_err(|_| CardError::NotBase64)?;
        Self::from_signed_bytes(&bytes)
    }

    /// The armoured text: 64 characters a line, survives e-mail.
    pub fn to_text(&self) -> String {
        let base64 = data_encoding::BASE64.encode(&self.signed);
        let mut text = String::with_capacity(base64.len() + base64.len() / 64 + 64);
        text.push_str(BEGIN);
        text.push('\n');
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str(END);
        text.push('\n');
        text
    }

    /// What the card says.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The identity key, checked.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The digest that Hellos carry: SHA-256 of the card's bytes without the signature.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The exact signed bytes.
    pub fn signed_bytes(&self) -> &[u8] {
        &self.signed
    }

    /// What two people compare by voice: SHA-256 over id and identity key, in groups of four hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let digest =
            Digest::of(&[b"aldis/v1/fingerprint\0", self.card.id.as_str().as_bytes(), b"\0", self.key.as_bytes()]);
        let hex = digest.to_hex();
        let groups: Vec<&str> = (0..16).map(|i| &hex[i * 4..i * 4 + 4]).collect();
        groups.join(" ")
    }
}

#[cfg(test)]
#[path = "card_tests.rs"]
mod tests;
