//! Three nodes with real keys, what they really signed, and what each link takes. A message is genuine at the places for
//! which it was signed, and nowhere else.

use aldis_wire::card::{Card, VerifiedCard};
use aldis_wire::checkpoint::{Checkpoint, SignedCheckpoint};
use aldis_wire::codec::{self, Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Extension, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{self, Body, EnvelopeError, EnvelopeVerifier};
use aldis_wire::header::{ExactHeader, Header};
use aldis_wire::hello::{Expected, Hello, HelloError, Role};
use aldis_wire::ids::{CaseId, Incarnation, NodeId, Seq, UnixMillis};
use aldis_wire::keyring::{KeyRing, KeySwitch};
use aldis_wire::kinds;
use aldis_wire::lane::{Lane, LaneMark, Marks};
use aldis_wire::proof::sign_batch;
use aldis_wire::receipt::{Receipt, ReceiptError, VerifiedReceipt};
use aldis_wire::signing::IdentityKey;
use bytes::Bytes;
use std::collections::HashSet;

/// The last place the first key of `cert.br` signed in each lane.
pub(crate) const ENDED_AT: u64 = 5;

/// Where a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    /// To the verifier of one direction of a link: from, to.
    Envelope(usize, usize),
    /// To a node that sent envelopes: from, to.
    Receipt(usize, usize),
    /// To one end of one connection: the role that must have signed, from, to, and which connection.
    Hello(Role16, usize, usize, u8),
    /// To somebody who knows the key of this node.
    Card(usize),
    /// Beside the evidence of one export of this node.
    Checkpoint(usize, u8),
}

/// A role's number.
pub(crate) type Role16 = u16;

/// A message that was really signed, and where it is taken.
pub(crate) struct Genuine {
    pub(crate) place: Place,
    pub(crate) bytes: Vec<u8>,
}

/// What came of showing bytes at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Refused, by this check.
    Refused(&'static str),
    /// A genuine envelope whose body was left out, which everybody on the way may do: nothing is claimed that was not
    /// signed.
    WithoutBody,
    /// Taken.
    Accepted,
}

/// Everybody and everything.
pub(crate) struct Scene {
    pub(crate) nodes: [NodeId; 3],
    /// The newest key of each node.
    pub(crate) keys: [IdentityKey; 3],
    /// The key before the newest of the first node.
    pub(crate) ended: IdentityKey,
    /// A key of nobody.
    pub(crate) stranger: IdentityKey,
    pub(crate) genuine: Vec<Genuine>,
    pub(crate) places: Vec<Place>,
    /// The genuine messages by sort, as numbers; envelopes stand twice, because most can be done to them.
    pub(crate) sorts: [Vec<usize>; 6],
    known: HashSet<(Place, Vec<u8>)>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let nodes = ["cert.br", "cert.cl", "cert.uy"].map(|id| NodeId::new(id).expect("a node's name"));
        let key = |seed| IdentityKey::from_seed(&[seed; 32]);
        let mut scene = Self {
            nodes,
            keys: [key(1), key(2), key(3)],
            ended: key(4),
            stranger: key(9),
            genuine: Vec::new(),
            places: Vec::new(),
            sorts: Default::default(),
            known: HashSet::new(),
        };
        for (from, to) in [(0, 1), (0, 2), (1, 0), (2, 1)] {
            scene.envelopes(from, to);
            scene.receipts(from, to);
            scene.hellos(from, to);
        }
        (0..3).for_each(|node| scene.cards_and_checkpoints(node));
        scene.places = scene.genuine.iter().map(|genuine| genuine.place).collect();
        scene.places.dedup();
        scene.sorts = [0, 0, 1, 2, 3, 4].map(|sort| scene.of_sort(sort));
        scene
    }

    fn of_sort(&self, sort: u8) -> Vec<usize> {
        let is_of = |place| match place {
            Place::Envelope(..) => 0,
            Place::Receipt(..) => 1,
            Place::Hello(..) => 2,
            Place::Card(_) => 3,
            Place::Checkpoint(..) => 4,
        };
        (0..self.genuine.len()).filter(|number| is_of(self.genuine[*number].place) == sort).collect()
    }

    /// Whether exactly these bytes were signed for this place.
    pub(crate) fn is_genuine(&self, place: Place, bytes: &[u8]) -> bool {
        self.known.contains(&(place, bytes.to_vec()))
    }

    /// Shows bytes at a place. An envelope's verifier has just taken `before`, whose batch it remembers.
    pub(crate) fn show(&self, place: Place, before: Option<&[u8]>, bytes: &[u8]) -> Outcome {
        match place {
            Place::Envelope(from, to) => self.show_envelope(from, to, before, bytes),
            Place::Receipt(from, to) => {
                let key = self.keys[from].public();
                let found = VerifiedReceipt::verify(bytes, &self.nodes[from], &self.nodes[to], &key);
                outcome(found.map(|_| ()).map_err(|error| match error {
                    ReceiptError::Malformed(_) => "receipt: structure",
                    ReceiptError::Witness(_) => "receipt: witness",
                    ReceiptError::NotOurs(_) => "receipt: not ours",
                    ReceiptError::Signature(_) => "receipt: signature",
                }))
            }
            Place::Hello(role, from, to, connection) => {
                let (exporter, keys) = (exporter(connection), [self.keys[from].public()]);
                let (from, to) = (&self.nodes[from], &self.nodes[to]);
                let expected = Expected { role: Role(role), from, to, exporter: &exporter, keys: &keys };
                outcome(Hello::verify(bytes, &expected).map(|_| ()).map_err(|error| match error {
                    HelloError::Malformed(_) => "hello: structure",
                    HelloError::NotThisLink(_) => "hello: not this link",
                    HelloError::Signature(_) => "hello: signature",
                    HelloError::NoCommonVersion { .. } => "hello: version",
                }))
            }
            Place::Card(node) => match VerifiedCard::from_signed_bytes(bytes) {
                // Anybody can sign a card of a key of their own; it is not the key on record.
                Ok(card) if *card.key() != self.keys[node].public() => Outcome::Refused("card: another key"),
                Ok(_) => Outcome::Accepted,
                Err(aldis_wire::card::CardError::Signature) => Outcome::Refused("card: signature"),
                Err(_) => Outcome::Refused("card: structure"),
            },
            Place::Checkpoint(node, export) => {
                let Ok(read) = SignedCheckpoint::parse(bytes) else { return Outcome::Refused("checkpoint: structure") };
                match read.verify([&self.keys[node].public()]) {
                    Err(_) => Outcome::Refused("checkpoint: signature"),
                    Ok((said, _)) if said.node != self.nodes[node] || said.made_for != made_for(export) => {
                        Outcome::Refused("checkpoint: of another export")
                    }
                    Ok(_) => Outcome::Accepted,
                }
            }
        }
    }

    fn show_envelope(&self, from: usize, to: usize, before: Option<&[u8]>, bytes: &[u8]) -> Outcome {
        let ring = self.ring(from);
        let mut verifier = EnvelopeVerifier::new(self.nodes[from].clone(), self.nodes[to].clone(), ring);
        if let Some(before) = before {
            let taken = verifier.verify(&Bytes::copy_from_slice(before));
            assert!(taken.is_ok(), "a genuine envelope is taken: {taken:?}");
        }
        match verifier.verify(&Bytes::copy_from_slice(bytes)) {
            Ok(envelope) => {
                let is_signed = self.genuine.iter().any(|genuine| {
                    genuine.place == Place::Envelope(from, to)
                        && contains(&genuine.bytes, envelope.header().bytes())
                        && genuine.bytes.ends_with(envelope.proof_bytes())
                });
                let is_bare = matches!(envelope.body(), Body::Withheld(_));
                if is_bare && is_signed { Outcome::WithoutBody } else { Outcome::Accepted }
            }
            Err(error) => Outcome::Refused(match error {
                EnvelopeError::Malformed(_) => "envelope: structure",
                EnvelopeError::Header(_) => "envelope: header",
                EnvelopeError::Misrouted { .. } => "envelope: misrouted",
                EnvelopeError::UnknownKey => "envelope: unknown key",
                EnvelopeError::Proof(aldis_wire::proof::ProofError::Path) => "envelope: path",
                EnvelopeError::Proof(_) => "envelope: signature",
                EnvelopeError::Body => "envelope: commitment",
            }),
        }
    }

    fn ring(&self, node: usize) -> KeyRing {
        if node != 0 {
            return self.keys[node].public().into();
        }
        let mut ring = KeyRing::from(self.ended.public());
        ring.switch([ENDED_AT; 4], self.keys[0].public());
        ring
    }

    fn add(&mut self, place: Place, bytes: Vec<u8>) {
        assert_eq!(self.show(place, None, &bytes), Outcome::Accepted, "{place:?}");
        self.known.insert((place, bytes.clone()));
        self.genuine.push(Genuine { place, bytes });
    }

    /// Sixteen envelopes in batches of 1, 2, 3 and 4, in four lanes, over the end of a key where there was one.
    fn envelopes(&mut self, from: usize, to: usize) {
        let batches: [&[u64]; 5] = [&[1], &[2, 3], &[4, 5], &[6, 7, 8], &[9, 10, 11, 12]];
        for lane in Lane::ALL {
            let mut previous = Digest::ZERO;
            for batch in batches {
                let ends = from == 0 && batch[0] <= ENDED_AT;
                let key = if ends { &self.ended } else { &self.keys[from] };
                let made = batch.iter().map(|seq| {
                    let body = body(*seq);
                    let header = self.header(from, to, key, lane, *seq, previous, &body);
                    let header = ExactHeader::encode(header).expect("a header within the rules");
                    previous = header.digest();
                    (header, *seq, body)
                });
                let made: Vec<_> = made.collect();
                let digests: Vec<Digest> = made.iter().map(|(header, ..)| header.digest()).collect();
                let proofs = sign_batch(key, &digests);
                for ((header, seq, body), proof) in made.iter().zip(proofs) {
                    let body = Body::Present { salt: salt(*seq), bytes: Bytes::copy_from_slice(body) };
                    let bytes = envelope::assemble(header.bytes(), &body, &codec::encode(&proof));
                    self.add(Place::Envelope(from, to), bytes.to_vec());
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what differs between the headers of this scene")]
    fn header(
        &self,
        from: usize,
        to: usize,
        key: &IdentityKey,
        lane: Lane,
        seq: u64,
        previous: Digest,
        body: &[u8],
    ) -> Header {
        let received =
            seq.is_multiple_of(2).then(|| LaneMark { lane, seq: Seq::FIRST, digest: Digest::of(&[b"received"]) });
        Header {
            version: 1,
            key_id: key.id(),
            incarnation: Incarnation(7),
            from: self.nodes[from].clone(),
            to: self.nodes[to].clone(),
            also_to: List::empty(),
            desk: Desk::TECHNICAL,
            lane,
            seq: Seq::new(seq).expect("a place"),
            previous,
            received,
            sent_at: UnixMillis::new(1_795_316_400_123 + seq),
            expires_at: UnixMillis::new(1_795_402_800_123),
            case: CaseId([5; 16]),
            references: List::empty(),
            author: text("duty officer"),
            released_by: (seq == 3).then(|| text("head of shift")),
            on_behalf_of: None,
            tlp: Tlp::AMBER,
            exercise: (seq == 4).then(|| text("cyber shield 26")),
            kind: Code::known("incident"),
            kind_version: 1,
            body_length: u32::try_from(body.len()).expect("a short body"),
            body_commitment: envelope::commitment(&salt(seq), body),
            extensions: Header::extensions_with((seq == 2).then_some(3_600)),
        }
    }

    fn receipts(&mut self, from: usize, to: usize) {
        for number in 0..4_u64 {
            let receipt = Receipt {
                version: 1,
                key_id: self.keys[from].id(),
                incarnation: Incarnation(8),
                from: self.nodes[from].clone(),
                to: self.nodes[to].clone(),
                stored: marks(number),
                sent: marks(number / 2),
                stored_at: UnixMillis::new(1_795_316_400_200 + number),
                commitment: Digest::of(&[b"journal", &[number.to_le_bytes()[0]]]),
                extensions: Receipt::extensions_with((number > 1).then(|| Digest::of(&[b"witness"]))),
            };
            self.add(Place::Receipt(from, to), receipt.sign(&self.keys[from]));
        }
    }

    fn hellos(&mut self, from: usize, to: usize) {
        for (role, connection) in [(1, 0), (2, 0), (1, 1), (2, 1)] {
            let switch = (from == 0).then(|| KeySwitch { ended: self.ended.id(), last: [ENDED_AT; 4] });
            let hello = Hello {
                versions: List::new(vec![1, 2]).expect("two versions"),
                role: Role(role),
                from: self.nodes[from].clone(),
                to: self.nodes[to].clone(),
                exporter: exporter(connection),
                key_id: self.keys[from].id(),
                incarnation: Incarnation(7),
                card: Digest::of(&[b"card"]),
                peer_card: Digest::of(&[b"the other card"]),
                received: marks(u64::from(connection)),
                sent: marks(4),
                sent_at: UnixMillis::new(1_795_316_400_000),
                extensions: Hello::extensions_with(switch, &marks(u64::from(connection))),
            };
            self.add(Place::Hello(role, from, to, connection), hello.sign(&self.keys[from]));
        }
    }

    fn cards_and_checkpoints(&mut self, node: usize) {
        for sequence in 1..4 {
            let extension = Extension { tag: 900, bytes: Blob::new(vec![1, 2]).expect("short") };
            let card = Card {
                version: 1,
                id: self.nodes[node].clone(),
                name: text("A CERT"),
                country: text("BR"),
                identity_key: *self.keys[node].public().as_bytes(),
                tls_certificate: Blob::new(vec![0x30; 300]).expect("short"),
                tls_name: (sequence == 2).then(|| text("node.cert.example")),
                endpoints: List::new(vec![text("192.0.2.1:7744")]).expect("one"),
                contacts: List::empty(),
                kinds: kinds::kind_versions(),
                issued_at: UnixMillis::new(1_795_000_000_000),
                valid_until: UnixMillis::new(1_826_536_000_000),
                sequence,
                extensions: Extensions::new(vec![extension]).expect("one"),
            };
            self.add(Place::Card(node), card.sign(&self.keys[node]).signed_bytes().to_vec());
        }
        for (export, size) in [(0, 17), (1, 18), (2, 4_000_000_000)] {
            let (root, made_for) = (Digest::of(&[b"root", &[export]]), made_for(export));
            let checkpoint = Checkpoint { node: self.nodes[node].clone(), size, root, made_for };
            self.add(Place::Checkpoint(node, export), checkpoint.sign(&self.keys[node]).into_bytes());
        }
    }
}

/// The keying material of a connection.
pub(crate) fn exporter(connection: u8) -> [u8; 32] {
    [0xa0 + connection; 32]
}

/// What an export's checkpoint was made for.
pub(crate) fn made_for(export: u8) -> Digest {
    Digest::of(&[b"export", &[export]])
}

/// A short text.
pub(crate) fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).expect("it is short")
}

fn salt(seq: u64) -> envelope::Salt {
    [seq.to_le_bytes()[0] + 1; 16]
}

/// Bodies of 0 to about 1,000 bytes; those of the places 6 and 7 are alike.
fn body(seq: u64) -> Vec<u8> {
    match seq {
        1 => Vec::new(),
        7 => body(6),
        _ => format!("body {seq} ").repeat(usize::try_from(seq * 10).expect("short")).into_bytes(),
    }
}

fn marks(number: u64) -> Marks {
    let mut marks = Marks::default();
    for lane in Lane::ALL.into_iter().take(usize::try_from(number).expect("small")) {
        marks.set(lane, Seq::new(number + 1).expect("a place"), Digest::of(&[b"mark", &[lane.code()]]));
    }
    marks
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

fn outcome(result: Result<(), &'static str>) -> Outcome {
    result.map_or_else(Outcome::Refused, |()| Outcome::Accepted)
}
