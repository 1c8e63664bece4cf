//! Comm checks by their schedule, between two whole nodes whose wall clocks a test sets: each checks the other's machine in
//! its time, people only in the hours that were agreed unless somebody asks, and the figures stand at both ends.

use aldis_core::checks::{CheckEnd, Drill};
use aldis_core::effect::{Declined, Done};
use aldis_core::input::CheckOrder;
use aldis_core::ladder::Cause;
use aldis_core::record::{Record, StoredBearing};
use aldis_node::clock::Clock;
use aldis_node::event_loop::{Request, RequestError};
use aldis_tests::certs::{Cert, eventually};
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::kinds::{Bearing, CheckPart};
use serde_json::json;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// How often each sort of check is made here.
const EVERY_MS: u64 = 100;
/// How late a check may come.
const LATE_MS: u64 = 50;

/// The nearest Sunday ahead, 00:00 UTC.
fn sunday_ms() -> u64 {
    let day = Clock::system().wall().get() / DAY_MS;
    // The first day of 1970 was a Thursday.
    (day + 7 - (day + 4) % 7) * DAY_MS
}

fn set_clocks(certs: [&Cert; 2], at_ms: u64) {
    let shift_ms = at_ms.cast_signed() - Clock::system().wall().get().cast_signed();
    certs.iter().for_each(|cert| cert.clock.shift(shift_ms));
}

/// Two CERTs that check each other's machines and people by themselves; people only on weekdays.
async fn two_that_check() -> (Cert, Cert) {
    let (mut br, mut cl) = (Cert::new("cert.br"), Cert::new("cert.cl"));
    set_clocks([&br, &cl], sunday_ms() + 3 * HOUR_MS);
    for cert in [&mut br, &mut cl] {
        let mut setup = cert.setup();
        setup.limits.drill = Drill {
            machine_every_ms: EVERY_MS,
            human_every_ms: EVERY_MS,
            machine_per_hour: 10_000,
            human_hours: Some(0),
            wake: true,
            ..Drill::default()
        };
        cert.start_with(setup).await;
    }
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    br.linked(&cl).await;
    (br, cl)
}

/// When checks of a sort were sent, by the sender's records.
fn sent_at(cert: &Cert, human: bool) -> Vec<u64> {
    let sent = cert.records().into_iter().filter_map(|(record, _)| match record {
        Record::Sent(sent) => Some(sent.draft),
        _ => None,
    });
    let checks = sent.filter(
        |draft| matches!(draft.bearing.get(), Bearing::Check(part) if part != CheckPart::Reply && part.is_human() == human),
    );
    checks.map(|draft| draft.header.sent_at.get()).collect()
}

/// How often people here were told of a check.
fn told(cert: &Cert) -> usize {
    let records = cert.records().into_iter();
    records.filter(|(record, _)| matches!(record, Record::Climbed(climbed) if climbed.cause == Cause::Checked)).count()
}

/// How the latest check of people that `of` made of `other` ended.
async fn latest_human(of: &Cert, other: &Cert) -> Option<CheckEnd> {
    of.peer(other).await.checks.latest(true).map(|result| result.end.clone())
}

/// Asks for people by hand, as soon as no check by itself is open.
async fn ask(cert: &Cert, other: &Cert, part: CheckPart) -> EnvelopeId {
    loop {
        let (peer, part) = (other.id.clone(), part.clone());
        let order =
            CheckOrder { peer, part, text: Text::cut("by hand"), author: Text::cut("ana"), by: Text::cut("ana") };
        match cert.node().handle.request(Request::Check(Box::new(order))).await {
            Ok(Done::Checking(id)) => return id,
            Err(RequestError::Declined(Declined::CheckOpen(_))) => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    }
}

/// A person answers a check that came.
async fn acknowledge(cert: &Cert, check: &EnvelopeId) {
    eventually("the check is there", || async { cert.received().iter().any(|found| found.header.id() == *check) })
        .await;
    let came = cert.received().into_iter().find(|found| found.header.id() == *check).unwrap();
    cert.answer(check, came.header.digest(), json!({ "state": "acknowledged" })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_machines_are_checked_in_their_time_and_people_only_in_theirs_unless_asked() {
    let (br, cl) = two_that_check().await;
    // Sunday, 03:00: both schedules are due all the time, and only machines are checked.
    for (one, other) in [(&br, &cl), (&cl, &br)] {
        eventually("machines are checked by themselves", || async {
            one.peer(other).await.checks.statistics(false).count >= 8
        })
        .await;
        let figures = one.peer(other).await.checks.statistics(false);
        assert_eq!((figures.missed, figures.refused, figures.p50_ms.is_some()), (0, 0, true), "{figures:?}");
        let at = sent_at(one, false);
        // Each is a tenth early at most. How late one comes is the machine's, and brings it nearer to the next.
        let least_ms = (at.len() as u64 - 1) * (EVERY_MS - EVERY_MS / 10);
        assert!(at[at.len() - 1] - at[0] + LATE_MS >= least_ms, "{}: {at:?}", one.id);
        assert_eq!((sent_at(one, true), told(one)), (vec![], 0), "{}", one.id);
    }
    // By hand, without saying that it may wake anybody: their machine says that this is not the hour.
    ask(&br, &cl, CheckPart::Human).await;
    eventually("it is refused", || async { latest_human(&br, &cl).await.is_some() }).await;
    assert_eq!(latest_human(&br, &cl).await, Some(CheckEnd::Refused(Code::known("not-now"))));
    assert_eq!(told(&cl), 0);
    // Asked for at any hour, and they allow it.
    let asked = ask(&br, &cl, CheckPart::Wake).await;
    acknowledge(&cl, &asked).await;
    eventually("somebody answered", || async { latest_human(&br, &cl).await == Some(CheckEnd::Answered) }).await;
    assert_eq!((told(&cl), told(&br), sent_at(&br, true).len(), sent_at(&cl, true).len()), (1, 0, 2, 0));
    // Monday, 10:00: people are checked by themselves now, at both ends.
    set_clocks([&br, &cl], sunday_ms() + DAY_MS + 10 * HOUR_MS);
    for (one, other) in [(&cl, &br), (&br, &cl)] {
        eventually("people are checked by themselves", || async { told(other) > usize::from(other.id == cl.id) }).await;
        let check = other.received().into_iter().rev().find(|found| {
            let bearing = found.bearing.as_ref().map(StoredBearing::get);
            matches!(bearing, Some(Bearing::Check(part)) if part.is_human())
        });
        acknowledge(other, &check.unwrap().header.id()).await;
        eventually("the figures know", || async { latest_human(one, other).await == Some(CheckEnd::Answered) }).await;
        let figures = one.peer(other).await.checks.statistics(true);
        assert!(figures.missed == 0 && figures.p50_ms.is_some(), "{}: {figures:?}", one.id);
    }
}
