//! What alerts say, and what they never say.

use super::support::{OPEN_SUBJECT, SECRET_SUBJECT, alert, id, row, telling};
use crate::alerts::message::{Telling, next_step, probe, title};
use aldis_control::Tlp;
use aldis_core::ladder::{Cause, Silence};
use serde_json::{Value, json};

fn document(telling: &Telling, clearance: Tlp) -> Value {
    serde_json::from_slice(&telling.document(clearance, &["Ana"])).unwrap()
}

#[test]
fn the_document_holds_what_the_manual_says() {
    let said = document(&telling(41), Tlp::Green);
    let expected = json!({
        "v": 1, "probe": false, "node": "cert.br", "alert": "41", "people": ["Ana"], "silence": "unanswered-here",
        "cause": "unacknowledged", "step": 1, "of": 3, "step_name": "duty officer", "peer": "cert.cl",
        "precedence": "flash", "count": 1, "messages": ["cert.cl/cert.br/F7"], "cases": ["abcdefghijklmnopqrstuvwxyz"],
        "since": "2026-09-21T14:13:20.000Z", "again": false,
        "subjects": [{ "message": "cert.cl/cert.br/F9", "tlp": "TLP:GREEN", "subject": OPEN_SUBJECT }],
        "text": "FLASH: a message from cert.cl: nobody here has acknowledged; step 1 of 3, duty officer",
        "next": "aldis show cert.cl/cert.br/F7",
    });
    assert_eq!(said, expected);
    assert_eq!(
        serde_json::from_slice::<Value>(&probe(&id())).unwrap(),
        json!({ "v": 1, "probe": true, "node": "cert.br" })
    );
}

#[test]
fn a_subject_leaves_only_by_a_channel_that_is_cleared_for_its_label_and_red_by_none() {
    let rows: Vec<_> = [
        ("red", "s-red"),
        ("amber+strict", "s-strict"),
        ("amber", "s-amber"),
        ("green", "s-green"),
        ("clear", "s-clear"),
    ]
    .into_iter()
    .zip(1..)
    .map(|((tlp, subject), number)| row(number, tlp, subject))
    .collect();
    let telling = Telling::with_rows(alert(1, &[]), &id(), &rows);
    for (clearance, least) in [(Tlp::Clear, 4), (Tlp::Green, 3), (Tlp::Amber, 2), (Tlp::AmberStrict, 1), (Tlp::Red, 1)]
    {
        for said in [telling.letter(clearance), document(&telling, clearance).to_string()] {
            for (place, row) in rows.iter().enumerate() {
                assert_eq!(said.contains(&row.subject), place >= least, "{clearance}: {}: {said}", row.tlp);
            }
        }
    }
    assert!(!format!("{telling:?}").contains("s-red"), "it is not even kept");
}

#[test]
fn i12_an_exercise_says_so_first_everywhere() {
    let mut exercise = alert(1, &[]);
    exercise.exercise = Some("Baltic \u{202e}2026".into());
    assert!(title(&exercise).starts_with("EXERCISE Baltic \\u{202e}2026: FLASH: "), "{}", title(&exercise));
    let telling = Telling::with_rows(exercise, &id(), &[]);
    let said = document(&telling, Tlp::Clear);
    assert_eq!(said["exercise"], "Baltic \\u{202e}2026");
    assert!(telling.letter(Tlp::Clear).contains("exercise Baltic \\u{202e}2026. Nothing real"));
    assert!(document(&super::support::telling(1), Tlp::Clear).get("exercise").is_none());
}

#[test]
fn texts_of_peers_are_escaped() {
    let telling = Telling::with_rows(alert(1, &[]), &id(), &[row(1, "clear", "a\u{202e}b\nFrom: c\u{7}")]);
    let letter = telling.letter(Tlp::Clear);
    assert!(letter.contains("a\\u{202e}b\\nFrom: c\\u{7}"), "{letter}");
    assert!(!letter.contains('\u{202e}') && !letter.contains('\u{7}'));
}

#[test]
fn every_silence_and_cause_has_words_and_a_next_step() {
    let mut said = std::collections::BTreeSet::new();
    for silence in [Silence::Received, Silence::Sent, Silence::Undelivered] {
        for cause in [
            Cause::Arrived,
            Cause::Unacknowledged,
            Cause::Unattended,
            Cause::PromisePassed,
            Cause::NoReceipt,
            Cause::Checked,
        ] {
            let mut alert = alert(1, &[]);
            (alert.silence, alert.cause, alert.count) = (silence, cause, 900);
            if cause == Cause::Checked {
                assert_eq!(next_step(&alert), "aldis answer cert.cl/cert.br/F7 acknowledge");
            } else {
                assert!(title(&alert).contains("900 messages"));
                assert!(["aldis inbox", "aldis outbox"].contains(&next_step(&alert).as_str()));
            }
            said.insert(title(&alert));
        }
    }
    assert!(said.len() >= 9, "{said:?}");
    let drill = said.iter().filter(|title| title.contains("a drill, nothing has happened"));
    assert_eq!(drill.count(), 1, "{said:?}");
    let letter = telling(5).letter(Tlp::Clear);
    assert!(letter.contains("Next: aldis show cert.cl/cert.br/F7") && !letter.contains(SECRET_SUBJECT), "{letter}");
}
