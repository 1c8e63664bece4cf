//! Drafts: what waits for a second person, and one of them as that person must see it.

use aldis_control::{DraftRow, DraftView, Tlp};

use super::message::body_in_full;
use super::{Page, precedence_word};
use crate::paint::{Tone, precedence_tone};
use crate::table::{Cell, Table};
use crate::when;

/// What waits to be released.
pub(crate) fn drafts(rows: &[DraftRow], page: Page) -> String {
    if rows.is_empty() {
        return "No draft waits.\n".into();
    }
    let mut table = Table::new(&["DRAFT", "PRECEDENCE", "TLP", "TO", "BY", "RUNS OUT", "SUBJECT"]);
    for row in rows {
        let (precedence, tone) = precedence(row);
        table.push(vec![
            Cell::new(&row.draft.to_string()).right(),
            Cell::toned(&precedence, tone),
            Cell::toned(row.tlp.label(), Tone::Tlp(row.tlp)),
            Cell::new(&row.to.join(", ")),
            Cell::new(&row.by),
            Cell::new(&when::age(row.expires_at, page.now)),
            Cell::new(&subject(row)),
        ]);
    }
    format!("{}Another Unix user looks and decides with: aldis release DRAFT\n", table.render(page.paint))
}

/// One draft in full.
pub(crate) fn draft(view: &DraftView, page: Page) -> String {
    let row = &view.row;
    let (precedence, tone) = precedence(row);
    let mut shown = page.heading(&format!("Draft {}, not sent yet", row.draft));
    shown.push_str(&page.toned_field("Precedence", &precedence, tone));
    shown.push_str(&page.toned_field("TLP", row.tlp.label(), Tone::Tlp(row.tlp)));
    if let Some(name) = &row.exercise {
        shown.push_str(&page.toned_field("EXERCISE", name, Tone::Exercise));
    }
    shown.push_str(&page.field("To", &row.to.join(", ")));
    shown.push_str(&page.field("Desk", &row.desk));
    shown.push_str(&page.field("Case", &row.case));
    shown.push_str(&page.field("Author", &row.author));
    shown.push_str(&page.field("Composed by", &row.by));
    shown.push_str(&page.field("At", &when::full(row.at, page.now)));
    shown.push_str(&page.field("Until", &when::full(row.expires_at, page.now)));
    shown.push_str(&page.toned_field("Long FLASH", row.long.as_deref().unwrap_or_default(), Tone::Bad));
    shown.push_str(&page.field("Kind", &row.kind));
    shown.push_str(&page.field("Subject", &row.subject));
    shown.push_str(&body_in_full(&view.body, page));
    shown
}

/// The precedence, or that it is only an exercise (I12).
fn precedence(row: &DraftRow) -> (String, Tone) {
    if row.exercise.is_some() {
        return (format!("EXERCISE/{}", row.precedence.letter()), Tone::Exercise);
    }
    (precedence_word(row.precedence), precedence_tone(row.precedence))
}

fn subject(row: &DraftRow) -> String {
    match (row.subject.is_empty(), row.tlp) {
        (false, _) => row.subject.clone(),
        (true, Tlp::Red) => "(RED: aldis release opens it)".to_owned(),
        (true, _) => format!("({})", row.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_tests::{PAGE, assert_shown, merge};
    use super::*;
    use serde_json::{Value, json};

    fn row(changes: Value) -> DraftRow {
        let mut fields = json!({
            "draft": 4711, "to": ["cert.cl", "cert.ar"], "kind": "incident", "precedence": "flash", "tlp": "amber",
            "desk": "technical", "case": "mfrggzdfmztwq2lknnwg23tpoa", "subject": "C2 server in a bank",
            "by": "ana (uid 1001)", "author": "duty officer", "at": "2026-11-22T02:56:00.000Z",
            "expires_at": "2026-11-22T03:56:00.000Z",
        });
        merge(&mut fields, changes);
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn a_draft_says_that_it_is_not_sent_and_shows_everything() {
        let body = json!({ "subject": "C2 server in a bank", "class": "malicious-code", "narrative": "Look." });
        let view = DraftView { row: row(json!({ "long": "201 words, because: all of them" })), body };
        let expected = "\
Draft 4711, not sent yet
Precedence    FLASH
TLP           TLP:AMBER
To            cert.cl, cert.ar
Desk          technical
Case          mfrggzdfmztwq2lknnwg23tpoa
Author        duty officer
Composed by   ana (uid 1001)
At            2026-11-22 02:56:00Z (4m ago)
Until         2026-11-22 03:56:00Z (in 56m)
Long FLASH    201 words, because: all of them
Kind          incident
Subject       C2 server in a bank

Class         malicious-code

  | Look.
";
        assert_shown(&draft(&view, PAGE), expected);
        assert_eq!(drafts(&[], PAGE), "No draft waits.\n");
    }

    #[test]
    fn hostile_text_drives_nothing_before_a_releaser_and_i12_an_exercise_says_so() {
        const HOSTILE: &str = "x\u{1b}[2J\u{202e}\u{200b}\ncert.us/F1  FLASH  all clear\r\u{9b}31m";
        let hostile = row(json!({ "to": [HOSTILE], "by": HOSTILE, "subject": HOSTILE, "exercise": HOSTILE }));
        let view = DraftView { row: hostile.clone(), body: json!({ "narrative": HOSTILE, HOSTILE: [HOSTILE] }) };
        for text in [drafts(&[hostile], PAGE), draft(&view, PAGE)] {
            assert!(text.contains("EXERCISE/F"), "{text}");
            let forbidden = |found: char| found.is_control() && found != '\n' || "\u{202e}\u{200b}".contains(found);
            assert!(!text.contains(forbidden), "{text:?}");
            assert!(!text.lines().any(|line| line.starts_with("cert.us")), "a forged line: {text}");
        }
    }
}
