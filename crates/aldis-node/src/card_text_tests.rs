use super::*;
use aldis_wire::card::{CARD_VERSION, Card, Contact};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Extensions};
use aldis_wire::ids::NodeId;
use aldis_wire::signing::IdentityKey;

fn text_of<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).unwrap()
}

fn list<T, const MAX: usize>(values: Vec<T>) -> List<T, MAX> {
    List::new(values).unwrap_or_default()
}

fn now() -> UnixMillis {
    "2026-11-22T03:00:00Z".parse().unwrap()
}

/// A card with hostile texts wherever a peer can put one.
fn card() -> Card {
    Card {
        version: CARD_VERSION,
        id: NodeId::new("cert.br").unwrap(),
        name: text_of("CERT\u{1b}[2J \u{202e}rb"),
        country: text_of("BR\nnode cert.cl"),
        identity_key: *key().public().as_bytes(),
        tls_certificate: Blob::new(vec![0x30]).unwrap(),
        tls_name: None,
        endpoints: list(vec![text_of("cert.br:7443")]),
        contacts: list(vec![Contact {
            desk: Desk::TECHNICAL,
            name: text_of("São \"Duty\""),
            telephone: text_of("+55 1"),
            email: text_of("d@cert.br"),
            hours: text_of("24/7"),
            languages: list(vec![text_of("pt"), text_of("en")]),
        }]),
        kinds: list(vec![card::KindVersions { kind: Code::known("incident"), versions: list(vec![1, 2]) }]),
        issued_at: now(),
        valid_until: now().plus_ms(365 * 86_400_000),
        sequence: 5,
        extensions: Extensions::default(),
    }
}

fn key() -> IdentityKey {
    IdentityKey::from_seed(&[1; 32])
}

fn days_later(days: u64) -> UnixMillis {
    now().plus_ms(days * 86_400_000)
}

#[test]
fn a_card_is_shown_line_by_line() {
    let card = card().sign(&key());
    let shown = text(&card, days_later(12));
    for line in [
        "node          cert.br",
        &format!("fingerprint   {}", card.fingerprint()),
        "endpoint      cert.br:7443",
        "contact       São \"Duty\" (technical desk), +55 1, d@cert.br, 24/7, pt en",
        "reads         incident 1 2",
        "issued        2026-11-22T03:00:00.000Z, number 5 (12 days ago)",
        "valid until   2027-11-22T03:00:00.000Z (in 353 days)",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no line `{line}` in\n{shown}");
    }
}

#[test]
fn hostile_text_cannot_deceive_the_reader() {
    let card = card().sign(&key());
    for shown in [text(&card, now()), json(&card, now())] {
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert!(!shown.contains('\u{202e}'));
        assert!(!shown.lines().any(|line| line.starts_with("node cert.cl")), "{shown}");
    }
    assert!(text(&card, now()).contains("CERT\\u{1b}[2J \\u{202e}rb"));
    let read: serde_json::Value = serde_json::from_str(&json(&card, now())).unwrap();
    assert_eq!(read["name"], "CERT\u{1b}[2J \u{202e}rb", "the JSON still says what the card says");
}

#[test]
fn warnings_say_what_a_person_should_know() {
    let card = card().sign(&key());
    let warning = |card: &VerifiedCard, at| view(card, at).warnings.join("; ");
    assert_eq!(warning(&card, now()), "");
    assert!(warning(&card, days_later(121)).contains("older than 120 days"));
    assert!(warning(&card, days_later(366)).contains("expired"));
    assert!(warning(&card, UnixMillis::new(0)).contains("in the future"));
    let silent = Card { endpoints: List::empty(), ..self::card() }.sign(&key());
    assert!(warning(&silent, now()).contains("no endpoint"));
}

#[test]
fn a_card_file_is_read_with_the_mail_around_it_and_never_without_bound() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("card");
    assert!(matches!(load(&path), Err(CardFileError::Unreadable { .. })));
    let card = card().sign(&key());
    std::fs::write(&path, format!("Dear colleague \u{e9}\n{}", card.to_text())).unwrap();
    assert_eq!(load(&path).unwrap(), card);
    let far = "x".repeat(300 * 1024) + &card.to_text();
    std::fs::write(&path, far).unwrap();
    assert!(matches!(load(&path), Err(CardFileError::NotACard { source: CardError::NoArmour, .. })));
    std::fs::write(&path, card.to_text().replacen("-----\n", "-----\n/", 1)).unwrap();
    assert!(matches!(load(&path), Err(CardFileError::NotACard { .. })));
}
