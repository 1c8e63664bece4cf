//! What a card says, for people and for programs. A card comes from outside: whatever could deceive a reader is shown as a
//! visible escape. Nothing here decides whether a card is to be trusted.

use aldis_control::{CardView, Contact, KindVersions};
use aldis_wire::card::{self, CardError, VerifiedCard};
use aldis_wire::digest::Digest;
use aldis_wire::ids::UnixMillis;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const DAY_MS: u64 = 86_400_000;
/// After how long a card counts as stale.
const STALE_MS: u64 = 120 * DAY_MS;
/// How far ahead of our clock a card may be signed.
const AHEAD_MS: u64 = 24 * 3_600_000;

/// The most that is read of a card file, in bytes: several times the longest card, for mail around it.
const MAX_CARD_FILE_BYTES: u64 = 256 * 1024;

/// Why a file gives no card.
#[derive(Debug, thiserror::Error)]
pub enum CardFileError {
    /// The system refuses.
    #[error("cannot read the card {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The text holds no good card.
    #[error("{}: {source}; ask its node for it again", path.display())]
    NotACard {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CardError,
    },
}

/// Reads and verifies a card in a file, bounded; mail around it is ignored.
pub fn load(path: &Path) -> Result<VerifiedCard, CardFileError> {
    let unreadable = |source| CardFileError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MAX_CARD_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    VerifiedCard::from_text(&String::from_utf8_lossy(&bytes))
        .map_err(|source| CardFileError::NotACard { path: path.to_owned(), source })
}

/// The card in the control API's words, judged at `now`.
pub fn view(verified: &VerifiedCard, now: UnixMillis) -> CardView {
    let card = verified.card();
    CardView {
        id: card.id.to_string(),
        name: card.name.to_string(),
        country: card.country.to_string(),
        serial: card.sequence,
        issued_at: aldis_control::UnixMillis(card.issued_at.get()),
        valid_until: aldis_control::UnixMillis(card.valid_until.get()),
        fingerprint: verified.fingerprint(),
        identity_key: data_encoding::HEXLOWER.encode(&card.identity_key),
        certificate_digest: Digest::of(&[&card.tls_certificate]).to_hex(),
        endpoints: card.endpoints.iter().map(ToString::to_string).collect(),
        contacts: card.contacts.iter().map(contact).collect(),
        kinds: card.kinds.iter().map(kind).collect(),
        warnings: warnings(card, now),
    }
}

/// The card in lines of text, safe for a terminal.
pub fn text(verified: &VerifiedCard, now: UnixMillis) -> String {
    let card = verified.card();
    let view = view(verified, now);
    let mut lines = Vec::new();
    let mut line = |label: &str, value: &str| lines.push(format!("{label:<13} {}", visible(value)));
    line("node", &view.id);
    line("name", &view.name);
    line("country", &view.country);
    line("fingerprint", &view.fingerprint);
    line("identity key", &view.identity_key);
    line("certificate", &view.certificate_digest);
    view.endpoints.iter().for_each(|endpoint| line("endpoint", endpoint));
    for contact in &view.contacts {
        let hours = contact.hours.as_deref().unwrap_or_default();
        let parts = [contact.name.as_str(), &contact.reach, hours, &contact.languages.join(" ")];
        let told: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        line("contact", &told.join(", "));
    }
    for kind in &view.kinds {
        let versions: Vec<String> = kind.versions.iter().map(u16::to_string).collect();
        line("reads", &format!("{} {}", kind.kind, versions.join(" ")));
    }
    line("issued", &format!("{}, number {} ({})", card.issued_at, card.sequence, distance(card.issued_at, now)));
    line("valid until", &format!("{} ({})", card.valid_until, distance(card.valid_until, now)));
    view.warnings.iter().for_each(|warning| line("WARNING", warning));
    lines.push(String::new());
    lines.join("\n")
}

/// How far a moment lies back or ahead, in whole days.
fn distance(moment: UnixMillis, now: UnixMillis) -> String {
    let days = moment.get().abs_diff(now.get()) / DAY_MS;
    let unit = if days == 1 { "day" } else { "days" };
    match days {
        0 if moment <= now => "less than a day ago".to_owned(),
        0 => "in less than a day".to_owned(),
        _ if moment < now => format!("{days} {unit} ago"),
        _ => format!("in {days} {unit}"),
    }
}

/// The view as indented JSON in which every deceptive character is written as an escape.
pub fn json(verified: &VerifiedCard, now: UnixMillis) -> String {
    let document = serde_json::to_string_pretty(&view(verified, now)).expect("a card view has only texts and numbers");
    let mut safe = String::with_capacity(document.len());
    for character in document.chars() {
        if character == '\n' || is_plain(character) {
            safe.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            write!(safe, "\\u{unit:04x}").expect("a String takes whatever is written");
        }
    }
    safe
}

/// Text from outside on one line, with whatever does not simply show written as `\u{...}`.
pub fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_plain(character) {
            safe.push(character);
        } else {
            safe.extend(character.escape_unicode());
        }
    }
    safe
}

/// Printable, and neither a mark that combines with its neighbour nor a quote that `escape_debug` would mask.
fn is_plain(character: char) -> bool {
    matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1
}

fn contact(contact: &card::Contact) -> Contact {
    let reach = [contact.telephone.as_str(), contact.email.as_str()];
    let reach: Vec<&str> = reach.into_iter().filter(|way| !way.is_empty()).collect();
    Contact {
        name: format!("{} ({} desk)", contact.name, contact.desk),
        reach: reach.join(", "),
        hours: (!contact.hours.is_empty()).then(|| contact.hours.to_string()),
        languages: contact.languages.iter().map(ToString::to_string).collect(),
    }
}

fn kind(kind: &card::KindVersions) -> KindVersions {
    KindVersions { kind: kind.kind.to_string(), versions: kind.versions.to_vec() }
}

fn warnings(card: &card::Card, now: UnixMillis) -> Vec<String> {
    let mut warnings = Vec::new();
    if card.valid_until < now {
        warnings.push(format!("the card expired on {}: ask for a new one", card.valid_until));
    } else if card.issued_at.plus_ms(STALE_MS) < now {
        warnings.push("the card is older than 120 days: ask whether it still holds".to_owned());
    }
    if card.issued_at > now.plus_ms(AHEAD_MS) {
        warnings.push("the card was signed in the future: compare clocks".to_owned());
    }
    if card.endpoints.is_empty() {
        warnings.push("the card names no endpoint: only that node can dial".to_owned());
    }
    warnings
}

#[cfg(test)]
#[path = "card_text_tests.rs"]
mod tests;
