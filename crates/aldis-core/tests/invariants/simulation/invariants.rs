//! I1 to I14, as far as journals and the wire show them. Each is one function that panics with its name.

use super::coverage::Coverage;
use super::ledger::{Account, Ledger, Row};
use super::oracle::Oracle;
use crate::pair::{Tap, World};
use aldis_core::limits::{DRAFTS_MAX, FLASH_RESERVE};
use aldis_core::record::{Outcome, Standing};
use aldis_core::trust::Trust;
use aldis_wire::codec::{BorrowDecode, Encode, decode_borrowed};
use aldis_wire::digest::Digest;
use aldis_wire::header::{ExactHeader, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::kinds::{Bearing, versions_of};
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::receipt::Receipt;
use bytes::Bytes;
use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};

thread_local! {
    static AT: Cell<&'static str> = const { Cell::new("") };
}

/// Notes which invariant is asked, for whoever reports a failure.
pub(super) fn at(name: &'static str) {
    AT.set(name);
}

/// The invariant that was asked last.
pub(super) fn asked() -> &'static str {
    AT.get()
}

/// An envelope's structure on the wire.
#[derive(Encode, BorrowDecode)]
struct Parts<'a> {
    header: &'a [u8],
    withheld: u16,
    salt: [u8; 16],
    body: &'a [u8],
    proof: &'a [u8],
}

pub(super) fn header_of(bytes: &[u8]) -> ExactHeader {
    let parts: Parts<'_> = decode_borrowed(bytes).expect("an envelope reads back");
    ExactHeader::parse(Bytes::copy_from_slice(parts.header)).expect("a header reads back")
}

/// What is handed to a link is in the journal, and that it was handed over is too.
pub(super) fn i1_on_disk_and_relayed_before_it_leaves(oracle: &Oracle, tap: &Tap, header: &ExactHeader) {
    at("i1");
    let ledger = &oracle.ledgers[tap.place];
    let row = ledger.row(&oracle.ids[tap.place], &header.id());
    let on_disk = row.is_some_and(|row| row.digest == header.digest() && row.at < tap.disk);
    assert!(on_disk, "i1: {} leaves and is not on the disk of its sender", header.id());
    let stream = &ledger.peers[&header.to].lanes[header.lane.index()];
    let relayed = stream.relayed.range(header.seq.get()..).any(|(_, record)| *record < tap.disk)
        || stream.receipted.range(header.seq.get()..).any(|(_, record)| *record < tap.disk);
    assert!(relayed, "i1: {} leaves before it is on record as relayed", header.id());
}

/// Nothing leaves for a peer that is not let in, whatever was signed for it; what was on its way in the very turn in which
/// it was put aside may.
pub(super) fn i4_leaves_for_a_verified_peer(oracle: &Oracle, tap: &Tap, header: &ExactHeader) {
    at("i4");
    let account = &oracle.ledgers[tap.place].peers[&header.to];
    let let_in = account.trust == Some(Trust::Verified) || account.aside_at >= tap.before;
    assert!(let_in, "i4: {} leaves for a peer that is not let in", header.id());
}

/// What is confirmed to people is on the disk.
pub(super) fn i1_confirmed_is_on_disk(oracle: &Oracle, tap: &Tap, ids: &[(EnvelopeId, Digest)]) {
    at("i1");
    for (id, digest) in ids {
        let row = oracle.ledgers[tap.place].row(&oracle.ids[tap.place], id);
        let on_disk = row.is_some_and(|row| row.digest == *digest && row.at < tap.disk);
        assert!(on_disk, "i1: {id} is confirmed and not on the disk");
    }
}

/// Whatever was ever confirmed is there after a start.
pub(super) fn i1_all_that_was_confirmed_is_there(oracle: &Oracle, place: usize, coverage: &mut Coverage) {
    at("i1");
    for (id, digest) in &oracle.confirmed[place] {
        let row = oracle.ledgers[place].row(&oracle.ids[place], id);
        assert!(row.is_some_and(|row| row.digest == *digest), "i1: {id} was confirmed and is lost");
    }
    coverage.add("count: confirmed messages looked for after a start", oracle.confirmed[place].len() as u64);
}

/// A receipt covers only what is on the signer's disk, both ways.
pub(super) fn i2_only_what_is_on_disk(oracle: &Oracle, tap: &Tap, peer: &NodeId, bytes: &[u8]) {
    at("i2");
    let receipt = Receipt::from_journal(bytes).expect("a receipt reads back");
    let account = &oracle.ledgers[tap.place].peers[peer];
    let check = |marks: &Marks, rows: &dyn Fn(usize) -> &'static str, received: bool| {
        for mark in marks.iter() {
            let stream = &account.lanes[mark.lane.index()];
            let rows_of = if received { &stream.received } else { &stream.sent };
            let row = usize::try_from(mark.seq.get() - 1).ok().and_then(|at| rows_of.get(at));
            let on_disk = row.is_some_and(|row| row.digest == mark.digest && row.at < tap.disk);
            assert!(on_disk, "i2: {} {}{} in a receipt is not on disk", rows(0), mark.lane.name(), mark.seq);
        }
    };
    check(&receipt.stored, &|_| "stored", true);
    check(&receipt.sent, &|_| "sent", false);
}

/// `stored` is told only once the receipt is on our disk, and then the peer has it.
pub(super) fn i3_stored_is_told_by_a_receipt_on_disk(oracle: &Oracle, tap: &Tap, id: &EnvelopeId) {
    at("i3");
    let stream = &oracle.ledgers[tap.place].peers[&id.to].lanes[id.lane.index()];
    let receipted = stream.receipted.range(id.seq.get()..).any(|(_, record)| *record < tap.disk);
    assert!(receipted, "i3: {id} is told as stored without a receipt on our disk");
    let other = oracle.ids.iter().position(|other| *other == id.to).expect("a node of this world");
    if oracle.restored.is_none() && oracle.puppet != Some(other) {
        let theirs = oracle.ledgers[other].row(&id.to, id);
        let ours = oracle.ledgers[tap.place].row(&id.from, id);
        let same = theirs.zip(ours).is_some_and(|(theirs, ours)| theirs.digest == ours.digest);
        assert!(same, "i3: {id} is told as stored and its receiver does not have it");
    }
}

/// What takes a place came from a verified peer under the key then in force.
pub(super) fn i4_of_a_verified_peer_under_its_key(account: &Account, header: &ExactHeader) {
    at("i4");
    assert_eq!(account.trust, Some(Trust::Verified), "i4: {} was taken from a peer not verified", header.id());
    assert_ne!(account.standing, Some(Standing::Quarantined), "i4: {} was taken from a quarantined peer", header.id());
    let key = account.key_for(header.lane.index(), header.seq.get());
    assert_eq!(key, Some(header.key_id), "i4: {} carries another key than the one in force", header.id());
}

/// What is new in a journal, against the journals of the others.
pub(super) fn new_records(oracle: &Oracle, world: &World, place: usize, from: usize, coverage: &mut Coverage) {
    let ledger = &oracle.ledgers[place];
    for account in ledger.peers.values() {
        for stream in &account.lanes {
            for row in stream.received.iter().rev().take_while(|row| row.at >= from) {
                i4_signed_by_its_sender(oracle, row);
                if row.outcome == Some(Outcome::Held) {
                    coverage.note("count: held for what it answers");
                }
                i10_unknown_is_refused(ledger, world, place, row, coverage);
                i12_exercise_and_real_stay_apart(oracle, place, row);
            }
            for row in stream.sent.iter().rev().take_while(|row| row.at >= from) {
                i12_exercise_and_real_stay_apart(oracle, place, row);
                i13_an_answer_of_the_machine_keeps_the_label(oracle, place, row);
            }
        }
    }
}

/// Nothing is accepted that its sender's disk never held.
fn i4_signed_by_its_sender(oracle: &Oracle, row: &Row) {
    let puppet = oracle.puppet.is_some_and(|puppet| oracle.ids[puppet] == row.id.from);
    let signed = puppet || oracle.signed.contains(&(row.id.clone(), row.digest));
    assert!(signed, "i4: {} was accepted and its sender's journal never held it", row.id);
}

/// Each place follows the one before and names it.
pub(super) fn i5_gap_free_and_linked(rows: &[Row], header: &ExactHeader) {
    at("i5");
    assert_eq!(header.seq.get(), rows.len() as u64 + 1, "i5: a gap or a duplicate at {}", header.id());
    let previous = rows.last().map_or(Digest::ZERO, |row| row.digest);
    assert_eq!(header.previous, previous, "i5: {} is not linked to the one before", header.id());
}

/// Whatever leaves again leaves as it did the first time.
pub(super) fn i6_the_same_bytes_again(
    oracle: &mut Oracle,
    header: &ExactHeader,
    bytes: &[u8],
    coverage: &mut Coverage,
) {
    at("i6");
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let hash = hasher.finish();
    let again = oracle.left.contains_key(&header.digest());
    coverage.note(if again { "network: an envelope was sent again" } else { "count: envelopes on the wire" });
    let before = *oracle.left.entry(header.digest()).or_insert(hash);
    assert_eq!(before, hash, "i6: {} left in other bytes than the first time", header.id());
}

/// Queues have their bounds. What waits inside a core no journal shows, so here it is asked itself.
pub(super) fn i7_bounds(world: &World, place: usize) {
    at("i7");
    let (node, limits) = (&world.nodes[place], &world.nodes[place].limits);
    if !node.up {
        return;
    }
    for (id, peer) in node.core.peers() {
        let known = &peer.durable;
        let open: u64 = known.out.iter().map(|lane| lane.open.len() as u64).sum();
        let most = limits.open_per_peer + FLASH_RESERVE + limits.refusals_per_peer;
        assert!(open <= most, "i7: {open} open messages to {id}");
        assert!(known.held.len() <= limits.held_per_peer, "i7: {} held of {id}", known.held.len());
        assert!(known.owed.len() <= limits.held_per_peer, "i7: {} owed to {id}", known.owed.len());
        for (lane, flow) in peer.up().into_iter().flat_map(|up| up.towards.iter().enumerate()) {
            assert!(flow.sent <= flow.credit, "i7: lane {lane} to {id}: {flow:?} is beyond its credit");
        }
    }
    assert!(node.core.drafts().count() <= DRAFTS_MAX, "i7: too many drafts");
    assert!(node.core.requests().count() <= 64 && node.core.alarms().count() <= 64, "i7: requests or alarms");
}

/// Nothing new is signed for a peer that is not let in, or whose records and ours disagree.
pub(super) fn i9_nothing_new_for_whom_the_records_disagree(account: &Account, header: &ExactHeader) {
    at("i9");
    let standing = account.standing.unwrap_or(Standing::Good);
    assert_eq!(standing, Standing::Good, "i9: {} was signed although the records disagree", header.id());
    // People write to nobody who is not let in. A machine's word is signed all the same, and leaves only when the peer is
    // let in again (see above): the refusal of what came before the peer was put aside, or was held and given up since, for
    // each message has its one coded end (I8); and the answer to a key that administrators take before they let its owner
    // in again, as after a theft, for its owner goes by its old key until it has that.
    let about_key = header.reference(ReferenceRole::ANSWERS).is_some_and(|reference| {
        let rows = &account.lanes[reference.envelope.lane.index()].received;
        rows.iter().any(|row| row.digest == reference.digest && row.kind == "key-rotation")
    });
    let machine = header.kind.as_str() == "refusal" || (header.kind.as_str() == "acknowledgement" && about_key);
    assert!(
        machine || account.trust == Some(Trust::Verified),
        "i4: {} is for a peer not let in: {}",
        header.id(),
        header.kind
    );
}

/// A journal after a start begins with what it was before; a body is missing only where a record says so.
pub(super) fn i9_the_journal_is_as_it_was(oracle: &Oracle, world: &World, place: usize) {
    let (node, ledger) = (&world.nodes[place], &oracle.ledgers[place]);
    let mut hasher = DefaultHasher::new();
    node.journal[..ledger.read].iter().for_each(|entry| entry.record[..].hash(&mut hasher));
    assert_eq!(hasher.finish(), ledger.hash(), "i9: the journal of {} is not what it was", node.id);
    for (at, entry) in node.journal[..ledger.read].iter().enumerate() {
        let gone = matches!(entry.body, Some(aldis_wire::envelope::Body::Withheld(_)));
        assert_eq!(gone, ledger.erased.contains(&at), "i9: body {at} of {}", node.id);
    }
}

/// What this program does not know is stored and refused.
fn i10_unknown_is_refused(ledger: &Ledger, world: &World, place: usize, row: &Row, coverage: &mut Coverage) {
    let withheld = matches!(row.outcome, Some(Outcome::Withheld(_)));
    if versions_of(&row.kind).is_empty() && !withheld {
        assert!(matches!(row.outcome, Some(Outcome::Refused(_))), "i10: {} is of an unknown kind", row.id);
        let kept = world.nodes[place].journal[row.at].body.is_some() || ledger.erased.contains(&row.at);
        assert!(kept, "i10: the body of {} was dropped", row.id);
        coverage.note("traffic: unknown kind");
    }
}

/// What an answer is taken to be about belongs to the same exercise, or to none as the answer does.
fn i12_exercise_and_real_stay_apart(oracle: &Oracle, place: usize, row: &Row) {
    let Some((about, _)) = &row.answers else { return };
    if row.outcome.is_some_and(|outcome| outcome != Outcome::Accepted) {
        return;
    }
    if let Some(message) = oracle.ledgers[place].row(&oracle.ids[place], about) {
        assert_eq!(message.exercise, row.exercise, "i12: {} and {about} are not of the same traffic", row.id);
    }
}

/// Each message has the label its author chose.
pub(super) fn i13_the_label_somebody_chose(
    oracle: &Oracle,
    place: usize,
    token: aldis_core::input::Token,
    ids: &[(EnvelopeId, Digest)],
) {
    at("i13");
    let Some(label) = oracle.labels.get(&token) else { return };
    for (id, _) in ids {
        let row = oracle.ledgers[place].row(&oracle.ids[place], id).expect("it is on the disk");
        assert_eq!(row.tlp, *label, "i13: {id} has another label than was chosen");
    }
}

/// What the machine says about a message is marked as the message is.
fn i13_an_answer_of_the_machine_keeps_the_label(oracle: &Oracle, place: usize, row: &Row) {
    let (Some((about, _)), Some(Bearing::Refusal(_) | Bearing::Step(_))) = (&row.answers, &row.bearing) else { return };
    let message = oracle.ledgers[place].row(&oracle.ids[place], about).expect("the machine speaks of what is here");
    assert_eq!(message.tlp, row.tlp, "i13: {} has another label than {about}", row.id);
}

/// When a link comes up, what waited leaves the most urgent lane first.
pub(super) fn i14_flash_goes_first(
    ledger: &Ledger,
    tap: &Tap,
    first: &mut (u64, Lane),
    lane: Lane,
    seq: Seq,
    to: &NodeId,
) {
    at("i14");
    let (turn, latest) = *first;
    let row = &ledger.peers[to].lanes[lane.index()].sent[usize::try_from(seq.get() - 1).expect("small")];
    if turn == tap.turn && row.at < tap.before {
        assert!(lane >= latest, "i14: {} leaves behind a less urgent one", row.id);
        first.1 = lane;
    }
}
