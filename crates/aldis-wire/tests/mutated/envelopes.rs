//! Changes to envelopes: to the header's fields, to the bytes of any part, to the proof, to which parts stand together,
//! and signatures of keys that have no say at that place.

use crate::Mutant;
use crate::chance::{self, Random};
use crate::scene::{ENDED_AT, Place, Scene};
use aldis_wire::codec::{self, BorrowDecode, Encode, List};
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::Salt;
use aldis_wire::header::{Header, Reference, ReferenceRole};
use aldis_wire::ids::{CaseId, Incarnation, KeyId, Seq, UnixMillis};
use aldis_wire::lane::{Lane, LaneMark};
use aldis_wire::merkle;
use aldis_wire::proof::{Proof, sign_batch};
use aldis_wire::signing::{Context, IdentityKey};

/// An envelope's structure, to write what the crate itself would not.
#[derive(Encode, BorrowDecode)]
struct Parts {
    header: Vec<u8>,
    withheld: u16,
    salt: Salt,
    body: Vec<u8>,
    proof: Vec<u8>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        codec::decode_borrowed(bytes).expect("a genuine envelope has the structure of one")
    }

    fn header(&self) -> Option<Header> {
        codec::decode(&self.header).ok()
    }

    fn proof(&self) -> Option<Proof> {
        codec::decode(&self.proof).ok()
    }
}

/// The same envelope without its body.
pub(crate) fn without_body(bytes: &[u8], reason: u16) -> Vec<u8> {
    let parts = Parts::of(bytes);
    codec::encode(&Parts { withheld: reason, salt: [0; 16], body: Vec::new(), ..parts })
}

/// A mutant of an envelope.
pub(crate) fn mutant(scene: &Scene, random: &mut Random, from: usize, to: usize, genuine: &[u8]) -> Mutant {
    let (mut parts, mut how) = (Parts::of(genuine), Vec::new());
    for _ in 0..=random.below(3) {
        how.push(change(scene, random, from, &mut parts));
    }
    let mut bytes = codec::encode(&parts);
    match random.below(13) {
        0 => {
            bytes = against_the_rules(scene, random, from, Parts::of(genuine));
            how = vec!["signed against the rules"];
        }
        1 => {
            bytes = genuine.to_vec();
            chance::edit(random, &mut bytes);
            how = vec!["edited as a whole"];
        }
        2 => {
            bytes = genuine.to_vec();
            chance::say_otherwise(random, &mut bytes);
            how = vec!["said otherwise"];
        }
        _ => {}
    }
    Mutant { place: Place::Envelope(from, to), bytes, how }
}

fn change(scene: &Scene, random: &mut Random, from: usize, parts: &mut Parts) -> &'static str {
    match random.below(14) {
        0..4 => {
            if let Some(mut header) = parts.header() {
                field(scene, random, &mut header);
                parts.header = codec::encode(&header);
            }
            "a field of the header"
        }
        4 => {
            chance::edit(random, &mut parts.header);
            "bytes of the header"
        }
        5 => {
            chance::edit(random, &mut parts.body);
            "bytes of the body"
        }
        6 => {
            parts.salt[random.below(16)] ^= 1 << random.below(8);
            "the salt"
        }
        7 => {
            parts.withheld = random.number().to_le_bytes()[0].into();
            if random.below(2) == 0 {
                (parts.salt, parts.body) = ([0; 16], Vec::new());
            }
            "whether the body is there"
        }
        8 | 9 => {
            if let Some(mut proof) = parts.proof() {
                change_proof(random, &mut proof);
                parts.proof = codec::encode(&proof);
            }
            "a field of the proof"
        }
        10 => {
            chance::edit(random, &mut parts.proof);
            "bytes of the proof"
        }
        11 | 12 => recombine(scene, random, parts),
        _ => sign_wrongly(scene, random, from, parts),
    }
}

/// Parts of another envelope in place of its own.
fn recombine(scene: &Scene, random: &mut Random, parts: &mut Parts) -> &'static str {
    let envelopes = scene.genuine.iter().filter(|genuine| matches!(genuine.place, Place::Envelope(..)));
    let other = envelopes.map(|genuine| &genuine.bytes).nth(random.below(4 * 48)).expect("there are as many");
    let other = Parts::of(other);
    match random.below(6) {
        0 => parts.header = other.header,
        1 => (parts.body, parts.salt) = (other.body, other.salt),
        2 => parts.body = other.body,
        3 => parts.proof = other.proof,
        4 => {
            (parts.header, parts.body, parts.salt) = (other.header, other.body, other.salt);
        }
        _ => {
            if let (Some(mut proof), Some(theirs)) = (parts.proof(), other.proof()) {
                match random.below(3) {
                    0 => proof.path = theirs.path,
                    1 => proof.signature = theirs.signature,
                    _ => (proof.index, proof.batch_size) = (theirs.index, theirs.batch_size),
                }
                parts.proof = codec::encode(&proof);
            }
        }
    }
    "parts of another envelope"
}

/// A changed header that somebody signs who may not: another node, nobody's key, the right key for another purpose, or a
/// key of the sender's that is not in force at that place.
fn sign_wrongly(scene: &Scene, random: &mut Random, from: usize, parts: &mut Parts) -> &'static str {
    let Some(mut header) = parts.header() else { return "nothing" };
    field(scene, random, &mut header);
    let key = match random.below(4) {
        0 => &scene.stranger,
        1 => &scene.keys[(from + 1) % 3],
        2 if from == 0 => {
            let ends = header.seq.get() <= ENDED_AT;
            if ends { &scene.keys[0] } else { &scene.ended }
        }
        _ => return sign_for_another_purpose(random, &scene.keys[from], header, parts),
    };
    if random.below(2) == 0 {
        header.key_id = key.id();
    }
    parts.header = codec::encode(&header);
    let leaves = vec![merkle::leaf_hash(&parts.header); 1 + random.below(3)];
    parts.proof = codec::encode(&sign_batch(key, &leaves)[0]);
    "signed with a key that may not"
}

fn sign_for_another_purpose(random: &mut Random, key: &IdentityKey, header: Header, parts: &mut Parts) -> &'static str {
    parts.header = codec::encode(&header);
    let leaf = merkle::leaf_hash(&parts.header);
    let mut proof = sign_batch(key, &[leaf]).remove(0);
    let payload = [&1_u32.to_be_bytes()[..], leaf.as_bytes()].concat();
    proof.signature = match random.below(4) {
        // Over the root or the size alone, as if they were all.
        0 => key.sign(Context::Envelope, leaf.as_bytes()),
        1 => key.sign(Context::Envelope, &parts.header),
        _ => key.sign(*random.one(&[Context::Receipt, Context::Hello, Context::Card]), &payload),
    };
    parts.proof = codec::encode(&proof);
    "signed for another purpose"
}

/// What only the sender itself can do: sign, with the right key, a header that no node may take.
fn against_the_rules(scene: &Scene, random: &mut Random, from: usize, mut parts: Parts) -> Vec<u8> {
    let mut header = parts.header().expect("a genuine header");
    let place = header.seq.get();
    match random.below(12) {
        0 => header.from = scene.nodes[(from + 1) % 3].clone(),
        1 => header.to = header.from.clone(),
        2 => header.version = 2,
        3 => header.incarnation = Incarnation(0),
        4 => header.previous = if place == 1 { Digest::of(&[b"before the first"]) } else { Digest::ZERO },
        5 => header.kind_version = 0,
        6 => header.body_length = 49_153,
        7 => header.body_length ^= 1,
        8 => header.body_commitment = Digest::of(&[b"another body"]),
        9 => header.tlp = Tlp(0),
        10 => header.key_id = KeyId([3; 16]),
        _ => header.also_to = List::new(vec![header.to.clone()]).expect("one"),
    }
    let key = if from == 0 && place <= ENDED_AT { &scene.ended } else { &scene.keys[from] };
    parts.header = codec::encode(&header);
    parts.proof = codec::encode(&sign_batch(key, &[merkle::leaf_hash(&parts.header)])[0]);
    codec::encode(&parts)
}

fn change_proof(random: &mut Random, proof: &mut Proof) {
    let mut path = proof.path.to_vec();
    match random.below(8) {
        0 => proof.index = u32::try_from(random.number() & 0xffff_ffff).expect("32 bits"),
        1 => proof.batch_size = u32::try_from(random.number() & 0xffff_ffff).expect("32 bits"),
        2 => path.push(*random.one(&[Digest::ZERO, Digest::of(&[b"x"])])),
        3 => drop(path.pop()),
        4 => path.reverse(),
        5 if !path.is_empty() => {
            let at = random.below(path.len());
            let mut changed = *path[at].as_bytes();
            changed[random.below(32)] ^= 1 << random.below(8);
            path[at] = Digest::from_bytes(changed);
        }
        _ => chance::spoil(random, &mut proof.signature.0),
    }
    proof.path = List::new(path).unwrap_or_default();
}

/// Another value in one field of a header.
fn field(scene: &Scene, random: &mut Random, header: &mut Header) {
    let other = random.one(&scene.nodes).clone();
    let seq = Seq::new(random.number()).unwrap_or(Seq::MAX);
    let mut digest = [0; 32];
    digest[random.below(32)] = random.byte();
    let digest = Digest::from_bytes(digest);
    let millis = UnixMillis::new(random.number());
    let some = |random: &mut Random| ["a", "duty officer", "", "\u{202e}"][random.below(4)];
    match random.below(23) {
        0 => header.version = u16::from(random.byte()),
        1 => header.key_id = random.one(&[&scene.ended, &scene.keys[0], &scene.keys[1], &scene.stranger]).id(),
        2 => header.incarnation = Incarnation(random.number()),
        3 => header.from = other,
        4 => header.to = other,
        5 => header.also_to = List::new(vec![other]).expect("one"),
        6 => header.desk = Desk(u16::from(random.byte())),
        7 => header.lane = *random.one(&Lane::ALL),
        8 => header.seq = seq,
        9 => header.previous = digest,
        10 => header.received = Some(LaneMark { lane: *random.one(&Lane::ALL), seq, digest }),
        11 => header.sent_at = millis,
        12 => header.expires_at = millis,
        13 => header.case = CaseId([random.byte(); 16]),
        14 => {
            let role = ReferenceRole(u16::from(random.byte() % 5));
            header.references = List::new(vec![Reference { role, envelope: header.id(), digest }]).expect("one");
        }
        15 => header.author = crate::scene::text(some(random)),
        16 => header.released_by = Some(crate::scene::text(some(random))),
        17 => header.on_behalf_of = Some(crate::scene::text(some(random))),
        18 => header.tlp = Tlp(u16::from(random.byte() % 7)),
        19 => header.exercise = if header.exercise.is_some() { None } else { Some(crate::scene::text(some(random))) },
        20 => {
            header.kind = Code::known(["incident", "recall", "hotline", "x"][random.below(4)]);
            header.kind_version = u16::from(random.byte() % 3);
        }
        21 => header.body_length = u32::try_from(random.number() & 0xffff).expect("16 bits"),
        _ => header.extensions = Header::extensions_with(Some(1 + u32::from(random.byte()))),
    }
}
