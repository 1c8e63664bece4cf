//! Changes to receipts, Hellos and cards, which are alike on the wire: bytes with a length, and a signature over them.

use crate::Mutant;
use crate::chance::{self, Random};
use crate::scene::{Genuine, Place, Scene, exporter, text};
use aldis_wire::card::Card;
use aldis_wire::codec::{self, Blob, Decode, Encode, List};
use aldis_wire::codes::{Extension, Extensions};
use aldis_wire::digest::Digest;
use aldis_wire::hello::{Hello, Role};
use aldis_wire::ids::{Incarnation, Seq, UnixMillis};
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::receipt::Receipt;
use aldis_wire::signing::{Context, Signature};

/// A signed structure, to write what the crate itself would not.
#[derive(Encode, Decode)]
struct Signed {
    bytes: Vec<u8>,
    signature: Signature,
}

/// A mutant of a receipt, a Hello or a card.
pub(crate) fn mutant(scene: &Scene, random: &mut Random, genuine: &Genuine) -> Mutant {
    let place = genuine.place;
    let mut signed: Signed = codec::decode(&genuine.bytes).expect("a genuine message has the structure of one");
    if random.below(8) == 0 {
        let mut bytes = genuine.bytes.clone();
        let how = if random.below(4) == 0 { "said otherwise" } else { "edited as a whole" };
        match how {
            "said otherwise" => chance::say_otherwise(random, &mut bytes),
            _ => chance::edit(random, &mut bytes),
        }
        return Mutant { place, bytes, how: vec![how] };
    }
    if random.below(6) == 0 {
        against_the_rules(scene, random, place, &mut signed);
        return Mutant { place, bytes: codec::encode(&signed), how: vec!["signed against the rules"] };
    }
    let how = (0..=random.below(3)).map(|_| change(scene, random, place, &mut signed)).collect();
    Mutant { place, bytes: codec::encode(&signed), how }
}

fn change(scene: &Scene, random: &mut Random, place: Place, signed: &mut Signed) -> &'static str {
    match random.below(8) {
        0..3 => {
            field(scene, random, place, &mut signed.bytes);
            "a field"
        }
        3 => {
            chance::edit(random, &mut signed.bytes);
            "bytes"
        }
        4 => {
            chance::spoil(random, &mut signed.signature.0);
            "the signature"
        }
        5 | 6 => {
            let others = scene.genuine.iter().filter(|genuine| is_alike(genuine.place, place));
            let others: Vec<&Genuine> = others.collect();
            let other: Signed = codec::decode(&random.one(&others).bytes).expect("a genuine message");
            if random.below(2) == 0 {
                signed.signature = other.signature;
            } else {
                signed.bytes = other.bytes;
            }
            "a part of another message"
        }
        _ => {
            let (mut node, contexts) =
                (signer(place), [Context::Envelope, Context::Receipt, Context::Hello, Context::Card]);
            let mut context = *random.one(&contexts);
            let ours = own_context(place);
            if context == ours {
                node = (node + 1 + random.below(2)) % 3;
            } else if random.below(2) == 0 {
                context = ours;
                signed.signature = scene.stranger.sign(context, &signed.bytes);
                return "signed by nobody";
            }
            signed.signature = scene.keys[node].sign(context, &signed.bytes);
            "signed by another, or for another purpose"
        }
    }
}

/// Whether a place takes the same structure, or another signed one.
fn is_alike(theirs: Place, ours: Place) -> bool {
    let is_structure = !matches!(theirs, Place::Envelope(..) | Place::Checkpoint(..));
    is_structure && (std::mem::discriminant(&theirs) == std::mem::discriminant(&ours) || signer(theirs) == signer(ours))
}

fn signer(place: Place) -> usize {
    match place {
        Place::Envelope(from, _) | Place::Receipt(from, _) | Place::Hello(_, from, ..) => from,
        Place::Card(node) | Place::Checkpoint(node, _) => node,
    }
}

fn own_context(place: Place) -> Context {
    match place {
        Place::Receipt(..) => Context::Receipt,
        Place::Hello(..) => Context::Hello,
        Place::Card(_) => Context::Card,
        Place::Envelope(..) | Place::Checkpoint(..) => Context::Envelope,
    }
}

/// Another value in one field, and the whole written again.
fn field(scene: &Scene, random: &mut Random, place: Place, bytes: &mut Vec<u8>) {
    match place {
        Place::Receipt(..) => rewrite(bytes, |receipt| receipt_field(scene, random, receipt)),
        Place::Hello(..) => rewrite(bytes, |hello| hello_field(scene, random, hello)),
        _ => rewrite(bytes, |card| card_field(scene, random, card)),
    }
}

fn rewrite<T: Encode + Decode<()>>(bytes: &mut Vec<u8>, change: impl FnOnce(&mut T)) {
    // Bytes that an earlier change made unreadable stay as they are.
    if let Ok(mut value) = codec::decode::<T>(bytes) {
        change(&mut value);
        *bytes = codec::encode(&value);
    }
}

fn digest(random: &mut Random) -> Digest {
    Digest::of(&[&[random.byte()]])
}

fn mark(random: &mut Random, marks: &mut Marks) {
    let (lane, seq) = (*random.one(&Lane::ALL), Seq::new(random.number()).unwrap_or(Seq::FIRST));
    marks.set(lane, seq, digest(random));
}

fn extensions(random: &mut Random) -> Extensions {
    let bytes = vec![random.byte(); random.below(40)];
    let one = Extension { tag: u16::from(random.byte() % 4), bytes: Blob::new(bytes).expect("short") };
    Extensions::new(vec![one]).expect("one")
}

fn receipt_field(scene: &Scene, random: &mut Random, receipt: &mut Receipt) {
    match random.below(10) {
        0 => receipt.version = u16::from(random.byte()),
        1 => receipt.key_id = scene.stranger.id(),
        2 => receipt.incarnation = Incarnation(random.number()),
        3 => receipt.from = random.one(&scene.nodes).clone(),
        4 => receipt.to = random.one(&scene.nodes).clone(),
        5 => mark(random, &mut receipt.stored),
        6 => mark(random, &mut receipt.sent),
        7 => receipt.stored_at = UnixMillis::new(random.number()),
        8 => receipt.commitment = digest(random),
        _ => receipt.extensions = extensions(random),
    }
}

fn hello_field(scene: &Scene, random: &mut Random, hello: &mut Hello) {
    match random.below(13) {
        0 => hello.versions = List::new(vec![u16::from(random.byte())]).expect("one"),
        1 => hello.role = Role(u16::from(random.byte() % 4)),
        2 => hello.from = random.one(&scene.nodes).clone(),
        3 => hello.to = random.one(&scene.nodes).clone(),
        4 => hello.exporter = exporter(random.byte() % 3),
        5 => hello.key_id = scene.stranger.id(),
        6 => hello.incarnation = Incarnation(random.number()),
        7 => hello.card = digest(random),
        8 => hello.peer_card = digest(random),
        9 => mark(random, &mut hello.received),
        10 => mark(random, &mut hello.sent),
        11 => hello.sent_at = UnixMillis::new(random.number()),
        _ => hello.extensions = extensions(random),
    }
}

fn card_field(scene: &Scene, random: &mut Random, card: &mut Card) {
    match random.below(13) {
        0 => card.version = u16::from(random.byte()),
        1 => card.id = random.one(&scene.nodes).clone(),
        2 => card.name = text("Another CERT"),
        3 => card.country = text("CL"),
        4 => card.identity_key = *random.one(&scene.keys).public().as_bytes(),
        5 => card.identity_key[random.below(32)] ^= 1 << random.below(8),
        6 => card.tls_certificate = Blob::new(vec![random.byte(); 300]).expect("short"),
        7 => card.tls_name = Some(text("evil.example")),
        8 => card.endpoints = List::new(vec![text("203.0.113.9:7744")]).expect("one"),
        9 => card.issued_at = UnixMillis::new(random.number()),
        10 => card.valid_until = UnixMillis::new(random.number()),
        11 => card.sequence = random.number(),
        _ => card.extensions = extensions(random),
    }
}

/// What only the signer itself can do: sign, with the right key, what no other node may take. A card has one such only:
/// of a key that it does not name.
fn against_the_rules(scene: &Scene, random: &mut Random, place: Place, signed: &mut Signed) {
    let node = signer(place);
    let other = scene.nodes[(node + 1) % 3].clone();
    match place {
        Place::Receipt(..) => rewrite(&mut signed.bytes, |receipt: &mut Receipt| match random.below(6) {
            0 => receipt.version = 2,
            1 => receipt.key_id = scene.stranger.id(),
            2 => receipt.incarnation = Incarnation(0),
            3 => receipt.from = other,
            4 => receipt.to = receipt.from.clone(),
            _ => {
                let short = Extension { tag: 1, bytes: Blob::new(vec![7; 31]).expect("short") };
                receipt.extensions = Extensions::new(vec![short]).expect("one");
            }
        }),
        Place::Hello(..) => rewrite(&mut signed.bytes, |hello: &mut Hello| match random.below(9) {
            0 => hello.role = Role(3),
            1 => hello.from = other,
            2 => hello.to = hello.from.clone(),
            3 => hello.exporter[random.below(32)] ^= 1,
            4 => hello.key_id = scene.stranger.id(),
            5 => hello.incarnation = Incarnation(0),
            6 => hello.versions = List::new(vec![2, 1]).expect("two"),
            7 => hello.versions = List::new(vec![2, 3]).expect("two"),
            _ => {
                let short = Extension { tag: 1, bytes: Blob::new(vec![7; 3]).expect("short") };
                hello.extensions = Extensions::new(vec![short]).expect("one");
            }
        }),
        _ => rewrite(&mut signed.bytes, |card: &mut Card| match random.below(2) {
            0 => card.identity_key = *scene.keys[(node + 1) % 3].public().as_bytes(),
            _ => card.version = 2,
        }),
    }
    signed.signature = scene.keys[node].sign(own_context(place), &signed.bytes);
}
