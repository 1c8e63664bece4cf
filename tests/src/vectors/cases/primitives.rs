//! Plain values, keys, signatures and the journal commitment.

use super::super::hex;
use super::super::raw::Raw;
use super::{Set, br_key, cl_key, public, sha256};
use aldis_wire::signing::Context;

pub(super) fn add(set: &mut Set) {
    numbers(set);
    containers(set);
    plain_types(set);
    marks_and_extensions(set);
    keys(set);
    signatures(set);
    commitments(set);
}

fn codec(set: &mut Set, name: &str, outcome: &str, what: &str, kind: &str, bytes: &[u8]) {
    set.add(&format!("codec-{name}"), outcome, what, &[("check", "codec"), ("type", kind)], bytes.to_vec());
}

fn numbers(set: &mut Set) {
    let good: [(&str, &str, u64); 8] = [
        ("u16-250", "u16", 250),
        ("u16-251", "u16", 251),
        ("u16-65535", "u16", 65_535),
        ("u32-65536", "u32", 65_536),
        ("u32-most", "u32", 0xffff_ffff),
        ("u64-zero", "u64", 0),
        ("u64-4294967296", "u64", 0x1_0000_0000),
        ("u64-most", "u64", u64::MAX),
    ];
    for (name, kind, number) in good {
        codec(set, name, "ok", "a number in its narrowest form", kind, &Raw::default().number(number).0);
    }
    codec(set, "u8", "ok", "a byte is itself, also above 250", "u8", &[255]);
    let wide = "a number in a wider form than it needs";
    codec(set, "u16-wide", "not-canonical", wide, "u16", &[251, 0, 250]);
    codec(set, "u32-wide", "not-canonical", wide, "u32", &[252, 0, 0, 0xff, 0xff]);
    codec(set, "u64-wide", "not-canonical", wide, "u64", &[253, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    codec(set, "u64-wide-16", "not-canonical", wide, "u64", &[251, 0, 7]);
    let too_wide = "a number wider than its type";
    codec(set, "u16-as-u32", "malformed", too_wide, "u16", &[252, 0, 1, 0, 0]);
    codec(set, "u32-as-u64", "malformed", too_wide, "u32", &[253, 0, 0, 0, 1, 0, 0, 0, 0]);
    codec(set, "u64-as-u128", "malformed", too_wide, "u64", &[[254].as_slice(), &[0; 16]].concat());
    codec(set, "u64-marker-255", "malformed", "a marker that is none", "u64", &[[255].as_slice(), &[0; 32]].concat());
    codec(set, "u64-cut", "malformed", "a number that ends early", "u64", &[253, 0, 0, 0, 1]);
    codec(set, "u64-nothing", "malformed", "no bytes at all", "u64", &[]);
    codec(set, "u64-trailing", "trailing", "a byte follows the number", "u64", &[7, 0]);
}

fn containers(set: &mut Set) {
    codec(set, "bytes", "ok", "bytes as long as allowed", "bytes(8)", &[8, 1, 2, 3, 4, 5, 6, 7, 8]);
    codec(set, "bytes-empty", "ok", "no bytes", "bytes(8)", &[0]);
    codec(set, "bytes-long", "malformed", "one byte over the bound", "bytes(8)", &[9, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let claim = [253, 0, 0, 1, 0, 0, 0, 0, 0];
    codec(set, "bytes-claim", "malformed", "a length of 2^40 with nothing behind it", "bytes(8)", &claim);
    codec(set, "bytes-cut", "malformed", "fewer bytes than the length says", "bytes(8)", &[3, 1, 2]);
    codec(set, "bytes-wide-length", "not-canonical", "a length in a wider form", "bytes(8)", &[251, 0, 1, 7]);
    codec(set, "text", "ok", "a text of 8 bytes and 7 characters", "text(8)", &Raw::default().text("notícia").0);
    codec(set, "text-nul", "ok", "control characters are texts too", "text(8)", &[2, 0, 0x1b]);
    codec(set, "text-long", "malformed", "the bound counts bytes", "text(8)", &Raw::default().text("notícias").0);
    codec(set, "text-not-utf8", "malformed", "a byte that is not UTF-8", "text(8)", &[2, b'a', 0xff]);
    codec(set, "text-overlong", "malformed", "a slash written in two bytes", "text(8)", &[2, 0xc0, 0xaf]);
    codec(set, "text-surrogate", "malformed", "half a surrogate pair", "text(8)", &[3, 0xed, 0xa0, 0x80]);
    codec(set, "list", "ok", "a list as long as allowed", "list(u16, 4)", &[4, 1, 251, 1, 0, 3, 4]);
    codec(set, "list-long", "malformed", "one value over the bound", "list(u16, 4)", &[5, 1, 2, 3, 4, 5]);
    codec(set, "list-cut", "malformed", "fewer values than the count says", "list(u16, 4)", &[3, 1, 2]);
    codec(set, "optional-none", "ok", "nothing", "optional(u16)", &[0]);
    codec(set, "optional-some", "ok", "something", "optional(u16)", &[1, 7]);
    codec(set, "optional-two", "malformed", "a byte that is neither 0 nor 1", "optional(u16)", &[2, 7]);
}

fn plain_types(set: &mut Set) {
    let text = |text: &str| Raw::default().text(text).0;
    let number = |number: u64| Raw::default().number(number).0;
    codec(set, "node-id", "ok", "labels joined by dots", "node-id", &text("csirt-americas.oas.org"));
    codec(set, "node-id-longest", "ok", "63 bytes", "node-id", &text(&"a".repeat(63)));
    codec(set, "node-id-long", "malformed", "64 bytes", "node-id", &text(&"a".repeat(64)));
    codec(set, "node-id-empty", "malformed", "no label", "node-id", &text(""));
    codec(set, "node-id-upper", "malformed", "a capital", "node-id", &text("Cert.br"));
    codec(set, "node-id-empty-label", "malformed", "two dots", "node-id", &text("cert..br"));
    codec(set, "node-id-hyphen", "malformed", "a label that ends with a hyphen", "node-id", &text("cert-.br"));
    codec(set, "node-id-accent", "malformed", "a letter beyond ASCII", "node-id", &text("çert.br"));
    codec(set, "lane", "ok", "ROUTINE", "lane", &[3]);
    codec(set, "lane-fifth", "malformed", "there are four lanes", "lane", &[4]);
    codec(set, "seq-most", "ok", "2^63 - 1", "seq", &number((1 << 63) - 1));
    codec(set, "seq-over", "malformed", "2^63", "seq", &number(1 << 63));
    codec(set, "seq-zero", "malformed", "the first is 1", "seq", &number(0));
    codec(set, "time-most", "ok", "9999-12-30T00:00:00Z", "time", &number(253_402_128_000_000));
    codec(set, "time-over", "malformed", "one millisecond later", "time", &number(253_402_128_000_001));
    codec(set, "code", "ok", "all that may stand in a code", "code", &text("aZ09+-._"));
    codec(set, "code-longest", "ok", "64 bytes", "code", &text(&"c".repeat(64)));
    codec(set, "code-long", "malformed", "65 bytes", "code", &text(&"c".repeat(65)));
    codec(set, "code-empty", "malformed", "no code", "code", &text(""));
    codec(set, "code-space", "malformed", "a space", "code", &text("c2 server"));
}

fn marks_and_extensions(set: &mut Set) {
    let marks = |marks: &[(u8, u64, [u8; 32])]| Raw::default().marks(marks).0;
    let four: Vec<_> = (0..4).map(|lane| (lane, 300 + u64::from(lane), [lane; 32])).collect();
    codec(set, "marks-none", "ok", "nothing in any lane", "marks", &marks(&[]));
    codec(set, "marks-four", "ok", "something in every lane", "marks", &marks(&four));
    codec(set, "marks-gap", "ok", "empty lanes are left out", "marks", &marks(&[four[1], four[3]]));
    codec(set, "marks-order", "malformed", "PRIORITY before FLASH", "marks", &marks(&[four[2], four[0]]));
    codec(set, "marks-twice", "malformed", "one lane twice", "marks", &marks(&[four[2], four[2]]));
    let five = [four.clone(), vec![four[3]]].concat();
    codec(set, "marks-five", "malformed", "five marks", "marks", &marks(&five));
    let zero = marks(&[(0, 0, [0; 32])]);
    codec(set, "marks-seq-zero", "malformed", "an empty lane has no mark", "marks", &zero);

    let extensions = |tags: &[u64], length| Raw::default().extensions(&super::extensions(tags, &vec![0xee; length])).0;
    let most = extensions(&[1, 2, 3, 4, 5, 6, 7, 65_535], 1024);
    codec(set, "extensions", "ok", "as many and as long as allowed", "extensions", &most);
    codec(set, "extensions-order", "malformed", "tags descend", "extensions", &extensions(&[900, 7], 1));
    codec(set, "extensions-twice", "malformed", "one tag twice", "extensions", &extensions(&[7, 7], 1));
    let nine = extensions(&[1, 2, 3, 4, 5, 6, 7, 8, 9], 1);
    codec(set, "extensions-nine", "malformed", "nine extensions", "extensions", &nine);
    codec(set, "extensions-long", "malformed", "one byte over the bound", "extensions", &extensions(&[1], 1025));
    codec(set, "extensions-tag", "malformed", "a tag over 65,535", "extensions", &extensions(&[65_536], 1));
}

fn keys(set: &mut Set) {
    // The eight points of small order.
    const SMALL: [&str; 8] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let mut key = |name: &str, outcome: &str, what: &str, hexadecimal: &str| {
        let bytes = data_encoding::HEXLOWER.decode(hexadecimal.as_bytes()).expect("it is hexadecimal");
        set.add(&format!("key-{name}"), outcome, what, &[("check", "key")], bytes);
    };
    key("good", "ok", "the identity key of cert.br in these vectors", &public(&br_key()));
    for (number, point) in (1..).zip(SMALL) {
        key(&format!("small-{number}"), "weak-key", "a point of small order", point);
    }
    let all_f = "f".repeat(58);
    key(
        "y-is-p-plus-1",
        "not-a-key",
        "the neutral element, y not reduced",
        &format!("eeffff{}", &format!("{all_f}7f")[2..]),
    );
    key(
        "y-is-p-plus-3",
        "not-a-key",
        "a point of large order, y not reduced",
        &format!("f0ffff{}", &format!("{all_f}7f")[2..]),
    );
    key("minus-zero", "not-a-key", "the sign of x set where x is 0", &format!("01{}80", "00".repeat(30)));
    key("no-point", "not-a-key", "y = 2 is on no point", &format!("02{}", "00".repeat(31)));
}

fn signatures(set: &mut Set) {
    // Made outside, over `payload`, with the key of cert.br: what strict verification refuses and others may not.
    const S_PLUS_L: &str = "5ac2fa0a3df0a104a8e6107c5aae5457d84912bb33c7ade0530a69230583877f\
                            5bf5e34f1b92dcc74108bcc46052fa18026fe68c013fdbc31c5aa23a0ad16719";
    const SMALL_R: &str = "0100000000000000000000000000000000000000000000000000000000000000\
                           12896282b49a90ca96ce2e78fefe98242ef54ee446ab6d1292f1e503275c1503";
    const COFACTOR: &str = "f0983ca05096d293d015003b81480bd54bd2a2c0ddeeddbda53ab5eba497b069\
                            fe6f6a0a1f0670c51327b78a122f9f4d932227bbdfa36743339898f5e452f601";
    let payload = hex(b"payload");
    let key = public(&br_key());
    let mut add = |name: &str, outcome: &str, what: &str, context: &str, key: &str, bytes: Vec<u8>| {
        let inputs = [("check", "signature"), ("context", context), ("key", key), ("payload", &payload)];
        set.add(&format!("signature-{name}"), outcome, what, &inputs, bytes);
    };
    let made = |hexadecimal: &str| data_encoding::HEXLOWER.decode(hexadecimal.as_bytes()).expect("it is hexadecimal");
    for context in [Context::Envelope, Context::Receipt, Context::Hello, Context::Card] {
        let (_, name) = context.label().rsplit_once('/').expect("labels have slashes");
        let good = br_key().sign(context, b"payload").0.to_vec();
        add(name, "ok", "a signature for this context", context.label(), &key, good);
    }
    let receipt = Context::Receipt.label();
    let good = br_key().sign(Context::Receipt, b"payload").0;
    add("wrong-context", "signature", "a receipt's signature on a Hello", Context::Hello.label(), &key, good.to_vec());
    add("wrong-key", "signature", "another node's key", receipt, &public(&cl_key()), good.to_vec());
    add("changed", "signature", "one bit of R changed", receipt, &key, super::flipped(&good, 3));
    add(
        "other-payload",
        "signature",
        "of another payload",
        receipt,
        &key,
        br_key().sign(Context::Receipt, b"x").0.into(),
    );
    add("s-plus-l", "signature", "S not reduced by the group order", receipt, &key, made(S_PLUS_L));
    add("small-r", "signature", "R of small order, the equation holds", receipt, &key, made(SMALL_R));
    add("cofactor", "signature", "the equation holds only with the cofactor", receipt, &key, made(COFACTOR));
}

fn commitments(set: &mut Set) {
    let (salt, root) = ([7u8; 16], [9u8; 32]);
    let commitment = sha256(&[&salt, &1_000_000u64.to_be_bytes(), &root]);
    let mut add = |name: &str, outcome: &str, what: &str, size: &str| {
        let (salt, root) = (hex(&salt), hex(&root));
        let inputs = [("check", "commitment"), ("salt", salt.as_str()), ("size", size), ("root", root.as_str())];
        set.add(&format!("commitment-{name}"), outcome, what, &inputs, commitment.to_vec());
    };
    add("opens", "ok", "a journal's commitment and its opening", "1000000");
    add("other-size", "commitment", "an opening with another size", "1000001");
}
