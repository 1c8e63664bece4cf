//! Kind `agreement`: the terms under which a node exchanges messages with the peer it is addressed to. Each side has its
//! own; a message is within the agreement if it is within both, whichever way it travels. Terms with a higher number take
//! the place of the ones before.

use super::{Attached, Bearing, Choice, KindBody, Summary};
use crate::attachment::ATTACHMENT_DEFAULT_MAX_BYTES;
use crate::codec::{Blob, Decode, Encode, List};
use crate::codes::{Code, Extension, Extensions, Tlp};
use crate::header::ACKNOWLEDGE_WITHIN_MAX_S;
use crate::ids::UnixMillis;
use crate::lane::Lane;
use serde::{Deserialize, Serialize};

/// The extension that holds the largest attachment allowed: eight bytes, big-endian.
const ATTACHMENT_MAX_TAG: u16 = 1;

/// The most kinds that terms can name.
pub const TERMS_KINDS_MAX: usize = 64;

/// What one side allows in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Which of this side's terms these are, from 1; higher ones take the place of lower ones.
    pub sequence: u64,
    /// The kinds that may be sent, each once; none named means every kind.
    #[serde(default, skip_serializing_if = "names_none")]
    pub kinds: List<Code, TERMS_KINDS_MAX>,
    /// The most restrictive label that may be sent.
    #[serde(with = "label_json")]
    pub highest_tlp: Tlp,
    /// How many FLASH messages may be sent in a day of UTC; 0 means none.
    pub flash_per_day: u32,
    /// How many messages may be sent in an hour, at least 1.
    pub messages_per_hour: u32,
    /// How many bytes of headers and bodies may be sent in an hour, at least 1.
    pub bytes_per_hour: u64,
    /// Per lane, FLASH first, within how many seconds an acknowledgement is wanted; 0 leaves it to the reader's default.
    #[serde(default)]
    pub acknowledge_within_s: [u32; 4],
    /// Until when the terms are good. After it nothing is sent but what terms never concern.
    pub expires_at: UnixMillis,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

impl Terms {
    /// The kinds no terms concern: without them two nodes could not speak about the terms themselves, what was sent could
    /// not be answered, escalated or taken back, and nobody would know whether the line works.
    pub const EXEMPT: [&'static str; 10] = [
        "acknowledgement",
        "refusal",
        "card",
        "key-rotation",
        "agreement",
        "ladder-step",
        "hotline-line",
        "comm-check",
        "recall",
        "tombstone",
    ];

    /// Whether terms concern a kind.
    pub fn concern(kind: &Code) -> bool {
        !Self::EXEMPT.contains(&kind.as_str())
    }

    /// The body that carries the terms.
    pub fn body(&self) -> Vec<u8> {
        crate::codec::encode(self)
    }

    /// Whether a kind may be sent.
    pub fn allow_kind(&self, kind: &Code) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }

    /// Whether a label may be sent. An unknown one counts as RED.
    pub fn allow_label(&self, tlp: Tlp) -> bool {
        let rank = if tlp.is_known() { tlp } else { Tlp::RED };
        rank >= self.highest_tlp
    }

    /// The largest attachment that may be sent, in bytes; 0 means none.
    pub fn attachment_max_bytes(&self) -> u64 {
        let bytes = self.extensions.get(ATTACHMENT_MAX_TAG).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(ATTACHMENT_DEFAULT_MAX_BYTES, u64::from_be_bytes)
    }

    /// The same terms with another limit for attachments, in bytes, to no effect above the protocol's own of 4 GiB.
    ///
    /// # Panics
    /// If the terms have eight extensions of newer versions, which nobody here writes.
    pub fn with_attachment_max_bytes(self, bytes: u64) -> Self {
        let limit = Blob::new(bytes.to_be_bytes().to_vec()).expect("eight bytes fit");
        let limit = Extension { tag: ATTACHMENT_MAX_TAG, bytes: limit };
        let others = self.extensions.iter().filter(|other| other.tag != ATTACHMENT_MAX_TAG).cloned();
        let mut extensions: Vec<Extension> = others.chain([limit]).collect();
        extensions.sort_by_key(|extension| extension.tag);
        let extensions = Extensions::new(extensions).expect("this program writes one extension");
        Self { extensions, ..self }
    }

    /// What is wrong with terms beyond their structure.
    pub fn check(&self) -> Result<(), String> {
        let twice = (1..self.kinds.len()).find(|at| self.kinds[..*at].contains(&self.kinds[*at]));
        if let Some(at) = twice {
            return Err(format!("kinds: `{}` stands there twice", self.kinds[at]));
        }
        let late = |within: &u32| *within > ACKNOWLEDGE_WITHIN_MAX_S;
        let rules = [
            (self.sequence != 0, "sequence: the first is 1"),
            (self.highest_tlp.is_known(), "highest_tlp: not a label this version knows"),
            (self.messages_per_hour != 0, "messages_per_hour: at least 1; to stop a peer, suspend it"),
            (self.bytes_per_hour != 0, "bytes_per_hour: at least 1; to stop a peer, suspend it"),
            (self.reads_attachment_max(), "extension 1, the largest attachment: not eight bytes"),
            (!self.acknowledge_within_s.iter().any(late), "acknowledge_within_s: more than a year"),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err((*broken).to_owned()))
    }

    fn reads_attachment_max(&self) -> bool {
        self.extensions.get(ATTACHMENT_MAX_TAG).is_none_or(|bytes| bytes.len() == 8)
    }

    /// Within how many seconds an acknowledgement is wanted in a lane, if the terms say so.
    pub fn acknowledge_within_s(&self, lane: Lane) -> Option<u32> {
        Some(self.acknowledge_within_s[lane.index()]).filter(|within| *within != 0)
    }
}

impl KindBody for Terms {
    const NAME: &'static str = "agreement";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] = &[];

    fn summary(&self) -> Summary {
        let subject = format!("terms number {}, good until {}", self.sequence, self.expires_at);
        let attached = Some(Attached::Terms(Box::new(self.clone())));
        Summary { attached, ..Summary::plain(Bearing::Agreement, &subject) }
    }

    fn check(&self) -> Result<(), String> {
        self.check()
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        Vec::new()
    }
}

/// Serde leaves out a list that names no kind.
fn names_none(kinds: &List<Code, TERMS_KINDS_MAX>) -> bool {
    kinds.is_empty()
}

/// Serde for a label: its name.
mod label_json {
    use crate::codes::Tlp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(super) fn serialize<S: Serializer>(tlp: &Tlp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(tlp)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tlp, D::Error> {
        let name = String::deserialize(deserializer)?;
        Tlp::from_name(&name).ok_or_else(|| D::Error::custom("highest_tlp: RED, AMBER+STRICT, AMBER, GREEN or CLEAR"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Reading, from_json, read, to_json};
    use serde_json::{Value, json};

    fn terms() -> Value {
        json!({"sequence": 3, "kinds": ["incident"], "highest_tlp": "TLP:AMBER", "flash_per_day": 2,
               "messages_per_hour": 100, "bytes_per_hour": 1_000_000, "acknowledge_within_s": [900, 0, 0, 0],
               "expires_at": "2027-01-01T00:00:00.000Z"})
    }

    #[test]
    fn terms_survive_json_and_bytes_and_want_no_answer() {
        let written = from_json("agreement", 1, terms()).unwrap();
        let kind = Code::known("agreement");
        let Reading::Understood(summary) = read(&kind, 1, &written.bytes) else { panic!("not understood") };
        assert!(!summary.bearing.wants_answer());
        let Some(Attached::Terms(read)) = summary.attached else { panic!("no terms") };
        assert_eq!(read.body(), written.bytes);
        assert_eq!(to_json(&kind, 1, &written.bytes).unwrap(), terms());
        assert_eq!(read.acknowledge_within_s(Lane::Flash), Some(900));
        assert_eq!(read.acknowledge_within_s(Lane::Routine), None);
    }

    #[test]
    fn i7_terms_that_say_nothing_or_too_much_are_not_taken() {
        let defects = [
            ("sequence", json!(0)),
            ("kinds", json!(["incident", "incident"])),
            ("kinds", json!(vec!["incident"; TERMS_KINDS_MAX + 1])),
            ("highest_tlp", json!("PURPLE")),
            ("messages_per_hour", json!(0)),
            ("bytes_per_hour", json!(0)),
            ("acknowledge_within_s", json!([0, 0, 0, ACKNOWLEDGE_WITHIN_MAX_S + 1])),
            ("surprise", json!(1)),
        ];
        for (field, value) in defects {
            let mut defect = terms();
            defect[field] = value;
            assert!(from_json("agreement", 1, defect).is_err(), "{field}");
        }
        let good = from_json("agreement", 1, terms()).unwrap();
        let mut unknown: Terms = crate::codec::decode(&good.bytes).unwrap();
        unknown.highest_tlp = Tlp(9);
        assert!(matches!(read(&Code::known("agreement"), 1, &unknown.body()), Reading::Malformed(_)));
    }

    #[test]
    fn i7_the_largest_attachment_stands_in_an_extension_and_has_a_default() {
        let good = from_json("agreement", 1, terms()).unwrap();
        let terms: Terms = crate::codec::decode(&good.bytes).unwrap();
        assert_eq!(terms.attachment_max_bytes(), ATTACHMENT_DEFAULT_MAX_BYTES);
        let none = terms.clone().with_attachment_max_bytes(7).with_attachment_max_bytes(0);
        assert_eq!((none.attachment_max_bytes(), none.extensions.iter().count()), (0, 1));
        let Reading::Understood(_) = read(&Code::known("agreement"), 1, &none.body()) else { panic!("not understood") };
        let seven = Extension { tag: ATTACHMENT_MAX_TAG, bytes: Blob::new(vec![0; 7]).unwrap() };
        let defect = Terms { extensions: Extensions::new(vec![seven]).unwrap(), ..terms };
        assert!(matches!(read(&Code::known("agreement"), 1, &defect.body()), Reading::Malformed(_)));
    }

    #[test]
    fn i13_an_unknown_label_counts_as_red() {
        let good = from_json("agreement", 1, terms()).unwrap();
        let mut terms: Terms = crate::codec::decode(&good.bytes).unwrap();
        let allowed = |terms: &Terms| [1, 2, 3, 4, 5, 9].map(|label| terms.allow_label(Tlp(label)));
        assert_eq!(allowed(&terms), [false, false, true, true, true, false]);
        terms.highest_tlp = Tlp::RED;
        assert_eq!(allowed(&terms), [true; 6]);
    }
}
