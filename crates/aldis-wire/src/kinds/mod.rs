//! Kinds: what bodies hold. Each kind is one file here and one row in [`KINDS`]; to add a kind, write its file, add its
//! row, its chapter in docs/protocol.md and its vectors. Nothing else knows the structure of any kind: the core asks only
//! for a body's [`Bearing`], the log for its [`Summary`], the control API for its JSON form.

mod acknowledgement;
mod agreement;
mod card;
mod comm_check;
mod hotline;
mod incident;
mod incident_with_files;
mod ladder_step;
mod recall;
mod refusal;

pub use acknowledgement::{Acknowledgement, JUSTIFICATIONS};
pub use agreement::{TERMS_KINDS_MAX, Terms};
pub use card::{KeyRotation, NewCard};
pub use comm_check::{CheckPart, CheckReply, CommCheck};
pub use hotline::{Hotline, HotlineLine, HotlineSummary, LinePart};
pub use incident::Incident;
pub use incident_with_files::IncidentWithFiles;
pub use ladder_step::{LadderStep, NEXT_WITHIN_MAX_S, STEPS_MAX as LADDER_STEPS_MAX, StepTold};
pub use recall::{Recall, Tombstone};
pub use refusal::{Refusal, RefusalCode};

use crate::attachment::{ATTACHMENTS_MAX, Attachment};
use crate::card::VerifiedCard;
use crate::codec::{self, Decode, Encode, List, Text};
use crate::codes::{Code, Extensions};
use crate::ids::UnixMillis;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The longest subject, in bytes.
pub const SUBJECT_MAX_BYTES: usize = 200;

/// What an envelope does to the conversation, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// It wants an answer.
    Notice,
    /// It answers the envelope it references.
    Answer(Answer),
    /// It refuses the envelope it references.
    Refusal(Code),
    /// It brings the sender's new card; nobody has to answer.
    Card,
    /// It brings the sender's next identity key; administrators answer by taking it or not.
    Rotation,
    /// It brings the sender's terms; nobody has to answer.
    Agreement,
    /// It tells what the other node did because nobody answered the envelope it references yet.
    Step(StepTold),
    /// It opens a live conversation; a person answers by picking up.
    Hotline,
    /// It is one turn of a live conversation.
    Line(LinePart),
    /// It asks whether the line works, or replies to that.
    Check(CheckPart),
    /// It asks the other side to erase the message it references; a person answers.
    Recall,
}

impl Bearing {
    /// Whether the sender waits for an answer.
    pub fn wants_answer(&self) -> bool {
        let check = matches!(self, Self::Check(part) if part.is_asked());
        check || matches!(self, Self::Notice | Self::Rotation | Self::Hotline | Self::Recall)
    }
}

/// What a person at the other side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Somebody opened it.
    Seen,
    /// Somebody is dealing with it.
    Acknowledged,
    /// The RID status `pending` (RFC 6545): no decision yet, and until when there will be one, if that was promised.
    Pending(Option<UnixMillis>),
    /// A decision, with its RID status (RFC 6545): approved, denied, or one we do not know.
    Decided(Code),
    /// A state of a newer version: shown, changes nothing.
    Other(Code),
}

/// What lists show of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What it does.
    pub bearing: Bearing,
    /// One line.
    pub subject: Text<SUBJECT_MAX_BYTES>,
    /// The reporting stage, for kinds that have one.
    pub stage: Option<Code>,
    /// Until when the sender wants an answer.
    pub reply_by: Option<UnixMillis>,
    /// What the machine itself acts upon, for kinds that carry such a thing.
    pub attached: Option<Attached>,
    /// The files it names.
    pub attachments: List<Attachment, ATTACHMENTS_MAX>,
}

impl Summary {
    /// What lists show of a body that has one line and nothing else. A longer line is cut.
    fn plain(bearing: Bearing, subject: &str) -> Self {
        let subject = Text::cut(subject);
        Self { bearing, subject, stage: None, reply_by: None, attached: None, attachments: List::empty() }
    }
}

/// What a body carries for the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The sender's card.
    Card(Box<VerifiedCard>),
    /// The sender's terms.
    Terms(Box<Terms>),
    /// What the sender says about itself, because it was checked.
    Check(CheckReply),
}

/// What reading a body came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A body we understand.
    Understood(Summary),
    /// A kind this program does not know.
    UnknownKind,
    /// A known kind in a version this program does not read.
    UnknownVersion,
    /// A known kind and version, but the bytes are not its structure.
    Malformed(String),
}

/// A body made from its JSON form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The encoded body.
    pub bytes: Vec<u8>,
    /// What lists will show of it.
    pub summary: Summary,
}

/// Why a JSON form is not a body. The operator who wrote it is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// No such kind.
    #[error("there is no kind `{0}`; there are: {known}", known = known_kinds())]
    UnknownKind(String),
    /// The kind has no such version.
    #[error("kind `{0}` has no version {1} here")]
    UnknownVersion(String, u16),
    /// A field is wrong.
    #[error("{0}")]
    Field(String),
    /// The whole is too long.
    #[error("the message takes {0} bytes where at most {max} are allowed; shorten it", max = crate::envelope::BODY_MAX_BYTES)]
    TooLong(usize),
}

/// A field that takes code words, and the words a person may choose from.
pub type Choice = (&'static str, &'static [&'static str]);

/// One kind in one version. (Versions of a kind are separate rows, so an old one stays as it was.)
pub struct KindEntry {
    /// The kind's name in headers.
    pub name: &'static str,
    /// The version.
    pub version: u16,
    /// Whether people send it with `aldis send`; the rest have commands of their own, or machines send them.
    pub is_notice: bool,
    /// The fields with code words.
    pub choices: &'static [Choice],
    read: fn(&[u8]) -> Result<Summary, String>,
    to_json: fn(&[u8]) -> Result<Value, String>,
    from_json: fn(Value) -> Result<Written, WriteError>,
    is_for: fn(&Value) -> bool,
    unknown_codes: fn(&[u8]) -> Vec<String>,
}

/// Every kind this program reads and writes.
pub const KINDS: &[KindEntry] = &[
    KindEntry::of::<Incident>(),
    KindEntry::of::<IncidentWithFiles>(),
    KindEntry::of::<Acknowledgement>(),
    KindEntry::of::<Refusal>(),
    KindEntry::of::<NewCard>(),
    KindEntry::of::<KeyRotation>(),
    KindEntry::of::<Terms>(),
    KindEntry::of::<LadderStep>(),
    KindEntry::of::<Hotline>(),
    KindEntry::of::<HotlineLine>(),
    KindEntry::of::<CommCheck>(),
    KindEntry::of::<Recall>(),
    KindEntry::of::<Tombstone>(),
];

/// What a kind's file provides.
trait KindBody: Encode + Decode<()> + Serialize + DeserializeOwned {
    const NAME: &'static str;
    const VERSION: u16;
    /// Whether people send it with `aldis send`.
    const IS_NOTICE: bool = false;
    /// Whether a JSON form is written in this version, of a kind that has several: each says something else.
    const IS_FOR: fn(&Value) -> bool = |_| true;
    /// Fields with code words. The words are what we may send; what we read may hold others.
    const CHOICES: &'static [Choice];

    /// What lists show.
    fn summary(&self) -> Summary;

    /// What must hold beyond the structure, of bodies we read and write alike.
    fn check(&self) -> Result<(), String>;

    /// The value of every field with code words, for [`KindBody::CHOICES`].
    fn chosen(&self) -> Vec<(&'static str, &Code)>;
}

impl KindEntry {
    const fn of<K: KindBody>() -> Self {
        Self {
            name: K::NAME,
            version: K::VERSION,
            is_notice: K::IS_NOTICE,
            choices: K::CHOICES,
            read: |bytes| decode_checked::<K>(bytes).map(|body| body.summary()),
            to_json: |bytes| {
                let body = decode_checked::<K>(bytes)?;
                serde_json::to_value(&body).map_err(|error| error.to_string())
            },
            from_json: write::<K>,
            is_for: K::IS_FOR,
            unknown_codes: |bytes| decode_checked::<K>(bytes).map(|body| unknown(&body)).unwrap_or_default(),
        }
    }
}

/// Reads a verified body. Call it only on bodies whose envelope was verified.
pub fn read(kind: &Code, version: u16, body: &[u8]) -> Reading {
    match find(kind.as_str(), version) {
        Ok(entry) => match (entry.read)(body) {
            Ok(summary) => Reading::Understood(summary),
            Err(what) => Reading::Malformed(what),
        },
        Err(WriteError::UnknownVersion(..)) => Reading::UnknownVersion,
        Err(_) => Reading::UnknownKind,
    }
}

/// The JSON form of a body, or `None` if this program does not understand it.
pub fn to_json(kind: &Code, version: u16, body: &[u8]) -> Option<Value> {
    let entry = find(kind.as_str(), version).ok()?;
    (entry.to_json)(body).ok()
}

/// The codes in a body that this program does not know, as `field: code`, so that they can be shown as such.
pub fn unknown_codes(kind: &Code, version: u16, body: &[u8]) -> Vec<String> {
    find(kind.as_str(), version).map(|entry| (entry.unknown_codes)(body)).unwrap_or_default()
}

/// Makes a body from its JSON form; codes must be known ones.
pub fn from_json(kind: &str, version: u16, value: Value) -> Result<Written, WriteError> {
    (find(kind, version)?.from_json)(value)
}

/// The versions of a kind this program writes, ascending; empty if it does not know the kind.
pub fn versions_of(kind: &str) -> Vec<u16> {
    KINDS.iter().filter(|entry| entry.name == kind).map(|entry| entry.version).collect()
}

/// The versions of a kind in which this program writes a JSON form, ascending; empty if it does not know the kind.
pub fn versions_for(kind: &str, value: &Value) -> Vec<u16> {
    let rows = KINDS.iter().filter(|entry| entry.name == kind && (entry.is_for)(value));
    rows.map(|entry| entry.version).collect()
}

/// Every kind with its versions, for cards.
pub fn kind_versions() -> List<crate::card::KindVersions, 64> {
    let mut kinds: Vec<crate::card::KindVersions> = Vec::new();
    for entry in KINDS {
        if kinds.iter().all(|known| known.kind.as_str() != entry.name) {
            let versions = List::new(versions_of(entry.name)).expect("a kind has few versions");
            kinds.push(crate::card::KindVersions { kind: Code::known(entry.name), versions });
        }
    }
    List::new(kinds).expect("there are few kinds")
}

fn find(kind: &str, version: u16) -> Result<&'static KindEntry, WriteError> {
    let mut rows = KINDS.iter().filter(|entry| entry.name == kind).peekable();
    if rows.peek().is_none() {
        return Err(WriteError::UnknownKind(Text::<80>::cut(kind).to_string()));
    }
    rows.find(|entry| entry.version == version).ok_or_else(|| WriteError::UnknownVersion(kind.to_owned(), version))
}

fn decode_checked<K: KindBody>(bytes: &[u8]) -> Result<K, String> {
    let body: K = codec::decode(bytes).map_err(|error| error.to_string())?;
    body.check()?;
    Ok(body)
}

fn write<K: KindBody>(value: Value) -> Result<Written, WriteError> {
    let body: K = serde_json::from_value(value).map_err(|error| WriteError::Field(error.to_string()))?;
    body.check().map_err(WriteError::Field)?;
    if let Some((field, code)) = first_unknown(&body) {
        let words = K::CHOICES.iter().find(|(name, _)| *name == field).map_or(&[][..], |(_, words)| words);
        return Err(WriteError::Field(format!("{field}: there is no `{code}`; there are: {}", words.join(", "))));
    }
    let bytes = codec::encode(&body);
    if bytes.len() > crate::envelope::BODY_MAX_BYTES {
        return Err(WriteError::TooLong(bytes.len()));
    }
    Ok(Written { bytes, summary: body.summary() })
}

fn first_unknown<K: KindBody>(body: &K) -> Option<(&'static str, &Code)> {
    body.chosen().into_iter().find(|(field, code)| !is_choice::<K>(field, code))
}

fn unknown<K: KindBody>(body: &K) -> Vec<String> {
    let chosen = body.chosen().into_iter();
    chosen
        .filter(|(field, code)| !is_choice::<K>(field, code))
        .map(|(field, code)| format!("{field}: {code}"))
        .collect()
}

fn is_choice<K: KindBody>(field: &str, code: &Code) -> bool {
    K::CHOICES.iter().any(|(name, words)| *name == field && words.contains(&code.as_str()))
}

fn known_kinds() -> String {
    let mut names: Vec<_> = KINDS.iter().map(|entry| entry.name).collect();
    names.dedup();
    names.join(", ")
}

/// Serde for extensions in the JSON form: a list of tag and hexadecimal bytes, left out when empty.
mod extensions_json {
    use super::Extensions;
    use crate::codec::Blob;
    use crate::codes::Extension;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shown {
        tag: u16,
        hex: String,
    }

    pub(super) fn is_empty(extensions: &Extensions) -> bool {
        extensions.iter().next().is_none()
    }

    pub(super) fn serialize<S: Serializer>(extensions: &Extensions, serializer: S) -> Result<S::Ok, S::Error> {
        let show =
            |extension: &Extension| Shown { tag: extension.tag, hex: data_encoding::HEXLOWER.encode(&extension.bytes) };
        serializer.collect_seq(extensions.iter().map(show))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Extensions, D::Error> {
        use serde::de::Error;
        let shown = Vec::<Shown>::deserialize(deserializer)?;
        let extensions = shown.into_iter().map(|one| {
            let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(one.hex.as_bytes()).map_err(D::Error::custom)?;
            let bytes = Blob::new(bytes).ok_or_else(|| D::Error::custom("an extension is too long"))?;
            Ok(Extension { tag: one.tag, bytes })
        });
        Extensions::new(extensions.collect::<Result<_, D::Error>>()?)
            .ok_or_else(|| D::Error::custom("at most 8 extensions, tags ascending"))
    }
}

#[cfg(test)]
mod tests;
