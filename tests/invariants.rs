//! What always holds, shown on whole nodes: what was confirmed is on disk at both ends, a restored backup is noticed, and
//! a backlog drains by itself with FLASH first.

use aldis_core::effect::Delivery;
use aldis_core::record::{Record, Standing};
use aldis_node::event_loop::RequestError;
use aldis_node::journal::{self, Reading, Replayed};
use aldis_tests::certs::{Cert, eventually, two_certs};
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;
use aldis_wire::receipt::Receipt;
use futures_util::{StreamExt, stream};

/// How many notices make a backlog.
const BACKLOG: u64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn i1_what_submit_confirmed_is_in_a_copy_of_the_disk_taken_then() {
    let (br, mut cl) = two_certs().await;
    br.linked(&cl).await;
    cl.stop().await;
    for number in 1..=5 {
        let id = br.send(&cl, Lane::Priority, &format!("notice {number}")).await;
        assert!(sent(&recovered(&br.twin())).contains(&id), "{id} was confirmed and is not on the disk");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_i3_what_is_told_stored_is_on_both_disks() {
    let (br, cl) = two_certs().await;
    for number in 1..=5 {
        let id = br.send(&cl, Lane::Flash, &format!("notice {number}")).await;
        br.delivered(&id, &Delivery::Stored).await;
        // First the sender's, then the receiver's: the receipt must have been there when it was told.
        let (sender, receiver) = (recovered(&br.twin()), recovered(&cl.twin()));
        let covers = |record: &Record| match record {
            Record::Receipted(found) => {
                Receipt::from_journal(&found.receipt).expect("a receipt").stored.seq(Lane::Flash) >= id.seq.get()
            }
            _ => false,
        };
        assert!(sender.iter().any(covers), "the receipt for {id} is not on the sender's disk");
        let holds = |record: &Record| matches!(record, Record::Received(found) if found.header.id() == id);
        assert!(receiver.iter().any(holds), "{id} is not at its receiver");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_restored_backup_is_an_alarm_at_both_ends_and_signs_nothing_new() {
    let (mut br, cl) = two_certs().await;
    for number in 0..3 {
        stored(&br, &cl, &format!("before {number}")).await;
    }
    stored(&cl, &br, "before, the other way").await;
    br.stop().await;
    let backup = br.twin();
    br.start().await;
    stored(&br, &cl, "after the backup").await;
    br.stop().await;
    br.restore(&backup);
    br.start().await;
    eventually("an alarm at the restored node", || has_alarm(&br, "we-lost-history")).await;
    eventually("an alarm at its peer", || has_alarm(&cl, "peer-lost-history")).await;
    assert_eq!(br.peer(&cl).await.standing, Standing::WeLostHistory);
    for (from, to) in [(&br, &cl), (&cl, &br)] {
        let before = from.sent_digests().len();
        let declined = from.try_send(to, Lane::Flash, "nothing new").await;
        assert!(matches!(declined, Err(RequestError::Declined(_))), "{declined:?}");
        assert_eq!(from.sent_digests().len(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i14_a_flash_does_not_wait_for_a_backlog_that_drains() {
    let (br, mut cl) = two_certs().await;
    br.linked(&cl).await;
    cl.stop().await;
    submit(&br, &cl, &[Lane::Routine]).await;
    cl.start().await;
    eventually("the backlog drains", || async { cl.peer(&br).await.lanes[Lane::Routine.index()].received > 0 }).await;
    let flash = br.send(&cl, Lane::Flash, "now").await;
    br.delivered(&flash, &Delivery::Stored).await;
    all_receipted(&br, &cl).await;
    let order = arrivals(&cl);
    let at = order.iter().position(|id| *id == flash).expect("it arrived");
    assert!(at < usize::try_from(BACKLOG).expect("few") / 2, "FLASH came only as number {at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_backlog_in_mixed_lanes_arrives_in_order_with_flash_first_and_by_itself() {
    let (br, mut cl) = two_certs().await;
    br.linked(&cl).await;
    cl.stop().await;
    submit(&br, &cl, &[Lane::Routine, Lane::Priority, Lane::Routine, Lane::Flash, Lane::Immediate]).await;
    cl.start().await;
    all_receipted(&br, &cl).await;
    let order = arrivals(&cl);
    assert_eq!(order.len() as u64, BACKLOG);
    for lane in Lane::ALL {
        let seqs: Vec<u64> = order.iter().filter(|id| id.lane == lane).map(|id| id.seq.get()).collect();
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "{} is not in order", lane.name());
    }
    // The first frames of a link may be under way before its FLASH credit came; after that FLASH is always ahead, as far
    // as credit allows.
    let ahead = order.iter().take(600).filter(|id| id.lane == Lane::Flash).count();
    assert!(ahead >= 400, "only {ahead} of the first 600 are FLASH");
    let last_flash = order.iter().rposition(|id| id.lane == Lane::Flash);
    let last_routine = order.iter().rposition(|id| id.lane == Lane::Routine);
    assert!(last_flash < last_routine);
}

async fn stored(from: &Cert, to: &Cert, subject: &str) {
    let id = from.send(to, Lane::Priority, subject).await;
    from.delivered(&id, &Delivery::Stored).await;
}

async fn has_alarm(cert: &Cert, code: &str) -> bool {
    cert.view().await.alarms.iter().any(|alarm| alarm.code.as_str() == code)
}

/// What is recovered from a copy of a node's disk, after its journal was found whole. No node is started from it: a clone
/// would take the place of the one it was copied from.
fn recovered(copy: &Cert) -> Vec<Record> {
    let dir = copy.dir().join("journal");
    let report = journal::verify(
        &dir,
        None,
        &Reading { is_erased: &|_| false, witness: &|_| None, commits_to: &|_, _| true },
        &mut |_, _, _| {},
    )
    .expect("a journal");
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let mut records = Vec::new();
    let mut replay = |replayed: Replayed<'_>| {
        if let Replayed::Record { record, .. } = replayed {
            records.push(Record::decode(record)?);
        }
        Ok(())
    };
    journal::Journal::open(&dir, copy.setup().journal, None, &mut replay).expect("it opens");
    records
}

/// What was signed.
fn sent(records: &[Record]) -> Vec<EnvelopeId> {
    let sent = records.iter().filter_map(|record| match record {
        Record::Sent(sent) => Some(sent.draft.header.id()),
        _ => None,
    });
    sent.collect()
}

/// What a node has received, in the order of its journal.
fn arrivals(cert: &Cert) -> Vec<EnvelopeId> {
    cert.received().iter().map(|found| found.header.id()).collect()
}

/// Submits a backlog, its lanes taken in turn; many at a time, so that they share commits.
async fn submit(from: &Cert, to: &Cert, lanes: &[Lane]) {
    let all = (0..BACKLOG).zip(lanes.iter().copied().cycle());
    let sends = all.map(|(number, lane)| async move { from.send(to, lane, &format!("notice {number}")).await });
    stream::iter(sends).buffer_unordered(256).for_each(|_| async {}).await;
}

async fn all_receipted(from: &Cert, to: &Cert) {
    eventually("everything is receipted", || async {
        from.peer(to).await.lanes.iter().all(|lane| lane.receipted == lane.sent)
    })
    .await;
}
