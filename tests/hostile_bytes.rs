//! What no node of ours would ever send, over a channel that is in order: frames, Hellos and goodbyes that break the
//! protocol. Each has the answer that docs/protocol.md prescribes, and the node keeps serving everybody else.

use aldis_tests::certs::{Scene, eventually, is_escaped, told};
use aldis_tests::raw_peer::{framed, framed_raw};
use aldis_wire::codec::{Blob, Text};
use aldis_wire::codes::Extensions;
use aldis_wire::digest::Digest;
use aldis_wire::frame::{Chunk, Credit, Fetch, Frame, Goodbye, GoodbyeCode, History, Ping, Pong, Want};
use aldis_wire::hello::Role;
use aldis_wire::ids::{Incarnation, KeyId, NodeId, UnixMillis};
use aldis_wire::lane::Lane;
use aldis_wire::signing::IdentityKey;
use bytes::Bytes;

/// Bytes after a proper Hello, and the goodbye they must cause.
fn violations() -> Vec<(&'static str, Vec<u8>, GoodbyeCode)> {
    let broken = GoodbyeCode::PROTOCOL_ERROR;
    let credit = framed(&Frame::Credit(Credit { lane: Lane::Flash, total: 3 }));
    let trailing = framed_raw(3, &[&credit[5..], &[0]].concat());
    let want = |bytes| Frame::Want(Want { attachment: Digest::ZERO, offset: 0, bytes });
    let chunk = Frame::Chunk(Chunk { attachment: Digest::ZERO, offset: 0, bytes: Blob::new(vec![1]).unwrap() });
    let fetch = |from: &str, first, last| {
        framed(&Frame::Fetch(Fetch { from: NodeId::new(from).unwrap(), lane: Lane::Flash, first, last }))
    };
    let history = Frame::History(History {
        from: NodeId::new("cert.br").unwrap(),
        lane: Lane::Flash,
        seq: 1,
        bytes: Blob::new(Vec::new()).unwrap(),
        extensions: Extensions::default(),
    });
    vec![
        ("a frame of no bytes", 0_u32.to_be_bytes().to_vec(), broken),
        ("a frame one byte too long", 65_537_u32.to_be_bytes().to_vec(), broken),
        ("a frame of 4 GiB", u32::MAX.to_be_bytes().to_vec(), broken),
        ("an unknown frame type", framed_raw(11, b"?"), broken),
        ("an unknown frame type without payload", framed_raw(255, b""), broken),
        ("a credit that ends early", framed_raw(3, &[0]), broken),
        ("a credit for a fifth lane", framed_raw(3, &[4, 1]), broken),
        ("a credit with a byte behind it", trailing, broken),
        ("a number wider than it needs", framed_raw(4, &[0xfb, 0, 7]), broken),
        ("a goodbye whose text is not UTF-8", framed_raw(6, &[3, 0, 2, 0xc3, 0x28]), broken),
        ("a text that claims 4 GiB", framed_raw(6, &[3, 0, 0xfc, 0xff, 0xff, 0xff, 0xff]), broken),
        ("a second Hello", framed(&Frame::Hello(Bytes::from_static(b"hello"))), broken),
        ("a want of too much", framed(&want((1 << 20) + 1)), broken),
        ("wants without end", framed(&want(1)).repeat(500), GoodbyeCode::NO_CREDIT),
        ("a chunk that nobody asked for", framed(&chunk), broken),
        ("a fetch of too much", fetch("cert.br", 1, 65), broken),
        ("a fetch of nothing", fetch("cert.br", 2, 1), broken),
        ("a fetch of somebody else's", fetch("cert.ar", 1, 2), broken),
        ("fetches without end", fetch("cert.cl", 1, 64).repeat(500), GoodbyeCode::NO_CREDIT),
        ("history that nobody asked for", framed(&history), broken),
        ("an empty envelope", framed_raw(1, b""), GoodbyeCode::DOES_NOT_VERIFY),
        ("an envelope of the longest frame", framed_raw(1, &[0xff; 65_535]), GoodbyeCode::DOES_NOT_VERIFY),
        ("a receipt that is none", framed_raw(2, b"receipt"), GoodbyeCode::DOES_NOT_VERIFY),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_break_the_protocol_get_their_goodbye() {
    let scene = Scene::new().await;
    for (what, bytes, code) in violations() {
        let mut link = scene.raw.link(&scene.node).await;
        link.write(&bytes).await;
        let goodbye = link.goodbye().await.unwrap_or_else(|| panic!("{what}: no goodbye"));
        assert_eq!(goodbye.code, code, "{what}: {goodbye:?}");
        assert!(scene.node.node().notes.of(&scene.raw.cert.id).last_error.is_some(), "{what}: nobody is told");
        scene.unharmed(what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_cut_short_by_the_end_of_the_connection_takes_no_place() {
    let mut scene = Scene::new().await;
    let envelope = scene.raw.notice(&scene.node.id, Lane::Priority, "half");
    let bytes = framed(&Frame::Envelope(envelope.clone()));
    for cut in [2, 4, 5, bytes.len() / 2, bytes.len() - 1] {
        let mut link = scene.raw.link(&scene.node).await;
        link.write(&bytes[..cut]).await;
        drop(link);
    }
    let mut link = scene.raw.link(&scene.node).await;
    assert!(link.hello.received.get(Lane::Priority).is_none());
    link.envelope(&envelope).await;
    link.receipted(Lane::Priority, 1).await;
    scene.unharmed("frames cut short").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goodbye_arrives_although_the_peer_kept_sending() {
    let scene = Scene::new().await;
    let pings = framed(&Frame::Ping(Ping { nonce: 1 })).repeat(100_000);
    for _ in 0..5 {
        let mut link = scene.raw.link(&scene.node).await;
        link.write(&framed_raw(11, b"?")).await;
        // The node stops reading at the first of these; closing over the rest must not reset the goodbye away.
        link.write(&pings[..400_000]).await;
        assert_eq!(link.parted().await, (GoodbyeCode::PROTOCOL_ERROR, true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_that_does_not_hold_makes_no_link() {
    use GoodbyeCode as Code;
    let scene = Scene::new().await;
    let (node, raw) = (&scene.node, &scene.raw);
    let stranger = IdentityKey::from_seed(&[9; 32]);
    let another = raw.secured(node).await.exporter;
    let (own, stolen) = (raw.key(), Code::DOES_NOT_VERIFY);
    let mut links = vec![
        ("signed with another key", raw.hello_changed(node, &stranger, |_| {}).await, stolen),
        ("of another connection", raw.hello_changed(node, &own, |hello| hello.exporter = another).await, stolen),
        ("of no connection", raw.hello_changed(node, &own, |hello| hello.exporter = [0; 32]).await, stolen),
        ("of the other end", raw.hello_changed(node, &own, |hello| hello.role = Role::LISTENER).await, stolen),
        ("of an unknown role", raw.hello_changed(node, &own, |hello| hello.role = Role(3)).await, stolen),
        ("to another node", raw.hello_changed(node, &own, |hello| hello.to = scene.other.id.clone()).await, stolen),
        ("from another node", raw.hello_changed(node, &own, |hello| hello.from = scene.other.id.clone()).await, stolen),
        ("by another key id", raw.hello_changed(node, &own, |hello| hello.key_id = KeyId([1; 16])).await, stolen),
        (
            "without an incarnation",
            raw.hello_changed(node, &own, |hello| hello.incarnation = Incarnation(0)).await,
            stolen,
        ),
        (
            "versions that do not ascend",
            raw.hello_changed(node, &own, |hello| hello.versions = list(&[2, 1])).await,
            stolen,
        ),
        (
            "of no version",
            raw.hello_changed(node, &own, |hello| hello.versions = list(&[])).await,
            Code::PROTOCOL_ERROR,
        ),
        (
            "of newer versions",
            raw.hello_changed(node, &own, |hello| hello.versions = list(&[2, 3])).await,
            Code::PROTOCOL_ERROR,
        ),
    ];
    for (what, link, code) in &mut links {
        let goodbye = link.goodbye().await.unwrap_or_else(|| panic!("{what}: no goodbye"));
        assert_eq!(goodbye.code, *code, "{what}: {goodbye:?}");
        let note = scene.node.node().notes.of(&scene.raw.cert.id).last_error;
        // The node itself dials the peer meanwhile, in vain; the later note of the two stands.
        let noted = note.expect("a note").0;
        assert!(["hello-failed", "unreachable"].contains(&noted.as_str()), "{what}: {noted}");
    }
    // Not one of them counted as a link.
    let (kept, _) = scene.node.node().events.listen(Some(0));
    assert!(!kept.iter().any(|told| told::is_link_up(told, &scene.raw.cert.id)));
    scene.unharmed("bad Hellos").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_node_that_also_speaks_version_1_gets_its_link() {
    let scene = Scene::new().await;
    let key = scene.raw.key();
    let mut link = scene.raw.hello_changed(&scene.node, &key, |hello| hello.versions = list(&[1, 2, 900])).await;
    link.until(|frame| matches!(frame, Frame::Credit(_)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_before_the_hello_ends_the_connection() {
    let scene = Scene::new().await;
    for bytes in [framed(&Frame::Ping(Ping { nonce: 1 })), 70_000_u32.to_be_bytes().to_vec(), framed_raw(0, b"no")] {
        let goodbye = scene.raw.first_bytes(&scene.node, &bytes).await;
        assert!(goodbye.is_some(), "the node says why");
    }
    scene.unharmed("no Hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_flood_that_commits_nothing_keeps_nobody_waiting() {
    let scene = Scene::new().await;
    let mut link = scene.raw.link(&scene.node).await;
    let credits: Vec<u8> = (0..4_000_u64)
        .flat_map(|total| framed(&Frame::Credit(Credit { lane: Lane::ALL[(total % 4) as usize], total: 600 })))
        .collect();
    let flood = async {
        while link.try_write(&credits).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = flood => panic!("the flood ended"),
        () = async { for _ in 0..20 { scene.unharmed("a flood of credit").await; } } => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_answers_that_nobody_asked_for_are_not_journalled() {
    let scene = Scene::new().await;
    let mut link = scene.raw.link(&scene.node).await;
    let before = scene.node.view().await.journal.size;
    for number in 0..500_u64 {
        let at = UnixMillis::new(if number % 2 == 0 { 0 } else { scene.node.clock.wall().get() });
        link.frame(&Frame::Pong(Pong { nonce: number, at })).await;
    }
    link.frame(&Frame::Ping(Ping { nonce: 99 })).await;
    link.until(|frame| matches!(frame, Frame::Pong(Pong { nonce: 99, .. })).then_some(())).await;
    assert!(scene.node.view().await.journal.size < before + 10, "pongs must not fill the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_goodbye_is_shown_with_its_number() {
    let scene = Scene::new().await;
    let mut link = scene.raw.link(&scene.node).await;
    let text = Text::cut("from the future");
    link.frame(&Frame::Goodbye(Goodbye { code: GoodbyeCode(4_711), lane: None, text })).await;
    assert!(link.goodbye().await.is_none(), "a goodbye is not answered");
    let (_, words, _) = scene.node.node().notes.of(&scene.raw.cert.id).last_error.expect("a note");
    assert!(words.contains("4711") && words.contains("from the future"), "{words}");
    scene.unharmed("an unknown goodbye").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_blocked_by_the_peer_is_an_alarm_until_it_is_unblocked() {
    let scene = Scene::new().await;
    let mut link = scene.raw.link(&scene.node).await;
    let goodbye = Goodbye { code: GoodbyeCode::LANE_BLOCKED, lane: Some(Lane::Flash), text: Text::cut("three") };
    link.frame(&Frame::Goodbye(goodbye)).await;
    eventually("the alarm", || async { scene.alarms().await.contains(&"lane-blocked-by-peer".to_owned()) }).await;
    assert!(scene.node.peer(&scene.raw.cert).await.lanes[0].blocked_there);
    scene.node.unblock(&scene.raw.cert, Lane::Flash).await.expect("unblocked");
    assert!(scene.alarms().await.is_empty());
}

#[test]
fn hostile_text_is_recognised_by_the_test_itself() {
    assert!(is_escaped("plain \\u{202e} \\n"));
    assert!(!is_escaped("a\u{202e}b") && !is_escaped("a\u{1b}[2Jb") && !is_escaped("a\nb"));
}

fn list(versions: &[u16]) -> aldis_wire::codec::List<u16, 16> {
    aldis_wire::codec::List::new(versions.to_vec()).expect("few")
}
