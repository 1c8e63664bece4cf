//! Clocks that are wrong: a year ahead or behind, past January 2038, before 1970, standing still, or set back while the
//! node is down. What a wall clock says orders nothing and times nothing out; it is told, and mended, and nothing is lost.

use aldis_core::effect::Delivery;
use aldis_node::Setup;
use aldis_node::clock::Clock;
use aldis_tests::certs::{Cert, eventually};
use aldis_wire::ids::UnixMillis;
use aldis_wire::lane::Lane;
use std::time::Duration;

const YEAR_MS: i64 = 365 * 86_400_000;
/// One second after 32 bits of seconds overflow.
const IN_2038: &str = "2038-01-19T03:14:08Z";

/// A node that looks often at what has run out, and whose ladder says nothing.
fn setup(cert: &Cert) -> Setup {
    let mut setup = cert.setup();
    setup.times.expiry_look = Duration::from_millis(100);
    setup
}

async fn two() -> (Cert, Cert) {
    let (mut br, mut cl) = (Cert::new("cert.br"), Cert::new("cert.cl"));
    br.start_with(setup(&br)).await;
    cl.start_with(setup(&cl)).await;
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    br.linked(&cl).await;
    (br, cl)
}

/// One message each way in each of two lanes, each stored at the other side.
async fn exchange(br: &Cert, cl: &Cert, when: &str) {
    for lane in [Lane::Flash, Lane::Routine] {
        let (to_cl, to_br) = (br.send(cl, lane, when).await, cl.send(br, lane, when).await);
        br.delivered(&to_cl, &Delivery::Stored).await;
        cl.delivered(&to_br, &Delivery::Stored).await;
    }
}

/// Everything came once, in the order of its lane, and each header links to the one before; among it so many notices. (A
/// node that was down for a year, as it must think, also tells whom it left without an answer.)
fn whole(cert: &Cert, notices: usize) {
    for lane in [Lane::Flash, Lane::Routine] {
        let received = cert.received().into_iter().filter(|found| found.header.lane == lane);
        let headers: Vec<_> = received.map(|found| found.header).collect();
        let seqs: Vec<u64> = headers.iter().map(|header| header.seq.get()).collect();
        assert_eq!(seqs, (1..=headers.len() as u64).collect::<Vec<_>>(), "{} {lane:?}", cert.id);
        assert!(headers.windows(2).all(|pair| pair[1].previous == pair[0].digest()), "{} {lane:?}", cert.id);
        let found = headers.iter().filter(|header| header.kind.as_str() == "incident").count();
        assert_eq!(found, notices, "{} {lane:?}", cert.id);
    }
}

async fn alarms(cert: &Cert) -> Vec<String> {
    cert.view().await.alarms.iter().map(|alarm| alarm.code.to_string()).collect()
}

async fn clocks_are_told_apart(br: &Cert, cl: &Cert, fault: &str) {
    for cert in [br, cl] {
        let told = || async { alarms(cert).await.iter().any(|code| code == "clock-difference") };
        eventually(&format!("{fault}: {} raises the alarm", cert.id), told).await;
    }
}

/// How far the clock must be moved to show this time.
fn shift_to(cert: &Cert, time: &str) -> i64 {
    let time: UnixMillis = time.parse().expect("a time");
    i64::try_from(time.get()).expect("a time") - i64::try_from(cert.clock.wall().get()).expect("a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_no_jump_of_a_clock_loses_reorders_or_repeats_a_message() {
    let (br, cl) = two().await;
    let faults = [
        ("a year ahead", YEAR_MS),
        ("a year behind", -YEAR_MS),
        ("in 2038", shift_to(&cl, IN_2038)),
        ("before 1970", -60 * YEAR_MS),
    ];
    let mut notices = 0;
    for (fault, shift_ms) in faults {
        cl.clock.shift(shift_ms);
        exchange(&br, &cl, fault).await;
        clocks_are_told_apart(&br, &cl, fault).await;
        cl.clock.shift(0);
        for cert in [&br, &cl] {
            let mended = || async { alarms(cert).await.is_empty() };
            eventually(&format!("{fault}: {} calms down", cert.id), mended).await;
        }
        exchange(&br, &cl, "mended").await;
        notices += 2;
        whole(&br, notices);
        whole(&cl, notices);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_clock_that_stands_still_delays_nothing() {
    let (br, cl) = two().await;
    let (clock, system) = (cl.clock.clone(), Clock::system());
    let at = i64::try_from(clock.wall().get()).expect("a time");
    // As often as the loop comes round, the clock is moved back by what has passed.
    let freeze = async {
        loop {
            clock.shift(at - i64::try_from(system.wall().get()).expect("a time"));
            tokio::task::yield_now().await;
        }
    };
    let work = async {
        for round in 0..5 {
            exchange(&br, &cl, &format!("round {round}")).await;
        }
    };
    tokio::select! {
        () = freeze => unreachable!("it never ends"),
        () = work => {}
    }
    cl.clock.shift(0);
    whole(&br, 5);
    whole(&cl, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_clock_set_back_while_the_node_is_down_loses_nothing() {
    let (br, mut cl) = two().await;
    exchange(&br, &cl, "before").await;
    for (number, shift_ms) in [(2, -YEAR_MS), (3, 0)] {
        cl.stop().await;
        cl.clock.shift(shift_ms);
        cl.start_with(setup(&cl)).await;
        br.linked(&cl).await;
        exchange(&br, &cl, "after").await;
        whole(&br, number);
        whole(&cl, number);
    }
    for cert in [&br, &cl] {
        let mended = || async { !alarms(cert).await.iter().any(|code| code == "clock-difference") };
        eventually("the clocks agree", mended).await;
    }
}
