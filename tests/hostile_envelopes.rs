//! Envelopes and receipts of a valid peer that are wrong: they take no place, or are told apart as replay, gap and
//! equivocation, as docs/protocol.md says; and the node keeps serving everybody else.

use aldis_core::record::{Received, Record, Standing};
use aldis_node::event_loop::RequestError;
use aldis_tests::certs::{Scene, eventually};
use aldis_tests::raw_peer::{RawPeer, SALT, assembled, assembled_raw, body_of, framed, signed_parts};
use aldis_wire::codec::{self, Blob, List};
use aldis_wire::codes::Tlp;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{self, Body, EnvelopeVerifier};
use aldis_wire::frame::{Frame, GoodbyeCode};
use aldis_wire::header::{ExactHeader, Header};
use aldis_wire::ids::{Incarnation, KeyId, Seq};
use aldis_wire::kinds::Bearing;
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::proof::{Proof, sign_batch};
use aldis_wire::receipt::Receipt;
use aldis_wire::signing::IdentityKey;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

/// Everything that can be wrong with an envelope's bytes. None takes the place it claims.
fn unverifiable(scene: &Scene, lane: Lane) -> Vec<(&'static str, Bytes)> {
    let (raw, to, key) = (&scene.raw, &scene.node.id, scene.raw.key());
    let stranger = IdentityKey::from_seed(&[9; 32]);
    let body = body_of(to, "forged");
    let header = || raw.header(to, lane, &body);
    let exact = |header: Header| ExactHeader::encode(header).expect("a header within the rules");
    let right = assembled(&exact(header()), &body, &key);
    let with = |change: &dyn Fn(&mut Header)| {
        let mut changed = header();
        change(&mut changed);
        assembled(&exact(changed), &body, &key)
    };
    let broken = |change: &dyn Fn(&mut Header)| {
        let mut changed = header();
        change(&mut changed);
        assembled_raw(&codec::encode(&changed), &body, &key)
    };
    let proved = |change: &dyn Fn(&mut Proof)| {
        let header = exact(header());
        let mut proof = sign_batch(&key, &[header.digest(), Digest::ZERO]).remove(0);
        change(&mut proof);
        let present = Body::Present { salt: SALT, bytes: Bytes::copy_from_slice(&body) };
        envelope::assemble(header.bytes(), &present, &codec::encode(&proof))
    };
    let flipped = |at: usize| {
        let mut bytes = right.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    let withheld_with_salt = {
        // The byte after the header says whether the body is withheld.
        let mut bytes = right.to_vec();
        let at = exact(header()).bytes().len() + if bytes[0] < 251 { 1 } else { 3 };
        bytes[at] = 1;
        Bytes::from(bytes)
    };
    vec![
        ("signed with another key", assembled(&exact(header()), &body, &stranger)),
        ("names another key", with(&|header| header.key_id = KeyId([3; 16]))),
        ("to another node", with(&|header| header.to = scene.other.id.clone())),
        ("from another node", with(&|header| header.from = scene.other.id.clone())),
        ("of another place in the batch", proved(&|proof| proof.index = 1)),
        ("of a batch of another size", proved(&|proof| proof.batch_size = 3)),
        ("with a longer path", proved(&|proof| proof.path = List::new(vec![Digest::ZERO; 2]).expect("two"))),
        ("with another neighbour", proved(&|proof| proof.path = List::new(vec![Digest::of(&[b"x"])]).expect("one"))),
        ("with a changed body", flipped(right.len() - 100)),
        ("with a changed salt", with_salt(&exact(header()), &body, &key)),
        ("with a changed signature", flipped(right.len() - 1)),
        ("with a changed header", flipped(40)),
        ("with a byte behind it", Bytes::from([&right[..], &[0]].concat())),
        ("cut short", right.slice(..right.len() - 1)),
        ("not canonical", not_canonical(&right)),
        ("withheld, with a body", withheld_with_salt),
        ("of protocol version 2", broken(&|header| header.version = 2)),
        ("without TLP", broken(&|header| header.tlp = Tlp(0))),
        ("of kind version 0", broken(&|header| header.kind_version = 0)),
        ("without an incarnation", broken(&|header| header.incarnation = Incarnation(0))),
        ("of a body longer than allowed", {
            let long = vec![b'x'; 49_153];
            assembled_raw(&codec::encode(&raw.header(to, lane, &long)), &long, &key)
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_an_envelope_that_does_not_verify_takes_no_place() {
    let mut scene = Scene::new().await;
    let lanes = Lane::ALL.into_iter().cycle();
    for (number, lane) in (0..unverifiable(&scene, Lane::Flash).len()).zip(lanes) {
        let (what, bytes) = unverifiable(&scene, lane).remove(number);
        let mut link = scene.raw.link(&scene.node).await;
        let before = link.hello.received.seq(lane);
        link.envelope(&bytes).await;
        let goodbye = link.goodbye().await.unwrap_or_else(|| panic!("{what}: no goodbye"));
        assert_eq!(goodbye.code, GoodbyeCode::DOES_NOT_VERIFY, "{what}: {goodbye:?}");
        let mut link = scene.raw.link(&scene.node).await;
        assert_eq!(link.hello.received.seq(lane), before, "{what}: it took a place");
        // One that is right begins the count of strikes anew.
        let right = scene.raw.notice(&scene.node.id, lane, "right");
        link.envelope(&right).await;
        link.receipted(lane, before + 1).await;
    }
    scene.unharmed("envelopes that do not verify").await;
    assert!(scene.alarms().await.is_empty());
    assert!(scene.node.received().iter().all(|found| found.header.from != scene.raw.cert.id || is_notice(found)));
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_replay_is_receipted_and_never_handled_again() {
    let mut scene = Scene::new().await;
    let first = scene.raw.notice(&scene.node.id, Lane::Priority, "once");
    let second = scene.raw.notice(&scene.node.id, Lane::Priority, "twice");
    let mut link = scene.raw.link(&scene.node).await;
    for bytes in [&first, &second, &first, &second, &second, &first] {
        link.envelope(bytes).await;
    }
    link.receipted(Lane::Priority, 2).await;
    drop(link);
    scene.node.stop().await;
    scene.node.start().await;
    let mut link = scene.raw.link(&scene.node).await;
    assert_eq!(link.hello.received.seq(Lane::Priority), 2);
    for bytes in [&first, &second] {
        link.envelope(bytes).await;
        link.receipted(Lane::Priority, 2).await;
    }
    let stored = scene.node.received().into_iter().filter(|found| found.header.from == scene.raw.cert.id);
    let seqs: Vec<u64> = stored.map(|found| found.header.seq.get()).collect();
    assert_eq!(seqs, [1, 2], "each took its place once");
    scene.unharmed("replays").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_to_another_node_is_misrouted() {
    let mut scene = Scene::new().await;
    scene.other.enrol(&scene.raw.cert).await;
    let envelope = scene.raw.notice(&scene.node.id, Lane::Flash, "for cert.br alone");
    let mut link = scene.raw.link(&scene.other).await;
    link.envelope(&envelope).await;
    let goodbye = link.goodbye().await.expect("a goodbye");
    assert_eq!(goodbye.code, GoodbyeCode::DOES_NOT_VERIFY);
    assert!(goodbye.text.as_str().contains("misrouted"), "{goodbye:?}");
    assert!(scene.other.received().iter().all(|found| found.header.from != scene.raw.cert.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_gap_ends_the_link_and_the_next_resumes_where_it_was() {
    let mut scene = Scene::new().await;
    let notices: Vec<Bytes> = (0..3).map(|_| scene.raw.notice(&scene.node.id, Lane::Immediate, "in order")).collect();
    let mut link = scene.raw.link(&scene.node).await;
    link.envelope(&notices[0]).await;
    link.envelope(&notices[2]).await;
    assert_eq!(link.goodbye().await.expect("a goodbye").code, GoodbyeCode::RECORDS_DISAGREE);
    let mut link = scene.raw.link(&scene.node).await;
    assert_eq!(link.hello.received.seq(Lane::Immediate), 1);
    link.envelope(&notices[1]).await;
    link.envelope(&notices[2]).await;
    link.receipted(Lane::Immediate, 3).await;
    assert_eq!(scene.node.peer(&scene.raw.cert).await.standing, Standing::Good);
    scene.unharmed("a gap").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_equivocation_quarantines_the_peer_and_keeps_both_signatures() {
    for wrong_previous in [false, true] {
        let mut scene = Scene::new().await;
        let first = scene.raw.notice(&scene.node.id, Lane::Priority, "the truth");
        let mut fork = RawPeer::fork(&scene.raw, wrong_previous);
        let second = fork.notice(&scene.node.id, Lane::Priority, "another truth");
        let mut link = scene.raw.link(&scene.node).await;
        link.envelope(&first).await;
        link.receipted(Lane::Priority, 1).await;
        link.envelope(&second).await;
        assert_eq!(link.goodbye().await.expect("a goodbye").code, GoodbyeCode::RECORDS_DISAGREE);
        assert_eq!(scene.alarms().await, ["quarantined"]);
        let kept = scene.node.records().into_iter().find_map(|(record, _)| match record {
            Record::Standing(changed) => changed.evidence,
            _ => None,
        });
        let (header, proof) = kept.expect("the second signature is in the journal");
        assert!(second.windows(header.bytes().len()).any(|part| part == &header.bytes()[..]));
        assert!(second.ends_with(&proof));
        // It lasts, whatever the peer sends next and through a restart, and nothing is signed for it meanwhile.
        scene.node.stop().await;
        scene.node.start().await;
        let mut link = scene.raw.link(&scene.node).await;
        let third = scene.raw.notice(&scene.node.id, Lane::Priority, "let us forget it");
        link.envelope(&third).await;
        assert_eq!(link.goodbye().await.expect("a goodbye").code, GoodbyeCode::RECORDS_DISAGREE);
        assert_eq!(scene.alarms().await, ["quarantined"]);
        let declined = scene.node.try_send(&scene.raw.cert, Lane::Flash, "are you mad?").await;
        assert!(matches!(declined, Err(RequestError::Declined(_))), "{declined:?}");
        scene.unharmed("equivocation").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_by_another_incarnation_is_a_restored_backup() {
    let mut scene = Scene::new().await;
    let mut link = scene.raw.link(&scene.node).await;
    let (first, second) =
        (scene.raw.notice(&scene.node.id, Lane::Flash, "1"), scene.raw.notice(&scene.node.id, Lane::Flash, "2"));
    let restored = scene.raw.sent.clone();
    link.envelope(&first).await;
    link.envelope(&second).await;
    link.receipted(Lane::Flash, 2).await;
    scene.raw.sent = Marks::default();
    scene.raw.incarnation = Incarnation(78);
    let fork = scene.raw.notice(&scene.node.id, Lane::Flash, "1 again");
    link.envelope(&fork).await;
    assert_eq!(link.goodbye().await.expect("a goodbye").code, GoodbyeCode::RECORDS_DISAGREE);
    assert_eq!(scene.alarms().await, ["peer-lost-history"]);
    // Resynchronised by its administrators, its Hello says so, and the alarm ends.
    scene.raw.sent = restored;
    let _link = scene.raw.link(&scene.node).await;
    assert!(scene.alarms().await.is_empty());
    scene.unharmed("a restored peer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_envelopes_beyond_the_credit_end_the_link() {
    let mut scene = Scene::with(|setup| setup.limits.credit_window = 1).await;
    let mut bytes = Vec::new();
    for _ in 0..500 {
        bytes.extend(framed(&Frame::Envelope(scene.raw.notice(&scene.node.id, Lane::Routine, "flood"))));
    }
    let mut link = scene.raw.link(&scene.node).await;
    link.write(&bytes).await;
    let goodbye = link.goodbye().await.expect("a goodbye");
    assert_eq!((goodbye.code, goodbye.lane), (GoodbyeCode::NO_CREDIT, Some(Lane::Routine)));
    scene.unharmed("a flood").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_strikes_block_a_lane_until_it_is_unblocked() {
    let mut scene = Scene::new().await;
    let strike = unverifiable(&scene, Lane::Priority).remove(0).1;
    for expected in [GoodbyeCode::DOES_NOT_VERIFY, GoodbyeCode::DOES_NOT_VERIFY, GoodbyeCode::LANE_BLOCKED] {
        let mut link = scene.raw.link(&scene.node).await;
        link.envelope(&strike).await;
        assert_eq!(link.goodbye().await.expect("a goodbye").code, expected);
    }
    assert_eq!(scene.alarms().await, ["lane-blocked"]);
    scene.node.stop().await;
    scene.node.start().await;
    let right = scene.raw.notice(&scene.node.id, Lane::Priority, "right");
    let size = scene.node.view().await.journal.size;
    for bytes in [&right, &strike, &right] {
        let mut link = scene.raw.link(&scene.node).await;
        link.envelope(bytes).await;
        let goodbye = link.goodbye().await.expect("a goodbye");
        assert_eq!((goodbye.code, goodbye.lane), (GoodbyeCode::LANE_BLOCKED, Some(Lane::Priority)));
    }
    assert_eq!(scene.node.view().await.journal.size, size, "what a blocked peer sends must not fill the journal");
    let mut link = scene.raw.link(&scene.node).await;
    let flash = scene.raw.notice(&scene.node.id, Lane::Flash, "the other lanes go on");
    link.envelope(&flash).await;
    link.receipted(Lane::Flash, 1).await;
    scene.node.unblock(&scene.raw.cert, Lane::Priority).await.expect("unblocked");
    link.envelope(&right).await;
    link.receipted(Lane::Priority, 1).await;
    assert!(scene.alarms().await.is_empty());
    scene.unharmed("a blocked lane").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_receipt_that_does_not_hold_stores_nothing() {
    let scene = Scene::new().await;
    let id = scene.node.send(&scene.raw.cert, Lane::Priority, "is it there?").await;
    let digest = scene.node.peer(&scene.raw.cert).await.lanes[Lane::Priority.index()].sent_digest.expect("it was sent");
    let marks = |seq: u64, digest| {
        let mut marks = Marks::default();
        marks.set(Lane::Priority, Seq::new(seq).expect("a place"), digest);
        marks
    };
    let right = scene.raw.receipt(&scene.node.id, marks(1, digest));
    let stranger = IdentityKey::from_seed(&[9; 32]);
    let to_other = Receipt { to: scene.other.id.clone(), ..right.clone() };
    let from_other = Receipt { from: scene.other.id.clone(), ..right.clone() };
    let version = Receipt { version: 2, ..right.clone() };
    let run = Receipt { incarnation: Incarnation(0), ..right.clone() };
    let key = scene.raw.key();
    let (inner, mut signature) = signed_parts(&right.sign(&key));
    signature[0] ^= 1;
    let flipped = codec::encode(&(Blob::<16_384>::new(inner).expect("short"), signature));
    let bad = GoodbyeCode::DOES_NOT_VERIFY;
    let cases = [
        ("forged", right.sign(&stranger), bad),
        ("to another", to_other.sign(&key), bad),
        ("from another", from_other.sign(&key), bad),
        ("of another version", version.sign(&key), bad),
        ("of no incarnation", run.sign(&key), bad),
        ("mis-signed", flipped, bad),
        (
            "of another message",
            scene.raw.receipt(&scene.node.id, marks(1, Digest::ZERO)).sign(&key),
            GoodbyeCode::RECORDS_DISAGREE,
        ),
    ];
    for (what, bytes, code) in cases {
        let mut link = scene.raw.link(&scene.node).await;
        link.frame(&Frame::Receipt(Bytes::from(bytes))).await;
        assert_eq!(link.goodbye().await.unwrap_or_else(|| panic!("{what}: no goodbye")).code, code, "{what}");
        assert_eq!(scene.node.peer(&scene.raw.cert).await.lanes[Lane::Priority.index()].receipted, 0, "{what}");
        let lost = scene.alarms().await.contains(&"we-lost-history".to_owned());
        assert_eq!(lost, code == GoodbyeCode::RECORDS_DISAGREE, "{what}");
        // A Hello that agrees with our record ends that alarm.
        let _link = scene.raw.link(&scene.node).await;
        assert!(scene.alarms().await.is_empty(), "{what}");
    }
    let mut link = scene.raw.link(&scene.node).await;
    link.frame(&Frame::Receipt(Bytes::from(right.sign(&key)))).await;
    scene.node.delivered(&id, &aldis_core::effect::Delivery::Stored).await;
    scene.unharmed("bad receipts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_receipt_for_more_than_was_sent_is_not_unsaid_by_a_hello_that_claims_less() {
    let scene = Scene::new().await;
    scene.node.send(&scene.raw.cert, Lane::Priority, "is it there?").await;
    let mut marks = Marks::default();
    marks.set(Lane::Priority, Seq::new(2).expect("a place"), Digest::of(&[b"what was never sent"]));
    let mut link = scene.raw.link(&scene.node).await;
    link.frame(&Frame::Receipt(Bytes::from(scene.raw.receipt(&scene.node.id, marks).sign(&scene.raw.key())))).await;
    assert_eq!(link.goodbye().await.expect("a goodbye").code, GoodbyeCode::RECORDS_DISAGREE);
    for _ in 0..2 {
        assert_eq!(scene.alarms().await, ["we-lost-history"], "nothing more is signed for such a peer");
        let _link = scene.raw.link(&scene.node).await;
    }
    assert_eq!(scene.node.peer(&scene.raw.cert).await.lanes[Lane::Priority.index()].receipted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_a_retry_is_byte_identical_over_another_link_and_after_a_restart() {
    let mut scene = Scene::new().await;
    for number in 0..3 {
        scene.node.send(&scene.raw.cert, Lane::Priority, &format!("notice {number}")).await;
    }
    let mut first = Vec::new();
    for round in 0..4 {
        if round == 2 {
            scene.node.stop().await;
            scene.node.start().await;
        }
        let mut link = scene.raw.link(&scene.node).await;
        link.grant(10).await;
        let mut came = Vec::new();
        for _ in 0..3 {
            came.push(link.next_envelope().await);
        }
        // The link ends without a receipt, so all of it is sent again.
        if first.is_empty() {
            first = came;
        } else {
            assert_eq!(came, first, "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_flash_credit_counts_however_busy_the_node_is_when_the_link_comes_up() {
    let scene = Scene::new().await;
    let busy = async {
        let sends = stream::repeat(()).map(|()| scene.node.send(&scene.other, Lane::Routine, "busy"));
        sends.buffer_unordered(64).for_each(|_| async {}).await;
    };
    let links = async {
        for number in 0..30 {
            scene.node.send(&scene.raw.cert, Lane::Flash, &format!("flash {number}")).await;
            let key = scene.raw.key();
            let mut link = scene.raw.hello_changed(&scene.node, &key, |_| {}).await;
            // At once, not when the node has shown that it knows the link: its loop is still at another commit.
            link.grant(1_000).await;
            let bytes = link.next_envelope().await;
            assert_eq!(verifier(&scene).verify(&bytes).expect("it verifies").header().lane, Lane::Flash);
        }
    };
    tokio::select! {
        () = busy => unreachable!("it never ends"),
        () = links => {}
    }
    eventually("no alarm", || async { scene.alarms().await.is_empty() }).await;
}

fn is_notice(found: &Received) -> bool {
    found.bearing.as_ref().is_some_and(|bearing| bearing.get() == Bearing::Notice)
}

fn with_salt(header: &ExactHeader, body: &[u8], key: &IdentityKey) -> Bytes {
    let proof = codec::encode(&sign_batch(key, &[header.digest()])[0]);
    envelope::assemble(header.bytes(), &Body::Present { salt: [8; 16], bytes: Bytes::copy_from_slice(body) }, &proof)
}

/// The same envelope with the length of its header written wider than it needs.
fn not_canonical(bytes: &Bytes) -> Bytes {
    let wide = match bytes[0] {
        0xfb => [&[0xfc, 0, 0], &bytes[1..]].concat(),
        _ => [&[0xfb, 0], &bytes[..]].concat(),
    };
    Bytes::from(wide)
}

fn verifier(scene: &Scene) -> EnvelopeVerifier {
    EnvelopeVerifier::new(scene.node.id.clone(), scene.raw.cert.id.clone(), scene.node.key().public())
}
