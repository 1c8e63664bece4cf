//! The codes a notice may use. They are asked of the kinds themselves, so that what is offered is what is accepted.

use aldis_control::{IncidentClass, Precedence, Tlp, Vocabulary};
use aldis_wire::codes::Desk;
use aldis_wire::kinds::{self, KINDS};
use axum::Json;
use serde_json::json;
use std::sync::LazyLock;

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(gather);

/// Every list of codes that a person may choose from.
pub(super) async fn vocabulary() -> Json<&'static Vocabulary> {
    Json(&VOCABULARY)
}

fn gather() -> Vocabulary {
    let of = |field| choices("incident", field);
    Vocabulary {
        classes: of("class").into_iter().map(class).collect(),
        severities: of("severity"),
        stages: of("stage"),
        sectors: of("sectors"),
        indicator_kinds: of("indicators.kind"),
        actions: of("expected_action"),
        source_reliabilities: of("source_reliability"),
        information_credibilities: of("information_credibility"),
        likelihoods: of("likelihood"),
        intents: of("intent"),
        confidences: of("attribution.confidence"),
        justifications: choices("acknowledgement", "justification"),
        desks: [Desk::TECHNICAL, Desk::DIPLOMATIC, Desk::LAW_ENFORCEMENT].map(|desk| desk.to_string()).to_vec(),
        kinds: sendable_kinds(),
        precedences: Precedence::ALL.map(|precedence| precedence.as_str().to_owned()).to_vec(),
        tlp: Tlp::ALL.map(|tlp| tlp.as_str().to_owned()).to_vec(),
    }
}

/// The words of one field, in the latest version of a kind.
fn choices(kind: &str, field: &str) -> Vec<String> {
    let versions = KINDS.iter().filter(|entry| entry.name == kind);
    let latest = versions.max_by_key(|entry| entry.version);
    let words = latest.and_then(|entry| entry.choices.iter().find(|(name, _)| *name == field));
    words.map_or(Vec::new(), |(_, words)| words.iter().map(ToString::to_string).collect())
}

/// A class with the types that a notice of that class may have.
fn class(code: String) -> IncidentClass {
    let fits = |incident_type: &String| {
        let body = json!({ "subject": "-", "class": code, "type": incident_type });
        kinds::from_json("incident", 1, body).is_ok()
    };
    let types = choices("incident", "type").into_iter().filter(fits).collect();
    IncidentClass { code, types }
}

/// The kinds people send; answers, refusals and what machines tell each other have their own ways.
fn sendable_kinds() -> Vec<String> {
    let mut names: Vec<String> =
        KINDS.iter().filter(|entry| entry.is_notice).map(|entry| entry.name.to_owned()).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_words_and_every_class_its_types() {
        let all = serde_json::to_value(&*VOCABULARY).unwrap();
        for (name, list) in all.as_object().unwrap() {
            assert!(!list.as_array().unwrap().is_empty(), "{name}");
        }
        assert_eq!(VOCABULARY.kinds, ["incident"]);
        let availability = VOCABULARY.classes.iter().find(|class| class.code == "availability").unwrap();
        assert!(availability.types.contains(&"ddos".to_owned()));
        assert!(!availability.types.contains(&"phishing".to_owned()));
        let types: usize = VOCABULARY.classes.iter().map(|class| class.types.len()).sum();
        assert_eq!(types, choices("incident", "type").len(), "every type stands in one class");
    }
}
