use super::*;

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

fn result(end: CheckEnd, human: bool, round_trip_ms: Option<u64>) -> CheckResult {
    CheckResult {
        seq: Seq::FIRST,
        human,
        sent_at: UnixMillis::new(0),
        end,
        round_trip_ms,
        clock_difference_ms: None,
        certificate_valid_until: None,
        commitment: None,
        at: UnixMillis::new(0),
    }
}

fn replied(ms: u64) -> CheckResult {
    result(CheckEnd::Replied, false, Some(ms))
}

#[test]
fn i7_no_more_results_are_kept_than_the_bound() {
    let mut checks = Checks::default();
    for ms in 0..2 * RESULTS_MAX as u64 {
        checks.end(replied(ms));
    }
    assert_eq!(checks.results.len(), RESULTS_MAX);
    assert_eq!(checks.results.front().unwrap().round_trip_ms, Some(RESULTS_MAX as u64));
}

#[test]
fn the_figures_count_each_sort_apart_and_take_only_what_came_back() {
    let mut checks = Checks::default();
    for ms in 1..=100 {
        checks.end(replied(ms));
    }
    for end in [CheckEnd::Missed, CheckEnd::Missed, CheckEnd::Refused(Code::known("over-rate"))] {
        checks.end(result(end, false, None));
    }
    checks.end(result(CheckEnd::Answered, true, Some(90_000)));
    let machines = checks.statistics(false);
    assert_eq!((machines.count, machines.missed, machines.refused), (103, 2, 1));
    assert_eq!((machines.p50_ms, machines.p95_ms), (Some(50), Some(95)));
    assert_eq!(machines.trend, Some(Trend { latest_ms: 95, before_ms: 85 }));
    let people = checks.statistics(true);
    assert_eq!((people.count, people.p50_ms, people.p95_ms, people.trend), (1, Some(90_000), Some(90_000), None));
    assert_eq!(Checks::default().statistics(true), Statistics::default());
}

#[test]
fn checks_missed_in_a_row_end_with_one_that_came_back_and_a_refusal_says_nothing_of_people() {
    let mut checks = Checks::default();
    checks.end(result(CheckEnd::Missed, true, None));
    checks.end(replied(3));
    checks.end(result(CheckEnd::Refused(Code::known("not-now")), true, None));
    checks.end(result(CheckEnd::Missed, true, None));
    assert_eq!((checks.missed_in_a_row(true), checks.missed_in_a_row(false)), (2, 0));
    checks.end(result(CheckEnd::Answered, true, Some(1)));
    assert_eq!(checks.missed_in_a_row(true), 0);
    checks.end(result(CheckEnd::Missed, false, None));
    checks.end(result(CheckEnd::Refused(Code::known("over-rate")), false, None));
    assert_eq!(checks.missed_in_a_row(false), 0, "a machine that refuses is there");
}

#[test]
fn the_next_check_comes_by_chance_around_the_interval_and_never_for_two_pairs_at_once() {
    let drill = Drill { machine_every_ms: 100 * HOUR_MS, ..Drill::default() };
    let (since, own) = (UnixMillis::new(1_000), node("cert.br"));
    let first = |peer: &str| Checks::default().next_at(&drill, false, since, &own, &node(peer)).unwrap().get() - 1_000;
    let peers = ["cert.cl", "cert.uy", "cert.ar", "cert.pe"].map(first);
    assert!(peers.iter().all(|ms| (50 * HOUR_MS..150 * HOUR_MS).contains(ms)), "{peers:?}");
    assert_eq!(peers.iter().collect::<std::collections::BTreeSet<_>>().len(), peers.len());
    let mut checks = Checks::default();
    for byte in 0..50 {
        checks.begin(Seq::FIRST, Digest::of(&[&[byte]]), CheckPart::Machine, since);
        let next = checks.next_at(&drill, false, since, &own, &node("cert.cl")).unwrap().get() - 1_000;
        assert!((90 * HOUR_MS..110 * HOUR_MS).contains(&next), "{next}");
        assert_eq!(checks.next_at(&drill, true, since, &own, &node("cert.cl")), None, "people are not checked");
    }
}
