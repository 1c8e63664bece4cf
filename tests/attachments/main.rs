//! Files between whole nodes over real TLS: they arrive byte for byte, go on after a break or a restart, hold up nothing, and
//! are given up in the open when they cannot be had. The hostile side is in [`hostile`].

mod hostile;

use aldis_core::effect::{AttachmentNews, Delivery, Happening};
use aldis_core::input::Submission;
use aldis_core::record::{Named, Record};
use aldis_node::attachments::Complete;
use aldis_tests::certs::{Cert, eventually, notice, two_certs};
use aldis_tests::content::content;
use aldis_tests::raw_peer::{RawLink, RawPeer};
use aldis_wire::codec::Blob;
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::frame::{CHUNK_MAX_BYTES, Chunk, Frame, Want};
use aldis_wire::header::Header;
use aldis_wire::ids::{EnvelopeId, NodeId};
use aldis_wire::kinds;
use aldis_wire::lane::Lane;
use bytes::Bytes;
use serde_json::json;

/// Hands a file in at a node and has it named.
async fn keep(cert: &Cert, bytes: &[u8]) -> Named {
    let (store, bytes) = (cert.node().attachments.clone(), bytes.to_vec());
    let kept = tokio::task::spawn_blocking(move || {
        let mut upload = store.upload(bytes.len() as u64).unwrap();
        upload.write(&bytes).unwrap();
        let (digest, size) = upload.finish().unwrap();
        store.name(digest).unwrap().unwrap().keep();
        Named { digest, size }
    });
    kept.await.unwrap()
}

/// The body of a notice that names files.
fn body(named: &[Named]) -> Vec<u8> {
    let file = |one: &Named| json!({"digest": one.digest.to_hex(), "size": one.size, "name": "probe.bin", "media_type": "application/x-probe"});
    let files: Vec<_> = named.iter().map(file).collect();
    let body = json!({"subject": "samples", "class": "malicious-code", "attachments": files});
    kinds::from_json("incident", 2, body).unwrap().bytes
}

fn naming(to: &NodeId, lane: Lane, named: &[Named]) -> Submission {
    let bodies = vec![(2, Bytes::from(body(named)))];
    Submission { bodies, attachments: named.to_vec(), ..notice(to, lane, "samples") }
}

async fn send_files(from: &Cert, to: &Cert, lane: Lane, named: &[Named]) -> (EnvelopeId, Digest) {
    from.node().handle.submit(naming(&to.id, lane, named)).await.unwrap().remove(0)
}

/// Waits until a node tells what became of a file.
async fn told(cert: &Cert, peer: &NodeId, digest: Digest, news: AttachmentNews) {
    eventually(&format!("{} tells {news:?}", cert.id), || async {
        let (kept, _) = cert.node().events.listen(Some(0));
        kept.iter().any(|told| told.happening == Happening::Attachment(peer.clone(), digest, news))
    })
    .await;
}

fn here(cert: &Cert, from: &NodeId, digest: Digest) -> Option<Vec<u8>> {
    let file: Complete = cert.node().attachments.read_from(from, digest).unwrap()?;
    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    Some(bytes)
}

async fn is_alarmed(cert: &Cert) -> bool {
    cert.view().await.alarms.iter().any(|alarm| alarm.code.as_str() == "attachment-lost")
}

/// A raw peer's next notice, which names files.
fn notice_naming(peer: &mut RawPeer, to: &NodeId, named: &[Named]) -> Bytes {
    let body = body(named);
    let header = Header { kind: Code::known("incident"), kind_version: 2, ..peer.header(to, Lane::Routine, &body) };
    peer.seal(header, &body)
}

/// The node's next want.
async fn next_want(link: &mut RawLink) -> Want {
    link.until(|frame| if let Frame::Want(want) = frame { Some(*want) } else { None }).await
}

fn chunk(attachment: Digest, offset: u64, bytes: &[u8]) -> Frame {
    Frame::Chunk(Chunk { attachment, offset, bytes: Blob::new(bytes.to_vec()).unwrap() })
}

/// Answers a want out of a file, chunk by chunk.
async fn answer(link: &mut RawLink, want: Want, file: &[u8]) {
    let range = usize::try_from(want.offset).unwrap()..usize::try_from(want.offset).unwrap() + want.bytes as usize;
    let mut offset = want.offset;
    for piece in file[range].chunks(CHUNK_MAX_BYTES) {
        link.frame(&chunk(want.attachment, offset, piece)).await;
        offset += piece.len() as u64;
    }
}

/// Answers wants until the node says what became of the file; gives those words.
async fn answer_all(link: &mut RawLink, file: &[u8]) -> Want {
    loop {
        let want = next_want(link).await;
        if want.bytes == 0 {
            return want;
        }
        answer(link, want, file).await;
    }
}

/// A node, and a peer that a test plays.
async fn node_and_peer() -> (Cert, RawPeer) {
    let (mut node, peer) = (Cert::new("cert.br"), RawPeer::new("cert.cl"));
    node.start().await;
    node.enrol(&peer.cert).await;
    (node, peer)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_arrive_byte_for_byte_and_both_ends_know() {
    let (br, cl) = two_certs().await;
    let files = [content(5_000_001, 1), content(1, 2), content(CHUNK_MAX_BYTES, 3)];
    let mut named = Vec::new();
    for file in &files {
        named.push(keep(&br, file).await);
    }
    let (id, _) = send_files(&br, &cl, Lane::Priority, &named).await;
    br.delivered(&id, &Delivery::Stored).await;
    for (one, file) in named.iter().zip(&files) {
        told(&cl, &br.id, one.digest, AttachmentNews::Held).await;
        told(&br, &cl.id, one.digest, AttachmentNews::Taken).await;
        assert!(here(&cl, &br.id, one.digest).as_deref() == Some(file));
    }
    assert!(!is_alarmed(&br).await && !is_alarmed(&cl).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_where_it_ended_after_a_break_and_after_a_restart() {
    let (mut node, mut peer) = node_and_peer().await;
    let file = content(4_000_003, 4);
    let named = Named { digest: Digest::of(&[&file]), size: file.len() as u64 };
    let notice = notice_naming(&mut peer, &node.id, &[named]);
    let mut came = 0;
    for restart in [false, true] {
        let mut link = peer.link(&node).await;
        if came == 0 {
            link.envelope(&notice).await;
        }
        let mut want = next_want(&mut link).await;
        assert_eq!((want.attachment, want.offset), (named.digest, came), "not from the beginning");
        let on_disk = || node.node().attachments.progress(&peer.cert.id, named.digest).unwrap_or(0);
        let before = came;
        while want.offset < before + 1_200_000 {
            answer(&mut link, want, &file).await;
            want = next_want(&mut link).await;
        }
        eventually("some of it is on disk", || async { on_disk() >= before + 1_000_000 }).await;
        came = on_disk();
        drop(link);
        if restart {
            node.stop().await;
            node.start().await;
        }
    }
    let mut link = peer.link(&node).await;
    let want = next_want(&mut link).await;
    assert_eq!(want.offset, came, "a restart takes nothing either");
    answer(&mut link, want, &file).await;
    let word = answer_all(&mut link, &file).await;
    assert_eq!((word.attachment, word.offset), (named.digest, named.size), "it is held");
    assert!(here(&node, &peer.cert.id, named.digest).as_ref() == Some(&file));
    drop(link);
    let mut link = peer.link(&node).await;
    assert_eq!(next_want(&mut link).await, word, "said again on the next link");
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_bytes_that_are_not_what_was_named_are_given_up_the_third_time_and_both_ends_are_alarmed() {
    let (br, cl) = two_certs().await;
    let named = keep(&br, &content(300_000, 5)).await;
    let path = br.dir().join("attachments/ours").join(named.digest.to_hex());
    std::fs::write(path, content(300_000, 6)).unwrap();
    send_files(&br, &cl, Lane::Priority, &[named]).await;
    for (cert, other) in [(&br, &cl), (&cl, &br)] {
        eventually(&format!("{} is alarmed", cert.id), || is_alarmed(cert)).await;
        assert_eq!(here(cert, &other.id, named.digest), None);
    }
    let lost = |cert: &Cert| cert.records().iter().filter(|(one, _)| matches!(one, Record::AttachmentLost(_))).count();
    assert_eq!((lost(&br), lost(&cl)), (1, 1));
    // Sent again with the right bytes, it comes, and the alarm is over at both ends.
    let right = keep(&br, &content(300_000, 7)).await;
    send_files(&br, &cl, Lane::Priority, &[right]).await;
    told(&cl, &br.id, right.digest, AttachmentNews::Held).await;
    assert!(is_alarmed(&cl).await, "the other one is lost still");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_goes_to_each_peer_by_itself() {
    let (br, cl) = two_certs().await;
    let mut uy = Cert::new("cert.uy");
    uy.start().await;
    br.enrol(&uy).await;
    uy.enrol(&br).await;
    uy.enrol(&cl).await;
    cl.enrol(&uy).await;
    let file = content(700_000, 8);
    let named = keep(&br, &file).await;
    for to in [&cl, &uy] {
        send_files(&br, to, Lane::Routine, &[named]).await;
        told(to, &br.id, named.digest, AttachmentNews::Held).await;
        told(&br, &to.id, named.digest, AttachmentNews::Taken).await;
    }
    // From another peer it is fetched whole once more: that it is here would tell who sent it before.
    let again = keep(&cl, &file).await;
    send_files(&cl, &uy, Lane::Routine, &[again]).await;
    told(&uy, &cl.id, named.digest, AttachmentNews::Held).await;
    assert!(here(&uy, &cl.id, named.digest).is_some() && here(&uy, &br.id, named.digest).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn i14_a_flash_arrives_while_a_file_is_on_its_way() {
    let (br, cl) = two_certs().await;
    br.linked(&cl).await;
    let named = keep(&br, &content(48 << 20, 9)).await;
    send_files(&br, &cl, Lane::Routine, &[named]).await;
    let progress = || cl.node().attachments.progress(&br.id, named.digest).unwrap_or(0);
    eventually("it is on its way", || async { progress() > 0 }).await;
    let flash = br.send(&cl, Lane::Flash, "wake up").await;
    br.delivered(&flash, &Delivery::Stored).await;
    assert!(here_size(&cl, &br, named).is_none(), "the file was there before the FLASH");
    told(&cl, &br.id, named.digest, AttachmentNews::Held).await;
}

fn here_size(cert: &Cert, from: &Cert, named: Named) -> Option<u64> {
    cert.node().attachments.read_from(&from.id, named.digest).unwrap().map(|file| file.size())
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_message_that_is_taken_back_takes_its_file_along() {
    let (br, cl) = two_certs().await;
    br.linked(&cl).await;
    let kept = keep(&br, &content(100, 10)).await;
    let named = keep(&br, &content(200_000, 11)).await;
    send_files(&br, &cl, Lane::Routine, &[kept]).await;
    let (id, _) = send_files(&br, &cl, Lane::Routine, &[kept, named]).await;
    told(&br, &cl.id, named.digest, AttachmentNews::Taken).await;
    hostile::recall_and_accept(&br, &cl, &id).await;
    br.delivered(&id, &Delivery::Recalled).await;
    let gone = |digest| {
        let (br, cl) = (&br, &cl);
        async move {
            br.node().attachments.read_ours(digest).unwrap().is_none()
                && !cl.node().attachments.holds_from(&br.id, digest)
        }
    };
    eventually("the file is gone at both ends", || gone(named.digest)).await;
    assert!(here(&cl, &br.id, kept.digest).is_some(), "what another message names stays");
    assert_eq!(br.node().attachments.read_ours(kept.digest).unwrap().map(|file| file.size()), Some(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_from_the_disk_is_fetched_again_at_the_next_start() {
    let (br, mut cl) = two_certs().await;
    let file = content(150_000, 12);
    let named = keep(&br, &file).await;
    send_files(&br, &cl, Lane::Routine, &[named]).await;
    told(&cl, &br.id, named.digest, AttachmentNews::Held).await;
    cl.stop().await;
    let dir = cl.dir().join("attachments/from").join(br.id.as_str());
    std::fs::remove_file(dir.join(named.digest.to_hex())).unwrap();
    std::fs::write(dir.join(Digest::of(&[b"nobody names it"]).to_hex()), b"left over").unwrap();
    cl.start().await;
    eventually("it is fetched again", || async { here(&cl, &br.id, named.digest).as_ref() == Some(&file) }).await;
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 1, "what nobody names is gone");
}
