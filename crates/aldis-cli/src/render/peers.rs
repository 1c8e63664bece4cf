//! Peers and cards.

use aldis_control::{CardView, LinkState, PeerSummary, PeerView, Precedence, RecoveryState, TrustView};

use super::{Page, paragraph, precedence_word};
use crate::paint::Tone;
use crate::table::{Cell, Table};
use crate::when;

/// All peers at a glance.
pub(crate) fn peers(peers: &[PeerSummary], page: Page) -> String {
    if peers.is_empty() {
        return "No peer is enrolled yet. Exchange card files, then: aldis peer add FILE\n".into();
    }
    let mut table = Table::new(&["PEER", "STATE", "LINK", "LATENCY", "CLOCK", "QUEUED", "TO ANSWER", "LAST ERROR"]);
    for peer in peers {
        let blocked = peer.blocked_lanes.iter().map(|lane| format!("{} BLOCKED ", precedence_word(*lane)));
        let error = peer.last_error.as_ref().map(|error| error.text.as_str()).unwrap_or_default();
        table.push(vec![
            Cell::new(&peer.id),
            Cell::toned(&peer.state, state_tone(&peer.state)),
            link_cell(peer, page),
            Cell::new(&peer.latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default()).right(),
            Cell::new(&clock_difference(peer)).right(),
            Cell::new(&peer.queued.total().to_string()).right(),
            Cell::new(&peer.unanswered.to_string()).right(),
            Cell::toned(&format!("{}{error}", blocked.collect::<String>()), Tone::Bad),
        ]);
    }
    let mut shown = table.render(page.paint);
    let banners: String = peers.iter().map(|peer| banners(peer, page)).collect();
    if !banners.is_empty() {
        shown.extend(["\n", &banners]);
    }
    shown
}

/// A peer whose card was just taken, and what to do now.
pub(crate) fn peer_added(peer: &PeerSummary, page: Page) -> String {
    let mut shown = page.heading(&format!("{} is {}", peer.id, peer.state));
    shown.push_str(&page.field("Name", &format!("{}, {}", peer.name, peer.country)));
    shown.push_str(&page.toned_field("Fingerprint", &peer.fingerprint, Tone::Heading));
    let id = &peer.id;
    let (now, next) = match peer.state.as_str() {
        _ if peer.next_key_waits => (
            "The card has another identity key. Nothing changes until that is taken.",
            format!("`aldis peer rotate {id}`"),
        ),
        "pending" => (
            "Nothing is sent to it or accepted from it yet. Call its administrator, at a number that is not from the \
             card.",
            format!("`aldis peer verify {id}`"),
        ),
        _ => ("Its card is on record.", String::new()),
    };
    format!("{shown}{}{}", paragraph(now), page.field("Next", &next))
}

/// One peer in full.
pub(crate) fn peer(view: &PeerView, page: Page) -> String {
    let summary = &view.summary;
    let mut shown = page.heading(&format!("{} ({})", summary.id, summary.state));
    shown.push_str(&banners(summary, page));
    if let Some(by) = &view.trust {
        shown.push_str(&trust(by, &summary.state, page));
    }
    let since = summary.link_since.map(|since| format!(" since {}", when::full(since, page.now))).unwrap_or_default();
    shown.push_str(&page.toned_field("Link", &format!("{}{since}", link_word(summary.link)), link_tone(summary.link)));
    if let Some(latency_ms) = summary.latency_ms {
        shown.push_str(&page.field("Latency", &format!("{latency_ms} ms")));
    }
    shown.push_str(&page.field("Their clock", &clock_difference(summary)));
    shown.push_str(&page.field("To answer", &summary.unanswered.to_string()));
    if let Some(error) = &summary.last_error {
        let text = format!("{}: {} {}", error.code, error.text, when::full(error.at, page.now));
        shown.push_str(&page.toned_field("Last error", &text, Tone::Bad));
    }
    shown.push_str(&recovery(view, page));
    shown.push('\n');
    shown.push_str(&lanes(view, page));
    shown.push('\n');
    shown.push_str(&card(&view.card, page));
    shown
}

/// What came back of a history that was lost here; nothing where nothing was.
pub(crate) fn recovery(view: &PeerView, page: Page) -> String {
    let Some(recovery) = &view.recovery else { return String::new() };
    let (word, tone) = match recovery.state {
        RecoveryState::NotCompared => ("not compared since the restore", Tone::Heading),
        RecoveryState::Unconfirmed => ("LOST HERE", Tone::Bad),
        RecoveryState::Waiting => ("waits for a link", Tone::Heading),
        RecoveryState::Fetching => ("is fetched", Tone::Heading),
        RecoveryState::Complete => ("recovered", Tone::Good),
        RecoveryState::Failed => ("NOT RECOVERED", Tone::Bad),
    };
    let far = if recovery.total > 0 { format!(", {} of {}", recovery.done, recovery.total) } else { String::new() };
    let mut shown = page.toned_field("History", &format!("{word}{far}"), tone);
    if let Some(by) = &recovery.by {
        let second =
            recovery.approved_by.as_deref().map(|second| format!(", approved by {second}")).unwrap_or_default();
        shown.push_str(&page.field("Asked by", &format!("{by}{second}")));
    }
    shown.push_str(&page.field("Of it", &recovery.text));
    shown
}

/// Who made the peer what it is, and where its lanes stood then.
fn trust(trust: &TrustView, state: &str, page: Page) -> String {
    let second = trust.approved_by.as_deref().map(|second| format!(", approved by {second}")).unwrap_or_default();
    let who = format!("{} by {}{second}, {}", trust.act, trust.by, when::full(trust.at, page.now));
    let mut shown = page.toned_field("State", &who, state_tone(state));
    shown.push_str(&page.field("Why", &trust.why));
    if state == "revoked" || state == "suspended" {
        let last = Precedence::ALL.into_iter().zip(trust.received);
        let last: Vec<String> = last.map(|(lane, seq)| format!("{}{seq}", lane.letter())).collect();
        shown.push_str(&page.field("From before", &format!("what it sent up to {}", last.join(", "))));
    }
    shown
}

/// What an administrator must know about a peer before anything else.
fn banners(peer: &PeerSummary, page: Page) -> String {
    let id = &peer.id;
    let mut shown = String::new();
    if peer.next_key_waits {
        let text = format!("{id}: another key waits: `aldis peer rotate {id}`");
        shown.push_str(&page.toned_field("NEXT KEY", &text, Tone::Bad));
    }
    if peer.single_administrator {
        let text = format!("{id}: one administrator alone lets peers in there");
        shown.push_str(&page.toned_field("ONE ADMIN", &text, Tone::Bad));
    }
    if peer.card_is_stale {
        let text = format!("{id}: its card is older than 120 days: ask for a new one");
        shown.push_str(&page.toned_field("STALE CARD", &text, Tone::Heading));
    }
    shown
}

/// What a card says.
fn card(card: &CardView, page: Page) -> String {
    let mut shown = page.heading(&format!("Card {} of {}", card.serial, card.id));
    shown.push_str(&page.field("Name", &card.name));
    shown.push_str(&page.field("Country", &card.country));
    shown.push_str(&page.field("Signed", &when::full(card.issued_at, page.now)));
    shown.push_str(&page.field("Good until", &when::full(card.valid_until, page.now)));
    shown.push_str(&page.toned_field("Fingerprint", &card.fingerprint, Tone::Heading));
    shown.push_str(&page.field("Identity key", &card.identity_key));
    shown.push_str(&page.field("Certificate", &card.certificate_digest));
    for endpoint in &card.endpoints {
        shown.push_str(&page.field("Endpoint", endpoint));
    }
    for contact in &card.contacts {
        let hours = contact.hours.as_deref().map(|hours| format!(", {hours}")).unwrap_or_default();
        let languages = contact.languages.join(" ");
        shown.push_str(&page.field("Contact", &format!("{}: {}{hours} {languages}", contact.name, contact.reach)));
    }
    for kind in &card.kinds {
        let versions = kind.versions.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        shown.push_str(&page.field("Reads", &format!("{} {versions}", kind.kind)));
    }
    for warning in &card.warnings {
        shown.push_str(&page.toned_field("WARNING", warning, Tone::Bad));
    }
    shown
}

fn lanes(view: &PeerView, page: Page) -> String {
    let mut table = Table::new(&["LANE", "SENT", "RECEIPTED", "RECEIVED", "QUEUED", "STATE"]);
    for lane in Precedence::ALL {
        let marks = view.marks.iter().find(|marks| marks.lane == lane);
        let number = |pick: fn(&aldis_control::LaneMarks) -> u64| marks.map_or(0, pick).to_string();
        let blocked = view.summary.blocked_lanes.contains(&lane);
        table.push(vec![
            Cell::new(&precedence_word(lane)),
            Cell::new(&number(|marks| marks.sent)).right(),
            Cell::new(&number(|marks| marks.receipted)).right(),
            Cell::new(&number(|marks| marks.received)).right(),
            Cell::new(&view.summary.queued.get(lane).to_string()).right(),
            if blocked { Cell::toned("BLOCKED", Tone::Bad) } else { Cell::toned("open", Tone::Good) },
        ]);
    }
    table.render(page.paint)
}

fn link_cell(peer: &PeerSummary, page: Page) -> Cell {
    let age = peer.link_since.map(|since| format!(" {}", when::age(since, page.now))).unwrap_or_default();
    Cell::toned(&format!("{}{age}", link_word(peer.link)), link_tone(peer.link))
}

/// The tone of what a peer is to this node.
fn state_tone(state: &str) -> Tone {
    match state {
        "verified" => Tone::Good,
        "revoked" => Tone::Bad,
        _ => Tone::Heading,
    }
}

const fn link_word(link: LinkState) -> &'static str {
    match link {
        LinkState::Up => "up",
        LinkState::Connecting => "connecting",
        LinkState::Down => "down",
    }
}

const fn link_tone(link: LinkState) -> Tone {
    match link {
        LinkState::Up => Tone::Good,
        LinkState::Connecting => Tone::Plain,
        LinkState::Down => Tone::Bad,
    }
}

/// How far the peer's clock is ahead: `+12 ms`, `-3 s`.
fn clock_difference(peer: &PeerSummary) -> String {
    let Some(ms) = peer.clock_difference_ms else {
        return String::new();
    };
    if ms.unsigned_abs() < 1_000 {
        return format!("{ms:+} ms");
    }
    let sign = if ms < 0 { '-' } else { '+' };
    format!("{sign}{}", when::span(ms.unsigned_abs()))
}
