//! Turns answers of the daemon into text for people. Pure: the same answer, moment and colours give the same text.
//!
//! Every text goes through `table::Cell`, [`Page::field`] or `screen`, so nothing hostile reaches the terminal.

mod administer;
mod agreement;
mod attachments;
mod drafts;
mod drill;
mod message;
mod peers;
mod recalls;
mod rows;
mod status;

use aldis_control::{Precedence, UnixMillis};

pub(crate) use administer::{
    acted, identity_rotated, keys, next_key, phrases, request, requests, tls_rotated, words_to_read_out,
};
pub(crate) use agreement::agreement;
pub(crate) use attachments::{attachment, came, saved, under_way, uploaded};
pub(crate) use drafts::{draft, drafts};
pub(crate) use drill::{checks, drilled};
pub(crate) use message::{answered, case, message};
pub(crate) use peers::{peer, peer_added, peers, recovery};
pub(crate) use recalls::recalls;
pub(crate) use rows::{event, inbox, log, outbox, sent};
pub(crate) use status::{alerts_tested, backed_up, silences, status, verify_report, vocabulary};

use crate::paint::{Paint, Tone};
use crate::screen;
use crate::table::WIDTH;

/// What rendering needs to know besides the answer itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// The present moment, for ages.
    pub(crate) now: UnixMillis,
    /// Whether to colour.
    pub(crate) paint: Paint,
}

/// The column at which the values of a list of fields begin.
const FIELD_WIDTH: usize = 14;

impl Page {
    /// `Name          value`, folded under itself; nothing when the value is empty.
    fn field(self, name: &str, value: &str) -> String {
        self.toned_field(name, value, Tone::Plain)
    }

    fn toned_field(self, name: &str, value: &str, tone: Tone) -> String {
        let mut shown = String::new();
        if value.is_empty() {
            return shown;
        }
        for (at, line) in screen::fold(&screen::cell(value), WIDTH - FIELD_WIDTH).iter().enumerate() {
            let name = if at == 0 { screen::cut(&screen::cell(name), FIELD_WIDTH - 1) } else { String::new() };
            let name = self.paint.apply(Tone::Quiet, &format!("{name:<FIELD_WIDTH$}"));
            shown.extend([
                &name,
                &self.paint.apply(tone, line.trim_end()),
                "
",
            ]);
        }
        shown
    }

    fn heading(self, text: &str) -> String {
        format!("{}\n", self.paint.apply(Tone::Heading, &screen::cell(text)))
    }
}

/// Sentences of ours, folded. What came from elsewhere stands in fields, so it is not taken here.
fn paragraph(text: &'static str) -> String {
    screen::fold(text, WIDTH).iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The precedence as it is spoken of: capitals.
fn precedence_word(precedence: Precedence) -> String {
    precedence.as_str().to_ascii_uppercase()
}

/// `3 messages`, `1 message`.
fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// Bytes in their largest binary unit, such as `5.2 MiB`.
fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut tenths = u128::from(number) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod administer_tests;
#[cfg(test)]
mod attachment_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod silence_tests;
