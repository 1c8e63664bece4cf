//! FLASH overtakes what waits (I14), in whole nodes: measured by the order in which the other side stored, never by time.

use aldis_core::effect::Delivery;
use aldis_tests::certs::{Cert, eventually, notice, two_certs};
use aldis_wire::lane::Lane;
use futures_util::future::join_all;

/// How many ROUTINE messages wait.
const BACKLOG: usize = 1_000;

/// Submits a backlog all at once, and returns when all of it is on the sender's disk.
async fn backlog(from: &Cert, to: &Cert) {
    let subjects: Vec<String> = (0..BACKLOG).map(|number| format!("routine {number}")).collect();
    let handle = &from.node().handle;
    let sent = subjects.iter().map(|subject| handle.submit(notice(&to.id, Lane::Routine, subject)));
    assert!(join_all(sent).await.iter().all(Result::is_ok));
}

/// How many ROUTINE messages were stored before the first FLASH.
fn before_flash(cert: &Cert) -> usize {
    let received = cert.received();
    let first = received.iter().position(|found| found.header.lane == Lane::Flash).expect("the FLASH is there");
    received[..first].iter().filter(|found| found.header.lane == Lane::Routine).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn i14_flash_goes_before_everything_that_waited_while_the_peer_was_away() {
    let (br, mut cl) = two_certs().await;
    br.linked(&cl).await;
    cl.stop().await;
    backlog(&br, &cl).await;
    br.send(&cl, Lane::Immediate, "before the FLASH").await;
    let flash = br.send(&cl, Lane::Flash, "behind a full queue").await;
    cl.start().await;
    br.delivered(&flash, &Delivery::Stored).await;
    let first = cl.received().into_iter().next().expect("something came");
    assert_eq!((first.header.lane, before_flash(&cl)), (Lane::Flash, 0));
    eventually("everything arrives", || async {
        br.peer(&cl).await.lanes[Lane::Routine.index()].receipted == BACKLOG as u64
    })
    .await;
    assert_eq!(cl.received().len(), BACKLOG + 2, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn i14_flash_overtakes_a_full_queue_that_is_on_its_way() {
    let (mut br, mut cl) = (Cert::new("cert.br"), Cert::new("cert.cl"));
    br.start().await;
    let mut setup = cl.setup();
    // One ROUTINE at a time is on its way, so what is behind waits in the sender's queue and not in buffers.
    setup.limits.credit_window = 1;
    cl.start_with(setup).await;
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    br.linked(&cl).await;
    backlog(&br, &cl).await;
    let stored = br.peer(&cl).await.lanes[Lane::Routine.index()].receipted;
    let flash = br.send(&cl, Lane::Flash, "overtakes").await;
    br.delivered(&flash, &Delivery::Stored).await;
    let overtaken = BACKLOG - before_flash(&cl);
    println!("{stored} of {BACKLOG} were there when it was sent; it overtook {overtaken}");
    // Those on their way go on while the FLASH is signed; far more than half of the queue is behind it all the same.
    assert!(overtaken > (BACKLOG - usize::try_from(stored).expect("few")) / 2, "{overtaken}");
}
