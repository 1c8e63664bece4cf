//! Receipts, Hellos and cards.

use super::super::raw::{Raw, RawCard, RawHello, RawReceipt, signed};
use super::super::{Data, hex};
use super::{EXPORTER, NOW, Set, br_key, cl_key, extensions, flipped, longer, public, replaced, shorter};
use aldis_wire::signing::Context;

pub(super) fn add(set: &mut Set) {
    receipts(set);
    hellos(set);
    cards(set);
    armour(set);
}

fn receipt() -> RawReceipt {
    RawReceipt {
        version: 1,
        key_id: cl_key().id().0,
        incarnation: 0x99,
        from: "cert.cl".into(),
        to: "cert.br".into(),
        stored: vec![(1, 2, [1; 32]), (2, 17, [2; 32])],
        sent: vec![(0, 4, [4; 32])],
        stored_at: NOW + 80,
        commitment: [0xc0; 32],
        extensions: Vec::new(),
    }
}

fn receipts(set: &mut Set) {
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        let inputs = [("check", "receipt"), ("from", "cert.cl"), ("to", "cert.br"), ("key", &*public(&cl_key()))];
        set.add(&format!("receipt-{name}"), outcome, what, &inputs, bytes);
    };
    let mut changed = |name: &str, outcome: &str, what: &str, change: fn(&mut RawReceipt)| {
        let mut receipt = receipt();
        change(&mut receipt);
        one(name, outcome, what, signed(&receipt.encode(), Context::Receipt, &cl_key()));
    };
    changed("good", "ok", "two lanes stored, one sent", |_| ());
    changed("nothing-stored", "ok", "no marks", |r| (r.stored, r.sent) = (Vec::new(), Vec::new()));
    changed("unknown-extension", "ok", "a field of a newer version is kept", |r| {
        r.extensions = extensions(&[900], b"x");
    });
    changed("witness", "ok", "names the commitment it held of the other side", |r| {
        r.extensions = extensions(&[1], &[0xb0; 32]);
    });
    changed("witness-beside-another", "ok", "and a field of a newer version", |r| {
        r.extensions = extensions(&[1, 900], &[0xb0; 32]);
    });
    changed("witness-zero", "ok", "a commitment to nothing witnesses nothing", |r| {
        r.extensions = extensions(&[1], &[0; 32]);
    });
    changed("witness-short", "malformed", "a witness of 31 bytes", |r| r.extensions = extensions(&[1], &[0xb0; 31]));
    changed("witness-long", "malformed", "a witness of 33 bytes", |r| r.extensions = extensions(&[1], &[0xb0; 33]));
    changed("witness-empty", "malformed", "a witness without bytes", |r| r.extensions = extensions(&[1], b""));
    changed("version", "not-ours", "another protocol version", |r| r.version = 2);
    changed("from-another", "not-ours", "from a third node", |r| r.from = "cert.ar".into());
    changed("to-another", "not-ours", "for a third node", |r| r.to = "cert.ar".into());
    changed("key-id", "not-ours", "names another key", |r| r.key_id = br_key().id().0);
    changed("incarnation-zero", "not-ours", "incarnation 0", |r| r.incarnation = 0);
    changed("marks-order", "malformed", "marks out of order", |r| r.stored.swap(0, 1));
    changed("extension-order", "malformed", "tags out of order", |r| r.extensions = extensions(&[9, 8], b"x"));
    let inner = receipt().encode();
    one(
        "inner-trailing",
        "malformed",
        "a byte follows within what is signed",
        signed(&longer(&inner), Context::Receipt, &cl_key()),
    );
    one("wrong-key", "signature", "signed by another node", signed(&inner, Context::Receipt, &br_key()));
    one("wrong-context", "signature", "signed as a Hello", signed(&inner, Context::Hello, &cl_key()));
    let good = signed(&inner, Context::Receipt, &cl_key());
    one("changed", "signature", "one bit of a digest changed", replaced(&good, &[2; 32], &[3; 32]));
    one("cut", "malformed", "the last byte is missing", shorter(&good));
    one("trailing", "malformed", "a byte follows", longer(&good));
    let long = signed(&vec![0; 16_385], Context::Receipt, &cl_key());
    one("long", "malformed", "16,385 bytes within the signature", long);
}

pub(super) fn hello() -> RawHello {
    RawHello {
        versions: vec![1, 2],
        role: 1,
        from: "cert.br".into(),
        to: "cert.cl".into(),
        exporter: EXPORTER,
        key_id: br_key().id().0,
        incarnation: 0x1122_3344_5566_7788,
        card: [0xb1; 32],
        peer_card: [0xc1; 32],
        received: vec![(0, 4, [4; 32])],
        sent: vec![(1, 2, [1; 32]), (2, 17, [2; 32])],
        sent_at: NOW,
        extensions: Vec::new(),
    }
}

fn hellos(set: &mut Set) {
    let (key, exporter) = (public(&br_key()), hex(&EXPORTER));
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        let inputs = [
            ("check", "hello"),
            ("from", "cert.br"),
            ("to", "cert.cl"),
            ("key", &*key),
            ("role", "dialler"),
            ("exporter", &*exporter),
        ];
        set.add(&format!("hello-{name}"), outcome, what, &inputs, bytes);
    };
    let mut changed = |name: &str, outcome: &str, what: &str, change: fn(&mut RawHello)| {
        let mut hello = hello();
        change(&mut hello);
        one(name, outcome, what, signed(&hello.encode(), Context::Hello, &br_key()));
    };
    changed("good", "ok", "of the dialler, who speaks versions 1 and 2", |_| ());
    changed("unknown-extension", "ok", "a field of a newer version is kept", |h| {
        h.extensions = extensions(&[900], b"x");
    });
    changed("role", "not-this-link", "of the other end", |h| h.role = 2);
    changed("role-unknown", "not-this-link", "of no end", |h| h.role = 3);
    changed("from-another", "not-this-link", "from another node than the certificate's", |h| h.from = "cert.ar".into());
    changed("to-another", "not-this-link", "for a third node", |h| h.to = "cert.ar".into());
    changed("exporter", "not-this-link", "of another TLS connection", |h| h.exporter[0] ^= 1);
    changed("key-id", "not-this-link", "names another key", |h| h.key_id = cl_key().id().0);
    changed("incarnation-zero", "not-this-link", "incarnation 0", |h| h.incarnation = 0);
    changed("versions-order", "not-this-link", "versions that do not ascend", |h| h.versions = vec![2, 1]);
    changed("versions-other", "no-common-version", "versions 2 and 3", |h| h.versions = vec![2, 3]);
    changed("versions-none", "no-common-version", "no version", |h| h.versions.clear());
    changed("versions-17", "malformed", "17 versions", |h| h.versions = (1..=17).collect());
    changed("marks-order", "malformed", "marks out of order", |h| h.sent.swap(0, 1));
    let inner = hello().encode();
    one("wrong-key", "signature", "signed by another node", signed(&inner, Context::Hello, &cl_key()));
    one("wrong-context", "signature", "signed as a receipt", signed(&inner, Context::Receipt, &br_key()));
    let good = signed(&inner, Context::Hello, &br_key());
    one("changed", "signature", "one bit of the clock changed", flipped(&good, good.len() - 64 - 2));
    one("cut", "malformed", "the last byte is missing", shorter(&good));
    one("trailing", "malformed", "a byte follows", longer(&good));
    one("long", "malformed", "16,385 bytes within the signature", signed(&vec![0; 16_385], Context::Hello, &br_key()));
}

pub(super) fn card() -> RawCard {
    let contact = ["duty officer", "+55 11 5555 0100", "duty@cert.example", "always"].map(str::to_owned);
    RawCard {
        version: 1,
        id: "cert.br".into(),
        name: "CERT Brasil – notificações".into(),
        country: "BR".into(),
        identity_key: *br_key().public().as_bytes(),
        tls_certificate: vec![0x30; 90],
        tls_name: None,
        endpoints: vec!["192.0.2.1:7744".into(), "[2001:db8::1]:7744".into()],
        contacts: vec![(1, contact, vec!["pt".into(), "en".into()])],
        kinds: vec![("incident".into(), vec![1]), ("refusal".into(), vec![1, 2])],
        issued_at: NOW,
        valid_until: NOW + 31_536_000_000,
        sequence: 3,
        extensions: Vec::new(),
    }
}

fn cards(set: &mut Set) {
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        set.add(&format!("card-{name}"), outcome, what, &[("check", "card")], bytes);
    };
    let mut changed = |name: &str, outcome: &str, what: &str, change: fn(&mut RawCard)| {
        let mut card = card();
        change(&mut card);
        one(name, outcome, what, signed(&card.encode(), Context::Card, &br_key()));
    };
    changed("good", "ok", "a card", |_| ());
    changed("authority", "ok", "a certificate of an authority, and its name", |c| {
        c.tls_name = Some("aldis.cert.br".into());
    });
    changed("unknown-extension", "ok", "a field of a newer version is kept", |c| {
        c.extensions = extensions(&[900], b"x");
    });
    changed("version", "version", "a card of version 2", |c| c.version = 2);
    changed("weak-key", "weak-key", "an identity key of small order", |c| c.identity_key = [0; 32]);
    changed("not-a-key", "not-a-key", "an identity key that is no point", |c| {
        c.identity_key = [0; 32];
        c.identity_key[0] = 2;
    });
    changed("endpoints-nine", "malformed", "nine endpoints", |c| c.endpoints = vec!["h:1".into(); 9]);
    changed("contacts-17", "malformed", "17 contacts", |c| c.contacts = vec![c.contacts[0].clone(); 17]);
    changed("kinds-65", "malformed", "65 kinds", |c| c.kinds = vec![("k".into(), vec![1]); 65]);
    changed("certificate-long", "malformed", "a certificate of 4,097 bytes", |c| c.tls_certificate = vec![0; 4_097]);
    changed("name-long", "malformed", "a name of 201 bytes", |c| c.name = "n".repeat(201));
    let inner = card().encode();
    one("wrong-key", "signature", "signed by another key than it names", signed(&inner, Context::Card, &cl_key()));
    one("wrong-context", "signature", "signed as a Hello", signed(&inner, Context::Hello, &br_key()));
    let good = signed(&inner, Context::Card, &br_key());
    one("changed", "signature", "an endpoint changed after signing", replaced(&good, b"192.0.2.1", b"192.0.2.9"));
    one("cut", "malformed", "the last byte is missing", shorter(&good));
    one("trailing", "malformed", "a byte follows", longer(&good));
    let long = Raw::default().bytes(&vec![0; 40_961]).fixed(&[0; 64]).0;
    one("long", "malformed", "40,961 bytes within the signature", long);
}

fn armour(set: &mut Set) {
    const BEGIN: &str = "-----BEGIN ALDIS CARD-----";
    const END: &str = "-----END ALDIS CARD-----";
    let good = data_encoding::BASE64.encode(&signed(&card().encode(), Context::Card, &br_key()));
    let lines = |prefix: &str| {
        let lines: Vec<&str> = (0..good.len()).step_by(64).map(|at| &good[at..good.len().min(at + 64)]).collect();
        lines.join(&format!("\n{prefix}"))
    };
    let mut one = |name: &str, outcome: &str, what: &str, text: String| {
        set.add_data(&format!("card-text-{name}"), outcome, what, &[("check", "card-text")], Data::Text(text));
    };
    one("good", "ok", "a card in its armour", format!("{BEGIN}\n{}\n{END}\n", lines("")));
    let quoted = format!("Dear colleague,\n> {BEGIN}\n> {}\n> {END}\nRegards\n", lines("> "));
    one("quoted", "ok", "quoted in an e-mail", quoted);
    one("no-begin", "no-armour", "no begin line", format!("{}\n{END}\n", lines("")));
    one("no-end", "no-armour", "no end line", format!("{BEGIN}\n{}\n", lines("")));
    one("not-base64", "not-base64", "a character that is not base 64", format!("{BEGIN}\n{}!\n{END}\n", lines("")));
    let unpadded = good.trim_end_matches('=');
    assert_ne!(unpadded, good, "the sample needs padding");
    one("unpadded", "not-base64", "without its padding", format!("{BEGIN}\n{unpadded}\n{END}\n"));
    one("cut", "malformed", "the last line is missing", format!("{BEGIN}\n{}\n{END}\n", &good[..good.len() / 64 * 64]));
    one("empty", "malformed", "nothing between the lines", format!("{BEGIN}\n{END}\n"));
}
