//! What administrators see: words for the telephone, requests that wait for a second person, what became of an act,
//! and this node's own keys.

use aldis_control::{OwnKeys, PeerAct, PeerActResponse, PeerPhrases, PendingRequest, UnixMillis};
use unicode_width::UnicodeWidthStr;

use super::{Page, paragraph};
use crate::paint::Tone;
use crate::screen;
use crate::table::{Cell, Table};
use crate::when;

/// How many words of a phrase stand on a line.
const WORDS_PER_LINE: usize = 5;

const CUT: &str = "Its link is cut; nothing is sent to it or accepted from it.";

/// Our words, to be read out, and what to do with them.
pub(crate) fn words_to_read_out(phrases: &PeerPhrases, page: Page) -> String {
    let mut shown = page.heading(&format!("OUR words. Read them to the administrator of {}:", phrases.id));
    shown.push_str(&words(&phrases.ours, page));
    let advice = "They must type them at their node. Call a number that you had before the card came, and speak with \
                  somebody you know.";
    shown.push_str(&paragraph(advice));
    shown.push('\n');
    shown
}

/// The words of both sides, and the key that theirs are over.
pub(crate) fn phrases(phrases: &PeerPhrases, page: Page) -> String {
    let mut shown = page.heading(&format!("OUR words, which the administrator of {} types:", phrases.id));
    shown.push_str(&words(&phrases.ours, page));
    shown.push_str(&page.heading(&format!("THEIR words, which the administrator of {} reads out:", phrases.id)));
    shown.push_str(&words(&phrases.theirs, page));
    shown.push_str(&key_that_waits(phrases, page));
    shown
}

/// The next key of a peer, and with whose word. Where nothing else vouches for it their words are not shown: they must
/// come from the telephone.
pub(crate) fn next_key(next: &PeerPhrases, page: Page) -> String {
    if next.is_vouched {
        return phrases(next, page);
    }
    format!("{}{}", key_that_waits(next, page), words_to_read_out(next, page))
}

/// What waits for a second administrator.
pub(crate) fn requests(requests: &[PendingRequest], page: Page) -> String {
    if requests.is_empty() {
        return "Nothing waits for a second administrator.\n".into();
    }
    let mut table = Table::new(&["REQUEST", "ACT", "PEER", "BY", "RUNS OUT", "WHY"]);
    for request in requests {
        table.push(vec![
            Cell::new(&request.request.to_string()).right(),
            Cell::toned(request.act.as_str(), Tone::Heading),
            Cell::new(&request.peer),
            Cell::new(&request.by),
            Cell::new(&when::age(request.expires_at, page.now)),
            Cell::new(&request.why),
        ]);
    }
    format!("{}Another Unix user looks and decides with: aldis approve REQUEST\n", table.render(page.paint))
}

/// One request as the second person must see it, with the words of the peer where it is about the key that they are of.
pub(crate) fn request(request: &PendingRequest, phrases: &PeerPhrases, page: Page) -> String {
    let title = format!("Request {}: {} {}", request.request, request.act.as_str(), request.peer);
    let mut shown = page.heading(&title);
    shown.push_str(&page.field("Asked by", &request.by));
    shown.push_str(&page.field("Why", &request.why));
    shown.push_str(&page.field("At", &when::full(request.at, page.now)));
    shown.push_str(&page.field("Until", &when::full(request.expires_at, page.now)));
    shown.push_str(&page.field("Key", &request.key));
    if phrases.key != request.key {
        let other = format!("another key of {} waits now, {}: its words are not shown", phrases.id, phrases.key);
        shown.push_str(&page.toned_field("NOT THIS KEY", &other, Tone::Bad));
        return shown;
    }
    shown.push_str(&vouched(phrases, page));
    shown.push('\n');
    shown.push_str(&page.heading("THEIR words; compare them with what they read out:"));
    shown.push_str(&words(&phrases.theirs, page));
    shown
}

/// What became of an act: done, or a request that waits until the given time.
pub(crate) fn acted(response: &PeerActResponse, act: PeerAct, until: Option<UnixMillis>, page: Page) -> String {
    let peer = &response.peer;
    if let Some(number) = response.request {
        let mut shown = page.heading(&format!("Request {number} waits for a second administrator"));
        shown
            .push_str(&page.field("Act", &format!("{} {}, which is {} until then", act.as_str(), peer.id, peer.state)));
        shown.push_str(&page.field("Approve", &format!("`aldis approve {number}` as another Unix user")));
        if let Some(until) = until {
            shown.push_str(&page.field("Until", &when::full(until, page.now)));
        }
        return shown;
    }
    let id = &peer.id;
    let (now, back) = match act {
        PeerAct::Verify | PeerAct::Resume => ("Its link is made by itself; `aldis peer list` shows it.", None),
        PeerAct::UndoRevoke => ("It is what it was before it was revoked.", None),
        PeerAct::AcceptKey => ("Its next identity key was taken; the peer is told.", None),
        PeerAct::Recover => ("What it holds of the record is fetched; `aldis peer show` says how far.", None),
        PeerAct::DeclineKey => ("Its next identity key was not taken; the key before stays in force.", None),
        PeerAct::Suspend => (CUT, Some(format!("`aldis peer resume {id}`"))),
        PeerAct::Revoke => (CUT, Some(format!("`aldis peer revoke {id} --undo`"))),
    };
    let mut shown = page.heading(&format!("{id} is {}", peer.state));
    shown.push_str(&paragraph(now));
    shown.push_str(&page.field("To go back", &back.unwrap_or_default()));
    shown
}

/// This node's own keys.
pub(crate) fn keys(keys: &OwnKeys, page: Page) -> String {
    let mut shown = String::new();
    for (at, identity) in keys.identities.iter().enumerate() {
        let (age, idle) = if at == 0 {
            (", the newest", "nobody yet")
        } else {
            ("", "nobody any more: its file can be taken off the disk")
        };
        let tone = if at == 0 { Tone::Heading } else { Tone::Plain };
        shown.push_str(&page.toned_field("Identity key", &format!("{}{age}", identity.key), tone));
        let signs_for = identity.signs_for.join(", ");
        shown.push_str(&page.field("Signs for", if signs_for.is_empty() { idle } else { &signs_for }));
    }
    shown.push_str(&page.field("Certificate", &keys.tls_certificate));
    shown.push_str(&page.field("Good until", &when::full(keys.tls_valid_until, page.now)));
    if keys.tls_successor_waits {
        shown.push_str(&page.field("Its successor", "waits until every peer has the card that tells of it"));
    }
    shown.push_str(&page.field("Card until", &when::full(keys.card_valid_until, page.now)));
    let known = if keys.card_is_known { "every peer not revoked has it" } else { "some peers do not have it yet" };
    shown.push_str(&page.field("Newest card", known));
    shown
}

/// A new identity key was made: who must do what now.
pub(crate) fn identity_rotated(keys: &OwnKeys, node: &str, page: Page) -> String {
    let newest = keys.identities.first().map_or("", |identity| identity.key.as_str());
    let mut shown = page.heading("There is a new identity key");
    shown.push_str(&page.field("Identity key", newest));
    let waiting: Vec<&str> =
        keys.identities.iter().skip(1).flat_map(|identity| &identity.signs_for).map(String::as_str).collect();
    if waiting.is_empty() {
        shown.push_str(&page.field("Now", "nobody needs to do anything: no peer has the key before"));
        return shown;
    }
    shown.push_str(&page.field("Waits for", &waiting.join(", ")));
    shown.push_str(&page.field("Now", "call the administrators of each: two of them must take the new key"));
    shown.push_str(&page.field("They run", &format!("`aldis peer rotate {node}`")));
    shown.push_str(&page.field("Until then", "the key before signs for them, and nothing stops"));
    shown.push_str(&page.field("Then", "`aldis key list` names who is left; keep the old file until nobody is"));
    shown
}

/// A new TLS certificate was made: that nobody must do anything.
pub(crate) fn tls_rotated(keys: &OwnKeys, page: Page) -> String {
    let mut shown = page.heading("There is a new TLS key and certificate");
    shown.push_str(&page.field("Shown now", &keys.tls_certificate));
    if keys.tls_successor_waits {
        let now = "nobody needs to do anything: the card tells the peers, and the new certificate is shown as soon as \
                   all of them have it";
        shown.push_str(&page.field("Now", now));
        shown.push_str(&page.field("Later", "`aldis key list` says whether it waits still"));
    } else {
        shown.push_str(&page.field("Now", "nobody needs to do anything: every peer knows the new certificate"));
    }
    shown
}

fn key_that_waits(phrases: &PeerPhrases, page: Page) -> String {
    let what = if phrases.is_next_key { "Next key" } else { "Their key" };
    format!("{}{}", page.toned_field(what, &phrases.key, Tone::Heading), vouched(phrases, page))
}

/// Who vouches for a next key.
fn vouched(phrases: &PeerPhrases, page: Page) -> String {
    match (phrases.is_next_key, phrases.is_vouched) {
        (false, _) => String::new(),
        (true, true) => page.toned_field("Vouched for", "by the key before, which signed the announcement", Tone::Good),
        (true, false) => {
            let nobody = "by NOBODY: the card was brought by hand. Only the voice of somebody you know can tell whose \
                          key it is";
            page.toned_field("Vouched for", nobody, Tone::Bad)
        }
    }
}

/// The words of a phrase in large letters, five to a line, with the places that an error may name.
fn words(phrase: &str, page: Page) -> String {
    let words: Vec<String> = phrase.split_whitespace().map(|word| screen::cell(&word.to_uppercase())).collect();
    let width = words.iter().map(|word| word.width()).max().unwrap_or(0);
    let mut shown = String::from("\n");
    for (line, five) in words.chunks(WORDS_PER_LINE).enumerate() {
        let first = line * WORDS_PER_LINE + 1;
        let places = page.paint.apply(Tone::Quiet, &format!("{:>6}", format!("{first}-{}", first + five.len() - 1)));
        let padded: Vec<String> =
            five.iter().map(|word| format!("{word}{}", " ".repeat(width - word.width()))).collect();
        shown.push_str(&format!("{places}  {}\n\n", page.paint.apply(Tone::Heading, padded.join("  ").trim_end())));
    }
    shown
}
