//! The program as a reader meets it: exit codes, words, JSON, fingerprints from elsewhere, two files.

use aldis_verify::Evidence;
use aldis_verify::evidence::{Message, Signed};
use aldis_wire::card::{Card, VerifiedCard};
use aldis_wire::codec::{self, Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::commitment;
use aldis_wire::header::{ExactHeader, Header};
use aldis_wire::ids::{CaseId, Incarnation, NodeId, Seq, UnixMillis};
use aldis_wire::keyring::KeyRing;
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::merkle::leaf_hash_of;
use aldis_wire::opening::RecordOpening;
use aldis_wire::proof::sign_batch;
use aldis_wire::receipt::Receipt;
use aldis_wire::signing::IdentityKey;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const SALT: [u8; 16] = [9; 16];
const BODY: &[u8] = b"what happened";

fn key(number: u8) -> IdentityKey {
    IdentityKey::from_seed(&[number; 32])
}

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

fn card(id: &str, key: &IdentityKey) -> VerifiedCard {
    let card = Card {
        version: 1,
        id: node(id),
        name: Text::new("A CERT").unwrap(),
        country: Text::new("XX").unwrap(),
        identity_key: *key.public().as_bytes(),
        tls_certificate: Blob::new(vec![0x30]).unwrap(),
        tls_name: None,
        endpoints: List::default(),
        contacts: List::default(),
        kinds: List::default(),
        issued_at: UnixMillis::new(1),
        valid_until: UnixMillis::new(2),
        sequence: 1,
        extensions: Extensions::default(),
    };
    card.sign(key)
}

fn header(author: &str) -> ExactHeader {
    let header = Header {
        version: 1,
        key_id: key(1).id(),
        incarnation: Incarnation(7),
        from: node("cert.br"),
        to: node("cert.cl"),
        also_to: List::default(),
        desk: Desk::TECHNICAL,
        lane: Lane::Priority,
        seq: Seq::FIRST,
        previous: Digest::ZERO,
        received: None,
        sent_at: UnixMillis::new(1_795_316_400_000),
        expires_at: UnixMillis::new(1_795_316_500_000),
        case: CaseId([5; 16]),
        references: List::default(),
        author: Text::new(author).unwrap(),
        released_by: None,
        on_behalf_of: None,
        tlp: Tlp::AMBER,
        exercise: None,
        kind: Code::known("poem"),
        kind_version: 1,
        body_length: u32::try_from(BODY.len()).unwrap(),
        body_commitment: commitment(&SALT, BODY),
        extensions: Extensions::default(),
    };
    ExactHeader::encode(header).unwrap()
}

/// One message, its receipt and its record, as its sender shows them.
fn evidence(author: &str, body: bool) -> Vec<u8> {
    let mut evidence = Evidence::new(node("cert.br"), UnixMillis::new(1_795_316_402_000), "aldisd 0.1.0");
    for (id, number) in [("cert.br", 1), ("cert.cl", 2)] {
        evidence.cards.insert((node(id), 1), card(id, &key(number)));
    }
    for (from, to, number) in [("cert.br", "cert.cl", 1), ("cert.cl", "cert.br", 2)] {
        evidence.keys.insert((node(from), node(to)), KeyRing::from(key(number).public()));
    }
    let header = header(author);
    let mut stored = Marks::default();
    stored.set(Lane::Priority, Seq::FIRST, header.digest());
    let receipt = Receipt {
        version: 1,
        key_id: key(2).id(),
        incarnation: Incarnation(8),
        from: node("cert.cl"),
        to: node("cert.br"),
        stored,
        sent: Marks::default(),
        stored_at: UnixMillis::new(1_795_316_401_000),
        commitment: Digest::ZERO,
        extensions: Extensions::default(),
    };
    evidence.add_receipt(receipt.sign(&key(2))).unwrap();
    let proof = sign_batch(&key(1), &[header.digest()]).remove(0);
    let record = [&[3][..], &codec::encode(&Blob::<8192>::new(header.bytes().to_vec()).unwrap())].concat();
    let root = leaf_hash_of(&[&SALT, &record]);
    let opening = RecordOpening { index: 0, nonce: SALT, record: Blob::new(record).unwrap(), path: List::default() };
    evidence.records.insert(header.id(), opening);
    let body = body.then(|| (SALT, BODY.to_vec()));
    evidence.messages.insert(header.id(), Message { signed: Signed { header, proof }, body });
    evidence.seal(1, root, &key(1)).unwrap()
}

struct Table {
    directory: TempDir,
}

impl Table {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn run(options: &[&str], files: &[&Path]) -> (i32, String, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_aldis-verify")).args(options).args(files).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output.status.code().unwrap(), text, output)
}

#[test]
fn a_good_file_is_told_in_words_with_what_it_does_not_prove() {
    let desk = Table::new();
    let file = desk.put("e.zip", &evidence("duty \u{202e}officer\u{1b}[2J", false));
    let (code, text, _) = run(&[], &[&file]);
    assert_eq!(code, 0, "{text}");
    for said in [
        "GOOD: everything in this file verifies.",
        "cert.br/cert.cl/P1  poem, TLP:AMBER",
        "cert.br signed it with its key ",
        "written by \"duty \\u{202e}officer\\u{1b}[2J\"",
        "cert.cl had it on its disk by 2026-11-22T03:00:01.000Z (its clock): it signed receipts/cert.cl/cert.br/",
        "it is record 0 of cert.br's journal",
        "when it was signed: 2026-11-22T03:00:00.000Z is cert.br's own word",
        "what it says: its body was not given",
        "compare the fingerprints of cert.br and cert.cl",
        "NOT COMPARED",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(text.chars().all(|c| c == '\n' || c.is_ascii_graphic() || c == ' '), "{text}");
    let file = desk.put("b.zip", &evidence("duty officer", true));
    let (_, text, _) = run(&[], &[&file]);
    assert!(text.contains("its body (13 bytes, of a kind this program cannot show) is the one that was signed"));
    assert!(!text.contains("its body was not given"));
}

#[test]
fn fingerprints_from_elsewhere_decide_whose_keys_they_are() {
    let desk = Table::new();
    let file = desk.put("e.zip", &evidence("duty officer", false));
    let right = format!("cert.br={}", card("cert.br", &key(1)).fingerprint().to_uppercase());
    let card_file = desk.put("cl.card", card("cert.cl", &key(2)).to_text().as_bytes());
    let card_option = card_file.to_str().unwrap();
    let (code, text, _) = run(&["--fingerprint", &right, "--card", card_option], &[&file]);
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("NOT COMPARED") && !text.contains("compare the fingerprints"), "{text}");

    let wrong = format!("cert.br={}", card("cert.br", &key(3)).fingerprint());
    let (code, text, _) = run(&["--fingerprint", &wrong], &[&file]);
    assert_eq!(code, 6, "{text}");
    assert!(text.contains("BAD: this file proves nothing."), "{text}");
    let (code, ..) = run(&["--fingerprint", &right, "--fingerprint", &wrong], &[&file]);
    assert_eq!(code, 0, "a node may have had several keys");
    let (code, ..) = run(&["--fingerprint", &format!("cert.uy={}", "00".repeat(32))], &[&file]);
    assert_eq!(code, 6, "the file holds no key of that node");
    for bad in ["cert.br", "cert.br=00", "Cert=00"] {
        assert_eq!(run(&["--fingerprint", bad], &[&file]).0, 2, "{bad}");
    }
}

#[test]
fn what_does_not_verify_ends_with_6_and_what_makes_no_sense_with_2() {
    let desk = Table::new();
    let good = evidence("duty officer", false);
    let mut bad = good.clone();
    let at = bad.len() / 2;
    bad[at] ^= 1;
    for (name, bytes) in [("flipped", &bad[..]), ("empty", b""), ("text", b"PK not a zip"), ("cut", &good[..99])] {
        let (code, text, _) = run(&[], &[&desk.put(name, bytes)]);
        assert_eq!(code, 6, "{name}: {text}");
        let (code, text, _) = run(&["--json"], &[&desk.put(name, bytes)]);
        let verdict: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, &verdict["verdict"]), (6, &Value::from("bad")));
        assert!(verdict["problems"][0]["what"].is_string());
    }
    assert_eq!(run(&[], &[Path::new("/there/is/nothing")]).0, 2);
    assert_eq!(run(&[], &[]).0, 2);
    assert_eq!(run(&["--fly"], &[]).0, 2);
    let (code, _, output) = run(&["--card", "/there/is/nothing"], &[&desk.put("good", &good)]);
    assert_eq!((code, output.stdout.is_empty()), (2, true));
}

#[test]
fn i5_two_files_that_contradict_each_other_end_with_6() {
    let desk = Table::new();
    let (one, two) = (desk.put("1", &evidence("duty officer", false)), desk.put("2", &evidence("another", false)));
    let (code, text, _) = run(&[], &[&one, &one]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("The two files agree"), "{text}");
    let (code, text, _) = run(&[], &[&one, &two]);
    assert_eq!(code, 6, "{text}");
    for said in
        ["EQUIVOCATION: two different messages cert.br/cert.cl/P1", "confirms another", "two different journals"]
    {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let (_, text, _) = run(&["--json"], &[&one, &two]);
    let verdict: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(verdict["forks"][0]["fork"], "headers");
    assert_eq!(verdict["forks"][0]["how"], "equivocation");
}
