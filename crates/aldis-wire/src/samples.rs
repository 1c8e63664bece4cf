//! Samples for this crate's tests: two nodes with keys, one structure of every sort, and the property that every decoder
//! of the wire must have.

use crate::card::{Card, Contact};
use crate::codec::{self, Blob, Decode, Encode, List, Text};
use crate::codes::{Code, Desk, Extension, Extensions, Tlp};
use crate::digest::Digest;
use crate::envelope::{self, Body};
use crate::header::{ExactHeader, Header, Reference, ReferenceRole};
use crate::hello::{Hello, Role};
use crate::ids::{CaseId, EnvelopeId, Incarnation, NodeId, Seq, UnixMillis};
use crate::lane::{Lane, LaneMark, Marks};
use crate::proof::sign_batch;
use crate::receipt::Receipt;
use crate::signing::IdentityKey;
use bytes::Bytes;
use proptest::prelude::*;
use std::fmt::Debug;

pub(crate) const SALT: envelope::Salt = [9; 16];

pub(crate) fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

/// The sender of the samples.
pub(crate) fn br() -> NodeId {
    node("cert.br")
}

/// The recipient of the samples.
pub(crate) fn cl() -> NodeId {
    node("cert.cl")
}

pub(crate) fn br_key() -> IdentityKey {
    IdentityKey::from_seed(&[1; 32])
}

pub(crate) fn cl_key() -> IdentityKey {
    IdentityKey::from_seed(&[2; 32])
}

pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

pub(crate) fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

pub(crate) fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).unwrap()
}

pub(crate) fn list<T, const MAX: usize>(values: Vec<T>) -> List<T, MAX> {
    List::new(values).expect("the sample fits")
}

/// As many extensions as allowed, each as long as allowed.
pub(crate) fn longest_extensions() -> Extensions {
    let one = |tag| Extension { tag, bytes: Blob::new(vec![0xee; 1024]).unwrap() };
    Extensions::new((60_000..60_008).map(one).collect()).unwrap()
}

pub(crate) fn marks(seqs: [u64; 4]) -> Marks {
    let mut marks = Marks::default();
    for lane in Lane::ALL {
        if let Some(seq) = Seq::new(seqs[lane.index()]) {
            marks.set(lane, seq, digest(lane.code() + 1));
        }
    }
    marks
}

/// A header with every field set, over `body` and [`SALT`].
pub(crate) fn header(body: &[u8]) -> Header {
    let answered = EnvelopeId { from: cl(), to: br(), lane: Lane::Flash, seq: seq(4) };
    Header {
        version: 1,
        key_id: br_key().id(),
        incarnation: Incarnation(7),
        from: br(),
        to: cl(),
        also_to: list(vec![node("cert.uy")]),
        desk: Desk::TECHNICAL,
        lane: Lane::Priority,
        seq: seq(17),
        previous: digest(3),
        received: Some(LaneMark { lane: Lane::Flash, seq: seq(4), digest: digest(4) }),
        sent_at: UnixMillis::new(1_795_316_400_123),
        expires_at: UnixMillis::new(1_795_402_800_123),
        case: CaseId([5; 16]),
        references: list(vec![Reference { role: ReferenceRole::ANSWERS, envelope: answered, digest: digest(4) }]),
        author: text("duty officer"),
        released_by: Some(text("head of shift")),
        on_behalf_of: Some(text("a provider")),
        tlp: Tlp::AMBER,
        exercise: Some(text("cyber shield 26")),
        kind: Code::known("incident"),
        kind_version: 1,
        body_length: u32::try_from(body.len()).unwrap(),
        body_commitment: envelope::commitment(&SALT, body),
        extensions: Extensions::new(vec![Extension { tag: 900, bytes: Blob::new(vec![1, 2]).unwrap() }]).unwrap(),
    }
}

pub(crate) fn exact_header(body: &[u8]) -> ExactHeader {
    ExactHeader::encode(header(body)).unwrap()
}

pub(crate) fn present(body: &[u8]) -> Body {
    Body::Present { salt: SALT, bytes: Bytes::copy_from_slice(body) }
}

/// A whole envelope with `header`, alone in its batch, signed with the sender's key.
pub(crate) fn envelope_of(header: &ExactHeader, body: &Body) -> Bytes {
    let proofs = sign_batch(&br_key(), &[header.digest()]);
    envelope::assemble(header.bytes(), body, &codec::encode(&proofs[0]))
}

pub(crate) fn receipt() -> Receipt {
    Receipt {
        version: 1,
        key_id: cl_key().id(),
        incarnation: Incarnation(8),
        from: cl(),
        to: br(),
        stored: marks([0, 2, 17, 0]),
        sent: marks([4, 0, 0, 900]),
        stored_at: UnixMillis::new(1_795_316_400_200),
        commitment: digest(6),
        extensions: Extensions::default(),
    }
}

pub(crate) fn hello() -> Hello {
    Hello {
        versions: list(vec![1, 2]),
        role: Role::DIALLER,
        from: br(),
        to: cl(),
        exporter: [0xab; 32],
        key_id: br_key().id(),
        incarnation: Incarnation(7),
        card: digest(1),
        peer_card: digest(2),
        received: marks([4, 0, 0, 0]),
        sent: marks([0, 2, 17, 0]),
        sent_at: UnixMillis::new(1_795_316_400_000),
        extensions: Extensions::default(),
    }
}

pub(crate) fn card() -> Card {
    let contact = Contact {
        desk: Desk::TECHNICAL,
        name: text("duty officer"),
        telephone: text("+55 11 5555 0100"),
        email: text("duty@cert.example"),
        hours: text("always"),
        languages: list(vec![text("pt"), text("en")]),
    };
    Card {
        version: 1,
        id: br(),
        name: text("CERT Brazil"),
        country: text("BR"),
        identity_key: *br_key().public().as_bytes(),
        tls_certificate: Blob::new(vec![0x30; 300]).unwrap(),
        tls_name: None,
        endpoints: list(vec![text("192.0.2.1:7744"), text("[2001:db8::1]:7744")]),
        contacts: list(vec![contact]),
        kinds: crate::kinds::kind_versions(),
        issued_at: UnixMillis::new(1_795_000_000_000),
        valid_until: UnixMillis::new(1_826_536_000_000),
        sequence: 3,
        extensions: Extensions::default(),
    }
}

/// What a hostile peer might send where `valid` belongs: bytes replaced, inserted, cut out, repeated.
pub(crate) fn damaged(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (0u8..4, any::<prop::sample::Index>(), any::<u8>());
    prop::collection::vec(edit, 0..4).prop_map(move |edits| {
        let mut bytes = valid.clone();
        for (what, at, byte) in edits {
            let at = at.index(bytes.len().max(1));
            match what {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at.min(bytes.len()), byte),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.truncate(at + 1),
            }
        }
        bytes
    })
}

/// The property of every decoder: whatever it takes, it would have written the same way.
pub(crate) fn encodes_to_itself<T: Encode + Decode<()> + Debug>(bytes: &[u8]) {
    if let Ok(value) = codec::decode::<T>(bytes) {
        assert_eq!(codec::encode(&value), bytes, "{value:?}");
    }
}
