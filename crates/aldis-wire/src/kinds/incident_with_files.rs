//! Kind `incident`, version 2: a notice about an incident that names files. One without files is version 1, so that a
//! message has one encoding, and a peer that reads only version 1 still takes what it can take whole.

use super::incident::{Incident, names_files};
use super::{Choice, KindBody, Summary};
use crate::attachment::{self, ATTACHMENTS_MAX, Attachment};
use crate::codec::{Decode, Encode, List};
use crate::codes::Code;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A notice about an incident, with files: on the wire version 1, whole, and then the files.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct IncidentWithFiles {
    /// The notice.
    #[serde(flatten)]
    pub incident: Incident,
    /// The files, at least one, each digest once.
    pub attachments: List<Attachment, ATTACHMENTS_MAX>,
}

impl TryFrom<Map<String, Value>> for IncidentWithFiles {
    type Error = serde_json::Error;

    fn try_from(mut fields: Map<String, Value>) -> Result<Self, Self::Error> {
        let attachments = fields.remove("attachments").unwrap_or_default();
        let attachments = List::deserialize(attachments)?;
        Ok(Self { incident: Incident::deserialize(Value::Object(fields))?, attachments })
    }
}

impl KindBody for IncidentWithFiles {
    const NAME: &'static str = Incident::NAME;
    const VERSION: u16 = 2;
    const IS_NOTICE: bool = Incident::IS_NOTICE;
    const IS_FOR: fn(&Value) -> bool = names_files;
    const CHOICES: &'static [Choice] = Incident::CHOICES;

    fn summary(&self) -> Summary {
        Summary { attachments: self.attachments.clone(), ..self.incident.summary() }
    }

    fn check(&self) -> Result<(), String> {
        if self.attachments.is_empty() {
            return Err("attachments: none is named; without files it is version 1".into());
        }
        attachment::check_all(&self.attachments)?;
        self.incident.check()
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        self.incident.chosen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Reading, from_json, read, to_json, versions_for};
    use serde_json::json;

    fn with_files(count: u8) -> Value {
        let file = |n: u8| {
            json!({"digest": format!("{n:02x}").repeat(32), "size": 7, "name": format!("{n}.bin"),
                   "media_type": "application/octet-stream"})
        };
        let files: Vec<Value> = (1..=count).map(file).collect();
        json!({"subject": "C2 at a provider", "class": "malicious-code", "attachments": files})
    }

    #[test]
    fn an_incident_with_files_survives_json_and_bytes_and_lists_see_its_files() {
        let written = from_json("incident", 2, with_files(2)).unwrap();
        let kind = Code::known("incident");
        let Reading::Understood(summary) = read(&kind, 2, &written.bytes) else { panic!("not understood") };
        assert_eq!(summary, written.summary);
        assert_eq!(summary.attachments.len(), 2);
        assert_eq!(summary.attachments[1].digest.to_hex(), "02".repeat(32));
        let shown = to_json(&kind, 2, &written.bytes).unwrap();
        assert_eq!(shown["attachments"], with_files(2)["attachments"]);
        assert_eq!(from_json("incident", 2, shown).unwrap().bytes, written.bytes);
        assert_eq!(read(&kind, 1, &written.bytes), Reading::Malformed("129 bytes follow the value".into()));
    }

    #[test]
    fn i6_files_go_in_version_2_and_only_they() {
        assert_eq!(versions_for("incident", &with_files(1)), [2]);
        assert_eq!(versions_for("incident", &json!({"subject": "none"})), [1]);
        assert_eq!(versions_for("hotline", &json!({})), [1]);
        assert!(versions_for("poem", &json!({})).is_empty());
        assert!(from_json("incident", 1, with_files(1)).is_err(), "version 1 has no files");
        assert!(from_json("incident", 2, with_files(0)).is_err(), "version 2 has some");
        assert!(from_json("incident", 2, json!({"subject": "s", "class": "test"})).is_err());
    }

    #[test]
    fn i7_a_message_names_sixteen_files_at_most_and_each_once() {
        assert!(from_json("incident", 2, with_files(16)).is_ok());
        assert!(from_json("incident", 2, with_files(17)).is_err());
        let mut twice = with_files(2);
        twice["attachments"][1]["digest"] = twice["attachments"][0]["digest"].clone();
        assert!(from_json("incident", 2, twice).unwrap_err().to_string().contains("twice"));
        let mut unknown = with_files(1);
        unknown["surprise"] = json!(1);
        assert!(from_json("incident", 2, unknown).unwrap_err().to_string().contains("surprise"));
    }
}
