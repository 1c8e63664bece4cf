//! What every fuzzer runs over bytes that somebody else wrote: one function for each thing that is read. Each holds, for
//! any bytes: no panic; what was taken would be written the same way; what was changed is not taken. The fuzz targets, the
//! replay of the kept corpora and the short run of every change all call these same functions.

use aldis_verify::container::{self, Entries};
use aldis_verify::trust::Trusted;
use aldis_verify::{Opened, check, compare, escape, words};
use aldis_wire::card::{Card, VerifiedCard};
use aldis_wire::checkpoint::SignedCheckpoint;
use aldis_wire::codec::{self, Blob, Decode, Encode, List, Text};
use aldis_wire::codes::{Code, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{self, Body, EnvelopeVerifier};
use aldis_wire::frame::{self, Chunk, Credit, Fetch, Frame, Goodbye, History, Ping, Pong, Want};
use aldis_wire::header::{ExactHeader, Header};
use aldis_wire::hello::{Expected, Hello, Role};
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::keyring::{KeyRing, KeySwitch};
use aldis_wire::kinds::{self, KINDS, Reading};
use aldis_wire::lane::{Lane, LaneMark, Marks};
use aldis_wire::merkle;
use aldis_wire::opening::{CommitmentOpening, RecordOpening};
use aldis_wire::phrase::Phrase;
use aldis_wire::proof::{Proof, sign_batch};
use aldis_wire::receipt::{Receipt, VerifiedReceipt};
use aldis_wire::signing::{IdentityKey, PublicKey};
use bytes::{Bytes, BytesMut};
use std::fmt::Debug;
use std::sync::LazyLock;

/// One thing that is read.
pub(crate) type Entry = (&'static str, fn(&[u8]));

/// All of them, by name.
pub(crate) const ENTRIES: &[Entry] = &[
    ("frame", frame),
    ("envelope", envelope),
    ("receipt", receipt),
    ("hello", hello),
    ("opening", opening),
    ("card", card),
    ("body", body),
    ("value", value),
    ("evidence", evidence),
];

/// A frame as it comes from a socket: its length, its type, its payload.
fn frame(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk() else { return };
    let Ok(length) = frame::checked_length(*length) else { return };
    assert!((1..=frame::FRAME_MAX_BYTES).contains(&length));
    // A link reads what the length says; here what there is must do.
    let whole = Bytes::copy_from_slice(&rest[..rest.len().min(length)]);
    if let Ok(parsed) = Frame::parse(&whole) {
        let mut written = BytesMut::new();
        parsed.write(&mut written);
        assert_eq!(written[frame::LENGTH_BYTES..], whole[..]);
        let _shown = format!("{parsed:?}");
    }
    written_alike::<Credit>(rest);
    written_alike::<Ping>(rest);
    written_alike::<Pong>(rest);
    written_alike::<Goodbye>(rest);
    written_alike::<Chunk>(rest);
    written_alike::<Want>(rest);
    written_alike::<Fetch>(rest);
    written_alike::<History>(rest);
}

/// An envelope, or the header or the proof of one. A header is also signed as it is, which reaches what stands behind the
/// signature.
fn envelope(bytes: &[u8]) {
    let shared = Bytes::copy_from_slice(bytes);
    let [sender, receiver] = nodes();
    let (first, second) = (IdentityKey::from_seed(&[1; 32]), IdentityKey::from_seed(&[2; 32]));
    let mut ring = KeyRing::from(first.public());
    ring.switch([5; 4], second.public());
    let mut verifier = EnvelopeVerifier::new(sender.clone(), receiver.clone(), ring);
    if let Ok(found) = verifier.verify(&shared) {
        let again = envelope::assemble(found.header().bytes(), found.body(), found.proof_bytes());
        assert_eq!(again, shared);
    }
    let _lane = envelope::claimed_lane(bytes);
    let _lane = envelope::lane_at_start(bytes);
    written_alike::<Proof>(bytes);
    let Ok(header) = ExactHeader::parse(shared.clone()) else { return };
    assert_eq!(codec::encode::<Header>(&header), bytes);
    let (id, stream) = (header.id(), header.stream());
    assert_eq!(id.to_string().parse(), Ok(id.clone()));
    let _shown = format!("{header:?} {stream:?} {:?} {}", header.acknowledge_within_s(), header.sent_at);
    let key = if header.seq.get() <= 5 { &first } else { &second };
    let proof = codec::encode(&sign_batch(key, &[Digest::ZERO, header.digest()])[1]);
    let body = Body::Withheld(envelope::WithheldReason::ERASED);
    let taken = verifier.verify(&envelope::assemble(header.bytes(), &body, &proof));
    let is_right = header.from == sender && header.to == receiver && header.key_id == key.id();
    assert_eq!(taken.is_ok(), is_right, "{taken:?}");
}

/// A receipt, or what one says, which is then signed as it is.
fn receipt(bytes: &[u8]) {
    let ([to, from], key) = (nodes(), IdentityKey::from_seed(&[2; 32]));
    if let Ok(found) = VerifiedReceipt::verify(bytes, &from, &to, &key.public()) {
        assert_eq!((found.bytes(), found.receipt().sign(&key).as_slice()), (bytes, bytes));
    }
    let _read = Receipt::from_journal(bytes);
    written_alike::<Receipt>(bytes);
    if let Ok(said) = codec::decode::<Receipt>(bytes) {
        let signed = said.sign(&key);
        assert_eq!(Receipt::from_journal(&signed).as_ref(), Ok(&said));
        let _either = VerifiedReceipt::verify(&signed, &from, &to, &key.public());
        let _witness = said.witness();
    }
}

/// A Hello, or what one says, which is then signed as it is.
fn hello(bytes: &[u8]) {
    let ([from, to], key) = (nodes(), IdentityKey::from_seed(&[1; 32]));
    let (keys, exporter) = ([key.public()], [0xab; 32]);
    let expected = Expected { role: Role::DIALLER, from: &from, to: &to, exporter: &exporter, keys: &keys };
    if let Ok(found) = Hello::verify(bytes, &expected) {
        assert_eq!(found.sign(&key), bytes);
    }
    written_alike::<Hello>(bytes);
    written_alike::<KeySwitch>(bytes);
    if let Ok(said) = codec::decode::<Hello>(bytes) {
        let _either = Hello::verify(&said.sign(&key), &expected);
        let _switch = said.switch();
    }
}

/// What shows that a journal holds a record, or what a commitment stood for; and a checkpoint.
fn opening(bytes: &[u8]) {
    let key = IdentityKey::from_seed(&[1; 32]);
    let (root, size) = (Digest::of(&[bytes]), bytes.len() as u64);
    written_alike::<RecordOpening>(bytes);
    written_alike::<CommitmentOpening>(bytes);
    if let Ok(record) = codec::decode::<RecordOpening>(bytes) {
        assert!(!record.holds(size, &root));
        let leaf = merkle::leaf_hash_of(&[&record.nonce, &record.record]);
        for size in [size, record.index.saturating_add(1), u64::MAX] {
            if let Some(root) = merkle::root_from_path(leaf, record.index, size, &record.path) {
                assert!(record.holds(size, &root) && !record.holds(size, &Digest::ZERO));
            }
        }
    }
    if let Ok(opened) = codec::decode::<CommitmentOpening>(bytes) {
        for size in [size, opened.size, opened.size.saturating_add(1), u64::MAX] {
            assert!(!opened.holds(&root, size, &root));
            let _consistent = merkle::is_consistent((opened.size, &opened.root), (size, &opened.root), &opened.path);
        }
    }
    if let Ok(note) = SignedCheckpoint::parse(bytes)
        && let Ok((said, _)) = note.verify([&key.public()])
    {
        assert_eq!(said.sign(&key).as_bytes(), bytes);
    }
}

/// A card as bytes, as a text, or only what one says.
fn card(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for found in [VerifiedCard::from_signed_bytes(bytes), VerifiedCard::from_text(&text)].into_iter().flatten() {
        assert_eq!(VerifiedCard::from_text(&found.to_text()).as_ref(), Ok(&found));
        assert_eq!(found.fingerprint().len(), 79);
        let _shown = found.card().is_single_administrator();
    }
    written_alike::<Card>(bytes);
    if let Ok(mut said) = codec::decode::<Card>(bytes) {
        let key = IdentityKey::from_seed(&[1; 32]);
        said.identity_key = *key.public().as_bytes();
        let version = said.version;
        let signed = said.sign(&key);
        assert_eq!(VerifiedCard::from_signed_bytes(signed.signed_bytes()).is_ok(), version == 1);
        let _versions = signed.card().versions_of(&Code::known("incident"));
    }
}

/// A body of any kind: what is understood has a JSON form, and that form gives the same body again.
fn body(bytes: &[u8]) {
    for entry in KINDS {
        let kind = Code::known(entry.name);
        let read = kinds::read(&kind, entry.version, bytes);
        let json = kinds::to_json(&kind, entry.version, bytes);
        assert_eq!(matches!(read, Reading::Understood(_)), json.is_some(), "{kind}");
        let unknown = kinds::unknown_codes(&kind, entry.version, bytes);
        if let Some(json) = json.filter(|_| unknown.is_empty() && bytes.len() <= envelope::BODY_MAX_BYTES) {
            let text = json.to_string();
            let parsed = serde_json::from_str(&text).expect("what was written as JSON is JSON");
            let written = kinds::from_json(entry.name, entry.version, parsed);
            assert_eq!(written.map(|written| written.bytes).as_deref(), Ok(bytes), "{kind} {text}");
        }
    }
    // The same bytes as what a person's program might hand in.
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(bytes) {
        for entry in KINDS {
            if let Ok(written) = kinds::from_json(entry.name, entry.version, json.clone()) {
                let read = kinds::read(&Code::known(entry.name), entry.version, &written.bytes);
                assert_eq!(read, Reading::Understood(written.summary), "{}", entry.name);
            }
        }
    }
}

/// The values everything else is made of, as bytes and as texts.
fn value(bytes: &[u8]) {
    written_alike::<u16>(bytes);
    written_alike::<u32>(bytes);
    written_alike::<u64>(bytes);
    written_alike::<NodeId>(bytes);
    written_alike::<EnvelopeId>(bytes);
    written_alike::<Seq>(bytes);
    written_alike::<UnixMillis>(bytes);
    written_alike::<Lane>(bytes);
    written_alike::<LaneMark>(bytes);
    written_alike::<Marks>(bytes);
    written_alike::<Code>(bytes);
    written_alike::<Extensions>(bytes);
    written_alike::<KeyRing>(bytes);
    written_alike::<Text<8>>(bytes);
    written_alike::<Blob<8>>(bytes);
    written_alike::<List<Option<u16>, 4>>(bytes);
    written_alike::<ExactHeader>(bytes);
    if let Some(key) = bytes.first_chunk().and_then(|key| PublicKey::from_bytes(key).ok()) {
        assert_eq!(key.as_bytes()[..], bytes[..32]);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<EnvelopeId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(case) = text.parse::<CaseId>() {
        assert_eq!(case.to_string().parse(), Ok(case));
    }
    if let Ok(time) = text.parse::<UnixMillis>() {
        assert_eq!(time.to_string().parse(), Ok(time));
    }
    let _read = (Tlp::from_name(text), Lane::from_name(text), NodeId::new(text));
    let _none = phrase().matches_typed(text);
    let shown = escape::line(text);
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}

/// An evidence file; or a list of entries, each `name | 0 | length (u16, big-endian) | bytes`, which is then packed as a
/// file is, because chance does not find the checksums of a zip.
fn evidence(bytes: &[u8]) {
    judge(bytes);
    let entries = listed(bytes);
    if entries.keys().any(|name| name.len() > container::NAME_MAX_BYTES) {
        return;
    }
    let file = container::pack(&entries).expect("few and short entries fit");
    assert_eq!(container::unpack(&file).as_ref(), Ok(&entries));
    judge(&file);
}

fn listed(bytes: &[u8]) -> Entries<'_> {
    let (mut entries, mut rest) = (Entries::new(), bytes);
    while let Some((name, after)) = split_at_zero(rest) {
        let Some((length, after)) = after.split_first_chunk() else { break };
        let (inside, next) = after.split_at(after.len().min(usize::from(u16::from_be_bytes(*length))));
        entries.insert(name, inside);
        rest = next;
    }
    entries
}

fn judge(file: &[u8]) {
    let Ok(opened) = Opened::read(file) else { return };
    for other in [&opened, known()] {
        let forks = compare::compare(&opened, other);
        let _shown = words::forks(&forks);
    }
    if let Ok(facts) = check(&opened) {
        let _shown = words::facts(&opened.evidence, &facts, &Trusted::default());
    }
}

/// The first of the made files, a good one: two that contradict each other are beyond chance.
fn known() -> &'static Opened {
    static KNOWN: LazyLock<Opened> = LazyLock::new(|| {
        let line = include_str!("../../corpus/evidence-made.txt").lines().next().expect("a file was made");
        let digits = line.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).expect("digits are ASCII"));
        let list: Vec<u8> = digits.map(|two| u8::from_str_radix(two, 16).expect("hexadecimal digits")).collect();
        let file = container::pack(&listed(&list)).expect("few and short entries fit");
        Opened::read(&file).expect("it is an evidence file")
    });
    &KNOWN
}

fn split_at_zero(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let at = bytes.iter().position(|byte| *byte == 0)?;
    Some((std::str::from_utf8(&bytes[..at]).ok()?, &bytes[at + 1..]))
}

/// Whatever is taken as a value of this type would be written the same way.
fn written_alike<T: Encode + Decode<()> + Debug>(bytes: &[u8]) {
    if let Ok(value) = codec::decode::<T>(bytes) {
        assert_eq!(codec::encode(&value), bytes, "{value:?}");
    }
}

/// The sender and the receiver of most vectors.
fn nodes() -> [NodeId; 2] {
    ["cert.br", "cert.cl"].map(|id| NodeId::new(id).expect("a node's name"))
}

/// The words of one key, which cost 64 MiB to make, once.
fn phrase() -> &'static Phrase {
    static PHRASE: LazyLock<Phrase> =
        LazyLock::new(|| Phrase::of(&nodes()[0], &IdentityKey::from_seed(&[1; 32]).public()));
    &PHRASE
}
