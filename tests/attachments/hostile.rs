//! Peers that ask for what is not theirs, send what nobody asked for, or name more than is taken; and the recall of a message
//! with files.

use super::{answer_all, chunk, content, keep, naming, next_want, node_and_peer, notice_naming};
use aldis_control::{AnswerRequest, AnswerState, AnswerStatus, Client, RecallRequest};
use aldis_core::record::{Named, Outcome, Record};
use aldis_tests::certs::{Cert, eventually};
use aldis_wire::attachment::ATTACHMENT_MAX_BYTES;
use aldis_wire::digest::Digest;
use aldis_wire::frame::{CHUNK_MAX_BYTES, Frame, GoodbyeCode, Want};
use aldis_wire::ids::EnvelopeId;
use aldis_wire::kinds::RefusalCode;
use aldis_wire::lane::Lane;
use std::sync::Mutex;

fn client(cert: &Cert) -> Client {
    Client::new(cert.dir().join("aldis.sock"))
}

/// Recalls a message, and has the other side's operator accept that. The logs may be a moment behind.
pub(crate) async fn recall_and_accept(from: &Cert, to: &Cert, id: &EnvelopeId) {
    let (id, reason, text) = (id.to_string(), "wrong-recipient".to_owned(), None);
    let request = RecallRequest { id, to: Vec::new(), reason, text, author: None };
    let recall = Mutex::new(None);
    eventually("the recall is sent", || async {
        let asked = client(from).recall(&request).await.ok();
        *recall.lock().unwrap() = asked.and_then(|asked| asked.recipients[0].request.clone());
        recall.lock().unwrap().is_some()
    })
    .await;
    let id = recall.into_inner().unwrap().map(|recall| recall.to_string()).unwrap();
    let (state, status) = (AnswerState::Decided, Some(AnswerStatus::Approved));
    let answer = AnswerRequest { id, state, status, justification: None, until: None, text: None, author: None };
    eventually("the recall is accepted", || async { client(to).answer(&answer).await.is_ok() }).await;
}

fn want(attachment: Digest, offset: u64, bytes: u32) -> Frame {
    Frame::Want(Want { attachment, offset, bytes })
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_peer_gets_only_files_that_were_named_to_it() {
    let (node, peer) = node_and_peer().await;
    let kept = keep(&node, &content(100_000, 1)).await;
    let mut link = peer.link(&node).await;
    link.frame(&want(kept.digest, 0, 10)).await;
    let not_held = chunk(kept.digest, 0, &[]);
    assert_eq!(link.until(|frame| matches!(frame, Frame::Chunk(_)).then(|| frame.clone())).await, not_held);
    node.node().handle.submit(naming(&peer.cert.id, Lane::Routine, &[kept])).await.unwrap();
    link.frame(&want(kept.digest, 99_990, 10)).await;
    let came = link.until(|frame| if let Frame::Chunk(chunk) = frame { Some(chunk.clone()) } else { None }).await;
    assert_eq!((came.offset, &came.bytes[..]), (99_990, &content(100_000, 1)[99_990..]));
    for (offset, bytes) in [(99_991, 10), (100_000, 1), (u64::MAX, 1), (0, 200_000)] {
        link.frame(&want(kept.digest, offset, bytes)).await;
        let beyond = link.until(|frame| if let Frame::Chunk(chunk) = frame { Some(chunk.clone()) } else { None }).await;
        assert_eq!((beyond.offset, beyond.bytes.len()), (offset, 0), "beyond the end nothing is held");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_wants_are_bounded_and_not_answered_for_ever() {
    let (node, peer) = node_and_peer().await;
    let mut link = peer.link(&node).await;
    link.frame(&want(Digest::ZERO, 0, (1 << 20) + 1)).await;
    assert_eq!(link.goodbye().await.map(|said| said.code), Some(GoodbyeCode::PROTOCOL_ERROR));
    let mut link = peer.link(&node).await;
    let frames: Vec<u8> = (0..10_000).flat_map(|_| aldis_tests::raw_peer::framed(&want(Digest::ZERO, 0, 1))).collect();
    link.write(&frames).await;
    assert_eq!(link.goodbye().await.map(|said| said.code), Some(GoodbyeCode::NO_CREDIT));
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_chunks_that_were_not_asked_for_end_the_link_and_take_nothing() {
    let (node, mut peer) = node_and_peer().await;
    let file = content(3 * CHUNK_MAX_BYTES, 2);
    let named = Named { digest: Digest::of(&[&file]), size: file.len() as u64 };
    let notice = notice_naming(&mut peer, &node.id, &[named]);
    let mut link = peer.link(&node).await;
    link.frame(&chunk(named.digest, 0, &file[..9])).await;
    assert_eq!(link.goodbye().await.map(|said| said.code), Some(GoodbyeCode::PROTOCOL_ERROR), "before any want");
    let mut link = peer.link(&node).await;
    link.envelope(&notice).await;
    next_want(&mut link).await;
    let second = CHUNK_MAX_BYTES as u64;
    let defects = [
        chunk(named.digest, second, &file[..CHUNK_MAX_BYTES]),
        chunk(named.digest, 0, &file[..CHUNK_MAX_BYTES - 1]),
        chunk(Digest::ZERO, 0, &file[..CHUNK_MAX_BYTES]),
    ];
    for defect in defects {
        link.frame(&defect).await;
        assert_eq!(link.goodbye().await.map(|said| said.code), Some(GoodbyeCode::PROTOCOL_ERROR));
        link = peer.link(&node).await;
        assert_eq!(next_want(&mut link).await.offset, 0, "nothing of it was taken");
    }
    link = peer.link(&node).await;
    let word = answer_all(&mut link, &file).await;
    assert_eq!(word.offset, named.size, "and the honest bytes are");
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_peer_that_names_more_than_its_quota_is_refused_and_nothing_is_fetched() {
    let (node, mut peer) = node_and_peer().await;
    let large = |byte: u8| Named { digest: Digest::from_bytes([byte; 32]), size: ATTACHMENT_MAX_BYTES };
    let all: Vec<Named> = (1..=16).map(large).collect();
    let notice = notice_naming(&mut peer, &node.id, &all);
    let mut link = peer.link(&node).await;
    link.envelope(&notice).await;
    link.receipted(Lane::Routine, 1).await;
    let outcomes: Vec<Outcome> = node.received().iter().map(|received| received.outcome).collect();
    assert_eq!(outcomes, [Outcome::refused(RefusalCode::AttachmentQuota)]);
    assert!(node.node().attachments.arriving().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_what_the_peer_does_not_hold_is_given_up_at_once_and_said() {
    let (node, mut peer) = node_and_peer().await;
    let named = Named { digest: Digest::from_bytes([7; 32]), size: 1_000_000 };
    let notice = notice_naming(&mut peer, &node.id, &[named]);
    let mut link = peer.link(&node).await;
    link.envelope(&notice).await;
    let word = loop {
        let want = next_want(&mut link).await;
        if want.bytes == 0 {
            break want;
        }
        link.frame(&chunk(want.attachment, want.offset, &[])).await;
    };
    assert_eq!((word.attachment, word.offset), (named.digest, u64::MAX));
    let lost = |cert: &Cert| cert.records().iter().any(|(record, _)| matches!(record, Record::AttachmentLost(_)));
    eventually("it is on record", || async { lost(&node) }).await;
}
