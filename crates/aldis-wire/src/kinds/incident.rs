//! Kind `incident`: a notice about an incident. Classification after RSIT v1003, stages after NIS2 article 23, actions
//! after IODEF (RFC 7970), judgement after the admiralty scale with intent unknown unless somebody says otherwise.

use super::{Bearing, Choice, KindBody, SUBJECT_MAX_BYTES, Summary};
use crate::codec::{Decode, Encode, List, Text};
use crate::codes::{Code, Extensions};
use crate::ids::UnixMillis;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A notice about an incident.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// One line.
    pub subject: Text<SUBJECT_MAX_BYTES>,
    /// The RSIT class.
    pub class: Code,
    /// The RSIT type within the class.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub incident_type: Option<Code>,
    /// Codes of other classifications, kept side by side with ours.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub other_classifications: List<Classification, 8>,
    /// How bad it is.
    #[serde(default = "medium")]
    pub severity: Code,
    /// The NIS2 reporting stage; a later one supersedes an earlier one through the header's reference.
    #[serde(default = "none")]
    pub stage: Code,
    /// Whether unlawful or malicious acts are suspected.
    #[serde(default = "unknown")]
    pub suspected_malicious: Code,
    /// Whether it could affect other states.
    #[serde(default = "unknown")]
    pub cross_border: Code,
    /// The sectors affected (NIS2 annexes).
    #[serde(default, skip_serializing_if = "is_empty")]
    pub sectors: List<Code, 18>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<UnixMillis>,
    /// When it was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_at: Option<UnixMillis>,
    /// When the reporting party became aware; the NIS2 clock starts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aware_at: Option<UnixMillis>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMillis>,
    /// What is affected.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub assets: List<Asset, 64>,
    /// What to look for.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub indicators: List<Indicator, 256>,
    /// What the sender would like done (IODEF expectation).
    #[serde(default = "nothing")]
    pub expected_action: Code,
    /// Until when an answer is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_by: Option<UnixMillis>,
    /// The admiralty scale's reliability of the source, A to F; F is "cannot be judged".
    #[serde(default = "source_not_judged")]
    pub source_reliability: Code,
    /// The admiralty scale's credibility of the information, 1 to 6; 6 is "cannot be judged".
    #[serde(default = "information_not_judged")]
    pub information_credibility: Code,
    /// Estimative likelihood, one of seven bands, or unknown.
    #[serde(default = "unknown")]
    pub likelihood: Code,
    /// What the actor intends, if anybody can say.
    #[serde(default = "unknown")]
    pub intent: Code,
    /// Who is held responsible; never without a confidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
    /// What happened, in words.
    #[serde(default)]
    pub narrative: Text<32_768>,
    /// The language of the texts (BCP 47).
    #[serde(default = "english")]
    pub language: Text<35>,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

/// A code of another classification, such as that of a regional network.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// Which classification, such as `csirtamericas`.
    pub scheme: Code,
    /// The code in it.
    pub code: Code,
}

/// Something affected.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// What it is called.
    pub name: Text<256>,
    /// What it is.
    #[serde(default = "other")]
    pub kind: Code,
    /// Its sector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector: Option<Code>,
    /// Anything else.
    #[serde(default)]
    pub comment: Text<256>,
}

/// Something to look for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Indicator {
    /// ip, domain, url, hash or email.
    pub kind: Code,
    /// The value.
    pub value: Text<1024>,
    /// Anything else.
    #[serde(default)]
    pub comment: Text<256>,
}

/// Who is held responsible.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribution {
    /// Who.
    pub text: Text<500>,
    /// How sure the sender is.
    pub confidence: Code,
}

const SECTORS: &[&str] = &[
    "energy",
    "transport",
    "banking",
    "financial-market-infrastructure",
    "health",
    "drinking-water",
    "waste-water",
    "digital-infrastructure",
    "ict-service-management",
    "public-administration",
    "space",
    "postal",
    "waste",
    "chemicals",
    "food",
    "manufacturing",
    "digital-providers",
    "research",
];

/// RSIT v1003: each class with its types.
const RSIT: &[(&str, &[&str])] = &[
    ("abusive-content", &["spam", "harmful-speech", "violence"]),
    ("malicious-code", &["infected-system", "c2-server", "malware-distribution", "malware-configuration"]),
    ("information-gathering", &["scanner", "sniffing", "social-engineering"]),
    ("intrusion-attempts", &["ids-alert", "brute-force", "exploit"]),
    (
        "intrusions",
        &[
            "privileged-account-compromise",
            "unprivileged-account-compromise",
            "application-compromise",
            "system-compromise",
            "burglary",
        ],
    ),
    ("availability", &["dos", "ddos", "misconfiguration", "sabotage", "outage"]),
    (
        "information-content-security",
        &["unauthorised-information-access", "unauthorised-information-modification", "data-loss", "data-leak"],
    ),
    ("fraud", &["unauthorised-use-of-resources", "copyright", "masquerade", "phishing"]),
    (
        "vulnerable",
        &[
            "weak-crypto",
            "ddos-amplifier",
            "potentially-unwanted-accessible",
            "information-disclosure",
            "vulnerable-system",
        ],
    ),
    ("other", &["other", "undetermined"]),
    ("test", &["test"]),
];

const CLASSES: &[&str] = &[
    "abusive-content",
    "malicious-code",
    "information-gathering",
    "intrusion-attempts",
    "intrusions",
    "availability",
    "information-content-security",
    "fraud",
    "vulnerable",
    "other",
    "test",
];

const TYPES: &[&str] = &[
    "spam",
    "harmful-speech",
    "violence",
    "infected-system",
    "c2-server",
    "malware-distribution",
    "malware-configuration",
    "scanner",
    "sniffing",
    "social-engineering",
    "ids-alert",
    "brute-force",
    "exploit",
    "privileged-account-compromise",
    "unprivileged-account-compromise",
    "application-compromise",
    "system-compromise",
    "burglary",
    "dos",
    "ddos",
    "misconfiguration",
    "sabotage",
    "outage",
    "unauthorised-information-access",
    "unauthorised-information-modification",
    "data-loss",
    "data-leak",
    "unauthorised-use-of-resources",
    "copyright",
    "masquerade",
    "phishing",
    "weak-crypto",
    "ddos-amplifier",
    "potentially-unwanted-accessible",
    "information-disclosure",
    "vulnerable-system",
    "other",
    "undetermined",
    "test",
];

const TRISTATE: &[&str] = &["unknown", "yes", "no"];

impl KindBody for Incident {
    const NAME: &'static str = "incident";
    const VERSION: u16 = 1;
    const IS_NOTICE: bool = true;
    const IS_FOR: fn(&Value) -> bool = |value| !names_files(value);
    const CHOICES: &'static [Choice] = &[
        ("class", CLASSES),
        ("type", TYPES),
        ("severity", &["informational", "low", "medium", "high", "critical"]),
        ("stage", &["none", "early-warning", "notification", "progress", "final"]),
        ("suspected_malicious", TRISTATE),
        ("cross_border", TRISTATE),
        ("sectors", SECTORS),
        ("assets.kind", &["host", "network", "service", "account", "facility", "data", "other"]),
        ("assets.sector", SECTORS),
        ("indicators.kind", &["ip", "domain", "url", "hash", "email"]),
        (
            "expected_action",
            &[
                "nothing",
                "contact-source-site",
                "contact-target-site",
                "contact-sender",
                "investigate",
                "block-host",
                "block-network",
                "block-port",
                "rate-limit-host",
                "rate-limit-network",
                "rate-limit-port",
                "redirect-traffic",
                "honeypot",
                "upgrade-software",
                "rebuild-asset",
                "harden-asset",
                "remediate-other",
                "status-triage",
                "status-new-info",
                "watch-and-report",
                "training",
                "defined-coa",
                "other",
            ],
        ),
        ("source_reliability", &["A", "B", "C", "D", "E", "F"]),
        ("information_credibility", &["1", "2", "3", "4", "5", "6"]),
        (
            "likelihood",
            &[
                "unknown",
                "almost-no-chance",
                "very-unlikely",
                "unlikely",
                "roughly-even-chance",
                "likely",
                "very-likely",
                "almost-certain",
            ],
        ),
        (
            "intent",
            &["unknown", "accidental", "criminal", "espionage", "disruption", "destruction", "influence", "other"],
        ),
        ("attribution.confidence", &["low", "moderate", "high"]),
    ];

    fn summary(&self) -> Summary {
        Summary {
            bearing: Bearing::Notice,
            subject: self.subject.clone(),
            stage: Some(self.stage.clone()),
            reply_by: self.reply_by,
            attached: None,
            attachments: List::empty(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.subject.trim().is_empty() {
            return Err("subject: there must be one".into());
        }
        if let (Some(started), Some(ended)) = (self.started_at, self.ended_at)
            && ended < started
        {
            return Err("ended_at: lies before started_at".into());
        }
        // A type of one class under another is wrong only if both are known; a newer RSIT may have moved it.
        if let Some(incident_type) = &self.incident_type
            && let Some((_, types)) = RSIT.iter().find(|(class, _)| *class == self.class.as_str())
            && TYPES.contains(&incident_type.as_str())
            && !types.contains(&incident_type.as_str())
        {
            return Err(format!("type: class {} has {}, not {incident_type}", self.class, types.join(", ")));
        }
        Ok(())
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        let mut chosen = vec![
            ("class", &self.class),
            ("severity", &self.severity),
            ("stage", &self.stage),
            ("suspected_malicious", &self.suspected_malicious),
            ("cross_border", &self.cross_border),
            ("expected_action", &self.expected_action),
            ("source_reliability", &self.source_reliability),
            ("information_credibility", &self.information_credibility),
            ("likelihood", &self.likelihood),
            ("intent", &self.intent),
        ];
        chosen.extend(self.incident_type.iter().map(|code| ("type", code)));
        chosen.extend(self.sectors.iter().map(|code| ("sectors", code)));
        chosen.extend(self.assets.iter().map(|asset| ("assets.kind", &asset.kind)));
        chosen.extend(self.assets.iter().filter_map(|asset| Some(("assets.sector", asset.sector.as_ref()?))));
        chosen.extend(self.indicators.iter().map(|indicator| ("indicators.kind", &indicator.kind)));
        chosen.extend(self.attribution.iter().map(|who| ("attribution.confidence", &who.confidence)));
        chosen
    }
}

/// Whether the JSON form of a body names files, which version 2 is for.
pub(super) fn names_files(value: &Value) -> bool {
    value.get("attachments").is_some()
}

fn is_empty<T, const MAX: usize>(list: &List<T, MAX>) -> bool {
    list.is_empty()
}

fn medium() -> Code {
    Code::known("medium")
}

fn none() -> Code {
    Code::known("none")
}

fn unknown() -> Code {
    Code::known("unknown")
}

fn other() -> Code {
    Code::known("other")
}

fn nothing() -> Code {
    Code::known("nothing")
}

fn source_not_judged() -> Code {
    Code::known("F")
}

fn information_not_judged() -> Code {
    Code::known("6")
}

fn english() -> Text<35> {
    Text::cut("en")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_classes_and_types_are_rsits() {
        let classes: Vec<_> = RSIT.iter().map(|(class, _)| *class).collect();
        let types: Vec<_> = RSIT.iter().flat_map(|(_, types)| *types).copied().collect();
        assert_eq!(classes, CLASSES);
        assert_eq!(types, TYPES);
    }
}
