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
