//! Agreements: both sides' terms beside each other, with what holds.

use aldis_control::{AgreementField, AgreementView};
use unicode_width::UnicodeWidthStr;

use super::Page;
use crate::paint::Tone;
use crate::table::{Cell, Table};

/// What stands in a column; longer lists follow below the table.
const COLUMN_WIDTH: usize = 16;

/// What stands where a side says nothing.
const NOTHING: &str = "-";

/// Both sides' terms, and what holds of them.
pub(crate) fn agreement(view: &AgreementView, page: Page) -> String {
    let mut shown = page.heading(&format!("Agreement with {}", view.peer));
    if view.ours.is_none() && view.theirs.is_none() {
        shown.push_str("Neither side has set terms, so nothing is limited.\n");
        return shown;
    }
    let mut table = Table::new(&["TERM", "OURS", "THEIRS", "IN FORCE"]);
    for field in &view.fields {
        let tone = if field.differs { Tone::Heading } else { Tone::Plain };
        table.push(vec![
            Cell::new(&field.field),
            cell(field, field.ours.as_deref(), tone),
            cell(field, field.theirs.as_deref(), tone),
            cell(field, field.in_force.as_deref(), Tone::Plain),
        ]);
    }
    shown.push_str(&table.render(page.paint));
    for field in &view.fields {
        for (side, value) in [("ours", &field.ours), ("theirs", &field.theirs), ("in force", &field.in_force)] {
            let value = value.as_deref().unwrap_or_default();
            if is_long(field, value) {
                shown.push_str(&page.field(&format!("{}, {side}", field.field), value));
            }
        }
    }
    if view.ours.is_some() && !view.ours_are_known {
        shown.push_str(&page.toned_field("WAITS", "the peer does not have our terms yet", Tone::Bad));
    }
    shown
}

fn cell(field: &AgreementField, value: Option<&str>, tone: Tone) -> Cell {
    let value = value.unwrap_or(NOTHING);
    match field.field.as_str() {
        // The day is enough beside two others; the whole time is in --json and in the alarm.
        "expires" if value != NOTHING => Cell::toned(value.get(..10).unwrap_or(value), tone),
        _ if is_long(field, value) => Cell::toned(&format!("{} kinds", value.split(", ").count()), tone),
        _ => Cell::toned(value, tone),
    }
}

fn is_long(field: &AgreementField, value: &str) -> bool {
    field.field == "kinds" && value.width() > COLUMN_WIDTH
}
