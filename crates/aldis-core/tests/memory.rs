//! What a backlog costs: a million notices of 1 KiB for a peer that is offline cost indexes only, never their bodies. A
//! binary of its own, because it measures the memory of the whole process.

use aldis_core::input::{Input, Submission, Token};
use aldis_core::limits::Limits;
use aldis_core::trust::{Act, Person};
use aldis_core::{Core, Moment, Order};
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{CaseId, Incarnation, NodeId, UnixMillis};
use aldis_wire::kinds::Bearing;
use aldis_wire::lane::Lane;
use aldis_wire::signing::{Identities, IdentityKey};
use bytes::Bytes;
use std::convert::Infallible;
use std::time::{Duration, Instant};

const NOTICES: u64 = 1_000_000;
const MOST_MIB: u64 = 160;
const NOW_MS: u64 = 1_795_316_400_000;

#[test]
fn i7_a_million_undelivered_notices_cost_indexes_only() {
    let key: Identities = IdentityKey::from_seed(&[1; 32]).into();
    let own = NodeId::new("cert.br").unwrap();
    let peer = NodeId::new("cert.cl").unwrap();
    let mut core = Core::new(own.clone(), key.newest().id(), Limits { two_persons: false, ..Limits::default() });
    start(&mut core, &key, &peer);
    let before = resident_mib();

    let began = Instant::now();
    let mut sent = 0;
    while sent < NOTICES {
        let mut batch = core.batch();
        while sent < NOTICES && !batch.is_full() {
            let submission = Box::new(notice(&peer, sent));
            core.handle(moment(sent), Input::Submit(Token(sent), submission), &mut batch);
            sent += 1;
        }
        core.handle(moment(sent), Input::Tick, &mut batch);
        // The records go to the journal and leave the memory, as on a node.
        core.complete(moment(sent), batch).commit(&key, |_| Ok::<(), Infallible>(())).unwrap();
    }
    let submitting = began.elapsed();
    let held = resident_mib();

    let (snapshot, encoding) = timed(|| core.snapshot());
    let (again, decoding) =
        timed(|| Core::from_snapshot(&snapshot, own, key.newest().id(), Limits::default()).unwrap());
    assert_eq!(core.peer(&peer).unwrap().sent_marks(), again.peer(&peer).unwrap().sent_marks());
    println!(
        "{NOTICES} undelivered notices of 1 KiB: {} MiB resident for the indexes ({held} in all); submitted in {submitting:?}; \
         snapshot {} MiB, written in {encoding:?}, read in {decoding:?}",
        held - before,
        snapshot.len() >> 20,
    );
    let total = core
        .peers()
        .map(|(_, known)| known.durable.out.iter().map(aldis_core::outbound::OutLane::undelivered).sum::<u64>());
    assert_eq!(total.sum::<u64>(), NOTICES);
    assert!(held < MOST_MIB, "{held} MiB resident where at most {MOST_MIB} are allowed: bodies are retained");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// The memory of this process that is really there, in MiB.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells what a process uses");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the status names it");
    let kib = line.split_ascii_whitespace().nth(1).expect("a number of KiB");
    kib.parse::<u64>().expect("a number") / 1024
}

fn moment(number: u64) -> Moment {
    let entropy = *Digest::of(&[&number.to_be_bytes()]).as_bytes();
    Moment { wall: UnixMillis::new(NOW_MS), monotonic_ms: 0, entropy }
}

fn start(core: &mut Core, key: &Identities, peer: &NodeId) {
    let mut batch = core.batch();
    core.start(moment(0), Incarnation(1), "test", &mut batch);
    let card = Box::new(card(peer, &IdentityKey::from_seed(&[2; 32])));
    core.handle(moment(0), Input::AddPeer { token: Token(0), card, by: text("admin") }, &mut batch);
    let by = Person { uid: 1, name: text("admin") };
    let order = Order { act: Act::Verify, peer: peer.clone(), key: None, by, why: text("measured") };
    core.handle(moment(0), Input::Administer { token: Token(0), order: Box::new(order) }, &mut batch);
    core.complete(moment(0), batch).commit(key, |_| Ok::<(), Infallible>(())).expect("nothing fails here");
}

fn notice(to: &NodeId, number: u64) -> Submission {
    let mut body = vec![0; 1_024];
    body[..8].copy_from_slice(&number.to_be_bytes());
    Submission {
        by: text("ana"),
        to: vec![to.clone()],
        salts: vec![[7; 16]],
        desk: Desk::TECHNICAL,
        lane: Lane::ALL[usize::try_from(number % 4).expect("small")],
        case: CaseId([5; 16]),
        references: List::empty(),
        author: text("duty officer"),
        on_behalf_of: None,
        tlp: Tlp::AMBER,
        exercise: None,
        kind: Code::known("incident"),
        bodies: vec![(1, Bytes::from(body))],
        bearing: Bearing::Notice,
        attachments: Vec::new(),
        lifetime_ms: 7 * 24 * 3_600_000,
        acknowledge_within_s: None,
    }
}

fn card(id: &NodeId, key: &IdentityKey) -> VerifiedCard {
    let card = Card {
        version: CARD_VERSION,
        id: id.clone(),
        name: text("a CERT"),
        country: text("XX"),
        identity_key: *key.public().as_bytes(),
        tls_certificate: Blob::new(vec![0x30; 8]).expect("short"),
        tls_name: None,
        endpoints: List::empty(),
        contacts: List::empty(),
        kinds: aldis_wire::kinds::kind_versions(),
        issued_at: UnixMillis::new(NOW_MS - 1_000),
        valid_until: UnixMillis::new(NOW_MS + 4_000 * 24 * 3_600_000),
        sequence: 1,
        extensions: Extensions::default(),
    };
    card.sign(key)
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::cut(text)
}
