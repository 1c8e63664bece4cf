//! Recalls: what became of one at each recipient.

use aldis_control::{RecallRecipient, RecallState, RecallView};

use super::Page;
use crate::paint::Tone;
use crate::table::{Cell, Table};
use crate::when;

/// One line for each recipient, and below it how to look again where an answer is waited for.
pub(crate) fn recalls(view: &RecallView, page: Page) -> String {
    let mut table = Table::new(&["To", "Message", "Recall", "Since"]);
    for recipient in &view.recipients {
        table.push(vec![
            Cell::new(&recipient.to),
            Cell::new(&recipient.message.to_string()),
            Cell::toned(recipient.state.as_str(), tone(recipient.state)),
            Cell::new(&recipient.at.map_or_else(String::new, |at| when::short(at, page.now))),
        ]);
    }
    let mut shown = table.render(page.paint);
    for recipient in &view.recipients {
        shown.push_str(&page.field(&recipient.to, &explained(recipient)));
    }
    shown
}

fn tone(state: RecallState) -> Tone {
    match state {
        RecallState::Withheld | RecallState::Erased => Tone::Good,
        RecallState::Declined | RecallState::Refused | RecallState::NotPossible => Tone::Bad,
        RecallState::NotAsked | RecallState::Waiting => Tone::Plain,
    }
}

/// What the state means, in words.
fn explained(recipient: &RecallRecipient) -> String {
    let RecallRecipient { to, message, .. } = recipient;
    let meaning = match recipient.state {
        RecallState::NotAsked => format!("not asked; `aldis recall {message} --reason CODE` asks"),
        RecallState::NotPossible => String::new(),
        RecallState::Withheld => "it was not relayed: its body never left, and is erased here".to_owned(),
        RecallState::Waiting => format!("{to} is asked and has not answered; call if it is urgent"),
        RecallState::Erased => erased(recipient),
        RecallState::Declined => format!("{to} keeps it"),
        RecallState::Refused => format!("the node of {to} did not take the recall"),
    };
    let request = recipient.request.as_ref().map(|request| format!("recall {request}"));
    let by = recipient.by.as_ref().map(|by| format!("by {by}"));
    let parts = [Some(meaning), by, request, Some(recipient.text.clone())];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn erased(recipient: &RecallRecipient) -> String {
    let reached = recipient.reached.as_ref().map_or_else(String::new, |reached| format!("; it had been {reached}"));
    let exported = match recipient.exported {
        Some(true) => ", and its content had left that node before",
        _ => "",
    };
    format!("erased there{reached}{exported}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::render::golden_tests::{PAGE, assert_fits, merge};

    fn shown(changes: Value) -> String {
        let mut recipient = json!({ "message": "cert.br/cert.cl/P17", "to": "cert.cl", "state": "waiting" });
        merge(&mut recipient, changes);
        let shown = recalls(&serde_json::from_value(json!({ "recipients": [recipient] })).unwrap(), PAGE);
        assert_fits(&shown);
        shown
    }

    #[test]
    fn each_state_is_explained_and_every_word_from_there_is_escaped() {
        for state in RecallState::ALL {
            let shown = shown(json!({ "state": state, "text": "no \u{202e}room" }));
            assert!(shown.contains(state.as_str()) && shown.contains("cert.br/cert.cl/P17"), "{shown}");
            assert!(shown.contains("room") && !shown.contains('\u{202e}'), "{shown}");
        }
    }

    #[test]
    fn what_was_erased_says_how_far_it_had_come() {
        let erased = json!({ "state": "erased", "reached": "seen", "exported": true, "by": "Bia",
                             "request": "cert.br/cert.cl/P18", "at": "2026-11-22T02:56:00.000Z" });
        let shown = shown(erased).replace('\n', " ");
        let words: Vec<&str> = shown.split_whitespace().collect();
        let text = words.join(" ");
        let expected = "erased there; it had been seen, and its content had left that node before; by Bia; recall \
                        cert.br/cert.cl/P18";
        assert!(text.contains(expected), "{text}");
    }
}
