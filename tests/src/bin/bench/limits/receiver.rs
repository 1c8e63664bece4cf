//! The receiver's stages of the bare job: each notice is verified, with its link to the one before, stored in batches, and
//! receipted once per commit.

use super::channel::{In, Out};
use super::journal::Journal;
use super::{Ends, taken};
use crate::Failure;
use aldis_wire::codes::Extensions;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::EnvelopeVerifier;
use aldis_wire::frame::Frame;
use aldis_wire::header::PROTOCOL_VERSION;
use aldis_wire::ids::{Incarnation, Seq};
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::receipt::Receipt;
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::mpsc::{Receiver, SyncSender};

/// A notice that verified: its exact bytes, and of its header what it is stored and receipted by.
pub(super) struct Verified {
    envelope: Bytes,
    header: Bytes,
    seq: Seq,
    digest: Digest,
    sent_at: aldis_wire::ids::UnixMillis,
}

/// Verifies notices and that each follows the one before.
pub(super) fn verify(ends: &Ends, mut notices: In, to_store: SyncSender<Verified>) -> Result<(), Failure> {
    let mut verifier = EnvelopeVerifier::new(ends.sender.clone(), ends.receiver.clone(), ends.sender_key.public());
    let (mut expected, mut previous) = (Seq::FIRST, Digest::ZERO);
    while let Some(frame) = notices.next()? {
        let Frame::Envelope(envelope) = Frame::parse(&frame)? else { return Err("a frame that is no envelope".into()) };
        let verified = verifier.verify(&envelope)?;
        let header = verified.header();
        if header.seq != expected || header.previous != previous {
            return Err("a notice does not follow the one before".into());
        }
        (expected, previous) = (header.seq.next(), header.digest());
        let (seq, digest, sent_at) = (header.seq, header.digest(), header.sent_at);
        let verified = Verified { header: header.bytes().clone(), envelope, seq, digest, sent_at };
        // A stage that does not take it has failed, and says why.
        if to_store.send(verified).is_err() {
            break;
        }
    }
    Ok(())
}

/// Stores notices and sends the receipt for them.
pub(super) fn commit(
    ends: &Ends,
    verified: Receiver<Verified>,
    mut journal: Journal,
    mut out: Out,
) -> Result<(), Failure> {
    let (mut stored, mut frame) = (BytesMut::new(), BytesMut::new());
    while let Some(taken) = taken(&verified) {
        for notice in &taken {
            journal.add(&notice.header);
            stored.put_slice(&notice.envelope);
        }
        journal.commit(&stored)?;
        if let Some(last) = taken.last() {
            let receipt = receipt(ends, last, journal.commitment()).sign(&ends.receiver_key);
            Frame::Receipt(receipt.into()).write(&mut frame);
            out.send(&frame)?;
        }
        stored.clear();
        frame.clear();
    }
    Ok(out.end()?)
}

fn receipt(ends: &Ends, last: &Verified, commitment: Digest) -> Receipt {
    let mut stored = Marks::default();
    stored.set(Lane::Routine, last.seq, last.digest);
    Receipt {
        version: PROTOCOL_VERSION,
        key_id: ends.receiver_key.id(),
        incarnation: Incarnation(1),
        from: ends.receiver.clone(),
        to: ends.sender.clone(),
        stored,
        sent: Marks::default(),
        stored_at: last.sent_at,
        commitment,
        extensions: Extensions::default(),
    }
}
