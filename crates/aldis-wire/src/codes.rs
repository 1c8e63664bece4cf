//! Codes: labels that both sides must understand, with room for those a newer node adds. An unknown code is kept and
//! shown, never dropped; each type says how an unknown one is treated.

use crate::codec::{Blob, Coded, Decode, Encode, List, Text, impl_coded};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A code word such as `c2-server` or `pending`: 1 to 64 letters, digits and `+ - . _`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code(Text<64>);

impl Code {
    /// Checks and takes a code word; the error is the rule it breaks.
    pub fn new(text: &str) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+-._".contains(&b);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(format!("`{}` is not a code: use letters, digits, + - . _", Text::<80>::cut(text)));
        }
        Text::new(text).map(Self).map_err(|error| error.to_string())
    }

    /// A code word written in this program.
    ///
    /// # Panics
    /// If it breaks the rule, which a test of the module that writes it shows.
    pub fn known(text: &'static str) -> Self {
        Self::new(text).expect("codes in the program follow the rule")
    }

    /// The code word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Code {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.0.to_string()
    }
}

impl Coded for Code {
    type Plain = Text<64>;
    fn to_plain(&self) -> Self::Plain {
        self.0.clone()
    }
    fn from_plain(plain: Self::Plain) -> Result<Self, String> {
        Self::new(&plain)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A TLP 2.0 label (FIRST). An unknown code is handled as RED, the most restrictive, and shown with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Tlp(pub u16);

impl Tlp {
    /// For named recipients only.
    pub const RED: Self = Self(1);
    /// Within the recipient's organisation only.
    pub const AMBER_STRICT: Self = Self(2);
    /// Within the recipient's organisation and its clients.
    pub const AMBER: Self = Self(3);
    /// Within the community.
    pub const GREEN: Self = Self(4);
    /// No limit.
    pub const CLEAR: Self = Self(5);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::RED, "RED"),
        (Self::AMBER_STRICT, "AMBER+STRICT"),
        (Self::AMBER, "AMBER"),
        (Self::GREEN, "GREEN"),
        (Self::CLEAR, "CLEAR"),
    ];

    /// The label people type: any case, with or without `TLP:`.
    pub fn from_name(name: &str) -> Option<Self> {
        let upper = name.trim().to_ascii_uppercase();
        let bare = upper.strip_prefix("TLP:").unwrap_or(&upper);
        Self::NAMES.iter().find(|(_, known)| *known == bare).map(|(tlp, _)| *tlp)
    }

    /// Whether this program knows the label.
    pub fn is_known(self) -> bool {
        Self::NAMES.iter().any(|(tlp, _)| *tlp == self)
    }
}

impl fmt::Display for Tlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(tlp, _)| tlp == self) {
            Some((_, name)) => write!(f, "TLP:{name}"),
            None => write!(f, "TLP:RED (unknown label {})", self.0),
        }
    }
}

/// The mailbox at a node an envelope is for. An envelope for an unknown desk is stored and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Desk(pub u16);

impl Desk {
    /// The CERT's analysts; the default.
    pub const TECHNICAL: Self = Self(1);
    /// The foreign ministry's officers.
    pub const DIPLOMATIC: Self = Self(2);
    /// Police and prosecution.
    pub const LAW_ENFORCEMENT: Self = Self(3);

    /// The desks this program knows.
    pub const ALL: [Self; 3] = [Self::TECHNICAL, Self::DIPLOMATIC, Self::LAW_ENFORCEMENT];

    const NAMES: [(Self, &'static str); 3] =
        [(Self::TECHNICAL, "technical"), (Self::DIPLOMATIC, "diplomatic"), (Self::LAW_ENFORCEMENT, "law-enforcement")];

    /// The desk of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(desk, _)| *desk)
    }

    /// Whether this program knows the desk.
    pub fn is_known(self) -> bool {
        Self::NAMES.iter().any(|(desk, _)| *desk == self)
    }
}

impl fmt::Display for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(desk, _)| desk == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "unknown desk {}", self.0),
        }
    }
}

/// One field this version of a structure does not have: a newer node's addition, kept and shown as it came.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Extension {
    /// Which field.
    pub tag: u16,
    /// Its bytes.
    pub bytes: Blob<1024>,
}

/// The bounded tail of a structure: at most 8 extensions, tags strictly ascending.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Extensions(List<Extension, 8>);

impl Extensions {
    /// Takes extensions whose tags ascend.
    pub fn new(extensions: Vec<Extension>) -> Option<Self> {
        Self::from_plain(List::new(extensions)?).ok()
    }

    /// The bytes of the extension with `tag`.
    pub fn get(&self, tag: u16) -> Option<&[u8]> {
        self.0.iter().find(|extension| extension.tag == tag).map(|extension| &*extension.bytes)
    }

    /// The extensions, tags ascending.
    pub fn iter(&self) -> impl Iterator<Item = &Extension> {
        self.0.iter()
    }
}

impl Coded for Extensions {
    type Plain = List<Extension, 8>;
    fn to_plain(&self) -> Self::Plain {
        self.0.clone()
    }
    fn from_plain(plain: Self::Plain) -> Result<Self, String> {
        if !plain.windows(2).all(|pair| pair[0].tag < pair[1].tag) {
            return Err("extension tags do not ascend".into());
        }
        Ok(Self(plain))
    }
}

impl_coded!(Code, Extensions);
